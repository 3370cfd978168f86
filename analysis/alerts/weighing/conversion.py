"""What a change of an early metric is worth in revenue, learned from past changes. ALERTS 3.

Clicks and additions to the cart tell sooner than orders, and orders sooner than revenue, but only money may wake
somebody. β, the elasticity, is the relative change of revenue for one of the metric: r_money = β·r with
s² = β²s² + r²s_β².

A conversion is stable, and may page, when all of this holds:
- 10 past changes or more: fewer say nothing of how much the elasticity differs between changes;
- the metric really moved in them, by more than chance explains: noise against noise has a slope too;
- s_β < β/4, the spread between changes in it: β is then known to ×0.5–1.5 at 95 %, which is less than the step from
  one severity to the next (at least × 2.4), so that a wrong β moves an alert by one step at most.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from scipy.special import ndtri, stdtrit

from analysis.alerts.evidence.detector import deviation
from analysis.alerts.model import METRICS, Bucket, Effect, Look, Metric
from analysis.alerts.weighing.windows import returning, together

FEWEST = 10  # past changes
MOVED = 3.0  # standard errors of "it did not move at all"
STEADY = 0.25  # s_β over β, at most
SURE = 0.975  # how certain the elasticity is where a loss is called certain


@dataclass(frozen=True, slots=True)
class Pair:
    """One past change: of a metric and of revenue, relative, each with its standard error.

    `covariance` of the two errors, and by how much it may be off to either side; 0 where they were measured on
    different units.
    """

    metric: float
    metric_se: float
    revenue: float
    revenue_se: float
    covariance: float = 0.0
    covariance_off: float = 0.0


@dataclass(frozen=True, slots=True)
class Conversion:
    """A stable one: r of the metric is β·r of revenue; `se` is that of the next change's β."""

    metric: Metric
    elasticity: float
    se: float
    changes: int  # learned from so many


@dataclass(frozen=True, slots=True)
class Unstable:
    """None that may page, and why."""

    metric: Metric
    why: str


REVENUE = Conversion("revenue", 1.0, 0.0, 0)  # it is money already


def learn(metric: Metric, pairs: Sequence[Pair]) -> Conversion | Unstable:
    """The elasticity by moments, with the errors of both sides taken out: β = Σw(xy − cov)/Σw(x² − s_x²).

    w = 1/(s_x² + s_y²). The standard error is the jackknife's over past changes, plus the spread ω of the elasticity
    between changes, by moments as well: s_β² = s_jack² + ω², widened as Student's t is for so few changes. Of the
    next change's revenue 92–96 % is then inside ±1.96 s (simulated, 12–30 past changes), fewer where the elasticity
    itself swings by half of it. Fuller (1987), Measurement Error Models, section 1.2; Efron & Tibshirani (1993),
    chapter 11. ValueError for errors not above 0.
    """
    if metric == "revenue":
        return REVENUE
    if any(not (0 < pair.metric_se < math.inf and 0 < pair.revenue_se < math.inf) for pair in pairs):
        raise ValueError("a past change without a standard error above 0; leave it out")
    if len(pairs) < FEWEST:
        return Unstable(metric, f"{len(pairs)} past changes; {FEWEST} are needed")
    parts = [_part(pair) for pair in pairs]
    tops, bottoms = math.fsum(part.top for part in parts), math.fsum(part.bottom for part in parts)
    if bottoms <= MOVED * math.sqrt(math.fsum(part.noise for part in parts)):
        return Unstable(metric, f"it moved no more than chance explains in {len(pairs)} past changes")
    elasticity = tops / bottoms
    few = -float(stdtrit(len(pairs) - 1, 1 - SURE)) / float(ndtri(SURE))
    unsure = math.fsum(_weight(pair) * pair.covariance_off for pair in pairs) / bottoms
    error = few * math.sqrt(_jackknife(parts) + _between(pairs, elasticity) / bottoms) + unsure
    if error >= STEADY * elasticity:
        return Unstable(
            metric,
            f"one percent of it was {elasticity:.2f} ± {error:.2f} percent of revenue in {len(pairs)} past changes; "
            f"± {STEADY * max(elasticity, 0.0):.2f} is allowed",
        )
    return Conversion(metric, elasticity, error, len(pairs))


