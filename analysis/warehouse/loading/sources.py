"""Reading a log file: Parquet, CSV or JSON lines, plain or gzipped, in batches, into the table `stage`.

Nothing of a file is judged here but whether it can be read: a CSV record with too many or too few fields and
a line that is no JSON object go to `stage_malformed` with their text, everything else to `stage`, both numbered by
`line`: where the row begins in the file as an editor shows it (a CSV header is line 1), in Parquet the row from 1.
`place` is the place among the data rows, from 1 (in JSON lines: the line).
"""

import csv
import hashlib
import io
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.warehouse.loading.mapping import FileFormat
from analysis.warehouse.loading.paths import Staged, shape
from analysis.warehouse.sql_build import column, render, sql, text_list
from analysis.warehouse.sql_files import number
from experiments.errors import SourceError

Progress = Callable[[int, int], None]  # bytes read, bytes in all

_BATCH_ROWS = 131_072
_BLOCK_BYTES = 8 << 20
_BATCH_BLOCKS = 8  # of JSON lines: a statement for each block would cost three times as much
_FIRST_LINE = 2  # of a CSV file's data: the header is line 1
_DELIMITERS = (",", ";", "\t", "|")
_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and how it is to be read."""

    path: Path
    kind: str  # csv, jsonl, parquet
    gzipped: bool
    layout: FileFormat
    size: int  # bytes


def open_source(path: Path, layout: FileFormat) -> SourceFile:
    """The file as the mapping, or else its name, says it is written. SourceError when missing, empty or unknown."""
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; name the files in it")
    if not path.is_file():
        raise SourceError(f"{path}: no such file; check the path")
    size = path.stat().st_size
    if size == 0:
        raise SourceError(f"{path}: the file is empty (0 bytes); check the export that wrote it")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    named_gzip = bool(suffixes) and suffixes[-1] in (".gz", ".gzip")
    gzipped = named_gzip if layout.compression is None else layout.compression == "gzip"
    inner = suffixes[-2:-1] if named_gzip else suffixes[-1:]
    kind = layout.format or (_SUFFIXES.get(inner[0]) if inner else None)
    if kind is None:
        raise SourceError(
            f"{path}: the name does not say how the file is written; give the mapping "
            f"file: {{format: csv}}, jsonl or parquet"
        )
    if kind != "parquet" and _starts(path) == b"PAR1":
        raise SourceError(
            f"{path}: a Parquet file, not {kind}; rename it, or give the mapping file: {{format: parquet}}"
        )
    return SourceFile(path, kind, gzipped, layout, size)


def _starts(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(4)


def file_digest(path: Path) -> str:
    """The sha256 of the file's bytes, 64 hex digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def column_names(source: SourceFile) -> list[str] | None:
    """The columns of a CSV or Parquet file; None for JSON lines, whose rows may differ."""
    match source.kind:
        case "csv":
            return _header(source, _delimiter(source))
        case "parquet":
            return list(pyarrow.parquet.read_schema(source.path).names)
        case _:
            return None


def stage(
    connection: duckdb.DuckDBPyConnection, source: SourceFile, roots: tuple[str, ...], progress: Progress
) -> Staged:
    """Read the whole file into the temporary tables `stage` and `stage_malformed`.

    `roots` are the top-level names wanted of a JSON line; other formats stage every column. SourceError when the
    file is truncated, is not what it is said to be, or holds no rows.
    """
    connection.execute("drop table if exists stage")
    connection.execute("create or replace temp table stage_malformed "
                       "(line bigint, raw varchar, reason varchar default 'malformed')")  # fmt: skip
    read = {"csv": _stage_csv, "jsonl": _stage_json_lines, "parquet": _stage_parquet}[source.kind]
    try:
        names = read(connection, source, roots, progress)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, EOFError, UnicodeError, OSError) as error:
        if isinstance(error, duckdb.Error):
            raise
        raise SourceError(_unreadable(source, error)) from error
    rows = number(connection, "select count(*) from stage")
    if rows + number(connection, "select count(*) from stage_malformed") == 0:
        raise SourceError(f"{source.path}: the file holds no rows; check the export that wrote it")
    kinds = dict(zip((relation := connection.table("stage")).columns, relation.types, strict=True))
    columns = {name: (staged, shape(kinds[staged])) for name, staged in names.items()}
    return Staged(source.path.name, source.kind, columns, rows)


