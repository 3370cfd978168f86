import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import chi2

from analysis.health.pre_period import PrePeriod, pre_period
from analysis.inference.designs import e_value
from analysis.inference.moments import Moments
from analysis.inference.result import Undetermined
from tests.helpers.units import moments_of

REFERENCE = Path(__file__).parents[2] / "reference"
SAID = json.loads((REFERENCE / "inference.json").read_text())
UNITS = pd.read_csv(REFERENCE / "units.csv")
BEFORE = ("pre_orders", "pre_revenue", "seen")


def of(rows: pd.DataFrame) -> Moments:
    return moments_of({name: rows[name].to_numpy() for name in BEFORE})


def said(result: PrePeriod | Undetermined) -> PrePeriod:
    assert isinstance(result, PrePeriod)
    return result


def halves() -> dict[str, Moments]:
    return {arm: of(UNITS[UNITS["arm"] == arm]) for arm in ("control", "treatment")}


def test_two_arms_are_statsmodels_hotelling() -> None:
    result = said(pre_period(halves(), BEFORE, 1.0))
    assert result.statistic == pytest.approx(SAID["hotelling_two_arms"]["t2"], rel=1e-9)
    assert result.dimension == 3
    assert result.p == pytest.approx(min(1, 1 / result.e))


def test_three_arms_are_the_hotelling_lawley_trace() -> None:
    arms = {str(i): of(UNITS.iloc[i::3]) for i in range(3)}
    result = said(pre_period(arms, BEFORE, 1.0))
    assert result.statistic == pytest.approx(SAID["hotelling_three_arms"]["t2"], rel=1e-9)
    assert result.dimension == 6


def test_one_covariate_and_two_arms_is_the_e_process_of_every_other_test() -> None:
    result = said(pre_period(halves(), ("pre_orders",), 0.7))
    assert result.e == pytest.approx(e_value(math.sqrt(result.statistic), 0.7, sides="two"), rel=1e-12)


@pytest.mark.parametrize("d", [1, 3, 10])
def test_its_evidence_averages_one_in_any_dimension(d: int) -> None:
    x = 8 * 0.5
    mean, _ = quad(
        lambda t2: (1 + x) ** (-d / 2) * math.exp(x * t2 / (2 * (1 + x))) * chi2.pdf(t2, d), 0, 600, limit=200
    )
    assert mean == pytest.approx(1, abs=1e-8)


def test_alike_arms_pass_and_a_planted_difference_does_not() -> None:
    rng = np.random.default_rng(6)
    alike = [pd.DataFrame(rng.poisson(2.0, (4000, 3)), columns=list(BEFORE)) for _ in range(2)]
    off = alike[1].assign(pre_revenue=lambda frame: frame["pre_revenue"] + rng.binomial(1, 0.2, 4000))
    healthy = said(pre_period({"a": of(alike[0]), "b": of(alike[1])}, BEFORE, 1.0))
    broken = said(pre_period({"a": of(alike[0]), "b": of(off)}, BEFORE, 1.0))
    assert healthy.p > 0.01
    assert broken.p < 0.001
    worst = broken.differences["b"]
    assert max(worst, key=lambda name: abs(worst[name])) == "pre_revenue"
    assert worst["pre_revenue"] == pytest.approx(0.2 / math.sqrt(2) / 2, abs=0.03)


def test_false_alarms_over_daily_looks_stay_below_one_percent() -> None:
    rng = np.random.default_rng(12)
    alarms = 0
    for _ in range(400):
        arms = {"a": Moments(0), "b": Moments(0)}
        worst = 0.0
        for day in range(1, 15):
            for arm in arms:
                arms[arm] += moments_of({name: rng.poisson(0.6, 60) for name in ("x", "y")})
            result = pre_period(arms, ("x", "y"), day / 14)
            worst = max(worst, result.e if isinstance(result, PrePeriod) else 0.0)
        alarms += worst >= 100
    assert alarms <= 12  # binomial 99.9 % bound around 1 % of 400


def test_the_order_and_unit_of_covariates_do_not_matter() -> None:
    again = {arm: Moments(m.n, m.sums, m.products, m.nonzero) for arm, m in halves().items()}
    forward, backward = said(pre_period(again, BEFORE, 1.0)), said(pre_period(again, BEFORE[::-1], 1.0))
    assert forward.statistic == pytest.approx(backward.statistic, rel=1e-9)
    twice = {
        arm: of(UNITS[UNITS["arm"] == arm].assign(pre_revenue=lambda f: f["pre_revenue"] * 10**6)) for arm in again
    }
    assert said(pre_period(twice, BEFORE, 1.0)).statistic == pytest.approx(forward.statistic, rel=1e-9)


def test_rare_covariates_are_left_out_and_named() -> None:
    rare = UNITS.assign(seen=(np.arange(len(UNITS)) % 10 == 0).astype(int))
    arms = {arm: of(rare[rare["arm"] == arm]) for arm in ("control", "treatment")}
    result = said(pre_period(arms, BEFORE, 1.0))
    assert result.left_out == ("seen",)
    assert result.covariates == ("pre_orders", "pre_revenue")


def test_where_non_zero_units_were_not_counted_their_lower_bound_opens_the_gate() -> None:
    def uncounted(rows: pd.DataFrame) -> Moments:
        moments = of(rows)
        return Moments(moments.n, moments.sums, moments.products, {})

    thrice = pd.concat([UNITS] * 3)
    arms = {arm: thrice[thrice["arm"] == arm] for arm in ("control", "treatment")}
    counted = said(pre_period({arm: of(rows) for arm, rows in arms.items()}, BEFORE, 1.0))
    assert said(pre_period({arm: uncounted(rows) for arm, rows in arms.items()}, BEFORE, 1.0)) == counted
    one_rich = {
        arm: rows.assign(pre_revenue=np.where(np.arange(len(rows)) == 0, 10**9, 1)) for arm, rows in arms.items()
    }
    result = said(pre_period({arm: uncounted(rows) for arm, rows in one_rich.items()}, BEFORE, 1.0))
    assert result.left_out == ("pre_revenue",)


def test_nothing_to_compare_is_not_determined() -> None:
    zero = Moments(500, dict.fromkeys(BEFORE, 0), {(a, b): 0 for a in BEFORE for b in BEFORE}, dict.fromkeys(BEFORE, 0))
    for result, code in (
        (pre_period({"a": zero, "b": zero}, BEFORE, 1.0), "too_few_covariates"),
        (pre_period({"a": zero, "b": zero}, (), 1.0), "too_few_covariates"),
        (pre_period({"a": zero, "b": Moments(0)}, BEFORE, 1.0), "too_few_units"),
        (pre_period({"a": zero}, BEFORE, 1.0), "too_few_units"),
    ):
        assert isinstance(result, Undetermined)
        assert result.code == code


def test_a_look_needs_units() -> None:
    with pytest.raises(ValueError, match=r"n/n\*"):
        pre_period(halves(), BEFORE, 0.0)
