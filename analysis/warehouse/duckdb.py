"""Count in DuckDB: raw rows to exact moments by the files of sql/ (COUNTING).

The units are worked in ranges of their dense keys, by as many cursors as asked; every range ends in whole numbers that
are added in Python, so neither threads, ranges nor the order of rows can change a result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType

import duckdb
import numpy as np

from analysis.inference.moments import ArmMoments, CellKey, pair
from analysis.warehouse import facts_sql
from analysis.warehouse.base import CellValue, CheckRows, CountRequest, Counts
from analysis.warehouse.connection import open_connection
from analysis.warehouse.facts_sql import Era
from analysis.warehouse.layout import Layout, all_pairs, layout
from analysis.warehouse.moment_table import Sums, Vector, added
from experiments.errors import WarehouseError
from experiments.spec import SOURCES, FactColumn

Parameter = str | int | date | datetime | list[str] | list[int]
RANGE_UNITS = 200_000
CONTEXT_DIMENSIONS = ("module", "page_category", "platform", "browser", "country", "app_version")
MOST_VALUES = 24
OTHER = "(other)"


class DuckDBWarehouse:
    """A warehouse on an open DuckDB connection with the tables of sql/schema.sql; close() closes the connection."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, cursors: int = 2, range_units: int = RANGE_UNITS
    ) -> None:
        self.engine = f"duckdb {duckdb.__version__}"
        self._connection = connection
        self._cursors = cursors
        self._range_units = range_units

    def __enter__(self) -> "DuckDBWarehouse":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def count(self, request: CountRequest) -> Counts:
        """Recompute first exposures, unit totals and moments of the request, exactly."""
        with _explained():
            return _Count(self._connection, request, self._cursors, self._range_units).run()

    def check(self, name: str, request: CountRequest) -> CheckRows:
        """The offending groups of sql/checks/<name>.sql."""
        text = facts_sql.statement(f"checks/{facts_sql.identifier(name)}")
        with _explained():
            found = self._connection.execute(text, _wanted(text, _parameters(request)))
            columns = [column[0] for column in found.description or []]
            rows: list[tuple[CellValue, ...]] = found.fetchall()
        return CheckRows(name, tuple(dict(zip(columns, row, strict=True)) for row in rows))


@contextmanager
def opened(path: Path, *, wait_seconds: float = 0.0) -> Iterator[DuckDBWarehouse]:
    """The warehouse in a file, for the length of a `with`."""
    with open_connection(path, wait_seconds=wait_seconds) as connection:
        yield DuckDBWarehouse(connection)


