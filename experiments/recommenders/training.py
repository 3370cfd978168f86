"""What strategies learn from: a shop's own logs as Arrow tables, cut at an instant.

    interactions   unit_id, item_id, event_ts, event_name      views, clicks, things put in the cart
    orders         unit_id, item_id, event_ts                  one row an order line
    catalogue      item_id, category, price, margin, stock, brand, variant_group, valid_from, valid_to

Columns are named and typed as in the contract; further columns are ignored.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.errors import UsageError
from experiments.recommenders.base import Floats, Index, Integers

_INSTANT = pa.timestamp("us", tz="UTC")
INTERACTIONS = pa.schema(
    {"unit_id": pa.string(), "item_id": pa.string(), "event_ts": _INSTANT, "event_name": pa.string()}
)
ORDERS = pa.schema({"unit_id": pa.string(), "item_id": pa.string(), "event_ts": _INSTANT})
CATALOGUE = pa.schema(
    {
        "item_id": pa.string(),
        "category": pa.string(),
        "brand": pa.string(),
        "variant_group": pa.string(),
        "price": pa.int64(),
        "margin": pa.int64(),
        "stock": pa.int64(),
        "valid_from": _INSTANT,
        "valid_to": _INSTANT,
    }
)
WEIGHTS = {"view": 1.0, "click": 1.0, "add_to_cart": 2.0, "purchase": 4.0}  # what one event says about a taste
DAY_MICROS = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Events:
    """What happened, (n_events,): who with which item, when in µs since the epoch, and how much it says."""

    unit: Integers  # in `units`
    item: Integers  # in `items`
    at: Integers
    weight: Floats
    units: Index
    items: Index


@dataclass(frozen=True)
class TrainingData:
    """The logs before `as_of`; None is all of them, which no strategy is fitted on."""

    interactions: pa.Table
    orders: pa.Table
    catalogue: pa.Table
    as_of: datetime | None = None

    def __post_init__(self) -> None:
        for name, schema in (("interactions", INTERACTIONS), ("orders", ORDERS), ("catalogue", CATALOGUE)):
            object.__setattr__(self, name, _conform(getattr(self, name), name, schema))

    def until(self, as_of: datetime) -> "TrainingData":
        """Only what was known just before `as_of`: earlier events, and of the catalogue what had begun.

        That a row of the catalogue ends later was not known then: it has no end. The rows are sorted, so that the order
        they came in changes nothing.
        """
        if self.as_of == as_of:
            return self
        if as_of.tzinfo is None:
            raise UsageError(f"as_of {as_of} has no time zone: write it with one, for example {as_of}+00:00")
        cut = pa.scalar(as_of, _INSTANT)
        began = self.catalogue.filter(pc.less(self.catalogue["valid_from"], cut))
        ends = pc.if_else(pc.less_equal(began["valid_to"], cut), began["valid_to"], pa.scalar(None, _INSTANT))
        place = began.schema.get_field_index("valid_to")
        return TrainingData(
            interactions=_sorted(self.interactions.filter(pc.less(self.interactions["event_ts"], cut))),
            orders=_sorted(self.orders.filter(pc.less(self.orders["event_ts"], cut))),
            catalogue=_sorted(began.set_column(place, "valid_to", ends)),
            as_of=as_of,
        )

    @property
    def as_of_micros(self) -> int:
        """The cut in µs since the epoch. UsageError before `until`."""
        if self.as_of is None:
            raise UsageError("the training data have no end: cut them with until(as_of)")
        return int(pa.scalar(self.as_of, _INSTANT).value)

    @cached_property
    def digest(self) -> str:
        """The sha256 over every row, 64 hex digits."""
        made = hashlib.sha256()
        for table in (self.interactions, self.orders, self.catalogue):
            made.update(_bytes(table))
        return made.hexdigest()

    @cached_property
    def items(self) -> Index:
        """Every item of the catalogue and of the events."""
        named = (self.catalogue["item_id"], self.interactions["item_id"], self.orders["item_id"])
        return Index.of(name for column in named for name in pc.unique(column).to_pylist() if name is not None)

    @cached_property
    def units(self) -> Index:
        """Everybody of the events."""
        named = (self.interactions["unit_id"], self.orders["unit_id"])
        return Index.of(name for column in named for name in pc.unique(column).to_pylist())

    @cached_property
    def bought(self) -> Events:
        """Order lines that name an item; each weighs 1."""
        lines = self.orders.filter(pc.is_valid(self.orders["item_id"]))
        return self._events(lines, np.ones(len(lines)))

    @cached_property
    def tastes(self) -> Events:
        """Interactions and order lines that name an item, weighed by WEIGHTS; others say nothing about a taste."""
        known = pc.and_(
            pc.is_valid(self.interactions["item_id"]),
            pc.is_in(self.interactions["event_name"], value_set=pa.array(list(WEIGHTS))),
        )
        seen = self.interactions.filter(known)
        kinds = pa.array(list(WEIGHTS))
        code = pc.index_in(seen["event_name"], value_set=kinds).to_numpy()
        events = self._events(seen, np.array(list(WEIGHTS.values()))[code])
        bought = self.bought
        return Events(
            unit=np.concatenate([events.unit, bought.unit]),
            item=np.concatenate([events.item, bought.item]),
            at=np.concatenate([events.at, bought.at]),
            weight=np.concatenate([events.weight, bought.weight * WEIGHTS["purchase"]]),
            units=self.units,
            items=self.items,
        )

    def _events(self, rows: pa.Table, weight: Floats) -> Events:
        return Events(
            unit=_codes(rows["unit_id"], self.units),
            item=_codes(rows["item_id"], self.items),
            at=rows["event_ts"].cast(pa.int64()).to_numpy().astype(np.int64),
            weight=weight,
            units=self.units,
            items=self.items,
        )


def _codes(column: pa.ChunkedArray, index: Index) -> Integers:
    found: Integers = pc.index_in(column, value_set=pa.array(index.ids, pa.string())).to_numpy().astype(np.int64)
    return found


def _conform(table: pa.Table, name: str, schema: pa.Schema) -> pa.Table:
    missing = [column for column in schema.names if column not in table.column_names]
    needed = [column for column in missing if column in ("unit_id", "item_id", "event_ts", "event_name", "valid_from")]
    if needed:
        raise UsageError(f"{name} have no {', '.join(needed)}: a strategy needs {', '.join(schema.names)}")
    for column in missing:
        table = table.append_column(column, pa.nulls(len(table), schema.field(column).type))
    return table.select(schema.names).cast(schema)


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()


def _bytes(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()
