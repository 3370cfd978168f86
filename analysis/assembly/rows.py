"""Metrics in the readout: every comparison of every metric, from contrasts to printed rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from analysis.assembly.frame import Frame, is_money_per_unit, sign
from analysis.calendar import business_day, day_start
from analysis.inference import decision
from analysis.inference.decision import Question
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import MetricPlan, value
from analysis.inference.result import Bounds, Contrast, Undetermined
from analysis.readout import (
    Adjustment,
    ArmValue,
    Comparison,
    Estimate,
    Interval,
    MetricReadout,
    NotDetermined,
    Reason,
)
from analysis.verdict import Hold
from analysis.words import freshness, notes
from experiments.errors import ReadoutError
from experiments.spec import SEEN_BEFORE, Metric

ESTIMATOR = "lin"
HIDDEN = ("held_by_check", "unripe")  # reasons for which not even the counted mean is shown
MONEY_BASIS = "the run's own days at 100 % of traffic"


@dataclass(frozen=True, slots=True)
class Answer:
    """One metric in one treatment arm: what was asked, what was answered, and why not, where not."""

    metric: Metric
    role: Literal["success", "guardrail", "secondary"]
    arm: str
    plan: MetricPlan
    question: Question
    reading: decision.Reading
    reason: Reason | None  # the metric has no number, for this reason
    scale: float  # how many of the contrast's own unit make one of the metric's: 100 for cents of a mean in euro


def answers(frame: Frame, holds: Sequence[Hold]) -> tuple[Answer, ...]:
    """Every metric in every treatment arm, read together, in the definition's order."""
    held = {key: hold for hold in holds for key in hold.metrics or ()}
    asked = [(metric, arm, _question(frame, metric, arm)) for metric in frame.metrics for arm in frame.arms]
    reasons = {
        (metric.key, arm): _held(held[metric.key]) if metric.key in held else _unripe(frame, metric)
        for metric, arm, _ in asked
    }
    readable = [_without(question, reasons[question.metric, question.arm]) for _, _, question in asked]
    readings = decision.read(readable, alpha=frame.alpha, look=frame.look)
    return tuple(
        Answer(
            metric,
            frame.experiment.metrics.role(metric.key),
            arm,
            frame.plan(metric),
            question,
            readings[metric.key, arm],
            reasons[metric.key, arm] or _reason(frame, metric, arm, readings[metric.key, arm].not_determined),
            float(metric.scale(frame.inputs.digits)),
        )
        for (metric, arm, _), question in zip(asked, readable, strict=True)
    )


def _question(frame: Frame, metric: Metric, arm: str) -> Question:
    plan, role = frame.plan(metric), frame.experiment.metrics.role(metric.key)
    control, treatment = frame.overall(frame.control, plan.window_days), frame.overall(arm, plan.window_days)
    margin, margin_abs = margins(frame, metric) if role == "guardrail" else (None, None)
    material = materiality(frame, metric)
    return Question(
        metric=metric.key,
        arm=arm,
        role=role,
        sign=sign(metric),
        contrast=ESTIMATORS[ESTIMATOR](control, treatment, plan),
        fraction=frame.fraction(control.n + treatment.n, arm),
        margin=None if margin is None else float(margin),
        margin_abs=None if margin_abs is None else float(margin_abs) * float(metric.scale(frame.inputs.digits)),
        materiality=None if material is None else float(material),
    )


def _without(question: Question, reason: Reason | None) -> Question:
    """A metric that is held or unripe is asked without its data, so that no test can see them."""
    if reason is None:
        return question
    return Question(
        question.metric,
        question.arm,
        question.role,
        question.sign,
        Undetermined(reason.code, reason.words),
        question.fraction,
        question.margin,
        question.margin_abs,
        question.materiality,
    )


def _held(hold: Hold) -> Reason:
    return Reason(code="held_by_check", words=f"{hold.cause} ({hold.check})")


def _reason(frame: Frame, metric: Metric, arm: str, found: Undetermined | None) -> Reason | None:
    """Why the metric has no number; where something was never logged, what that is."""
    if found is None:
        return None
    plan, both = frame.plan(metric), (frame.control, arm)
    if found.code == "zero_denominator" and plan.denominator is not None and metric.denominator is not None:
        without = _without_any(frame, plan, plan.denominator, both)
        arms = () if len(without) == len(both) else without
        said = notes.not_logged(metric.denominator.source, metric.denominator.columns(), arms)
        return Reason(code=found.code, words=said)
    nothing = found.code == "no_variation" and _without_any(frame, plan, plan.numerator, both) == both
    if nothing and len(metric.numerator.where) <= 1:  # of several conditions none can be blamed
        return Reason(code=found.code, words=notes.not_logged(metric.numerator.source, metric.numerator.columns()))
    return Reason(code=found.code, words=found.words)


