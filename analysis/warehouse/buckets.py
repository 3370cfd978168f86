"""What the alerts watch, counted by cell and bucket of time: sql/buckets.sql and sql/looks.sql. ALERTS 1, 3.

Buckets are half-open and begin at whole multiples of their length since 1970, in UTC. What a bucket counts hangs on no
row after its end, so that whoever counts it later, with more rows after it, finds the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from analysis.warehouse.base import CellValue, HeldOut, Parameter, Warehouse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS_AT_ONCE = 56  # counted in one statement, which bounds its memory
Place: TypeAlias = tuple[str, str]  # module and category: both '' is the whole site, category '' a whole module
Cells: TypeAlias = Mapping[Place, Mapping[str, "Counted"]]  # by arm
LookCells: TypeAlias = Mapping[Place, Mapping[str, "Looked"]]


class Counted(NamedTuple):
    """One arm of a cell in a bucket, by unit: n its sessions, y what it did. Amounts in minor units."""

    units: int
    sessions: int  # Σ n
    sessions_squared: int  # Σ n²
    clicks: int  # Σ y, of each
    adds: int
    orders: int
    revenue: int
    clicks_squared: int  # Σ y²
    adds_squared: int
    orders_squared: int
    revenue_squared: int
    sessions_clicks: int  # Σ n·y
    sessions_adds: int
    sessions_orders: int
    sessions_revenue: int
    margin: int  # of the lines that have one
    lines: int
    lines_known: int  # lines with a margin
    revenue_known: int  # of the lines with a margin


class Looked(NamedTuple):
    """One arm of a cell of first exposures up to an instant, by unit."""

    units: int
    clicks_nonzero: int
    adds_nonzero: int
    orders_nonzero: int
    revenue_nonzero: int
    clicks: int
    adds: int
    orders: int
    revenue: int
    clicks_squared: int
    adds_squared: int
    orders_squared: int
    revenue_squared: int


@dataclass(frozen=True, slots=True)
class WatchedPhase:
    """A phase of an experiment: its arms, control first, and its span in aware UTC."""

    key: str
    phase: int
    unit_type: str
    modules: tuple[str, ...]
    arms: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class WatchedHoldout:
    """A holdout: what its modules serve, held_out against served; who is held out by salt and buckets of 10,000."""

    key: str
    unit_type: str
    modules: tuple[str, ...]
    held_out: HeldOut
    starts_at: datetime
    ends_at: datetime | None


class Subject(NamedTuple):
    """Whose bucket it is: (experiment, key, phase), (launch, holdout, 1) or (forecast, site, 1)."""

    kind: str
    key: str
    phase: int


class Watched(NamedTuple):
    """What one count is for: the phases, the holdouts, and whether everybody together (forecast, site)."""

    phases: tuple[WatchedPhase, ...] = ()
    holdouts: tuple[WatchedHoldout, ...] = ()
    forecast: bool = False

    @property
    def arms(self) -> tuple[tuple[Subject, str], ...]:
        """Every arm by its number: everybody's, those of the phases, those of the holdouts."""
        return (
            (Subject("forecast", "site", 1), "all"),
            *((Subject("experiment", each.key, each.phase), arm) for each in self.phases for arm in each.arms),
            *((Subject("launch", each.key, 1), arm) for each in self.holdouts for arm in ("held_out", "served")),
        )


class Loaded(NamedTuple):
    """The newest load, and what came since an earlier one."""

    seq: int  # 0 before any
    load_id: str
    load_id_then: str  # of the earlier one; '' when there is none of that number
    earliest: datetime | None  # of the rows that came since
    first_slate: datetime | None
    complete_until: datetime | None  # as far as both slates and outcomes go; None without slates


def buckets(
    warehouse: Warehouse, watched: Watched, *, minutes: int, since: datetime, until: datetime
) -> Mapping[Subject, Mapping[datetime, Cells]]:
    """What each subject's cells counted, by the bucket's end; a bucket in which nothing happened is not there.

    `since` and `until` are ends of buckets, aware. Cells of every level: site, module, module and category.
    """
    found: dict[Subject, dict[datetime, dict[Place, dict[str, Counted]]]] = {}
    arms = watched.arms
    step = timedelta(days=DAYS_AT_ONCE)
    while since < until:
        end = min(since + step, until)
        for row in warehouse.rows("buckets", _parameters(watched, minutes, since, end)):
            number, module, category, bucket, *numbers = row
            subject, arm = arms[_int(number)]
            cells = found.setdefault(subject, {}).setdefault(_end(bucket, minutes), {})
            cells.setdefault((str(module), str(category)), {})[arm] = Counted(*map(_int, numbers))
        since = end
    return found


