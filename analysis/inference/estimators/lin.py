"""Regression adjustment with slopes of each arm's own. STATISTICS 3, Lin (2013)."""

import numpy as np

from analysis.inference.estimators._linear import (
    Arm,
    Fit,
    Vector,
    arm,
    contrast,
    pooled_within,
    pseudo_inverse,
    too_many_covariates,
)
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.result import Contrast, Undetermined


def lin(control: Moments, treatment: Moments, plan: MetricPlan) -> Contrast | Undetermined:
    """m̂_a = m_a - θ_a'(x̄_a - x̄), θ_a = Σ_xx,a⁺ Σ_xℓ,a; x̄ over both arms, so treatment is not favoured by it.

    V_aa = e_a/n_a + θ_a'Σ_xx θ_a/N and V_tc = θ_t'Σ_xx θ_c/N: e_a the residual variance times
    (n_a-1)/(n_a-1-rank), Σ_xx pooled within arms, N the units of both. The difference equals the
    treatment coefficient of the fully interacted regression, Lin (2013), section 3. Refuses as
    `unadjusted`, and when an arm has no more units than covariates.
    """
    c, t = arm(control, plan), arm(treatment, plan)
    if isinstance(c, Undetermined):
        return c
    if isinstance(t, Undetermined):
        return t
    units = c.n + t.n
    centre = (c.n * c.x + t.n * t.x) / units
    fit_c, fit_t = _fit(c, centre), _fit(t, centre)
    if isinstance(fit_c, Undetermined):
        return fit_c
    if isinstance(fit_t, Undetermined):
        return fit_t
    (theta_c, of_c), (theta_t, of_t) = fit_c, fit_t
    spread = pooled_within(c, t) / units
    shared = (
        float(theta_c @ spread @ theta_c),
        float(theta_t @ spread @ theta_t),
        float(theta_t @ spread @ theta_c),
    )
    return contrast(of_c, of_t, shared=shared, covariates=plan.covariates)


def _fit(a: Arm, centre: Vector) -> tuple[Vector, Fit] | Undetermined:
    inverse, rank = pseudo_inverse(a.xx)
    refusal = too_many_covariates(a.n, rank)
    if refusal is not None:
        return refusal
    theta = inverse @ a.xl
    left = max(0.0, a.variance - float(a.xl @ theta)) * (a.n - 1) / (a.n - 1 - rank)
    return theta, Fit(a, a.mean - float(np.dot(theta, a.x - centre)), left, rank)
