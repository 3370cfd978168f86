"""The mappings that come with truelift, on rows as the vendors document their exports."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.reading import read_mapping, ready_mappings
from tests.helpers.loads import load, write_lines, write_rows

Connection = duckdb.DuckDBPyConnection


@pytest.fixture
def connection() -> Iterator[Connection]:
    opened = open_memory()
    yield opened
    opened.close()


def test_all_of_them_are_listed_and_valid() -> None:
    assert ready_mappings() == ("eppo", "ga4", "growthbook", "segment", "shopify_orders")
    assert all(read_mapping(name).emit for name in ready_mappings())


def call(event: str, message: str, **properties: object) -> dict[str, object]:
    """A Segment Track call as its archive keeps it."""
    return {
        "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
        "context": {"library": {"name": "analytics.js", "version": "4.0.4"}, "page": {"path": "/"}},
        "event": event,
        "integrations": {},
        "messageId": message,
        "originalTimestamp": "2026-11-01T10:00:00.152Z",
        "properties": properties,
        "receivedAt": "2026-11-01T10:00:01.266Z",
        "timestamp": "2026-11-01T10:00:00.249Z",
        "type": "track",
        "userId": "AiUGstSDIg",
    }


def test_segment(connection: Connection, tmp_path: Path) -> None:
    products = [
        {
            "product_id": "507f1f77",
            "sku": "45790-32",
            "name": "Monopoly",
            "price": 19,
            "quantity": 1,
            "category": "Games",
        },
        {"product_id": 505, "sku": "46493-32", "name": "Uno", "price": 3.35, "quantity": 2},
    ]
    rows: list[Mapping[str, object]] = [
        call("Experiment Viewed", "m1", experiment_id="home_als_v2", variation_id=1, variation_name="als"),
        call("Product Viewed", "m2", product_id="507f1f77", price=19, currency="EUR"),
        call("Product Clicked", "m3", product_id="507f1f77"),
        call("Product Added", "m4", product_id="507f1f77", quantity=1, cart_id="skdjsidjsdkdj29j"),
        call("Order Completed", "m5", order_id="50314b8e9bcf", total=27.7, currency="EUR", products=products),
        call(
            "Order Completed", "m5", order_id="50314b8e9bcf", total=27.7, currency="EUR", products=products
        ),  # a retry
        call("Order Refunded", "m6", order_id="50314b8e9bcf"),
        call("Order Refunded", "m7", order_id="50314b8e9bcf", currency="EUR", products=products[:1]),
        call("Order Cancelled", "m8", order_id="x1", total=12),
        call("Order Completed", "m9", order_id="x2", currency="USD", products=products[:1]),
        call("Cart Viewed", "m10", products=products),
        {
            "type": "identify",
            "anonymousId": "a1",
            "userId": "u1",
            "messageId": "m11",
            "timestamp": "2026-11-01T09:00:00Z",
        },
    ]
    report = load(connection, write_rows(tmp_path / "a.jsonl", rows), read_mapping("segment"))
    assert dict(report.accepted_by_table) == {"exposures": 1, "outcomes": 8, "catalogue": 0, "identity": 1}
    assert (report.duplicates, report.rows_not_emitted, dict(report.reasons)) == (2, 1, {"currency_unknown": 1})
    shown = connection.execute("select unit_type, unit_id, user_id, experiment_key, variant, event_ts from exposures")
    assert shown.fetchall() == [
        ("device", "23adfd82-aa0f-45a7-a756-24f2a7a4c895", "AiUGstSDIg", "home_als_v2", "1",
         datetime(2026, 11, 1, 10, 0, 0, 249000)),
    ]  # fmt: skip
    lines = "select event_name, order_id, item_id, quantity, value, event_id from outcomes order by line, event_id"
    assert connection.execute(lines).fetchall() == [
        ("view", None, "507f1f77", None, None, "m2-1"),
        ("click", None, "507f1f77", None, None, "m3-1"),
        ("add_to_cart", None, "507f1f77", 1, None, "m4-1"),
        ("purchase", "50314b8e9bcf", "507f1f77", 1, 1900, "m5-2-1"),
        ("purchase", "50314b8e9bcf", "505", 2, 670, "m5-2-2"),
        ("refund", "50314b8e9bcf", None, None, None, "m6-3"),
        ("refund", "50314b8e9bcf", "507f1f77", 1, 1900, "m7-2-1"),
        ("cancel", "x1", None, None, None, "m8-4"),
    ]
    assert connection.execute("select anonymous_id, user_id from identity").fetchall() == [("a1", "u1")]


def parameter(key: str, text: str) -> dict[str, object]:
    nothing = {"int_value": None, "float_value": None, "double_value": None}
    return {"key": key, "value": {"string_value": text, **nothing}}


def ga4(
    name: str, at: int, items: list[dict[str, object]], *parameters: dict[str, object], order: str | None = None
) -> dict[str, object]:
    """A row of events_YYYYMMDD; the JSON export writes INT64 as text."""
    return {
        "event_date": "20261101",
        "event_timestamp": at,
        "event_name": name,
        "event_params": list(parameters),
        "event_bundle_sequence_id": 7,
        "user_id": None,
        "user_pseudo_id": "1234567.7654321",
        "device": {"category": "mobile", "operating_system": "Android"},
        "geo": {"country": "Germany"},
        "ecommerce": {"transaction_id": order, "purchase_revenue": None},
        "items": items,
    }


def item(name: str, price: float, quantity: int | None) -> dict[str, object]:
    return {"item_id": name, "item_category": "Apparel", "price": price, "quantity": quantity}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_ga4(connection: Connection, tmp_path: Path, kind: str) -> None:
    euro = parameter("currency", "EUR")
    seen = [parameter("experiment_id", "home_als_v2"), parameter("variation_id", "als_v2")]
    first = 1_793_527_200_000_000
    rows = [
        ga4("experiment_viewed", first, [], *seen),
        ga4("view_item", first + 1, [item("i1", 15.4, None)], euro),
        ga4("purchase", first + 2, [item("i1", 15.4, 2), item("i2", 0.1, 3)], euro, order="T_1"),
        ga4("refund", first + 3, [item("i2", 0.1, 1)], euro, order="T_1"),
        ga4("page_view", first + 4, []),
    ]
    path = tmp_path / f"events.{kind}"
    if kind == "jsonl":
        for row in rows:
            row["event_timestamp"] = str(row["event_timestamp"])
        write_rows(path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    report = load(connection, path, read_mapping("ga4"))
    assert (report.rejected, report.rows_not_emitted, report.accepted) == (0, 1, 5)
    exposure = connection.execute("select unit_id, experiment_key, variant, platform, country, event_ts from exposures")
    assert exposure.fetchall() == [
        ("1234567.7654321", "home_als_v2", "als_v2", "mobile", "Germany", datetime(2026, 11, 1, 10)),
    ]
    lines = (
        "select event_name, order_id, item_id, item_category, quantity, value from outcomes order by event_ts, item_id"
    )
    assert connection.execute(lines).fetchall() == [
        ("view", None, "i1", "Apparel", None, None),
        ("purchase", "T_1", "i1", "Apparel", 2, 3080),
        ("purchase", "T_1", "i2", "Apparel", 3, 30),
        ("refund", "T_1", "i2", "Apparel", 1, 10),
    ]
    again = tmp_path / "later" / path.name
    again.parent.mkdir()
    late = ga4("view_item", first + 9, [item("i9", 1, 1)], euro)
    late["event_timestamp"] = str(late["event_timestamp"])
    if kind == "jsonl":  # the day exported again with a late event: only that is new
        report = load(connection, write_rows(again, [*rows, late]), read_mapping("ga4"))
        assert (report.accepted, report.duplicates) == (1, 5)


SHOPIFY = """\
Name,Email,Financial Status,Paid at,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Created at,Lineitem quantity,\
Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,\
Cancelled at,Refunded Amount,Vendor,Id,Lineitem discount
#1001,ada@example.com,paid,2026-09-03 10:15:00 -0400,EUR,47.00,6.00,3.29,56.29,FALL5,2026-09-03 10:14:00 -0400,2,\
Fern Print,16.00,,FERN-1,,0.00,Acme,5550000001,0.00
#1001,ada@example.com,,,,,,,,,2026-09-03 10:14:00 -0400,1,Canvas Bag,20.00,,,,,Acme,,1.50
#1002,bob@example.com,voided,,EUR,16.00,6.00,1.12,23.12,,2026-09-04 08:00:00 -0400,1,\
Fern Print,16.00,,FERN-1,2026-09-04 09:30:00 -0400,0.00,Acme,5550000002,0.00
#1003,,paid,2026-09-05 10:15:00 -0400,EUR,16.00,6.00,1.12,23.12,,2026-09-05 08:00:00 -0400,1,\
Fern Print,16.00,,FERN-1,,0.00,Acme,5550000003,0.00
"""


def test_shopify_orders(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "orders_export_1.csv").write_text(SHOPIFY, encoding="utf-8")
    report = load(connection, tmp_path / "orders_export_1.csv", read_mapping("shopify_orders"))
    assert dict(report.reasons) == {"unit_missing": 1}
    lines = "select event_name, order_id, unit_id, item_id, quantity, value, discount, event_ts, currency from outcomes"
    assert connection.execute(f"{lines} order by line, event_name desc").fetchall() == [
        ("purchase", "#1001", "ada@example.com", "FERN-1", 2, 3200, 0, datetime(2026, 9, 3, 14, 14), "EUR"),
        ("purchase", "#1001", "ada@example.com", None, 1, 2000, 150, datetime(2026, 9, 3, 14, 14), "EUR"),
        ("purchase", "#1002", "bob@example.com", "FERN-1", 1, 1600, 0, datetime(2026, 9, 4, 12), "EUR"),
        ("cancel", "#1002", "bob@example.com", None, None, None, None, datetime(2026, 9, 4, 13, 30), None),
    ]
    grown = (
        SHOPIFY
        + "#1004,eve@example.com,paid,,EUR,1,1,1,1,,2026-09-06 08:00:00 -0400,1,Pin,1.00,,PIN,,0.00,Acme,6,0.00\n"
    )
    (tmp_path / "orders_export_2.csv").write_text(grown, encoding="utf-8")
    report = load(connection, tmp_path / "orders_export_2.csv", read_mapping("shopify_orders"))
    assert (report.accepted, report.duplicates) == (1, 4)


def test_growthbook(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "assignments.csv", [
        "user_id,timestamp,experiment_id,variation_id,browser", "u1,2026-11-01 10:00:00,home_als_v2,0,Chrome",
        "u2,2026-11-01T10:00:00.5Z,home_als_v2,1,", ",2026-11-01 10:00:00,home_als_v2,1,",
    ])  # fmt: skip
    report = load(connection, path, read_mapping("growthbook"))
    assert dict(report.reasons) == {"event_id_missing": 1, "unit_missing": 1}
    found = connection.execute(
        "select unit_id, experiment_key, variant, assignment_reason, event_ts from exposures order by line"
    )
    assert found.fetchall() == [
        ("u1", "home_als_v2", "0", "split", datetime(2026, 11, 1, 10)),
        ("u2", "home_als_v2", "1", "split", datetime(2026, 11, 1, 10, 0, 0, 500000)),
    ]
    row = {"user_id": "u3", "timestamp": datetime(2026, 11, 1), "experiment_id": "e", "variation_id": 1}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert load(connection, tmp_path / "a.parquet", read_mapping("growthbook")).accepted == 1


def test_eppo(connection: Connection, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "allocation": "allocation-12",
            "experiment": "home_als_v2-allocation-12",
            "featureFlag": "home_als_v2",
            "variation": "als",
            "subject": "u1",
            "timestamp": "2026-11-01T10:00:00.123456",  # the SDK's utcnow().isoformat(): UTC without saying so
            "subjectAttributes": {"country": "DE"},
            "metaData": {"sdkLanguage": "python", "sdkVersion": "4.0.0"},
        }
    ]
    load(connection, write_rows(tmp_path / "assignments.ndjson", rows), read_mapping("eppo"))
    found = connection.execute("select unit_id, experiment_key, variant, event_ts from exposures").fetchall()
    assert found == [("u1", "home_als_v2-allocation-12", "als", datetime(2026, 11, 1, 10, 0, 0, 123456))]
