"""Which cells there are: at most 24 values a dimension and 100 cells a slice, the rest is '(other)'. Pure.

Which values are kept is decided without looking at the arms: the most frequent ones, ties in alphabetical order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from analysis.warehouse.base import CountRequest
from analysis.warehouse.counting.facts_sql import identifier
from analysis.warehouse.counting.layout import LEVELS
from experiments.spec import FactColumn, PrePeriodTop, Source

MOST_VALUES = 24
MOST_CELLS = 100
OTHER, NONE = "(other)", "(none)"
SEARCH, DIRECT, UNKNOWN = "(search)", "(direct)", "(unknown)"
FIRST = "first_module_page_category"
FIRST_BASE = 32  # a first cell is module code * 32 + page category code
CATEGORY_OF: Mapping[Source, str] = {
    "slates": "page_category",
    "interactions": "item_category",
    "order_lines": "item_category",
}
Combination = tuple[Source, int, int]  # source, module code, category code
Values = tuple[str, ...]
V = TypeVar("V")


def most_frequent(counts: Mapping[str, int], most: int = MOST_VALUES) -> list[str]:
    """The `most` most frequent values, ties alphabetical, in alphabetical order."""
    return sorted(sorted(counts, key=lambda value: (-counts[value], value))[:most])


def in_module_order(values: Iterable[str], modules: Sequence[str]) -> list[str]:
    """The experiment's modules in its own order, then the others alphabetically."""
    return sorted(values, key=lambda v: (modules.index(v) if v in modules else len(modules), v))


def merged_cells(counts: Mapping[Values, int]) -> dict[Values, Values]:
    """Every cell to itself, or to '(other)' × '(other)' when there are more than 100 and it is among the smallest."""
    if len(counts) <= MOST_CELLS:
        return {values: values for values in counts}
    kept = set(sorted(counts, key=lambda values: (-counts[values], values))[: MOST_CELLS - 1])
    return {values: values if values in kept else (OTHER,) * len(values) for values in counts}


@dataclass(frozen=True, slots=True)
class ContextSlice:
    """One grouping of the units, by their first exposure or their past: a column of cell codes in the unit table."""

    key: str
    column: str
    item: str  # the select item of unit_totals.sql that makes the column
    names: Mapping[int, str]  # code → value; for the first exposure's product see `levels`
    top: PrePeriodTop | None = None
    pre_period: FactColumn | None = None

    def levels(self, kept: Mapping[str, Sequence[str]]) -> dict[str, Callable[[int], Values]]:
        """The slices it gives, each with the values of a cell code."""
        if self.key != FIRST:
            return {self.key: lambda cell: (self.names[cell],)}
        modules, pages = kept["module"], kept["page_category"]
        return {
            FIRST: lambda cell: (modules[cell // FIRST_BASE], pages[cell % FIRST_BASE]),
            "first_module": lambda cell: (modules[cell // FIRST_BASE],),
            "first_page_category": lambda cell: (pages[cell % FIRST_BASE],),
        }


_JOINED = {"platform": "platforms", "browser": "browsers", "country": "countries", "app_version": "app_versions"}


def context_slices(
    request: CountRequest, kept: Mapping[str, Sequence[str]], categories: Sequence[str]
) -> tuple[ContextSlice, ...]:
    """The first exposure's module × page category, then the declared context slices.

    `kept` has the values of each dimension of the first exposure by code, 0 being '(other)'; `categories` are the item
    categories a pre_period_top may name.
    """
    first = f"coalesce(modules.code, 0) * {FIRST_BASE} + coalesce(page_categories.code, 0)"
    found = [ContextSlice(FIRST, "s_first", _code(first, "s_first"), {})]
    for declared in request.slices:
        column = identifier(f"s__{declared.key}")
        if declared.kind != "context":
            continue
        if declared.column is not None:
            names = dict(enumerate(kept[declared.column]))
            item = _code(f"coalesce({_JOINED[declared.column]}.code, 0)", column)
            found.append(ContextSlice(declared.key, column, item, names))
        elif declared.pre_period is not None:
            fact = FactColumn(declared.pre_period, "site", None, 0)
            value = f"coalesce({fact.pre_key}, 0)"
            item = _code(
                f"case when {value} between 0 and {MOST_VALUES - 1} then {value} else {MOST_VALUES} end", column
            )
            names = {code: declared.labels.get(code, str(code)) for code in range(MOST_VALUES)} | {MOST_VALUES: OTHER}
            found.append(ContextSlice(declared.key, column, item, names, pre_period=fact))
        elif declared.pre_period_top is not None:
            names = {0: NONE, **{code + 1: name for code, name in enumerate(categories)}, MOST_VALUES + 1: OTHER}
            item = _code(f"coalesce(extras.{column}, 0)", column)
            found.append(ContextSlice(declared.key, column, item, names, top=declared.pre_period_top))
    return tuple(found)


def _code(expression: str, column: str) -> str:
    return f"cast({expression} as smallint) as {column}"


@dataclass(frozen=True, slots=True)
class LevelCells:
    """The cells of one decomposition level: their values, and which combination falls into which."""

    values: tuple[Values, ...]  # by cell number
    cell_of: Mapping[Combination, int]


def level_cells(level: str, counts: Mapping[Combination, int], codes: Mapping[str, Sequence[str]]) -> LevelCells:
    """Cells of a level from the number of units' cells in each combination; the largest keep their names."""
    dimensions = LEVELS[level]
    needed = set(dimensions) - {"module"}
    covered = {one: n for one, n in counts.items() if not needed or CATEGORY_OF.get(one[0]) in needed}
    named = {
        one: tuple(codes[dimension][one[1] if dimension == "module" else one[2]] for dimension in dimensions)
        for one in covered
    }
    for place in range(len(dimensions)):
        kept = set(most_frequent(_summed((named[one][place], n) for one, n in covered.items())))
        named = {
            one: (*values[:place], values[place] if values[place] in kept else OTHER, *values[place + 1 :])
            for one, values in named.items()
        }
    merged = merged_cells(_summed((named[one], n) for one, n in covered.items()))
    values = tuple(sorted(set(merged.values())))
    number = {value: cell for cell, value in enumerate(values)}
    return LevelCells(values, {one: number[merged[named[one]]] for one in covered})


@dataclass(frozen=True, slots=True)
class FinestCells:
    """One source's combinations, told apart only as far as some level does."""

    source: Source
    cell_of: Mapping[Combination, int]
    levels: Mapping[str, tuple[int, ...]]  # level → its cell, by finest cell

    def alone(self, level: str) -> bool:
        """Whether every cell of the level is one combination, so that its squares can be read here."""
        cells = self.levels[level]
        return len(self.cell_of) == len(cells) == len(set(cells))


def finest_cells(source: Source, levels: Mapping[str, LevelCells], counts: Mapping[Combination, int]) -> FinestCells:
    """The finest cells of a source that has all of these levels."""
    mine = sorted(one for one in counts if one[0] == source)
    shared = {level: cells for level, cells in levels.items() if all(one in cells.cell_of for one in mine)}
    place = {one: tuple(cells.cell_of[one] for cells in shared.values()) for one in mine}
    number = {cells: i for i, cells in enumerate(sorted(set(place.values())))}
    by_number = sorted(number)
    return FinestCells(
        source,
        {one: number[place[one]] for one in mine},
        {level: tuple(cells[i] for cells in by_number) for i, level in enumerate(shared)},
    )


def _summed(pairs: Iterable[tuple[V, int]]) -> dict[V, int]:
    totals: dict[V, int] = {}
    for key, n in pairs:
        totals[key] = totals.get(key, 0) + n
    return totals
