"""Load the exposure log: ready segments, each in one transaction, then moved to loaded/. ASSIGNMENT 7.

Small segments share a load and its transaction: a load takes a third of a second, however small. Running it again is
harmless at every point: a segment whose rows are in the warehouse already is only moved, and an event that is in two
segments is loaded once, by its event_id; a catalogue row by all it says. A catalogue row of the log says only what
changed: what it leaves out stays (sql/enrich/catalogue_counting.sql). Lines that are no events are kept in `rejected`
with the reason, among them the last one of a process that died while writing it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from analysis.warehouse.loading.load import Intake, LoadReport, RejectedRow, ShopTerms, load_source, quiet
from analysis.warehouse.loading.loader_counts import write_counts
from analysis.warehouse.loading.reading import parse_mapping
from analysis.warehouse.loading.sources import Progress, SourceFile
from analysis.warehouse.sql_files import SQL_FOLDER, first_row, run_file
from assignment.event_log import VERSIONS
from assignment.segments import READY, adopt
from experiments.errors import SpoolError
from experiments.spec import digest

LOADED = "loaded"  # the folder beside the segments
BATCH_BYTES = 32 << 20  # segments that share a load, at most, unless one alone is larger
_EMISSIONS = (
    f"{{to: {kind}, when: {{schema_version: {said}}}, columns: same_names}}" for kind, said in VERSIONS.items()
)
_MAPPING = parse_mapping(f"file: {{format: jsonl}}\nemit: [{', '.join(_EMISSIONS)}]", "spool")
_SQL = SQL_FOLDER / "load"
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class SpoolReport:
    """What became of every line of the segments that were ready."""

    segments: int  # loaded now
    moved: int  # loaded before, or blank, and only moved
    adopted: int  # of both, left behind by dead processes
    rows_read: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    accepted_by_table: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)  # a line with two reasons counts under both
    examples: Mapping[str, tuple[tuple[str, RejectedRow], ...]] = field(default_factory=dict)  # five each, by segment
    unreadable: tuple[str, ...] = ()  # segments that stay where they are, each with the cause


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    text: bytes
    digest: str  # sha256 of the text

    @property
    def torn(self) -> bool:
        return not self.text.endswith(b"\n")

    @property
    def lines(self) -> int:
        return self.text.count(b"\n") + self.torn


def load_spool(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    terms: ShopTerms,
    *,
    now: datetime,
    progress: Progress = quiet,
    batch_bytes: int = BATCH_BYTES,
) -> SpoolReport:
    """Load and move what is ready; what dead processes left is made ready first.

    `now` is naive UTC; `progress(bytes_done, bytes_in_all)` is called as it goes. A segment that cannot be read is
    named and left. What became of all events so far is written beside them, for /metrics. WarehouseError or SpoolError
    ends the run; what was loaded before it stays, and the next run goes on from there.
    """
    try:
        adopted = adopt(folder)
        ready = [(path, path.stat().st_size) for path in sorted(folder.glob(f"*{READY}"))]
    except OSError as error:
        raise _refused(folder, error) from error
    total, done, loaded, moved = sum(size for _, size in ready), 0, 0, 0
    reports: list[LoadReport] = []
    unreadable: list[str] = []
    for paths in _batches(ready, batch_bytes):
        segments = list(_read(paths, unreadable))
        new = [segment for segment in segments if not _is_known(connection, segment)]
        if new:
            report = _load(connection, new, terms, now=now, progress=_within(progress, done, total))
            reports.append(report)
            loaded += 0 if report.already_loaded else len(new)
        for segment in segments:
            _move(segment)
        moved += len(segments)
        done += sum(size for path, size in ready if path in set(paths))
        progress(done, total)
    try:
        if folder.is_dir():
            write_counts(connection, folder, unreadable=len(unreadable), now=now)
    except OSError as error:
        raise _refused(folder, error) from error
    return _summed(connection, reports, SpoolReport(loaded, moved - loaded, adopted, unreadable=tuple(unreadable)))


def _batches(ready: Sequence[tuple[Path, int]], most: int) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path, more in ready:
        if batch and size + more > most:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += more
    if batch:
        yield batch


def _read(paths: Sequence[Path], unreadable: list[str]) -> Iterator[_Segment]:
    for path in paths:
        try:
            text = path.read_bytes()
        except OSError as error:
            said = error.strerror or str(error)
            unreadable.append(f"{path}: cannot be read ({said}); correct its rights and load again")
        else:
            yield _Segment(path, text, hashlib.sha256(text).hexdigest())


def _is_known(connection: duckdb.DuckDBPyConnection, segment: _Segment) -> bool:
    """Whether there is nothing to load: it was loaded under this name, or holds blank lines only."""
    query = "select 1 from loaded_segments where segment = ? and file_digest = ?"
    return not segment.text.strip() or first_row(connection, query, [segment.path.name, segment.digest]) is not None


def _load(
    connection: duckdb.DuckDBPyConnection,
    segments: Sequence[_Segment],
    terms: ShopTerms,
    *,
    now: datetime,
    progress: Progress,
) -> LoadReport:
    """One load of several segments, one after another."""
    places = _places(segments)

    def judge(made: duckdb.DuckDBPyConnection) -> None:
        made.register("source_batch", places)
        made.execute("create or replace temp table segment_lines as select * from source_batch")
        made.unregister("source_batch")
        run_file(made, _SQL / "set_aside.sql", versions=",".join(VERSIONS.values()))

    def place(made: duckdb.DuckDBPyConnection) -> None:
        run_file(made, _SQL / "place_rejected.sql")

    def beside(made: duckdb.DuckDBPyConnection, load_id: str) -> None:
        made.register("source_batch", places)
        made.execute("insert into loaded_segments by name select segment, file_digest, ? as load_id, first_line, "
                     "cast(? as timestamp) as loaded_at from source_batch", [load_id, now])  # fmt: skip
        made.unregister("source_batch")

    alone = len(segments) == 1
    content = segments[0].digest if alone else digest([segment.digest for segment in segments])
    name = segments[0].path.name if alone else f"{segments[0].path.name} and {len(segments) - 1} more"
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            for segment in segments:
                file.write(segment.text + (b"\n" if segment.torn else b""))
        source = SourceFile(path, "jsonl", gzipped=False, layout=_MAPPING.file, size=path.stat().st_size)
        try:
            return load_source(connection, source, _MAPPING, terms, now=now, progress=progress,
                               intake=Intake(content, judge, place, beside))  # fmt: skip
        finally:
            connection.execute("drop table if exists segment_lines")


def _places(segments: Sequence[_Segment]) -> pa.Table:
    """Which lines of the load each segment has: from first_line on, up to but not including end_line."""
    first, firsts, ends = 1, [], []
    for segment in segments:
        firsts.append(first)
        first += segment.lines
        ends.append(first)
    return pa.table(
        {
            "segment": pa.array([segment.path.name for segment in segments], pa.string()),
            "file_digest": pa.array([segment.digest for segment in segments], pa.string()),
            "first_line": pa.array(firsts, pa.int64()),
            "end_line": pa.array(ends, pa.int64()),
            "is_torn": pa.array([segment.torn for segment in segments], pa.bool_()),
        }
    )


def _move(segment: _Segment) -> None:
    """To loaded/; a different segment of that name there keeps its place."""
    path = segment.path
    target = path.parent / LOADED / path.name
    try:
        target.parent.mkdir(exist_ok=True)
        if target.exists() and target.read_bytes() != segment.text:
            target = target.with_stem(f"{target.stem}-{segment.digest[:8]}")
        path.replace(target)
    except OSError as error:
        raise _refused(path.parent, error) from error


def _refused(folder: Path, error: OSError) -> SpoolError:
    said = error.strerror or str(error)
    return SpoolError(f"{folder}: segments cannot be handed on ({said}); make the folder writable and load again")


def _within(progress: Progress, before: int, total: int) -> Progress:
    """The progress of one load as that of all."""
    return lambda done, _: progress(min(before + done, total), total)


def _summed(connection: duckdb.DuckDBPyConnection, reports: Sequence[LoadReport], counted: SpoolReport) -> SpoolReport:
    new = [report for report in reports if not report.already_loaded]
    tables, reasons = Counter[str](), Counter[str]()
    for report in new:
        tables.update(report.accepted_by_table)
        reasons.update(report.reasons)
    loads = [report.load_id for report in new]
    return SpoolReport(
        segments=counted.segments,
        moved=counted.moved,
        adopted=counted.adopted,
        rows_read=sum(report.rows_read for report in new),
        accepted=sum(report.accepted for report in new),
        duplicates=sum(report.duplicates for report in new),
        rejected=sum(report.rejected for report in new),
        accepted_by_table=dict(tables),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        examples={reason: _examples(connection, loads, reason) for reason in reasons},
        unreadable=counted.unreadable,
    )


def _examples(
    connection: duckdb.DuckDBPyConnection, loads: Sequence[str], reason: str
) -> tuple[tuple[str, RejectedRow], ...]:
    found = connection.execute(
        "select file, line, emit, reasons, raw from rejected where list_contains(?, load_id) "
        "and list_contains(reasons, ?) order by file, line limit ?", [list(loads), reason, _EXAMPLES],
    ).fetchall()  # fmt: skip
    return tuple((file, RejectedRow(line, emit, tuple(why), raw)) for file, line, emit, why, raw in found)
