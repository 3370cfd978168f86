"""What is to be played: the shop's fixed facts, the experiments, the dates. Frozen values, no arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

SECOND = 1_000_000  # every instant is whole µs since the epoch
DAY = 86_400 * SECOND

Module = Literal["homepage", "pdp"]
MODULES: tuple[Module, ...] = ("homepage", "pdp")
SHOWN = {"homepage": 0.85, "pdp": 0.70}  # share of visits that show the module
THROUGH = {"homepage": 0.40, "pdp": 0.20}  # share of a visit's order chance that runs through a module it shows
CLICKED = {"homepage": 0.10, "pdp": 0.12}  # share of slates clicked by visitors who only look around


@dataclass(frozen=True, slots=True)
class Category:
    """`share` of visits that come for it, median `price` in minor units, `returns` as a share of lines."""

    key: str
    share: float
    price: int
    returns: float


CATEGORIES = (
    Category("bedding", 0.14, 3_900, 0.11),
    Category("decor", 0.34, 3_400, 0.06),
    Category("furniture", 0.08, 6_900, 0.09),
    Category("garden", 0.12, 3_900, 0.05),
    Category("kitchen", 0.20, 2_900, 0.04),
    Category("lighting", 0.12, 4_400, 0.07),
)
CATEGORY_KEYS = tuple(category.key for category in CATEGORIES)
DEVICES = (  # platform, browser, share of people
    ("mobile_web", "safari_mobile", 0.30),
    ("mobile_web", "chrome_mobile", 0.27),
    ("mobile_web", "in_app_webview", 0.06),
    ("desktop_web", "chrome", 0.24),
    ("desktop_web", "firefox", 0.06),
    ("desktop_web", "safari", 0.07),
)


@dataclass(frozen=True, slots=True)
class Play:
    """One experiment on one module: what its treated arm does to clicks, and by category to orders made through it."""

    key: str
    module: Module
    treatment: str
    lifts: Mapping[str, float] = field(default_factory=dict)
    click_lift: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. The run is [start, start + run_days); with history before it and some days more after it."""

    seed: int
    plays: tuple[Play, ...]
    units: int = 24_000
    start: date = date(2026, 9, 28)
    history_days: int = 28
    run_days: int = 28
    after_days: int = 15
    visits_a_day: float = 0.11  # of the mean unit

    def __post_init__(self) -> None:
        modules = [play.module for play in self.plays]
        if len(set(modules)) != len(modules):
            raise ValueError(f"two plays share a module ({', '.join(modules)}): a slate belongs to one experiment")
        for play in self.plays:
            strange = sorted(set(play.lifts) - set(CATEGORY_KEYS))
            if strange:
                raise ValueError(
                    f"{play.key}: no category {', '.join(strange)}; the shop sells {', '.join(CATEGORY_KEYS)}"
                )
            if not all(-1 <= lift <= 1 for lift in play.lifts.values()):
                raise ValueError(f"{play.key}: a lift of orders through a module lies between -1 and 1")

    def midnight(self, day: int) -> datetime:
        """The start of the run's day `day`, counted from 0, UTC."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC) + timedelta(days=day)

    @property
    def days(self) -> int:
        """Days of log: history, run and after."""
        return self.history_days + self.run_days + self.after_days

    @property
    def log_span(self) -> tuple[int, int]:
        """First instant of the log and the first after it."""
        return _micros(self.midnight(-self.history_days)), _micros(self.midnight(self.run_days + self.after_days))

    @property
    def run_span(self) -> tuple[int, int]:
        """First instant of the run and the first after it."""
        return _micros(self.midnight(0)), _micros(self.midnight(self.run_days))


def _micros(instant: datetime) -> int:
    return int(instant.timestamp()) * SECOND
