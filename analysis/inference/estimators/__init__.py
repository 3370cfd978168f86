"""One estimator a file, one line each here. All take (control, treatment, plan) and return a contrast."""

from collections.abc import Callable, Mapping

from analysis.inference.estimators.lin import lin
from analysis.inference.estimators.pooled import pooled
from analysis.inference.estimators.unadjusted import unadjusted
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.result import Contrast, Undetermined

Estimator = Callable[[Moments, Moments, MetricPlan], Contrast | Undetermined]

ESTIMATORS: Mapping[str, Estimator] = {"lin": lin, "pooled": pooled, "unadjusted": unadjusted}
