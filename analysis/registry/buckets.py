"""Who meets what of 10,000 buckets, stage by stage: held out, whose part of the layer, in traffic, in which arm."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from analysis.registry.course import Course
from analysis.words import registry as say
from experiments import ranges
from experiments.layers import Ground
from experiments.own_checks import FINISHED
from experiments.placement import Holdout
from experiments.ranges import BUCKETS, Range
from experiments.spec import Assigned, Experiment, Live, Phase

Meaning = Literal["own", "other", "free", "held", "rest", "control", "arm"]


@dataclass(frozen=True, slots=True)
class Band:
    """Buckets [begin, end) that mean one thing; `who` is ready to print."""

    begin: int
    end: int
    meaning: Meaning
    who: str

    @property
    def share(self) -> str:
        """Its share of the 10,000, as printed."""
        return say.share((self.end - self.begin) / BUCKETS)


@dataclass(frozen=True, slots=True)
class Strip:
    """All 10,000 buckets of one draw."""

    title: str
    bands: tuple[Band, ...]
    told: str = ""  # what a glance should find
    note: str = ""


def strips(course: Course, phase: tuple[Phase, Live] | None, ground: Ground, others: Sequence[Course]) -> list[Strip]:
    """The draws a unit goes through, in the order of evaluation; only the split where another system assigns."""
    experiment = course.experiment if phase is None else phase[0].experiment
    if not isinstance(experiment, Assigned):
        return [Strip(say.SPLIT_ELSEWHERE, _shares(experiment))]
    found = [_held(ground.holdouts[key]) for key in experiment.holdouts if key in ground.holdouts]
    found += _layer(course, experiment, phase, ground, others)
    points = experiment.first_traffic_bp if phase is None else phase[1].traffic_bp
    told = say.part_of(points / BUCKETS, say.TAKES_PART)
    found.append(Strip(say.TRAFFIC, tuple(_in_and_out(points)), told))
    if experiment.design != "interleaving":  # there each request meets both rankers
        found.append(Strip(say.SPLIT, _arms(experiment, experiment.splits)))
    return found


def part(course: Course, phase: tuple[Phase, Live] | None, ground: Ground) -> Fraction | None:
    """Which share of all units can be in it: not held out, in its buckets of the layer, in traffic. None: elsewhere.

    The draws are independent, so that shares multiply; targeting and prerequisites are not in it.
    """
    experiment = course.experiment if phase is None else phase[0].experiment
    if not isinstance(experiment, Assigned):
        return None
    found = Fraction(size(owned(experiment, phase)), BUCKETS)
    for key in experiment.holdouts:
        if key in ground.holdouts and ground.holdouts[key].unit_type == experiment.unit_type:
            found *= 1 - Fraction(size(ground.holdouts[key].buckets), BUCKETS)
    return found * Fraction(experiment.first_traffic_bp if phase is None else phase[1].traffic_bp, BUCKETS)


def owned(experiment: Assigned, phase: tuple[Phase, Live] | None) -> tuple[Range, ...]:
    """The buckets of its layer: as they grew in the phase, before any as they are registered."""
    grown = phase[1].layer if phase is not None else ()
    return ranges.merged(grown[-1].ranges if grown else experiment.layer.ranges)


def size(given: Iterable[Range]) -> int:
    """How many buckets."""
    return sum(end - start for start, end in given)


def owners(layer: str, courses: Iterable[Course]) -> Mapping[str, tuple[Range, ...]]:
    """Who owns which buckets of a layer now, by key: everybody who is not stopped, drafts too."""
    return {
        each.key: ranges.merged(each.assigned.layer.ranges)
        for each in courses
        if each.assigned is not None and each.assigned.layer.key == layer and each.registered.state not in FINISHED
    }


def _held(holdout: Holdout) -> Strip:
    taken = ranges.merged(holdout.buckets)
    bands = [Band(*one, "held", say.HELD) for one in taken]
    bands += [Band(*one, "rest", say.GOES_ON) for one in ranges.free(taken)]
    told = say.part_of(size(taken) / BUCKETS, say.HELD)
    return Strip(say.holdout_strip(holdout.key), tuple(sorted(bands, key=lambda band: band.begin)), told)


def _layer(
    course: Course, experiment: Assigned, phase: tuple[Phase, Live] | None, ground: Ground, others: Sequence[Course]
) -> Iterator[Strip]:
    key = experiment.layer.key
    gone = "" if key in ground.layers else say.layer_gone(key)
    now_owned = owners(key, others)
    current = course.key in now_owned and (phase is None or phase is course.phases[-1])
    if not current:  # what it had: somebody else may own it by now
        own = owned(experiment, phase)
        had = [Band(*one, "own", course.key) for one in own]
        had += [Band(*one, "rest", say.NOT_ITS_OWN) for one in ranges.free(own)]
        told = say.part_of(size(own) / BUCKETS, course.key)
        yield Strip(say.had_strip(key), tuple(sorted(had, key=lambda band: band.begin)), told, gone)
        if gone:
            return
    states = {each.key: each.registered.state for each in others}
    bands = [
        Band(*one, "own" if who == course.key else "other", say.owner(who, states[who]))
        for who, theirs in now_owned.items()
        for one in theirs
    ]
    taken = [one for theirs in now_owned.values() for one in theirs]
    left = ranges.free(taken)
    bands += [Band(*one, "free", say.FREE) for one in left]
    told, note = say.part_of(size(left) / BUCKETS, say.FREE), gone if current else ""
    yield Strip(say.layer_strip(key), tuple(sorted(bands, key=lambda band: band.begin)), told, note)


def _in_and_out(points: int) -> Iterator[Band]:
    if points:
        yield Band(0, points, "own", say.TAKES_PART)
    if points < BUCKETS:
        yield Band(points, BUCKETS, "rest", say.NOT_YET)


def _arms(experiment: Experiment, parts: Sequence[Range]) -> tuple[Band, ...]:
    return tuple(
        Band(*one, "control" if variant.is_control else "arm", variant.key)
        for variant, one in zip(experiment.variants, parts, strict=True)
        if one[0] < one[1]
    )


def _shares(experiment: Experiment) -> tuple[Band, ...]:
    """Where another system splits: the planned shares, laid side by side, rounded to 1 of 10,000."""
    done = [round(experiment.share(experiment.variants[:count]) * BUCKETS) for count in range(len(experiment.variants))]
    return _arms(experiment, tuple(zip(done, [*done[1:], BUCKETS], strict=True)))
