"""How many units a test needs, and what a number of units settles, by the control arm of an earlier run. STATISTICS 10.

The plan is for the look at the end, where n = n*: a verdict is made of the day's own bounds, so a crossing on the way
is no conclusion, and at n* the always-valid k is what a reading there would use. Units are those of all arms, also of
arms that are not compared. Means and variances are taken to be those of the earlier run, in every arm: a large
lift, which also spreads units more, needs some more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy.optimize import brentq
from scipy.special import nctdtr, ndtr

from analysis.inference.decision import GATE_UNITS
from analysis.inference.designs import critical_value, student
from analysis.inference.effects import Sign
from analysis.inference.estimators import Estimator
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.result import Undetermined

AT_THE_PLANNED_END = 1.0  # n/n*
LARGEST = 10.0  # an effect of 1,000 % of control's mean: beyond it nothing is settled
FARTHEST = 1e15  # units
CERTAIN = 40.0  # standard errors beyond k: noncentral t is not computed out there
WEEK = 7  # days


@dataclass(frozen=True, slots=True)
class Noise:
    """One unit of control, as the estimator sees it.

    `mean` in the metric's own whole unit. `residual` is e, the variance that the covariates leave, and `explained` is
    θ'Σ_xx θ, that which they take (STATISTICS 3); of a ratio both are the delta method's. `nonzero` is the share of
    units with a non-zero numerator (ratio: denominator), `rank` the covariates'.
    """

    mean: float
    residual: float
    explained: float
    nonzero: float
    rank: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What is to be settled.

    `lift`: a true change of `size` (a fraction of control's mean) toward good is told from 0. `margin`: without a true
    change, worse by `size` is excluded. `margin_abs`: the same, `size` in the contrast's own unit.
    """

    kind: Literal["lift", "margin", "margin_abs"]
    size: float
    sign: Sign  # +1: an increase of the metric is good


@dataclass(frozen=True, slots=True)
class Accrual:
    """How units came to an earlier run: ascending (days since its start, units of all arms so far)."""

    curve: tuple[tuple[int, int], ...]

    def days(self, units: float) -> int | None:
        """Days until so many units came: read off the curve, beyond it at the pace of its last week.

        New units come ever more slowly, so beyond the curve these are the fewest days. None where nobody came any more.
        """
        there = next((day for day, so_far in self.curve if so_far >= units), None)
        if there is not None or not self.curve:
            return there
        last, total = self.curve[-1]
        before = [point for point in self.curve if point[0] <= last - WEEK]
        day, earlier = before[-1] if before else (0, 0)
        pace = (total - earlier) / (last - day)
        return None if pace <= 0 else last + math.ceil((units - total) / pace)


@dataclass(frozen=True, slots=True)
class Trial:
    """Two arms of an experiment and how they are compared: shares of all units, one-sided `level`, `power`."""

    control: float
    treatment: float
    level: float
    power: float
    design: Literal["always_valid", "fixed"]


def noise(control: Moments, plan: MetricPlan, estimator: Estimator) -> Noise | Undetermined:
    """What one unit varies by: control against itself, taken apart by V_cc = e/n + θ'Σθ/N and V_tc = θ'Σθ/N.

    Refuses as the estimator does, and a mean that is not above zero, to which nothing is relative.
    """
    same = estimator(control, control, plan)
    if isinstance(same, Undetermined):
        return same
    if same.mean_c <= 0:
        return Undetermined("control_not_positive", "the control's mean is not above zero")
    n = control.n
    return Noise(same.mean_c, n * (same.v_cc - same.v_tc), 2 * n * same.v_tc, same.nonzero_c / n, same.rank)


def success_level(alpha: float, tests: int) -> float:
    """One-sided level of a success metric: α/2 at Holm's first step, the hardest, over metrics × treatment arms."""
    return alpha / 2 / tests


def shared_power(power: float, guardrails: int) -> float:
    """Power of each part of a SHIP: 1 - β/(G+1), so that one success metric and all G guardrails miss together ≤ β."""
    return 1 - (1 - power) / (guardrails + 1)


def power(of: Noise, effect: Effect, trial: Trial, units: float) -> float:
    """Probability to settle the effect with `units` of all arms: 0 before the gate of 100 non-zero units an arm.

    Always-valid: Φ(z - k), with k at n = n*. Fixed: noncentral t with Welch's degrees of freedom, as the reading has.
    """
    return 0.0 if units < _gate(of, trial) else _reached(of, effect, trial, units)


def units_needed(of: Noise, effect: Effect, trial: Trial) -> int | None:
    """Units of all arms with which the effect is settled at the trial's power; None beyond 1e15."""
    fewest = _gate(of, trial)
    if _reached(of, effect, trial, fewest) >= trial.power:
        return math.ceil(fewest)
    found = _root(lambda log: _reached(of, effect, trial, math.exp(log)) - trial.power, fewest, FARTHEST)
    return None if found is None else math.ceil(found)


def smallest_effect(of: Noise, effect: Effect, trial: Trial, units: float) -> float | None:
    """The size that so many units settle, of the effect's kind and unit; None below the gate or beyond 1,000 %.

    A margin on what should increase stays below 100 %: at most all of it can be lost.
    """
    if units < _gate(of, trial):
        return None
    largest = LARGEST * of.mean if effect.kind == "margin_abs" else LARGEST
    if effect.kind == "margin" and effect.sign == 1:
        largest = 1.0

    def beyond(log: float) -> float:
        return _reached(of, Effect(effect.kind, math.exp(log), effect.sign), trial, units) - trial.power

    return _root(beyond, largest * 1e-12, largest)


def _reached(of: Noise, effect: Effect, trial: Trial, units: float) -> float:
    # Var(m_t - r m_c), times the units of all arms: e/s_t + r² e/s_c + (1-r)² θ'Σθ/(s_c + s_t); r = 1 but for a margin
    r = 1 - effect.sign * effect.size if effect.kind == "margin" else 1.0
    parts = of.residual / trial.treatment, r * r * of.residual / trial.control
    variance = (sum(parts) + (1 - r) ** 2 * of.explained / (trial.control + trial.treatment)) / units
    shift = effect.size if effect.kind == "margin_abs" else effect.size * of.mean
    z = shift / math.sqrt(variance)
    if trial.design == "always_valid":
        return float(ndtr(z - critical_value(AT_THE_PLANNED_END, trial.level, sides="one")))
    dof = _welch(of, trial, units)
    k = student(dof, trial.level, sides="one")
    return 1.0 if z > k + CERTAIN else 1 - float(nctdtr(dof, z, k))


def _welch(of: Noise, trial: Trial, units: float) -> float:
    """Welch–Satterthwaite on the two residual terms with min(n_a, nonzero_a) - 1 - rank, as the estimators have."""
    terms = [(1 / share, max(1.0, units * share * of.nonzero - 1 - of.rank)) for share in _shares(trial)]
    return sum(part for part, _ in terms) ** 2 / sum(part * part / freedom for part, freedom in terms)


def _gate(of: Noise, trial: Trial) -> float:
    return GATE_UNITS / (of.nonzero * min(_shares(trial)))


def _shares(trial: Trial) -> tuple[float, float]:
    return trial.control, trial.treatment


def _root(rising: Callable[[float], float], low: float, high: float) -> float | None:
    """Where a rising function of a logarithm crosses 0, to 1e-12 relative; `low` if before, None if beyond `high`."""
    if rising(math.log(high)) < 0:
        return None
    if rising(math.log(low)) >= 0:
        return low
    return math.exp(float(brentq(rising, math.log(low), math.log(high), xtol=1e-13, rtol=1e-13)))
