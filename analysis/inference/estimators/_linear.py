"""The linear algebra estimators share: an arm's moments as floats, a pseudo-inverse that counts its rank."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.inference.metrics import Functional, MetricPlan, exact_functional
from analysis.inference.moments import Moments
from analysis.inference.result import Contrast, Undetermined

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EIGENVALUE_FLOOR = 1e-9  # on the correlation scale; below it a covariate repeats the others
UNEQUAL_ARMS = 2  # arm sizes further apart than 2:1 ...
FLOOR_UNITS = 1000  # ... with fewer non-zero units than this in the smaller: its variance is floored
ROUNDING = 1e-12  # a residual variance below this share of the raw one is rounding, not data


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm in float64, each number one division of exact integers. p covariates.

    `mean` is the metric, `variance` w'Σw of one unit's ℓ, `x` the covariate means (p,), `xx` their
    covariance (p, p), `xl` the covariances with ℓ (p,).
    """

    n: int
    nonzero: int
    mean: float
    variance: float
    x: Vector
    xx: Matrix
    xl: Vector


def arm(moments: Moments, plan: MetricPlan) -> Arm | Undetermined:
    """The arm of `plan`, or why there is none (fewer than 2 units, zero denominator)."""
    found = exact_functional(moments, plan)
    if isinstance(found, Undetermined):
        return found
    n, covariates = moments.n, plan.covariates
    below = n if plan.denominator is None else moments.sums[plan.denominator]
    scale = n * (n - 1)
    return Arm(
        n,
        moments.nonzero[plan.gate_fact],
        moments.sums[plan.numerator] / below,
        _square(moments, found) * found.top**2 / (found.bottom**2 * scale),
        moments.means(covariates),
        moments.covariance(covariates),
        np.array(
            [_cross(moments, found, x) * found.top / (found.bottom * scale) for x in covariates], dtype=np.float64
        ),
    )


def pseudo_inverse(covariance: Matrix) -> tuple[Matrix, int]:
    """Moore–Penrose inverse on the correlation scale, and the rank counted there.

    A zero variance is exactly zero here, because covariances are one division of exact integers. On
    the raw scale the eigenvalues of revenue would push those of a 0/1 covariate below any threshold.
    """
    variances = covariance.diagonal()
    varies = variances > 0
    if not varies.all():
        inverse = np.zeros_like(covariance)
        if not varies.any():
            return inverse, 0
        inner, rank = pseudo_inverse(covariance[varies][:, varies])
        inverse[np.ix_(varies, varies)] = inner
        return inverse, rank
    if not len(covariance):
        return covariance, 0
    scale = np.sqrt(variances)
    values, vectors = np.linalg.eigh(covariance / (scale[:, None] * scale))
    large = values >= EIGENVALUE_FLOOR
    basis = vectors[:, large] / scale[:, None]
    return (basis / values[large]) @ basis.T, int(large.sum())


def pooled_within(control: Arm, treatment: Arm) -> Matrix:
    """Covariance of the covariates around their own arm's mean, (p, p)."""
    total = control.n + treatment.n - 2
    return ((control.n - 1) * control.xx + (treatment.n - 1) * treatment.xx) / total


@dataclass(frozen=True, slots=True)
class Fit:
    """An adjusted arm: its mean, the residual variance of one unit, and the rank of its covariates."""

    arm: Arm
    mean: float
    residual: float
    rank: int


def floored(control: Fit, treatment: Fit) -> tuple[float, float, bool]:
    """Residual variances (control, treatment) with the smaller arm's floored where STATISTICS 4 asks for it."""
    first, second = control.residual, treatment.residual
    small, large = (control.arm, treatment.arm) if control.arm.n <= treatment.arm.n else (treatment.arm, control.arm)
    if large.n <= UNEQUAL_ARMS * small.n or small.nonzero >= FLOOR_UNITS:
        return first, second, False
    if small is control.arm:
        return max(first, second), second, second > first
    return first, max(first, second), first > second


def contrast(
    control: Fit, treatment: Fit, *, shared: tuple[float, float, float], covariates: tuple[str, ...]
) -> Contrast | Undetermined:
    """Put two fitted arms together; `shared` is what x̄ adds to (V_cc, V_tt, V_tc).

    Undetermined when neither arm varies, or nothing is left of it after adjustment.
    """
    c, t = control.arm, treatment.arm
    e_c, e_t, raised = floored(control, treatment)
    raw_c, raw_t, _ = floored(Fit(c, c.mean, c.variance, 0), Fit(t, t.mean, t.variance, 0))
    g_c, g_t = e_c / c.n, e_t / t.n
    v_raw = raw_c / c.n + raw_t / t.n
    v_cc, v_tt, v_tc = g_c + shared[0], g_t + shared[1], shared[2]
    if v_tt + v_cc - 2 * v_tc <= ROUNDING * v_raw:
        words = "the covariates explain every difference" if v_raw > 0 else "every unit has the same value"
        return Undetermined("no_variation", f"{words}, so there is nothing to measure by")
    return Contrast(
        n_c=c.n,
        n_t=t.n,
        raw_c=c.mean,
        raw_t=t.mean,
        mean_c=control.mean,
        mean_t=treatment.mean,
        v_cc=v_cc,
        v_tt=v_tt,
        v_tc=v_tc,
        v_raw=v_raw,
        dof=_welch((g_c, _freedom(control)), (g_t, _freedom(treatment))),
        rank=max(control.rank, treatment.rank),
        nonzero_c=c.nonzero,
        nonzero_t=t.nonzero,
        floored=raised,
        covariates=covariates,
    )


def too_many_covariates(fit_n: int, rank: int) -> Undetermined | None:
    """Residuals need at least one degree of freedom."""
    if fit_n - 1 - rank >= 1:
        return None
    return Undetermined("too_few_units", f"an arm has {fit_n} units, too few for {rank} covariates")


def _square(moments: Moments, found: Functional) -> int:
    """n² times the n-divided variance of the whole-number functional: Σ_fg a_f a_g (n Q_fg - S_f S_g)."""
    pairs = zip(found.names, found.weights, strict=True)
    return sum(weight * _cross(moments, found, name) for name, weight in pairs)


def _cross(moments: Moments, found: Functional, x: str) -> int:
    n, of_x = moments.n, moments.sums[x]
    return sum(
        weight * (n * moments.product(name, x) - moments.sums[name] * of_x)
        for name, weight in zip(found.names, found.weights, strict=True)
    )


def _freedom(fit: Fit) -> int:
    return max(1, min(fit.arm.n, fit.arm.nonzero) - 1 - fit.rank)


def _welch(first: tuple[float, int], second: tuple[float, int]) -> float:
    """Welch–Satterthwaite on the two residual terms; at least 1, the widest Student's t."""
    total = first[0] + second[0]
    below = sum(part * part / freedom for part, freedom in (first, second))
    return total * total / below if below > 0 else 1.0
