"""Who ran at the same time: on which layer, drawn how; and which holdouts stand above an experiment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from analysis.registry.course import Course
from experiments import ranges
from experiments.placement import Holdout
from experiments.ranges import Range
from experiments.spec import Assigned

Relation = Literal["collides", "same_layer", "independent", "other_unit", "elsewhere"]
RELATIONS: tuple[Relation, ...] = ("collides", "same_layer", "independent", "other_unit", "elsewhere")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another experiment at the same time; `until` None: neither has a planned end."""

    key: str
    name: str
    layer: str | None  # None: another system assigns it
    relation: Relation
    since: datetime
    until: datetime | None
    buckets: tuple[Range, ...]  # the other's, on the same layer
    modules: tuple[str, ...]  # in both


@dataclass(frozen=True, slots=True)
class Covering:
    """A holdout over the experiment's modules; `named` says whether the experiment gives way to it."""

    key: str
    named: bool
    holdout: Holdout | None  # None: it is no longer registered


def overlaps(course: Course, others: Sequence[Course]) -> tuple[Overlap, ...]:
    """Every other experiment whose time meets this one's, those that could meet the same units the wrong way first."""
    found = [pair for other in others if other.key != course.key for pair in _pair(course, other)]
    return tuple(sorted(found, key=lambda each: (RELATIONS.index(each.relation), each.since, each.key)))


def covering(course: Course, holdouts: Mapping[str, Holdout]) -> tuple[Covering, ...]:
    """The holdouts it names, then those it does not name though they stand on its modules."""
    own = course.assigned
    named = () if own is None else own.holdouts
    found = [Covering(key, True, holdouts.get(key)) for key in named]
    modules = set(course.experiment.modules)
    found += [
        Covering(key, False, each) for key, each in holdouts.items() if key not in named and modules & set(each.modules)
    ]
    return tuple(found)


def _pair(one: Course, other: Course) -> Iterator[Overlap]:
    together = _meet(one.span(), other.span())
    if together is None:
        return
    layer = None if other.assigned is None else other.assigned.layer.key
    modules = tuple(name for name in one.experiment.modules if name in other.experiment.modules)
    relation, buckets = _relation(one, other)
    yield Overlap(other.key, other.experiment.name, layer, relation, *together, buckets, modules)


def _relation(one: Course, other: Course) -> tuple[Relation, tuple[Range, ...]]:
    if one.assigned is None or other.assigned is None:
        return "elsewhere", ()
    mine, theirs = tuple(_holdings(one)), tuple(_holdings(other))
    same = [
        (a, b) for a in mine for b in theirs if a.layer == b.layer and _meet((a.begin, a.end), (b.begin, b.end))
    ]  # fmt: skip
    if same:
        common = [each for a, b in same for each in ranges.overlap(a.buckets, b.buckets)]
        shown = ranges.merged(common or [each for _, b in same for each in b.buckets])
        return ("collides" if common else "same_layer"), shown
    alike = one.experiment.unit_type == other.experiment.unit_type
    return ("independent" if alike else "other_unit"), ()


@dataclass(frozen=True, slots=True)
class Holding:
    """Buckets of a layer for a while."""

    layer: str
    buckets: tuple[Range, ...]
    begin: datetime
    end: datetime | None


def _holdings(course: Course) -> Iterator[Holding]:
    """What it owned of its layer, step by step; before it began, what it will own."""
    if not course.phases and course.assigned is not None:
        use = course.assigned.layer
        yield Holding(use.key, use.ranges, *course.span())
    for index, (phase, live) in enumerate(course.phases):
        if not isinstance(phase.experiment, Assigned):
            continue
        last = index + 1 == len(course.phases)
        end = course.span()[1] if last else live.ended_at or course.phases[index + 1][0].started_at
        steps = [(step.at, step.ranges) for step in live.layer] or [(phase.started_at, phase.experiment.layer.ranges)]
        ends = [*(at for at, _ in steps[1:]), end]
        for (begin, buckets), until in zip(steps, ends, strict=True):
            yield Holding(phase.experiment.layer.key, buckets, begin, until)


def _meet(
    one: tuple[datetime, datetime | None], other: tuple[datetime, datetime | None]
) -> tuple[datetime, datetime | None] | None:
    """The time both have, None when there is none; an end of None is open."""
    begin = max(one[0], other[0])
    ends = [end for end in (one[1], other[1]) if end is not None]
    end = min(ends) if ends else None
    return None if end is not None and end <= begin else (begin, end)
