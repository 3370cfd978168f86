"""Declarations: frozen, digested the same however they were written, exact where they are decimals."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.catalogue import shipped_metrics
from experiments.loading import parse, parse_yaml
from experiments.spec import (
    DEFINITION,
    Analysis,
    Assigned,
    Bound,
    Experiment,
    ExperimentMetrics,
    Fact,
    Guardrail,
    Metric,
    Phase,
    RelativeMateriality,
    SumOf,
    canonical,
    digest,
)
from tests.helpers.definitions import ASSIGNED, GOOD, assigned

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", max_size=3), inner, max_size=4),
)
columns = st.sampled_from(["quantity", "value", "discount"])
whole = st.integers(-(10**12), 10**12)
bounds = st.builds(Bound, gte=st.none() | whole, lte=st.none() | whole, gt=st.none() | whole, lt=st.none() | whole)
measures = st.sampled_from(["rows", "any"]) | st.builds(SumOf, sum=columns)
facts = st.builds(
    lambda where, measure: Fact.model_validate({"from": "order_lines", "where": where, "measure": measure}),
    where=st.dictionaries(
        columns, whole | st.lists(whole | st.booleans(), min_size=1, max_size=3) | bounds, max_size=2
    ),
    measure=measures,
)


def shuffled(value: object) -> object:
    """The same value with the keys of every mapping in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_the_canonical_form_comes_back_and_does_not_hang_on_key_order(value: object) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)
    assert digest(shuffled(value)) == digest(value)


@given(values, values)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (canonical(one) == canonical(other))


def test_what_json_cannot_say_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


@given(facts)
def test_a_fact_comes_back_from_its_canonical_form(fact: Fact) -> None:
    again = Fact.model_validate_json(canonical(fact.model_dump(mode="json", by_alias=True)))
    assert again == fact
    assert again.digest() == fact.digest()


@given(st.decimals("0.000000001", "0.999999999", places=9))
def test_an_exact_decimal_keeps_its_digits(value: Decimal) -> None:
    declared = RelativeMateriality(relative=value)
    again = RelativeMateriality.model_validate_json(canonical(declared.model_dump(mode="json")))
    assert again.relative == value
    assert "E" not in canonical(declared.model_dump(mode="json"))


@pytest.mark.parametrize("wrong", [0.1, True, "1e-1", "a tenth", "NaN", " 0.1", "0", "1", "-0.1"])
def test_a_share_is_an_exact_decimal_between_0_and_1(wrong: object) -> None:
    with pytest.raises(ValidationError):
        RelativeMateriality.model_validate({"relative": wrong})


def test_the_same_definition_written_in_another_order_has_the_same_digest() -> None:
    blocks = GOOD.split("\n")
    moved = "\n".join([*blocks[3:5], *blocks[:3], *blocks[5:]])
    digests = []
    for text in (GOOD, moved):
        document, _ = parse_yaml(text)
        assert document is not None
        experiment, problems = parse(Experiment, document)
        assert experiment is not None, problems
        digests.append(experiment.digest())
    assert moved != GOOD
    assert digests[0] == digests[1]


def test_every_shipped_metric_comes_back_from_its_canonical_form() -> None:
    for metric in shipped_metrics().values():
        assert Metric.model_validate_json(canonical(metric.model_dump(mode="json", by_alias=True))) == metric


@pytest.mark.parametrize(
    ("key", "scale"),
    [
        ("revenue_per_unit", Fraction(100)),
        ("aov", Fraction(100)),
        ("return_value_rate", Fraction(1)),
        ("conversion", Fraction(1)),
        ("latency_per_slate", Fraction(1)),
    ],
)
def test_a_metric_knows_by_what_its_whole_numbers_are_divided(key: str, scale: Fraction) -> None:
    assert shipped_metrics()[key].scale(2) == scale


def test_a_cost_in_micros_is_divided_by_a_million_whatever_the_currency() -> None:
    cost = Metric.model_validate(
        {
            "key": "cost",
            "label": "Cost",
            "kind": "mean",
            "numerator": {"from": "slates", "measure": {"sum": "cost_micros"}},
            "value_unit": "money",
            "direction": "decrease",
        }
    )
    assert cost.scale(3) == 10**6


