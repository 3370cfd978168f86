"""Is a loss in a running experiment real? The one-sided e-process of STATISTICS 4, toward loss. ALERTS 3.

The same test as the readout's STOP: units of randomisation, gate, floor of unequal arms, x = 8·n/n*. It may be read at
every look. After a launch the detector takes over (`analysis.alerts.evidence.detector`).
"""

from analysis.alerts.model import Evidence, Look, LookArm, Metric
from analysis.inference.decision import GATE_UNITS, gated
from analysis.inference.designs import critical_value, e_value
from analysis.inference.effects import fieller
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments, pair
from analysis.inference.result import Contrast, Undetermined

LEVEL = 0.05  # e ≥ 20, whatever the severity


def by_experiment(look: Look, metric: Metric, *, level: float = LEVEL) -> Evidence:
    """The e-value against "the watched arm is not worse", read once both arms have 100 units with any of the metric.

    ValueError when the look is of no experiment.
    """
    found, needed = _contrast(look, metric), 1 / level
    if isinstance(found, Undetermined):
        return Evidence("e_process", 0.0, needed, "page_fast", _waits(look, metric) or found.words)
    waits = _waits(look, metric)
    if waits:
        return Evidence("e_process", 0.0, needed, "page_fast", waits)
    return Evidence("e_process", e_value(-found.z, _fraction(look, found), sides="one"), needed, "page_fast")


def upper(look: Look, metric: Metric, *, level: float = LEVEL) -> float | None:
    """The highest relative change not ruled out (Fieller, one-sided at `level`): below 0 exactly when e ≥ 1/level.

    None before the gate, and where the other arm's own mean is too uncertain to divide by.
    """
    found = _contrast(look, metric)
    if isinstance(found, Undetermined) or not gated(found):
        return None
    bounds = fieller(found, critical_value(_fraction(look, found), level, sides="one"))
    return None if isinstance(bounds, Undetermined) else bounds.hi


def _contrast(look: Look, metric: Metric) -> Contrast | Undetermined:
    if look.comparison.kind != "experiment":
        raise ValueError(f"a look of a {look.comparison.kind}; the e-process reads experiments, a detector the others")
    arms = [_moments(look.arms.get(key), metric) for key in (look.comparison.against, look.comparison.watched)]
    return ESTIMATORS["unadjusted"](arms[0], arms[1], MetricPlan(metric, "mean", metric, None, (), None))


def _moments(arm: LookArm | None, metric: Metric) -> Moments:
    if arm is None:
        return Moments(0)
    return Moments(
        arm.units,
        {metric: arm.totals.get(metric, 0)},
        {pair(metric, metric): arm.squares.get(metric, 0)},
        {metric: arm.nonzero.get(metric, 0)},
    )


def _fraction(look: Look, found: Contrast) -> float:
    return (found.n_c + found.n_t) / look.planned


def _waits(look: Look, metric: Metric) -> str:
    """Which arms are below the gate, in words; empty when none is."""
    short = []
    for key in (look.comparison.against, look.comparison.watched):
        arm = look.arms.get(key)
        nonzero = 0 if arm is None else arm.nonzero.get(metric, 0)
        if nonzero < GATE_UNITS:
            short.append(f"{key} has {nonzero:,}")
    return f"{GATE_UNITS} units with any {metric.replace('_', ' ')} in each arm: {', '.join(short)}" if short else ""
