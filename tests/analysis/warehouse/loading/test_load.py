"""A load: every row accounted for, all or nothing, once; and what goes wrong said in words, with its exit code."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from analysis.cli import logs
from analysis.warehouse.connection import open_connection, open_memory
from analysis.warehouse.loading.load import check_file, load_file
from analysis.warehouse.loading.reading import parse_mapping
from experiments.errors import MappingError, SourceError, TrueliftError, WarehouseBusyError, WarehouseError
from experiments.reasons import explained
from experiments.shop import create
from tests.helpers.loads import EUROS, NOW, load, same_names, write_lines, write_rows

ORDERS = """
file: {format: csv}
unit_type: user
event_id: {from: [id, emit_index]}
emit:
  - to: outcome
    when: {kind: {in: [sale, gift]}}
    set: {event_name: purchase}
    columns:
      event_ts: {column: at}
      unit_id: {column: who}
      order_id: {column: order}
      value: {column: price, money: EUR}
  - to: outcome
    when: {kind: gift}
    set: {event_name: view}
    columns: {event_ts: {column: at}, unit_id: {column: who}}
"""
HEADER = "id,kind,at,who,order,price"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = open_memory()
    yield opened
    opened.close()


Connection = duckdb.DuckDBPyConnection


def order(name: str, **change: str) -> str:
    row = {
        "id": name,
        "kind": "sale",
        "at": "2026-11-01T10:00Z",
        "who": "u1",
        "order": f"o{name}",
        "price": "10",
        **change,
    }
    return ",".join(row.values())


def contents(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but the schema's own."""
    tables = ("exposures", "outcomes", "catalogue", "identity", "units", "loads", "rejected", "sessions")
    return {table: connection.execute(f"select * from {table} order by all").fetchall() for table in tables}


def test_every_source_row_and_every_emitted_row_is_accounted_for(connection: Connection, tmp_path: Path) -> None:
    rows = [
        order("1"),
        order("2", kind="gift"),
        order("3", who=""),
        order("4", kind="gift", price="-1", who=""),
        order("5", kind="other"),
        order("1"),
        "7,sale",
        order("8", price="x", at="?"),
    ]
    report = load(connection, write_lines(tmp_path / "a.csv", [HEADER, *rows]), ORDERS)
    assert (report.rows_read, report.rows_malformed, report.rows_not_emitted) == (8, 1, 1)
    assert (report.emitted, report.accepted, report.duplicates, report.rejected) == (8, 3, 1, 5)
    assert report.emitted == report.accepted + report.duplicates + report.rejected - report.rows_malformed
    assert (report.rows_repeated, report.rows_repeated_kept) == (1, 0)  # its event_id says it is the same event
    assert connection.execute("select copies, said_before from loads").fetchall() == [(1, 0)]
    assert dict(report.reasons) == {
        "unit_missing": 3, "event_ts_not_time": 1, "malformed": 1, "value_negative": 1, "value_not_number": 1,
    }  # fmt: skip
    assert report.not_emitted_example == "line 6"
    kept = connection.execute(
        "select line, emit, to_table, reasons, raw, file from rejected order by line, emit"
    ).fetchall()
    assert [(line, emit, table, sorted(reasons)) for line, emit, table, reasons, _, _ in kept] == [
        (4, 0, "outcomes", ["unit_missing"]),
        (5, 0, "outcomes", ["unit_missing", "value_negative"]),
        (5, 1, "outcomes", ["unit_missing"]),
        (8, None, None, ["malformed"]),
        (9, 0, "outcomes", ["event_ts_not_time", "value_not_number"]),
    ]
    raw = {line: json.loads(str(text)) for line, _, _, _, text, _ in kept}
    assert raw[4] == {"id": "3", "kind": "sale", "at": "2026-11-01T10:00Z", "who": None, "order": "o3", "price": "10"}
    assert raw[8] == "7,sale"
    assert {file for *_, file in kept} == {"a.csv"}
    lineage = connection.execute("select event_id, line, load_id from outcomes order by event_id").fetchall()
    assert lineage == [("1-0", 2, report.load_id), ("2-0", 3, report.load_id), ("2-1", 3, report.load_id)]


def test_a_file_loaded_again_changes_nothing_and_says_so(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER, order("1"), order("2", who="")])
    first = load(connection, path, ORDERS)
    before = contents(connection)
    moved = path.rename(tmp_path / "b.csv")  # the content counts, not the name
    again = load(connection, moved, ORDERS)
    assert again.already_loaded
    assert not first.already_loaded
    assert (again.load_id, again.accepted, again.rejected) == (first.load_id, 1, 1)
    assert contents(connection) == before


