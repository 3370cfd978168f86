"""Everything that was counted and checked becomes one `Readout`. Pure: no clock, no connection.

Inputs → frame (days, look) → health → [withheld?] → answers → rows → verdicts → slices, series → Readout
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from analysis.assembly.bands import series
from analysis.assembly.cells import slice_readouts
from analysis.assembly.decide import Decision, decide, withhold
from analysis.assembly.frame import Event, Frame, Inputs, frame
from analysis.assembly.identity import moments_json, provenance, snapshot_id
from analysis.assembly.rows import Answer, answers, covariate_names, instant, metric_readouts
from analysis.health.checks import Evidence, Health, evaluate
from analysis.health.pre_period import PrePeriod, pre_period
from analysis.inference.designs import critical_value
from analysis.inference.result import Contrast, Undetermined
from analysis.readout import (
    METHOD_VERSION,
    VERDICT_RULE,
    Arm,
    Currency,
    Day,
    Design,
    ExperimentHead,
    Interval,
    MetricReadout,
    Provenance,
    Question,
    Readout,
)

__all__ = ["Assembled", "Event", "Inputs", "assemble"]
from analysis.verdict import SILENT_DAYS
from analysis.words import freshness, notes
from experiments.spec import HeldOut


@dataclass(frozen=True, slots=True)
class Assembled:
    """A readout, the events that were not stored before it, and the exact moments it was made from (JSON)."""

    readout: Readout
    new_events: tuple[Event, ...]
    moments: str


def assemble(inputs: Inputs) -> Assembled:
    """Build the readout. Equal inputs give equal readouts but for `published_at`; the id leaves that out.

    The events of the day are part of what is hashed, so that a second run, which finds them stored,
    gives the same id.
    """
    here = frame(inputs)
    health = evaluate(_evidence(here))
    decision = withhold(here, health.holds)
    answered: tuple[Answer, ...] = ()
    body: dict[str, object] = {}
    if decision is None:
        answered = answers(here, health.holds)
        rows = metric_readouts(here, answered)
        decision = decide(here, answered, rows)
        body = {
            "metrics": rows,
            "slices": slice_readouts(here, answered, health.holds),
            "series": series(here, answered),
            "questions": _questions(here, rows),
        }
    moments = moments_json(inputs.counts)
    made_of = provenance(here, decision.events, moments)
    readout = _readout(here, health, decision, answered, body, made_of)
    new = tuple(event for event in decision.events if event not in inputs.events)
    return Assembled(readout, new, moments)


def _readout(
    here: Frame,
    health: Health,
    decision: Decision,
    answered: tuple[Answer, ...],
    body: dict[str, object],
    made_of: Provenance,
) -> Readout:
    inputs, experiment = here.inputs, here.experiment
    fields = {
        "snapshot_id": snapshot_id(here, made_of),
        "experiment": ExperimentHead(
            key=experiment.key,
            name=experiment.name,
            owner=experiment.owner,
            hypothesis=experiment.hypothesis,
            modules=experiment.modules,
            unit_type=experiment.unit_type,
            assignment=experiment.assignment,
            assigned_by=experiment.assigned_by,
        ),
        "phase": inputs.phase.number,
        "as_of": instant(inputs.cut.as_of),
        "data_as_of": None if inputs.counts.data_as_of is None else instant(inputs.counts.data_as_of),
        "published_at": instant(inputs.now.astimezone(UTC).replace(tzinfo=None)),
        "method_version": METHOD_VERSION,
        "verdict_rule": VERDICT_RULE,
        "currency": Currency(code=inputs.currency, digits=inputs.digits),
        "time_zone": inputs.time_zone,
        "day": Day(
            n=here.run.full_days,
            planned=here.planned_days,
            started_on=here.started_on.isoformat(),
            ends_on=None if here.ends_on is None else here.ends_on.isoformat(),
        ),
        "mode": "finished" if here.run.finished else "running",
        "design": Design(
            name=experiment.analysis.design,
            alpha=str(experiment.analysis.alpha),
            planned_units=inputs.phase.planned_units,
            planned_units_assumed=inputs.phase.planned_units_assumed,
            critical_value=_critical_value(here),
        ),
        "verdict": decision.verdict,
        "verdicts": decision.verdicts,
        "arms": _arms(here),
        "checks": health.checks,
        "exclusions": _exclusions(here),
        "warnings": _warnings(here, health, answered),
        "provenance": made_of,
    }
    return Readout.model_validate({**fields, **body})


def _evidence(here: Frame) -> Evidence:
    covariates = tuple(dict.fromkeys(x for metric in here.metrics for x in here.plan(metric).covariates))
    return Evidence(
        experiment=here.experiment,
        metrics={metric.key: metric for metric in here.metrics},
        counts=here.counts,
        rows=here.inputs.check_rows,
        pre_period=_pre_period(here, covariates),
        finished_import=here.run.finished and not here.inputs.watched,
        covariate_names=covariate_names(here),
    )


def _pre_period(here: Frame, covariates: tuple[str, ...]) -> PrePeriod | Undetermined:
    arms = {arm: here.overall(arm, None) for arm in (here.control, *here.arms)}
    if not covariates:
        return Undetermined("no_covariates", "no metric of this experiment uses what came before")
    known = tuple(x for x in covariates if all(x in moments.sums for moments in arms.values()))
    units = sum(moments.n for moments in arms.values())
    return pre_period(arms, known, max(units, 1) / here.inputs.phase.planned_units)


def _critical_value(here: Frame) -> float | None:
    """The smallest k over the comparisons, for an interval at alpha; Student's t has none of its own n."""
    if here.look == "planned_look" or not here.counts.units:
        return None
    control = here.counts.units.get(here.control, 0)
    fractions = [here.fraction(control + here.counts.units.get(arm, 0), arm) for arm in here.arms]
    return min(critical_value(fraction, here.alpha / 2, sides="one") for fraction in fractions)


