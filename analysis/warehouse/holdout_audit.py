"""The hash audit of a holdout: who is held out, recomputed for every exposure at which it was asked. ASSIGNMENT 7.

A holdout is asked in slots of its modules that no experiment uses, and in the phases of the experiments that name it.
There a row is a `holdout_mismatch` when a member met anything else, or when a unit was held out that is a member of no
holdout asked there. Not recomputed are rows decided before any holdout: override, not_targeted, not_running, killed;
and those of experiments that do not name it.

Whoever decided it, a member that met anything but the holdout's strategy is no longer what the readout takes it for. So
members are counted too: all that were seen in its modules while it was in force, and those that met something else,
by experiment and reason. Who was forced into an arm is not among them, nor in the readout.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from analysis.warehouse.audit import CLASSES, AuditReport
from analysis.warehouse.base import Asked
from analysis.warehouse.connection import first_line
from analysis.warehouse.sql_files import SQL_FOLDER
from assignment.hashing import stage_salt
from experiments.errors import WarehouseError


@dataclass(frozen=True, slots=True)
class MetElse:
    """What members met in place of the holdout's strategy: in which experiment (None: none) and why."""

    experiment_key: str | None
    reason: str
    members: int
    exposures: int


@dataclass(frozen=True, slots=True)
class HoldoutReport(AuditReport):
    """The same of a holdout, with its members: how many were seen, and how many of those met something else."""

    members: int
    members_met_else: int
    met_else: tuple[MetElse, ...]  # the most members first; one may be in several


_NEVER = datetime(2200, 1, 1)
_TEXT, _WHOLE, _MOMENT = pa.string(), pa.int64(), pa.timestamp("us")


def audit_held_out(connection: duckdb.DuckDBPyConnection, asked: Asked, key: str, *, limit: int = 20) -> HoldoutReport:
    """Recompute every exposure at which the holdout `key` (one of `asked.holdouts`) was asked. WarehouseError."""
    tables = _tables(asked)
    given, modules = {"holdout_key": key}, list(asked.holdouts[key].modules)
    try:
        for name, table in tables.items():
            connection.register("audit_source", table)
            connection.execute(f"create or replace temp table {name} as select * from audit_source")
            connection.unregister("audit_source")
        statement = (SQL_FOLDER / "audit_holdout.sql").read_text(encoding="utf-8")
        connection.execute(f"create or replace temp table audit_rows as {statement}", given)
        counted = dict(connection.execute("select class, count(*) from audit_rows group by class").fetchall())
        others = connection.execute(
            "select assignment_reason, count(*) from exposures where list_contains(?, module) "
            "and event_id not in (select event_id from audit_rows) group by all order by all",
            [modules],
        ).fetchall()
        found = connection.execute(
            "select * from audit_rows where class <> 'ok' order by event_ts, event_id limit ?", [limit]
        )
        names = [column[0] for column in found.description or []]
        rows = tuple(dict(zip(names, row, strict=True)) for row in found.fetchall())
        classes = {name: counted.get(name, 0) for name in CLASSES}
        statement = (SQL_FOLDER / "holdout_members.sql").read_text(encoding="utf-8")
        connection.execute(f"create or replace temp table audit_members as {statement}", {**given, "modules": modules})
        members, else_ = connection.execute(
            "select count(distinct held_id), count(distinct held_id) filter (where met_else = 1) from audit_members"
        ).fetchall()[0]
        met = connection.execute(
            "select experiment_key, assignment_reason, count(distinct held_id) as members, sum(exposures)::bigint "
            "from audit_members where met_else = 1 group by all order by members desc, 1, 2"
        ).fetchall()
        return HoldoutReport(
            f"holdout.{key}", classes, dict(others), rows, members, else_, tuple(MetElse(*each) for each in met)
        )
    except duckdb.Error as error:
        raise WarehouseError(
            f"audit of holdout.{key}: the warehouse refused ({first_line(error)}); look at the disk's free space"
        ) from error
    finally:
        for name in (*tables, "audit_rows", "audit_members"):
            connection.execute(f"drop table if exists {name}")


def _tables(asked: Asked) -> dict[str, pa.Table]:
    """What audit_holdout.sql reads: each holdout, its ranges, and the places in which it is asked."""
    every = asked.holdouts.values()
    places = [(each.key, "", 0, module) for each in every for module in dict.fromkeys(each.modules)]
    places += [
        (key, experiment, phase, "")
        for (experiment, phase), named in asked.phases.items()
        for key in named
        if key in asked.holdouts
    ]
    whole = [
        (
            each.key,
            stage_salt(each.salt, "holdout"),
            each.unit_type,
            _naive(each.start_at),
            _naive(each.end_at),
            each.strategy,
        )
        for each in every
    ]
    ranges = [(each.key, start, end) for each in every for start, end in each.buckets]
    key = ("holdout_key", _TEXT)
    return {
        "audit_places": _table(places, key, ("place_key", _TEXT), ("place_phase", _WHOLE), ("place_module", _TEXT)),
        "audit_holdouts": _table(
            whole,
            key,
            ("salt", _TEXT),
            ("unit_type", _TEXT),
            ("start_at", _MOMENT),
            ("end_at", _MOMENT),
            ("strategy", _TEXT),
        ),
        "audit_holdout_ranges": _table(ranges, key, ("first_bucket", _WHOLE), ("end_bucket", _WHOLE)),
    }


def _table(rows: Iterable[tuple[object, ...]], *columns: tuple[str, pa.DataType]) -> pa.Table:
    listed = list(rows)
    arrays = [pa.array([row[place] for row in listed], kind) for place, (_, kind) in enumerate(columns)]
    return pa.table(dict(zip((name for name, _ in columns), arrays, strict=True)))


def _naive(moment: datetime | None) -> datetime:
    return _NEVER if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
