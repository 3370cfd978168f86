"""Reasons and rows in words: the terminal, the HTML file and the app print the same ones."""

from analysis import words
from analysis.drawing import LOOKS
from analysis.readout import ArmValue, Comparison, Estimate, Interval, MetricReadout, Readout, Verdict

NOT_DETERMINED = "not determined"


def reasons(verdict: Verdict) -> tuple[str, ...]:
    """Why this verdict, a sentence each, without what its own sentence already says."""
    said = verdict.sentence.lower()
    given = dict.fromkeys(because.words.rstrip(".") for because in verdict.because)
    return tuple(f"{words.sentence_case(reason)}." for reason in given if reason.lower() not in said)


def mean(metric: MetricReadout, value: ArmValue, currency: str) -> str:
    """An arm's mean in the metric's unit; empty where there is none."""
    return "" if value.mean is None else words.amount(value.mean, unit=metric.value_unit, currency=currency)


def change(estimate: Estimate | None, unit: words.ValueUnit, currency: str) -> str:
    """'+7.1% (+2.4% to +11.8%)', or why there is none; empty where it was not asked for."""
    if estimate is None:
        return ""
    if not isinstance(estimate, Interval):
        return estimate.not_determined.words
    found = words.figures(estimate.est, estimate.lo, estimate.hi, unit=unit, currency=currency)
    return f"{found.est} ({found.span})"


def also(estimate: Estimate | None, unit: words.ValueUnit, currency: str) -> str:
    """The same, beside a change that already said why there is none."""
    return change(estimate, unit, currency) if isinstance(estimate, Interval) else ""


def reading(metric: MetricReadout, comparison: Comparison, currency: str) -> str:
    """'▲ Better'; a guardrail with its limit and the bound held against it; that nothing could be measured."""
    if comparison.not_determined is not None:
        return NOT_DETERMINED
    look, limit = LOOKS[comparison.status], _limit(metric, comparison, currency)
    return f"{look.glyph} {look.word} ({limit})" if limit else f"{look.glyph} {look.word}"


def judges_limits(readout: Readout) -> bool:
    """Whether a guardrail's bound is printed somewhere, so that it has to be told from its range."""
    return any(isinstance(c.guardrail, Interval) for metric in readout.metrics or () for c in metric.comparisons)


def _limit(metric: MetricReadout, comparison: Comparison, currency: str) -> str:
    """'at most +1.00%, limit 10%'; empty for a metric without a limit."""
    unit: words.ValueUnit = "lift" if metric.margin_abs is None else words.difference_unit(metric.value_unit)
    margin, bound = metric.margin_abs or metric.margin, comparison.guardrail
    if margin is None:
        return ""
    limit = f"limit {words.amount(float(margin), unit=unit, currency=currency)}"
    if not isinstance(bound, Interval):
        return limit
    return f"{words.figures(bound.est, bound.lo, bound.hi, unit=unit, currency=currency).span}, {limit}"


def arm_columns(readout: Readout) -> tuple[str, str]:
    """What the two arms of a comparison are called over its numbers: control and treatment, or holdout and rest."""
    return ("holdout", "rest") if readout.experiment.assignment == "holdout" else ("control", "treatment")
