"""The hash audit: every exposure that truelift assigned, recomputed from salt, ranges and traffic. ASSIGNMENT 7.

What the log says and what the definition gives must agree; each row gets the first of these classes that holds:

    null_unit          no unit id, or one of another type than the phase assigns
    unknown_phase      no such phase, or another hash than the phase's
    window_mismatch    a switchback's unit is not the window of its moment
    bucket_mismatch    a logged bucket is not the recomputed one
    window_mismatch    the burn-in is another
    holdout_mismatch   in an arm though held out, or held out though no member
    outside_layer      the unit's layer bucket is not the experiment's
    outside_traffic    the unit was let in, or kept out, against the logged traffic; or traffic was never that high
    variant_mismatch   another arm than the recomputed one; one at all where two rankers drafted, or the other way round
    served_mismatch    a drawn unit met another arm than its own (control where that is disabled), or another strategy
    ok

Not recomputed are rows decided by what is not logged: not_targeted, not_running, killed. Layer ranges and overrides
may change in a phase, so that `not_in_layer` rows are checked by their buckets, `override` rows by their arm's name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from analysis.warehouse.base import CellValue
from analysis.warehouse.connection import first_line
from analysis.warehouse.sql_files import SQL_FOLDER
from assignment.bundle import compile_bundle
from assignment.document import BundleDocument, ExperimentDocument
from assignment.hashing import Stage, stage_salt
from assignment.switchback import window_start
from experiments.errors import WarehouseError

CLASSES = (
    "ok", "null_unit", "unknown_phase", "bucket_mismatch", "window_mismatch", "holdout_mismatch", "outside_layer",
    "outside_traffic", "variant_mismatch", "served_mismatch",
)  # fmt: skip
_EVER, _NEVER = datetime(1970, 1, 1), datetime(2200, 1, 1)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Exposures by class; `rows` are the first offending ones by time, with what was expected of them."""

    experiment_key: str
    counts: Mapping[str, int]  # every class, also those without rows
    not_recomputed: Mapping[str, int]  # assignment reason → exposures
    rows: tuple[Mapping[str, CellValue | datetime], ...]

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong with any row."""
        return all(count == 0 for name, count in self.counts.items() if name != "ok")


def audit_exposures(
    connection: duckdb.DuckDBPyConnection,
    bundles: Iterable[Mapping[str, object]],
    experiment_key: str,
    *,
    limit: int = 20,
) -> AuditReport:
    """Recompute every exposure of the experiment.

    `bundles` are bundle.v1 documents, the current one first: of several that hold a phase the first counts, so that
    older documents add older phases only. DefinitionError for a malformed one.
    """
    phases: dict[int, tuple[ExperimentDocument, BundleDocument]] = {}
    for written in bundles:
        compile_bundle(written)
        document = BundleDocument.model_validate(written)
        for experiment in document.experiments:
            if experiment.key == experiment_key:
                phases.setdefault(experiment.phase, (experiment, document))
    tables = _tables([*phases.values()])
    try:
        tables["audit_windows"] = _windows(connection, experiment_key, [each for each, _ in phases.values()])
        for name, table in tables.items():
            connection.register("audit_source", table)
            connection.execute(f"create or replace temp table {name} as select * from audit_source")
            connection.unregister("audit_source")
        return _audited(connection, experiment_key, limit)
    except duckdb.Error as error:
        raise WarehouseError(
            f"audit of {experiment_key}: the warehouse refused ({first_line(error)}); look at the disk's free space"
        ) from error
    finally:
        for name in (*tables, "audit_rows"):
            connection.execute(f"drop table if exists {name}")


def _audited(connection: duckdb.DuckDBPyConnection, key: str, limit: int) -> AuditReport:
    statement = (SQL_FOLDER / "audit.sql").read_text(encoding="utf-8")
    connection.execute(f"create or replace temp table audit_rows as {statement}", {"experiment_key": key})
    counted = dict(connection.execute("select class, count(*) from audit_rows group by class").fetchall())
    others = connection.execute(
        "select assignment_reason, count(*) from exposures where experiment_key = ? "
        "and event_id not in (select event_id from audit_rows) group by all order by all", [key],
    ).fetchall()  # fmt: skip
    found = connection.execute(
        "select * from audit_rows where class <> 'ok' order by event_ts, event_id limit ?", [limit]
    )
    names = [column[0] for column in found.description or []]
    rows = tuple(dict(zip(names, row, strict=True)) for row in found.fetchall())
    return AuditReport(key, {name: counted.get(name, 0) for name in CLASSES}, dict(others), rows)


def _tables(phases: Sequence[tuple[ExperimentDocument, BundleDocument]]) -> dict[str, pa.Table]:
    """What audit.sql reads of the definition, one row a phase, salt, arm, range and holdout."""
    whole: list[tuple[object, ...]] = []
    salts: list[tuple[object, ...]] = []
    arms: list[tuple[object, ...]] = []
    ranges: list[tuple[object, ...]] = []
    holdouts: list[tuple[object, ...]] = []
    held: list[tuple[object, ...]] = []
    for experiment, document in phases:
        phase = experiment.phase
        layer = next(layer for layer in document.layers if layer.key == experiment.layer.key)
        drawn: Stage = "switchback" if experiment.unit_type == "cluster_window" else "split"
        salts += [
            ("split", phase, stage_salt(experiment.salt, drawn)),
            ("traffic", phase, stage_salt(experiment.salt, "traffic")),
            ("layer", phase, stage_salt(layer.salt, "layer")),
        ]
        most_bp = max((step.bp for step in experiment.traffic), default=0)
        whole.append((phase, experiment.unit_type, experiment.hash_version, most_bp, experiment.design))
        no_arm = experiment.design == "interleaving"  # no bucket belongs to one
        arms += [
            (phase, arm.key, *((0, 0) if no_arm else (arm.start, arm.end)), arm.is_control, arm.disabled, arm.strategy)
            for arm in experiment.variants
        ]
        ranges += [(phase, start, end) for start, end in experiment.layer.ranges]
        for holdout in document.holdouts:
            if holdout.key in experiment.holdouts:
                salt = stage_salt(holdout.salt, "holdout")
                times = (_naive(holdout.start_at, _EVER), _naive(holdout.end_at, _NEVER))
                holdouts.append((phase, holdout.key, salt, holdout.unit_type, *times))
                held += [(phase, holdout.key, start, end) for start, end in holdout.buckets]
    text, whole_number, moment = pa.string(), pa.int64(), pa.timestamp("us")
    phase_column = ("phase", whole_number)
    edges = (("first_bucket", whole_number), ("end_bucket", whole_number))
    return {
        "audit_phases": _table(
            whole, phase_column, ("unit_type", text), ("hash_version", text), ("most_bp", whole_number),
            ("design", text),
        ),
        "audit_salts": _table(salts, ("stage", text), phase_column, ("salt", text)),
        "audit_arms": _table(
            arms, phase_column, ("variant", text), *edges, ("is_control", pa.bool_()), ("disabled", pa.bool_()),
            ("strategy", text),
        ),
        "audit_layer_ranges": _table(ranges, phase_column, *edges),
        "audit_holdouts": _table(
            holdouts, phase_column, ("holdout_key", text), ("salt", text), ("unit_type", text), ("start_at", moment),
            ("end_at", moment),
        ),
        "audit_holdout_ranges": _table(held, phase_column, ("holdout_key", text), *edges),
    }  # fmt: skip


def _windows(connection: duckdb.DuckDBPyConnection, key: str, experiments: Sequence[ExperimentDocument]) -> pa.Table:
    """Every window in which a switchback was exposed: how its units' ids end, its bounds, the end of its burn-in."""
    rows: list[tuple[object, ...]] = []
    for experiment in experiments:
        if experiment.switchback is None:
            continue
        window, burn_in = experiment.switchback.window, experiment.switchback.burn_in
        first, last = connection.execute(
            "select min(event_ts), max(event_ts) from exposures where experiment_key = ? and phase = ?",
            [key, experiment.phase],
        ).fetchall()[0]
        start = None if first is None else window_start(first.replace(tzinfo=UTC), window).replace(tzinfo=None)
        while start is not None and start <= last:
            rows.append((experiment.phase, f"|{start:%Y-%m-%dT%H:%M:%SZ}", start, start + burn_in, start + window))
            start += window
    moment = pa.timestamp("us")
    return _table(
        rows, ("phase", pa.int64()), ("suffix", pa.string()), ("start_at", moment), ("analysed_from", moment),
        ("end_at", moment),
    )  # fmt: skip


def _table(rows: Sequence[tuple[object, ...]], *columns: tuple[str, pa.DataType]) -> pa.Table:
    return pa.table({name: pa.array([row[place] for row in rows], kind) for place, (name, kind) in enumerate(columns)})


def _naive(moment: datetime | None, otherwise: datetime) -> datetime:
    return otherwise if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
