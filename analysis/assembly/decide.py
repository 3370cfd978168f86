"""From answers to verdicts: what the verdict function is given, and the dated events of the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from analysis import words
from analysis.assembly.bands import first_crossing
from analysis.assembly.frame import Event, Frame, sign
from analysis.assembly.horizon import days_to_clear, days_to_width
from analysis.assembly.rows import Answer
from analysis.inference.result import Contrast
from analysis.readout import ArmVerdict, Comparison, Interval, MetricReadout, Verdict
from analysis.verdict import ArmCase, Hold, Latch, Reading, arm_verdict, overall, withheld
from experiments.spec import HeldOut


@dataclass(frozen=True, slots=True)
class Decision:
    """The experiment's verdict, each arm's, and every event known after it."""

    verdict: Verdict
    verdicts: tuple[ArmVerdict, ...]
    events: tuple[Event, ...]


def withhold(frame: Frame, holds: Sequence[Hold]) -> Decision | None:
    """WITHHELD for every arm; nothing of the metrics was looked at, so there is no event either."""
    found = withheld(holds, frame.experiment.metrics.success)
    if found is None:
        return None
    verdicts = tuple(ArmVerdict(arm=arm, verdict=found.model_copy(update={"arm": arm})) for arm in frame.arms)
    return Decision(found, verdicts, frame.inputs.events)


def decide(frame: Frame, answered: Sequence[Answer], rows: Sequence[MetricReadout]) -> Decision:
    """Verdicts from the very rows the readout shows, so that a sentence's numbers are the table's."""
    events = (*frame.inputs.events, *_crossings(frame, answered))
    cases = tuple(_case(frame, arm, answered, rows, events) for arm in frame.arms)
    verdicts = tuple(arm_verdict(case, frame.run) for case in cases)
    stops = tuple(
        Event("stop", case.arm, next(r.metric for r in case.readings if r.gate and r.harmed), frame.read_day)
        for case in cases
        if case.latch is None and any(r.gate and r.harmed for r in case.readings)
    )
    shown = tuple(ArmVerdict(arm=arm, verdict=found) for arm, found in zip(frame.arms, verdicts, strict=True))
    return Decision(overall(cases, verdicts), shown, tuple(dict.fromkeys((*events, *stops))))


# --- events ----------------------------------------------------------------------------------------------


def _crossings(frame: Frame, answered: Sequence[Answer]) -> list[Event]:
    """Success metrics whose range has lain on one side of zero and of which that is not stored yet, by its first day.

    The day is the band's, not that of the first refresh after it.
    """
    known = {(e.arm, e.metric) for e in frame.inputs.events if e.kind == "first_crossing"}
    asked = [a for a in answered if a.role == "success" and (a.arm, a.metric.key) not in known]
    dated = [(a, first_crossing(frame, a)) for a in asked]
    return [Event("first_crossing", a.arm, a.metric.key, day) for a, day in dated if day is not None]


def _latch(frame: Frame, arm: str, *, harmed: bool) -> Latch | None:
    """The first stop of the arm that nobody has closed since; one of today is today's own while it is `harmed`."""
    own = [event for event in frame.inputs.events if event.arm == arm]
    closed = max((event.day for event in own if event.kind == "stop_closed"), default=date.min)
    today = frame.read_day
    standing = [e for e in own if e.kind == "stop" and closed < e.day <= today]
    open_ones = [e for e in standing if e.day < today or not harmed]
    first = min(open_ones, key=lambda e: (e.day, e.metric), default=None)
    return None if first is None else Latch(arm, first.metric, first.day)


# --- readings --------------------------------------------------------------------------------------------


def _case(
    frame: Frame, arm: str, answered: Sequence[Answer], rows: Sequence[MetricReadout], events: Sequence[Event]
) -> ArmCase:
    own = [a for a in answered if a.arm == arm and a.role != "secondary"]
    ordered = sorted(own, key=lambda a: a.role != "success")
    table = {row.key: row for row in rows}
    units = {key: frame.counts.units.get(key, 0) for key in (frame.control, arm)}
    readings = tuple(_reading(frame, a, table[a.metric.key], events) for a in ordered)
    harmed = any(r.gate and r.harmed for r in readings)
    return ArmCase(
        arm,
        min(units.values()),
        readings,
        _latch(frame, arm, harmed=harmed),
        several=len(frame.arms) > 1,
        empty=tuple(key for key, found in units.items() if found == 0),
        adds=words.ADDS[frame.experiment.analysis.comparator] if isinstance(frame.experiment, HeldOut) else None,
    )


