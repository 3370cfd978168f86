"""The e-process of a running experiment, against the mixture integrated by hand."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.integrate import quad

from analysis.alerts.evidence.concurrent import by_experiment, upper
from analysis.alerts.model import Cell, Comparison, Look, LookArm, Metric

AT = datetime(2026, 12, 1, 6, tzinfo=UTC)
RUNS = Comparison("experiment", "home_test", 1, "new", "control")


def look(control: Sequence[int], treated: Sequence[int], planned: float, kind: str = "add_to_cart") -> Look:
    metric: Metric = "revenue" if kind == "revenue" else "add_to_cart"

    def arm(values: Sequence[int]) -> LookArm:
        return LookArm(
            len(values),
            {metric: sum(v != 0 for v in values)},
            {metric: sum(values)},
            {metric: sum(v * v for v in values)},
        )

    return Look(RUNS, Cell("homepage"), AT, 0, {"control": arm(control), "new": arm(treated)}, planned)


def drawn(rate: float, units: int, seed: int) -> list[int]:
    return [int(v) for v in np.random.default_rng(seed).poisson(rate, units)]


def by_hand(control: Sequence[int], treated: Sequence[int], planned: float) -> float:
    """2 ∫₀^∞ N(θ; 0, x) exp(θ·z - θ²/2) dθ, z toward loss: Welch's, from the units themselves."""
    gap = float(np.mean(control)) - float(np.mean(treated))
    z = gap / math.sqrt(np.var(control, ddof=1) / len(control) + np.var(treated, ddof=1) / len(treated))
    x = 8 * (len(control) + len(treated)) / planned

    def density(theta: float) -> float:
        return math.exp(theta * z - theta * theta / 2 - theta * theta / (2 * x)) / math.sqrt(2 * math.pi * x)

    return 2 * float(quad(density, 0, 40, epsabs=1e-12)[0])


@pytest.mark.parametrize(("before", "after"), [(0.30, 0.26), (0.30, 0.30), (0.26, 0.30)])
def test_it_is_the_half_normal_mixture_over_losses(before: float, after: float) -> None:
    control, treated = drawn(before, 4_000, 1), drawn(after, 3_500, 2)
    found = by_experiment(look(control, treated, 12_000.0), "add_to_cart")
    assert found.kind == "e_process"
    assert (found.needed, found.most, found.waits_for) == (20.0, "page_fast", "")
    assert found.value == pytest.approx(by_hand(control, treated, 12_000.0), rel=1e-9)


def test_a_loss_is_found_and_the_same_gain_is_not() -> None:
    low, high = drawn(0.24, 6_000, 3), drawn(0.30, 6_000, 4)
    assert by_experiment(look(high, low, 12_000.0), "add_to_cart").met
    gain = by_experiment(look(low, high, 12_000.0), "add_to_cart")
    assert not gain.met
    assert gain.value < 0.3


def test_nothing_is_read_before_a_hundred_units_did_anything_in_each_arm() -> None:
    busy, idle = [1] * 400 + [0] * 600, [1] * 99 + [0] * 901
    found = by_experiment(look(busy, idle, 2_000.0), "add_to_cart")
    assert not found.met
    assert found.waits_for == "100 units with any add to cart in each arm: new has 99"
    assert upper(look(busy, idle, 2_000.0), "add_to_cart") is None
    assert by_experiment(look(busy, [1, *idle], 2_000.0), "add_to_cart").met


def test_a_metric_nobody_counted_and_an_arm_nobody_saw_wait_too() -> None:
    assert "control has 0" in by_experiment(look([1] * 500, [1] * 400 + [0] * 100, 900.0), "click").waits_for
    one_arm = Look(RUNS, Cell("homepage"), AT, 0, {}, 900.0)
    assert "new has 0" in by_experiment(one_arm, "click").waits_for
    assert not by_experiment(one_arm, "click").met


def test_units_that_all_do_the_same_are_no_evidence() -> None:
    found = by_experiment(look([1] * 200, [1] * 200, 900.0), "add_to_cart")
    assert not found.met
    assert found.waits_for == "every unit has the same value, so there is nothing to measure by"


def test_the_upper_bound_lies_below_zero_exactly_when_the_evidence_is_met() -> None:
    seen = set()
    for seed in range(60):
        at = look(drawn(0.30, 3_000, seed), drawn(0.27, 3_000, 1_000 + seed), 8_000.0)
        bound, found = upper(at, "add_to_cart"), by_experiment(at, "add_to_cart")
        assert bound is not None
        assert (bound < 0) == found.met
        seen.add(found.met)
    assert seen == {True, False}


def test_a_small_arm_borrows_the_variance_of_the_large_one() -> None:
    """400 against 4,000 units: the small arm's own variance happens to be a tenth, and is not believed."""
    large = [0] * 3_000 + [4, 12] * 500
    small = [1] * 130 + [0] * 270
    found = by_experiment(look(large, small, 9_000.0, "revenue"), "revenue")
    spread = np.var(large, ddof=1)
    assert np.var(small, ddof=1) < spread / 10
    z = (np.mean(large) - np.mean(small)) / math.sqrt(spread / 4_000 + spread / 400)
    x = 8 * 4_400 / 9_000
    phi = 0.5 * math.erfc(-z * math.sqrt(x / (1 + x)) / math.sqrt(2))
    assert found.value == pytest.approx(2 / math.sqrt(1 + x) * math.exp(x * z * z / (2 * (1 + x))) * phi, rel=1e-9)


def test_a_look_of_a_launch_is_refused() -> None:
    launch = Look(Comparison("launch", "h", 1, "served", "held_out"), Cell("homepage"), AT, 0, {}, 1.0)
    with pytest.raises(ValueError, match="a look of a launch; the e-process reads experiments"):
        by_experiment(launch, "click")