def _without_any(frame: Frame, plan: MetricPlan, fact: str, arms: Sequence[str]) -> tuple[str, ...]:
    """The arms in which a fact is zero over all units."""
    return tuple(arm for arm in arms if frame.overall(arm, plan.window_days).sums.get(fact, 0) == 0)


def _unripe(frame: Frame, metric: Metric) -> Reason | None:
    """Nothing is old enough yet: the first order lines, or the first units' windows."""
    window = frame.plan(metric).window_days
    started = frame.inputs.phase.started_at
    if window is not None and frame.overall(frame.control, window).n == 0 and sum(frame.counts.units.values()) > 0:
        return _ripe_on(frame, started + timedelta(days=window))
    if metric.mature_days and frame.ripe_before(metric.mature_days) <= frame.started_on:
        return _ripe_on(frame, started + timedelta(days=metric.mature_days))
    return None


def _ripe_on(frame: Frame, first: datetime) -> Reason:
    day = business_day(first, ZoneInfo(frame.inputs.time_zone)) + timedelta(days=1)
    if frame.log.newest is not None and day <= frame.read_day:
        return Reason(code="unripe", words=freshness.unripe(day, frame.log.newest))
    return Reason(code="unripe", words=notes.unripe(day))


def margins(frame: Frame, metric: Metric) -> tuple[Decimal | None, Decimal | None]:
    """A guardrail's margin, relative or absolute: the definition's, else the metric's own; never both."""
    relative, absolute = frame.experiment.metrics.margins(metric)
    if relative is None and absolute is None:
        raise ReadoutError(
            f"{frame.experiment.key}: guardrail {metric.key} has no margin; give margin or margin_abs in the definition"
        )
    return relative, absolute


def materiality(frame: Frame, metric: Metric) -> Decimal | None:
    """From which relative change on the metric matters: the definition's, else the metric's own."""
    return frame.experiment.analysis.material(metric)


# --- rows ------------------------------------------------------------------------------------------------


def metric_readouts(frame: Frame, answered: Sequence[Answer]) -> tuple[MetricReadout, ...]:
    """One row a metric, with a comparison a treatment arm."""
    names = covariate_names(frame)
    return tuple(
        _metric(frame, metric, [a for a in answered if a.metric.key == metric.key], names) for metric in frame.metrics
    )


def _metric(frame: Frame, metric: Metric, own: Sequence[Answer], names: Mapping[str, str]) -> MetricReadout:
    role = frame.experiment.metrics.role(metric.key)
    margin, margin_abs = margins(frame, metric) if role == "guardrail" else (None, None)
    material = materiality(frame, metric)
    ripe = day_start(frame.ripe_before(metric.mature_days), ZoneInfo(frame.inputs.time_zone))
    return MetricReadout(
        key=metric.key,
        label=frame.label(metric),
        role=role,
        kind=metric.kind,
        value_unit=metric.value_unit,
        direction=metric.direction,
        additive=metric.additive and metric.kind == "mean",
        registered=metric.key not in frame.inputs.exploratory,
        window_days=own[0].plan.window_days,
        mature_days=metric.mature_days,
        mature_until=instant(ripe.replace(tzinfo=None)) if metric.mature_days else None,
        margin=None if margin is None else str(margin),
        margin_abs=None if margin_abs is None else str(margin_abs),
        materiality=None if material is None else str(material),
        comparisons=tuple(_comparison(frame, answer, names) for answer in own),
    )


def _comparison(frame: Frame, a: Answer, names: Mapping[str, str]) -> Comparison:
    r, c = a.reading, a.question.contrast
    determined = isinstance(c, Contrast)
    relative = estimate(r.relative, a, 1.0, "fieller")
    return Comparison(
        arm=a.arm,
        against=frame.control,
        control=_arm_value(frame, a, frame.control),
        treatment=_arm_value(frame, a, a.arm),
        absolute=estimate(r.absolute, a, a.scale),
        relative=relative,
        se=c.se / a.scale if isinstance(c, Contrast) else None,
        guardrail=None if r.guardrail is None else estimate(r.guardrail, a, *_limit_scale(a)),
        harm=_harm(a),
        money_per_day=_money(frame, a) if is_money_per_unit(a.metric) else None,
        p_always_valid=r.p_always_valid,
        p_fixed=r.p_fixed,
        adjustment=_adjustment(frame, a, c, names) if isinstance(c, Contrast) and c.covariates else None,
        floored=isinstance(c, Contrast) and c.floored,
        gate=r.gate,
        status=r.status if determined else "not_clear",
        not_determined=a.reason,
    )


