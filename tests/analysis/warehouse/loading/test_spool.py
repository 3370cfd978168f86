"""The loader of the exposure log: every event once, every other line kept with its reason, any step again harmless."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from analysis.cli import logs
from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading import spool
from analysis.warehouse.loading.spool import LOADED, SpoolReport, load_spool
from assignment.event_log import Kind, Spool, encoded
from assignment.segments import LOADER_COUNTS, OPEN, READY
from experiments.errors import SpoolError, TrueliftError, WarehouseError
from experiments.reasons import explained
from experiments.shop import create
from tests.helpers.loads import EUROS, NOW

EXPOSURE: dict[str, object] = {
    "event_ts": "2026-11-01T10:00:00Z",
    "module": "homepage",
    "unit_type": "user",
    "unit_id": "u1",
    "assignment_reason": "split",
    "experiment_key": "home_als_v2",
    "phase": 1,
    "variant": "control",
}
OUTCOME: dict[str, object] = {
    "event_ts": "2026-11-01T10:05:00Z",
    "unit_type": "user",
    "unit_id": "u1",
    "event_name": "purchase",
    "order_id": "A-1",
    "value": 1999,
}

Connection = duckdb.DuckDBPyConnection


@pytest.fixture
def connection() -> Iterator[Connection]:
    opened = open_memory()
    yield opened
    opened.close()


def line(kind: Kind, event_id: str, **change: object) -> bytes:
    return encoded(kind, {"event_id": event_id, **(EXPOSURE if kind == "exposure" else OUTCOME), **change})


def segment(folder: Path, number: int, *lines: bytes, ending: str = READY) -> Path:
    path = folder / f"{1_795_262_400_000 + number}-0000000{number}{ending}"
    path.write_bytes(b"".join(lines))
    return path


def run(connection: Connection, folder: Path) -> SpoolReport:
    return load_spool(connection, folder, EUROS, now=NOW)


def loaded(connection: Connection, table: str = "exposures") -> list[str]:
    return [found for (found,) in connection.execute(f"select event_id from {table} order by event_id").fetchall()]


def segments(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute("select segment, load_id from loaded_segments order by all").fetchall()


def test_what_was_appended_is_in_the_warehouse_with_its_lineage(connection: Connection, tmp_path: Path) -> None:
    with Spool(tmp_path) as log:
        log.append("exposure", {"event_id": "e1", **EXPOSURE})
        log.append("outcome", {"event_id": "o1", **OUTCOME})
        log.append("exposure", {"event_id": "e2", **EXPOSURE, "unit_id": "zoë"})
    shown: list[tuple[int, int]] = []
    report = load_spool(connection, tmp_path, EUROS, now=NOW, progress=lambda *step: shown.append(step))
    assert (report.segments, report.accepted, report.rejected, report.duplicates) == (1, 3, 0, 0)
    assert report.accepted_by_table["exposures"] == 2
    assert shown[-1][0] == shown[-1][1] > 0
    rows = connection.execute("select event_id, unit_id, line, load_id from exposures order by line").fetchall()
    ((name, load_id),) = segments(connection)
    assert rows == [("e1", "u1", 1, load_id), ("e2", "zoë", 3, load_id)]
    assert connection.execute("select file from loads where load_id = ?", [load_id]).fetchall() == [(name,)]
    assert [path.name for path in (tmp_path / LOADED).iterdir()] == [name]
    assert list(tmp_path.glob("*.*")) == [tmp_path / LOADER_COUNTS]


def test_a_second_run_has_nothing_to_do(connection: Connection, tmp_path: Path) -> None:
    segment(tmp_path, 1, line("exposure", "e1"))
    run(connection, tmp_path)
    assert run(connection, tmp_path) == SpoolReport(segments=0, moved=0, adopted=0)
    assert loaded(connection) == ["e1"]


def test_lines_that_are_no_events_are_kept_with_every_reason(connection: Connection, tmp_path: Path) -> None:
    lines = (
        line("exposure", "e1"),
        b"not json\n",
        b'["a list"]\n',
        b"\n",
        json.dumps({"event_id": "e2", **EXPOSURE}).encode() + b"\n",
        json.dumps({"event_id": "e3", **EXPOSURE, "schema_version": "exposure.v9"}).encode() + b"\n",
        json.dumps({"event_id": "e4", **EXPOSURE, "schema_version": 1}).encode() + b"\n",
        line("exposure", "e5", colour="red", unit_id=7),
        line("exposure", "e6", event_ts="2026-11-01T10:00:00"),
        line("outcome", "o1", value=-1),
        b"\x00\xff\x00\n",
        line("exposure", "e7"),
    )
    segment(tmp_path, 1, *lines)
    report = run(connection, tmp_path)
    assert loaded(connection) == ["e1", "e7"]
    found = connection.execute("select line, list_sort(reasons), raw from rejected order by line").fetchall()
    assert [(number, why) for number, why, _ in found] == [
        (2, ["malformed"]),
        (3, ["malformed"]),
        (5, ["no_event"]),
        (6, ["no_event"]),
        (7, ["no_event"]),
        (8, ["unit_not_text", "unknown_field"]),
        (9, ["event_ts_no_zone"]),
        (10, ["value_negative"]),
        (11, ["malformed"]),
    ]
    assert json.loads(found[2][2])["event_id"] == "e2"
    assert (report.rows_read, report.accepted, report.rejected) == (11, 2, 9)
    assert report.reasons["no_event"] == 3
    assert [row.line for _, row in report.examples["no_event"]] == [5, 6, 7]
    assert all(explained(reason) for reason in report.reasons)


@pytest.mark.parametrize("tail", [b'{"event_id":"e', line("exposure", "e2")[:-1], b"  ", b"\x00" * 50, b"\xf0\x9f"])
def test_an_unfinished_last_line_is_never_an_event(connection: Connection, tmp_path: Path, tail: bytes) -> None:
    segment(tmp_path, 1, line("exposure", "e1"), tail, ending=OPEN)  # its process is dead: nobody holds the lock
    report = run(connection, tmp_path)
    assert (report.adopted, report.accepted) == (1, 1)
    assert loaded(connection) == ["e1"]
    kept = connection.execute("select line, reasons from rejected").fetchall()
    assert kept == ([] if not tail.strip() else [(2, ["torn"])])


def test_segments_without_events_are_moved_too(connection: Connection, tmp_path: Path) -> None:
    segment(tmp_path, 1, b"nothing\n")
    segment(tmp_path, 2, b" \n\n")
    report = run(connection, tmp_path)
    assert (report.segments, report.moved, report.accepted, report.rejected) == (1, 1, 0, 1)
    assert list(tmp_path.glob("*.*")) == [tmp_path / LOADER_COUNTS]


def test_segments_that_share_a_load_keep_their_lines_and_reasons_apart(connection: Connection, tmp_path: Path) -> None:
    torn = line("exposure", "e3")[:-1]
    paths = [
        segment(tmp_path, 1, line("exposure", "e1"), b"bad\n", line("exposure", "e2")),
        segment(tmp_path, 2, b"\n", line("exposure", "e2"), torn),  # a copy, and an unfinished line
        segment(tmp_path, 3, b"\n", b"worse\n", line("exposure", "e4")),
    ]
    report = run(connection, tmp_path)
    assert (report.segments, report.accepted, report.duplicates, report.rejected) == (3, 3, 1, 3)
    names = [path.name for path in paths]
    where = connection.execute("select file, line, reasons from rejected order by all").fetchall()
    assert where == [(names[0], 2, ["malformed"]), (names[1], 3, ["torn"]), (names[2], 2, ["malformed"])]
    assert [file for file, _ in report.examples["malformed"]] == [names[0], names[2]]
    lineage = connection.execute(
        "select event_id, segment, line - first_line + 1 from exposures asof join loaded_segments "
        "on exposures.load_id = loaded_segments.load_id and exposures.line >= loaded_segments.first_line order by all"
    ).fetchall()
    assert lineage == [("e1", names[0], 1), ("e2", names[0], 3), ("e4", names[2], 3)]


@pytest.mark.parametrize("batch_bytes", [1, 1500])
def test_the_size_of_a_load_changes_nothing(connection: Connection, tmp_path: Path, batch_bytes: int) -> None:
    for number in range(4):
        lines = (line("exposure", f"e{number}"), b"bad\n", line("exposure", f"e{number + 1}"))
        segment(tmp_path, number, *lines)
    report = load_spool(connection, tmp_path, EUROS, now=NOW, batch_bytes=batch_bytes)
    assert (report.segments, report.accepted, report.duplicates, report.rejected) == (4, 5, 3, 4)
    assert connection.execute("select count(distinct file), count(*) from rejected").fetchall() == [(4, 4)]
    assert len(segments(connection)) == 4


# --- again and again -------------------------------------------------------------------------------------------------


def test_the_same_segment_under_another_name_loads_nothing_twice(connection: Connection, tmp_path: Path) -> None:
    segment(tmp_path, 1, line("exposure", "e1"), b"bad\n")
    run(connection, tmp_path)
    segment(tmp_path, 2, line("exposure", "e1"), b"bad\n")
    report = run(connection, tmp_path)
    assert (report.segments, report.moved) == (0, 1)
    assert loaded(connection) == ["e1"]
    assert connection.execute("select count(*) from rejected").fetchall() == [(1,)]
    assert len({load_id for _, load_id in segments(connection)}) == 1
    assert len(segments(connection)) == 2


def test_an_event_in_two_segments_is_loaded_once(connection: Connection, tmp_path: Path) -> None:
    segment(tmp_path, 1, line("exposure", "e1"), line("exposure", "e2"), line("outcome", "e2"))
    segment(tmp_path, 2, line("exposure", "e2"), line("exposure", "e3"), line("exposure", "e3"))
    report = run(connection, tmp_path)
    assert (report.accepted, report.duplicates) == (4, 2)
    assert loaded(connection) == ["e1", "e2", "e3"]


def test_a_crash_between_the_commit_and_the_move_is_made_good(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = segment(tmp_path, 1, line("exposure", "e1"))

    def dies(moved: object) -> None:
        raise KeyboardInterrupt(str(moved))

    with monkeypatch.context() as patched:
        patched.setattr(spool, "_move", dies)
        with pytest.raises(KeyboardInterrupt):
            run(connection, tmp_path)
    assert path.exists()
    report = run(connection, tmp_path)
    assert (report.segments, report.moved) == (0, 1)
    assert loaded(connection) == ["e1"]
    assert len(segments(connection)) == 1
    assert not path.exists()


def test_a_crash_before_the_commit_leaves_nothing(connection: Connection, tmp_path: Path) -> None:
    segment(tmp_path, 1, line("exposure", "e1"))
    connection.execute("alter table loaded_segments rename to elsewhere")
    connection.execute("create view loaded_segments as select * from elsewhere")  # read, but not written
    with pytest.raises(WarehouseError, match="nothing of this file was loaded"):
        run(connection, tmp_path)
    assert loaded(connection) == []
    connection.execute("drop view loaded_segments")
    connection.execute("alter table elsewhere rename to loaded_segments")
    assert run(connection, tmp_path).accepted == 1


def test_a_namesake_in_the_loaded_folder_keeps_its_place(connection: Connection, tmp_path: Path) -> None:
    for number in (1, 2):
        segment(tmp_path, 1, line("exposure", f"e{number}"))
        run(connection, tmp_path)
    kept = b"".join(sorted(path.read_bytes() for path in (tmp_path / LOADED).iterdir()))
    assert kept == line("exposure", "e1") + line("exposure", "e2")


def test_an_unreadable_segment_does_not_stop_the_others(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / f"1795262400000-00000000{READY}").mkdir()
    segment(tmp_path, 1, line("exposure", "e1"))
    report = run(connection, tmp_path)
    assert report.accepted == 1
    assert len(report.unreadable) == 1
    assert "cannot be read" in report.unreadable[0]


def test_a_folder_that_refuses_is_said(connection: Connection, tmp_path: Path) -> None:
    segment(tmp_path, 1, line("exposure", "e1"))
    (tmp_path / LOADED).touch()  # a file where the folder should be
    with pytest.raises(SpoolError, match="make the folder writable and load again"):
        run(connection, tmp_path)
    (tmp_path / LOADED).unlink()
    assert run(connection, tmp_path).moved == 1


def test_a_living_writer_is_not_disturbed(connection: Connection, tmp_path: Path) -> None:
    with Spool(tmp_path, background=False) as log:
        log.append("exposure", {"event_id": "e1", **EXPOSURE})
        assert run(connection, tmp_path).adopted == 0
        log.append("exposure", {"event_id": "e2", **EXPOSURE})
    assert run(connection, tmp_path).accepted == 2


# --- the command line ----------------------------------------------------------------------------------------------


def command(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and what was printed, errors included, as `main` would end."""
    app = typer.Typer()
    logs.register(app)
    result = CliRunner().invoke(app, ["load", *arguments, "--home", str(home)])
    if isinstance(result.exception, TrueliftError):
        return result.exception.exit_code, f"{result.output}{result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_load_spool_prints_what_became_of_the_lines(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop", currency="EUR")
    first = segment(shop.spool, 1, line("exposure", "e1"), line("outcome", "o1", value=-1))
    segment(shop.spool, 2, line("exposure", "e1"), line("exposure", "e2")[:-1], ending=OPEN)
    code, said = command(shop.home, "--spool")
    assert code == 0
    assert "spool: 2 segments loaded, 1 left by processes that died; 4 lines read" in said
    assert "accepted: 1 (1 exposures)" in said
    assert "duplicates of rows already there: 1" in said
    assert f"value_negative: 1 ({explained('value_negative')})\n      {first.name} line 2: {{" in said
    assert f"torn: 1 ({explained('torn')})" in said
    assert command(shop.home, "--spool")[1].startswith("spool: 0 segments loaded; 0 lines read")


def test_a_spool_of_which_nothing_is_accepted_ends_with_2(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop", currency="EUR")
    segment(shop.spool, 1, line("exposure", "e1", unit_id=7))
    code, said = command(shop.home, "--spool")
    assert (code, "none of its lines was accepted" in said) == (2, True)
    segment(shop.spool, 2, line("exposure", "e2")[:-1])
    assert command(shop.home, "--spool")[0] == 0  # a torn line alone is nobody's fault


@pytest.mark.parametrize("arguments", [(), ("a.csv",), ("--mapping", "a.yml")])
def test_load_wants_files_with_a_mapping_or_the_spool(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, said = command(tmp_path, *arguments)
    assert (code, "give log files and --mapping, or --spool" in said) == (2, True)
    if arguments:
        code, said = command(tmp_path, "--spool", *arguments)
        assert (code, "give no files and no --mapping with it" in said) == (2, True)
