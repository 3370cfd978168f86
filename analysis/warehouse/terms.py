"""What a load needs of a shop's settings; the warehouse keeps them from its first load on. DATA 1.

An amount is rounded to the shop's digits and a row gets its business day when it is loaded. Under another setting the
same whole numbers would mean something else, so nothing is loaded, checked or counted until the settings are back.
"""

from dataclasses import asdict, dataclass

from experiments.errors import UsageError
from experiments.shop import Settings


@dataclass(frozen=True, slots=True)
class ShopTerms:
    """The shop's currency, money digits and business days' zone."""

    currency: str
    digits: int
    time_zone: str

    @classmethod
    def of(cls, settings: Settings) -> "ShopTerms":
        """What the shop's settings say now."""
        return cls(settings.currency, settings.digits, settings.time_zone)


_SETTINGS = {"currency": "currency", "digits": "money_digits", "time_zone": "time_zone"}


def refuse_others(kept: ShopTerms | None, asked: ShopTerms) -> None:
    """UsageError naming what changed since the first load; `kept` is None before it."""
    if kept is None or kept == asked:
        return
    now = asdict(asked)
    changed = {_SETTINGS[name]: (was, now[name]) for name, was in asdict(kept).items() if was != now[name]}
    before = ", ".join(f"{name} {was}" for name, (was, _) in changed.items())
    after = ", ".join(f"{name} {is_}" for name, (_, is_) in changed.items())
    raise UsageError(
        f"the warehouse was loaded with {before}; truelift.toml or the environment now says {after}, and amounts and "
        f"business days are fixed when a row is loaded: set {before} again, or move the warehouse away and load the "
        f"logs again"
    )
