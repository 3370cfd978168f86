"""The same units through SQL and through Python: one answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import duckdb
import pytest

from assignment.allocation import evaluate
from assignment.batch import assign_units
from assignment.bundle import compile_bundle
from assignment.hashing import bucket
from experiments.errors import UsageError
from tests.helpers.bundles import BEGAN, NOW, Document, arm, bundle, experiment, holdout, layer
from tests.helpers.effort import scaled

UNITS = scaled(ci=5_000, full=200_000)
IDS = [
    *(f"user_{number}" for number in range(UNITS)),
    "日本語",
    "😀",
    "josé",
    "a-b-c",
    "it's",
    "x" * 256,
    "$arm_0",
    "qa",
]
IDS += [  # at the edges of what is compared below
    next(name for number in range(200_000) if bucket(salt, name := f"edge_{number}") == at)
    for salt, at in (("home.1:traffic", 2_500), ("layer.homepage:layer", 6_000), ("holdout.global:holdout", 500))
]
Row = tuple[str, str, str | None, int | None, int | None, int | None]

QA = {"unit_id": "qa", "variant": "als"}
OFF = [arm("control", 0, 5_000), arm("als", 5_000, 8_000, disabled=True), arm("it's", 8_000, 10_000)]


def in_sql(document: Document, now: datetime = NOW) -> list[Row]:
    query = assign_units(compile_bundle(document).plans["home"], now)
    with duckdb.connect() as connection:
        connection.execute("create table units (unit_id varchar)")
        connection.execute("insert into units select unnest($ids)", {"ids": IDS})
        connection.execute(query.sql, query.parameters)
        columns = [column[0] for column in connection.description or ()]
        found = [dict(zip(columns, row, strict=True)) for row in connection.fetchall()]
    names = ("unit_id", "assignment_reason", "variant", "layer_bucket", "traffic_bucket", "split_bucket")
    assert set(columns) <= {*names}
    return sorted(cast("Row", tuple(row.get(name) for name in names)) for row in found)


def in_python(document: Document, now: datetime = NOW) -> list[Row]:
    made = compile_bundle(document)
    decisions = (evaluate(made, "rec.homepage", {"targetingKey": unit}, now) for unit in IDS)
    return sorted(
        (str(d.unit_id), d.assignment_reason, d.variant, d.layer_bucket, d.traffic_bucket, d.split_bucket)
        for d in decisions
    )


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, {"split"}),
        ({"layer": {"key": "homepage", "ranges": [[0, 100], [5_000, 7_000]]}}, {"split", "not_in_layer"}),
        ({"layer": {"key": "homepage", "ranges": []}}, {"not_in_layer"}),
        ({"traffic": [{"at": BEGAN, "bp": 2_500}]}, {"split", "not_in_traffic"}),
        ({"traffic": []}, {"not_in_traffic"}),
        ({"holdouts": ["global", "late"]}, {"split", "holdout"}),
        ({"variants": OFF, "overrides": [QA]}, {"split", "arm_disabled", "override"}),
        ({"state": "paused", "overrides": [QA]}, {"not_running", "override"}),
        ({"killed": True}, {"killed"}),
        (
            {
                "layer": {"key": "homepage", "ranges": [[0, 6_000]]},
                "traffic": [{"at": BEGAN, "bp": 2_500}],
                "holdouts": ["global"],
                "variants": OFF,
                "overrides": [QA],
            },
            {"override", "holdout", "not_in_layer", "not_in_traffic", "split", "arm_disabled"},
        ),
    ],
)
def test_a_table_gets_what_its_units_get(changed: Mapping[str, object], reasons: set[str]) -> None:
    late = holdout(key="late", salt="holdout.late", buckets=[[0, 10_000]], start_at="2026-12-24T00:00:00Z")
    document = bundle(experiment(**changed), holdouts=[holdout(), late])
    found = in_sql(document)
    assert found == in_python(document)
    assert {row[1] for row in found} == reasons


def test_a_table_of_cells_is_hashed_as_cells() -> None:
    cells = layer("homepage", "cluster_window")
    document = bundle(experiment(unit_type="cluster_window"), layers=[cells])
    made = compile_bundle(document)
    expected = [evaluate(made, "rec.homepage", {"cluster_window_id": unit}, NOW).split_bucket for unit in sorted(IDS)]
    assert [row[5] for row in in_sql(document)] == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"targeting": {"all": []}}, "targeting"),
        ({"prerequisites": [{"experiment": "home", "variants": ["als"]}]}, "prerequisites"),
        ({"holdouts": ["global"]}, "holdout global of devices"),
        ({"state": "draft"}, "home: is draft, and before its start it assigns nobody"),
        ({"state": "scheduled"}, "is scheduled"),
        ({"state": "stopped"}, "home: is over"),
        ({"schedule": {"start_at": None, "end_at": BEGAN}}, "home: is over"),
    ],
)
def test_what_ids_do_not_say_is_refused(changed: Mapping[str, object], said: str) -> None:
    document = bundle(experiment(**changed), holdouts=[holdout(unit_type="device")])
    with pytest.raises(UsageError, match=said):
        in_sql(document)