def _unreadable(source: SourceFile, error: Exception) -> str:
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    mark = _starts(source.path)
    if mark == b"PK\x03\x04":
        return f"{source.path}: a zip archive or a spreadsheet, not {source.kind}; unpack it, or export it as CSV"
    if source.gzipped and mark[:2] != b"\x1f\x8b":
        return f"{source.path}: not gzipped; rename it, or give the mapping file: {{compression: none}}"
    if "utf" in said.lower() or isinstance(error, UnicodeError):
        other = "utf-16" if mark[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        return (
            f"{source.path}: not {source.layout.encoding} text ({said}); give the mapping file: {{encoding: {other}}}"
        )
    if "straddling" in said:
        return (
            f"{source.path}: a record is longer than {_BLOCK_BYTES >> 20} MB; look for a quote that is never closed, "
            f"or give the mapping file: {{quote: …}}"
        )
    if "truncated" in said.lower() or isinstance(error, EOFError):
        return f"{source.path}: the file is cut off ({said}); write or copy it again"
    return f"{source.path}: cannot be read as {source.kind} ({said}); it may be cut off: write or copy it again"


@contextmanager
def _bytes(source: SourceFile) -> Iterator[tuple[pa.NativeFile, Callable[[], int]]]:
    """The file's bytes, unpacked, and how many of the file have been read."""
    with pa.OSFile(str(source.path), "rb") as raw:
        yield (pa.CompressedInputStream(raw, "gzip") if source.gzipped else raw), raw.tell


# --- Parquet -----------------------------------------------------------------------------------------------------


def _stage_parquet(
    connection: duckdb.DuckDBPyConnection, source: SourceFile, roots: tuple[str, ...], progress: Progress
) -> dict[str, str]:
    del roots
    if source.gzipped:
        raise SourceError(f"{source.path}: Parquet is compressed inside; unpack the file, or leave out compression:")
    done = 0
    with pyarrow.parquet.ParquetFile(source.path) as file:
        names = _stage_names(source, file.schema_arrow.names)
        _create(connection, file.schema_arrow.empty_table(), names)
        total = max(file.metadata.num_rows, 1)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            places = np.arange(done + 1, done + batch.num_rows + 1, dtype=np.int64)
            _insert(connection, batch, names, places, first_line=1)
            done += batch.num_rows
            progress(source.size * done // total, source.size)
    return names


def _stage_names(source: SourceFile, names: list[str]) -> dict[str, str]:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SourceError(f"{source.path}: {', '.join(sorted(twice))} is the name of several columns; rename them")
    return {name: f"c{place}" for place, name in enumerate(names, start=1)}


def _create(connection: duckdb.DuckDBPyConnection, empty: pa.Table, names: dict[str, str]) -> None:
    """The table `stage`, by its columns and never from an empty query.

    In DuckDB 2.0.0 a table made by a query without rows keeps empty statistics for the rest of its transaction, so
    that a filter finds none of the rows put in later.
    """
    connection.register("source_batch", empty.rename_columns(list(names.values())))
    kinds = connection.table("source_batch").types
    connection.unregister("source_batch")
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names.values(), kinds, strict=True))
    connection.execute(f"create temp table stage (line bigint, place bigint, raw varchar, {columns})")


def _insert(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.RecordBatch,
    names: dict[str, str],
    places: np.ndarray[tuple[int], np.dtype[np.int64]],
    *,
    first_line: int,
) -> None:
    table = pa.Table.from_batches([batch]).rename_columns(list(names.values()))
    table = table.append_column("place", pa.array(places)).append_column("line", pa.array(places + (first_line - 1)))
    connection.register("source_batch", table)
    connection.execute("insert into stage by name select * from source_batch")
    connection.unregister("source_batch")


# --- CSV ---------------------------------------------------------------------------------------------------------


