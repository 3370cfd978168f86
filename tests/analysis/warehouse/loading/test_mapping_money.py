"""Money through a mapping: exact decimals, rounded once, half to even; currencies and rates."""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.load import ShopTerms
from analysis.warehouse.loading.reading import parse_mapping
from experiments.errors import MappingError
from tests.helpers.effort import scaled
from tests.helpers.loads import load, outcome, taken, why, write_lines


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = open_memory()
    yield opened
    opened.close()


Connection = duckdb.DuckDBPyConnection


def test_money_is_multiplied_exactly_and_rounded_once_half_to_even(connection: Connection, tmp_path: Path) -> None:
    amounts = [
        "0.125,1",
        "0.135,1",
        "-0.125,1",
        "2.675,100",
        "1e-3,5",
        "0.005,3",
        ".5,1",
        "12.,1",
        "1e3,1",
        "33.333,0.3",
    ]
    path = write_lines(tmp_path / "a.csv", ["price,n", *amounts])
    load(connection, path, outcome("margin: {column: price, times: n, money: EUR}"))
    assert taken(connection, "margin") == [12, 14, -12, 26750, 0, 2, 50, 1200, 100000, 1000]


@settings(max_examples=scaled(15, 300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.decimals(-(10**8), 10**8, places=6, allow_nan=False),
            st.decimals(-(10**4), 10**4, places=4, allow_nan=False),
        ),
        min_size=30,
        max_size=60,
    ),
    st.sampled_from([0, 2, 3]),
)
def test_money_equals_pythons_decimals(tmp_path: Path, pairs: list[tuple[Decimal, Decimal]], digits: int) -> None:
    connection = open_memory()
    lines = ["price,n", *(f"{price},{count}" for price, count in pairs)]
    terms = ShopTerms("EUR", digits, "UTC")
    load(
        connection,
        write_lines(tmp_path / "a.csv", lines),
        outcome("margin: {column: price, times: n, money: EUR}"),
        terms,
    )
    exact = [int((price * count).scaleb(digits).quantize(Decimal(1), ROUND_HALF_EVEN)) for price, count in pairs]
    found = dict(connection.execute("select line, margin from outcomes").fetchall())
    refused = dict(connection.execute("select line, reasons from rejected").fetchall())
    connection.close()
    for line, value in enumerate(exact, start=2):
        if abs(value) <= 10**12:
            assert found[line] == value
        else:
            assert refused[line] == ["margin_too_large" if value > 0 else "margin_too_small"]


def test_doubles_are_read_as_the_decimals_they_print(connection: Connection, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"price": [1.005, 0.1 + 0.2, 1e-7, float("nan")], "n": [1, 1, 1, 1]}), tmp_path / "a.parquet"
    )
    load(
        connection,
        tmp_path / "a.parquet",
        outcome("margin: {column: price, times: n, money: EUR}"),
        ShopTerms("EUR", 3, "UTC"),
    )
    assert taken(connection, "margin") == [1005, 300, 0]
    assert why(connection) == [(4, ["margin_not_number"])]


@pytest.mark.parametrize("amount", ["12,50", "1 000", "€5", "five", "0x10", "--1", "1.2.3", "+-1", "."])
def test_what_is_no_decimal_number_is_refused(connection: Connection, tmp_path: Path, amount: str) -> None:
    report = load(connection, write_lines(tmp_path / "a.csv", ["p;x", f"{amount};1"]),
                  outcome("margin: {column: p, money: EUR}", "file: {delimiter: ';'}"))  # fmt: skip
    assert dict(report.reasons) == {"margin_not_number": 1}


def test_more_digits_than_can_be_multiplied_are_refused(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["p,n", f"{'9' * 30},{'9' * 30}", f"0.{'3' * 20},1", f"{'9' * 40},1"])
    load(connection, path, outcome("margin: {column: p, times: n, money: EUR}"))
    assert taken(connection, "margin") == [33]
    assert why(connection) == [(2, ["margin_too_precise"]), (4, ["margin_too_precise"])]


def test_times_without_money_multiplies_minor_units(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["cents,n", "399,3", "399,1.25", "-5,2"])
    load(
        connection,
        path,
        outcome("margin: {column: cents, as: integer, times: n}, quantity: {column: cents, abs: true}"),
    )
    assert taken(connection, "margin") == [1197, 499, -10]
    assert taken(connection, "quantity") == [399, 399, 5]


RATES = 'rates: {USD: {2026-01-01: "0.90", 2026-11-02: "0.5"}, GBP: {2026-12-01: "1.2"}}'


def test_a_foreign_currency_is_refused_or_converted_by_the_days_rate(connection: Connection, tmp_path: Path) -> None:
    lines = ["v,c,n", "10.01,EUR,1", "10.01,USD,3", "1,GBP,1", "1,XXX,1", "1,,1", ",USD,1"]
    path = write_lines(tmp_path / "a.csv", lines)
    mapping = outcome("value: {column: v, times: n, money: {column: c}}")
    report = load(connection, path, mapping)
    assert dict(report.reasons) == {"currency_unknown": 3, "currency_missing": 1}
    connection = open_memory()
    report = load(connection, path, mapping + RATES)
    assert connection.execute("select value, currency, original_value from outcomes order by line").fetchall() == [
        (1001, "EUR", None),
        (2703, "EUR", "10.01 × 3 USD"),  # 30.03 × 0.90 = 27.027
        (None, None, None),
    ]
    assert why(connection) == [(4, ["currency_unknown"]), (5, ["currency_unknown"]), (6, ["currency_missing"])]
    connection.close()


def test_a_rate_counts_from_the_business_day_of_its_date(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "a.csv", ["t,v", "2026-11-01T22:30:00Z,1", "2026-11-01T23:30:00Z,1", "2025-12-31T12:00Z,1"]
    )
    mapping = """
unit_type: user
emit:
  - to: outcome
    set: {event_name: view, unit_id: u}
    columns: {event_ts: {column: t}, value: {column: v, money: USD}}
"""
    load(connection, path, mapping + RATES)
    assert taken(connection, "value") == [90, 50]  # 23:30 UTC is November 2 in Berlin
    assert why(connection) == [(4, ["currency_unknown"])]


@pytest.mark.parametrize("column", ["value", "margin", "discount"])
def test_an_amount_whose_unit_is_not_said_is_refused(column: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse_mapping(outcome(f"{column}: {{column: v, times: n}}"), "my.yml")
    assert f"line 7, emit[0].columns.{column}: {column} is money, and nothing says in which unit" in str(caught.value)
    assert "money: shop for 12.99 of the shop's currency, as: integer for whole smallest units" in str(caught.value)
    for said in ("as: integer", "money: shop", "values: {a: 100}"):
        parse_mapping(outcome(f"{column}: {{column: v, {said}}}"), "my.yml")


def test_minor_units_of_another_currency_are_refused(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["v,c", "100,EUR", "100,USD", "100,"])
    load(connection, path, outcome("value: {column: v, as: integer}, currency: {column: c}"))
    assert taken(connection, "value") == [100, 100]
    assert why(connection) == [(3, ["currency_unknown"])]


def test_the_mappings_digits_must_be_the_shops(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["a,b", "1,2"])
    with pytest.raises(MappingError, match=r"10\^-2 EUR, the mapping in 10\^-3"):
        load(connection, path, outcome("", "money_digits: 3"))
