import copy
import json
from collections.abc import Mapping
from typing import cast

import pytest

from assignment.bundle import compile_bundle
from experiments.errors import DefinitionError, Problem
from tests.helpers.bundles import Document, arm, bundle, experiment, holdout, layer


def problems(document: Mapping[str, object]) -> list[Problem]:
    with pytest.raises(DefinitionError) as refused:
        compile_bundle(document)
    return list(refused.value.problems)


def codes(document: Mapping[str, object]) -> set[str]:
    return {problem.code for problem in problems(document)}


def test_a_whole_document_compiles() -> None:
    made = compile_bundle(bundle(experiment(holdouts=["global"]), holdouts=[holdout()]))
    assert made.config_version == 7
    assert set(made.slots) == {"rec.homepage"}
    assert set(made.plans) == {"home"}
    assert made.plans["home"].split_ends == (5_000, 10_000)


def test_traffic_may_stay_where_it_is() -> None:
    assert compile_bundle(bundle(experiment(traffic=[step(2, 10), step(3, 10)]))).plans["home"].traffic[0][1] == 10


def test_the_document_is_not_changed_and_not_kept() -> None:
    document = bundle(experiment(variants=[arm("control", 0, 5_000, days=14), arm("als", 5_000, 10_000)]))
    before = copy.deepcopy(document)
    made = compile_bundle(document)
    cast("list[Document]", document["experiments"])[0]["variants"] = []
    assert made.plans["home"].control.params == {"days": 14}
    assert before != document


def test_every_problem_is_said_at_once() -> None:
    document = bundle(
        experiment(
            layer={"key": "homepge", "ranges": [[5, 5]]},
            holdouts=["globl"],
            variants=[arm("als", 0, 4_000), arm("tower", 4_500, 9_000)],
            targeting={"all": [{"attribute": "a", "operator": "GT", "value": "1"}]},
            overrides=[{"unit_id": " qa", "variant": "alz"}],
        ),
        holdouts=[holdout(salt="No")],
    )
    found = problems(document)
    assert {problem.code for problem in found} == {
        "unknown_layer", "range", "unknown_holdout", "no_control", "weights_sum", "targeting_type", "unit_id",
        "unknown_variant", "key_format",
    }  # fmt: skip
    near = {problem.value: problem.nearest for problem in found if problem.nearest}
    assert near["globl"] == ("global",)
    assert near["homepge"] == ("homepage",)


def step(day: int, bp: int) -> Document:
    return {"at": f"2026-12-{day:02d}T00:00:00Z", "bp": bp}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"variants": [arm("control", 0, 5_000), arm("als", 5_000, 9_999)]}, "weights_sum"),
        ({"variants": [arm("control", 0, 5_000), arm("als", 4_999, 10_000)]}, "weights_sum"),
        ({"variants": [arm("control", 0, 0), arm("als", 0, 10_000)]}, "weights_sum"),
        ({"variants": [arm("als", 0, 10_000)]}, "no_control"),
        ({"variants": [arm("control", 0, 5_000), arm("control", 5_000, 10_000)]}, "no_control"),
        ({"variants": []}, "no_control"),
        ({"variants": [arm("control", 0, 10_001)]}, "out_of_range"),
        ({"hash_version": "murmur"}, "unknown_value"),
        ({"salt": "home-als"}, "key_format"),
        ({"salt": "x" * 96}, "key_format"),
        ({"salt": "layer.homepage"}, "salt_collision"),
        ({"unit_type": "session"}, "unit_mismatch_layer"),
        ({"flag_keys": ["rec.hompage"]}, "flag_conflict"),
        ({"flag_keys": ["rec.homepage", "rec.homepage"]}, "duplicate_key"),
        ({"layer": {"key": "homepage", "ranges": [[0, 10], [9, 20]]}}, "range"),
        ({"layer": {"key": "homepage", "ranges": [[0]]}}, "too_few"),
        ({"layer": {"key": "homepage", "ranges": [[0, 10.5]]}}, "wrong_type"),
        ({"traffic": [step(2, 10), step(3, 9)]}, "ramp_decreasing"),
        ({"traffic": [step(2, 1), step(1, 9)]}, "schedule_order"),
        ({"traffic": [{"at": "2026-12-02T00:00:00", "bp": 1}]}, "naive_time"),
        ({"prerequisites": [{"experiment": "home", "variants": ["alz"]}]}, "unknown_variant"),
        ({"prerequisites": [{"experiment": "home", "variants": []}]}, "too_few"),
        ({"overrides": [{"unit_id": "a", "variant": "als"}, {"unit_id": "a", "variant": "control"}]}, "duplicate_key"),
        ({"state": "runing"}, "unknown_value"),
        ({"killed": "no"}, "wrong_type"),
        ({"colour": "red"}, "unknown_field"),
        ({"phase": 0}, "out_of_range"),
    ],
)  # fmt: skip
def test_an_experiment_that_cannot_assign_is_refused(changed: Mapping[str, object], code: str) -> None:
    assert code in codes(bundle(experiment(**changed)))


