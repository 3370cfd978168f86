from itertools import product

from analysis.warehouse.counting.slices import (
    OTHER,
    Combination,
    Values,
    finest_cells,
    in_module_order,
    level_cells,
    merged_cells,
    most_frequent,
)
from experiments.spec import Source

CODES = {
    "module": [f"m{n:02d}" for n in range(30)],
    "item_category": [f"c{n:02d}" for n in range(30)],
    "page_category": ["decor", "kitchen"],
}


def test_the_most_frequent_values_are_kept_and_ties_go_by_name() -> None:
    counts = {f"v{n:02d}": 1 for n in range(30)} | {"z": 5}
    assert most_frequent(counts) == [*(f"v{n:02d}" for n in range(23)), "z"]
    assert most_frequent({"b": 1, "a": 1, "c": 2}, most=2) == ["a", "c"]


def test_modules_come_in_the_experiments_order_then_by_name() -> None:
    assert in_module_order(["a", "cart", "homepage", "b"], ("homepage", "cart")) == ["homepage", "cart", "a", "b"]


def test_a_slice_has_at_most_a_hundred_cells() -> None:
    counts: dict[Values, int] = {(f"a{i}", f"b{j}"): 1 + i for i, j in product(range(11), range(10))}
    merged = merged_cells(counts)
    assert len(set(merged.values())) == 100
    assert {values for values, to in merged.items() if to == (OTHER, OTHER)} < {
        (f"a{i}", f"b{j}") for i, j in product((0, 1), range(10))
    }
    assert merged_cells({("a",): 1}) == {("a",): ("a",)}


def every(source: Source, modules: int, categories: int) -> dict[Combination, int]:
    return {(source, m, c): 100 - m - c for m, c in product(range(modules), range(categories))}


def test_a_level_names_its_cells_and_leaves_out_what_has_no_such_dimension() -> None:
    counts = every("order_lines", 2, 2) | every("slates", 1, 2)
    assert level_cells("module", counts, CODES).values == (("m00",), ("m01",))
    by_item = level_cells("item_category", counts, CODES)
    assert by_item.values == (("c00",), ("c01",))
    assert {source for source, _, _ in by_item.cell_of} == {"order_lines"}
    assert level_cells("page_category", counts, CODES).values == (("decor",), ("kitchen",))
    pairs = level_cells("module_item_category", counts, CODES)
    assert pairs.values == (("m00", "c00"), ("m00", "c01"), ("m01", "c00"), ("m01", "c01"))


def test_every_combination_is_in_exactly_one_cell_of_at_most_25_values() -> None:
    counts = every("order_lines", 3, 30)
    by_item = level_cells("item_category", counts, CODES)
    assert len(by_item.values) == 25
    assert set(by_item.cell_of) == set(counts)
    assert {by_item.values[by_item.cell_of["order_lines", 0, c]] for c in range(24, 30)} == {(OTHER,)}


def test_the_finest_cells_can_be_read_as_any_level() -> None:
    counts = every("order_lines", 3, 30) | every("sessions", 3, 1)
    levels = {name: level_cells(name, counts, CODES) for name in ("module", "item_category", "module_item_category")}
    finest = finest_cells("order_lines", levels, counts)
    for level, cells in levels.items():
        for one, cell in finest.cell_of.items():
            assert finest.levels[level][cell] == cells.cell_of[one]
        assert not finest.alone(level)  # six categories share '(other)', so squares are not in the finest cells
    sessions = finest_cells("sessions", levels, counts)
    assert set(sessions.levels) == {"module"}
    assert sessions.alone("module")


def test_squares_can_be_read_where_every_cell_is_one_combination() -> None:
    counts = every("order_lines", 2, 3)
    levels = {name: level_cells(name, counts, CODES) for name in ("module", "module_item_category")}
    finest = finest_cells("order_lines", levels, counts)
    assert finest.alone("module_item_category")
    assert not finest.alone("module")