def _arms(here: Frame) -> tuple[Arm, ...]:
    return tuple(
        Arm(
            key=variant.key,
            is_control=variant.is_control,
            strategy=variant.strategy,
            weight=variant.weight,
            units=here.counts.units.get(variant.key, 0),
            units_excluded=dict(here.counts.excluded.get(variant.key, {})),
        )
        for variant in here.experiment.variants
    )


def _exclusions(here: Frame) -> dict[str, int]:
    """Excluded units by reason, over all arms."""
    reasons = sorted({reason for arm in here.counts.excluded.values() for reason in arm})
    return {reason: sum(arm.get(reason, 0) for arm in here.counts.excluded.values()) for reason in reasons}


def _warnings(here: Frame, health: Health, answered: tuple[Answer, ...]) -> tuple[str, ...]:
    """What to know before reading the numbers; under WITHHELD nothing about a metric."""
    said = []
    if here.log.newest is not None and here.log.silent(here.needed_day) >= SILENT_DAYS:
        said.append(
            freshness.log_ends(here.log.newest, here.needed_day, as_of_the_log=here.log.ends_before(here.needed_day))
        )
    if here.inputs.phase.planned_units_assumed:
        said.append(notes.planned_units_assumed(here.inputs.phase.planned_units, here.experiment.unit_type))
    for a in answered:
        if isinstance(a.question.contrast, Contrast) and a.question.contrast.floored:
            said.append(notes.variance_floored(here.label(a.metric), a.arm, here.experiment.unit_type))
    for hold in health.holds:
        if hold.metrics is not None:
            labels = [here.label(metric) for metric in here.metrics if metric.key in hold.metrics]
            said.append(notes.partly_held(labels, sorted(hold.dimensions), hold.cause, hold.owner, hold.fix))
    holding = {hold.check for hold in health.holds}
    loud = [c for c in health.checks if (c.state == "fail" and c.id not in holding) or (c.id == "SH-14" and c.groups)]
    said += [f"{check.label}: {check.sentence}" for check in loud]
    return tuple(dict.fromkeys(said))


def _questions(here: Frame, rows: Sequence[MetricReadout]) -> dict[str, Question]:
    """The three questions: which of them cannot be answered from this experiment, and why."""
    costs = any(variant.cost_per_1000 is not None for variant in here.experiment.variants)
    return {
        "anyway": _anyway(here, rows),
        "segments": Question(answer=None, cannot=None, words=notes.SEGMENTS_IN_SLICES),
        "cost": Question(
            answer=None,
            cannot="not_computed" if costs else "no_cost_rates",
            words=notes.NOT_COMPUTED if costs else notes.NO_COST_RATES,
        ),
    }


def _anyway(here: Frame, rows: Sequence[MetricReadout]) -> Question:
    """What would have happened without recommendations: a holdout's units tell it, where they meet none.

    The answer is the share of the first success metric, with recommendations, that is there without them too.
    """
    comparator = here.experiment.analysis.comparator
    if not isinstance(here.experiment, HeldOut):
        no_arm = comparator != "none"
        said = notes.NO_HOLDOUT if no_arm else notes.NOT_COMPUTED
        return Question(answer=None, cannot="no_holdout" if no_arm else "not_computed", words=said)
    if comparator != "none":
        return Question(answer=None, cannot="other_comparator", words=notes.OTHER_COMPARATOR[comparator])
    first = next(row for row in rows if row.role == "success")
    lift = first.comparisons[0].relative
    if not isinstance(lift, Interval) or min(lift.est, lift.lo or 0, lift.hi or 0) <= -1:
        return Question(answer=None, cannot="not_determined", words=notes.anyway_unknown(first.label))
    low, high = (None if bound is None else 1 / (1 + bound) for bound in (lift.hi, lift.lo))
    answer = Interval(est=1 / (1 + lift.est), lo=low, hi=high, method=lift.method)
    return Question(answer=answer, cannot=None, words=notes.anyway(first.label, answer.est, low, high))
