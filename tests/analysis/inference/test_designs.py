import math

import numpy as np
import pytest
import scipy.stats
from scipy.integrate import quad

from analysis.inference.designs import Sides, critical_value, e_value, p_value, student, student_p

GOLDEN = [  # STATISTICS 4: n/n*, sides, level, k
    (0.1, "two", 0.05, 3.8475),
    (0.1, "one", 0.05, 3.4256),
    (0.1, "one", 0.025, 3.8505),
    (0.1, "one", 0.001, 5.4119),
    (1, "two", 0.05, 3.0352),
    (1, "one", 0.05, 2.7682),
    (1, "one", 0.025, 3.0360),
    (1, "one", 0.001, 4.0565),
    (10, "two", 0.05, 3.2428),
    (10, "one", 0.05, 3.0191),
    (10, "one", 0.025, 3.2430),
    (10, "one", 0.001, 4.1272),
]


@pytest.mark.parametrize(("fraction", "sides", "level", "k"), GOLDEN)
def test_golden_critical_values(fraction: float, sides: Sides, level: float, k: float) -> None:
    assert critical_value(fraction, level, sides=sides) == pytest.approx(k, abs=1e-4)


@pytest.mark.parametrize("sides", ["one", "two"])
@pytest.mark.parametrize("fraction", [1e-4, 0.03, 0.5, 1, 7, 1e4])
@pytest.mark.parametrize("level", [0.2, 0.05, 0.05 / 26, 1e-9])
def test_the_critical_value_is_where_the_evidence_reaches_the_level(
    sides: Sides, fraction: float, level: float
) -> None:
    k = critical_value(fraction, level, sides=sides)
    assert e_value(k, fraction, sides=sides) == pytest.approx(1 / level, rel=1e-10)
    assert p_value(k, fraction, sides=sides) == pytest.approx(level, rel=1e-10)


@pytest.mark.parametrize("sides", ["one", "two"])
@pytest.mark.parametrize("fraction", [0.01, 1, 3])
def test_evidence_averages_one_where_there_is_no_effect(sides: Sides, fraction: float) -> None:
    mean, _ = quad(lambda z: e_value(z, fraction, sides=sides) * math.exp(-z * z / 2), -36, 36, epsabs=1e-12)
    assert mean / math.sqrt(2 * math.pi) == pytest.approx(1, abs=1e-8)


def test_one_sided_evidence_shrinks_where_the_effect_goes_the_other_way() -> None:
    e = [e_value(z, 1, sides="one") for z in np.linspace(-8, 8, 33)]
    assert e == sorted(e)
    assert e[0] < 0.1
    assert p_value(-3, 1, sides="one") == 1.0


def test_the_growing_evidence_of_a_fixed_walk_is_a_martingale() -> None:
    """One more increment leaves the expectation where it was, given any sum so far."""
    first, second = 0.3, 0.8
    total = 0.9  # the sum of increments with variance `first`
    now = e_value(total / math.sqrt(first), first, sides="one")
    later, _ = quad(
        lambda step: (
            e_value((total + step) / math.sqrt(second), second, sides="one")
            * scipy.stats.norm.pdf(step, scale=math.sqrt(second - first))
        ),
        -12,
        12,
    )
    assert later == pytest.approx(now, rel=1e-8)


def test_huge_evidence_stays_a_number() -> None:
    assert math.isfinite(e_value(1e6, 1, sides="two"))
    assert 0 < p_value(1e6, 1, sides="two") < 1e-290


@pytest.mark.parametrize("fraction", [0.0, -1.0, math.nan])
def test_no_units_no_look(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"n/n\*"):
        critical_value(fraction, 0.05, sides="two")


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_level_is_strictly_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        critical_value(1, level, sides="one")
    with pytest.raises(ValueError, match="level"):
        student(10, level, sides="one")


@pytest.mark.parametrize("dof", [1.0, 7.5, 4321.0])
def test_student_is_the_t_distribution(dof: float) -> None:
    assert student(dof, 0.05, sides="two") == pytest.approx(scipy.stats.t.isf(0.025, dof), rel=1e-12)
    assert student(dof, 0.01, sides="one") == pytest.approx(scipy.stats.t.isf(0.01, dof), rel=1e-12)
    assert student_p(-2.1, dof, sides="two") == pytest.approx(2 * scipy.stats.t.sf(2.1, dof), rel=1e-12)
    assert student_p(-2.1, dof, sides="one") == pytest.approx(scipy.stats.t.sf(-2.1, dof), rel=1e-12)
