"""Every statement of a full request: no hole left, no parameter nobody gives, nothing another dialect cannot read."""

from dataclasses import replace

import pytest
import sqlglot
from sqlglot import ErrorLevel

from analysis.warehouse.counting import facts_sql, statements
from analysis.warehouse.counting.layout import Layout, layout
from analysis.warehouse.counting.moment_table import context_sums, covariate_sums, day_sums, entry_sums
from analysis.warehouse.counting.parameters import request_parameters
from analysis.warehouse.counting.parts import part_facts, plan_parts
from analysis.warehouse.counting.slices import context_slices, finest_cells, level_cells
from experiments.catalogue import shipped_metrics
from experiments.spec import Slice
from tests.helpers.requests import count_request

TOP = {"from": "order_lines", "by": "item_category", "measure": {"sum": "value"}}
SLICES = (
    Slice.model_validate({"key": "device", "kind": "context", "column": "platform"}),
    Slice.model_validate({"key": "affinity", "kind": "context", "pre_period_top": TOP}),
)
RUN = {
    "unit_from",
    "unit_to",
    "since_day",
    "mature_days",
    "series_mature_days",
    "dimensions",
    "level",
    "name",
    "source",
}


def every_statement() -> dict[str, str]:
    metrics = tuple(shipped_metrics().values())
    request = replace(count_request(metrics, series=("revenue_per_unit", "conversion", "ctr")), slices=SLICES)
    found: Layout = layout(request)
    kept = {
        name: ["(other)", "a"] for name in ("module", "page_category", "platform", "browser", "country", "app_version")
    }
    slices = context_slices(request, kept, ["decor"])
    facts = part_facts(found)
    counts = {(source, m, c): 1 for source in facts for m in (0, 1) for c in (0, 1)}
    codes = {"module": ["a", "b"], "page_category": ["c", "d"], "item_category": ["e", "f"]}
    levels = {level: level_cells(level, counts, codes) for level in ("module", "item_category", "page_category")}
    parts = plan_parts(found, {source: finest_cells(source, levels, counts) for source in facts})

    def wide(first: str, second: str) -> bool:
        return first == second

    texts = {
        "unit_totals": statements.unit_totals(found, slices),
        "context": statements.context(context_sums(found), "complete", "s_first", wide),
        "covariates": statements.context(covariate_sums(found), "0 as complete", "0", wide),
        "entries": statements.context(entry_sums(found), "0 as complete", "0", wide),
        "lines": facts_sql.statement("facts/order_lines"),
        "days": statements.days(found, day_sums(found)),
        "first_exposures": facts_sql.statement("first_exposures"),
        "linked_units": facts_sql.statement("linked_units"),
        "attribution": facts_sql.statement("attribution"),
        "days_with_data": facts_sql.statement("days_with_data"),
        "newest_event": facts_sql.statement("newest_event"),
        "context_values": facts_sql.statement("context_values"),
        "cell_values": facts_sql.statement("cell_values"),
    }
    texts |= {f"cells of {source}": statements.cell_totals(found, source, names) for source, names in facts.items()}
    texts |= {f"top {item.key}": statements.pre_period_top(item.top) for item in slices if item.top}
    texts |= {f"part {part.source}": statements.source_part(part, wide) for part in parts.sources}
    texts |= {f"level {i}": statements.level_part(part, wide) for i, part in enumerate(parts.levels)}
    return texts


TEXTS = every_statement()


@pytest.mark.parametrize("name", TEXTS)
def test_no_hole_is_left_and_every_parameter_is_given(name: str) -> None:
    given = set(request_parameters(count_request(()))) | RUN
    assert "{" not in TEXTS[name]
    assert facts_sql.parameters(TEXTS[name]) <= given


@pytest.mark.parametrize("name", TEXTS)
def test_another_dialect_can_be_written_from_it(name: str) -> None:
    written = sqlglot.transpile(TEXTS[name], read="duckdb", write="spark", unsupported_level=ErrorLevel.RAISE)
    assert len(written) == 1


def test_products_are_wide_where_asked() -> None:
    text = TEXTS["context"]
    fact = next(iter(layout(count_request((shipped_metrics()["revenue_per_unit"],))).post))
    assert f"sum(cast({fact} as hugeint) * {fact})" in text
