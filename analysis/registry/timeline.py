"""The timeline: one line an experiment, what asks for somebody first; holdouts beneath."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.registry.course import OPEN, Condition, Course, Segment, segments, waits
from analysis.words import registry as say
from experiments.placement import Holdout
from experiments.ranges import BUCKETS
from experiments.store import DecisionCode

LIMIT = 12  # lines drawn unless all are asked for
RECENT = timedelta(days=60)  # what ended longer ago is drawn only then
AHEAD = timedelta(days=30)  # how far an open end is drawn


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what ran, what is planned, where phases begin, what was decided. Texts are ready to print."""

    key: str
    name: str
    condition: Condition | None  # None: a holdout
    state: str
    segments: tuple[Segment, ...]
    waited: tuple[datetime, datetime] | None = None
    planned: tuple[datetime, datetime | None] | None = None
    decided: tuple[datetime, DecisionCode] | None = None
    share: str = ""  # a holdout's
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lines from top to bottom, and the stretch of time they are drawn on."""

    lines: tuple[Line, ...]
    begin: datetime
    end: datetime
    now: datetime
    left_out: int


def in_order(courses: Sequence[Course], now: datetime) -> tuple[Course, ...]:
    """What runs first, by its start; then what waits to, then what ended, the newest end first."""

    def rank(course: Course) -> tuple[int, float, str]:
        condition = course.condition(now)
        if condition not in OPEN:
            return 2, -(course.closed_at or course.begin).timestamp(), course.key
        return (1 if condition in ("draft", "scheduled", "waiting") else 0), course.begin.timestamp(), course.key

    return tuple(sorted(courses, key=rank))


def timeline(
    courses: Sequence[Course], holdouts: Mapping[str, Holdout], now: datetime, *, chosen: str, every: bool
) -> Timeline:
    """The experiments' lines; without `every` at most 12 that are open or ended of late, and always the chosen one."""
    ordered = in_order(courses, now)
    shown = ordered if every else _recent(ordered, now, chosen)
    lines = [_line(course, now, chosen) for course in shown]
    lines += [_holdout(each) for each in holdouts.values() if each.end_at is None or each.end_at > now or every]
    begin, end = _stretch([line for line in lines if line.condition is not None], now)
    return Timeline(tuple(lines), begin, end, now, len(ordered) - len(shown))


def _recent(ordered: Sequence[Course], now: datetime, chosen: str) -> tuple[Course, ...]:
    fresh = [
        each for each in ordered
        if each.condition(now) in OPEN or (each.closed_at is not None and each.closed_at >= now - RECENT)
    ]  # fmt: skip
    wanted = {each.key for each in (fresh or ordered)[:LIMIT]} | {chosen}
    return tuple(each for each in ordered if each.key in wanted)


def _line(course: Course, now: datetime, chosen: str) -> Line:
    condition, decision, known = course.condition(now), course.registered.decision, course.registered
    number = course.phases[-1][0].number if course.phases else 0
    state = say.state(condition, number, None if decision is None else decision.decision, killed=known.killed)
    ends = course.planned_end
    planned = (course.begin, ends) if condition in OPEN or ends is not None else None
    return Line(
        course.key, course.experiment.name, condition, state, segments(course, now), waits(course, now), planned,
        None if decision is None else (course.closed_at or decision.at, decision.decision), chosen=course.key == chosen,
    )  # fmt: skip


def _holdout(holdout: Holdout) -> Line:
    share = say.share(sum(end - start for start, end in holdout.buckets) / BUCKETS)
    planned = (holdout.start_at, holdout.end_at)
    return Line(holdout.key, holdout.key, None, say.holdout_line(share), (), None, planned, share=share)


def _stretch(lines: Sequence[Line], now: datetime) -> tuple[datetime, datetime]:
    """From the first start to the last planned end, which is cut where it would flatten what has happened."""
    moments = [now]
    for line in lines:
        moments += [line.segments[0].begin] if line.segments else []
        moments += [line.waited[0]] if line.waited else []
        moments += [at for at in line.planned or () if at is not None]
    begin = min(moments)
    past = max(now - begin, AHEAD)
    end = min(max(max(moments), now), now + 2 * past)
    pad = max((end - begin) / 40, timedelta(hours=6))
    return begin - pad, max(end + pad, now + pad)
