"""What every view needs of a readout."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from analysis import words
from analysis.readout import Comparison, Estimate, Interval, MetricReadout, Readout, Verdict, VerdictCode
from analysis.words import pages as say

STALE_AFTER = timedelta(days=2)  # a running experiment is refreshed daily
VERDICT_GLYPHS: Mapping[VerdictCode, str] = {
    "WITHHELD": "⊘", "STOP": "▼", "TOO_EARLY": "○", "NO_MATERIAL_EFFECT": "●", "SHIP": "▲", "HOLD": "■",
    "CANT_TELL": "~",
}  # fmt: skip


def as_it_should_be(verdict: Verdict) -> bool:
    """Whether an A/A test found nothing, neither a difference nor a guardrail beyond its limit."""
    healthy = words.verdict_name(verdict.code, verdict.sentence) == words.AS_IT_SHOULD_BE
    return healthy and all(because.rule != "guardrail_breached" for because in verdict.because)


def glyph(verdict: Verdict) -> str:
    """What stands before a verdict's name."""
    return "●" if as_it_should_be(verdict) else VERDICT_GLYPHS[verdict.code]


def primary(reading: Readout) -> MetricReadout:
    """The first success metric. The reading must carry metrics."""
    metrics = reading.metrics or ()
    return next((metric for metric in metrics if metric.role == "success"), metrics[0])


def treatments(reading: Readout) -> tuple[str, ...]:
    """The arms that are compared with control, in the definition's order."""
    return tuple(arm.key for arm in reading.arms if not arm.is_control)


def comparison_of(metric: MetricReadout, arm: str) -> Comparison:
    """The metric's comparison of one arm."""
    return next(comparison for comparison in metric.comparisons if comparison.arm == arm)


def span(estimate: Estimate, *, unit: words.ValueUnit = "lift", currency: str = "EUR") -> str:
    """The range of an estimate as printed, or `not measured yet`."""
    if not isinstance(estimate, Interval):
        return say.NOT_MEASURED
    return words.figures(estimate.est, estimate.lo, estimate.hi, unit=unit, currency=currency).span


def instant(text: str) -> datetime:
    """An ISO instant as an aware datetime in UTC."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def stale_days(reading: Readout, now: datetime) -> int | None:
    """How many days old a running experiment's data cut is; None while it is fresh or when the run is over."""
    age = now - instant(reading.as_of)
    return None if reading.mode == "finished" or age <= STALE_AFTER else age.days
