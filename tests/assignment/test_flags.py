"""What feature-flag clients see of a decision."""

from typing import get_args

import msgspec
import pytest

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.decision import AssignmentReason
from assignment.flags import REASONS, metadata_of, reason_of, value_of, variant_of
from tests.helpers.bundles import NOW, arm, bundle, experiment, holdout


def test_every_assignment_reason_has_one_of_openfeature() -> None:
    assert set(REASONS) == set(get_args(AssignmentReason))


@pytest.mark.parametrize("value", [True, False, 0, 3, 1.0, "", "text", {"a": [1]}, []])
def test_the_value_is_the_arms_parameter(value: object) -> None:
    given = bundle(experiment(variants=[arm("control", 0, 10_000, value=value)]))
    decision = evaluate(compile_bundle(given), "rec.homepage", {"targetingKey": "u1"}, NOW)
    assert value_of(decision) == value
    assert type(value_of(decision)) is type(value)
    assert variant_of(decision) == "control"


def test_without_the_parameter_the_value_is_the_served_arms_key() -> None:
    given = bundle(experiment(variants=[arm("control", 0, 1), arm("als", 1, 10_000, disabled=True, value=None)]))
    decision = evaluate(compile_bundle(given), "rec.homepage", {"targetingKey": "u1"}, NOW)
    assert (decision.variant, value_of(decision), variant_of(decision)) == ("als", "control", "control")


def test_where_no_arm_is_served_the_value_is_the_strategy() -> None:
    plain = evaluate(compile_bundle(bundle()), "rec.homepage", {"targetingKey": "u1"}, NOW)
    held = evaluate(
        compile_bundle(bundle(experiment(holdouts=["global"]), holdouts=[holdout(buckets=[[0, 10_000]])])),
        "rec.homepage", {"targetingKey": "u1"}, NOW,
    )  # fmt: skip
    assert (value_of(plain), reason_of(plain)) == ("popularity", "STATIC")
    assert (value_of(held), reason_of(held)) == ("no_recommendations", "SPLIT")


def test_metadata_leaves_out_what_is_not_known() -> None:
    plain = evaluate(compile_bundle(bundle()), "rec.homepage", {"targetingKey": "u1"}, NOW)
    assert metadata_of(plain) == {"configVersion": 7, "assignmentReason": "none"}
    drawn = evaluate(compile_bundle(bundle(experiment())), "rec.homepage", {"targetingKey": "u1"}, NOW)
    assert metadata_of(drawn, "id-1") == {
        "configVersion": 7,
        "experimentKey": "home",
        "phase": 1,
        "assignmentReason": "split",
        "splitBucket": drawn.split_bucket,
        "exposureId": "id-1",
    }
    failed = msgspec.structs.replace(drawn, error="GENERAL")
    assert "assignmentReason" not in metadata_of(failed)
    assert reason_of(failed) == "UNKNOWN"
