import numpy as np
import pytest

from analysis.inference.metrics import MetricPlan, functional, plan, value
from analysis.inference.moments import Moments
from analysis.inference.result import Undetermined
from experiments.spec import SEEN_BEFORE, Metric
from tests.helpers.units import AOV, CONVERSION, REVENUE, moments_of

LINES = {"from": "order_lines"}


def metric(key: str, **changes: object) -> Metric:
    entry: dict[str, object] = {
        "key": key,
        "label": key,
        "kind": "mean",
        "numerator": {**LINES, "measure": {"sum": "value"}},
        "value_unit": "money",
        "direction": "increase",
    }
    return Metric.model_validate({**entry, **changes})


REVENUE_METRIC = metric("revenue_per_unit")
AOV_METRIC = metric("aov", kind="ratio", denominator={**LINES, "measure": {"distinct": "order_id"}})


def test_own_covariates_are_the_pre_period_twins_and_seen_before() -> None:
    made = plan(AOV_METRIC, {}, None)
    numerator, denominator = AOV_METRIC.facts(None)
    assert made.facts == (numerator.key, denominator.key)
    assert made.covariates == (numerator.pre_key, denominator.pre_key, SEEN_BEFORE)
    assert made.gate_fact == denominator.key
    assert plan(REVENUE_METRIC, {}, None).gate_fact == REVENUE_METRIC.facts(None)[0].key


def test_named_covariates_are_the_twins_of_those_metrics_once_each() -> None:
    named = metric("net", covariates=["revenue_per_unit", "aov"])
    made = plan(named, {"revenue_per_unit": REVENUE_METRIC, "aov": AOV_METRIC}, None)
    assert made.covariates == (*(fact.pre_key for fact in AOV_METRIC.facts(None)), SEEN_BEFORE)
    with pytest.raises(KeyError):
        plan(named, {}, None)


def test_no_covariates_and_the_window_of_the_population() -> None:
    assert plan(metric("plain", covariates="none"), {}, None).covariates == ()
    assert plan(metric("plain"), {}, 14).window_days == 14
    assert plan(metric("plain", window_days=3), {}, 14).window_days == 3


def test_equal_facts_have_one_key() -> None:
    def keys(*metrics: Metric) -> list[str]:
        return list(dict.fromkeys(fact.key for one in metrics for fact in one.facts(None)))

    assert keys(REVENUE_METRIC, AOV_METRIC) == [fact.key for fact in AOV_METRIC.facts(None)]
    assert len(keys(REVENUE_METRIC, metric("week", window_days=7))) == 2


def arm() -> Moments:
    return moments_of({"revenue": np.array([0, 500, 1300, 0]), "orders": np.array([0, 1, 2, 0])})


def test_values_are_one_division_of_whole_numbers() -> None:
    assert value(arm(), REVENUE) == 1800 / 4
    assert value(arm(), AOV) == 1800 / 3


def test_a_ratios_weights_are_its_gradient() -> None:
    found = functional(arm(), AOV)
    assert not isinstance(found, Undetermined)
    names, weights = found
    assert names == ("revenue", "orders")
    revenue, orders = 1800 / 4, 3 / 4
    np.testing.assert_allclose(weights, [1 / orders, -revenue / orders**2], rtol=1e-15)


def test_a_mean_weighs_its_fact_by_one() -> None:
    found = functional(arm(), REVENUE)
    assert not isinstance(found, Undetermined)
    assert found[0] == ("revenue",)
    assert found[1].tolist() == [1.0]


@pytest.mark.parametrize("plan", [REVENUE, CONVERSION, AOV])
def test_an_arm_without_units_has_no_value(plan: MetricPlan) -> None:
    said = value(Moments(0), plan)
    assert isinstance(said, Undetermined)
    assert said.code == "too_few_units"
    assert "no units" in said.words


def test_one_unit_has_a_value_but_no_variance() -> None:
    one = moments_of({"revenue": np.array([500]), "orders": np.array([1])})
    assert value(one, REVENUE) == 500
    said = functional(one, REVENUE)
    assert isinstance(said, Undetermined)
    assert said.code == "too_few_units"


def test_a_zero_denominator_is_not_determined() -> None:
    none = moments_of({"revenue": np.array([0, 0]), "orders": np.array([0, 0])})
    for said in (value(none, AOV), functional(none, AOV)):
        assert isinstance(said, Undetermined)
        assert said.code == "zero_denominator"