def test_under_a_mended_mapping_only_what_is_new_comes_in(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER, order("1"), order("2", price="5 EUR")])
    assert load(connection, path, ORDERS).accepted == 1
    mended = ORDERS.replace(
        "{column: price, money: EUR}", "{column: price, values: {5 EUR: '5', '10': '10'}, money: EUR}"
    )
    report = load(connection, path, mended)
    assert (report.accepted, report.duplicates, report.rejected) == (1, 1, 0)
    assert connection.execute("select event_id, value from outcomes order by 1").fetchall() == [
        ("1-0", 1000),
        ("2-0", 500),
    ]


def test_lines_of_an_order_share_unit_and_business_day(connection: Connection, tmp_path: Path) -> None:
    rows = [
        order("1", order="A", at="2026-11-01T10:00Z"),
        order("2", order="A", at="2026-11-01T09:00Z", who="u2"),  # the first line in time says whose the order is
        order("3", order="A", at="2026-11-01T22:59Z", who="u2"),
        order("4", order="A", at="2026-11-01T23:00Z", who="u2"),  # midnight in Berlin
        order("5", order="B"),
    ]
    report = load(connection, write_lines(tmp_path / "a.csv", [HEADER, *rows]), ORDERS)
    assert dict(report.reasons) == {"order_inconsistent": 2}
    assert [row.line for row in report.examples["order_inconsistent"]] == [2, 5]
    later = write_lines(
        tmp_path / "b.csv", [HEADER, order("6", order="B", at="2026-11-01T08:00Z", who="u9"), order("7", order="B")]
    )
    report = load(connection, later, ORDERS)
    assert dict(report.reasons) == {"order_inconsistent": 1}  # a loaded line speaks before a new one
    assert report.accepted == 1


def test_units_are_dense_and_keep_their_keys(connection: Connection, tmp_path: Path) -> None:
    load(connection, write_lines(tmp_path / "a.csv", [HEADER, order("1", who="b"), order("2", who="a")]), ORDERS)
    load(connection, write_lines(tmp_path / "b.csv", [HEADER, order("3", who="c"), order("4", who="a")]), ORDERS)
    assert connection.execute("select * from units order by unit").fetchall() == [
        (1, "user", "b"), (2, "user", "a"), (3, "user", "c"),
    ]  # fmt: skip
    joined = "select event_id, unit from outcomes order by event_id"
    assert connection.execute(joined).fetchall() == [("1-0", 1), ("2-0", 2), ("3-0", 3), ("4-0", 2)]


def test_check_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER, order("1"), order("2", who="")])
    mapping = parse_mapping(ORDERS, "orders.yml")
    checked = check_file(path, mapping, EUROS, now=NOW)
    connection = open_memory()
    assert checked == load_file(connection, path, mapping, EUROS, now=NOW)
    connection.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv"]


def test_examples_are_the_first_five(connection: Connection, tmp_path: Path) -> None:
    rows = [order(str(n), who="") for n in range(1, 9)]
    report = load(connection, write_lines(tmp_path / "a.csv", [HEADER, *rows]), ORDERS)
    assert [row.line for row in report.examples["unit_missing"]] == [2, 3, 4, 5, 6]


def test_catalogue_rows_are_new_or_corrections_or_nothing(connection: Connection, tmp_path: Path) -> None:
    def row(price: int, since: str = "2026-10-01T00:00:00Z", item: str = "i1") -> dict[str, object]:
        return {"item_id": item, "price": price, "valid_from": since}

    def loaded(name: str, *rows: dict[str, object]) -> tuple[int, int]:
        report = load(connection, write_rows(tmp_path / f"{name}.jsonl", rows), same_names("catalogue"))
        return report.accepted, report.duplicates

    assert loaded("a", row(100), row(100), row(200, item="i2")) == (2, 1)
    assert loaded("b", row(100), row(300, "2026-10-02T00:00:00Z")) == (1, 1)
    assert loaded("c", row(150)) == (1, 0)  # a correction
    assert loaded("d", {**row(100), "brand": None}) == (1, 0)  # and back: what counts is what was said last


