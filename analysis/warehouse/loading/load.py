"""Load a log file: through its mapping to contract rows, into the raw tables or into `rejected`, in one transaction.

Nothing is lost and nothing is repaired. Every source row is read, malformed, or met by no emission; every
emitted row is accepted, a duplicate, or rejected with every reason, its file and its line:

    rows_read = rows_malformed + rows_not_emitted + rows that emitted;  emitted = accepted + duplicates + rejected

`rejected` in the report counts malformed source rows too. Loading a file again under the same mapping changes
nothing; under a changed mapping, only what was not loaded before comes in.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from analysis.warehouse.connection import first_line, kept_terms, next_step, open_memory
from analysis.warehouse.contract_sql import TABLES, sql_type
from analysis.warehouse.loading.enrich import ENRICHED, enrich
from analysis.warehouse.loading.mapping import LogMapping
from analysis.warehouse.loading.mapping_sql import emission_statements, root_columns
from analysis.warehouse.loading.paths import Staged
from analysis.warehouse.loading.sources import Progress, SourceFile, file_digest, open_source, stage
from analysis.warehouse.sql_build import call, column, literal, render
from analysis.warehouse.sql_files import SQL_FOLDER, first_row, number, run_file
from analysis.warehouse.terms import ShopTerms as ShopTerms
from analysis.warehouse.terms import refuse_others
from experiments.contracts import CONTRACTS, INSTANT_PATTERN, columns
from experiments.errors import MappingError, Problem, SourceError, WarehouseError
from experiments.spec import digest

_SQL = SQL_FOLDER / "load"
_EXAMPLES = 5
_STEPS = (
    "stage", "stage_malformed", "inconsistent_lines", "said_before", "refused", "refused_rows", "unit_keys",
    "added", "emitting", "repeats", "new_load", "new_rejected",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One rejected row, as an example of a reason."""

    line: int
    emit: int | None
    reasons: tuple[str, ...]
    raw: str


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of every row of one file."""

    file: str
    load_id: str
    already_loaded: bool
    rows_read: int
    rows_malformed: int
    rows_not_emitted: int
    rows_repeated: int  # beyond the first of each group of equal source rows
    rows_repeated_kept: int  # of those, the ones with an accepted row
    emitted: int
    accepted: int
    duplicates: int  # of rows that are there already, or earlier in the file
    said_before: int  # of those, rows without an event_id of their own that say what another file said
    rejected: int  # emitted rows and malformed source rows
    accepted_by_table: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)  # a row with two reasons counts under both
    examples: Mapping[str, tuple[RejectedRow, ...]] = field(default_factory=dict)  # the first five of each reason
    not_emitted_example: str | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """What is special about a source that is not a file of the shop's own."""

    content: str  # the digest of what it is made of
    judge: Callable[[duckdb.DuckDBPyConnection], None]  # moves what is no row from `stage` to `stage_malformed`
    place: Callable[[duckdb.DuckDBPyConnection], None]  # says in `new_rejected` where the lines come from
    beside: Callable[[duckdb.DuckDBPyConnection, str], None]  # writes beside the rows of that load_id, as they are


def quiet(done: int, total: int) -> None:
    """Show no progress."""
    del done, total


def load_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    mapping: LogMapping,
    terms: ShopTerms,
    *,
    now: datetime,
    progress: Progress = quiet,
) -> LoadReport:
    """Load one file. SourceError or MappingError (exit 2) and WarehouseError leave the warehouse as it was.

    `now` is naive UTC. `progress(bytes_read, bytes_in_all)` is called after every batch.
    """
    if mapping.money_digits is not None and mapping.money_digits != terms.digits:
        said = (
            f"the shop counts money in 10^-{terms.digits} {terms.currency}, the mapping in 10^-{mapping.money_digits}"
        )
        raise MappingError(mapping.name, [Problem("money_digits", "money_digits", mapping.money_digits, said, (),
                                                  "make the two agree (truelift.toml: money_digits)")])  # fmt: skip
    return load_source(connection, open_source(path, mapping.file), mapping, terms, now=now, progress=progress)


