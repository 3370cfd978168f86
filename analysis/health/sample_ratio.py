"""Do the arms have the shares they were given? Evidence that may be looked at every day. STATISTICS 6, SH-01."""

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
from scipy.special import chdtrc, gammaln, logsumexp

CONCENTRATIONS = (30, 300, 3_000, 30_000)  # from gross loss on a small browser to a fine one overall
_LOG_CAP = 690.0


def evidence(counts: Sequence[int], weights: Sequence[Fraction | Decimal | int]) -> float:
    """The e-value against counts having come from `weights`, both in the same order of arms.

    The mean over c of the Bayes factors of Dirichlet(c·p₀)-multinomial against multinomial(p₀). Its
    expectation is at most 1 under the planned split at every look, so e ≥ 1/a has probability at most a
    for ever. Over phases multiply, over time keep the running maximum. 1 while nobody was seen.
    Lindon & Malek (2022), section 3. ValueError for unequal lengths, fewer than 2 arms or a weight ≤ 0.
    """
    seen, expected = _shares(counts, weights)
    n = float(seen.sum())
    null = float(seen @ np.log(expected))
    factors = [
        float(gammaln(c) - gammaln(c + n) + np.sum(gammaln(c * expected + seen) - gammaln(c * expected))) - null
        for c in CONCENTRATIONS
    ]
    return math.exp(min(float(logsumexp(factors)) - math.log(len(factors)), _LOG_CAP))


def chi_square_p(counts: Sequence[int], weights: Sequence[Fraction | Decimal | int]) -> float:
    """Pearson's p-value: only for one look at a finished import. 1 while nobody was seen."""
    seen, expected = _shares(counts, weights)
    n = seen.sum()
    if n == 0:
        return 1.0
    statistic = np.sum((seen - n * expected) ** 2 / (n * expected))
    return float(chdtrc(len(seen) - 1, statistic))


def _shares(
    counts: Sequence[int], weights: Sequence[Fraction | Decimal | int]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Counts and planned shares as float64, shape (n_arms,)."""
    if len(counts) != len(weights) or len(counts) < 2:
        raise ValueError(f"{len(counts)} counts and {len(weights)} weights; give one of each for two or more arms")
    exact = [Fraction(weight) for weight in weights]
    if min(exact) <= 0 or min(counts) < 0:
        raise ValueError(
            f"weights {list(map(str, weights))}, counts {list(counts)}: weights are above 0, counts not below"
        )
    total = sum(exact, Fraction(0))
    return np.array(counts, dtype=np.float64), np.array([float(w / total) for w in exact], dtype=np.float64)