def test_identity_links_are_kept_once(connection: Connection, tmp_path: Path) -> None:
    link = {"anonymous_id": "a", "user_id": "u", "first_seen": "2026-10-01T00:00:00Z"}
    report = load(
        connection, write_rows(tmp_path / "a.jsonl", [link, link, {**link, "user_id": "v"}]), same_names("identity")
    )
    assert (report.accepted, report.duplicates) == (2, 1)
    report = load(connection, write_rows(tmp_path / "b.jsonl", [link]), same_names("identity"))
    assert (report.accepted, report.duplicates) == (0, 1)


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_refused_file_leaves_the_warehouse_as_it_was(connection: Connection, tmp_path: Path) -> None:
    load(connection, write_lines(tmp_path / "a.csv", [HEADER, order("1")]), ORDERS)
    before = contents(connection)
    bad: list[tuple[Path, str, type[TrueliftError]]] = [
        (write_lines(tmp_path / "b.csv", [HEADER, order("2", at="2026-11-01 10:00")]), ORDERS, SourceError),
        (write_lines(tmp_path / "c.csv", ["id,kind,at,who", "1,sale,,u"]), ORDERS, MappingError),
        (write_lines(tmp_path / "d.csv", [HEADER]), ORDERS, SourceError),
    ]
    for path, mapping, error in bad:
        with pytest.raises(error):
            load(connection, path, mapping)
        assert contents(connection) == before
    temporary = connection.execute("select table_name from duckdb_tables() where temporary").fetchall()
    assert temporary == []


