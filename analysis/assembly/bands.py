"""The cumulative band: today's row as it would have read at the end of each day. DATA 5."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from analysis.assembly.frame import Frame
from analysis.assembly.rows import ESTIMATOR, Answer
from analysis.inference import decision
from analysis.inference.decision import Question
from analysis.inference.effects import absolute, fieller
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.moments import Moments
from analysis.inference.result import Bounds, Contrast, Undetermined
from analysis.readout import Series

NOBODY = Moments(0)
Point = tuple[str, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class DayReading:
    """The success metric's ranges at the end of one day; no range may be read as a test before its `gate`."""

    day: date
    absolute: Bounds | Undetermined
    relative: Bounds | Undetermined
    gate: bool

    @property
    def one_sided(self) -> bool:
        """Whether zero lies outside the range, on a day on which that may be said."""
        found = self.absolute
        if not self.gate or isinstance(found, Undetermined) or found.lo is None or found.hi is None:
            return False
        return found.lo * found.hi > 0


def series(frame: Frame, answered: Sequence[Answer]) -> Series:
    """Relative lift, cumulative to the end of each day, for the metrics whose moments are kept by day.

    Each day has that day's n and today's level; the last point is the row itself. Before the planned
    end of a fixed design, and on every day before its one look, the range is the always-valid one.
    """
    bands: dict[str, dict[str, tuple[Point, ...]]] = {}
    for a in answered:
        if _has_series(frame, a):
            bands.setdefault(a.metric.key, {})[a.arm] = tuple(_point(read) for read in _days(frame, a))
    return bands


def first_crossing(frame: Frame, a: Answer) -> date | None:
    """The first day on which the range of a success metric lay on one side of zero, as its band shows it.

    Without a band it is the last day whose outcomes count, if the row does so today. None while it never did, and
    before the one look of a fixed design.
    """
    if frame.look == "before_planned_look":
        return None
    days = _days(frame, a) if _has_series(frame, a) else iter([_today(a, frame.last_day)])
    return next((read.day for read in days if read.one_sided), None)


def _has_series(frame: Frame, a: Answer) -> bool:
    """Moments are kept by day for success metrics without an outcome window, and this one was."""
    kept = a.role == "success" and a.plan.window_days is None and a.reason is None and bool(frame.counts.daily)
    return kept and all(
        a.plan.numerator in arms.get(frame.control, NOBODY).sums for arms in frame.counts.daily.values()
    )


def _days(frame: Frame, a: Answer) -> Iterator[DayReading]:
    last = max(frame.counts.daily)
    for day, arms in sorted(frame.counts.daily.items()):
        if day == last:
            yield _today(a, day)
        else:
            control, treatment = arms.get(frame.control, NOBODY), arms.get(a.arm, NOBODY)
            contrast = ESTIMATORS[ESTIMATOR](control, treatment, a.plan)
            yield _reading(frame, a, day, contrast, control.n + treatment.n)


def _reading(frame: Frame, a: Answer, day: date, c: Contrast | Undetermined, units: int) -> DayReading:
    if isinstance(c, Undetermined):
        return DayReading(day, c, c, gate=False)
    question = Question(a.metric.key, a.arm, a.role, a.question.sign, c, frame.fraction(units, a.arm))
    k = decision.critical(question, "always_valid", a.reading.level / 2)
    return DayReading(day, absolute(c, k), fieller(c, k), decision.gated(c))


def _today(a: Answer, day: date) -> DayReading:
    return DayReading(day, a.reading.absolute, a.reading.relative, a.reading.gate)


def _point(read: DayReading) -> Point:
    lift = read.relative
    if isinstance(lift, Undetermined):
        return read.day.isoformat(), None, None, None
    return read.day.isoformat(), lift.est, lift.lo, lift.hi
