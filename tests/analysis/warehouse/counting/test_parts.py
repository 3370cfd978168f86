from itertools import product

from analysis.warehouse.counting.layout import LEVELS, layout
from analysis.warehouse.counting.parts import part_facts, plan_parts
from analysis.warehouse.counting.slices import Combination, FinestCells, finest_cells, level_cells
from experiments.catalogue import shipped_metrics
from experiments.spec import Source
from tests.helpers.requests import count_request, shipped

CODES = {
    "module": ["homepage", "cart"],
    "page_category": ["decor", "kitchen"],
    "item_category": [f"c{n:02d}" for n in range(30)],
}
CATEGORIES: dict[Source, int] = {"slates": 2, "order_lines": 30, "interactions": 2, "sessions": 1}


def finest() -> dict[Source, FinestCells]:
    counts: dict[Combination, int] = {
        (source, m, c): 1 for source, most in CATEGORIES.items() for m, c in product(range(2), range(most))
    }
    levels = {level: level_cells(level, counts, CODES) for level in LEVELS}
    return {source: finest_cells(source, levels, counts) for source in CATEGORIES}


def test_only_additive_facts_with_native_cells_have_parts() -> None:
    found = part_facts(layout(count_request(shipped("ctr", "conversion", "orders_per_unit", "add_to_cart_rate"))))
    assert {source: len(facts) for source, facts in found.items()} == {"slates": 2, "sessions": 2}


def test_every_product_a_part_needs_is_counted_somewhere() -> None:
    found = layout(count_request(shipped_metrics().values()))
    cells = finest()
    parts = plan_parts(found, cells)
    for metric in found.metrics:
        for level in metric.levels:
            counted = {
                both
                for part in parts.sources
                for both in part.sums.products
                if level in cells[part.source].levels
                and (cells[part.source].alone(level) or not set(both) <= set(metric.facts))
            } | {both for part in parts.levels if part.level == level for both in part.sums.products}
            assert set(found.columns(metric.part_pairs)) <= counted, (metric.key, level)


def test_a_level_whose_cells_are_the_finest_ones_takes_no_statement_of_its_own() -> None:
    parts = plan_parts(layout(count_request(shipped("ctr", "revenue_per_unit"))), finest())
    assert {(part.level, *part.facts) for part in parts.levels} == {
        ("module", "slates"), ("page_category", "slates"),  # two categories: module × page category needs none
        ("module", "order_lines"), ("item_category", "order_lines"), ("module_item_category", "order_lines"),
    }  # fmt: skip


def test_a_ratio_of_two_sources_takes_their_cells_together() -> None:
    parts = plan_parts(layout(count_request(shipped("revenue_per_slate"))), finest())
    assert [part.level for part in parts.levels if len(part.facts) == 2] == ["module"]


def test_a_source_without_rows_takes_no_statement() -> None:
    assert plan_parts(layout(count_request(shipped("ctr"))), {}).sources == ()
