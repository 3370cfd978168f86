"""The warehouse on DuckDB: runs the files of sql/ and names what they counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from analysis.inference.moments import ArmMoments, CellKey, Moments, Pair, pair
from analysis.warehouse.audit import audit_exposures
from analysis.warehouse.base import Asked, CellValue, CheckRows, CountRequest, Counts, Parameter
from analysis.warehouse.connection import first_line, kept_terms, open_connection
from analysis.warehouse.counting import facts_sql
from analysis.warehouse.counting.counting import RANGE_UNITS, Counter, Recount
from analysis.warehouse.counting.layout import all_pairs
from analysis.warehouse.counting.moment_table import Groups, Reading, Vector
from analysis.warehouse.counting.parameters import request_parameters, wanted
from analysis.warehouse.counting.slices import FIRST, Values, merged_cells
from analysis.warehouse.counting.state import State
from analysis.warehouse.holdout_audit import audit_held_out
from analysis.warehouse.terms import ShopTerms
from experiments.errors import WarehouseError, nearest

EPOCH = date(1970, 1, 1)


class DuckDBWarehouse:
    """A warehouse on an open DuckDB connection with the tables of sql/schema.sql; close() closes the connection.

    Results do not depend on `cursors` (how many ranges of units are worked at a time) nor on `range_units`.
    """

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

    def terms(self) -> ShopTerms | None:
        """The terms its rows were loaded under; None while there are none."""
        return kept_terms(self._connection)

    def newest(self, before: datetime) -> datetime | None:
        """The newest event_ts before a naive UTC instant, of exposures and outcomes; None without any row."""
        text = "select max(event_ts) from (from exposures select event_ts union all from outcomes select event_ts)"
        with _explained("newest row"):
            found = self._connection.execute(f"{text} where event_ts < $before", {"before": before}).fetchall()
        newest: datetime | None = found[0][0]
        return newest

    def count(self, request: CountRequest) -> Counts:
        """Recompute first exposures, unit totals and moments of the request, exactly. WarehouseError on overflow."""
        with _explained(f"{request.experiment_key} phase {request.phase}"):
            counter = Counter(self._connection, request, cursors=self._cursors, range_units=self._range_units)
            return self._counts(request, counter.run())

    def check(self, name: str, request: CountRequest) -> CheckRows:
        """The offending groups of sql/checks/<name>.sql."""
        known = sorted(path.stem for path in (facts_sql.SQL_FOLDER / "checks").glob("*.sql"))
        if name not in known:
            near = ", ".join(nearest(name, known) or known)
            raise WarehouseError(f"there is no check {name!r} (nearest: {near}); a check is a file in sql/checks")
        text = facts_sql.statement(f"checks/{name}")
        state = State(self._connection, request.experiment_key, request.phase)
        with _explained(f"checks/{name}.sql"), state.cursor() as cursor:
            found = cursor.execute(text, wanted(text, request_parameters(request)))
            columns = [column[0] for column in found.description or []]
            rows: list[tuple[CellValue, ...]] = found.fetchall()
        return CheckRows(name, tuple(dict(zip(columns, row, strict=True)) for row in rows))

    def audit(self, experiment_key: str, bundles: Iterable[Mapping[str, object]]) -> CheckRows:
        """Exposures of the experiment by what the definition says of them, over all phases of the bundles."""
        report = audit_exposures(self._connection, bundles, experiment_key)
        return CheckRows("hash_audit", tuple({"class": name, "exposures": n} for name, n in report.counts.items()))

    def audit_holdout(self, key: str, asked: Asked) -> dict[str, CheckRows]:
        """The exposures at which the holdout was asked, by what the hashes say of them; what its members met."""
        report = audit_held_out(self._connection, asked, key)
        found: dict[str, tuple[Mapping[str, CellValue], ...]] = {
            "hash_audit": tuple({"class": name, "exposures": n} for name, n in report.counts.items()),
            "holdout_members": ({"members": report.members, "met_else": report.members_met_else},),
            "holdout_met_else": tuple(asdict(each) for each in report.met_else),
        }
        return {name: CheckRows(name, rows) for name, rows in found.items()}

    def rows(self, name: str, given: Mapping[str, Parameter]) -> list[tuple[CellValue, ...]]:
        """The rows of sql/<name>.sql, which reads raw tables only."""
        text = facts_sql.statement(name)
        with _explained(f"{name}.sql"):
            return self._connection.execute(text, wanted(text, given)).fetchall()

    def _counts(self, request: CountRequest, recount: Recount) -> Counts:
        exposed = self._ask(
            "select arm_key, excluded_reason, count(*) from first_exposures group by all order by all", request
        )
        newest = self._ask(facts_sql.statement("newest_event"), request)[0]
        loads = self._ask("select load_id from loads order by seq, load_id", request)
        return Counts(
            cells=_cells(request, recount),
            daily=_daily(request, recount),
            units={arm: sum(n for key, why, n in exposed if key == arm and why is None) for arm in request.arms},
            excluded={
                arm: {why: n for key, why, n in exposed if key == arm and why is not None} for arm in request.arms
            },
            days_with_data=self._days_with_data(request, recount),
            data_as_of=max((ts for ts in newest if ts is not None), default=None),
            loads=tuple(load for (load,) in loads),
        )

    def _days_with_data(self, request: CountRequest, recount: Recount) -> int:
        """Days on which a unit entered have data; only when some day has none of these is the log asked."""
        entered = {day for _, _, day in recount.entries}
        until = (request.cut.as_of_day - EPOCH).days
        if entered and request.cut.outcome_end == request.cut.as_of and len(entered) == until - min(entered):
            return len(entered)
        return len(self._ask(facts_sql.statement("days_with_data"), request)) if entered else 0

    def _ask(self, text: str, request: CountRequest) -> list[tuple[Any, ...]]:
        with State(self._connection, request.experiment_key, request.phase).cursor() as cursor:
            return cursor.execute(text, wanted(text, request_parameters(request))).fetchall()


@contextmanager
def opened(path: Path, *, wait_seconds: float = 0.0) -> Iterator[DuckDBWarehouse]:
    """The warehouse in a file, for the length of a `with`."""
    with open_connection(path, wait_seconds=wait_seconds) as connection:
        yield DuckDBWarehouse(connection)


def _cells(request: CountRequest, recount: Recount) -> dict[CellKey, ArmMoments]:
    cells: dict[CellKey, ArmMoments] = {}
    for place, window in enumerate((None, *recount.layout.windows)):
        whole = _whole(request, recount, window, least=place)
        cells[CellKey.overall(window)] = whole
        cells |= _context_cells(request, recount, window, least=place)
        cells |= _part_cells(request, recount, window, [whole[arm].n for arm in request.arms])
    return cells


def _whole(request: CountRequest, recount: Recount, window: int | None, *, least: int) -> ArmMoments:
    """All units of a population; `least` outcome windows are complete in it."""
    reading = _context_reading(recount, window)
    whole = reading.arms(request.arms, _grouped(recount.context[FIRST], lambda _: (), least).get((), {}))
    if window is not None:
        return whole
    layout = recount.layout
    reading = recount.covariate_sums.reading(layout, layout.covariates, all_pairs(layout.covariates))
    covariates = reading.arms(request.arms, {arm: vector for (arm, _, _), vector in recount.covariates.items()})
    return {arm: whole[arm].overlay(covariates[arm]) for arm in request.arms}


def _context_cells(
    request: CountRequest, recount: Recount, window: int | None, *, least: int
) -> dict[CellKey, ArmMoments]:
    cells: dict[CellKey, ArmMoments] = {}
    reading = _context_reading(recount, window)
    for item in recount.slices:
        groups = recount.context[item.key]
        for key, values_of in item.levels(recount.kept).items():
            exposed = {
                values: sum(vector[0] for vector in by_arm.values())
                for values, by_arm in _grouped(groups, values_of, least=0).items()
            }
            merged = merged_cells(exposed)
            found = _grouped(groups, _then(values_of, merged), least)
            for values in sorted(set(merged.values())):
                cells[CellKey("context", key, values, window)] = reading.arms(request.arms, found.get(values, {}))
    return cells


def _part_cells(
    request: CountRequest, recount: Recount, window: int | None, n: Sequence[int]
) -> dict[CellKey, ArmMoments]:
    """Every decomposition cell: zeros, and over them what each statement counted of it."""
    cells: dict[CellKey, ArmMoments] = {}
    for level, named in recount.levels.items():
        metrics = [metric for metric in recount.layout.of(window) if level in metric.levels]
        if not metrics:
            continue
        facts = dict.fromkeys((fact for metric in metrics for fact in metric.facts), 0)
        pairs = dict.fromkeys((both for metric in metrics for both in metric.part_pairs), 0)
        found = list(_readings(recount, level, facts, pairs))
        for cell, values in enumerate(named.values):
            arms: dict[str, Moments] = {}
            for code, arm in enumerate(request.arms):
                moments = Moments(n[code], facts, pairs, facts)
                for reading, groups in found:
                    if code in groups.get(cell, {}):
                        moments = moments.overlay(reading.moments(groups[cell][code]))
                arms[arm] = moments
            cells[CellKey("decomposition", level, values, window)] = arms
    return cells


def _readings(
    recount: Recount, level: str, facts: Mapping[str, int], pairs: Mapping[Pair, int]
) -> Iterator[tuple[Reading, Mapping[int, Mapping[int, Vector]]]]:
    """How the statements that counted a level are read, with their groups by the level's cell and arm."""
    of = recount.layout.column_of
    for part, groups in recount.source_parts:
        finest = recount.finest[part.source]
        if level in finest.levels:
            squares = finest.alone(level)
            own = [fact for fact in facts if fact in part.sums.sums]
            products = set(part.sums.products)
            mine = [
                both
                for both in pairs
                if pair(of[both[0]], of[both[1]]) in products and (squares or not set(both) <= set(facts))
            ]
            reading = part.sums.reading(recount.layout, own, mine, nonzero=own if squares else ())
            numbers = finest.levels[level]
            yield reading, _by_cell(groups, numbers.__getitem__)
    for level_part, groups in recount.level_parts:
        if level_part.level == level:
            products = set(level_part.sums.products)
            mine = [both for both in pairs if both in products]
            own = [fact for fact in facts if fact in level_part.sums.nonzero]
            yield level_part.sums.reading(recount.layout, (), mine, nonzero=own), _by_cell(groups, int)