def test_an_error_in_the_database_loads_nothing_and_the_file_loads_afterwards(tmp_path: Path) -> None:
    """Memory and disk for temporary results run out, for real."""
    lines = [HEADER, *(order(str(n), who=f"u{n}", order=f"o{n}-{'x' * 50}") for n in range(150_000))]
    path = write_lines(tmp_path / "a.csv", lines)
    with open_connection(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("set memory_limit = '40MB'")
        connection.execute("set max_temp_directory_size = '1MB'")
        before = contents(connection)
        with pytest.raises(WarehouseError, match=r"a.csv: the warehouse could not take it .* load it again") as caught:
            load(connection, path, ORDERS)
        assert caught.value.exit_code == 1
        assert contents(connection) == before
        connection.execute("reset memory_limit")
        connection.execute("reset max_temp_directory_size")
        assert load(connection, path, ORDERS).accepted == 150_000


FULL_DISK = """
import resource, signal, sys
from analysis.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)                      # a write beyond the limit fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
sys.argv = ["truelift", *sys.argv[1:]]
main()
"""


def test_a_full_disk_loads_nothing_and_the_file_loads_afterwards(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop", currency="EUR", time_zone="UTC", money_digits=None)
    (tmp_path / "orders.yml").write_text(ORDERS, encoding="utf-8")
    path = write_lines(
        tmp_path / "a.csv", [HEADER, *(order(str(n), who=f"unit-{n * 7919 % 100_003}") for n in range(100_000))]
    )
    arguments = ["load", str(path), "--mapping", str(tmp_path / "orders.yml"), "--home", str(shop.home)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    full = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, env=environment
    )
    assert full.returncode == 1, full.stderr
    assert "the warehouse could not take it" in full.stderr
    assert "make room on the disk" in full.stderr
    assert "Traceback" not in full.stderr
    with open_connection(shop.warehouse_path) as connection:
        assert connection.execute("select count(*) from outcomes").fetchall() == [(0,)]
    room = subprocess.run(
        [sys.executable, "-m", "analysis.cli", *arguments], capture_output=True, text=True, env=environment
    )
    assert room.returncode == 0, room.stderr
    assert "accepted: 100,000 (100,000 outcomes)" in room.stdout


HOLDER = """
import sys, time
from pathlib import Path
from analysis.warehouse.connection import open_connection
with open_connection(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(60)
"""


def test_another_process_that_has_the_warehouse_is_named(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with (
            pytest.raises(WarehouseBusyError, match=rf"process {holder.pid} .* did not finish within 0.2 s") as caught,
            open_connection(path, wait_seconds=0.2),
        ):
            pass
        assert caught.value.exit_code == 5
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
    with open_connection(path, wait_seconds=5) as connection:  # the lock went with its process
        assert connection.execute("select 1").fetchall() == [(1,)]


def test_a_file_that_is_no_warehouse_and_one_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened as a warehouse"), open_connection(path):
        pass
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as made:
        made.execute("create table warehouse (schema_digest varchar)")
        made.execute("insert into warehouse values ('0123')")
    with pytest.raises(WarehouseError, match="made by another version"), open_connection(other):
        pass


@pytest.mark.parametrize(("sign", "written"), [(";", "';'"), ("\t", r'"\t"'), ("|", "'|'")])
def test_another_delimiter_is_told_from_the_header(
    connection: Connection, tmp_path: Path, sign: str, written: str
) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER.replace(",", sign), order("1").replace(",", sign)])
    with pytest.raises(SourceError) as caught:
        load(connection, path, ORDERS)
    assert f"looks separated by {written}, not by ','" in str(caught.value)
    said = f"file: {{delimiter: {written}}}"
    assert said in str(caught.value)
    assert load(connection, path, ORDERS.replace("file: {format: csv}", said)).accepted == 1


def test_two_mappings_of_one_file_do_not_take_each_others_rows_for_their_own(
    connection: Connection, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "a.csv", ["order,who,back", "1,a,5", "2,b,"])
    head = "unit_type: user\nemit: [{to: outcome, columns: {unit_id: {column: who}, order_id: {column: order}, "
    bought = (
        head + "value: {row_number: '%d', as: integer}}, set: {event_name: purchase, event_ts: 2026-11-01T10:00:00Z}}]"
    )
    sent_back = head + (
        "value: {column: back, money: EUR}}, when: {back: {null: false}}, "
        "set: {event_name: refund, event_ts: 2026-11-02T10:00:00Z}}]"
    )
    slot = (
        "unit_type: user\nemit: [{to: exposure, columns: {unit_id: {column: who}}, "
        "set: {module: M, assignment_reason: none, event_ts: 2026-11-01T09:00:00Z}}]"
    )
    mappings = [bought, sent_back, slot.replace("M", "home"), slot.replace("M", "cart")]
    reports = [load(connection, path, mapping) for mapping in mappings]
    assert [(report.accepted, report.duplicates, report.rejected) for report in reports] == [
        (2, 0, 0), (1, 0, 0), (2, 0, 0), (2, 0, 0),
    ]  # fmt: skip
    assert all(load(connection, path, mapping).already_loaded for mapping in mappings)
    mended = load(connection, path, bought.replace("2026-11-01T10", "2026-11-01T11"))
    assert (mended.accepted, mended.duplicates) == (0, 2)


# --- the command line --------------------------------------------------------------------------------------------


def run(tmp_path: Path, *arguments: str, mapping: str = ORDERS) -> tuple[int, str]:
    """Exit code and what was printed, errors included, as `main` would end."""
    app = typer.Typer()
    logs.register(app)
    if not (tmp_path / "shop").exists():
        create(tmp_path / "shop", currency="EUR", time_zone="Europe/Berlin", money_digits=None)
    (tmp_path / "orders.yml").write_text(mapping, encoding="utf-8")
    given = [*arguments, "--mapping", str(tmp_path / "orders.yml"), "--home", str(tmp_path / "shop")]
    result = CliRunner().invoke(app, given)
    if isinstance(result.exception, TrueliftError):
        return result.exception.exit_code, f"{result.output}{result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_check_and_load_print_what_became_of_the_rows(tmp_path: Path) -> None:
    rows = [order("1"), order("2", kind="gift"), order("3", who="", price="-1"), order("4", kind="?"), order("1"), "x"]
    path = write_lines(tmp_path / "a.csv", [HEADER, *rows])
    code, said = run(tmp_path, "check", str(path))
    assert code == 0
    assert not (tmp_path / "shop" / "warehouse.duckdb").exists()
    assert "6 rows read, 5 contract rows made of them" in said
    assert "would be accepted: 3 (3 outcomes)" in said
    assert "duplicates of rows already there: 1" in said
    assert "rejected: 2" in said
    assert f"    unit_missing: 1 ({explained('unit_missing')})\n      line 4 (also value_negative): {{" in said
    assert "rows that no emission wanted: 1, for example line 5" in said
    assert "exact repeats of an earlier row: 1, of them 0 kept" in said
    code, said = run(tmp_path, "load", str(path))
    assert (code, "accepted: 3 (3 outcomes)" in said) == (0, True)
    code, said = run(tmp_path, "load", str(path))
    assert (code, "already loaded under this mapping" in said) == (0, True)


def test_schema_prints_the_contract_for_producers() -> None:
    app = typer.Typer()
    logs.register(app)
    printed = CliRunner().invoke(app, ["schema", "outcome"])
    assert json.loads(printed.output)["required"] == ["event_id", "event_ts", "unit_type", "unit_id", "event_name"]
    refused = CliRunner().invoke(app, ["schema", "outcomes"])
    assert "outcomes: no such contract, nearest outcome; one of exposure, outcome, catalogue, identity" in str(
        refused.exception
    )


def test_nothing_accepted_ends_with_2(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER, order("1", who="")])
    for command in ("check", "load"):
        code, said = run(tmp_path, command, str(path))
        assert code == 2
        assert "unit_missing: 1" in said
        assert "the reasons above say what to change" in said