def load_source(
    connection: duckdb.DuckDBPyConnection,
    source: SourceFile,
    mapping: LogMapping,
    terms: ShopTerms,
    *,
    now: datetime,
    progress: Progress = quiet,
    intake: Intake | None = None,
) -> LoadReport:
    """Load one opened file. A time without a zone refuses the file, or with an `intake` only its line.

    UsageError when earlier files were loaded under other terms.
    """
    refuse_others(kept_terms(connection), terms)
    path = source.path
    content = file_digest(path) if intake is None else intake.content
    load_id = digest([content, mapping.digest(), *astuple(terms)])[:16]
    known = _known(connection, load_id)
    with _warehouse_errors(path):
        if known is not None:
            if intake is not None:
                with _transaction(connection):
                    intake.beside(connection, load_id)
            return known
        try:
            connection.execute("set variable file_digest = $digest", {"digest": content})
            _compute(connection, source, mapping, terms, progress, intake)
            _account(connection, load_id, path, content, mapping, now)
            if intake is not None:
                intake.place(connection)
            with _transaction(connection):
                run_file(
                    connection, _SQL / "insert.sql", load_id=load_id, currency=terms.currency,
                    money_digits=str(terms.digits), time_zone=terms.time_zone,
                )  # fmt: skip
                if intake is not None:
                    intake.beside(connection, load_id)
        finally:
            _clear(connection)
    return _report(connection, load_id, already_loaded=False)


def check_file(
    path: Path, mapping: LogMapping, terms: ShopTerms, *, now: datetime, progress: Progress = quiet
) -> LoadReport:
    """The report a load into an empty warehouse would give. Changes nothing."""
    connection = open_memory()
    with TemporaryDirectory() as spill:
        try:
            connection.execute(
                "set temp_directory = $folder", {"folder": spill}
            )  # a large file is no reason to write here
            return load_file(connection, path, mapping, terms, now=now, progress=progress)
        finally:
            connection.close()


@contextmanager
def _warehouse_errors(path: Path) -> Iterator[None]:
    """What DuckDB says becomes a WarehouseError with the next step."""
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(
            f"{path.name}: the warehouse could not take it ({first_line(error)}); nothing of this file was loaded: "
            f"{next_step(error) or 'make room on the disk or in memory and load it again'}"
        ) from error


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(duckdb.Error):  # a failed commit has rolled back already
            connection.execute("rollback")
        raise


def _compute(
    connection: duckdb.DuckDBPyConnection,
    source: SourceFile,
    mapping: LogMapping,
    terms: ShopTerms,
    progress: Progress,
    intake: Intake | None,
) -> None:
    """Everything but the writing, in temporary tables: what is new, what is refused, what earlier rows become."""
    prepare_tables(connection)
    staged = stage(connection, source, root_columns(mapping), progress)
    if intake is not None:
        intake.judge(connection)
    for statement in emission_statements(mapping, staged, terms):
        connection.execute(statement)
    if intake is None:
        _refuse_times_without_zone(connection, source.path, mapping)
    from_log = "no" if intake is None else "yes"
    run_file(
        connection, _SQL / "accept.sql", zone=terms.time_zone, from_log=from_log,
        own_event_ids="yes" if mapping.own_event_ids else "no",
    )  # fmt: skip
    _find_repeats(connection, staged)
    _find_rejected(connection, staged)
    enrich(connection, from_log=from_log)


def prepare_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The macros, and empty tables for what the mapping emits."""
    pattern = render(literal(f"^(?:{INSTANT_PATTERN})$"))
    connection.execute((_SQL / "macros.sql").read_text(encoding="utf-8").replace("$instant_pattern", pattern))
    for name, table in TABLES.items():
        own = "".join(f"{part.name} {sql_type(part.kind)}, " for part in columns(CONTRACTS[name]))
        more = "original_value varchar, " if name == "outcome" else ""
        connection.execute(f"create or replace temp table emitted_{table} "
                           f"(line bigint, emit bigint, element bigint, {own}{more}reasons varchar[])")  # fmt: skip


def _refuse_times_without_zone(connection: duckdb.DuckDBPyConnection, path: Path, mapping: LogMapping) -> None:
    for table in TABLES.values():
        found = first_row(
            connection,
            f"select line, list_filter(reasons, lambda r: ends_with(r, '_no_zone'))[1] from emitted_{table} "
            f"where len(list_filter(reasons, lambda r: ends_with(r, '_no_zone'))) > 0 order by line limit 1",
        )
        if found is not None:
            raise SourceError(
                f"{path}: line {found[0]} has a time without a zone ({str(found[1]).removesuffix('_no_zone')}); "
                f"say in {mapping.name} which one is meant, for example time_zone: Europe/Berlin; nothing was loaded"
            )


def _find_rejected(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Every refused row with its source row as JSON; every malformed source row with its text."""
    if staged.kind == "jsonl":
        raw = "stage.raw"
    else:
        parts = (
            part for name, (own, _) in staged.columns.items() for part in (literal(name), column(own, table="stage"))
        )
        raw = render(call("json_object", *parts))
    connection.execute(
        f"create or replace temp table refused_rows as "
        f"select refused.line, refused.emit, refused.to_table, refused.reasons, cast({raw} as varchar) as raw "
        f"from refused inner join stage on stage.line = refused.line "
        f"union all select line, null, null, [reason], raw from stage_malformed"
    )


