import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.inference.effects import Sign, absolute, fieller, guardrail, guardrail_bound
from analysis.inference.result import Bounds, Contrast, Undetermined
from tests.helpers.contrasts import contrast_of, swapped

means = st.floats(0.01, 1e6)
errors = st.floats(0.01, 0.4)  # relative standard errors
correlations = st.floats(-0.5, 0.9)


@st.composite
def contrasts(draw: st.DrawFn) -> Contrast:
    m_c, m_t = draw(means), draw(means)
    assume(0.2 < m_t / m_c < 5)
    return contrast_of(m_c, m_t, se_c=m_c * draw(errors), se_t=m_t * draw(errors), rho=draw(correlations))


@given(c=contrasts(), k=st.floats(0.5, 2))
def test_fiellers_ends_are_the_ratios_that_the_test_just_keeps(c: Contrast, k: float) -> None:
    lift = fieller(c, k)
    assert isinstance(lift, Bounds)
    assert lift.lo is not None
    assert lift.hi is not None
    assert lift.lo <= lift.est <= lift.hi
    for r in (lift.lo + 1, lift.hi + 1):
        distance = abs(c.mean_t - r * c.mean_c)
        assert distance == pytest.approx(k * math.sqrt(c.v_tt - 2 * r * c.v_tc + r * r * c.v_cc), rel=1e-6)


@given(c=contrasts(), k=st.floats(0.5, 2))
def test_lift_and_difference_agree_on_zero(c: Contrast, k: float) -> None:
    """Δ = 0 lies in one interval exactly when it lies in the other."""
    lift, difference = fieller(c, k), absolute(c, k)
    assert isinstance(lift, Bounds)
    assert lift.lo is not None
    assert difference.lo is not None
    assert lift.hi is not None
    assert difference.hi is not None
    assume(min(abs(difference.lo), abs(difference.hi)) > 1e-9 * c.mean_c)
    assert (lift.lo > 0) == (difference.lo > 0)
    assert (lift.hi < 0) == (difference.hi < 0)


@given(c=contrasts(), k=st.floats(0.5, 2))
def test_swapping_arms_flips_the_difference_and_inverts_the_ratio(c: Contrast, k: float) -> None:
    back, there = absolute(swapped(c), k), absolute(c, k)
    assert (back.est, back.lo, back.hi) == (-there.est, -(there.hi or 0), -(there.lo or 0))
    lift, inverse = fieller(c, k), fieller(swapped(c), k)
    assert isinstance(lift, Bounds)
    assert isinstance(inverse, Bounds)
    assert inverse.lo is not None
    assert lift.hi is not None
    assert (1 + lift.est) * (1 + inverse.est) == pytest.approx(1)
    assert (1 + lift.hi) * (1 + inverse.lo) == pytest.approx(1, rel=1e-6)


@given(c=contrasts(), k=st.floats(0.5, 2), factor=st.sampled_from([1e-2, 7.0, 1e5]))
def test_another_currency_rescales_the_difference_and_leaves_the_lift(c: Contrast, k: float, factor: float) -> None:
    scaled = contrast_of(
        c.mean_c * factor,
        c.mean_t * factor,
        se_c=math.sqrt(c.v_cc) * factor,
        se_t=math.sqrt(c.v_tt) * factor,
        rho=c.v_tc / math.sqrt(c.v_cc * c.v_tt),
    )
    lift, same = fieller(c, k), fieller(scaled, k)
    assert isinstance(lift, Bounds)
    assert isinstance(same, Bounds)
    assert same.lo == pytest.approx(lift.lo, rel=1e-7, abs=1e-9)
    assert same.hi == pytest.approx(lift.hi, rel=1e-7, abs=1e-9)
    assert absolute(scaled, k).lo == pytest.approx((absolute(c, k).lo or 0) * factor, rel=1e-7, abs=1e-7 * factor)


def test_an_uncertain_control_has_no_lift_but_a_difference() -> None:
    c = contrast_of(10, 12, se_c=4, se_t=4)
    said = fieller(c, 2.5)
    assert isinstance(said, Undetermined)
    assert said.code == "control_uncertain"
    assert isinstance(fieller(c, 2.4), Bounds)
    assert absolute(c, 2.5).est == 2


@pytest.mark.parametrize("mean", [0.0, -3.0])
def test_a_control_at_or_below_zero_has_no_lift(mean: float) -> None:
    said = fieller(contrast_of(mean, 4, se_c=0.1, se_t=0.1), 2)
    assert isinstance(said, Undetermined)
    assert said.code == "control_not_positive"


@pytest.mark.parametrize(("sign", "limit"), [(1, 0.95), (-1, 1.05)])
def test_the_guardrail_measures_the_distance_to_its_limit(sign: Sign, limit: float) -> None:
    c = contrast_of(100, 102, se_c=1, se_t=2, rho=0.3)
    said = guardrail(c, sign=sign, margin=0.05)
    assert not isinstance(said, Undetermined)
    assert said.value == pytest.approx(sign * (102 - limit * 100))
    assert said.variance == pytest.approx(4 - 2 * limit * 0.6 + limit**2)


def test_an_absolute_margin_is_in_the_metrics_unit_and_needs_no_positive_control() -> None:
    c = contrast_of(0.0, 0.004, se_c=0.001, se_t=0.001)
    said = guardrail(c, sign=-1, margin_abs=0.01, margin=0.05)
    assert not isinstance(said, Undetermined)
    assert said.value == pytest.approx(0.006)
    assert said.variance == pytest.approx(c.variance)
    assert guardrail_bound(c, 2, sign=-1, scale="absolute") == Bounds(0.004, None, absolute(c, 2).hi)


def test_a_relative_margin_needs_a_control_above_zero() -> None:
    said = guardrail(contrast_of(0, 1, se_c=1, se_t=1), sign=1, margin=0.02)
    assert isinstance(said, Undetermined)
    assert said.code == "control_not_positive"


def test_a_guardrail_without_a_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        guardrail(contrast_of(1, 1, se_c=0.1, se_t=0.1), sign=1)


@given(c=contrasts(), k=st.floats(0.5, 2), margin=st.floats(0.01, 0.3), sign=st.sampled_from([1, -1]))
def test_the_drawn_bound_clears_the_limit_exactly_when_the_test_does(
    c: Contrast, k: float, margin: float, sign: Sign
) -> None:
    statistic, bound = guardrail(c, sign=sign, margin=margin), guardrail_bound(c, k, sign=sign, scale="relative")
    assert not isinstance(statistic, Undetermined)
    assert isinstance(bound, Bounds)
    assume(abs(statistic.z - k) > 1e-6)
    if sign == 1:
        assert bound.hi is None
        assert bound.lo is not None
        assert (bound.lo > -margin) == (statistic.z > k)
    else:
        assert bound.lo is None
        assert bound.hi is not None
        assert (bound.hi < margin) == (statistic.z > k)


def test_an_unbounded_guardrail_is_not_determined() -> None:
    c = contrast_of(10, 12, se_c=4, se_t=4)
    assert isinstance(guardrail_bound(c, 2.5, sign=1, scale="relative"), Undetermined)
    assert isinstance(guardrail_bound(replace(c, v_cc=1.0), 2.5, sign=1, scale="relative"), Bounds)
