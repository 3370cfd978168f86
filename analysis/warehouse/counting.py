"""One recount in DuckDB, step by step as COUNTING has it: first exposures, unit totals, moments.

Units are worked in ranges of their dense keys by a few cursors. A range ends in whole numbers that are added in Python,
so neither threads nor ranges nor the order of rows can change a result.

State stays in a schema of its own per experiment and phase: unit_totals, cell_totals_post, moments, moments_daily and
`counted`, which says at which cut they are complete. `counted` is emptied first and filled last, so a count that was
cut off leaves no state that looks whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import duckdb
import numpy as np

from analysis.warehouse import daily_sql, facts_sql
from analysis.warehouse.base import CountRequest
from analysis.warehouse.facts_sql import Era
from analysis.warehouse.layout import LEVELS, Layout, MetricColumns, layout
from analysis.warehouse.moment_table import (
    Group,
    Groups,
    Sums,
    Vector,
    added,
    context_sums,
    covariate_sums,
    entry_sums,
    part_sums,
)
from analysis.warehouse.slices import (
    DIRECT,
    MOST_VALUES,
    OTHER,
    SEARCH,
    SOURCE_CODES,
    UNKNOWN,
    ContextSlice,
    LevelCells,
    context_slices,
    in_module_order,
    level_cells,
    most_frequent,
)
from experiments.errors import WarehouseError
from experiments.spec import FactColumn, Source

Parameter = str | int | date | datetime | list[str] | list[int]
RANGE_UNITS = 200_000
WIDE_PRODUCT = 9_200_000_000_000_000_000  # a product this large may leave 64 bits
MOST_SUM = 170_000_000_000_000_000_000_000_000_000_000_000_000  # a sum this large may leave 128 bits
CONTEXT_DIMENSIONS = ("module", "page_category", "platform", "browser", "country", "app_version")
FIRST_EXPOSURES = """create table if not exists first_exposures (
    experiment_key varchar not null,
    phase integer not null,
    unit bigint not null,
    arm tinyint not null,
    arm_key varchar not null,
    first_ts timestamp not null,
    first_day date not null,
    any_phase_first_day date not null,
    module varchar not null,
    page_category varchar not null,
    browser varchar not null,
    platform varchar not null,
    country varchar not null,
    app_version varchar not null,
    excluded_reason varchar,
)"""
Range = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One decomposition statement: a level, the metrics it serves and the sources they need together."""

    level: str
    sources: tuple[int, ...]
    metrics: tuple[MetricColumns, ...]
    sums: Sums


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
    parts: tuple[tuple[Part, Groups], ...]
    cells: Mapping[str, LevelCells]
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
        self.state = facts_sql.identifier(f"state_{request.experiment_key}_{request.phase}")

    def run(self) -> Recount:
        """All steps in order; the state is complete when it returns."""
        self._prepare()
        ranges = self._ranges()
        with ThreadPoolExecutor(self.cursors) as pool:
            self._each(pool, ranges, self._totals)
            self.largest = self._largest()
            self.level_cells = self._level_cells()
            self._name_sums()
            found = self._each(pool, ranges, self._moments)
        recount = Recount(
            layout=self.layout,
            kept=self.kept,
            slices=self.slices,
            context={s.key: added(part[f"slice {s.key}"] for part in found) for s in self.slices},
            context_sums=self.context_sums,
            covariates=added(part["covariates"] for part in found),
            covariate_sums=self.covariate_sums,
            parts=tuple((part, added(f[f"part {i}"] for f in found)) for i, part in enumerate(self.parts)),
            cells=self.level_cells,
            entries=added(part["entries"] for part in found),
            entry_sums=self.entry_sums,
            days=added(part["days"] for part in found),
            day_sums=self.day_sums,
        )
        self._keep(recount)
        return recount

    def _prepare(self) -> None:
        """Returns, first exposures and the values of dimensions, committed so that every cursor sees them."""
        run = self.connection.execute
        with transaction(self.connection):
            run(f"create schema if not exists {self.state}")
            run(f"create or replace table {self.state}.counted (as_of timestamp, columns varchar[])")
            run(f"create or replace table returns as {facts_sql.statement('returns')}")
            run(FIRST_EXPOSURES)
            key = {"key": self.request.experiment_key, "phase": self.request.phase}
            run("delete from first_exposures where experiment_key = $key and phase = $phase", key)
            self._run(self.connection, f"insert into first_exposures {facts_sql.statement('first_exposures')}")
            self.kept = self._context_values()
            self.codes = self._cell_values()
            self.slices = context_slices(self.request, self.kept, self._top_categories())
            self._create_state()

    def _context_values(self) -> dict[str, list[str]]:
        """The values each dimension of the first exposure keeps, by code; code 0 is all the others."""
        rows = self._run(self.connection, facts_sql.statement("context_values")).fetchall()
        kept: dict[str, list[str]] = {}
        for dimension in CONTEXT_DIMENSIONS:
            values = most_frequent({value: n for name, value, n in rows if name == dimension})
            modules = self.request.modules if dimension == "module" else ()
            kept[dimension] = [OTHER, *in_module_order(values, modules)]
        coded = [(name, value, code) for name, values in kept.items() for code, value in enumerate(values) if code]
        self._create("context_values", "dimension varchar, named varchar, code smallint")
        if coded:
            self.connection.executemany(f"insert into {self.state}.context_values values (?, ?, ?)", coded)
        return kept

    def _cell_values(self) -> dict[str, list[str]]:
        """The values of the sources' native dimensions, by code."""
        self._create("cell_values", "dimension varchar, named varchar, code integer, kept smallint")
        self.frequent: list[str] = []
        tops = any(s.pre_period_top is not None for s in self.request.slices)
        if not (self.layout.parts or tops):
            return {}
        rows = self._run(self.connection, facts_sql.statement("cell_values")).fetchall()
        counts: dict[str, dict[str, int]] = {"module": {}, "page_category": {}, "item_category": {}}
        for dimension, value, n in rows:
            counts[dimension][value] = n
        self.frequent = most_frequent({v: n for v, n in counts["item_category"].items() if v != "(none)"})
        modules = [*in_module_order(counts["module"], self.request.modules)]
        codes = {dimension: sorted(values) for dimension, values in counts.items()}
        codes["module"] = [*modules, *(name for name in (SEARCH, DIRECT, UNKNOWN) if name not in modules)]
        place = {value: i + 1 for i, value in enumerate(self.frequent)}
        coded = [
            (name, value, code, place.get(value, MOST_VALUES + 1) if name == "item_category" else 0)
            for name, values in codes.items()
            for code, value in enumerate(values)
        ]
        self.connection.executemany(f"insert into {self.state}.cell_values values (?, ?, ?, ?)", coded)
        return codes

    def _top_categories(self) -> list[str]:
        return [*self.frequent, *([""] * (MOST_VALUES - len(self.frequent)))]

    def _create_state(self) -> None:
        facts = [f"{name} bigint" for name, _, _ in self._unit_columns()]
        cells = [f"{item.column} smallint" for item in self.slices]
        fixed = ["unit bigint", "arm tinyint", "first_ts timestamp", "first_day date", "seen_before bigint"]
        self._create("unit_totals", ", ".join([*fixed, *facts, "complete tinyint", *cells]))
        parts = [f"{name} bigint" for name in self.layout.parts]
        self._create(
            "cell_totals_post",
            ", ".join(["unit bigint", "source tinyint", "module integer", "category integer", *parts]),
        )
        self._create("pre_period_tops", "slice varchar, unit bigint, cell smallint")
        self._create("level_cells", "level varchar, source tinyint, module integer, category integer, cell integer")

    def _unit_columns(self) -> list[tuple[str, FactColumn, Era]]:
        pre = {**self.layout.pre, **{s.pre_period.pre_key: s.pre_period for s in self.slices if s.pre_period}}
        columns: list[tuple[str, FactColumn, Era]] = [(name, fact, "post") for name, fact in self.layout.post.items()]
        return [*columns, *((name, fact, "pre") for name, fact in pre.items())]

    def _ranges(self) -> list[Range]:
        """Ranges of unit keys with analysed units in them, and the first day any of their rows can count."""
        found = self.connection.execute(
            "select min(unit), max(unit), min(any_phase_first_day), min(first_day) from first_exposures "
            "where experiment_key = $key and phase = $phase and excluded_reason is null",
            {"key": self.request.experiment_key, "phase": self.request.phase},
        ).fetchone()
        low, high, earliest, first = found or (None, None, None, None)
        if low is None:
            return []
        self.given["since_day"] = earliest - timedelta(days=self.request.covariate_days)
        self.first_day = first
        return [(start, start + self.range_units) for start in range(low, high + 1, self.range_units)]

    def _totals(self, cursor: duckdb.DuckDBPyConnection, bounds: Range) -> None:
        """Unit totals and cell totals of one range."""
        given = self._given(bounds)
        for item in self.slices:
            if item.top is not None:
                text = facts_sql.fill(facts_sql.statement("pre_period_top"), {"facts": [facts_sql.amount(item.top)]})
                more = given | {"slice": item.column, "source": item.top.source}
                self._run(cursor, f"insert into {self.state}.pre_period_tops {text}", more)
        tops = [f"max(case when slice = '{s.column}' then cell end) as {s.column}" for s in self.slices if s.top]
        complete = " + ".join(
            f"case when e.first_ts + interval '{days}' day <= $outcome_end then 1 else 0 end"
            for days in self.layout.windows
        )
        holes = facts_sql.unit_total_holes(
            self._unit_columns(), [f"cast({complete or '0'} as tinyint) as complete", *(s.item for s in self.slices)]
        )
        text = facts_sql.fill(facts_sql.statement("unit_totals"), {**holes, "tops": tops})
        self._run(cursor, f"insert into {self.state}.unit_totals {text}", given)
        if self.layout.parts:
            self._cell_totals(cursor, given | {"since_day": self.first_day})

    def _cell_totals(self, cursor: duckdb.DuckDBPyConnection, given: Mapping[str, Parameter]) -> None:
        facts = {name: self.layout.post[name] for name in self.layout.parts}
        sources = {fact.fact.source for fact in facts.values()}
        if "order_lines" in sources:
            self._run(
                cursor, f"create or replace temp table attribution as {facts_sql.statement('attribution')}", given
            )
        else:
            cursor.execute("create or replace temp table attribution (unit bigint, bought_ts timestamp, owner integer)")
        text = facts_sql.fill(facts_sql.statement("cell_totals_post"), facts_sql.cell_total_holes(facts))
        more = {**given, "sources": list[str](sorted(sources))}
        self._run(cursor, f"insert into {self.state}.cell_totals_post {text}", more)
        cursor.execute("drop table attribution")

    def _largest(self) -> dict[str, int]:
        """The largest absolute value of every column: how wide a product must be, or whether it cannot be counted."""
        columns = list(dict.fromkeys(self.layout.column_of.values()))
        items = ", ".join(f"greatest(max({name}), -min({name}))" for name in columns)
        row = self.connection.execute(f"select count(*), {items} from {self.state}.unit_totals").fetchone()
        assert row is not None
        n, values = row[0], row[1:]
        largest = {name: value or 0 for name, value in zip(columns, values, strict=True)}
        for metric in self.layout.metrics:
            for both in metric.pairs:
                first, second = (largest[self.layout.column_of[name]] for name in both)
                if n * first * second >= MOST_SUM:
                    raise WarehouseError(
                        f"{metric.key}: products of unit totals up to {first} and {second} over {n} units may reach "
                        f"{float(n * first * second):.1e}; exact sums end at {float(MOST_SUM):.1e}. Look for an outlier "
                        f"among its rows"
                    )
        return largest

    def _level_cells(self) -> dict[str, LevelCells]:
        if not self.layout.parts:
            return {}
        rows = self.connection.execute(
            f"select source, module, category, count(*) from {self.state}.cell_totals_post group by all"
        ).fetchall()
        counts = {(source, module, category): n for source, module, category, n in rows}
        used = {level for metric in self.layout.metrics for level in metric.levels}
        cells = {level: level_cells(level, counts, self.codes) for level in LEVELS if level in used}
        coded = [(c.level, *group, cell) for c in cells.values() for group, cell in c.cell_of.items()]
        if coded:
            self.connection.executemany(f"insert into {self.state}.level_cells values (?, ?, ?, ?, ?)", coded)
        return cells

    def _name_sums(self) -> None:
        """Which sums each statement takes."""
        self.context_sums = context_sums(self.layout)
        self.covariate_sums = covariate_sums(self.layout)
        self.entry_sums = entry_sums(self.layout)
        self.day_sums = part_sums(self.layout, self.layout.series)
        self.parts = tuple(
            Part(
                level,
                tuple(sorted(SOURCE_CODES[source] for source in sources)),
                tuple(metrics),
                part_sums(self.layout, metrics),
            )
            for level in self.level_cells
            for sources, metrics in self._by_sources(level).items()
        )

    def _by_sources(self, level: str) -> dict[frozenset[Source], list[MetricColumns]]:
        found: dict[frozenset[Source], list[MetricColumns]] = {}
        for metric in self.layout.metrics:
            if level in metric.levels:
                found.setdefault(metric.sources, []).append(metric)
        return found

    def _moments(self, cursor: duckdb.DuckDBPyConnection, bounds: Range) -> dict[str, dict[Group, Vector]]:
        """Every sum and product of one range."""
        given = self._given(bounds)
        found: dict[str, dict[Group, Vector]] = {}
        for item in self.slices:
            found[f"slice {item.key}"] = self._context(cursor, given, self.context_sums, "complete", item.column)
        found["covariates"] = self._context(cursor, given, self.covariate_sums, "0 as complete", "0")
        entered = "date_diff('day', date '1970-01-01', first_day)"
        found["entries"] = self._context(cursor, given, self.entry_sums, "0 as complete", entered)
        for i, part in enumerate(self.parts):
            found[f"part {i}"] = self._part(cursor, given, part)
        found["days"] = self._days(cursor, given | {"since_day": self.first_day}) if self.layout.series else {}
        return found

    def _context(
        self, cursor: duckdb.DuckDBPyConnection, given: Mapping[str, Parameter], sums: Sums, complete: str, cell: str
    ) -> dict[Group, Vector]:
        text = facts_sql.fill(
            facts_sql.statement("moments_context"),
            {
                "facts": ["arm", complete, f"{cell} as cell", *sums.sums],
                "sums": [*(f"sum({name})" for name in sums.sums), *map(_nonzero, sums.nonzero)],
                "products": [self._product(a, b) for a, b in sums.products],
            },
        )
        rows = self._run(cursor, text, given).fetchall()
        return {(arm, done, cell): np.array(values, dtype=object) for arm, done, cell, *values in rows}

    def _part(
        self, cursor: duckdb.DuckDBPyConnection, given: Mapping[str, Parameter], part: Part
    ) -> dict[Group, Vector]:
        facts = set(part.sums.sums)
        text = facts_sql.fill(
            facts_sql.statement("moments_decomposition"),
            {
                "facts": [f"cast(sum({name}) as bigint) as {name}" for name in part.sums.sums],
                "sums": [
                    "cast(0 as bigint)",
                    *(f"sum(l.{name})" for name in part.sums.sums),
                    *(_nonzero(f"l.{name}") for name in part.sums.nonzero),
                ],
                "products": [
                    facts_sql.product(
                        f"{'l' if a in facts else 'u'}.{a}", f"{'l' if b in facts else 'u'}.{b}", wide=self._wide(a, b)
                    )
                    for a, b in part.sums.products
                ],
            },
        )
        more = {**given, "level": part.level, "sources": list(part.sources)}
        rows = self._run(cursor, text, more).fetchall()
        return {(arm, 0, cell): np.array(values, dtype=object) for arm, cell, *values in rows}

    def _days(self, cursor: duckdb.DuckDBPyConnection, given: Mapping[str, Parameter]) -> dict[Group, Vector]:
        facts = {name: self.layout.post[name] for name in self.day_sums.sums}
        holes = daily_sql.holes(facts, self.day_sums, self._wide)
        text = facts_sql.fill(facts_sql.statement("moments_daily"), holes)
        more = {
            **given,
            "sources": list[str](sorted({fact.fact.source for fact in facts.values()})),
            "series_mature_days": sorted({fact.mature_days for fact in facts.values()}),
        }
        rows = self._run(cursor, text, more).fetchall()
        start = date(1970, 1, 1)
        return {(arm, 0, (day - start).days): np.array([0, *values], dtype=object) for arm, day, *values in rows}

    def _product(self, first: str, second: str) -> str:
        return facts_sql.product(first, second, wide=self._wide(first, second))

    def _wide(self, first: str, second: str) -> bool:
        """Parts and running totals of a column that may be below 0 can be larger than its totals."""
        signed = {first, second} & self.layout.signed
        return bool(signed) or self.largest[first] * self.largest[second] >= WIDE_PRODUCT

    def _keep(self, recount: Recount) -> None:
        """The moments beside the totals they were taken of, and the mark that all of it is complete."""
        kept: list[tuple[str, str, int, int, int, list[int]]] = []
        for key, groups in recount.context.items():
            kept.extend(("context", key, *group, vector.tolist()) for group, vector in groups.items())
        for part, groups in recount.parts:
            name = f"{part.level} of {', '.join(map(str, part.sources))}"
            kept.extend(("decomposition", name, *group, vector.tolist()) for group, vector in groups.items())
        kept.extend(("covariates", "", *group, vector.tolist()) for group, vector in recount.covariates.items())
        days = [("entries", *group, vector.tolist()) for group, vector in recount.entries.items()]
        days.extend(("days", *group, vector.tolist()) for group, vector in recount.days.items())
        with transaction(self.connection):
            self._create(
                "moments", "kind varchar, slice varchar, arm tinyint, complete tinyint, cell integer, numbers hugeint[]"
            )
            self._create("moments_daily", "kind varchar, arm tinyint, complete tinyint, day integer, numbers hugeint[]")
            if kept:
                self.connection.executemany(f"insert into {self.state}.moments values (?, ?, ?, ?, ?, ?)", kept)
            if days:
                self.connection.executemany(f"insert into {self.state}.moments_daily values (?, ?, ?, ?, ?)", days)
            self.connection.execute(
                f"insert into {self.state}.counted values (?, ?)",
                [self.request.cut.as_of, [name for name, _, _ in self._unit_columns()]],
            )

    def _create(self, table: str, columns: str) -> None:
        self.connection.execute(f"create or replace table {self.state}.{table} ({columns})")

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
            cursor = self.connection.cursor()
            try:
                cursor.execute(f"set search_path = '{self.state},main'")
                return step(cursor, bounds)
            finally:
                cursor.close()

        return list(pool.map(one, ranges))


def request_parameters(request: CountRequest) -> dict[str, Parameter]:
    """The named parameters every statement and check may ask for."""
    return {
        "experiment_key": request.experiment_key,
        "phase": request.phase,
        "unit_type": request.unit_type,
        "modules": list(request.modules),
        "arms": list(request.arms),
        "started_at": request.started_at,
        "as_of": request.cut.as_of,
        "as_of_day": request.cut.as_of_day,
        "outcome_end": request.cut.outcome_end,
        "covariate_days": request.covariate_days,
        "attribution_days": request.attribution_days,
    }


def wanted(text: str, given: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters the statement names; KeyError on one that nobody gives."""
    return {name: given[name] for name in facts_sql.parameters(text)}


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("begin")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def _nonzero(name: str) -> str:
    return f"count(*) filter (where {name} <> 0)"
