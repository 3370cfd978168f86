"""Online Retail, 541,909 invoice lines: every row and every penny is accounted for."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.load import LoadReport, ShopTerms
from analysis.warehouse.loading.reading import read_mapping
from tests.helpers.loads import load

FILE = Path(__file__).parents[5] / "shared" / "data" / "online_retail" / "online_retail.parquet"
MAPPING = Path(__file__).parents[3] / "data" / "online_retail.mapping.yml"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"the outside data are not here: no {FILE}")


@pytest.fixture(scope="module")
def loaded() -> Iterator[tuple[duckdb.DuckDBPyConnection, LoadReport]]:
    connection = open_memory()
    report = load(connection, FILE, read_mapping(MAPPING), ShopTerms("GBP", 3, "Europe/London"))
    yield connection, report
    connection.close()


Loaded = tuple[duckdb.DuckDBPyConnection, LoadReport]


def pounds(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, Decimal]:
    """Rows and amount, exactly: the query gives a count and a sum in thousandths."""
    rows, thousandths = connection.execute(query).fetchall()[0]
    return int(rows), Decimal(int(thousandths)) / 1000


LOADED = "select count(*), sum(case event_name when 'purchase' then value else -value end) from outcomes"
REJECTED = (
    "select count(*), sum(cast(cast(raw->>'$.UnitPrice' as decimal(18, 3)) * 1000 as bigint) "
    "* cast(cast(raw->>'$.Quantity' as double) as bigint)) from rejected"
)


def test_loaded_and_rejected_are_all_rows_and_all_money(loaded: Loaded) -> None:
    connection, report = loaded
    assert report.rows_read == report.emitted == 541_909
    assert report.rows_not_emitted == report.rows_malformed == report.duplicates == 0
    assert pounds(connection, LOADED) == (406_829, Decimal("8300065.814"))
    rows, amount = pounds(connection, REJECTED)
    assert rows == report.rejected == 541_909 - 406_829
    assert amount + Decimal("8300065.814") == Decimal("9747747.934")


def test_rejected_rows_keep_every_reason(loaded: Loaded) -> None:
    connection, report = loaded
    assert report.reasons["unit_missing"] == report.rejected == 135_080
    assert report.reasons["value_negative"] == 2
    assert report.reasons["quantity_negative"] == 1_336  # stock corrections, none with a customer
    both = (
        "select reasons, raw->>'$.InvoiceNo', raw->>'$.UnitPrice', line from rejected "
        "where list_contains(reasons, 'value_negative')"
    )
    found = connection.execute(both).fetchall()
    assert [(sorted(reasons), invoice, price) for reasons, invoice, price, _ in found] == [
        (["unit_missing", "value_negative"], "A563186", "-11062.06"),
        (["unit_missing", "value_negative"], "A563187", "-11062.06"),
    ]
    assert [row.line for row in report.examples["value_negative"]] == [line for *_, line in found]


def test_cancellations_load_as_refunds_without_their_order(loaded: Loaded) -> None:
    connection, _ = loaded
    refunds = "select count(*), -sum(value) from outcomes where event_name = 'refund'"
    assert pounds(connection, refunds) == (8_905, Decimal("-611342.09"))
    rows, amount = pounds(connection, f"{REJECTED} where raw->>'$.InvoiceNo' like 'C%'")
    assert (rows + 8_905, amount + Decimal("-611342.09")) == (9_288, Decimal("-896812.49"))
    unlinked = (
        "select count(*) from outcomes refund where event_name = 'refund' and exists "
        "(select 1 from outcomes sale where sale.event_name = 'purchase' and sale.order_id = refund.order_id)"
    )
    assert connection.execute(unlinked).fetchall() == [(0,)]


def test_exact_repeats_are_kept_and_both_counts_reported(loaded: Loaded) -> None:
    connection, report = loaded
    assert (report.rows_repeated, report.rows_repeated_kept) == (5_268, 5_225)
    kept = connection.execute("select rows_repeated, rows_repeated_kept, rows_read, accepted, rejected from loads")
    assert kept.fetchall() == [(5_268, 5_225, 541_909, 406_829, 135_080)]


def test_times_are_london_time_and_units_are_dense(loaded: Loaded) -> None:
    connection, _ = loaded
    first = "select event_ts::varchar, event_day::varchar, unit_id, quantity, value from outcomes where line = 1"
    assert connection.execute(first).fetchall() == [("2010-12-01 08:26:00", "2010-12-01", "17850", 6, 15_300)]
    summer = "select event_ts::varchar, unit_id from outcomes where line = 245904"  # 08:16 on a London clock
    assert connection.execute(summer).fetchall() == [("2011-07-01 07:16:00", "16317")]
    units = "select count(*), min(unit), max(unit), count(distinct unit_id) from units"
    assert connection.execute(units).fetchall() == [(4_372, 1, 4_372, 4_372)]


def test_the_same_file_again_changes_nothing(loaded: Loaded) -> None:
    connection, report = loaded
    again = load(connection, FILE, read_mapping(MAPPING), ShopTerms("GBP", 3, "Europe/London"))
    assert again.already_loaded
    assert (again.accepted, again.rejected, again.load_id) == (report.accepted, report.rejected, report.load_id)
    assert connection.execute("select count(*) from loads").fetchall() == [(1,)]
    assert pounds(connection, LOADED)[0] == 406_829
