"""Opening: migrations, several processes at once, readers beside a writer, and what is refused."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from experiments.errors import StoreError, UsageError
from experiments.store import Snapshot, Store, engine, tables
from experiments.store.engine import HEAD, connect, reading, writing

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_migrations_make_exactly_the_tables_that_the_code_uses(store_url: str) -> None:
    opened = connect(store_url)
    with opened.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)
    opened.dispose()
    # an index on an expression cannot be read back from SQLite
    assert [d for d in differences if "snapshots_newest_first" not in str(d)] == []


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    scripts = ScriptDirectory(str(Path(engine.__file__).parent / "migrations"))
    assert scripts.get_current_head() == HEAD


def test_the_newest_snapshots_are_found_by_the_index(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'r.sqlite'}").close()
    connection = sqlite3.connect(tmp_path / "r.sqlite")
    plan = connection.execute(
        "explain query plan select snapshot_id from snapshots where experiment_key = 'k' and phase = 1"
        " order by published_at desc"
    ).fetchall()
    connection.close()
    assert "USING INDEX snapshots_newest_first" in str(plan)
    assert "TEMP B-TREE" not in str(plan)  # the index gives the order, too


def _open_and_leave(url: str, start: float) -> None:
    time.sleep(max(0.0, start - time.time()))
    Store.open(url).close()


def test_processes_that_open_a_new_store_at_once_all_succeed(store_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = time.time() + 2.5  # until all have imported
    processes = [context.Process(target=_open_and_leave, args=(store_url, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    with Store.open(store_url) as store:
        assert store.registered() == []


def test_sqlite_writes_ahead_so_that_readers_are_never_blocked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.sqlite'}"
    opened = connect(url)
    with writing(opened) as connection:
        connection.execute(text("insert into experiments (key, version, state) values ('half', 1, 'draft')"))
        began = time.monotonic()
        with Store.open(url) as reader:  # opening does not wait for the writer either
            assert reader.registered() == []
            assert reader.latest("half") is None
        assert time.monotonic() - began < 2
    with reading(opened) as connection:
        assert connection.execute(text("select key from experiments")).scalars().all() == ["half"]
    opened.dispose()


def test_a_reader_sees_one_moment_while_others_write(tmp_path: Path) -> None:
    opened = connect(f"sqlite:///{tmp_path / 'r.sqlite'}")
    count = text("select count(*) from experiments")
    with reading(opened) as connection:
        assert connection.execute(count).scalar() == 0
        with writing(opened) as other:
            other.execute(text("insert into experiments (key, version, state) values ('new', 1, 'draft')"))
        assert connection.execute(count).scalar() == 0
    with reading(opened) as connection:
        assert connection.execute(count).scalar() == 1
    opened.dispose()


def test_writers_take_turns(store_url: str) -> None:
    """Each adds one to what it read: nothing is lost only when nobody comes between reading and writing."""
    opened = connect(store_url)
    with writing(opened) as connection:
        connection.execute(text("insert into experiments (key, version, state) values ('k', 0, 'draft')"))

    def add() -> None:
        for _ in range(5):
            with writing(opened) as connection:
                version = connection.execute(text("select version from experiments")).scalar()
                connection.execute(text("update experiments set version = :v"), {"v": (version or 0) + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(opened) as connection:
        assert connection.execute(text("select version from experiments")).scalar() == 20
    opened.dispose()


def test_what_failed_half_way_leaves_nothing(store_url: str) -> None:
    opened = connect(store_url)

    def fail() -> None:
        with writing(opened) as connection:
            connection.execute(text("insert into experiments (key, version, state) values ('k', 1, 'draft')"))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    with reading(opened) as connection:
        assert connection.execute(text("select count(*) from experiments")).scalar() == 0
    opened.dispose()


def test_a_store_made_by_a_newer_version_is_refused(store_url: str) -> None:
    opened = connect(store_url)
    with writing(opened) as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    opened.dispose()
    with pytest.raises(StoreError, match=rf"revision 9999, newer than this truelift \({HEAD}\); upgrade truelift"):
        Store.open(store_url)


def test_a_locked_store_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0)
    url = f"sqlite:///{tmp_path / 'r.sqlite'}"
    first, second = connect(url), connect(url)
    with writing(first), pytest.raises(StoreError, match="another process has been writing"), writing(second):
        pytest.fail("two writers at once")
    first.dispose()
    second.dispose()


def test_a_full_disk_is_said_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    full = connect(f"sqlite:///{tmp_path / 'r.sqlite'}")

    @event.listens_for(full, "connect")
    def _(driver: sqlite3.Connection, _record: object) -> None:
        driver.execute("pragma max_page_count = 40").close()

    store = Store(full)
    store.publish(snapshot("before", b"small"))
    with pytest.raises(StoreError, match="disk is full; make room on the disk and repeat the command"):
        store.publish(snapshot("big", bytes(10**6)))
    assert [head.snapshot_id for head in store.snapshots("k")] == ["before"]
    store.close()


NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from analysis.warehouse.connection import open_connection
from experiments.store.engine import connect
from experiments.errors import TrueliftError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)                      # a write beyond the limit fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
for opened in (lambda: connect(f"sqlite:///{sys.argv[2]}/r.sqlite"),
               lambda: open_connection(Path(sys.argv[2], "w.duckdb")).__enter__()):
    try:
        opened()
    except TrueliftError as error:
        print(error.exit_code, error)
"""


@pytest.mark.parametrize(("limit", "file"), [(0, "warehouse.lock"), (4096, "w.duckdb")])
def test_no_room_for_a_new_store_or_warehouse_is_said_at_once(tmp_path: Path, limit: int, file: str) -> None:
    made = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(limit), str(tmp_path)], capture_output=True, text=True, timeout=20,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}, check=True,
    )  # fmt: skip
    store, warehouse = made.stdout.splitlines()
    assert store.startswith(f"1 sqlite:///{tmp_path}/r.sqlite: disk I/O error; the disk is full or failing: make room")
    assert warehouse.startswith(f"1 {tmp_path}/{file}: cannot be ")
    assert warehouse.endswith("make room on the disk and repeat the command")


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open database file; the file and its folder must be writable"):
        connect(f"sqlite:///{tmp_path}")


def snapshot(name: str, body: bytes) -> Snapshot:
    return Snapshot(name, "k", 1, NOW, NOW, None, "readout.v1", "SHIP", body, b"m")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "is not a URL; write sqlite:///FILE or postgresql"),
        ("mysql://u:secret@h/d", r"mysql://u:\*\*\*@h/d: the store is SQLite or PostgreSQL"),
    ],
)
def test_a_url_that_cannot_be_a_store_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Store.open(url)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as raised:
        Store.open("postgresql://user:secret@127.0.0.1:1/none")
    assert "127.0.0.1" in str(raised.value)
    assert "check store_url" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="its folder does not exist"):
        Store.open(f"sqlite:///{tmp_path / 'none' / 'r.sqlite'}")


def test_the_in_memory_twin_works_without_a_file() -> None:
    with Store.open("sqlite://") as store:
        assert store.registered() == []
        assert store.verify_audit() == ()