def looks(warehouse: Warehouse, phase: WatchedPhase, *, minutes: int, until: datetime) -> Mapping[datetime, LookCells]:
    """What each cell of first exposures counted from the phase's start to each bucket's end; until the last of them.

    Cells of every level, which are sums over other units. From the first bucket with a unit on every bucket is there.
    """
    added: dict[datetime, dict[tuple[Place, str], list[int]]] = {}
    for row in warehouse.rows("looks", _look_parameters(phase, minutes, until)):
        arm, module, category, bucket, *numbers = row
        change = list(map(_int, numbers))
        for place in (("", ""), (str(module), ""), (str(module), str(category))):
            by_cell = added.setdefault(_end(bucket, minutes), {})
            sums = by_cell.setdefault((place, str(arm)), [0] * len(change))
            by_cell[place, str(arm)] = [a + b for a, b in zip(sums, change, strict=True)]
    if not added:
        return {}
    step = timedelta(minutes=minutes)
    ends = [min(added) + i * step for i in range((until - min(added)) // step + 1)]
    sums_by_end = accumulate((added.get(end, {}) for end in ends), _added)
    return {end: _by_place(sums) for end, sums in zip(ends, sums_by_end, strict=True)}


def loaded_since(warehouse: Warehouse, seq: int, *, before: datetime) -> Loaded:
    """What came after that load, of rows before an aware instant. Times are cut to the minute.

    Slates and outcomes come by different ways: where one is behind, what the other has is no whole bucket yet.
    """
    row = warehouse.rows("loaded_since", {"seq": seq, "before": naive(before)})[0]
    newest, load_id, then, *times = row
    earliest, first, slate, outcome = map(_instant, times)
    complete = slate if slate is None or outcome is None else min(slate, outcome)
    return Loaded(_int(newest or 0), str(load_id or ""), str(then or ""), earliest, first, complete)


def whole_until(instant: datetime, minutes: int) -> datetime:
    """The end of the last bucket that is whole at an aware instant."""
    return EPOCH + (instant - EPOCH) // timedelta(minutes=minutes) * timedelta(minutes=minutes)


Sums: TypeAlias = dict[tuple[Place, str], list[int]]


def _added(sums: Sums, change: Sums) -> Sums:
    new = {key: [a + b for a, b in zip(sums.get(key, [0] * len(own)), own, strict=True)] for key, own in change.items()}
    return {**sums, **new}


def _by_place(sums: Sums) -> LookCells:
    found: dict[Place, dict[str, Looked]] = {}
    for (place, arm), numbers in sums.items():
        found.setdefault(place, {})[arm] = Looked(*numbers)
    return found


def _parameters(watched: Watched, minutes: int, since: datetime, until: datetime) -> Mapping[str, Parameter]:
    arms = [(phase, arm) for phase in watched.phases for arm in phase.arms]
    first = 1 + len(arms)
    modules = [(held, module, first + 2 * i) for i, held in enumerate(watched.holdouts) for module in held.modules]
    ranges = [(first + 2 * i, *each) for i, held in enumerate(watched.holdouts) for each in held.held_out.buckets]
    end = naive(until)
    return {
        "minutes": minutes,
        "since": naive(since),
        "until": end,
        "since_day": naive(since).date() - timedelta(days=1),  # no business day of the bucket begins before
        "forecast": int(watched.forecast),
        "experiment_numbers": list(range(1, first)),
        "experiment_keys": [phase.key for phase, _ in arms],
        "experiment_phases": [phase.phase for phase, _ in arms],
        "experiment_unit_types": [phase.unit_type for phase, _ in arms],
        "experiment_arms": [arm for _, arm in arms],
        "experiment_starts": _instants((phase.starts_at for phase, _ in arms), end),
        "experiment_ends": _instants((phase.ends_at for phase, _ in arms), end),
        "holdout_numbers": [number for *_, number in modules],
        "holdout_unit_types": [held.unit_type for held, *_ in modules],
        "holdout_modules": [module for _, module, _ in modules],
        "holdout_salts": [held.held_out.salt for held, *_ in modules],
        "holdout_starts": _instants((held.starts_at for held, *_ in modules), end),
        "holdout_ends": _instants((held.ends_at for held, *_ in modules), end),
        "range_numbers": [number for number, *_ in ranges],
        "range_starts": [start for _, start, _ in ranges],
        "range_ends": [end_bucket for *_, end_bucket in ranges],
    }


def _look_parameters(phase: WatchedPhase, minutes: int, until: datetime) -> Mapping[str, Parameter]:
    end = naive(until if phase.ends_at is None else min(until, phase.ends_at))
    return {
        "minutes": minutes,
        "until": end,
        "experiment_key": phase.key,
        "phase": phase.phase,
        "unit_type": phase.unit_type,
        "modules": list(phase.modules),
        "arms": list(phase.arms),
        "started_at": naive(phase.starts_at),
    }


def _instants(given: Iterable[datetime | None], default: datetime) -> list[datetime]:
    return [default if each is None else naive(each) for each in given]


def naive(instant: datetime) -> datetime:
    """As the warehouse writes it."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def _end(bucket: CellValue, minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=(_int(bucket) + 1) * minutes)


def _instant(minute: CellValue) -> datetime | None:
    return None if minute is None else EPOCH + timedelta(minutes=_int(minute))


def _int(value: CellValue) -> int:
    assert isinstance(value, int)
    return int(value)
