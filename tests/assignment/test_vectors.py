"""Every golden vector through the product's own functions. The files are added to, never changed."""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from assignment.allocation import evaluate
from assignment.bundle import Bundle, compile_bundle
from tests.helpers.bundles import BEGAN, NOW, arm, bundle, experiment, holdout, layer

VECTORS = Path(__file__).parents[2] / "assignment/vectors"
REACHED = {  # the slot's layer is looked up first: it says whose turn it is
    "holdout": ("layer",),
    "not_in_layer": ("layer",),
    "not_in_traffic": ("layer", "traffic"),
    "split": ("layer", "traffic", "split"),
}


class Case(TypedDict):
    unit_id: str
    holdout_bucket: int
    layer_bucket: int
    traffic_bucket: int
    split_bucket: int
    outcome: str
    variant: str | None


class Row(TypedDict):
    unit_id: str
    variants: list[str | None]


class Owner(TypedDict):
    key: str
    salt: str
    ranges: list[list[int]]


class Share(TypedDict):
    variant: str
    range: list[int]


class Written(TypedDict):
    salt: str
    layer: Owner
    holdout: Owner
    traffic_bp: int
    split: list[Share]


class Cases(TypedDict):
    experiment: Written
    cases: list[Case]


class Ramp(TypedDict):
    experiment: Written
    traffic_bp_steps: list[int]
    rows: list[Row]


CASES: Cases = json.loads((VECTORS / "assignment_cases.json").read_text("utf-8"))
RAMP: Ramp = json.loads((VECTORS / "ramp_monotone.json").read_text("utf-8"))


def compiled(written: Written, traffic_bp: int) -> Bundle:
    """The experiment of a vector file as a bundle."""
    one = experiment(
        salt=written["salt"],
        layer={"key": "homepage", "ranges": written["layer"]["ranges"]},
        holdouts=["global"],
        variants=[arm(share["variant"], *share["range"]) for share in written["split"]],
        traffic=[{"at": BEGAN, "bp": traffic_bp}],
    )
    home = {**layer(), "salt": written["layer"]["salt"]}
    out = holdout(salt=written["holdout"]["salt"], buckets=written["holdout"]["ranges"])
    return compile_bundle(bundle(one, layers=[home], holdouts=[out]))


def test_the_golden_files_are_whole() -> None:
    assert len(CASES["cases"]) == 190
    assert len(RAMP["rows"]) == 60


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["unit_id"][:20])
def test_a_unit_goes_through_every_stage(case: Case) -> None:
    written = CASES["experiment"]
    decision = evaluate(
        compiled(written, written["traffic_bp"]), "rec.homepage", {"targetingKey": case["unit_id"]}, NOW
    )
    reason = {"assigned": "split", "not_in_layer_range": "not_in_layer"}.get(case["outcome"], case["outcome"])
    assert decision.error is None
    assert decision.assignment_reason == reason
    assert decision.variant == case["variant"]
    buckets = {
        "layer": decision.layer_bucket,
        "traffic": decision.traffic_bucket,
        "split": decision.split_bucket,
    }
    expected = {"layer": case["layer_bucket"], "traffic": case["traffic_bucket"], "split": case["split_bucket"]}
    assert buckets == {name: expected[name] if name in REACHED[reason] else None for name in expected}


@pytest.mark.parametrize("row", RAMP["rows"], ids=lambda row: row["unit_id"])
def test_a_ramp_adds_units_and_never_moves_one(row: Row) -> None:
    served = [
        evaluate(compiled(RAMP["experiment"], bp), "rec.homepage", {"targetingKey": row["unit_id"]}, NOW).variant
        for bp in RAMP["traffic_bp_steps"]
    ]
    assert served == row["variants"]