def test_every_condition_that_cannot_be_compared_is_named() -> None:
    conditions: list[Document] = [
        {"attribute": "a", "operator": "EQ", "value": ["x"]},
        {"attribute": "a", "operator": "ONE_OF", "value": []},
        {"attribute": "a", "operator": "GT", "value": "5"},
        {"attribute": "a", "operator": "MATCHES", "value": "(a)\\1"},
        {"attribute": "a", "operator": "IS_NULL", "value": 1},
        {"any": [{"attribute": "a", "operator": "MATCHES", "value": "("}]},
        {"attribute": "a", "operator": "EQ", "value": "fine"},
    ]
    found = problems(bundle(experiment(targeting={"all": conditions})))
    assert {problem.code for problem in found} == {"targeting_type"}
    assert [problem.path.removeprefix("experiments[0].targeting.all") for problem in found] == [
        *(f"[{index}].value" for index in range(5)),
        "[5].any[0].value",
    ]


@pytest.mark.parametrize(
    "targeting",
    [
        {},
        {"all": [], "any": []},
        {"all": "x"},
        {"none": []},
        {"all": [{"operator": "EQ", "value": 1}]},
        {"all": [{"attribute": "a", "operator": "IS", "value": 1}]},
        {"all": [{"attribute": "a", "operator": "EQ", "value": 1, "negate": True}]},
    ],
)
def test_targeting_of_another_shape_is_refused(targeting: Mapping[str, object]) -> None:
    assert all(
        problem.path.startswith("experiments[0].targeting")
        for problem in problems(bundle(experiment(targeting=targeting)))
    )


def test_live_experiments_of_one_layer_may_not_share_buckets() -> None:
    def both(state: str) -> Document:
        other = experiment(key="other", state=state, layer={"key": "homepage", "ranges": [[5_999, 7_000]]})
        return bundle(experiment(layer={"key": "homepage", "ranges": [[0, 6_000]]}), other)

    [problem] = problems(both("paused"))
    assert (problem.code, problem.value) == ("layer_overlap", [5_999, 6_000])
    assert "home [0, 6000) and other [5999, 7000)" in problem.message
    assert compile_bundle(both("stopped"))


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (bundle(experiment(), experiment(salt="other.1")), "duplicate_key"),
        (bundle(layers=[layer(), {**layer(), "salt": "layer.other"}]), "duplicate_key"),
        (bundle(layers=[layer(), layer("pdp", "user", "rec.homepage")]), "duplicate_key"),
        (bundle(layers=[layer(), {**layer("pdp"), "modules": ["pdp", "homepage"]}]), "duplicate_key"),
        (bundle(layers=[{**layer(), "modules": ["pdp"]}]), "unknown_module"),
        (bundle(holdouts=[holdout(), holdout(salt="holdout.other")]), "duplicate_key"),
        (bundle(holdouts=[holdout(buckets=[[500, 100]])]), "range"),
        (bundle(holdouts=[holdout(salt="layer.homepage")]), "salt_collision"),
        ({**bundle(), "schema": "bundle.v2"}, "unknown_value"),
        ({**bundle(), "config_version": -1}, "out_of_range"),
        ({}, "missing_field"),
        ({**bundle(), "config_version": object()}, "not_json"),
        ({**bundle(), "config_version": float("nan")}, "not_json"),
    ],
)
def test_a_document_whose_parts_do_not_fit_is_refused(document: Mapping[str, object], code: str) -> None:
    assert code in codes(document)


def test_a_document_that_is_no_object_is_refused() -> None:
    assert problems(cast("Mapping[str, object]", ["bundle.v1"]))


def test_a_document_nested_without_end_is_refused() -> None:
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    assert codes({**bundle(), "layers": deep}) == {"not_json"}


def test_a_bundle_from_a_file_is_a_bundle_from_a_mapping() -> None:
    document = bundle(experiment())
    assert compile_bundle(json.loads(json.dumps(document))).slots.keys() == compile_bundle(document).slots.keys()