def test_one_bad_file_of_several_does_not_stop_the_others(tmp_path: Path) -> None:
    good, other = (write_lines(tmp_path / f"{name}.csv", [HEADER, order(name)]) for name in ("1", "2"))
    code, said = run(tmp_path, "load", str(good), str(tmp_path / "gone.csv"), str(other))
    assert code == 2
    assert "gone.csv: no such file" in said
    with open_connection(tmp_path / "shop" / "warehouse.duckdb") as connection:
        assert connection.execute("select count(*) from outcomes").fetchall() == [(2,)]


BAD_INPUT: dict[str, tuple[bytes | None, str, str]] = {
    "wrong column": (
        b"id,kind,at,who,ordr,price\n1,sale,2026-11-01T10:00Z,u,o,1\n",
        "a.csv",
        "has no column 'order' (nearest: ordr)",
    ),
    "naive time": (
        f"{HEADER}\n{order('1', at='2026-11-01 10:00')}\n".encode(),
        "a.csv",
        "a time without a zone (event_ts)",
    ),
    "empty file": (b"", "a.csv", "the file is empty"),
    "no rows": (f"{HEADER}\n".encode(), "a.csv", "holds no rows"),
    "missing file": (None, "a.csv", "no such file"),
    "negative price": (f"{HEADER}\n{order('1', price='-5')}\n".encode(), "a.csv", "value_negative: 1"),
    "wrong type": (f"{HEADER}\n{order('1', price='cheap')}\n".encode(), "a.csv", "value_not_number: 1"),
    "drift": (f"{HEADER}\n{order('1')},more\n".encode(), "a.csv", "malformed: 1"),
}


@pytest.mark.parametrize("name", list(BAD_INPUT))
@pytest.mark.parametrize("command", ["check", "load"])
def test_bad_input_is_told_clearly_with_exit_2(tmp_path: Path, name: str, command: str) -> None:
    data, file, expected = BAD_INPUT[name]
    if data is not None:
        (tmp_path / file).write_bytes(data)
    code, said = run(tmp_path, command, str(tmp_path / file))
    assert code == 2
    assert expected in said


def test_integer_ids_and_truncated_parquet_are_told_clearly_with_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    row = {"event_ts": "2026-11-01T10:00Z", "event_name": "view", "unit_type": "user"}
    pq.write_table(pa.Table.from_pylist([{"unit_id": 1, **row}, {"unit_id": 2, **row}]), path)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match="cut off") as caught:
        check_file(cut, same_names("outcome"), EUROS, now=NOW)
    assert caught.value.exit_code == 2
    report = check_file(path, same_names("outcome"), EUROS, now=NOW)
    assert (report.accepted, dict(report.reasons)) == (0, {"unit_not_text": 2})


def test_drift_inside_a_file_rejects_only_the_rows_that_drifted(connection: Connection, tmp_path: Path) -> None:
    rows = [order("1"), f"{order('2')},new", order("3"), "4,sale,2026-11-01T10:00Z,u1,o4"]
    report = load(connection, write_lines(tmp_path / "a.csv", [HEADER, *rows]), ORDERS)
    assert (report.accepted, dict(report.reasons)) == (2, {"malformed": 2})
    assert [row.line for row in report.examples["malformed"]] == [3, 5]
    fields = '"event_ts": "2026-11-01T10:00Z", "unit_type": "user", "event_name": "view"'
    lines = [
        f'{{"event_id": "a", "unit_id": "u", {fields}}}',
        f'{{"event_id": "b", "unit_id": 7, {fields}}}',
        f'{{"event_id": "c", "unit_id": "u", "new": 1, {fields}}}',
        f'{{"event_id": "d", "unit_id": "u", {fields}',
    ]
    report = load(connection, write_lines(tmp_path / "a.jsonl", lines), same_names("outcome"))
    assert report.accepted == 1
    assert dict(report.reasons) == {"malformed": 1, "unit_not_text": 1, "unknown_field": 1}


