"""Has a cell changed since its last release? A Shiryaev–Roberts e-detector on six-hour buckets. ALERTS 3.

    M ← (M + 1)·exp(-λz - λ²/2) for λ in {½, 1, 2, 4}·(2 %/s), λ at most 2;  alarm when the mean of M ≥ A

z is how far the arms' difference lies from the frozen baseline, in standard errors: below 0 is a loss. Under "nothing
changed" M - (buckets so far) is a supermartingale, so a false alarm takes at least A buckets on average.
Shiryaev (1963); Roberts (1966); Shin, Ramdas & Rinaldo (2024), E-detectors, section 3.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.alerts.model import LONG, Baseline, Bucket, Cell, Detector, Evidence, Metric, Severity, Traffic

BASELINE_BUCKETS = 112  # 28 days of six hours
BUCKETS_A_QUARTER = 364  # 91 days of six hours
TARGET = 0.02  # the loss that λ is set for
MULTIPLES = (0.5, 1.0, 2.0, 4.0)  # of λ: losses of 1 %, 2 %, 4 %, 8 %
STEEPEST = 2.0  # λ at most: above it one strange bucket could ring
FLOOR = -4.0  # z at least, for the same reason
ALLOWANCE = 1 / math.sqrt(BASELINE_BUCKETS)  # the baseline's mean is an estimate, by so many standard errors
MOST_AUTOCORRELATION = 0.8
FALSE_PAGES, FALSE_TICKETS = 2.0, 6.0  # a quarter over all cells at most; docs/methods/alerts.md counts far fewer
LEAST_WEIGHT = 0.05  # a cell without money still has a bar
CEILING = 1e12  # far above any bar: a detector left ringing stays a number


@dataclass(frozen=True, slots=True)
class Deviation:
    """The relative difference of one bucket and its theoretical standard error, both of 1."""

    end: datetime
    relative: float
    se: float


@dataclass(frozen=True, slots=True)
class Bars:
    """How high a cell's detector must stand: expected buckets to a false alarm."""

    page: float
    ticket: float


def deviation(bucket: Bucket, metric: Metric, traffic: Traffic | None = None) -> Deviation | None:
    """Watched arm against the other, y per session; of a forecast, what was counted against `traffic.expected`.

    d = (Y_t/N_t)/(Y_c/N_c) - 1. Its standard error is the one under "no difference", by units, both arms pooled:
    s² = Σ(N·y - Y·n)²/(Y²·N_t·N_c), N and Y of both. So a small arm that saw nothing is not certain of it, and s does
    not move with d. None where an arm or the forecast is missing, or has nothing to divide by.
    """
    comparison = bucket.comparison
    if comparison.kind == "forecast":
        return _from_forecast(bucket, metric, traffic)
    watched, against = bucket.arms.get(comparison.watched), bucket.arms.get(comparison.against)
    if watched is None or against is None or min(watched.sessions, against.sessions) == 0:
        return None
    y_t, y_c = watched.totals.get(metric, 0), against.totals.get(metric, 0)
    n_t, n_c = watched.sessions, against.sessions
    if y_c <= 0 or y_t < 0:
        return None
    n, y = n_t + n_c, y_t + y_c
    arms = (watched, against)
    residual = (
        n * n * sum(arm.squares.get(metric, 0) for arm in arms)
        - 2 * n * y * sum(arm.products.get(metric, 0) for arm in arms)
        + y * y * sum(arm.sessions_squared for arm in arms)
    )
    if residual <= 0:
        return None
    return Deviation(bucket.end, (y_t * n_c) / (y_c * n_t) - 1, math.sqrt(residual / (y * y * n_t * n_c)))


def baseline(
    buckets: Sequence[Bucket],
    metric: Metric,
    *,
    change_at: datetime,
    reason: str,
    forecasts: Mapping[datetime, Traffic] | None = None,
) -> Baseline | None:
    """How the cell stood in the last 112 buckets up to `change_at` that say anything; None with fewer.

    `forecasts` are by the buckets' ends, for a forecast only. ValueError for buckets of two cells or two lengths, or
    the same end twice.
    """
    _one_cell(buckets)
    forecasts = forecasts or {}
    known = (deviation(bucket, metric, forecasts.get(bucket.end)) for bucket in buckets if bucket.end <= change_at)
    return stood(sorted((d for d in known if d), key=lambda d: d.end), change_at=change_at, reason=reason)


