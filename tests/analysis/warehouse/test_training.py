"""Training data from the warehouse: before the cut, with items, and the catalogue as it was said."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.spool import load_spool
from analysis.warehouse.training import training_data
from assignment.event_log import encoded
from assignment.segments import READY
from experiments.recommenders.shelf import shelf
from tests.helpers.loads import EUROS, NOW, load, same_names, write_rows

CUT = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = open_memory()
    yield opened
    opened.close()


def event(name: str, at: str, item: str | None = "sofa", **more: object) -> dict[str, object]:
    return {
        "event_id": f"{name} {at} {item}", "event_ts": at, "unit_type": "user", "unit_id": "u1", "event_name": name,
        "item_id": item, **more,
    }  # fmt: skip


def test_events_before_the_cut_that_name_an_item(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = [
        event("view", "2026-11-02T11:59:59Z"),
        event("add_to_cart", "2026-11-02T10:00:00Z", "lamp"),
        event("view", "2026-11-02T12:00:00Z"),
        event("view", "2026-11-02T10:00:00Z", None),
        event("unsubscribe", "2026-11-02T10:00:00Z"),
        event("refund", "2026-11-02T10:30:00Z", order_id="o1", value=900),
        event("purchase", "2026-11-02T10:00:00Z", order_id="o1", value=900),
        event("purchase", "2026-11-02T10:00:00Z", None, order_id="o1", value=900),
        event("purchase", "2026-11-02T13:00:00Z", order_id="o1", value=900),
    ]
    load(connection, write_rows(tmp_path / "outcomes.jsonl", rows), same_names("outcome"))
    for cut in (CUT, CUT.astimezone(timezone(timedelta(hours=9)))):
        found = training_data(connection, cut)
        assert sorted((row["item_id"], row["event_name"]) for row in found.interactions.to_pylist()) == [
            ("lamp", "add_to_cart"),
            ("sofa", "view"),
        ]
        assert [(row["unit_id"], row["item_id"], row["event_ts"]) for row in found.orders.to_pylist()] == [
            ("u1", "sofa", datetime(2026, 11, 2, 10, tzinfo=UTC))
        ]


def test_the_catalogue_says_what_is_known_and_the_log_what_changed(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = {
        "item_id": "sofa", "valid_from": "2026-11-01T00:00:00Z", "stock": 5, "price": 900, "margin": 100,
        "category": "sofas/red", "brand": "b", "variant_group": "v",
    }  # fmt: skip
    load(connection, write_rows(tmp_path / "1.jsonl", [file]), same_names("catalogue"))
    changes = [("2026-11-02T09:00:00Z", {"stock": 0}), ("2026-11-02T10:00:00Z", {"price": 800}),
               ("2026-11-02T13:00:00Z", {"price": 1})]  # fmt: skip
    lines = [encoded("catalogue", {"item_id": "sofa", "valid_from": at, **said}) for at, said in changes]
    (tmp_path / f"1795262400001-00000001{READY}").write_bytes(b"".join(lines))
    assert load_spool(connection, tmp_path, EUROS, now=NOW).rejected == 0

    found = training_data(connection, CUT)
    assert len(found.catalogue) == 3
    now = shelf(found.catalogue, CUT)
    assert (now.price.tolist(), now.stock.tolist(), now.margin.tolist()) == ([800], [0], [100])
    last = found.catalogue.sort_by("valid_from").to_pylist()[-1]
    assert (last["category"], last["brand"], last["variant_group"]) == ("sofas/red", "b", "v")

    unknown = {"item_id": "sofa", "valid_from": "2026-11-02T11:00:00Z", "category": "sofas"}  # a whole row: no price
    load(connection, write_rows(tmp_path / "2.jsonl", [unknown]), same_names("catalogue"))
    price = shelf(training_data(connection, CUT).catalogue, CUT).price
    assert price[0] != price[0]  # NaN