def _daily(request: CountRequest, recount: Recount) -> dict[date, ArmMoments]:
    """Cumulative moments at the end of every business day from the first entry on."""
    layout, cut = recount.layout, request.cut
    changed = [
        day for groups in (recount.entries, recount.days) for (_, _, day), grown in groups.items() if grown.any()
    ]
    if not changed:
        return {}
    last = (cut.as_of_day - EPOCH).days - 1 if cut.outcome_end == cut.as_of else max(changed)
    names = list(dict.fromkeys(name for metric in layout.series for name in metric.names))
    facts = [name for name in names if name in layout.post]
    pairs = dict.fromkeys(both for metric in layout.series for both in metric.pairs)
    with_facts = [both for both in pairs if set(both) & set(facts)]
    entered = recount.entry_sums.reading(
        layout, [name for name in names if name not in layout.post], [p for p in pairs if p not in set(with_facts)]
    )
    grown = recount.day_sums.reading(layout, facts, with_facts)
    daily: dict[date, ArmMoments] = {}
    entries: dict[int, Vector] = {}
    days: dict[int, Vector] = {}
    for day in range(min(changed), last + 1):
        for total, groups in ((entries, recount.entries), (days, recount.days)):
            for arm in range(len(request.arms)):
                if (arm, 0, day) in groups:
                    vector = groups[arm, 0, day]
                    total[arm] = total[arm] + vector if arm in total else vector
        base, more = entered.arms(request.arms, entries), grown.arms(request.arms, days)
        daily[EPOCH + timedelta(days=day)] = {arm: base[arm].overlay(more[arm]) for arm in request.arms}
    return daily