def _stage_csv(
    connection: duckdb.DuckDBPyConnection, source: SourceFile, roots: tuple[str, ...], progress: Progress
) -> dict[str, str]:
    layout = source.layout
    delimiter = _delimiter(source)
    header = _header(source, delimiter)
    _refuse_another_delimiter(source, header, delimiter, roots)
    names = _stage_names(source, header)
    malformed: list[tuple[int, str]] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        malformed.append((row.number - 1, row.text))
        return "skip"

    text = {staged: pa.string() for staged in names.values()}
    _create(connection, pa.table({name: pa.array([], pa.string()) for name in names}), names)
    done, noted = 0, 0
    with _bytes(source) as (stream, position):
        newlines = _Newlines(stream)
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(newlines, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                column_names=list(text),
                skip_rows=1,
                encoding=layout.encoding,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, quote_char=layout.quote, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=text, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )
        for batch in reader:
            before = np.array([number - 1 - place for place, (number, _) in enumerate(malformed)], dtype=np.int64)
            index = np.arange(done, done + batch.num_rows, dtype=np.int64)
            places = index + 1 + np.searchsorted(before, index, "right")
            _insert(connection, batch, names, places, first_line=_FIRST_LINE)
            done += batch.num_rows
            _note_malformed(connection, malformed[noted:])
            noted = len(malformed)
            progress(position(), source.size)
    _note_malformed(connection, malformed[noted:])
    if newlines.lines != done + len(malformed) + 1:
        _number_by_reading(connection, source, delimiter)
    return names


def _delimiter(source: SourceFile) -> str:
    given = source.layout.delimiter
    return "\t" if ".tsv" in source.path.suffixes and given == "," else given


class _Newlines:
    """A stream of bytes that counts the lines read of it."""

    closed = False

    def __init__(self, stream: pa.NativeFile) -> None:
        self.stream, self.count, self.last = stream, 0, b"\n"

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        block: bytes = self.stream.read(size)
        self.count += block.count(b"\n")
        self.last = block[-1:] or self.last
        return block

    def close(self) -> None:
        """Leave the stream to its owner."""

    @property
    def lines(self) -> int:
        """How many lines there were, the last one also without an end."""
        return self.count + (self.last != b"\n")


def _number_by_reading(connection: duckdb.DuckDBPyConnection, source: SourceFile, delimiter: str) -> None:
    """Set the lines of a file that has blank lines, or line breaks in quotes: the records are read once more."""
    starts = array("q")
    with _bytes(source) as (stream, _):
        text = io.TextIOWrapper(stream, encoding=source.layout.encoding, errors="replace", newline="")
        records = csv.reader(text, delimiter=delimiter, quotechar=source.layout.quote)
        end = 0
        with suppress(csv.Error):  # a field beyond the reader's limit: what follows keeps the number of its place
            for record in records:
                if record:
                    starts.append(end + 1)
                end = records.line_num
        text.detach()
    begins = pa.table({"place": np.arange(len(starts)), "line": np.frombuffer(starts, np.int64)})
    connection.register("source_batch", begins)
    connection.execute("update stage set line = begins.line from source_batch as begins "
                       "where begins.place = stage.place")  # fmt: skip
    connection.execute("update stage_malformed set line = begins.line from source_batch as begins "
                       "where begins.place = stage_malformed.line - 1")  # fmt: skip
    connection.unregister("source_batch")


def _header(source: SourceFile, delimiter: str) -> list[str]:
    """The names in the first record; a mark of byte order before them is no part of the first."""
    encoding = (
        "utf-8-sig" if source.layout.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else source.layout.encoding
    )
    with _bytes(source) as (stream, _):
        lines = io.TextIOWrapper(stream, encoding=encoding, newline="")
        try:
            header = next(csv.reader(lines, delimiter=delimiter, quotechar=source.layout.quote), [])
        except csv.Error as error:
            raise SourceError(f"{source.path}: the first line is no CSV header ({error})") from error
        lines.detach()
    blank = [place for place, name in enumerate(header, start=1) if not name.strip()]
    if not header or blank or any("\n" in name for name in header):
        where = f"; column {blank[0]} has no name" if blank else ""
        raise SourceError(f"{source.path}: the first line must name every column, on one line{where}")
    return header


