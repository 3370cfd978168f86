"""Exposure rows of decisions: the contract takes them whatever the context holds, and every step can be recomputed."""

import json
import time
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.exposures import exposure_row, new_event_id
from assignment.hashing import bucket
from experiments.contracts import Exposure, reasons
from tests.helpers.bundles import NOW, arm, bundle, experiment, holdout

HELD = holdout(buckets=[[0, 10_000]])
CASES = {
    "split": bundle(experiment()),
    "arm_disabled": bundle(
        experiment(variants=[arm("control", 0, 1), arm("als", 1, 10_000, disabled=True)], trigger="serve")
    ),
    "override": bundle(experiment(overrides=[{"unit_id": "u1", "variant": "als"}])),
    "holdout": bundle(experiment(holdouts=["global"]), holdouts=[HELD]),
    "not_in_layer": bundle(experiment(layer={"key": "homepage", "ranges": [[0, 1]]})),
    "not_in_traffic": bundle(experiment(traffic=[{"at": "2026-12-01T00:00:00Z", "bp": 1}])),
    "not_running": bundle(experiment(state="paused")),
    "killed": bundle(experiment(killed=True)),
    "none": bundle(),
}


@pytest.mark.parametrize("reason", CASES)
def test_the_contract_takes_the_row_of_every_reason(reason: str) -> None:
    compiled = compile_bundle(CASES[reason])
    context = {"targetingKey": "u1"}
    decision = evaluate(compiled, "rec.homepage", context, NOW)
    assert decision.assignment_reason == reason
    row = exposure_row(compiled, decision, context, event_id="e1", at=NOW)
    assert reasons(Exposure, json.dumps(row)) == frozenset()
    assert None not in row.values()
    assert (row["config_version"], row["strategy"], row["unit_id"]) == ("7", decision.strategy, "u1")


def test_a_drawn_units_row_has_the_bucket_of_every_step() -> None:
    compiled = compile_bundle(bundle(experiment()))
    context = {"targetingKey": "u1"}
    row = exposure_row(compiled, evaluate(compiled, "rec.homepage", context, NOW), context, event_id="e1", at=NOW)
    assert row["layer_bucket"] == bucket("layer.homepage:layer", "u1")
    assert row["traffic_bucket"] == bucket("home.1:traffic", "u1")
    assert row["split_bucket"] == bucket("home.1:split", "u1")
    assert row["traffic_bp"] == 10_000


_anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.lists(st.integers())
_names = st.sampled_from(
    ["user_id", "session_id", "device_id", "page_category", "platform", "browser", "country", "is_bot", "is_internal"]
)


@given(st.dictionaries(_names, _anything | st.sampled_from(["safari", "null", "web", True])))
def test_no_attribute_costs_an_exposure(attributes: dict[str, object]) -> None:
    compiled = compile_bundle(bundle(experiment()))
    attributes.pop("user_id", None)
    context = {"targetingKey": "u1", **attributes}
    row = exposure_row(compiled, evaluate(compiled, "rec.homepage", context, NOW), context, event_id="e1", at=NOW)
    assert reasons(Exposure, json.dumps(row)) == frozenset()


def test_known_attributes_are_kept() -> None:
    compiled = compile_bundle(bundle(experiment()))
    context = {
        "targetingKey": "u1", "session_id": "s1", "browser": "safari", "platform": "web", "is_bot": False,
        "basket": 12,
    }  # fmt: skip
    row = exposure_row(compiled, evaluate(compiled, "rec.homepage", context, NOW), context, event_id="e1", at=NOW)
    kept = {name: row[name] for name in context if name in row}
    assert kept == {"session_id": "s1", "browser": "safari", "platform": "web", "is_bot": False}


def test_event_ids_are_version_7_and_sort_by_time() -> None:
    before = datetime.now(UTC)
    first = uuid.UUID(new_event_id(before))
    time.sleep(0.002)
    second = uuid.UUID(new_event_id(datetime.now(UTC)))
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert first < second
    assert first.int >> 80 == int(before.timestamp() * 1000)
    assert len({new_event_id(before) for _ in range(10_000)}) == 10_000