def stood(deviations: Sequence[Deviation], *, change_at: datetime, reason: str) -> Baseline | None:
    """The baseline of the last 112 deviations, in order of time; None with fewer.

    d̄ by precision; c² = max(1, mean((d - d̄)/s)²)·(1 + r₁)/(1 - r₁), r₁ of buckets that adjoin, clipped to [0, 0.8].
    """
    last = deviations[-BASELINE_BUCKETS:]
    if len(last) < BASELINE_BUCKETS:
        return None
    weights = [d.se**-2 for d in last]
    own = math.fsum(w * d.relative for w, d in zip(weights, last, strict=True)) / math.fsum(weights)
    scores = [(d.relative - own) / d.se for d in last]
    spread = math.fsum(u * u for u in scores) / len(scores)
    step = timedelta(minutes=LONG)
    lagged = [scores[i] * scores[i + 1] for i in range(len(last) - 1) if last[i + 1].end - last[i].end == step]
    r = math.fsum(lagged) / len(lagged) / spread if lagged and spread > 0 else 0.0
    r = min(max(r, 0.0), MOST_AUTOCORRELATION)
    factor = math.sqrt(max(1.0, spread) * (1 + r) / (1 - r))
    return Baseline(change_at, reason, own, factor, r, len(last))


def z(bucket: Bucket, metric: Metric, baseline: Baseline, traffic: Traffic | None = None) -> float | None:
    """How many standard errors the bucket is off the baseline, loss below 0, at least -4; None without data."""
    found = deviation(bucket, metric, traffic)
    return None if found is None else score(found, baseline)


def score(found: Deviation, baseline: Baseline, share: float = 1.0) -> float:
    """max(-4, (d - d̄)/(c·s) + √(share/112)), `share` of six hours: the baseline's error is in its own bucket's s."""
    off = (found.relative - baseline.mean) / (baseline.factor * found.se)
    return max(FLOOR, off + ALLOWANCE * math.sqrt(share))


def step(
    detector: Detector | None, baseline: Baseline, bucket: Bucket, metric: Metric, traffic: Traffic | None = None
) -> Detector:
    """The detector after one more bucket; None starts it at 0. A bucket that says nothing leaves it as it was.

    ValueError for a bucket that is not six hours, that the baseline already holds, or not after the last one.
    """
    if bucket.minutes != LONG:
        raise ValueError(f"a bucket of {bucket.minutes} minutes; a detector takes those of {LONG}")
    since = baseline.change_at if detector is None else max(detector.end, baseline.change_at)
    if bucket.end <= since:
        raise ValueError(
            f"the bucket ends {bucket.end:%Y-%m-%d %H:%M}, not after {since:%Y-%m-%d %H:%M}; give later ones"
        )
    found = deviation(bucket, metric, traffic)
    if found is None:
        return Detector((reset(bucket.end) if detector is None else detector).values, bucket.end)
    return advance(detector, baseline, found)


def peek(
    detector: Detector | None, baseline: Baseline, part: Bucket, metric: Metric, traffic: Traffic | None = None
) -> Detector:
    """The detector between two buckets: `part` is what was counted since the last one ended, at most six hours.

    Not to be stored: when the six hours are over, `step` starts from `detector` again. A loss by a fixed δ in s gives
    the exponent -δ(d - d̄)/s² - δ²/(2s²), whose exponential is a martingale in time and not only at bucket ends, so it
    may be read at any moment; M grows by the share of six hours instead of 1. ValueError for a longer part.
    """
    share = part.minutes / LONG
    if not 0 < share <= 1:
        raise ValueError(f"a part of {part.minutes} minutes; it is at most {LONG}, what follows the last bucket")
    found = deviation(part, metric, traffic)
    if found is None:
        return Detector((reset(part.end) if detector is None else detector).values, part.end)
    return advance(detector, baseline, found, share)


