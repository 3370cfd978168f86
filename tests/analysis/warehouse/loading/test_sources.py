"""Reading files: every row with its line, every broken row kept, every unreadable file refused in words."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.warehouse.loading.load import quiet
from analysis.warehouse.loading.mapping import FileFormat
from analysis.warehouse.loading.paths import Staged
from analysis.warehouse.loading.sources import open_source, stage
from experiments.errors import SourceError
from tests.helpers.loads import write_lines

AS_NAMED = FileFormat()
CSV = 'id,name,price\r\n1,Sofa,"1,5"\r\n2,"Lamp\nred",\r\n'


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = duckdb.connect(":memory:")
    yield opened
    opened.close()


def staged(connection: duckdb.DuckDBPyConnection, path: Path, layout: FileFormat = AS_NAMED, *roots: str) -> Staged:
    return stage(connection, open_source(path, layout), roots, quiet)


def rows(connection: duckdb.DuckDBPyConnection, made: Staged) -> list[tuple[object, ...]]:
    names = ", ".join(own for own, _ in made.columns.values())
    return connection.execute(f"select line, {names} from stage order by line").fetchall()


def malformed(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    return connection.execute("select line, raw from stage_malformed order by line").fetchall()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.CSV"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_with_crlf_quotes_and_a_mark_of_byte_order(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, mark: str
) -> None:
    data = (mark + CSV).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    made = staged(connection, tmp_path / name)
    assert list(made.columns) == ["id", "name", "price"]
    assert rows(connection, made) == [(2, "1", "Sofa", "1,5"), (3, "2", "Lamp\nred", None)]


def test_csv_of_another_layout(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("id;name\n1;'Gärten; groß'\n".encode("latin-1"))
    layout = FileFormat(format="csv", delimiter=";", quote="'", encoding="latin-1")
    made = staged(connection, tmp_path / "a.txt", layout)
    assert rows(connection, made) == [(2, "1", "Gärten; groß")]
    (tmp_path / "b.tsv").write_text("id\tname\n1\tA\n", encoding="utf-8")
    assert rows(connection, staged(connection, tmp_path / "b.tsv")) == [(2, "1", "A")]


def test_csv_records_with_too_many_or_too_few_fields_keep_their_line_and_text(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    made = staged(connection, write_lines(tmp_path / "a.csv", ["a,b", "1,2", "3", "", "4,5", "6,7,8", "9,10"]))
    assert rows(connection, made) == [(2, "1", "2"), (5, "4", "5"), (7, "9", "10")]  # a blank line is no row
    assert malformed(connection) == [(3, '"3"'), (6, '"6,7,8"')]


def test_lines_are_those_an_editor_shows(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for end in ("\n", "\r\n"):
        text = end.join(
            ["a,b", "1,2", "", '"x', 'y",3', "4", "5,6,", "", "", "7,8", "", '"p', "", 'q","r', 's",t', "9,0"]
        )
        path.write_bytes(text.encode())
        made = staged(connection, path)
        assert [(line, str(b)) for line, _, b in rows(connection, made)] == [(2, "2"), (4, "3"), (10, "8"), (16, "0")]
        assert [line for line, _ in malformed(connection)] == [6, 7, 12]
        places = connection.execute("select place from stage order by line").fetchall()
        assert places == [(1,), (2,), (5,), (7,)]  # row numbers count rows


def test_lines_stay_right_over_many_batches(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    lines = ["n,text", *(f"{n},{'x' * 100}" if n % 1000 else f"{n}" for n in range(1, 200_001))]
    made = staged(connection, write_lines(tmp_path / "a.csv", lines))
    assert made.rows == 200_000 - 200
    assert connection.execute("select count(*) from stage where line <> cast(c1 as bigint) + 1").fetchall() == [(0,)]
    assert [line for line, _ in malformed(connection)] == list(range(1001, 200_002, 1000))


def test_json_lines_with_drift_and_broken_lines(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    text = (
        '\ufeff{"id": 1, "user": {"name": "A"}}\r\n\n{"id": "2", "new": true}\n{"id": 3\n[4]\n{"id": null}\n{"id": 6}'
    )
    path.write_bytes(gzip.compress(text.encode() + b'\n{"id": "\xff"}'))
    made = staged(connection, path, FileFormat(), "id", "user")
    assert rows(connection, made) == [
        (1, "1", '{"name":"A"}'),
        (3, '"2"', None),
        (6, None, None),
        (7, "6", None),
    ]
    broken = malformed(connection)
    assert [line for line, _ in broken] == [4, 5, 8]
    assert broken[0][1] == '"{\\"id\\": 3"'
    assert broken[2][1].startswith('"not UTF-8: ')


def test_parquet_keeps_its_types(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    table = pa.table({"id": [1, None], "params": [[{"key": "a", "value": 1.5}], []], "Name With.Dots": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    made = staged(connection, tmp_path / "a.parquet")
    assert [kind.name for _, kind in made.columns.values()] == [
        "bigint",
        "list",
        "varchar",
    ]
    assert rows(connection, made) == [(1, 1, [{"key": "a", "value": 1.5}], "x"), (2, None, [], "y")]


def test_progress_comes_to_its_end(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.gz", "a.jsonl"):
        path = write_lines(tmp_path / name, ['{"a": 1}'] * 10)
        seen: list[tuple[int, int]] = []

        def note(done: int, total: int, to: list[tuple[int, int]] = seen) -> None:
            to.append((done, total))

        stage(connection, open_source(path, AS_NAMED), ("a",), note)
        assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def refused(connection: duckdb.DuckDBPyConnection, path: Path, layout: FileFormat = AS_NAMED) -> str:
    with pytest.raises(SourceError) as caught:
        staged(connection, path, layout)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_there(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert "no such file" in refused(connection, tmp_path / "a.csv")
    assert "is a folder; name the files in it" in refused(connection, tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_an_empty_file(connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert "the file is empty" in refused(connection, tmp_path / name)


def test_a_file_without_rows(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert "holds no rows" in refused(connection, write_lines(tmp_path / "a.csv", ["a,b"]))
    assert "holds no rows" in refused(connection, write_lines(tmp_path / "a.jsonl", ["", "  "]))
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    assert "holds no rows" in refused(connection, tmp_path / "a.parquet")


def test_a_truncated_parquet_file(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(10_000))}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    assert "cut off" in refused(connection, tmp_path / "a.parquet")


def test_a_truncated_gzip_file(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in ("a.csv.gz", "a.jsonl.gz"):
        path = write_lines(tmp_path / name, ["a,b", *(f"{n},{n * 7919 % 10007}" for n in range(10_000))])
        path.write_bytes(path.read_bytes()[:-2_000])
        assert "cut off" in refused(connection, path)


def test_a_file_that_is_not_what_its_name_says(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"a,b\n1,2\n")
    assert "not gzipped" in refused(connection, tmp_path / "a.csv.gz")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    assert "give the mapping file: {format: csv}" in refused(connection, tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_bytes("näme\nx\n".encode("latin-1"))
    assert "encoding: latin-1" in refused(connection, tmp_path / "a.csv")


def test_a_header_that_names_no_column_or_one_twice(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert "column 2 has no name" in refused(connection, write_lines(tmp_path / "a.csv", ["a,,c", "1,2,3"]))
    assert "a is the name of several columns" in refused(
        connection, write_lines(tmp_path / "b.csv", ["a,b,a", "1,2,3"])
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "encoding: utf-16"),
        ("a.csv", "a,b\n1,ü\n".encode("latin-1"), "encoding: latin-1"),
        ("a.csv", b"PK\x03\x04\xff\xfe\x80", "a zip archive or a spreadsheet, not csv; unpack it, or export it as CSV"),
        (
            "a.csv",
            b"PAR1\xff\xfe\x80",
            "a Parquet file, not csv; rename it, or give the mapping file: {format: parquet}",
        ),
        ("a.csv.gz", b"a,b\n1,2\n", "not gzipped; rename it, or give the mapping file: {compression: none}"),
        ("a.csv", b'a,b\n1,"2\n' + b"3,4\n" * 5_000_000, "longer than 8 MB; look for a quote that is never closed"),
    ],
)
def test_what_an_unreadable_file_may_be_is_told(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        staged(connection, tmp_path / name)
    assert said in str(caught.value)


def test_utf_16_is_read_when_the_mapping_says_so(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a,b\n1,ü\n\n2,x\n".encode("utf-16"))
    made = staged(connection, tmp_path / "a.csv", FileFormat(encoding="utf-16"))
    assert rows(connection, made) == [(2, "1", "ü"), (4, "2", "x")]
