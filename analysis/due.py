"""Whose readout is due: whose newest day, definition or files nobody has read yet.

The exposure log comes in all day, with a late row now and then; what it brings of earlier days is counted with the next
day. A file somebody loads may be all of yesterday's orders, so it makes a readout due again.

What was read is remembered in a small file. Without it everything is due once, and a readout of the same inputs changes
nothing.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from analysis.calendar import data_cut
from analysis.pipeline import nothing_yet
from analysis.subjects import Subject, subject, to_be_read
from analysis.warehouse.sql_files import SQL_FOLDER, number
from experiments.shop import Shop
from experiments.store import Store

_NEWEST_FILE = SQL_FOLDER / "newest_file.sql"


@dataclass(frozen=True, slots=True)
class Read:
    """What a readout was made of: a phase as it was defined, days before `as_of`, files up to the load `seq`."""

    phase: int
    version: int
    as_of: str  # ISO 8601, naive UTC
    seq: int


def to_read(store: Store, shop: Shop, now: datetime) -> Mapping[str, Subject]:
    """Everything of which a day is over, by key, at an aware instant."""
    asked = {key: subject(store, shop, key) for key in to_be_read(store)}
    return {key: one for key, one in asked.items() if nothing_yet(one.phase, shop.settings.zone, now) is None}


def reading(asked: Subject, shop: Shop, now: datetime, seq: int) -> Read:
    """What a readout made now would be made of, with files up to the load `seq`."""
    cut = data_cut(now, asked.phase.experiment.schedule.end_at, shop.settings.zone)
    return Read(asked.phase.number, asked.version, cut.as_of.isoformat(), seq)


def day_began(shop: Shop, now: datetime) -> datetime:
    """The naive UTC instant at which the business day of an aware one began: rows before it are of whole days."""
    return data_cut(now, None, shop.settings.zone).as_of


def newest_file(connection: duckdb.DuckDBPyConnection, before: datetime, known: Iterable[Read]) -> int:
    """The newest load that is a file with rows of before a naive UTC instant; 0 without one.

    Only loads after those that are known are looked at, unless the warehouse was built anew since.
    """
    after = min((each.seq for each in known), default=0)
    newest = number(connection, "select max(seq) from loads")
    after = after if after <= newest else 0
    text = _NEWEST_FILE.read_text(encoding="utf-8")
    found: int | None = connection.execute(text, {"before": before, "seq": after}).fetchall()[0][0]
    return after if found is None else found


def remembered(path: Path) -> dict[str, Read]:
    """What was read of whom, by key; nothing without the file, or when it is not ours."""
    try:
        return {key: Read(**each) for key, each in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember(path: Path, read: Mapping[str, Read]) -> None:
    """Keep it. OSError as the disk."""
    beside = path.with_name(f"{path.name}.partial")
    try:
        kept = {key: asdict(each) for key, each in read.items()}
        beside.write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
