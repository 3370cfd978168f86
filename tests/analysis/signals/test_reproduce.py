"""The SQL to copy: run as it stands, it gives the rows that the check was judged by."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

import pytest

from analysis.health.checks import CHECKS
from analysis.signals.reproduce import literal, reproducible
from analysis.warehouse.base import CellValue, CountRequest, DataCut, HeldOut, Split
from analysis.warehouse.connection import open_memory
from analysis.warehouse.duckdb import DuckDBWarehouse
from analysis.words import trust as say
from tests.helpers.random_log import ARMS, EXPERIMENT, MODULES, load, random_log
from tests.helpers.requests import count_request, shipped

REQUEST: CountRequest = replace(
    count_request(shipped("revenue_per_unit")),
    experiment_key=EXPERIMENT,
    phase=2,
    modules=MODULES,
    arms=ARMS,
    started_at=datetime(2026, 3, 12),
    cut=DataCut(datetime(2026, 3, 29, 23), date(2026, 3, 30), datetime(2026, 3, 29, 23)),
    split=Split("demo.2:split", tuple((arm, 3_000 * n, 3_000 * (n + 1)) for n, arm in enumerate(ARMS))),
)
HELD_OUT = replace(
    REQUEST, arms=("exposed", "held_out"), held_out=HeldOut("global:holdout", ((0, 4_000),)), split=None
)  # fmt: skip
SEEN = {
    "sample_ratio", "missing_add_to_cart", "duplicates", "late_events", "two_arms", "order_of_events", "volume",
    "busy_units", "clicks_not_shown", "margin_coverage", "returns_unlinked", "rejected_rows", "drift",
    "unregistered_variant",
}  # fmt: skip


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    connection = open_memory()
    load(connection, random_log(7, units=150))
    connection.execute("insert into units select distinct unit, unit_type, unit::varchar from exposures")
    with DuckDBWarehouse(connection) as opened:
        yield opened


@pytest.mark.parametrize("request_", [REQUEST, HELD_OUT], ids=["experiment", "holdout"])
def test_the_copied_sql_gives_the_rows_the_check_was_judged_by(
    warehouse: DuckDBWarehouse, request_: CountRequest
) -> None:
    warehouse.count(request_)
    seen = set()
    for name in CHECKS:
        judged = warehouse.check(name, request_).rows
        assert again(warehouse, reproducible(f"sql/checks/{name}.sql", request_)) == judged, name
        seen |= {name} if judged else set()
    assert seen >= SEEN - ({"unregistered_variant"} if request_.held_out else set())


def again(warehouse: DuckDBWarehouse, text: str) -> tuple[dict[str, CellValue], ...]:
    """The rows of a text as it is pasted, on a connection that counted nothing."""
    with warehouse._connection.cursor() as shell:  # as a shell opens the file: no parameters, no state
        found = shell.execute(text)
        columns = [column[0] for column in found.description]
        return tuple(dict(zip(columns, row, strict=True)) for row in found.fetchall())


def test_it_says_where_to_run_it_and_what_is_not_in_it() -> None:
    text = reproducible("sql/checks/two_arms.sql", REQUEST)
    assert text.startswith("-- sql/checks/two_arms.sql, ")
    assert f"-- {say.NOT_LINKED}" in text
    assert "started_at := timestamp '2026-03-12 00:00:00'" in text
    assert say.NOT_LINKED not in reproducible("sql/checks/missing_add_to_cart.sql", REQUEST)


def test_names_with_a_quote_stay_names() -> None:
    assert literal("it's") == "'it''s'"
    assert literal(["a", "b'c"]) == "['a', 'b''c']"
    assert literal([0, 5_000]) == "[0, 5000]"
    assert literal(date(2026, 3, 1)) == "date '2026-03-01'"
