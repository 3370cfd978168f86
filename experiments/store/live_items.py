"""Live stock and price in the store: read in parts that are newer than what the reader has."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields

from sqlalchemy import Connection, delete, func, insert, select

from experiments.store import tables
from experiments.store.values import LiveItem

_PART = 500  # ids in one statement
_FIELDS = [field.name for field in fields(LiveItem)]  # asdict copies every instant, which takes half of a change
_c = tables.live_items.c


def newer(connection: Connection, number: int) -> list[LiveItem]:
    """The items that were touched after the change of that number, in the order of changes."""
    rows = connection.execute(select(tables.live_items).where(_c.number > number).order_by(_c.number, _c.item_id))
    return [LiveItem(**row._mapping) for row in rows]


def read(connection: Connection, item_ids: Collection[str]) -> Mapping[str, LiveItem]:
    """Those of the items that are known."""
    return {
        row.item_id: LiveItem(**row._mapping)
        for part in _parts(item_ids)
        for row in connection.execute(select(tables.live_items).where(_c.item_id.in_(part)))
    }


def write(connection: Connection, items: Iterable[LiveItem]) -> None:
    """Replace these items, as the next change."""
    number = (connection.execute(select(func.max(_c.number))).scalar() or 0) + 1
    changed = [{**{name: getattr(item, name) for name in _FIELDS}, "number": number} for item in items]
    for part in _parts([item["item_id"] for item in changed]):
        connection.execute(delete(tables.live_items).where(_c.item_id.in_(part)))
    if changed:
        connection.execute(insert(tables.live_items), changed)


def _parts(item_ids: Collection[str]) -> Iterable[list[str]]:
    given = list(item_ids)
    return (given[start : start + _PART] for start in range(0, len(given), _PART))
