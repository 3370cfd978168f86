"""What the loader says became of the exposure log's events, as Prometheus reads it from /metrics."""

import shutil
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading import spool
from analysis.warehouse.loading.spool import LOADED, load_spool
from assignment.event_log import Spool, SpoolStats
from assignment.segments import LOADER_COUNTS, OPEN, READY
from assignment.service.metrics import Metrics
from experiments.errors import SpoolError
from tests.helpers.loads import EUROS, NOW

Row = dict[str, object]
ROW: Row = {
    "event_ts": "2026-11-01T10:05:00Z", "unit_type": "user", "unit_id": "u1", "event_name": "view", "item_id": "i1",
    "module": "homepage",
}  # fmt: skip
QUIET = SpoolStats(0, 0, 0, 0, 0, 0.0, 0, 0.0, None)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = open_memory()
    yield opened
    opened.close()


def spooled(folder: Path, *rows: Row) -> None:
    with Spool(folder) as log:
        for row in rows:
            log.append("outcome", ROW | row)


def shown(folder: Path) -> dict[str, float]:
    """The loader's samples on the page of a service, by name and fate."""
    page = Metrics(folder / LOADER_COUNTS).page(QUIET, 1, 0, 0, None).decode()
    samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
    return {
        " ".join([sample.name.removeprefix("truelift_loader_"), *sample.labels.values()]): sample.value
        for sample in samples
        if sample.name.startswith("truelift_loader_")
    }


def test_every_event_is_counted_under_what_became_of_it(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert shown(tmp_path) == {}  # before the first run
    spooled(tmp_path, {"event_id": "o1"}, {"event_id": "o2"}, {"event_id": "o3", "value": -1})
    load_spool(connection, tmp_path, EUROS, now=NOW)
    first = {
        "events_total loaded": 2,
        "events_total duplicate": 0,
        "events_total rejected": 1,
        "segments_total": 1,
        "unreadable_segments": 0,
        "last_run_timestamp_seconds": NOW.replace(tzinfo=UTC).timestamp(),
    }
    assert shown(tmp_path) == first
    spooled(tmp_path, {"event_id": "o1"}, {"event_id": "o4"})
    load_spool(connection, tmp_path, EUROS, now=NOW)
    second = first | {"events_total loaded": 3, "events_total duplicate": 1, "segments_total": 2}
    assert shown(tmp_path) == second
    load_spool(connection, tmp_path, EUROS, now=NOW)  # with nothing to load
    assert shown(tmp_path) == second
    assert [path.name for path in tmp_path.iterdir() if path.name != LOADED] == [LOADER_COUNTS]


def test_a_segment_that_is_loaded_again_counts_once(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    spooled(tmp_path, {"event_id": "o1"})
    load_spool(connection, tmp_path, EUROS, now=NOW)
    [segment] = (tmp_path / LOADED).iterdir()
    shutil.copy(segment, tmp_path)
    before = shown(tmp_path)
    load_spool(connection, tmp_path, EUROS, now=NOW)
    assert shown(tmp_path) == before


def test_what_a_killed_run_loaded_is_counted_by_the_next(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled(tmp_path, {"event_id": "o1"}, {"event_id": "o2"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(spool, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            load_spool(connection, tmp_path, EUROS, now=NOW)
    assert shown(tmp_path) == {}
    load_spool(connection, tmp_path, EUROS, now=NOW)
    assert shown(tmp_path)["events_total loaded"] == 2


def test_what_cannot_be_read_is_counted_too(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / f"1795262400000-00000001{READY}").mkdir()  # a folder: nobody can read it as a file, not even root
    load_spool(connection, tmp_path, EUROS, now=NOW)
    assert shown(tmp_path)["unreadable_segments"] == 1


def test_counts_that_cannot_be_written_are_said(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / LOADER_COUNTS).mkdir()
    with pytest.raises(SpoolError, match="make the folder writable and load again"):
        load_spool(connection, tmp_path, EUROS, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == [LOADER_COUNTS]  # nothing half-written beside it


def test_a_shop_that_never_logged_has_no_counts(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert load_spool(connection, tmp_path / "spool", EUROS, now=NOW).segments == 0
    assert shown(tmp_path / "spool") == {}
    assert not list(tmp_path.glob(f"**/*{OPEN}"))
