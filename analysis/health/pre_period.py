"""Were the arms alike before anyone was exposed? One test over all covariates. STATISTICS 6, SH-15."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.inference.decision import GATE_UNITS
from analysis.inference.designs import MIXTURE
from analysis.inference.estimators._linear import pseudo_inverse
from analysis.inference.moments import Moments, total
from analysis.inference.result import Undetermined

_LOG_CAP = 690.0


@dataclass(frozen=True, slots=True)
class PrePeriod:
    """The evidence that arms differed before exposure.

    `statistic` is T², chi-square with `dimension` degrees of freedom when they were alike; `e` its e-value
    and `p` = min(1, 1/e), valid at every look. `differences[arm][covariate]` is the arm's mean minus that of
    all arms together, in standard deviations of one unit. `left_out` covariates had fewer than 100 non-zero units
    in some arm, or could not be shown to have as many.
    """

    e: float
    p: float
    statistic: float
    dimension: int
    covariates: tuple[str, ...]
    left_out: tuple[str, ...]
    differences: Mapping[str, Mapping[str, float]]


def pre_period(arms: Mapping[str, Moments], covariates: Sequence[str], fraction: float) -> PrePeriod | Undetermined:
    """Hotelling's T² over all arms and covariates at once, with the always-valid boundary.

    T² = Σ_a n_a (x̄_a - x̄)' S⁻¹ (x̄_a - x̄), S pooled within arms and inverted on the correlation scale, is a sum of
    d = rank·(arms - 1) squared standard normal coordinates. Mixing each over N(0, x) with x = 8 n/n*
    (`fraction` = n/n*, all arms) gives the e-process e = (1+x)^(-d/2) exp(x T²/(2(1+x))): the normal mixture of
    STATISTICS 4 in d dimensions, and exactly that one for two arms and one covariate. Robbins (1970);
    Howard et al. (2021), section 4.3; Anderson (2003), section 8.8, for T² over several arms.

    Undetermined for fewer than 2 arms of 2 units, or when no covariate has 100 non-zero units in every arm.
    """
    if fraction <= 0:
        raise ValueError(f"fraction n/n* is {fraction}; it is above 0 as soon as a unit was seen")
    if len(arms) < 2 or min(moments.n for moments in arms.values()) < 2:
        return Undetermined("too_few_units", "an arm has fewer than 2 units")
    used = tuple(x for x in covariates if min(_nonzero(m, x) for m in arms.values()) >= GATE_UNITS)
    left_out = tuple(x for x in covariates if x not in used)
    everyone = total(arms.values())
    freedom = everyone.n - len(arms)
    within = sum(((m.n - 1) * m.covariance(used) for m in arms.values()), np.zeros((len(used), len(used)))) / freedom
    inverse, rank = pseudo_inverse(within)
    if rank == 0:
        return Undetermined(
            "too_few_covariates", f"nothing from before the exposure has {GATE_UNITS} non-zero units in every arm"
        )
    centre = everyone.means(used)
    away = {arm: m.means(used) - centre for arm, m in arms.items()}
    statistic = float(sum(arms[arm].n * gap @ inverse @ gap for arm, gap in away.items()))
    dimension = rank * (len(arms) - 1)
    x = MIXTURE * fraction
    log_e = x * statistic / (2 * (1 + x)) - dimension * math.log1p(x) / 2
    e = math.exp(min(log_e, _LOG_CAP))
    deviation = np.sqrt(np.diag(within))
    standard = {
        arm: {name: float(g / d) for name, g, d in zip(used, gap, deviation, strict=True) if d > 0}
        for arm, gap in away.items()
    }
    return PrePeriod(e, min(1.0, math.exp(-log_e)), statistic, dimension, used, left_out, standard)


def _nonzero(moments: Moments, x: str) -> int:
    """Non-zero units; where they were not counted, at least (Σx)²/Σx² of them (Cauchy–Schwarz)."""
    if x in moments.nonzero:
        return moments.nonzero[x]
    square = moments.product(x, x)
    return moments.sums[x] ** 2 // square if square else 0
