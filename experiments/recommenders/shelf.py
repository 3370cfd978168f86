"""What can be sold at one moment: the catalogue in columns, as rules read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.recommenders.base import Flags, Floats, Index, Integers
from experiments.recommenders.training import CATALOGUE


@dataclass(frozen=True, slots=True)
class Shelf:
    """The items of a catalogue at one moment, (n_items,) each; NaN is not known.

    Prices and margins are in minor units and stock in pieces, all whole. `group` is the first code of an item's
    variants, its own where it has none.
    """

    items: Index
    listed: Flags  # whether the catalogue has the item at this moment: the allowed set
    price: Floats
    margin: Floats
    stock: Floats
    group: Integers


def shelf(catalogue: pa.Table, now: datetime, items: Index | None = None) -> Shelf:
    """The catalogue as of `now`: of each item the row with the latest `valid_from`, if it has not ended."""
    instant = pa.scalar(now, pa.timestamp("us", tz="UTC"))
    table = catalogue.select(CATALOGUE.names)
    index = items or Index.of(pc.unique(table["item_id"]).to_pylist())
    table = table.filter(pc.less_equal(table["valid_from"], instant)).sort_by("valid_from")
    code = index.codes(table["item_id"].to_pylist())
    last = np.full(len(index), -1)
    last[code[code >= 0]] = np.flatnonzero(code >= 0)
    ended = pc.fill_null(pc.less_equal(table["valid_to"], instant), False)
    listed = (last >= 0) & ~np.append(ended.to_numpy().astype(np.bool_), True)[last]

    def column(name: str) -> Floats:
        values: Floats = np.append(table[name].cast(pa.float64()).to_numpy(), np.nan)[last]
        return values

    named = [*table["variant_group"].to_pylist(), None]
    return Shelf(
        items=index,
        listed=listed,
        price=column("price"),
        margin=column("margin"),
        stock=column("stock"),
        group=_groups([named[row] for row in last.tolist()]),
    )


def _groups(named: Sequence[str | None]) -> Integers:
    first: dict[str, int] = {}
    return np.array(
        [code if name is None else first.setdefault(name, code) for code, name in enumerate(named)], dtype=np.int64
    )
