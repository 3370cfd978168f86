import re
from collections.abc import Mapping
from typing import Literal

import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.counting import facts_sql
from analysis.warehouse.counting.facts_sql import (
    aggregate,
    cell_totals_of,
    era_item,
    era_total,
    fill,
    identifier,
    statement,
)
from experiments.errors import WarehouseError
from experiments.spec import Fact, FactColumn


def column(fact: Mapping[str, object], *, mature_days: int = 0, window_days: int | None = None) -> FactColumn:
    scope: Literal["module", "site"] = "module" if fact["from"] in ("slates", "interactions") else "site"
    return FactColumn(Fact.model_validate(fact), scope, window_days, mature_days)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (column({"from": "slates", "measure": "rows"}), "COUNT(*) FILTER(WHERE post AND in_scope) as f"),
        (
            column({"from": "slates", "where": {"clicked": True}, "measure": "rows"}),
            "COUNT(*) FILTER(WHERE post AND in_scope AND clicked = TRUE) as f",
        ),
        (
            column({"from": "order_lines", "measure": {"sum": "net_value"}}, mature_days=14),
            "SUM(net_value) FILTER(WHERE post AND event_day + 14 < ripe_before AND COALESCEmature_days, 14 = 14) as f",
        ),
        (
            column(
                {"from": "sessions", "where": {"has_click": [True, False]}, "measure": "any"},
                mature_days=0,
                window_days=7,
            ),
            "MAX(CASE WHEN post AND event_ts < first_ts + INTERVAL '7' DAY"
            " AND first_ts + INTERVAL '7' DAY <= CAST($outcome_end AS TIMESTAMP) AND has_click IN (TRUE, FALSE)"
            " THEN 1 ELSE 0 END) as f",
        ),
        (
            column({"from": "slates", "where": {"latency_ms": {"gte": 1, "lt": 5}}, "measure": {"sum": "is_fallback"}}),
            "SUM(CAST(is_fallback AS BIGINT))"
            " FILTER(WHERE post AND in_scope AND latency_ms >= 1 AND latency_ms < 5) as f",
        ),
    ],
)
def test_a_fact_is_one_aggregate_over_its_rows(given: FactColumn, said: str) -> None:
    assert re.sub(r"[()]", "", aggregate(given, "post", "f")) == re.sub(r"[()]", "", said)


def test_the_covariate_window_has_no_outcome_window_and_ripens_before_exposure() -> None:
    given = column({"from": "order_lines", "measure": "rows"}, mature_days=14, window_days=7)
    said = aggregate(given, "pre", "x")
    assert said == "COUNT(*) FILTER(WHERE pre AND event_day + 14 < ripe_before AND COALESCE(mature_days, 14) = 14) as x"


def test_orders_are_flagged_one_by_one_and_then_counted() -> None:
    twice = column({"from": "order_lines", "measure": {"at_least": {"distinct": "order_id", "n": 2}}})
    flag = f"MAX(CASE WHEN COALESCE(mature_days, 0) = 0 AND NOT order_id IS NULL THEN 1 ELSE 0 END) as {twice.key}"
    assert era_item(twice) == flag
    assert (
        era_total(twice, "pre", "x") == f"CASE WHEN SUM(CASE WHEN pre THEN {twice.key} END) >= 2 THEN 1 ELSE 0 END as x"
    )


def test_an_era_is_read_off_what_both_have() -> None:
    clicks = column({"from": "slates", "where": {"clicked": True}, "measure": "rows"})
    assert era_item(clicks) == f"SUM(CASE WHEN in_scope AND clicked = TRUE THEN 1 ELSE 0 END) as {clicks.key}"
    assert era_total(clicks, "post", "f") == f"SUM(CASE WHEN post THEN {clicks.key} END) as f"
    clicked = column({"from": "slates", "where": {"clicked": True}, "measure": "any"})
    assert era_total(clicked, "post", "f") == f"MAX(CASE WHEN post THEN {clicked.key} END) as f"


def test_what_a_person_wrote_is_a_literal_and_nothing_else() -> None:
    nasty = "x'; drop table outcomes; --"
    given = column({"from": "interactions", "where": {"event_name": nasty}, "measure": "rows"})
    said = aggregate(given, "post", "f")
    with open_memory() as connection:
        found = connection.execute(
            f"select {said} from (select true as post, true as in_scope, $nasty as event_name)", {"nasty": nasty}
        ).fetchall()
        assert found == [(1,)]
        assert connection.execute("select count(*) from outcomes").fetchall() == [(0,)]


def test_a_column_the_source_does_not_have_is_refused_by_name() -> None:
    wrong = column({"from": "slates", "measure": {"sum": "latency"}})
    with pytest.raises(WarehouseError, match=r"slates has no column 'latency' \(nearest: latency_ms\)"):
        aggregate(wrong, "post", "f")


@pytest.mark.parametrize("name", ["Robert'); drop", "f 1", "", "1f", 'f"', "é"])
def test_names_of_columns_are_plain(name: str) -> None:
    with pytest.raises(WarehouseError, match="cannot name a column"):
        identifier(name)


def test_a_hole_takes_its_items_and_an_unknown_hole_is_an_error() -> None:
    assert (
        fill("select\n    {facts}\nfrom t", {"facts": ["1 as a", "2 as b"]})
        == "select\n    1 as a,\n    2 as b,\nfrom t"
    )
    assert fill("select a, {facts} from t", {"facts": []}) == "select a,  from t"
    with pytest.raises(KeyError):
        fill("select {sums} from t", {"facts": []})


def test_a_statement_has_the_sources_it_names_in_front_of_it() -> None:
    text = statement("days_with_data")
    assert text.startswith("-- one row per business day")
    text = statement("unit_totals")
    assert text.index("slate_rows as (") < text.index("session_rows as (") < text.index("slate_eras as (")
    assert "order_line_rows as (" not in text  # a table the count makes first
    assert statement("cell_totals/slates").count("with\n") == 1
    assert statement("moments_context").startswith("-- one row per arm")


def test_cells_of_two_sources_are_put_together_with_zeros() -> None:
    text = cell_totals_of({"slates": ("f_a",), "order_lines": ("f_b",)})
    assert text == (
        "select unit, arm, cast(0 as tinyint) as source, module, category, f_a as f_a, cast(0 as bigint) as f_b"
        " from cell_totals_slates union all "
        "select unit, arm, cast(2 as tinyint) as source, module, category, cast(0 as bigint) as f_a, f_b as f_b"
        " from cell_totals_order_lines"
    )


def test_parameters_are_the_named_ones() -> None:
    assert facts_sql.parameters("select $unit_from, $as_of, $unit_from") == {"unit_from", "as_of"}
