"""What an experiment was begun with: metrics and margins as they were locked, split, salts, targeting, traffic."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from analysis import words
from analysis.registry.buckets import owned
from analysis.registry.course import Course, utc
from analysis.words import registry as say
from experiments import ranges
from experiments.lifecycle import amended
from experiments.ranges import BUCKETS
from experiments.spec import Assigned, Experiment, Live, Metric, Phase, Variant

Begun = tuple[Phase, Live]


@dataclass(frozen=True, slots=True)
class MetricTerm:
    """One metric as a row; what was added after the phase had begun is exploratory."""

    name: str
    role: str
    better: str
    limit: str
    matters: str
    standing: str

    HEADINGS = ("Metric", "Role", "Better when it", "Limit", "Matters from", "Standing")


@dataclass(frozen=True, slots=True)
class PhaseTerm:
    """One phase as a row: when, with which salt, which buckets, how much traffic."""

    number: str
    began: str
    ended: str
    salt: str
    buckets: str
    traffic: str
    planned: str

    HEADINGS = ("Phase", "Began", "Ended", "Salt", "Buckets of its layer", "Traffic", "Planned size")


@dataclass(frozen=True, slots=True)
class ArmTerm:
    """One arm as a row."""

    arm: str
    serves: str
    share: str
    buckets: str
    standing: str

    HEADINGS = ("Arm", "Serves", "Share", "Buckets of the split", "Standing")


def metric_terms(course: Course, begun: Begun | None, currency: str) -> tuple[MetricTerm, ...]:
    """Every metric with its margin as the phase froze it, then what was added since; before a start as registered."""
    known = course.registered
    if begun is None:
        own = known.experiment
        return tuple(_metric(known.metrics.get(key), key, own, currency, say.NOT_LOCKED) for key in own.metrics.keys())  # noqa: SIM118
    phase = begun[0]
    locked = phase.experiment.metrics.keys()
    newest = amended(phase, known) if begun is course.phases[-1] else phase
    wanted = newest.experiment.metrics.keys()
    found = [
        _metric(phase.metrics.get(key), key, phase.experiment, currency, say.LOCKED if key in wanted else say.DROPPED)
        for key in locked
    ]
    found += [
        _metric(newest.metrics.get(key), key, newest.experiment, currency, say.ADDED)
        for key in wanted
        if key not in locked
    ]
    return tuple(found)


def _metric(metric: Metric | None, key: str, experiment: Experiment, currency: str, standing: str) -> MetricTerm:
    role = experiment.metrics.role(key)
    if metric is None:
        return MetricTerm(key, say.ROLES[role], "–", "–", "–", standing)
    relative, absolute = experiment.metrics.margins(metric) if role == "guardrail" else (None, None)
    limit = None if relative is None else words.amount(float(relative), unit="lift")
    if absolute is not None:
        limit = words.amount(float(absolute), unit=words.difference_unit(metric.value_unit), currency=currency)
    matters = experiment.analysis.material(metric)
    return MetricTerm(
        words.sentence_case(words.label(metric.label, experiment.unit_type)),
        say.ROLES[role],
        say.BETTER[metric.direction],
        "–" if limit is None else say.limit(limit),
        "–" if matters is None or role == "guardrail" else words.amount(float(matters), unit="lift"),
        standing,
    )


def phase_terms(course: Course) -> tuple[PhaseTerm, ...]:
    """Every phase, the first one first."""
    return tuple(_phase(begun) for begun in course.phases)


def _phase(begun: Begun) -> PhaseTerm:
    phase, live = begun
    experiment = phase.experiment
    own = experiment if isinstance(experiment, Assigned) else None
    return PhaseTerm(
        str(phase.number),
        say.moment(utc(phase.started_at)),
        "–" if live.ended_at is None else say.moment(utc(live.ended_at)),
        say.drawn_by(experiment.assigned_by) if own is None else f"{own.salt}, {own.hash_version}",
        "–" if own is None else f"{own.layer.key}: {ranges.shown(owned(own, begun))}",
        "–" if own is None else say.share(live.traffic_bp / BUCKETS),
        words.whole(phase.planned_units) + (" (assumed)" if phase.planned_units_assumed else ""),
    )


def arm_terms(course: Course, begun: Begun | None) -> tuple[ArmTerm, ...]:
    """The arms in declaration order, with what they serve and their part of the split."""
    experiment = course.experiment if begun is None else begun[0].experiment
    parts = experiment.splits if isinstance(experiment, Assigned) else (None,) * len(experiment.variants)
    disabled = () if begun is None else begun[1].disabled
    return tuple(
        ArmTerm(
            variant.key,
            _serves(variant),
            say.share(float(experiment.share([variant]))),
            "–" if own is None else ranges.shown([own]),
            say.arm(control=variant.is_control, disabled=variant.key in disabled),
        )
        for variant, own in zip(experiment.variants, parts, strict=True)
    )


def _serves(variant: Variant) -> str:
    params = getattr(variant, "params", {})
    told = ", ".join(f"{name} {value}" for name, value in params.items())
    named = variant.strategy or "not said"
    return f"{named} ({told})" if told else named


def conditions(course: Course, begun: Begun | None) -> tuple[str, ...]:
    """Who takes part, in sentences: targeting, prerequisites, holdouts are said elsewhere."""
    experiment = course.experiment if begun is None else begun[0].experiment
    if not isinstance(experiment, Assigned):
        return (say.targeted_elsewhere(experiment.assigned_by),)
    told = [say.targeted(None if experiment.targeting is None else say.targeting(experiment.targeting))]
    told += [say.prerequisite(each.experiment, each.variants) for each in experiment.prerequisites]
    if not experiment.prerequisites:
        told.append(say.NO_PREREQUISITE)
    return tuple(told)


@dataclass(frozen=True, slots=True)
class StepTerm:
    """Traffic from a moment on: taken, or planned with what it requires."""

    at: str
    traffic: str
    requires: str
    standing: str

    HEADINGS = ("From", "Traffic", "Requires", "Standing")


def steps(course: Course, begun: Begun | None, now: datetime) -> tuple[StepTerm, ...]:
    """The traffic as it grew, then the steps of the ramp that are still to be taken. Empty where it never changes."""
    live = None if begun is None else begun[1]
    own = course.assigned
    if own is None:
        return ()
    taken = [(utc(step.at), step.bp) for step in (() if live is None else live.traffic)]
    found = [StepTerm(say.moment(at), say.share(bp / BUCKETS), "–", say.TAKEN) for at, bp in taken]
    if begun is None or begun is course.phases[-1]:
        found += _to_come(own, 0 if live is None else live.traffic_bp, now, closed=course.closed_at is not None)
    return tuple(found) if len(found) > 1 else ()


def _to_come(own: Assigned, reached: int, now: datetime, *, closed: bool) -> Iterator[StepTerm]:
    for step in own.ramp:
        points = ranges.basis_points(step.traffic)
        if points > reached:
            standing = say.NEVER_TAKEN if closed else say.DUE if step.at <= now else say.TO_COME
            requires = words.listed([say.CHECKS[name] for name in step.require]) if step.require else "nothing"
            yield StepTerm(say.moment(utc(step.at)), say.share(points / BUCKETS), requires, standing)


def overrides(course: Course) -> tuple[tuple[str, str], ...]:
    """Units that are forced into an arm now, with the arm."""
    own = course.assigned
    return () if own is None else tuple((each.unit_id, each.variant) for each in own.overrides)


def frozen(begun: Begun | None, course: Course) -> tuple[tuple[str, str], ...]:
    """What else holds for the whole phase, as name and value."""
    experiment = course.experiment if begun is None else begun[0].experiment
    analysis = experiment.analysis
    planned = analysis.planned_units if begun is None else begun[0].planned_units
    slices = () if begun is None else begun[0].slices
    return (
        ("Kind", say.KINDS[experiment.design]),
        ("Design", say.DESIGNS.get(analysis.design, words.pretty(analysis.design))),
        ("Risk of a false verdict", words.amount(float(analysis.alpha), unit="share")),
        (
            "Planned size",
            say.planned(planned, experiment.unit_type),
        ),
        ("Read from", say.minimum(analysis.min_days, analysis.min_units_per_arm, experiment.unit_type)),
        ("Compared with", say.COMPARATORS[analysis.comparator]),
        ("Cut into", words.listed([words.pretty(each.key) for each in slices]) if slices else "no slices"),
    )
