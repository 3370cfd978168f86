"""What inference returns: an estimate with its covariance, an interval, or the reason there is none."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Undetermined:
    """An estimate that cannot be made.

    Codes: `too_few_units`, `zero_denominator`, `no_variation`, `control_not_positive`,
    `control_uncertain`, `too_few_covariates`. `words` is one plain sentence without a full stop.
    """

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """A metric in control (c) and one treatment arm (t), with the covariance of the two means.

    Means and their (co)variances are per unit in the fact's own whole unit (minor units, counts, ms)
    for a mean or proportion, and plain for a ratio. `raw_*` are before adjustment, `mean_*` after it,
    `v_*` the covariance matrix of `mean_*`, `v_raw` the variance of `raw_t - raw_c`. `dof` is Welch's,
    at least 1. `nonzero_*` counts units with a non-zero numerator (ratio: denominator). `floored`
    says that the smaller arm's residual variance was raised to the larger arm's (STATISTICS 4).
    """

    n_c: int
    n_t: int
    raw_c: float
    raw_t: float
    mean_c: float
    mean_t: float
    v_cc: float
    v_tt: float
    v_tc: float
    v_raw: float
    dof: float
    rank: int
    nonzero_c: int
    nonzero_t: int
    floored: bool
    covariates: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Treatment minus control, of adjusted means."""
        return self.mean_t - self.mean_c

    @property
    def variance(self) -> float:
        """Of the difference; positive, or the contrast would have been undetermined."""
        return self.v_tt + self.v_cc - 2 * self.v_tc

    @property
    def se(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(self.variance)

    @property
    def z(self) -> float:
        """The difference in standard errors."""
        return self.difference / self.se

    @property
    def variance_reduction(self) -> float:
        """1 - V_adjusted / V_raw of the difference; negative where adjustment cost more than it gave."""
        return 1 - self.variance / self.v_raw


@dataclass(frozen=True, slots=True)
class Bounds:
    """An estimate and its interval; None is an open side."""

    est: float
    lo: float | None
    hi: float | None