def _context_reading(recount: Recount, window: int | None) -> Reading:
    metrics = recount.layout.of(window)
    names = [name for metric in metrics for name in metric.names]
    pairs = dict.fromkeys(both for metric in metrics for both in metric.pairs)
    return recount.context_sums.reading(recount.layout, names, pairs)


def _then(values_of: Callable[[int], Values], merged: Mapping[Values, Values]) -> Callable[[int], Values]:
    return lambda cell: merged[values_of(cell)]


def _grouped(groups: Groups, values_of: Callable[[int], Values], least: int) -> dict[Values, dict[int, Vector]]:
    """Vectors by cell values and arm, of units with at least so many complete outcome windows."""
    found: dict[Values, dict[int, Vector]] = {}
    for (arm, complete, cell), vector in groups.items():
        if complete >= least:
            by_arm = found.setdefault(values_of(cell), {})
            by_arm[arm] = by_arm[arm] + vector if arm in by_arm else vector
    return found


def _by_cell(groups: Groups, cell_of: Callable[[int], int]) -> dict[int, dict[int, Vector]]:
    found: dict[int, dict[int, Vector]] = {}
    for (arm, _, cell), vector in groups.items():
        by_arm = found.setdefault(cell_of(cell), {})
        by_arm[arm] = by_arm[arm] + vector if arm in by_arm else vector
    return found


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(
            f"{what}: the warehouse refused ({first_line(error)}); look at the disk's free space and at the file"
        ) from error
