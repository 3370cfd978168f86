"""Inference against its peers and the limit, in one run: `python -m benchmarks.inference [--units 100000]`.

Ten metrics with CUPED, two arms, everything from one table of unit totals in memory. Best CPU seconds of all
repeats; only the ratios mean anything on another machine. Peers get what they ask for: tea-tasting one experiment
of ten metrics, statsmodels ten interacted regressions with robust errors. Also: 10 metrics × 65 slices from
moments, beside one numpy einsum of those moments.
"""

import argparse
from collections.abc import Mapping
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import statsmodels.api as sm
import tea_tasting as tt
from numpy.typing import NDArray

from analysis.inference.decision import Question, Reading, read
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments, pair
from analysis.inference.result import Contrast, Undetermined
from benchmarks.timing import cpu

METRICS, SLICES = 10, 65
SEEN = "seen"
COLUMNS = (*(f"y{i}" for i in range(METRICS)), *(f"x{i}" for i in range(METRICS)), SEEN)
PLANS = tuple(MetricPlan(f"m{i}", "mean", f"y{i}", None, (f"x{i}", SEEN), None) for i in range(METRICS))
ONE_COVARIATE = tuple(MetricPlan(f"m{i}", "mean", f"y{i}", None, (f"x{i}",), None) for i in range(METRICS))
Floats = NDArray[np.float64]


def units(count: int) -> Floats:
    """Whole-number unit totals as float64, shape (count, 21): post, pre, seen before; heavy tails, half zeros."""
    rng = np.random.default_rng(0)
    rate = (rng.random((count, 1)) < 0.5) * rng.gamma(1.5, 1.0, (count, 1))
    both = rng.poisson(np.repeat(rate, 2 * METRICS, axis=1)) * np.rint(100 * np.exp(rng.standard_normal((count, 20))))
    seen = (both[:, METRICS:].sum(axis=1, keepdims=True) > 0).astype(np.float64)
    return np.hstack([both, seen])


def moments_of(z: Floats) -> Moments:
    """Exact moments by one matrix product: whole numbers whose sums stay below 2^53 lose nothing in float64."""
    squares = z.T @ z
    if squares.max() >= 2**53:
        raise ValueError("unit totals too large for float64 to sum exactly; take fewer units")
    return _moments(len(z), z.sum(axis=0), squares, (z != 0).sum(axis=0))


def _moments(n: int, sums: Floats, squares: Floats, nonzero: NDArray[np.int64]) -> Moments:
    place = {name: i for i, name in enumerate(COLUMNS)}
    wanted = [
        pair(a, b) for plan in PLANS for a, b in combinations_with_replacement((plan.numerator, *plan.covariates), 2)
    ]
    return Moments(
        n,
        dict(zip(COLUMNS, map(int, sums), strict=True)),
        {both: int(squares[place[both[0]], place[both[1]]]) for both in wanted},
        dict(zip(COLUMNS, map(int, nonzero), strict=True)),
    )


def estimate(
    control: Moments, treatment: Moments, plans: tuple[MetricPlan, ...] = PLANS, name: str = "lin"
) -> list[Contrast | Undetermined]:
    """Every metric of one pair of arms."""
    return [ESTIMATORS[name](control, treatment, plan) for plan in plans]


def decided(control: Moments, treatment: Moments) -> Mapping[tuple[str, str], Reading]:
    """Ten metrics from moments to what may be said of them."""
    contrasts = estimate(control, treatment)
    return read(
        [Question(p.key, "t", "success", 1, c, 1.0) for p, c in zip(PLANS, contrasts, strict=True)],
        alpha=0.05,
        look="always_valid",
    )


def tea_tasting(frame: pd.DataFrame) -> dict[str, float]:
    """Its CUPED takes one covariate a metric."""
    metrics = {f"m{i}": tt.Mean(f"y{i}", f"x{i}") for i in range(METRICS)}
    found = tt.Experiment(metrics, variant="arm").analyze(frame, control=0)
    return {key: float(found[key]._asdict()["effect_size"]) for key in metrics}


def interacted_regressions(z: Floats, treated: Floats) -> list[float]:
    """Lin's regression for each metric with HC1 errors."""
    found = []
    for i in range(METRICS):
        x = z[:, [METRICS + i, 2 * METRICS]]
        x = x - x.mean(axis=0)
        design = np.column_stack([np.ones(len(z)), treated, x, x * treated[:, None]])
        found.append(float(sm.OLS(z[:, i], design).fit(cov_type="HC1").params[1]))
    return found


def main() -> None:
    """Print every figure and its ratio to ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    z = units(given.units)
    treated = np.arange(len(z)) % 2 == 1
    frame = pd.DataFrame(z, columns=list(COLUMNS)).assign(arm=treated.astype(int))
    control, treatment = z[~treated], z[treated]
    arms = moments_of(control), moments_of(treatment)

    agree = np.array([c.difference for c in estimate(*arms) if isinstance(c, Contrast)])
    np.testing.assert_allclose(agree, interacted_regressions(z, treated.astype(float)), rtol=1e-6)
    theirs = tea_tasting(frame)
    pooled = [c.difference for c in estimate(*arms, ONE_COVARIATE, "pooled") if isinstance(c, Contrast)]
    np.testing.assert_allclose(pooled, list(theirs.values()), rtol=1e-6)

    ours = cpu(lambda: decided(moments_of(control), moments_of(treatment)), given.repeats)
    print(f"10 metrics, CUPED, {given.units:,} units; CPU ms, times ours")
    for label, seconds in (
        ("ours, from the unit table to statuses", ours),
        ("ours, from moments only", cpu(lambda: decided(*arms), given.repeats)),
        ("tea-tasting (one covariate a metric)", cpu(lambda: tea_tasting(frame), given.repeats)),
        ("statsmodels (interacted, HC1)", cpu(lambda: interacted_regressions(z, treated.astype(float)), given.repeats)),
    ):
        print(f"  {label:<42}{seconds * 1e3:>9.1f}{seconds / ours:>8.2f} ×")

    size = len(z) // (2 * SLICES)
    blocks = z[: 2 * SLICES * size].reshape(2 * SLICES, size, -1)
    cells = [moments_of(block) for block in blocks]
    limit = cpu(lambda: np.einsum("gui,guj->gij", blocks, blocks, optimize=True), given.repeats)
    every = cpu(lambda: [estimate(cells[2 * g], cells[2 * g + 1]) for g in range(SLICES)], given.repeats)
    plain = cpu(lambda: np.einsum("gui,guj->gij", blocks, blocks), given.repeats)
    print(f"10 metrics × {SLICES} slices; CPU ms, times the einsum")
    for label, seconds in (
        ("one einsum of their moments (BLAS)", limit),
        ("one einsum of their moments (plain)", plain),
        ("ours, adjusted estimates from moments", every),
    ):
        print(f"  {label:<42}{seconds * 1e3:>9.1f}{seconds / limit:>8.2f} ×")


if __name__ == "__main__":
    main()