def test_equal_facts_are_one_column_and_another_window_is_another() -> None:
    metrics = shipped_metrics()
    revenue, aov, net = (metrics[key].facts(None)[0] for key in ("revenue_per_unit", "aov", "net_revenue_per_unit"))
    assert revenue.key == aov.key
    assert revenue.key != net.key
    assert revenue.key != metrics["revenue_per_unit"].facts(7)[0].key
    assert revenue.pre_key == f"x_{revenue.key[2:]}"


def test_only_slates_and_interactions_have_a_scope() -> None:
    metric = shipped_metrics()["revenue_per_slate"]
    assert [fact.scope for fact in metric.facts(None)] == ["site", "module"]


# --- what truelift assigns ------------------------------------------------------------------------------------


def test_a_definition_assigned_elsewhere_is_stored_as_it_always_was() -> None:
    document, _ = parse_yaml(GOOD)
    assert document is not None
    experiment, _ = parse(Experiment, document)
    assert experiment is not None
    assert experiment.digest() == "9738bb76687c7484ad6d9157eb23deecb848b83df129b1b021e6d814528e584d"


def own(text: str) -> Assigned:
    document, _ = parse_yaml(text)
    assert document is not None
    experiment, problems = parse(Assigned, document)
    assert experiment is not None, problems
    return experiment


def test_a_margin_or_a_materiality_of_the_definition_goes_before_the_metrics_own() -> None:
    metric = shipped_metrics()["return_rate"].model_copy(update={"materiality": Decimal("0.01")})
    assert metric.guardrail_margin is not None
    plain, relative, absolute = (
        ExperimentMetrics(success=("aov",), guardrails=(Guardrail.model_validate({"metric": metric.key, **given}),))
        for given in ({}, {"margin": "0.2"}, {"margin_abs": "3"})
    )
    assert plain.margins(metric) == (metric.guardrail_margin, None)
    assert relative.margins(metric) == (Decimal("0.2"), None)
    assert absolute.margins(metric) == (None, Decimal(3))
    assert plain.margins(metric.model_copy(update={"guardrail_margin": None})) == (None, None)
    asked = RelativeMateriality(relative=Decimal("0.3"))
    assert (Analysis().material(metric), Analysis(materiality={metric.key: asked}).material(metric)) == (
        Decimal("0.01"), Decimal("0.3"),
    )  # fmt: skip


def test_a_definition_comes_back_as_what_it_was() -> None:
    first = own(ASSIGNED)
    again = DEFINITION.validate_json(canonical(first.model_dump(mode="json", by_alias=True)))
    assert again == first
    assert isinstance(again, Assigned)
    assert again.assigned_by == "truelift"
    assert again.flag_key == ("rec.homepage",)
    assert again.splits == ((0, 5000), (5000, 10_000))


def test_a_phase_keeps_which_assignment_it_was() -> None:
    first = own(ASSIGNED)
    phase = Phase(
        number=1, experiment=first, metrics={}, slices=(), started_at=first.schedule.start_at, planned_units=10
    )
    again = Phase.model_validate_json(canonical(phase.model_dump(mode="json", by_alias=True)))
    assert again == phase
    assert isinstance(again.experiment, Assigned)


def test_equal_weights_are_written_out_exactly() -> None:
    text = assigned(('weight: "0.5"', "weight: equal"), ("  - {key: als_v2,", "  - {key: third, weight: equal, strategy: als}\n  - {key: als_v2,"))  # fmt: skip  # noqa: E501
    three = own(text)
    assert [variant.weight for variant in three.variants] == ["0.3334", "0.3333", "0.3333"]
    assert three.splits[-1] == (6667, 10_000)


def test_nobody_takes_part_before_a_ramp_begins() -> None:
    assert own(ASSIGNED).first_traffic_bp == 0
    flat = ASSIGNED.split("ramp:")[0] + "schedule:" + ASSIGNED.split("schedule:")[1]
    assert own(flat).first_traffic_bp == 2500