def earliest(found: Iterable[Conversion | Unstable]) -> Conversion:
    """The one that tells soonest: click before add-to-cart before order; revenue itself where none is stable."""
    stable = [conversion for conversion in found if isinstance(conversion, Conversion)]
    return min((*stable, REVENUE), key=lambda conversion: METRICS.index(conversion.metric))


def in_money(effect: Effect, conversion: Conversion) -> Effect:
    """The change of revenue to expect: β·r, s² = β²s² + r²s_β². ValueError for another metric's conversion."""
    if effect.metric != conversion.metric:
        raise ValueError(f"a change of {effect.metric} and the conversion of {conversion.metric}")
    se = math.hypot(conversion.elasticity * effect.se, effect.relative * conversion.se)
    return replace(effect, relative=conversion.elasticity * effect.relative, se=se)


def upper_in_money(upper: float, conversion: Conversion) -> float:
    """An upper bound of revenue's change from one of the metric's: a loss counts by the least β there may be.

    (β − 1.96·s_β)·U for U < 0, and by the most for U > 0; its error is at most that of U plus 2.5 %.
    """
    off = float(ndtri(SURE)) * conversion.se
    return upper * (max(0.0, conversion.elasticity - off) if upper < 0 else conversion.elasticity + off)


def pair(buckets: Sequence[Bucket], metric: Metric, look: Look | None = None) -> Pair | None:
    """One past change from its buckets: the metric's from every other day, revenue's from the days between.

    Counted on the same day both would move with the same visitors, and chance would look like an elasticity. Visitors
    who come back are on both kinds of days: the variance P they bring for as long as the change lasts is that of the
    `look` (units once) less that of the buckets. P is in both errors, and their covariance is between 0 and √(P·P'):
    the middle of that, give or take. Without a look nobody is taken to come back. None where one of the two cannot be
    measured.
    """
    halves: Mapping[int, list[Bucket]] = {0: [], 1: []}
    for bucket in buckets:
        begin = bucket.end - timedelta(minutes=bucket.minutes)
        halves[begin.toordinal() % 2].append(bucket)
    if not all(halves.values()):
        return None
    early, late = deviation(together(halves[0]), metric), deviation(together(halves[1]), "revenue")
    if early is None or late is None:
        return None
    of_metric, of_revenue = (
        0.0 if look is None else found.se**2 / 2 * (returning(look, buckets, each) ** 2 - 1)  # half the days
        for found, each in ((early, metric), (late, "revenue"))
    )
    middle = math.sqrt(of_metric * of_revenue) / 2
    s_x, s_y = math.sqrt(early.se**2 + of_metric), math.sqrt(late.se**2 + of_revenue)
    return Pair(early.relative, s_x, late.relative, s_y, middle, middle)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one pair adds to Σ w·xy, Σ w·x², both without their noise, and to the variance of the latter at x = 0."""

    top: float
    bottom: float
    noise: float


def _weight(pair: Pair) -> float:
    return 1 / (pair.metric_se**2 + pair.revenue_se**2)


def _part(pair: Pair) -> _Part:
    w = _weight(pair)
    return _Part(
        w * (pair.metric * pair.revenue - pair.covariance),
        w * (pair.metric**2 - pair.metric_se**2),
        2 * w**2 * pair.metric_se**4,
    )


def _jackknife(parts: Sequence[_Part]) -> float:
    """The variance of the elasticity: of what it is without each change in turn, times (n − 1)²/n."""
    n = len(parts)
    tops, bottoms = math.fsum(part.top for part in parts), math.fsum(part.bottom for part in parts)
    without = [(tops - part.top) / (bottoms - part.bottom) for part in parts]
    mean = math.fsum(without) / n
    return (n - 1) / n * math.fsum((value - mean) ** 2 for value in without)


def _between(pairs: Sequence[Pair], elasticity: float) -> float:
    """Σ w·((y − βx)² − Var(y − βx)), which is ω²·Σ w·x² where the elasticity differs from change to change."""
    n = len(pairs)
    total = math.fsum(
        _weight(p)
        * (
            (p.revenue - elasticity * p.metric) ** 2 * n / (n - 1)
            - (p.revenue_se**2 + elasticity**2 * p.metric_se**2 - 2 * elasticity * p.covariance)
        )
        for p in pairs
    )
    return max(0.0, total)