def test_an_unknown_variant_is_refused_by_the_mapping_that_lists_them(connection: Connection, tmp_path: Path) -> None:
    mapping = """
unit_type: user
emit:
  - to: exposure
    set: {event_ts: 2026-11-01T10:00:00Z, module: email, assignment_reason: split, experiment_key: e1, phase: 1}
    columns: {unit_id: {column: u}, variant: {column: v, values: {A: control, B: treatment}}}
"""
    report = load(connection, write_lines(tmp_path / "a.csv", ["u,v", "1,A", "2,C", "3,"]), mapping)
    assert (report.accepted, dict(report.reasons)) == (1, {"variant_missing": 1, "variant_unknown": 1})


def test_a_newer_dump_of_the_same_log_adds_only_what_is_new(connection: Connection, tmp_path: Path) -> None:
    unnamed = ORDERS.replace("event_id: {from: [id, emit_index]}\n", "")
    first = [order("a"), order("b"), order("b")]  # the second b is a repeat within its own file, and kept
    old = load(connection, write_lines(tmp_path / "old.csv", [HEADER, *first]), unnamed)
    assert (old.accepted, old.rejected, old.rows_repeated) == (3, 0, 1)
    newer = write_lines(tmp_path / "newer.csv", [HEADER, *first, order("b"), order("c")])
    new = load(connection, newer, unnamed)
    assert (new.accepted, new.duplicates, new.said_before, new.rejected, new.emitted) == (2, 3, 3, 0, 5)
    kept = connection.execute("select count(*), sum(value) from outcomes").fetchall()
    assert kept == [(5, 5 * connection.execute("select max(value) from outcomes").fetchall()[0][0])]
    named = load(connection, write_lines(tmp_path / "named.csv", [HEADER, order("a")]), ORDERS)
    assert (named.accepted, named.rejected) == (1, 0)  # a source that names its events says itself what is new
    assert connection.execute("select sum(copies) from loads").fetchall() == [(0,)]  # SH-04 has nothing to say of it


def test_a_dump_with_nothing_new_is_counted_and_said(tmp_path: Path) -> None:
    rows = [order(str(n)) for n in range(3)]
    write_lines(tmp_path / "old.csv", [HEADER, *rows])
    write_lines(tmp_path / "again.csv", [HEADER, *reversed(rows)])
    mapping = ORDERS.replace("event_id: {from: [id, emit_index]}\n", "")
    assert run(tmp_path, "load", str(tmp_path / "old.csv"), mapping=mapping)[0] == 0
    code, said = run(tmp_path, "load", str(tmp_path / "again.csv"), mapping=mapping)
    assert code == 0
    assert "duplicates of rows already there: 3, not counted twice" in said
    assert "3 of them say what another file said" in said
    assert "rejected: 0" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"TRUELIFT_CURRENCY": "USD"}, "loaded with currency EUR; .* now says currency USD"),
        ({"TRUELIFT_MONEY_DIGITS": "3"}, "loaded with money_digits 2; .* now says money_digits 3"),
        ({"TRUELIFT_TIME_ZONE": "UTC"}, "loaded with time_zone Europe/Berlin; .* set time_zone Europe/Berlin again"),
        (
            {"TRUELIFT_CURRENCY": "JPY"},
            "loaded with currency EUR, money_digits 2; .* now says currency JPY, money_digits 0",
        ),
    ],
)
def test_under_another_setting_nothing_is_checked_or_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], said: str
) -> None:
    first, second = (write_lines(tmp_path / f"{name}.csv", [HEADER, order(name)]) for name in ("a", "b"))
    assert run(tmp_path, "load", str(first))[0] == 0
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    for word in ("check", "load"):
        code, printed = run(tmp_path, word, str(second))
        assert code == 2
        assert re.search(said, printed)
        assert "or move the warehouse away and load the logs again" in printed
    monkeypatch.undo()
    assert run(tmp_path, "load", str(second))[0] == 0


def test_what_added_no_row_binds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER, order("1")])
    with monkeypatch.context() as patched:
        patched.setenv("TRUELIFT_CURRENCY", "USD")  # the mapping says EUR
        assert run(tmp_path, "load", str(path))[0] == 2
    assert run(tmp_path, "load", str(path))[0] == 0


def test_check_leaves_the_warehouse_as_it_is_and_does_not_wait_for_it(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", [HEADER, order("1")])
    assert run(tmp_path, "load", str(path))[0] == 0
    file = tmp_path / "shop" / "warehouse.duckdb"
    before = file.read_bytes()
    assert run(tmp_path, "check", str(path))[0] == 0
    assert file.read_bytes() == before
    with open_connection(file):
        code, said = run(tmp_path, "check", str(path))
    assert (code, "The warehouse is in use: not compared" in said) == (0, True)