def estimate(found: Bounds | Undetermined, a: Answer, scale: float, method: str | None = None) -> Estimate:
    """Bounds in the contrast's unit as an estimate in the metric's; the reason where there are none."""
    if isinstance(found, Undetermined):
        return NotDetermined(not_determined=a.reason or Reason(code=found.code, words=found.words))
    lo = None if found.lo is None else found.lo / scale
    hi = None if found.hi is None else found.hi / scale
    return Interval(est=found.est / scale, lo=lo, hi=hi, method=method)


def _limit_scale(a: Answer) -> tuple[float, str]:
    return (1.0, "relative") if a.question.margin_abs is None else (a.scale, "absolute")


def _harm(a: Answer) -> Estimate | None:
    """The bound of the harm test: on the lift, or on the difference where the margin or the lift asks for it."""
    r = a.reading
    if r.harm_absolute is None or r.harm_relative is None:
        return None
    if a.question.margin_abs is None and isinstance(r.harm_relative, Bounds):
        return estimate(r.harm_relative, a, 1.0, "relative")
    return estimate(r.harm_absolute, a, a.scale, "absolute")


def _arm_value(frame: Frame, a: Answer, arm: str) -> ArmValue:
    moments, c = frame.overall(arm, a.plan.window_days), a.question.contrast
    if isinstance(c, Contrast):
        mean, nonzero = (c.mean_c, c.nonzero_c) if arm == frame.control else (c.mean_t, c.nonzero_t)
        raw = c.raw_c if arm == frame.control else c.raw_t
        return ArmValue(mean=mean / a.scale, raw=raw / a.scale, n=moments.n, nonzero=nonzero)
    if moments.n == 0 or (a.reason is not None and a.reason.code in HIDDEN):
        return ArmValue(mean=None, raw=None, n=moments.n, nonzero=None)
    found = value(moments, a.plan)
    raw_value = None if isinstance(found, Undetermined) else found / a.scale
    return ArmValue(mean=None, raw=raw_value, n=moments.n, nonzero=moments.nonzero[a.plan.gate_fact])


def _money(frame: Frame, a: Answer) -> Estimate:
    """Δ·n/(D·f), f = 1 where the split is made elsewhere: what the run's own days gained, at 100 % (STATISTICS 9).

    D are the days whose rows have ripened: the others are in n's days, not in Δ.
    """
    days = frame.data_days(a.metric.mature_days)
    if days < 1:
        return NotDetermined(not_determined=a.reason or Reason(code="no_days", words="no day has data"))
    units = sum(frame.counts.units.values())
    found = estimate(a.reading.absolute, a, a.scale * days / units if units else 1.0)
    return found if isinstance(found, NotDetermined) else found.model_copy(update={"basis": MONEY_BASIS})


def _adjustment(frame: Frame, a: Answer, c: Contrast, names: Mapping[str, str]) -> Adjustment:
    reduction, days = c.variance_reduction, frame.ripe_days(a.metric.mature_days)
    saved = round(days * (1 / (1 - reduction) - 1)) if reduction < 1 else 0
    return Adjustment(
        covariates=tuple(names.get(key, key) for key in c.covariates),
        slopes="by_arm",
        variance_reduction=reduction,
        days_saved=max(0, saved),
        words=notes.adjusted(reduction, max(0, saved), frame.experiment.unit_type),
    )


def covariate_names(frame: Frame) -> dict[str, str]:
    """Readable names of the pre-period facts: 'pre:revenue_per_unit', 'pre:aov/denominator', 'seen_before'."""
    names = {SEEN_BEFORE: SEEN_BEFORE}
    for metric in frame.inputs.catalogue.values():
        for fact, part in zip(metric.facts(frame.experiment.analysis.outcome_days), ("", "/denominator"), strict=False):
            names.setdefault(fact.pre_key, f"pre:{metric.key}{part}")
    return names


def instant(naive: datetime) -> str:
    """A naive UTC instant as ISO 8601 with Z."""
    return f"{naive.isoformat(timespec='seconds')}Z"
