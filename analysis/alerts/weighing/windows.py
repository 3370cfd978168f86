"""From buckets to the relative change in a window, with its standard error. ALERTS 1–3.

Windows of six hours and more are made of the buckets of six hours, shorter ones of those of a quarter of an hour, and
so are the last six hours between two ends of the former. Sums of buckets are whole numbers; what is made of them is
what the detector makes of one bucket.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from analysis.alerts.evidence.detector import deviation
from analysis.alerts.model import LONG, METRICS, SHORT, Arm, Baseline, Bucket, Effect, Look, Metric, Sums, Traffic

HOURS: Mapping[str, float] = {"15m": 0.25, "1h": 1.0, "6h": 6.0, "1d": 24.0, "3d": 72.0, "7d": 168.0}


def effect(
    buckets: Sequence[Bucket], metric: Metric, *, hours: float, at: datetime, factor: float = 1.0
) -> Effect | None:
    """The watched arm's y/n over the other's, minus 1, in the whole buckets that end in (at − hours, at].

    y is what was done, n sessions. The standard error is the delta method's under "no difference", with a unit's
    sessions in a bucket taken together, times `factor` for units that come back in another bucket (c of the baseline,
    or `returning`). None where an arm has no session or the other one did nothing: there is no ratio then. ValueError
    for buckets of two cells, or two that end at once. Deng, Knoblich & Lu (2018), section 3.
    """
    inside = within(buckets, hours=hours, at=at)
    found = deviation(together(inside, (metric,)), metric) if inside else None
    return None if found is None else Effect(metric, hours, found.relative, found.se * factor)


def against_expected(
    buckets: Sequence[Bucket],
    expected: Iterable[Traffic],
    metric: Metric,
    *,
    hours: float,
    at: datetime,
    factor: float = 1.0,
) -> Effect | None:
    """What was done in a window over what the seasons led to expect, minus 1: of a forecast, which has one arm.

    Each of `expected` holds the six hours before its time; buckets without one are left out. Forecasts of neighbours
    are wrong together, so their errors add up as if they were one; times `factor` (c of the baseline). None where
    nothing was expected, and for windows shorter than six hours.
    """
    if hours * 60 < LONG:
        return None
    forecasts = {traffic.at: traffic for traffic in expected}
    inside = [bucket for bucket in within(buckets, hours=hours, at=at) if bucket.end in forecasts]
    if not inside:
        return None
    known = [forecasts[bucket.end] for bucket in inside]
    summed = replace(
        known[-1],
        expected={metric: math.fsum(traffic.expected.get(metric, 0.0) for traffic in known)},
        expected_se={metric: math.fsum(traffic.expected_se.get(metric, 0.0) for traffic in known)},
    )
    found = deviation(together(inside, (metric,)), metric, summed)
    return None if found is None else Effect(metric, hours, found.relative, found.se * factor)


def since(found: Effect, baseline: Baseline) -> Effect:
    """The change since the baseline: (1 + d)/(1 + d̄) − 1, with the error of d̄ in it.

    s² + s²·(hours/6)/buckets, as if all buckets had the same traffic. ValueError where nothing was left of the watched
    arm in the baseline (d̄ ≤ −1): nothing can be lost against that.
    """
    whole = 1 + baseline.mean
    if whole <= 0:
        raise ValueError(f"the baseline's mean change is {baseline.mean}; a change from it needs more than −1")
    share = found.hours * 60 / LONG / baseline.buckets
    return replace(found, relative=(found.relative - baseline.mean) / whole, se=found.se * math.sqrt(1 + share) / whole)


def returning(look: Look, buckets: Sequence[Bucket], metric: Metric) -> float:
    """How much wider the truth is than buckets that take a unit for a new one when it comes back; at least 1.

    √ of the variance for each thing done with a unit once (the look, since the phase began) over that with a unit
    once a bucket: for an experiment, which has no baseline to measure it by. The look is the longer and its units
    differ in sessions too, so it is rather too wide. 1 where nothing was done.
    """
    arms = (look.comparison.watched, look.comparison.against)
    counted = [total for arm in arms if (total := _added(buckets, arm, (metric,))).sessions > 0]
    once = [look.arms[arm] for arm in arms if arm in look.arms and look.arms[arm].units > 0]
    in_buckets = sum(total.totals[metric] for total in counted)
    in_look = sum(arm.totals.get(metric, 0) for arm in once)
    if in_buckets <= 0 or in_look <= 0:
        return 1.0
    residual = math.fsum(_residual(total, metric) for total in counted) / in_buckets
    centred = math.fsum(arm.squares.get(metric, 0) - arm.totals.get(metric, 0) ** 2 / arm.units for arm in once)
    return math.sqrt(max(1.0, centred / in_look / residual)) if residual > 0 else 1.0


def within(buckets: Sequence[Bucket], *, hours: float, at: datetime) -> list[Bucket]:
    """The buckets of the window's own length that end in (at − hours, at].

    Of the last six hours the 24 quarters of an hour, where all are there and no six hours end at `at`: else a loss
    would have its price only when a bucket of its own is over, up to twelve hours after it began.
    """
    inside = [bucket for bucket in buckets if at - timedelta(hours=hours) < bucket.end <= at]
    long, short = ([bucket for bucket in inside if bucket.minutes == minutes] for minutes in (LONG, SHORT))
    if hours * 60 % LONG != 0:
        return short
    between = hours * 60 == LONG and len(short) == LONG // SHORT and all(bucket.end != at for bucket in long)
    return short if between else long


def together(buckets: Sequence[Bucket], metrics: Sequence[Metric] = METRICS) -> Bucket:
    """Buckets of one cell as one, with a unit counted once in each, and only `metrics`.

    ValueError for two cells or two equal ends.
    """
    if len({(bucket.comparison, bucket.cell) for bucket in buckets}) != 1:
        raise ValueError("buckets of no cell, or of more than one cell or comparison, in one window; give those of one")
    if len({bucket.end for bucket in buckets}) != len(buckets):
        raise ValueError("two buckets end at the same time; give the newest revision of each")
    last = max(buckets, key=lambda bucket: bucket.end)
    arms = sorted({arm for bucket in buckets for arm in bucket.arms})
    minutes = sum(bucket.minutes for bucket in buckets)
    return replace(last, minutes=minutes, arms={arm: _added(buckets, arm, metrics) for arm in arms})


def _added(buckets: Iterable[Bucket], arm: Arm, metrics: Sequence[Metric]) -> Sums:
    parts = [bucket.arms[arm] for bucket in buckets if arm in bucket.arms]
    return Sums(
        units=sum(part.units for part in parts),
        sessions=sum(part.sessions for part in parts),
        sessions_squared=sum(part.sessions_squared for part in parts),
        totals={metric: sum(part.totals.get(metric, 0) for part in parts) for metric in metrics},
        squares={metric: sum(part.squares.get(metric, 0) for part in parts) for metric in metrics},
        products={metric: sum(part.products.get(metric, 0) for part in parts) for metric in metrics},
        margin=sum(part.margin for part in parts),
    )


def _residual(total: Sums, metric: Metric) -> float:
    """Σ (y − R·n)² over units, R = Σy/Σn."""
    y, n = total.totals[metric], total.sessions
    numerator = total.squares[metric] * n * n - 2 * y * n * total.products[metric] + y * y * total.sessions_squared
    return numerator / (n * n)
