"""Classic CUPED: one slope for all arms. The test oracle of STATISTICS 3, Deng et al. (2013)."""

from analysis.inference.estimators._linear import Arm, Fit, Vector, arm, contrast, pooled_within, pseudo_inverse
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.result import Contrast, Undetermined


def pooled(control: Moments, treatment: Moments, plan: MetricPlan) -> Contrast | Undetermined:
    """m̂_a = m_a - θ'(x̄_a - x̄) with θ from both arms taken together as one sample.

    e_a = w'Σ_a w - 2θ'Σ_xℓ,a + θ'Σ_xx,a θ, c_a = θ'(Σ_xℓ,a - Σ_xx,a θ)/N, V_aa = e_a/n_a + 2c_a + θ'Σ_xxθ/N,
    V_tc = c_t + c_c + θ'Σ_xxθ/N (the c's and the last term leave the difference). No correction for
    the one slope. Deng et al. (2013), section 3.2. Refuses as `unadjusted`.
    """
    c, t, both = arm(control, plan), arm(treatment, plan), arm(control + treatment, plan)
    if isinstance(c, Undetermined):
        return c
    if isinstance(t, Undetermined):
        return t
    if isinstance(both, Undetermined):
        return both
    inverse, rank = pseudo_inverse(both.xx)
    theta = inverse @ both.xl
    units = c.n + t.n
    common = float(theta @ pooled_within(c, t) @ theta) / units
    c_c, c_t = _with_centre(c, theta, units), _with_centre(t, theta, units)
    return contrast(
        _fit(c, theta, both.x, rank),
        _fit(t, theta, both.x, rank),
        shared=(2 * c_c + common, 2 * c_t + common, c_t + c_c + common),
        covariates=plan.covariates,
    )


def _with_centre(a: Arm, theta: Vector, units: int) -> float:
    return float(theta @ (a.xl - a.xx @ theta)) / units


def _fit(a: Arm, theta: Vector, centre: Vector, rank: int) -> Fit:
    left = a.variance - 2 * float(theta @ a.xl) + float(theta @ a.xx @ theta)
    return Fit(a, a.mean - float(theta @ (a.x - centre)), max(0.0, left), rank)