def _refuse_another_delimiter(source: SourceFile, header: list[str], delimiter: str, roots: tuple[str, ...]) -> None:
    """Where no column asked for is there, and another delimiter makes more columns, that one is meant."""
    if set(header) & set(roots) or not roots:
        return
    first = delimiter.join(header)
    other = max((sign for sign in _DELIMITERS if sign != delimiter), key=first.count)
    if first.count(other) > len(header) - 1:
        shown = r'"\t"' if other == "\t" else f"'{other}'"
        raise SourceError(
            f"{source.path}: the header looks separated by {shown}, not by {delimiter!r}, and has none of the columns "
            f"the mapping reads; give the mapping file: {{delimiter: {shown}}}"
        )


def _note_malformed(connection: duckdb.DuckDBPyConnection, rows: list[tuple[int, str]]) -> None:
    if not rows:
        return
    places, texts = zip(*rows, strict=True)
    connection.register(
        "source_batch", pa.table({"place": pa.array(places, pa.int64()), "raw": pa.array(texts, pa.string())})
    )
    connection.execute("insert into stage_malformed by name "
                       "select place + 1 as line, to_json(raw) as raw from source_batch")  # fmt: skip
    connection.unregister("source_batch")


# --- JSON lines --------------------------------------------------------------------------------------------------


def _stage_json_lines(
    connection: duckdb.DuckDBPyConnection, source: SourceFile, roots: tuple[str, ...], progress: Progress
) -> dict[str, str]:
    names = {name: f"c{place}" for place, name in enumerate(roots, start=1)}
    made = "".join(f", {staged} json" for staged in names.values())
    connection.execute(f"create temp table stage (line bigint, place bigint, raw json{made})")
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in roots]
    taken = "".join(
        f", nullif(x[{place}], cast('null' as json)) as {name}" for place, name in enumerate(names.values(), 1)
    )
    extract = (
        render(sql("json_extract(:j, :p)", j=column("j"), p=text_list(tuple(pointers))))
        if pointers
        else "cast([] as json[])"
    )
    parsed = "select line, raw, try_cast(raw as json) as j from source_batch"
    into = (
        f"insert into stage by name select line, line as place, j as raw{taken} from ("
        f"select line, j, {extract} as x from ({parsed}) where coalesce(json_type(j) = 'OBJECT', false))"
    )
    with _bytes(source) as (stream, position):
        blocks = _lines(stream)
        while batch := list(islice(blocks, _BATCH_BLOCKS)):
            connection.register("source_batch", pa.Table.from_batches(batch))  # every block may go to another core
            connection.execute(into)
            connection.execute(f"insert into stage_malformed by name select line, to_json(raw) as raw from ({parsed}) "
                               f"where coalesce(json_type(j) <> 'OBJECT', true)")  # fmt: skip
            connection.unregister("source_batch")
            progress(position(), source.size)
    return names


def _lines(stream: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """Blocks of (line, raw); blank lines are passed over, a mark of byte order is cut off."""
    rest, number, first = b"", 0, True
    while True:
        block = stream.read(_BLOCK_BYTES)
        if first:
            block, first = block.removeprefix(b"\xef\xbb\xbf"), False
        pieces = (rest + block).split(b"\n")
        rest = pieces.pop() if block else b""
        kept = [(number + place, line) for place, line in enumerate(pieces, start=1) if line and not line.isspace()]
        number += len(pieces)
        if kept:
            numbers, texts = zip(*kept, strict=True)
            raw = _decoded([text.rstrip(b"\r") for text in texts])
            yield pa.record_batch({"line": pa.array(numbers, pa.int64()), "raw": raw})
        if not block:
            return


def _decoded(texts: list[bytes]) -> pa.Array:
    try:
        return pa.array(texts, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:  # a line that is not UTF-8 is kept, and is no JSON object
        return pa.array([_readable(text) for text in texts], pa.string())


def _readable(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8: " + text.decode("utf-8", errors="replace")
