"""Catalogue rows of the exposure log: each once, what they leave out stays, in whatever order they come."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.spool import SpoolReport, load_spool
from assignment.event_log import Kind, encoded
from assignment.segments import READY
from tests.helpers.effort import scaled
from tests.helpers.loads import EUROS, NOW, load, same_names, write_rows

Connection = duckdb.DuckDBPyConnection
Row = dict[str, object]
DAY = "2026-11-02"
FILE = {
    "item_id": "sofa", "valid_from": f"{DAY}T00:00:00Z", "stock": 5, "price": 900, "margin": 100,
    "category": "sofas/red",
}  # fmt: skip


@pytest.fixture
def connection() -> Iterator[Connection]:
    opened = open_memory()
    yield opened
    opened.close()


class Log:
    """Loads rows of the log, a segment a call."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection, self.folder, self.segments = connection, folder, 0

    def load(self, *rows: tuple[Kind, Row]) -> SpoolReport:
        self.segments += 1
        path = self.folder / f"{1_795_262_400_000 + self.segments}-00000001{READY}"
        path.write_bytes(b"".join(encoded(kind, row) for kind, row in rows))
        report = load_spool(self.connection, self.folder, EUROS, now=NOW)
        assert report.rejected == 0, report.reasons
        return report

    def file(self, *rows: Row) -> None:
        self.segments += 1
        load(self.connection, write_rows(self.folder / f"{self.segments}.jsonl", rows), same_names("catalogue"))

    def slates(self) -> list[tuple[object, ...]]:
        query = "select event_id, items_stock_known, items_out_of_stock from exposures order by event_id"
        return self.connection.execute(query).fetchall()


@pytest.fixture
def log(connection: Connection, tmp_path: Path) -> Log:
    return Log(connection, tmp_path)


def live(at: str, **said: object) -> tuple[Kind, Row]:
    return "catalogue", {"item_id": "sofa", "valid_from": f"{DAY}T{at}Z", **said}


def slate(at: str) -> tuple[Kind, Row]:
    row: Row = {
        "event_id": at, "event_ts": f"{DAY}T{at}Z", "module": "homepage", "unit_type": "user", "unit_id": "u1",
        "assignment_reason": "none", "items": [{"item_id": "sofa", "position": 1}],
    }  # fmt: skip
    return "exposure", row


def bought(at: str) -> tuple[Kind, Row]:
    row: Row = {
        "event_id": at, "event_ts": f"{DAY}T{at}Z", "unit_type": "user", "unit_id": "u1", "event_name": "purchase",
        "order_id": at, "item_id": "sofa", "quantity": 1, "value": 900,
    }  # fmt: skip
    return "outcome", row


def test_a_stock_alone_erases_neither_category_nor_margin(log: Log) -> None:
    log.file(FILE)
    report = log.load(live("09:00:00", stock=0), bought("10:00:00"), slate("08:00:00"), slate("10:00:00"))
    assert report.accepted_by_table["catalogue"] == 1
    assert log.slates() == [("08:00:00", 1, 0), ("10:00:00", 1, 1)]
    found = log.connection.execute("select margin, item_category from outcomes").fetchall()
    assert found == [(100, "sofas")]
    raw = log.connection.execute("select stock, category, price from catalogue order by valid_from").fetchall()
    assert raw == [(5, "sofas/red", 900), (0, None, None)]  # kept as it was said


def test_a_row_of_a_file_says_everything(log: Log) -> None:
    log.load(live("09:00:00", stock=0), slate("09:30:00"), slate("10:30:00"), slate("11:30:00"))
    assert log.slates() == [("09:30:00", 1, 1), ("10:30:00", 1, 1), ("11:30:00", 1, 1)]
    log.file({"item_id": "sofa", "valid_from": f"{DAY}T10:00:00Z", "category": "sofas"})  # of unknown stock
    log.load(live("11:00:00", price=800))
    assert log.slates() == [("09:30:00", 1, 1), ("10:30:00", 0, 0), ("11:30:00", 0, 0)]
    log.file({"item_id": "sofa", "valid_from": f"{DAY}T09:00:00Z"})  # the same instant: the later load counts
    assert log.slates()[0] == ("09:30:00", 0, 0)


def test_two_rows_of_one_instant_add_up(log: Log) -> None:
    log.load(live("09:00:00", stock=0))
    log.load(live("09:00:00", margin=70), slate("10:00:00"), bought("10:00:00"))
    assert log.slates() == [("10:00:00", 1, 1)]
    assert log.connection.execute("select margin from outcomes").fetchall() == [(70,)]


def test_whatever_is_sent_again_is_in_the_warehouse_once(log: Log) -> None:
    rows = [live("09:00:00", stock=0), live("09:00:00", price=800), live("10:00:00", stock=3), slate("09:30:00")]
    assert log.load(*rows, *rows).accepted == 4
    again = log.load(*reversed(rows))
    assert (again.accepted, again.duplicates) == (0, 4)
    log.load(live("09:00:00", stock=9))  # contradicts: the row that came later counts from then on
    log.load(*rows)  # and what came before it is not news
    assert log.connection.execute("select count(*) from catalogue").fetchall() == [(4,)]
    assert log.slates() == [("09:30:00", 1, 0)]


def test_in_any_order_the_stock_is_the_one_last_said(connection: Connection, tmp_path: Path) -> None:
    """Against a plain recount: at every moment the newest row that gave a stock."""
    rng = random.Random(5)
    noon = datetime(2026, 11, 2, 12)
    for attempt in range(scaled(3, 20)):
        folder = tmp_path / f"{attempt}"
        folder.mkdir()
        item, minutes = f"item-{attempt}", rng.sample(range(0, 400, 2), 24)
        said: dict[int, Row] = {}
        for minute in minutes:
            more: Row = {"stock": rng.randrange(-1, 2)} if rng.random() < 0.6 else {"price": rng.randrange(100)}
            said[minute] = {"item_id": item, "valid_from": (noon + timedelta(minutes=minute)).isoformat() + "Z", **more}
        shown = [rng.randrange(1, 420, 2) for _ in range(30)]
        events: list[tuple[Kind, Row]] = [("catalogue", row) for row in said.values()]
        for place, minute in enumerate(shown):
            _, row = slate("12:00:00")
            at = (noon + timedelta(minutes=minute)).isoformat() + "Z"
            seen: Row = {"event_id": f"{item}:{place:02d}", "event_ts": at, "items": [{"item_id": item}]}
            events.append(("exposure", row | seen))
        rng.shuffle(events)
        log = Log(connection, folder)
        for start in range(0, len(events), 18):
            log.load(*events[start : start + 18])
        expected = []
        for place, minute in enumerate(shown):
            known = [said[at]["stock"] for at in sorted(said) if at <= minute and "stock" in said[at]]
            out = bool(known) and int(str(known[-1])) <= 0
            expected.append((f"{item}:{place:02d}", int(bool(known)), int(out)))
        assert [row for row in log.slates() if str(row[0]).startswith(f"{item}:")] == expected