def _find_repeats(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """The source rows equal to an earlier one, cell by cell (the hash only says where to look)."""
    cells = "raw" if staged.kind == "jsonl" else ", ".join(own for own, _ in staged.columns.values())
    connection.execute(
        f"create or replace temp table repeats as select line from stage where hash({cells}) in "
        f"(select hash({cells}) from stage group by 1 having count(*) > 1) "
        f"qualify row_number() over (partition by {cells} order by line) > 1"
    )


def _account(
    connection: duckdb.DuckDBPyConnection, load_id: str, path: Path, content: str, mapping: LogMapping, now: datetime
) -> None:
    run_file(
        connection,
        _SQL / "account.sql",
        load_id=load_id,
        file=path.name,
        file_digest=content,
        mapping_name=mapping.name,
        mapping_digest=mapping.digest(),
        loaded_at=now.isoformat(sep=" "),
    )


def _clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what the load made for itself."""
    made = (f"{prefix}_{table}" for table in TABLES.values() for prefix in ("emitted", "new"))
    for table in (*_STEPS, *made, *ENRICHED):
        with suppress(duckdb.Error):
            connection.execute(f"drop table if exists {table}")


def _known(connection: duckdb.DuckDBPyConnection, load_id: str) -> LoadReport | None:
    found = first_row(connection, "select 1 from loads where load_id = ?", [load_id])
    return _report(connection, load_id, already_loaded=True) if found is not None else None


def _report(connection: duckdb.DuckDBPyConnection, load_id: str, *, already_loaded: bool) -> LoadReport:
    row = connection.execute(
        "select file, rows_read, rows_malformed, rows_not_emitted, rows_repeated, rows_repeated_kept, emitted, "
        "accepted, duplicates, said_before, rejected, not_emitted_example from loads where load_id = ?", [load_id],
    ).fetchall()[0]  # fmt: skip
    reasons = connection.execute(
        "select reason, count(*) from (select unnest(reasons) as reason from rejected where load_id = ?) "
        "group by reason order by count(*) desc, reason", [load_id],
    ).fetchall()  # fmt: skip
    examples: dict[str, tuple[RejectedRow, ...]] = {}
    for reason, _ in reasons:
        first = connection.execute(
            "select line, emit, reasons, raw from rejected where load_id = ? and list_contains(reasons, ?) "
            "order by line, emit limit ?", [load_id, reason, _EXAMPLES],
        ).fetchall()  # fmt: skip
        examples[reason] = tuple(RejectedRow(line, emit, tuple(why), raw) for line, emit, why, raw in first)
    by_table = {}
    for table in TABLES.values():
        by_table[table] = number(connection, f"select count(*) from {table} where load_id = ?", [load_id])
    file, read, malformed, passed_over, repeated, kept, emitted, accepted, duplicates, said, rejected, example = row
    return LoadReport(
        file=file,
        load_id=load_id,
        already_loaded=already_loaded,
        rows_read=read,
        rows_malformed=malformed,
        rows_not_emitted=passed_over,
        rows_repeated=repeated,
        rows_repeated_kept=kept,
        emitted=emitted,
        accepted=accepted,
        duplicates=duplicates,
        said_before=said,
        rejected=rejected,
        accepted_by_table=by_table,
        reasons=dict(reasons),
        examples=examples,
        not_emitted_example=example,
    )
