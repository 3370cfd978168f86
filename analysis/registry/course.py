"""One experiment's course: what ran when, with how much traffic, and how it stands now."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Generic, Literal, TypeVar

from experiments.ranges import BUCKETS
from experiments.spec import Assigned, Experiment, Live, Phase
from experiments.store import AuditRow, Registered

Value = TypeVar("Value")
Kind = Literal["running", "paused", "killed"]
Condition = Literal[
    "draft", "scheduled", "waiting", "running", "paused", "killed", "over", "undecided", "stopped", "archived"
]
SWITCHES: Mapping[str, Kind] = {"pause": "paused", "resume": "running", "kill": "killed", "new_phase": "running"}
ELSEWHERE = ("_layer", "_holdout", "_token")  # audit actions that are no experiment's
OPEN = ("running", "paused", "killed", "over", "undecided", "waiting", "scheduled", "draft")  # what asks for somebody


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one phase in which nothing changed; `traffic_bp` of 10,000 buckets took part."""

    kind: Kind
    phase: int
    begin: datetime
    end: datetime
    traffic_bp: int


@dataclass(frozen=True, slots=True)
class Course:
    """An experiment with its phases, what is live beside each, and its own audit rows in order."""

    registered: Registered
    phases: tuple[tuple[Phase, Live], ...]
    rows: tuple[AuditRow, ...]

    @property
    def key(self) -> str:
        """The experiment's key."""
        return self.registered.key

    @property
    def experiment(self) -> Experiment:
        """Its newest definition."""
        return self.registered.experiment

    @property
    def assigned(self) -> Assigned | None:
        """Its newest definition where truelift assigns, None where another system does."""
        return self.experiment if isinstance(self.experiment, Assigned) else None

    @property
    def begin(self) -> datetime:
        """When its first phase began; before any, when it is planned to."""
        return self.phases[0][0].started_at if self.phases else self.experiment.schedule.start_at

    @property
    def planned_end(self) -> datetime | None:
        """When it is to end: as the newest phase froze it, before any as it is registered."""
        newest = self.phases[-1][0].experiment if self.phases else self.experiment
        return newest.schedule.end_at

    @property
    def closed_at(self) -> datetime | None:
        """When its last phase ended, by hand or by its schedule as far as somebody noted it."""
        if not self.phases or self.registered.state not in ("stopped", "archived"):
            return None
        ended = self.phases[-1][1].ended_at
        return _earlier(ended, self.planned_end)

    def condition(self, now: datetime) -> Condition:
        """How it stands, in more words than its state: waiting for its start, over but nobody has said so."""
        known = self.registered
        if known.state == "draft" or known.state == "scheduled":
            return known.state
        if known.state == "stopped":
            return "undecided" if known.decision is None else "stopped"
        if known.state == "archived":
            return "archived"
        if self.planned_end is not None and self.planned_end <= now:
            return "over"
        if self.begin > now:
            return "waiting"
        return "killed" if known.killed else known.state

    def span(self) -> tuple[datetime, datetime | None]:
        """From when to when its units are, were or are planned to be in it; None: no planned end."""
        closed = self.closed_at
        return self.begin, closed if closed is not None else self.planned_end


def courses(
    registered: Iterable[Registered], phases: Mapping[str, tuple[tuple[Phase, Live], ...]], rows: Sequence[AuditRow]
) -> tuple[Course, ...]:
    """Every registered experiment with what belongs to it. Rows of tokens, layers and holdouts are nobody's."""
    own: dict[str, list[AuditRow]] = {}
    for row in rows:
        if not row.action.endswith(ELSEWHERE):
            own.setdefault(row.experiment_key, []).append(row)
    return tuple(Course(each, phases.get(each.key, ()), tuple(own.get(each.key, ()))) for each in registered)


def segments(course: Course, now: datetime) -> tuple[Segment, ...]:
    """What ran until `now`, phase by phase, cut where traffic, a pause or a kill changed it."""
    switched = Series((row.at, SWITCHES[row.action]) for row in course.rows if row.action in SWITCHES)
    found: list[Segment] = []
    for (phase, live), until in zip(course.phases, _ends(course, now), strict=True):
        begin = phase.started_at
        if begin >= until:
            continue
        grown = Series((step.at, step.bp) for step in live.traffic)
        inner = sorted({at for at in (*switched.times, *grown.times) if begin < at < until})
        for since, end in pairwise([begin, *inner, until]):
            kind = switched.value(since, "running", after=begin)
            traffic = grown.value(since, 0 if live.traffic else BUCKETS)
            same = found and (found[-1].kind, found[-1].phase, found[-1].traffic_bp) == (kind, phase.number, traffic)
            found.append(Segment(kind, phase.number, found.pop().begin if same else since, end, traffic))
    return tuple(found)


class Series(Generic[Value]):
    """Values that each hold from a moment on."""

    def __init__(self, steps: Iterable[tuple[datetime, Value]]) -> None:
        ordered = sorted(steps, key=lambda step: step[0])
        self.times = [at for at, _ in ordered]
        self._values = [value for _, value in ordered]

    def value(self, at: datetime, default: Value, *, after: datetime | None = None) -> Value:
        """What holds at a moment; the default before the first, or where that is from before `after`."""
        index = bisect_right(self.times, at) - 1
        return default if index < 0 or (after is not None and self.times[index] < after) else self._values[index]


def waits(course: Course, now: datetime) -> tuple[datetime, datetime] | None:
    """From its registration until its first start, or until now; None where it began before it was registered."""
    first = course.rows[0].at if course.rows else course.registered.registered_at
    until = min(course.begin, now) if course.phases else now
    return (first, until) if first < until else None


def utc(moment: datetime) -> datetime:
    """The same instant in UTC."""
    return moment.astimezone(UTC)


def _ends(course: Course, now: datetime) -> Iterator[datetime]:
    """The end of each phase as far as it has come; a run is over when its schedule is, whoever noted that."""
    for index, (phase, live) in enumerate(course.phases):
        last = index + 1 == len(course.phases)
        ended = live.ended_at if last else live.ended_at or course.phases[index + 1][0].started_at
        found = _earlier(ended, phase.experiment.schedule.end_at)
        yield now if found is None else min(found, now)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    given = [at for at in (one, other) if at is not None]
    return min(given) if given else None
