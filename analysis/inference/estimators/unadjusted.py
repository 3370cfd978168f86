"""No covariates: the difference of two means, Welch's variance. STATISTICS 2."""

from analysis.inference.estimators._linear import Fit, arm, contrast
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.result import Contrast, Undetermined


def unadjusted(control: Moments, treatment: Moments, plan: MetricPlan) -> Contrast | Undetermined:
    """Means as they stand, V_aa = w'Σ_a w / n_a, V_tc = 0; covariates of the plan are not used.

    Ratios by the delta method, Deng, Knoblich & Lu (2018), section 3. Refuses an arm with fewer than 2
    units, a zero denominator, or arms in which every unit has the same value.
    """
    bare = MetricPlan(plan.key, plan.kind, plan.numerator, plan.denominator, (), plan.window_days)
    c, t = arm(control, bare), arm(treatment, bare)
    if isinstance(c, Undetermined):
        return c
    if isinstance(t, Undetermined):
        return t
    return contrast(Fit(c, c.mean, c.variance, 0), Fit(t, t.mean, t.variance, 0), shared=(0.0, 0.0, 0.0), covariates=())