def _reading(frame: Frame, a: Answer, row: MetricReadout, events: Sequence[Event]) -> Reading:
    comparison = next(c for c in row.comparisons if c.arm == a.arm)
    crossed = [e.day for e in events if (e.kind, e.arm, e.metric) == ("first_crossing", a.arm, a.metric.key)]
    limit = comparison.guardrail
    lift = comparison.relative if isinstance(comparison.relative, Interval) else comparison.absolute
    return Reading(
        metric=a.metric.key,
        role="guardrail" if a.role == "guardrail" else "success",
        label=row.label,
        change=_change(frame, a, row, comparison),
        status=comparison.status,
        gate=comparison.gate,
        better=a.reading.better,
        immaterial=a.reading.immaterial,
        harmed=a.reading.harmed,
        strength=sign(a.metric) * lift.est if isinstance(lift, Interval) else 0.0,
        cause=None if comparison.not_determined is None else comparison.not_determined.words,
        allowed=_allowed(frame, row),
        limit=_limit(frame, row, comparison) if isinstance(limit, Interval) else None,
        materiality=None if row.materiality is None else words.amount(float(row.materiality), unit="lift"),
        more_days=_more_days(frame, a, row, comparison),
        first_crossing=min(crossed, default=None),
    )


def _change(frame: Frame, a: Answer, row: MetricReadout, comparison: Comparison) -> words.Change | None:
    """The relative change, or the difference in the metric's unit where there is no lift or the limit is absolute."""
    if not isinstance(a.question.contrast, Contrast):
        return None
    relative = comparison.relative
    use_lift = isinstance(relative, Interval) and row.margin_abs is None
    shown = relative if use_lift else comparison.absolute
    if not isinstance(shown, Interval):
        return None
    money = comparison.money_per_day
    return words.Change(
        label=row.label,
        scale="lift" if use_lift else words.difference_unit(row.value_unit),
        change=(shown.est, shown.lo, shown.hi),
        currency=frame.inputs.currency,
        least=_least(comparison, "relative" if use_lift else "absolute"),
        money=(money.est, money.lo, money.hi) if isinstance(money, Interval) else None,
    )


def _least(comparison: Comparison, scale: str) -> float | None:
    """The harm that is certain at the level of the harm test, as a size; None while it may be none."""
    harm = comparison.harm
    if not isinstance(harm, Interval) or harm.method != scale:
        return None
    bound = harm.lo if harm.hi is None else harm.hi
    worse = bound is not None and (bound < 0 if harm.hi is not None else bound > 0)
    return abs(bound) if bound is not None and worse else None


def _allowed(frame: Frame, row: MetricReadout) -> str | None:
    if row.margin_abs is not None:
        return words.amount(
            float(row.margin_abs), unit=words.difference_unit(row.value_unit), currency=frame.inputs.currency
        )
    return None if row.margin is None else words.amount(float(row.margin), unit="lift")


def _limit(frame: Frame, row: MetricReadout, comparison: Comparison) -> words.Figures:
    """A guardrail's whole range on the scale of its margin, as its row shows it."""
    scale: words.ValueUnit = "lift" if row.margin_abs is None else words.difference_unit(row.value_unit)
    shown = comparison.relative if row.margin_abs is None else comparison.absolute
    assert isinstance(shown, Interval)
    return words.figures(shown.est, shown.lo, shown.hi, unit=scale, currency=frame.inputs.currency)


def _more_days(frame: Frame, a: Answer, row: MetricReadout, comparison: Comparison) -> int | None:
    ripe = frame.ripe_days(a.metric.mature_days)
    if a.role == "guardrail":
        return days_to_clear(a.question, frame.alpha, ripe, frame.ripe_days_left(a.metric.mature_days))
    if frame.run.finished:
        return None
    relative = comparison.relative
    if row.materiality is None or not isinstance(relative, Interval) or relative.lo is None or relative.hi is None:
        return None
    half, target = (relative.hi - relative.lo) / 2, float(Decimal(row.materiality))
    return days_to_width(a.question, a.reading.level, half, target, ripe)