class _Count:
    """One recount: the steps of COUNTING in order, over ranges of unit keys."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, request: CountRequest, cursors: int, range_units: int
    ) -> None:
        self.connection = connection
        self.request = request
        self.cursors = cursors
        self.range_units = range_units
        self.layout = layout(request)
        self.parameters = _parameters(request)
        self.state = facts_sql.identifier(f"state_{request.experiment_key}_{request.phase}")

    def run(self) -> Counts:
        self.slices = _context_slices(self.request)
        self._prepare()
        ranges = self._ranges()
        self._create_state()
        with ThreadPoolExecutor(self.cursors) as pool:
            parts = list(pool.map(self._count_range, ranges))
        groups: dict[str, dict[tuple[int, int, int], Vector]] = {}
        for part in parts:
            for name, found in part.items():
                _merge(groups.setdefault(name, {}), found)
        return self._counts(groups)

    def _prepare(self) -> None:
        """Sources, returns, first exposures and the values of context slices, committed before any range is worked."""
        run = self.connection.execute
        run("begin")
        try:
            run(f"create or replace table returns as {facts_sql.statement('returns')}")
            run("create or replace table maturities (mature_days integer not null)")
            run("insert into maturities select unnest($days)", {"days": list(self.layout.mature_days)})
            for source in SOURCES:
                run(f"create or replace view source_{source} as {facts_sql.statement(f'facts/{source}')}")
            run(f"create schema if not exists {self.state}")
            run(f"create table if not exists first_exposures {FIRST_EXPOSURES}")
            run(
                "delete from first_exposures where experiment_key = $key and phase = $phase",
                {"key": self.request.experiment_key, "phase": self.request.phase},
            )
            text = facts_sql.statement("first_exposures")
            run(f"insert into first_exposures {text}", _wanted(text, self.parameters))
            self.values = self._context_values()
            run("commit")
        except BaseException:
            run("rollback")
            raise

    def _context_values(self) -> dict[str, list[str]]:
        """The values each dimension keeps, by code; code 0 is all the others."""
        text = facts_sql.statement("context_values")
        found = self.connection.execute(text, _wanted(text, self.parameters)).fetchall()
        kept: dict[str, list[str]] = {}
        for dimension in CONTEXT_DIMENSIONS:
            values = sorted((-units, value) for name, value, units in found if name == dimension)[:MOST_VALUES]
            order = (
                {module: place for place, module in enumerate(self.request.modules)} if dimension == "module" else {}
            )
            kept[dimension] = [OTHER, *sorted((v for _, v in values), key=lambda v: (order.get(v, len(order)), v))]
        rows = [(name, v, code) for name, values in kept.items() for code, v in enumerate(values) if code]
        self.connection.execute(
            f"create or replace table {self.state}.context_values (dimension varchar, value varchar, code smallint)"
        )
        if rows:
            self.connection.executemany(f"insert into {self.state}.context_values values (?, ?, ?)", rows)
        return kept

    def _ranges(self) -> list[tuple[int, int]]:
        found = self.connection.execute(
            "select min(unit), max(unit), min(any_phase_first_day) from first_exposures "
            "where experiment_key = $key and phase = $phase and excluded_reason is null",
            {"key": self.request.experiment_key, "phase": self.request.phase},
        ).fetchone()
        assert found is not None
        low, high, earliest = found
        if low is None:
            self.parameters["since_day"] = self.request.cut.as_of_day
            return []
        self.parameters["since_day"] = earliest - timedelta(days=self.request.covariate_days)
        return [(start, start + self.range_units) for start in range(low, high + 1, self.range_units)]

    def _unit_totals(self) -> str:
        return facts_sql.fill(facts_sql.statement("unit_totals"), _unit_total_holes(self.layout, self.slices))

    def _create_state(self) -> None:
        text = self._unit_totals()
        with _cursor(self.connection, self.state) as cursor:
            cursor.execute(
                f"create or replace table {self.state}.unit_totals as select * from ({text}) limit 0",
                _wanted(text, self.parameters | {"unit_from": 0, "unit_to": 0}),
            )

    def _count_range(self, bounds: tuple[int, int]) -> dict[str, dict[tuple[int, int, int], Vector]]:
        parameters = self.parameters | {"unit_from": bounds[0], "unit_to": bounds[1]}
        found: dict[str, dict[tuple[int, int, int], Vector]] = {}
        with _cursor(self.connection, self.state) as cursor:
            text = self._unit_totals()
            cursor.execute(f"insert into {self.state}.unit_totals {text}", _wanted(text, parameters))
            largest = self._largest(cursor, parameters)
            sums = self._context_sums()
            for item in self.slices:
                text = facts_sql.fill(
                    facts_sql.statement("moments_context"),
                    {
                        "facts": ["arm", "complete", f"{item.column} as cell", *sums.sums],
                        "sums": [f"sum({name})" for name in sums.sums]
                        + [f"count(*) filter (where {name} <> 0)" for name in sums.nonzero],
                        "products": [_product(a, b, largest) for a, b in sums.products],
                    },
                )
                rows = cursor.execute(text, _wanted(text, parameters)).fetchall()
                found[item.key] = {row[:3]: np.array(row[3:], dtype=object) for row in rows}
            covariates = self._covariate_sums()
            text = facts_sql.fill(
                facts_sql.statement("moments_context"),
                {
                    "facts": ["arm", "0 as complete", "0 as cell", *covariates.sums],
                    "sums": [f"sum({name})" for name in covariates.sums],
                    "products": [_product(a, b, largest) for a, b in covariates.products],
                },
            )
            rows = cursor.execute(text, _wanted(text, parameters)).fetchall()
            found[""] = {row[:3]: np.array(row[3:], dtype=object) for row in rows}
        return found

    def _largest(self, cursor: duckdb.DuckDBPyConnection, parameters: Mapping[str, Parameter]) -> dict[str, int]:
        """The largest absolute value of every column in the range: what decides how wide a product must be."""
        columns = list(dict.fromkeys(self.layout.column_of.values()))
        items = ", ".join(f"greatest(max({c}), -min({c}))" for c in columns)
        row = cursor.execute(
            f"select {items} from {self.state}.unit_totals where unit >= $unit_from and unit < $unit_to",
            {"unit_from": parameters["unit_from"], "unit_to": parameters["unit_to"]},
        ).fetchone()
        assert row is not None
        return {name: value or 0 for name, value in zip(columns, row, strict=True)}

    def _context_sums(self) -> Sums:
        names = self.layout.column_of
        return Sums.of(self.layout, (pair(names[a], names[b]) for m in self.layout.metrics for a, b in m.pairs))

    def _covariate_sums(self) -> Sums:
        names = self.layout.column_of
        covariates = self.layout.covariate_names
        return Sums.of(self.layout, (pair(names[a], names[b]) for a, b in all_pairs(covariates)), nonzero=False)

    def _counts(self, groups: Mapping[str, Mapping[tuple[int, int, int], Vector]]) -> Counts:
        run = self.connection.execute
        key = {"key": self.request.experiment_key, "phase": self.request.phase}
        counted = run(
            "select arm_key, excluded_reason, count(*) from first_exposures "
            "where experiment_key = $key and phase = $phase group by all order by all",
            key,
        ).fetchall()
        text = facts_sql.statement("days_with_data")
        days, newest_exposure, newest_outcome = run(text, _wanted(text, self.parameters)).fetchall()[0]
        return Counts(
            cells=self._cells(groups),
            daily={},
            units={arm: sum(n for a, why, n in counted if a == arm and why is None) for arm in self.request.arms},
            excluded={
                arm: {why: n for a, why, n in counted if a == arm and why is not None} for arm in self.request.arms
            },
            days_with_data=days,
            data_as_of=max((ts for ts in (newest_exposure, newest_outcome) if ts is not None), default=None),
            loads=tuple(load for (load,) in run("select load_id from loads order by seq, load_id").fetchall()),
        )

    def _cells(self, groups: Mapping[str, Mapping[tuple[int, int, int], Vector]]) -> dict[CellKey, ArmMoments]:
        sums, names = self._context_sums(), self.layout.column_of
        cells: dict[CellKey, ArmMoments] = {}
        for window in (None, *self.layout.windows):
            least = 0 if window is None else self.layout.windows.index(window) + 1
            metrics = self.layout.of(window)
            overall: list[list[Vector]] = [[] for _ in self.request.arms]
            for item in self.slices:
                for slice_key, values_of in item.levels(self.values):
                    found: dict[tuple[str, ...], list[list[Vector]]] = {}
                    for (arm, complete, cell), vector in groups.get(item.key, {}).items():
                        if complete >= least:
                            by_arm = found.setdefault(values_of(cell), [[] for _ in self.request.arms])
                            by_arm[arm].append(vector)
                            if slice_key == "first_module":
                                overall[arm].append(vector)
                    for values, by_arm in sorted(found.items()):
                        cells[CellKey("context", slice_key, values, window)] = {
                            arm: sums.moments(added(parts), metrics, (), names)
                            for arm, parts in zip(self.request.arms, by_arm, strict=True)
                        }
            cells[CellKey.overall(window)] = {
                arm: sums.moments(added(parts), metrics, (), names)
                for arm, parts in zip(self.request.arms, overall, strict=True)
            }
        covariates = self._covariate_sums()
        whole = {arm: vector for (arm, _, _), vector in groups.get("", {}).items()}
        key = CellKey.overall()
        extra = all_pairs(self.layout.covariate_names)
        cells[key] = {
            arm: cells[key][arm].overlay(covariates.moments(whole.get(code), (), extra, names))
            for code, arm in enumerate(self.request.arms)
        }
        return cells


@dataclass(frozen=True, slots=True)
class ContextSlice:
    """One grouping of the units by their first exposure or their past: a column of the unit table."""

    key: str
    column: str
    item: str  # the select item of unit_totals that makes the column
    values: Mapping[int, str] | None  # fixed values by code, or None when they are a dimension's
    dimension: str = ""

    def levels(self, kept: Mapping[str, Sequence[str]]) -> list[tuple[str, Callable[[int], tuple[str, ...]]]]:
        """The slices it gives, each with the values of a cell code."""
        if self.key == FIRST_PRODUCT:
            modules, pages = kept["module"], kept["page_category"]
            return [
                ("first_module", lambda cell: (modules[cell // 32],)),
                ("first_page_category", lambda cell: (pages[cell % 32],)),
                (FIRST_PRODUCT, lambda cell: (modules[cell // 32], pages[cell % 32])),
            ]
        if self.values is None:
            names = kept[self.dimension]
            return [(self.key, lambda cell: (names[cell],))]
        fixed = self.values
        return [(self.key, lambda cell: (fixed[cell],))]


FIRST_PRODUCT = "first_module_page_category"
_ALIAS = {"platform": "platforms", "browser": "browsers", "country": "countries", "app_version": "app_versions"}


def _context_slices(request: CountRequest) -> tuple[ContextSlice, ...]:
    first = "cast(coalesce(modules.code, 0) * 32 + coalesce(page_categories.code, 0) as smallint)"
    found = [ContextSlice(FIRST_PRODUCT, "s_first", f"{first} as s_first", None)]
    for declared in request.slices:
        name = facts_sql.identifier(f"s_{declared.key}")
        if declared.kind == "context" and declared.column is not None:
            item = f"cast(coalesce({_ALIAS[declared.column]}.code, 0) as smallint) as {name}"
            found.append(ContextSlice(declared.key, name, item, None, declared.column))
        elif declared.kind == "context" and declared.pre_period is not None:
            value = FactColumn(declared.pre_period, "site", None, 0).pre_key
            item = f"cast(case when {value} between 0 and {MOST_VALUES - 1} then {value} else {MOST_VALUES} end as smallint) as {name}"
            values = {code: declared.labels.get(code, str(code)) for code in range(MOST_VALUES)} | {MOST_VALUES: OTHER}
            found.append(ContextSlice(declared.key, name, item, values))
    return tuple(found)


def _unit_total_holes(layout: Layout, slices: Sequence[ContextSlice]) -> dict[str, list[str]]:
    holes: dict[str, list[str]] = {name: [] for name in (*SOURCES, "order_flags", "orders", "facts")}
    totals = {
        "slates": "slate_totals",
        "interactions": "interaction_totals",
        "order_lines": "line_totals",
        "sessions": "session_totals",
    }
    eras: list[tuple[FactColumn, Era]] = [(fact, "post") for fact in layout.post]
    eras += [(fact, "pre") for fact in layout.pre]
    for column, era in eras:
        name = facts_sql.name_of(column, era)
        if facts_sql.counts_orders(column.fact):
            holes["order_flags"].append(facts_sql.order_flag(column, era))
            holes["orders"].append(facts_sql.order_total(column, era))
            table = "order_totals"
        else:
            holes[column.fact.source].append(facts_sql.aggregate(column, era))
            table = totals[column.fact.source]
        holes["facts"].append(f"cast(coalesce({table}.{name}, 0) as bigint) as {name}")
    complete = " + ".join(
        f"case when e.first_ts + interval '{w}' day <= $outcome_end then 1 else 0 end" for w in layout.windows
    )
    holes["facts"].append(f"cast({complete or '0'} as tinyint) as complete")
    holes["facts"].extend(item.item for item in slices)
    return holes


def _product(first: str, second: str, largest: Mapping[str, int]) -> str:
    if largest[first] * largest[second] >= WIDE_PRODUCT:
        return f"sum({first}::hugeint * {second})"
    return f"sum({first} * {second})"


def _merge(into: dict[tuple[int, int, int], Vector], found: Mapping[tuple[int, int, int], Vector]) -> None:
    for group, vector in found.items():
        into[group] = into[group] + vector if group in into else vector


def _parameters(request: CountRequest) -> dict[str, Parameter]:
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


def _wanted(text: str, given: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters the statement names; KeyError on one that nobody gives."""
    return {name: given[name] for name in facts_sql.parameters(text)}


@contextmanager
def _cursor(connection: duckdb.DuckDBPyConnection, state: str) -> Iterator[duckdb.DuckDBPyConnection]:
    cursor = connection.cursor()
    try:
        cursor.execute(f"set search_path = '{state},main'")
        yield cursor
    finally:
        cursor.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(f"the warehouse refused: {str(error).splitlines()[0]}") from error


WIDE_PRODUCT = 9_200_000_000_000_000_000
FIRST_EXPOSURES = """(
    experiment_key varchar not null, phase integer not null, unit bigint not null, arm tinyint not null,
    arm_key varchar not null, first_ts timestamp not null, first_day date not null, any_phase_first_day date not null,
    module varchar not null, page_category varchar not null, browser varchar not null, platform varchar not null,
    country varchar not null, app_version varchar not null, excluded_reason varchar
)"""
