"""A small shop's logs: 60 units, 30 items of three categories, some sold out or in variants, and what came later."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from experiments.recommenders.base import Index, Requests
from experiments.recommenders.shelf import Shelf, shelf
from experiments.recommenders.training import TrainingData

AS_OF = datetime(2026, 9, 28, tzinfo=UTC)
CATEGORIES = ("bedding", "decor", "rugs")


def item(number: int) -> str:
    return f"{CATEGORIES[number // 10]}-{number % 10}"


@dataclass(frozen=True)
class SmallShop:
    """`data` goes on for a week after `as_of`."""

    data: TrainingData
    as_of: datetime = AS_OF

    @property
    def shelf(self) -> Shelf:
        return shelf(self.data.catalogue, self.as_of)

    def requests(self, n: int = 200, k: int = 4, seed: int = 1) -> Requests:
        """Requests of known and unknown units, items and categories, some with nothing known at all."""
        rng = np.random.default_rng(seed)
        units = Index.of([*(f"u{number:03d}" for number in range(60)), "stranger"])
        items = Index.of([*map(item, range(30)), "never-seen"])
        categories = Index.of(["decor", "rugs/round", "no-such"])
        return Requests(
            module="homepage",
            k=k,
            now=self.as_of,
            ids=[f"r{seed}-{number}" for number in range(n)],
            unit=rng.integers(-1, len(units), n),
            units=units,
            session=np.where(rng.random((n, 2)) < 0.4, rng.integers(0, len(items), (n, 2)), -1),
            items=items,
            category=rng.integers(-1, 3, n),
            categories=categories,
        )


@pytest.fixture(scope="session")
def small_shop() -> SmallShop:
    return SmallShop(data(seed=4))


def data(seed: int, *, units: int = 60, events: int = 1_500, days: int = 40) -> TrainingData:
    """Random logs from 33 days before AS_OF to 7 days after; popular items and each unit's own category stand out."""
    rng = np.random.default_rng(seed)
    unit = rng.integers(0, units, events)
    own = rng.random(events) < 0.7
    category = np.where(own, unit % 3, rng.integers(0, 3, events))
    number = category * 10 + rng.geometric(0.25, events).clip(1, 10) - 1
    at = [AS_OF + timedelta(days=float(day) - 33) for day in rng.uniform(0, days, events)]
    name = rng.choice(["view", "click", "add_to_cart", "purchase", "open"], events, p=[0.6, 0.1, 0.1, 0.19, 0.01])
    bought = name == "purchase"
    table = pa.table(
        {
            "unit_id": [f"u{number:03d}" for number in unit],
            "item_id": [None if kind == "open" else item(n) for n, kind in zip(number, name, strict=True)],
            "event_ts": pa.array(at, pa.timestamp("us", tz="UTC")),
            "event_name": name.tolist(),
        }
    )
    return TrainingData(table.filter(pa.array(~bought)), table.filter(pa.array(bought)), catalogue())


def catalogue() -> pa.Table:
    """Two states of each item, the second from AS_OF + 1 day; one item is new then. Every fourth is sold out before."""
    early, late = AS_OF - timedelta(days=60), AS_OF + timedelta(days=1)
    rows = []
    for number in range(30):
        sold_out = number % 4 == 3
        row = {
            "item_id": item(number),
            "category": f"{CATEGORIES[number // 10]}/all",
            "brand": None,
            "variant_group": f"group-{number // 10}" if number % 10 in (0, 1) else None,
            "price": 1_000 + number,
            "margin": 10 * number,
            "stock": 0 if sold_out else 25 if number % 5 else None,
        }
        rows.append({**row, "valid_from": early, "valid_to": late})
        rows.append({**row, "stock": 25, "price": 1, "valid_from": late, "valid_to": None})
    rows.append({**rows[-1], "item_id": "rugs-new", "valid_from": late})
    return pa.Table.from_pylist(rows)


def later(given: TrainingData) -> TrainingData:
    """The same until AS_OF, and other things after it: what a strategy must not notice."""
    known = given.until(AS_OF)
    week = AS_OF + timedelta(days=2)
    strange = pa.table(
        {
            "unit_id": ["u000"] * 50 + ["newcomer"] * 50,
            "item_id": ["rugs-9"] * 50 + ["from-the-future"] * 50,
            "event_ts": pa.array([week] * 100, pa.timestamp("us", tz="UTC")),
            "event_name": ["view"] * 100,
        }
    )
    begins = pa.array([AS_OF] * 31, pa.timestamp("us", tz="UTC"))
    renamed = catalogue().slice(30).set_column(7, "valid_from", begins)
    return replace(
        known,
        interactions=pa.concat_tables([known.interactions, strange]),
        orders=pa.concat_tables([known.orders, strange.select(["unit_id", "item_id", "event_ts"])]),
        catalogue=pa.concat_tables([known.catalogue, renamed.cast(known.catalogue.schema)]),
        as_of=None,
    )
