"""What is said of an evaluation is what it did."""

from collections.abc import Mapping

import pytest

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.explanation import explain
from assignment.hashing import BUCKETS, md5_32
from tests.helpers.bundles import BEGAN, NOW, Document, arm, bundle, experiment, holdout, layer

DECIDES = {  # reason → the first step that does not go on
    "override": "override",
    "not_running": "state",
    "killed": "state",
    "not_targeted": "targeting",
    "holdout": "holdout",
    "not_in_layer": "layer",
    "not_in_traffic": "traffic",
    "split": None,
    "arm_disabled": "arm",
    "none": "experiment",
}


def written(**changed: object) -> Document:
    one = {
        "holdouts": ["global"],
        "layer": {"key": "homepage", "ranges": [[1_000, 9_000]]},
        "traffic": [{"at": "2026-12-01T00:00:00Z", "bp": 5_000}],
        "targeting": {"all": [{"attribute": "targetingKey", "operator": "MATCHES", "value": "[0-8]$"}]},
        "overrides": [{"unit_id": "user_7", "variant": "als"}],
        "variants": [arm("control", 0, 5_000), arm("als", 5_000, 8_000), arm("off", 8_000, 10_000, disabled=True)],
        **changed,
    }
    return bundle(experiment(**one), holdouts=[holdout()])


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, {"override", "not_targeted", "holdout", "not_in_layer", "not_in_traffic", "split", "arm_disabled"}),
        ({"state": "paused"}, {"override", "not_running"}),
        ({"killed": True}, {"override", "killed"}),
    ],
)
def test_the_first_step_that_does_not_go_on_is_the_reason(changed: Mapping[str, object], reasons: set[str]) -> None:
    made = compile_bundle(written(**changed))
    met = set()
    for number in range(400):
        context = {"targetingKey": f"user_{number}"}
        explained = explain(made, "rec.homepage", context, NOW)
        assert explained.decision == evaluate(made, "rec.homepage", context, NOW)
        reason = explained.decision.assignment_reason
        stops = [step.name for step in explained.steps if not step.goes_on]
        assert (stops[0] if stops else None) == DECIDES[reason]
        met.add(reason)
        for step in explained.steps:
            if step.hashed is not None:
                assert step.bucket == md5_32(step.hashed) % BUCKETS
        buckets = {step.name: step.bucket for step in explained.steps if step.hashed is not None}
        assert set(buckets) == {"holdout", "layer", "traffic", "split"}
        decision = explained.decision
        for name, logged in (
            ("layer", decision.layer_bucket),
            ("traffic", decision.traffic_bucket),
            ("split", decision.split_bucket),
        ):
            assert logged in (None, buckets[name])
    assert met == reasons


def test_the_steps_say_what_was_compared() -> None:
    explained = explain(compile_bundle(written()), "rec.homepage", {"targetingKey": "user_1"}, NOW)
    said = {step.name: step.said for step in explained.steps}
    assert said["layer"] == "home owns [1000, 9000) of layer homepage"
    assert said["traffic"] == "[0, 5000) is let in"
    assert said["override"] == "not in its override list"
    assert [step.number for step in explained.steps] == list(range(1, 12))


def test_a_slot_without_an_experiment_says_so() -> None:
    held = compile_bundle(bundle(holdouts=[holdout(buckets=[[0, 10_000]])]))
    explained = explain(held, "rec.homepage", {"targetingKey": "user_1"}, NOW)
    assert [(step.name, step.goes_on) for step in explained.steps] == [
        ("flag", True),
        ("experiment", False),
        ("unit", True),
        ("holdout", False),
    ]


@pytest.mark.parametrize(
    ("flag", "context", "last"),
    [
        ("rec.hompage", {"targetingKey": "user_1"}, "no layer has a slot 'rec.hompage'"),
        (
            "rec.homepage",
            {},
            "TARGETING_KEY_MISSING: rec.homepage assigns users, and the context has no user_id or targetingKey: "
            "give it as text",
        ),
        (
            "rec.homepage",
            {"targetingKey": 7},
            "INVALID_CONTEXT: rec.homepage assigns users, and the context's targetingKey is 7 (int): it may be text of "
            "1 to 256 characters, without control characters and without white space around it; send it as the shop "
            "logs it",
        ),
    ],
)
def test_an_error_is_the_last_step(flag: str, context: Mapping[str, object], last: str) -> None:
    explained = explain(compile_bundle(written()), flag, context, NOW)
    assert explained.decision.error is not None
    assert explained.steps[-1].said == last


def test_a_time_without_a_zone_is_explained_not_raised() -> None:
    explained = explain(compile_bundle(written()), "rec.homepage", {"targetingKey": "a"}, NOW.replace(tzinfo=None))
    assert explained.decision.error == "GENERAL"
    assert explained.steps[-1].said.startswith("TypeError")


def test_prerequisites_are_named() -> None:
    asks = [{"experiment": "home", "variants": ["als"]}]
    second = experiment(
        key="second",
        flag_keys=["rec.pdp"],
        modules=["pdp"],
        layer={"key": "pdp", "ranges": [[0, 1]]},
        prerequisites=asks,
    )
    made = compile_bundle(bundle(experiment(), second, layers=[layer(), layer("pdp")]))
    said = {step.name: step.said for step in explain(made, "rec.pdp", {"targetingKey": "user_1"}, NOW).steps}
    assert said["targeting"].startswith("home in als: ")


@pytest.mark.parametrize("changed", [{"state": "stopped"}, {"schedule": {"start_at": None, "end_at": BEGAN}}])
def test_who_is_held_out_stays_so_after_an_experiment(changed: Mapping[str, object]) -> None:
    made = compile_bundle(written(overrides=[], **changed))
    explained = [explain(made, "rec.homepage", {"targetingKey": f"user_{number}"}, NOW) for number in range(400)]
    held = [each for each in explained if each.decision.assignment_reason == "holdout"]
    assert 5 <= len(held) <= 40
    assert {each.decision.strategy for each in held} == {"no_recommendations"}
    assert {each.decision.experiment_key for each in held} == {None}
    assert all(each.steps[-1].name == "holdout" and not each.steps[-1].goes_on for each in held)
    assert {each.decision.assignment_reason for each in explained} == {"holdout", "not_running"}


def test_a_pause_and_a_kill_give_control_to_everybody() -> None:
    for changed in ({"state": "paused"}, {"killed": True}):
        made = compile_bundle(written(overrides=[], **changed))
        served = {
            evaluate(made, "rec.homepage", {"targetingKey": f"user_{number}"}, NOW).served_variant
            for number in range(400)
        }
        assert served == {"control"}
