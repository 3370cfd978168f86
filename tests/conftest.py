"""What every test shares: no deadline for generated examples, because CI shares its two cores."""

from hypothesis import settings

settings.register_profile("shared", deadline=None, print_blob=True)
settings.load_profile("shared")
