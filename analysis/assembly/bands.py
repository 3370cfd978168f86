"""The cumulative band: today's row as it would have read at the end of each day. DATA 5."""

from collections.abc import Sequence

from analysis.assembly.frame import Frame
from analysis.assembly.rows import ESTIMATOR, Answer
from analysis.inference import decision
from analysis.inference.decision import Question
from analysis.inference.effects import fieller
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.moments import Moments
from analysis.inference.result import Bounds, Contrast, Undetermined
from analysis.readout import Series

Point = tuple[str, float | None, float | None, float | None]


def series(frame: Frame, answered: Sequence[Answer]) -> Series:
    """Relative lift, cumulative to the end of each day, for the metrics whose moments are kept by day.

    Each day has that day's n and today's level; the last point is the row itself. Before the planned
    end of a fixed design, and on every day before its one look, the range is the always-valid one.
    """
    bands: dict[str, dict[str, tuple[Point, ...]]] = {}
    for a in answered:
        if a.role == "success" and a.plan.window_days is None and a.reason is None and frame.counts.daily:
            bands.setdefault(a.metric.key, {})[a.arm] = _band(frame, a)
    return bands


def _band(frame: Frame, a: Answer) -> tuple[Point, ...]:
    points: list[Point] = []
    for day, arms in sorted(frame.counts.daily.items()):
        control, treatment = arms.get(frame.control, Moments(0)), arms.get(a.arm, Moments(0))
        if a.plan.numerator not in control.sums:
            return ()
        contrast = ESTIMATORS[ESTIMATOR](control, treatment, a.plan)
        points.append(_point(day.isoformat(), _lift(frame, a, contrast, control.n + treatment.n)))
    return (*points[:-1], _point(points[-1][0], a.reading.relative))


def _lift(frame: Frame, a: Answer, contrast: Contrast | Undetermined, units: int) -> Bounds | Undetermined:
    if isinstance(contrast, Undetermined):
        return contrast
    question = Question(a.metric.key, a.arm, a.role, a.question.sign, contrast, frame.fraction(units, a.arm))
    return fieller(contrast, decision.critical(question, "always_valid", a.reading.level / 2))


def _point(day: str, lift: Bounds | Undetermined) -> Point:
    if isinstance(lift, Undetermined):
        return day, None, None, None
    return day, lift.est, lift.lo, lift.hi
