"""One recount in DuckDB, step by step as COUNTING has it: first exposures, unit totals, cells, moments.

Units are worked in ranges of their dense keys by a few cursors. A range ends in whole numbers that are added in Python,
so neither threads nor ranges nor the order of rows can change a result.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import duckdb
import numpy as np

from analysis.warehouse.base import CountRequest
from analysis.warehouse.counting import facts_sql, statements
from analysis.warehouse.counting.facts_sql import SOURCE_CODES
from analysis.warehouse.counting.layout import LEVELS, Layout, layout
from analysis.warehouse.counting.moment_table import (
    Group,
    Groups,
    Sums,
    Vector,
    added,
    context_sums,
    covariate_sums,
    day_sums,
    entry_sums,
)
from analysis.warehouse.counting.parameters import Parameter, request_parameters, wanted
from analysis.warehouse.counting.parts import LevelPart, SourcePart, part_facts, plan_parts
from analysis.warehouse.counting.slices import (
    DIRECT,
    MOST_VALUES,
    NONE,
    OTHER,
    SEARCH,
    UNKNOWN,
    Combination,
    ContextSlice,
    FinestCells,
    LevelCells,
    context_slices,
    finest_cells,
    in_module_order,
    level_cells,
    most_frequent,
)
from analysis.warehouse.counting.state import State
from experiments.errors import WarehouseError
from experiments.spec import Source

Range = tuple[int, int]
T = TypeVar("T")
RANGE_UNITS = 200_000
WIDE_PRODUCT = 9_200_000_000_000_000_000  # a product this large may leave 64 bits
MOST_SUM = 170_000_000_000_000_000_000_000_000_000_000_000_000  # a sum this large may leave 128 bits
CONTEXT_DIMENSIONS = ("module", "page_category", "platform", "browser", "country", "app_version")
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Recount:
    """Everything one recount found, before it gets the names of inference."""

    layout: Layout
    kept: Mapping[str, list[str]]
    slices: tuple[ContextSlice, ...]
    context: Mapping[str, Groups]
    context_sums: Sums
    covariates: Groups
    covariate_sums: Sums
    levels: Mapping[str, LevelCells]
    finest: Mapping[Source, FinestCells]
    source_parts: tuple[tuple[SourcePart, Groups], ...]
    level_parts: tuple[tuple[LevelPart, Groups], ...]
    entries: Groups
    entry_sums: Sums
    days: Groups
    day_sums: Sums


class Counter:
    """The steps of one recount. Made for one request and used once."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, request: CountRequest, *, cursors: int, range_units: int
    ) -> None:
        self.connection = connection
        self.request = request
        self.cursors = cursors
        self.range_units = range_units
        self.layout = layout(request)
        self.given = request_parameters(request)
        self.given["mature_days"] = list(self.layout.mature_days)
        self.part_facts = part_facts(self.layout)
        self.day_sums = day_sums(self.layout)
        self.state = State(connection, request.experiment_key, request.phase)

    def run(self) -> Recount:
        """All steps in order; the state is complete when it returns, and gone when it does not."""
        try:
            return self._run_all()
        except BaseException:
            self.state.forget()
            raise

    def _run_all(self) -> Recount:
        with self._one_thread_each(), ThreadPoolExecutor(self.cursors) as pool:
            self.state.empty()
            ranges = self._ranges()
            self._each(pool, ranges, self._expose)
            self._mark_linked()
            self._name_cells()
            try:
                days = self._each(pool, ranges, self._totals)
            except duckdb.OutOfRangeException:
                self._largest()  # says which metric's products leave 128 bits
                raise
            self.largest = self._largest()
            self.levels, self.finest = self._cells()
            self._name_sums()
            found = self._each(pool, ranges, self._moments)
        return Recount(
            layout=self.layout,
            kept=self.kept,
            slices=self.slices,
            context={s.key: added(part[f"slice {s.key}"] for part in found) for s in self.slices},
            context_sums=self.context_sums,
            covariates=added(part["covariates"] for part in found),
            covariate_sums=self.covariate_sums,
            levels=self.levels,
            finest=self.finest,
            source_parts=tuple((part, added(f[f"source {part.source}"] for f in found)) for part in self.parts.sources),
            level_parts=tuple(
                (part, added(f[f"level {i}"] for f in found)) for i, part in enumerate(self.parts.levels)
            ),
            entries=added(part["entries"] for part in found),
            entry_sums=self.entry_sums,
            days=added(days),
            day_sums=self.day_sums,
        )

    @contextmanager
    def _one_thread_each(self) -> Iterator[None]:
        """Every cursor works on its own thread: two ranges at a time cost less than two threads on one range.

        It also leaves out an optimiser that groups before joining: unit × cell totals hardly shrink by that.
        """
        run = self.connection.execute
        found = run("select current_setting('threads'), current_setting('disabled_optimizers')").fetchone()
        threads, disabled = found or (1, "")
        pushed = run("select name from duckdb_optimizers() where name = 'partial_aggregate_pushdown'").fetchone()
        run("set threads = 1")
        if pushed is not None:
            run("set disabled_optimizers = 'partial_aggregate_pushdown'")
        try:
            yield
        finally:
            run(f"set disabled_optimizers = '{disabled}'")
            run(f"set threads = {threads}")

    def _ranges(self) -> list[Range]:
        """Ranges of unit keys that together hold every unit exposed in the phase."""
        own = "experiment_key = $experiment_key and phase = $phase"
        if self.request.held_out is not None:
            own = "list_contains($modules, module) and unit_type = $unit_type and event_ts >= $started_at"
        low, high = self._run(self.connection, f"select min(unit), max(unit) from exposures where {own}").fetchall()[0]
        if low is None:
            return []
        return [(start, start + self.range_units) for start in range(low, high + 1, self.range_units)]

    def _expose(self, cursor: duckdb.DuckDBPyConnection, bounds: Range) -> None:
        """First exposures of one range."""
        text = facts_sql.statement("first_exposures" if self.request.held_out is None else "held_out_exposures")
        self._run(cursor, f"insert into {self.state.schema}.first_exposures {text}", self._given(bounds))

    def _mark_linked(self) -> None:
        """Units that identity links to one person who met two arms under them are excluded, like a unit that did."""
        if not self.connection.execute("select 1 from identity limit 1").fetchall():
            return
        text = facts_sql.statement("linked_units")
        with self.state.cursor() as cursor:
            self._run(cursor, f"update first_exposures set excluded_reason = 'two_arms' where unit in ({text})")

    def _name_cells(self) -> None:
        """The values of every dimension, which days can matter, and empty tables for the totals."""
        earliest, first = self.connection.execute(
            f"select min(any_phase_first_day), min(first_day) from {self.state.schema}.first_exposures "
            "where excluded_reason is null"
        ).fetchall()[0]
        self.first_day = first or self.request.cut.as_of_day
        self.given["since_day"] = (earliest or self.first_day) - timedelta(days=self.request.covariate_days)
        self.kept = self._context_values()
        self.codes = self._cell_values()
        self.slices = context_slices(self.request, self.kept, self.frequent)
        columns = [name for name, _, _ in statements.unit_columns(self.layout, self.slices)]
        self.state.empty_totals(columns, [item.column for item in self.slices], self.part_facts)

    def _context_values(self) -> dict[str, list[str]]:
        """The values each dimension of the first exposure keeps, by code; code 0 is all the others."""
        given = self.given | {
            "dimensions": [str(item.column) for item in self.request.slices if item.column is not None]
        }
        with self.state.cursor() as cursor:
            rows = self._run(cursor, facts_sql.statement("context_values"), given).fetchall()
        kept: dict[str, list[str]] = {}
        for dimension in CONTEXT_DIMENSIONS:
            values = most_frequent({value: n for name, value, n in rows if name == dimension})
            modules = self.request.modules if dimension == "module" else ()
            kept[dimension] = [OTHER, *in_module_order(values, modules)]
        coded = [(name, value, code) for name, values in kept.items() for code, value in enumerate(values) if code]
        self.state.insert("context_values", coded)
        return kept

    def _cell_values(self) -> dict[str, list[str]]:
        """The values of the sources' native dimensions, by code."""
        self.frequent: list[str] = []
        tops = any(s.pre_period_top is not None for s in self.request.slices)
        if not (self.part_facts or tops):
            return {}
        rows = self._run(self.connection, facts_sql.statement("cell_values")).fetchall()
        counts: dict[str, dict[str, int]] = {"module": {}, "page_category": {}, "item_category": {}}
        for dimension, value, n in rows:
            counts[dimension][value] = n
        self.frequent = most_frequent({v: n for v, n in counts["item_category"].items() if v != NONE})
        modules = [*in_module_order(counts["module"], self.request.modules)]
        codes = {dimension: sorted(values) for dimension, values in counts.items()}
        codes["module"] = [*modules, *(name for name in (SEARCH, DIRECT, UNKNOWN) if name not in modules)]
        place = {value: i + 1 for i, value in enumerate(self.frequent)}
        coded = [
            (name, value, code, place.get(value, MOST_VALUES + 1) if name == "item_category" else 0)
            for name, values in codes.items()
            for code, value in enumerate(values)
        ]
        self.state.insert("cell_values", coded)
        return codes

    def _totals(self, cursor: duckdb.DuckDBPyConnection, bounds: Range) -> dict[Group, Vector]:
        """Unit totals and cell totals of one range; what each day added to the series in it."""
        given = self._given(bounds)
        lines = facts_sql.statement("facts/order_lines")
        self._run(cursor, f"create or replace temp table order_line_rows as {lines}", given)
        into = f"insert into {self.state.schema}"
        for item in self.slices:
            if item.top is not None:
                more = given | {"name": item.column, "source": item.top.source}
                self._run(cursor, f"{into}.unit_extras {statements.pre_period_top(item.top)}", more)
        for name, column, era in statements.counted_apart(self.layout, self.slices):
            text = f"{into}.unit_extras {statements.distinct_values(column, era)}"
            self._run(cursor, text, given | {"name": name})
        self._run(cursor, f"{into}.unit_totals {statements.unit_totals(self.layout, self.slices)}", given)
        given["since_day"] = self.first_day
        if "order_lines" in self.part_facts:
            attribution = facts_sql.statement("attribution")
            self._run(cursor, f"create or replace temp table attribution as {attribution}", given)
        for source, facts in self.part_facts.items():
            self._run(
                cursor, f"{into}.cell_totals_{source} {statements.cell_totals(self.layout, source, facts)}", given
            )
        return self._days(cursor, given) if self.layout.series else {}

    def _largest(self) -> dict[str, int]:
        """The largest absolute value of every column: how wide a product must be, or whether it cannot be counted."""
        columns = list(dict.fromkeys(self.layout.column_of.values()))
        items = ", ".join(f"greatest(max({name}), -min({name}))" for name in columns)
        row = self.connection.execute(f"select count(*), {items} from {self.state.schema}.unit_totals").fetchone()
        assert row is not None
        n, values = row[0], row[1:]
        largest = {name: value or 0 for name, value in zip(columns, values, strict=True)}
        for metric in self.layout.metrics:
            for both in metric.pairs:
                first, second = (largest[self.layout.column_of[name]] for name in both)
                if n * first * second >= MOST_SUM:
                    raise WarehouseError(
                        f"{metric.key}: products of unit totals up to {first} and {second} over {n} units may reach "
                        f"{float(n * first * second):.1e}; exact sums end at {float(MOST_SUM):.1e}. "
                        f"Look for an outlier among its rows"
                    )
        return largest

    def _cells(self) -> tuple[dict[str, LevelCells], dict[Source, FinestCells]]:
        """Which cells the parts have, decided over all units and without looking at the arms."""
        counts: dict[Combination, int] = {}
        for source in self.part_facts:
            rows = self.connection.execute(
                f"select module, category, count(*) from {self.state.schema}.cell_totals_{source} group by all"
            ).fetchall()
            counts |= {(source, module, category): n for module, category, n in rows}
        used = {level for metric in self.layout.metrics for level in metric.levels}
        levels = {level: level_cells(level, counts, self.codes) for level in LEVELS if level in used}
        present = {source for source, _, _ in counts}
        finest = {source: finest_cells(source, levels, counts) for source in self.part_facts if source in present}
        coded = [
            (level, SOURCE_CODES[source], module, category, cell)
            for level, cells in levels.items()
            for (source, module, category), cell in cells.cell_of.items()
        ]
        self.state.insert("level_cells", coded)
        self.state.insert(
            "finest_cells",
            [
                (SOURCE_CODES[source], module, category, cell)
                for cells in finest.values()
                for (source, module, category), cell in cells.cell_of.items()
            ],
        )
        return levels, finest

    def _name_sums(self) -> None:
        """Which sums each statement takes."""
        self.context_sums = context_sums(self.layout)
        self.covariate_sums = covariate_sums(self.layout)
        self.entry_sums = entry_sums(self.layout)
        self.parts = plan_parts(self.layout, self.finest)

    def _moments(self, cursor: duckdb.DuckDBPyConnection, bounds: Range) -> dict[str, dict[Group, Vector]]:
        """Every sum and product of one range."""
        given = self._given(bounds)
        found: dict[str, dict[Group, Vector]] = {}

        def counted(text: str) -> dict[Group, Vector]:
            rows = self._run(cursor, text, given).fetchall()
            return {(arm, complete, cell): np.array(values, dtype=object) for arm, complete, cell, *values in rows}

        def part(text: str, **more: str) -> dict[Group, Vector]:
            rows = self._run(cursor, text, given | more).fetchall()
            return {(arm, 0, cell): np.array([0, *values], dtype=object) for arm, cell, *values in rows}

        for item in self.slices:
            text = statements.context(self.context_sums, "complete", item.column, self._wide)
            found[f"slice {item.key}"] = counted(text)
        found["covariates"] = counted(statements.context(self.covariate_sums, "0 as complete", "0", self._wide))
        entered = "date_diff('day', date '1970-01-01', first_day)"
        found["entries"] = counted(statements.context(self.entry_sums, "0 as complete", entered, self._wide))
        for source in self.parts.sources:
            self._view(cursor, {source.source: source.sums.sums})
            found[f"source {source.source}"] = part(statements.source_part(source, self._wide))
        for i, level in enumerate(self.parts.levels):
            self._view(cursor, level.facts)
            found[f"level {i}"] = part(statements.level_part(level, self._wide), level=level.level)
        return found

    def _view(self, cursor: duckdb.DuckDBPyConnection, facts: Mapping[Source, Iterable[str]]) -> None:
        cursor.execute(f"create or replace temp view cell_totals as {facts_sql.cell_totals_of(facts)}")

    def _days(self, cursor: duckdb.DuckDBPyConnection, given: Mapping[str, Parameter]) -> dict[Group, Vector]:
        facts = [self.layout.post[name] for name in self.day_sums.sums]
        more: dict[str, Parameter] = {
            "series_mature_days": sorted({fact.mature_days for fact in facts}),
        }
        rows = self._run(cursor, statements.days(self.layout, self.day_sums), {**given, **more}).fetchall()
        return {(arm, 0, (day - EPOCH).days): np.array([0, *values], dtype=object) for arm, day, *values in rows}

    def _wide(self, first: str, second: str) -> bool:
        """Parts and running totals of a column that may be below 0 can be larger than its totals."""
        signed = {first, second} & self.layout.signed
        return bool(signed) or self.largest[first] * self.largest[second] >= WIDE_PRODUCT

    def _given(self, bounds: Range) -> dict[str, Parameter]:
        return self.given | {"unit_from": bounds[0], "unit_to": bounds[1]}

    def _run(
        self, cursor: duckdb.DuckDBPyConnection, text: str, given: Mapping[str, Parameter] | None = None
    ) -> duckdb.DuckDBPyConnection:
        return cursor.execute(text, wanted(text, self.given if given is None else given))

    def _each(
        self, pool: ThreadPoolExecutor, ranges: Iterable[Range], step: Callable[[duckdb.DuckDBPyConnection, Range], T]
    ) -> list[T]:
        """The step for every range, each on a cursor that finds the state's tables by their bare names."""

        def one(bounds: Range) -> T:
            with self.state.cursor() as cursor:
                return step(cursor, bounds)

        return list(pool.map(one, ranges))