def advance(detector: Detector | None, baseline: Baseline, found: Deviation, share: float = 1.0) -> Detector:
    """The detector after one more deviation, of a `share` of six hours."""
    values = (reset(found.end) if detector is None else detector).values
    off = score(found, baseline, share)
    grown = []
    for value, multiple in zip(values, MULTIPLES, strict=True):
        rate = min(STEEPEST * math.sqrt(share), multiple * TARGET / found.se)
        grown.append(min(CEILING, (value + share) * math.exp(-rate * off - rate * rate / 2)))
    return Detector(tuple(grown), found.end)


def reset(end: datetime) -> Detector:
    """A detector that has seen nothing: at its start, and after an incident was resolved."""
    return Detector((0.0,) * len(MULTIPLES), end)


def mean(detector: Detector | None) -> float:
    """What is held against the bar; 0 before the first bucket."""
    return 0.0 if detector is None else math.fsum(detector.values) / len(detector.values)


def bars(stakes: Mapping[Cell, float], *, paging: int = 0, watching: int = 0) -> Mapping[Cell, Bars]:
    """A = buckets a quarter · K/(F·w): much money a low bar, little a high one, F false alarms over all K cells.

    `stakes` are money a day, of every cell that is watched; w = K·S/ΣS, at least 0.05. A stake below 0 counts as 0.
    `watching` detectors on these cells, of which `paging` may page, share the false alarms: where that is more than one
    a cell, bars are as many times as high.
    """
    positive = {cell: max(0.0, stake) for cell, stake in stakes.items()}
    total, cells = math.fsum(positive.values()), len(positive)
    page_share, ticket_share = (max(1.0, detectors / max(1, cells)) for detectors in (paging, watching))
    found = {}
    for cell, stake in positive.items():
        weight = max(LEAST_WEIGHT, cells * stake / total if total > 0 else 0.0)
        page = BUCKETS_A_QUARTER * cells / (FALSE_PAGES * weight)
        found[cell] = Bars(page * page_share, page * FALSE_PAGES / FALSE_TICKETS * ticket_share)
    return found


def by_detector(detector: Detector | None, bars: Bars, *, replayed: bool) -> Evidence:
    """What a launch's detector may wake: a page at the page's bar, and only after an A/A replay; else a ticket.

    None is a detector that has no baseline yet: nothing is read.
    """
    if replayed and detector is not None and mean(detector) >= bars.page:
        return Evidence("detector", mean(detector), bars.page, "page_fast")
    return Evidence("detector", mean(detector), bars.ticket, "ticket", _waits(detector))


def by_forecast(detector: Detector | None, bars: Bars, ended: tuple[str, ...] = ()) -> Evidence:
    """What a forecast's detector may wake: a ticket at most, for what the seasons do not explain has many causes.

    Nobody where experiments `ended` there lately: that their arms are gone is a cause that is known, and no loss.
    """
    most: Severity = "watch" if ended else "ticket"
    return Evidence("forecast", mean(detector), bars.ticket, most, _waits(detector), ended)


def _waits(detector: Detector | None) -> str:
    return "" if detector else f"a baseline of {BASELINE_BUCKETS} six-hour buckets before the last change"


def _from_forecast(bucket: Bucket, metric: Metric, traffic: Traffic | None) -> Deviation | None:
    arm = bucket.arms.get(bucket.comparison.watched)
    if arm is None or traffic is None:
        return None
    expected, se = traffic.expected.get(metric, 0.0), traffic.expected_se.get(metric, 0.0)
    if expected <= 0 or se <= 0:
        return None
    return Deviation(bucket.end, arm.totals.get(metric, 0) / expected - 1, se / expected)


def _one_cell(buckets: Sequence[Bucket]) -> None:
    if len({(bucket.comparison, bucket.cell) for bucket in buckets}) > 1:
        raise ValueError("buckets of more than one cell or comparison; a baseline is of one")
    if any(bucket.minutes != LONG for bucket in buckets):
        raise ValueError(f"buckets that are not of {LONG} minutes; a baseline is of those")
    if len({bucket.end for bucket in buckets}) != len(buckets):
        raise ValueError("two buckets end at the same time; give the newest revision of each")
