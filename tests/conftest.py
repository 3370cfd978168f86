"""What every test shares: no deadline for generated examples, because CI shares its two cores; no trace of `./run`."""

import os

from hypothesis import settings

from tests.helpers.browsing import browser, visit

__all__ = ["browser", "visit"]  # fixtures of every test that opens a page

settings.register_profile("shared", deadline=None, print_blob=True)
settings.load_profile("shared")

for set_by_run in ("TRUELIFT_CALLED", "TRUELIFT_TYPED_HOME"):  # hints repeat how the program was called
    os.environ.pop(set_by_run, None)
