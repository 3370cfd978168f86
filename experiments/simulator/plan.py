"""What is to be played: the shop's fixed facts, the experiments and their arms, the dates. Frozen values, no arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zlib import crc32

import numpy as np

from experiments.errors import UsageError
from experiments.strategies import BUILT_IN, param_fault

SECOND = 1_000_000  # every instant is whole µs since the epoch
DAY = 86_400 * SECOND

Module = Literal["homepage", "pdp", "cart", "email"]
MODULES: tuple[Module, ...] = ("homepage", "pdp", "cart", "email")


@dataclass(frozen=True, slots=True)
class Slot:
    """A module's place in a visit.

    `shown`: share of visits that show it (of an e-mail: of the visits of its subscribers). `through`: share of a
    visit's chance of an order that runs through it where it is shown. `clicked`: share of its slates clicked by
    visitors who only look around. `after`: seconds into the visit.
    """

    shown: float
    through: float
    clicked: float
    after: int


SLOTS: Mapping[Module, Slot] = {
    "homepage": Slot(0.85, 0.40, 0.10, 15),
    "pdp": Slot(0.70, 0.20, 0.12, 31),
    "cart": Slot(0.25, 0.05, 0.05, 170),
    "email": Slot(0.35, 0.05, 0.20, 0),
}
PLACES = 4  # items of a slate
ROOM = 2.0  # the most times as likely that an arm can make orders through its module


@dataclass(frozen=True, slots=True)
class Category:
    """`share` of visits that come for it, median `price` in minor units, `returns` as a share of lines.

    In its best week `season` more of its visits come than in the mean, in the week half a year later as many fewer.
    """

    key: str
    share: float
    price: int
    returns: float
    season: float
    best_week: int


CATEGORIES = (
    Category("bedding", 0.14, 3_900, 0.11, 0.2, 46),
    Category("decor", 0.34, 3_400, 0.06, 0.3, 48),
    Category("furniture", 0.08, 6_900, 0.09, 0.1, 10),
    Category("garden", 0.12, 3_900, 0.05, 0.6, 20),
    Category("kitchen", 0.20, 2_900, 0.04, 0.2, 49),
    Category("lighting", 0.12, 4_400, 0.07, 0.2, 45),
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
BROWSERS = tuple(browser for _, browser, _ in DEVICES)


@dataclass(frozen=True, slots=True)
class Injected:
    """An arm by its effect: orders through the module `1 + lift` times as likely, by the category somebody came for.

    `click_lift` does the same to the clicks of visitors who only look around. Without lifts it is the shop as it is.
    """

    lifts: Mapping[str, float] = field(default_factory=dict)
    click_lift: float = 0.0


@dataclass(frozen=True, slots=True)
class Recommended:
    """An arm that shows what a strategy recommends, fitted on the days before the run; its effect follows from that."""

    strategy: str
    params: Mapping[str, object] = field(default_factory=dict)


Arm = Injected | Recommended
AS_IT_IS = Injected()


@dataclass(frozen=True, slots=True)
class Play:
    """One experiment on one module: what each of its arms does; the control is named among them."""

    key: str
    module: Module
    arms: Mapping[str, Arm]
    control: str = "control"

    @property
    def treatments(self) -> tuple[str, ...]:
        """The other arms, in their order."""
        return tuple(arm for arm in self.arms if arm != self.control)


def lifted(
    key: str,
    module: Module,
    treatment: str,
    lifts: Mapping[str, float] | None = None,
    click_lift: float = 0.0,
    *,
    control: str = "control",
) -> Play:
    """The shop as it is against an injected lift by category; without lifts an A/A test."""
    return Play(key, module, {control: AS_IT_IS, treatment: Injected(lifts or {}, click_lift)}, control)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. The run is [start, start + run_days); with history before it and some days more after it."""

    seed: int
    plays: tuple[Play, ...] = ()
    units: int = 24_000
    start: date = date(2026, 9, 28)
    history_days: int = 28
    run_days: int = 28
    after_days: int = 15
    visits_a_day: float = 0.11  # of the mean unit

    def __post_init__(self) -> None:
        """Refuse what cannot be played: UsageError with every fault."""
        faults = [fault for play in self.plays for fault in _faults(play)]
        keys, modules = [play.key for play in self.plays], [str(play.module) for play in self.plays]
        for name, given in (("key", keys), ("module", modules)):
            faults += [
                f"two plays share the {name} {each}: every experiment has a module of its own"
                for each in sorted({each for each in given if given.count(each) > 1})
            ]
        for name, least in (("units", 1), ("history_days", 0), ("run_days", 1), ("after_days", 0)):
            if getattr(self, name) < least:
                faults.append(f"{name} is {getattr(self, name)}; it is at least {least}")
        if not 0 < self.visits_a_day <= 2:
            faults.append(f"visits_a_day is {self.visits_a_day}; it lies above 0 and is at most 2")
        if faults:
            raise UsageError("a plan that cannot be played:\n" + "\n".join(f"  {fault}" for fault in faults))

    def stream(self, purpose: str) -> np.random.Generator:
        """The random numbers of one purpose, a function of the seed and its name: no purpose moves another's."""
        return np.random.default_rng([self.seed, crc32(purpose.encode())])

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


def _faults(play: Play) -> list[str]:
    faults = []
    if play.module not in MODULES:
        faults.append(f"{play.key}: no module {play.module}; the shop has {', '.join(MODULES)}")
    if play.control not in play.arms or not play.treatments:
        faults.append(f"{play.key}: arms {', '.join(play.arms)}; it needs {play.control} and another one at least")
    for name, arm in play.arms.items():
        faults += [f"{play.key}, {name}: {fault}" for fault in _arm_faults(arm)]
    return faults


def _arm_faults(arm: Arm) -> Iterator[str]:
    if isinstance(arm, Recommended):
        yield from _strategy_faults(arm)
        return
    for strange in sorted(set(arm.lifts) - set(CATEGORY_KEYS)):
        yield f"no category {strange}; the shop sells {', '.join(CATEGORY_KEYS)}"
    for key, lift in arm.lifts.items():
        if not -1 <= lift <= ROOM - 1:
            yield f"a lift of {lift} for {key}; it lies between -1 and {ROOM - 1:g}"
    if not -1 <= arm.click_lift <= 4:
        yield f"a click_lift of {arm.click_lift}; it lies between -1 and 4"


def _strategy_faults(arm: Recommended) -> Iterator[str]:
    if arm.strategy not in BUILT_IN:
        yield f"strategy {arm.strategy} is not built in; choose one of {', '.join(BUILT_IN)}"
        return
    for param, value in arm.params.items():
        fault = param_fault(arm.strategy, param, value)
        if fault is not None:
            yield f"{fault[0]}; {fault[2]}"


def _micros(instant: datetime) -> int:
    return int(instant.timestamp()) * SECOND
