"""Planned sizes against statsmodels, against closed forms, and by experiments of that size whose truth is known."""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from analysis.inference.decision import Question, read
from analysis.inference.designs import critical_value
from analysis.inference.effects import Sign
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.planning import (
    Accrual,
    Effect,
    Noise,
    Trial,
    noise,
    power,
    shared_power,
    smallest_effect,
    success_level,
    units_needed,
)
from analysis.inference.result import Contrast, Undetermined
from tests.helpers.effort import scaled
from tests.helpers.units import AOV, CONVERSION, REVENUE, Shop, draws_of, moments_of

EQUAL = Trial(0.5, 0.5, 0.025, 0.8, "fixed")
LIN = ESTIMATORS["lin"]


def plain(d: float) -> Noise:
    """Units in which a lift of 1 % is d standard deviations."""
    return Noise(mean=100.0, residual=1 / d**2, explained=0.0, nonzero=1.0, rank=0)


@pytest.mark.parametrize("d", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("level", [0.05, 0.025, 0.01 / 6])
@pytest.mark.parametrize("wanted", [0.8, 0.95])
def test_a_fixed_test_of_two_equal_arms_is_statsmodels_t_test(d: float, level: float, wanted: float) -> None:
    trial, effect = replace(EQUAL, level=level, power=wanted), Effect("lift", 0.01, 1)
    exact = TTestIndPower().solve_power(effect_size=d, alpha=level, power=wanted, alternative="larger")
    needed = units_needed(plain(d), effect, trial)
    assert needed is not None
    assert -1e-6 * exact <= needed - 2 * exact <= 1 + 1e-6 * exact
    theirs = TTestIndPower().power(d, exact / 3, level, alternative="larger")
    assert power(plain(d), effect, trial, 2 * exact / 3) == pytest.approx(theirs, rel=1e-6)
    assert smallest_effect(plain(d), effect, trial, 2 * exact) == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 3.0, 0.25])
def test_an_always_valid_test_is_a_normal_test_at_its_own_k(ratio: float) -> None:
    k, d = critical_value(1.0, 0.025, sides="one"), 0.05
    shares = 1 / (1 + ratio), ratio / (1 + ratio)  # ratio: treatment over control
    trial = Trial(*shares, 0.025, 0.9, "always_valid")
    theirs = NormalIndPower().solve_power(effect_size=d, alpha=norm.sf(k), power=0.9, ratio=ratio, alternative="larger")
    assert units_needed(plain(d), Effect("lift", 0.01, 1), trial) == math.ceil(theirs * (1 + ratio) * (1 - 1e-9))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("design", ["always_valid", "fixed"])
def test_a_margin_in_closed_form_with_covariates_and_three_unequal_arms(
    sign: Sign, design: Literal["always_valid", "fixed"]
) -> None:
    """n = (k + z)² [e/s_t + r² e/s_c + (1-r)² h/(s_t + s_c)] / (M m)², all of it with its own numbers."""
    of = Noise(mean=2.0, residual=9.0, explained=4.0, nonzero=0.5, rank=2)
    trial, margin = Trial(0.5, 0.2, 0.05, 0.9, design), 0.03
    r = 1 - sign * margin
    variance = 9 / 0.2 + r * r * 9 / 0.5 + (1 - r) ** 2 * 4 / 0.7
    k = critical_value(1.0, 0.05, sides="one") if design == "always_valid" else float(norm.isf(0.05))
    closed = (k + float(norm.ppf(0.9))) ** 2 * variance / (margin * 2.0) ** 2
    needed = units_needed(of, Effect("margin", margin, sign), trial)
    assert needed is not None
    tolerance = 1e-9 if design == "always_valid" else 1e-4  # Student's t with thousands of degrees of freedom
    assert needed == pytest.approx(closed, rel=tolerance, abs=1)
    assert smallest_effect(of, Effect("margin", 0.5, sign), trial, needed) == pytest.approx(margin, rel=1e-4)


def test_a_margin_of_2_per_cent_on_a_return_rate_of_8_per_cent_needs_12_million_units_an_arm() -> None:
    """Where 3 % of units order, once each: one look, one-sided 5 %, a power of 80 % that it shares with nothing."""
    of = Noise(mean=0.08, residual=0.08 * 0.92 / 0.03, explained=0.0, nonzero=0.03, rank=0)
    worse = Effect("margin", 0.02, -1)
    needed = units_needed(of, worse, Trial(0.5, 0.5, 0.05, 0.8, "fixed"))
    assert needed is not None
    assert needed / 2 == pytest.approx(12.09e6, rel=1e-3)
    assert needed / 2 * 0.03 == pytest.approx(363_000, rel=1e-3)  # orders
    beside_success = units_needed(of, worse, Trial(0.5, 0.5, 0.05, shared_power(0.8, 1), "fixed"))
    assert beside_success is not None
    assert beside_success / 2 == pytest.approx(16.75e6, rel=1e-3)
    every_day = units_needed(of, worse, Trial(0.5, 0.5, 0.05, shared_power(0.8, 1), "always_valid"))
    assert every_day is not None
    assert every_day / 2 == pytest.approx(32.07e6, rel=1e-3)


def test_levels_and_powers_are_shared() -> None:
    assert success_level(0.05, 1) == 0.025
    assert success_level(0.05, 4) == pytest.approx(0.05 / 2 / 4)
    assert shared_power(0.8, 0) == pytest.approx(0.8)
    assert shared_power(0.8, 3) == pytest.approx(0.95)


