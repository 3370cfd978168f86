"""A metric as a linear functional of unit totals. STATISTICS 2."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.inference.moments import Moments
from analysis.inference.result import Undetermined
from experiments.spec import SEEN_BEFORE, Metric


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """Which facts of the moments make a metric, which adjust it, and in which population it is read.

    `denominator` is None except for a ratio. `window_days` names the cell: `CellKey(..., window_days)`.
    """

    key: str
    kind: Literal["mean", "proportion", "ratio"]
    numerator: str
    denominator: str | None
    covariates: tuple[str, ...]
    window_days: int | None

    @property
    def facts(self) -> tuple[str, ...]:
        """Numerator, then the denominator of a ratio."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    @property
    def gate_fact(self) -> str:
        """The fact whose non-zero units are counted: the numerator, for a ratio the denominator."""
        return self.numerator if self.denominator is None else self.denominator


def plan(metric: Metric, catalogue: Mapping[str, Metric], outcome_days: int | None) -> MetricPlan:
    """How `metric` is read from moments; KeyError when a covariate metric is not in the catalogue."""
    facts = metric.facts(outcome_days)
    if metric.covariates == "none":
        covariates: tuple[str, ...] = ()
    elif metric.covariates == "own":
        covariates = (*(fact.pre_key for fact in facts), SEEN_BEFORE)
    else:
        named = [fact.pre_key for key in metric.covariates for fact in catalogue[key].facts(outcome_days)]
        covariates = (*named, SEEN_BEFORE)
    return MetricPlan(
        metric.key,
        metric.kind,
        facts[0].key,
        facts[1].key if len(facts) == 2 else None,
        tuple(dict.fromkeys(covariates)),
        facts[0].window_days,
    )


@dataclass(frozen=True, slots=True)
class Functional:
    """The weights w of ℓ = w'z in whole numbers: w = weights · top / bottom.

    A mean has weights (1,); a ratio num/den has (D, -N)·n/D² with the sums N and D, which is
    (1, -m)/mean(den). Variances of ℓ are formed in Python integers and divided once.
    """

    names: tuple[str, ...]
    weights: tuple[int, ...]
    top: int
    bottom: int


def exact_functional(moments: Moments, plan: MetricPlan) -> Functional | Undetermined:
    """The functional of one arm. Undetermined below 2 units or with a zero denominator."""
    if moments.n < 2:
        return _too_few(moments.n)
    if plan.denominator is None:
        return Functional((plan.numerator,), (1,), 1, 1)
    below = moments.sums[plan.denominator]
    if below == 0:
        return _zero_denominator()
    return Functional(plan.facts, (below, -moments.sums[plan.numerator]), moments.n, below * below)


def functional(moments: Moments, plan: MetricPlan) -> tuple[tuple[str, ...], NDArray[np.float64]] | Undetermined:
    """Fact names and w, shape (1,) or (2,), with Var(m) = w' Σ w / n.

    Undetermined below 2 units or with a zero denominator. Ratio by the delta method: Deng, Knoblich
    & Lu (2018), section 3.
    """
    found = exact_functional(moments, plan)
    if isinstance(found, Undetermined):
        return found
    return found.names, np.array([weight * found.top / found.bottom for weight in found.weights], dtype=np.float64)


def value(moments: Moments, plan: MetricPlan) -> float | Undetermined:
    """The metric in one arm, unadjusted: Σnum/n, for a ratio Σnum/Σden. One division of whole numbers."""
    if moments.n < 1:
        return _too_few(moments.n)
    below = moments.n if plan.denominator is None else moments.sums[plan.denominator]
    return moments.sums[plan.numerator] / below if below else _zero_denominator()


def _too_few(n: int) -> Undetermined:
    has = {0: "no units", 1: "one unit"}[n]
    return Undetermined("too_few_units", f"an arm has {has}; at least 2 are needed")


def _zero_denominator() -> Undetermined:
    return Undetermined("zero_denominator", "an arm has nothing to divide by")