def test_nothing_is_settled_before_the_gate_or_beyond_all_of_it() -> None:
    of = Noise(mean=1.0, residual=1e-6, explained=0.0, nonzero=0.01, rank=0)
    lift = Effect("lift", 0.5, 1)
    assert units_needed(of, lift, EQUAL) == 20_000  # 100 non-zero units an arm
    assert power(of, lift, EQUAL, 19_999) == 0
    assert power(of, lift, EQUAL, 20_000) == 1
    assert smallest_effect(of, lift, EQUAL, 19_999) is None
    wild = replace(of, residual=1e9)
    assert smallest_effect(wild, Effect("margin", 0.1, 1), EQUAL, 20_000) is None
    assert units_needed(wild, Effect("margin", 1e-6, 1), EQUAL) is None


def test_an_absolute_margin_does_not_need_the_controls_mean() -> None:
    of = plain(0.05)
    lift = units_needed(of, Effect("lift", 0.01, 1), EQUAL)
    assert units_needed(of, Effect("margin_abs", 1.0, -1), EQUAL) == lift
    assert smallest_effect(of, Effect("margin_abs", 5.0, -1), EQUAL, lift or 0) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("plan", [REVENUE, CONVERSION, AOV])
def test_the_noise_of_a_unit_gives_the_variance_the_estimator_reports(plan: MetricPlan) -> None:
    rng = np.random.default_rng(5)
    names = (*plan.facts, *plan.covariates)
    control, treatment = (moments_of(Shop().units(rng, (20_000,), names)) for _ in range(2))
    found, of = LIN(control, treatment, plan), noise(control, plan, LIN)
    assert isinstance(found, Contrast)
    assert isinstance(of, Noise)
    assert of.mean == pytest.approx(found.raw_c, rel=1e-12)
    assert found.variance == pytest.approx(2 * of.residual / 20_000, rel=0.1)  # the treatment arm has its own e
    assert found.v_tc == pytest.approx(of.explained / 40_000, abs=0.03 * found.variance)
    assert of.nonzero == found.nonzero_c / 20_000
    bare = noise(control, plan, ESTIMATORS["unadjusted"])
    assert isinstance(bare, Noise)
    assert bare.explained == pytest.approx(0, abs=1e-12)
    assert bare.residual > of.residual  # covariates save units


def test_no_noise_without_a_mean_or_units() -> None:
    bare = MetricPlan("m", "mean", "y", None, (), None)
    assert isinstance(noise(Moments(1, {"y": 1}, {("y", "y"): 1}, {"y": 1}), bare, LIN), Undetermined)
    below = noise(moments_of({"y": np.array([-3, 1, -2])}), bare, LIN)
    assert isinstance(below, Undetermined)
    assert below.code == "control_not_positive"


def test_days_are_read_off_the_curve_and_beyond_it_go_on_at_the_pace_of_its_last_week() -> None:
    slowing = Accrual(tuple((day, 1000 + 100 * day) for day in range(1, 15)))
    assert slowing.days(1) == 1
    assert slowing.days(2400) == 14
    assert slowing.days(2401) == 15
    assert slowing.days(3400) == 24  # 100 a day; the plain rate, 171 a day, would have said 20
    assert Accrual(((5, 1000),)).days(2000) == 10  # without a series
    sent_at_once = Accrual(tuple((day, 1000) for day in range(1, 15)))
    assert sent_at_once.days(1000) == 1
    assert sent_at_once.days(1001) is None
    assert Accrual(()).days(1) is None


@pytest.mark.parametrize("design", ["always_valid", "fixed"])
@pytest.mark.parametrize(
    ("plan", "effect"), [(REVENUE, Effect("lift", 0.3, 1)), (AOV, Effect("margin", 0.12, 1))], ids=["lift", "margin"]
)
def test_the_planned_power_is_reached(
    plan: MetricPlan, effect: Effect, design: Literal["always_valid", "fixed"]
) -> None:
    """Unequal arms of the planned size, drawn again and again, decided as a readout decides; ± Monte-Carlo error.

    Every treated unit truly brings `size` of the mean more, or for the margin nothing: no arm varies more than another.
    Orders are skewed and zero-inflated, but not so heavy-tailed that 200,000 units of history leave the noise open.
    """
    shop = Shop(active=0.8, shape=3.0, sigma=0.5)
    rng, names, draws = np.random.default_rng(11), (*plan.facts, *plan.covariates), scaled(400, 4000)
    of = noise(moments_of(shop.units(rng, (200_000,), names)), plan, LIN)
    assert isinstance(of, Noise)
    lift = effect.kind == "lift"
    trial = Trial(0.6, 0.4, 0.025 if lift else 0.05, 0.8, design)
    needed = units_needed(of, effect, trial)
    assert needed is not None
    arms = round(needed * 0.6), round(needed * 0.4)
    control, treatment = (shop.units(rng, (draws, n), names) for n in arms)
    if lift:
        treatment["revenue"] += round(effect.size * shop.truth("revenue"))
    settled = 0
    for c, t in zip(draws_of(control), draws_of(treatment), strict=True):
        question = Question(
            metric="m", arm="t", role="success" if lift else "guardrail", sign=1, contrast=LIN(c, t, plan),
            fraction=1.0, margin=None if lift else effect.size,
        )  # fmt: skip
        look: Literal["always_valid", "planned_look"] = "always_valid" if design == "always_valid" else "planned_look"
        settled += read([question], alpha=0.05, look=look)["m", "t"].status == ("better" if lift else "cleared")
    error = 3 * math.sqrt(0.8 * 0.2 / draws)
    assert 0.8 - error - 0.02 <= settled / draws <= 0.8 + error + 0.02
