"""A shop with a holdout and an experiment beside it: who is served what comes of the real allocation, and is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.spool import load_spool
from analysis.warehouse.terms import ShopTerms
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from assignment.hashing import bucket
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers.definitions import written

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 14
HOLDOUT = """\
key: everybody
owner: growth
salt: holdout.everybody
buckets: [[0, 2000]]
modules: [homepage, pdp]
planned_units: 6000
start_at: 2026-03-02T00:00:00Z
"""
EXPERIMENT = """\
schema_version: 1
key: home_als
name: ALS on the homepage
owner: recs-team
assignment: truelift
modules: [homepage]
flag_key: rec.homepage
layer: {key: homepage, ranges: [[0, 6000]]}
holdouts: [everybody]
variants:
  - {key: control, weight: "0.5", is_control: true, strategy: popularity}
  - {key: als, weight: "0.5", strategy: als}
overrides: [{unit_id: u7, variant: als}]
schedule: {start_at: 2026-03-02T00:00:00Z}
metrics: {success: [revenue_per_unit]}
"""


@dataclass(frozen=True)
class Sold:
    """What one unit bought, in cents, one order line a day at most: (unit, hours after the start, value)."""

    unit: int
    hours: float
    value: int


def unit_id(number: int) -> str:
    """Of a number: it takes part."""
    return f"u{number}"


def is_held(number: int) -> bool:
    """By the hash of the holdout above."""
    return bucket("holdout.everybody:holdout", unit_id(number)) < 2000


def shop(folder: Path, *, holdout: str = HOLDOUT) -> Shop:
    """Registered and started, nothing logged."""
    made = create(folder / "shop", currency="EUR", modules=("homepage", "pdp", "cart"))
    (made.holdouts / "everybody.yml").write_text(holdout, encoding="utf-8")
    with Store.open(made.store_url) as store:
        lifecycle.register_ground(store, made, actor="test", reason="", now=BEGAN)
        path = written(made, EXPERIMENT, "home_als.yml")
        lifecycle.register(store, made, path, actor="test", reason="", now=BEGAN)
        lifecycle.start(store, made, "home_als", actor="test", reason="", now=BEGAN)
    return made


def log(made: Shop, units: int, *, lift: float = 0.0, seed: int = 1) -> Sequence[Sold]:
    """Everybody visits the homepage once and the product page or the cart, then buys a little.

    Half of them buy on later days, exponential in value; who is not held out pays `lift` more. What was sold.
    """
    dice = np.random.default_rng(seed)
    sold = [
        Sold(n, hours=float(dice.uniform(30, 24 * (DAYS - 1))),
             value=round(float(dice.uniform(4000, 6000)) * (1 if is_held(n) else 1 + lift)))
        for n in range(units) if dice.random() < 0.5
    ]  # fmt: skip
    with Store.open(made.store_url) as store:
        bundle = compile_bundle(bundle_document(store, made))
    with Spool(made.spool) as spool:
        for n in range(units):
            for place, flag in enumerate(("rec.pdp" if n % 2 else "rec.homepage", "rec.cart", "rec.homepage")):
                at = BEGAN + timedelta(hours=2 + n % 24 + place)
                context = {"targetingKey": unit_id(n)}
                decision = evaluate(bundle, flag, context, at)
                spool.append("exposure", exposure_row(bundle, decision, context, event_id=f"e{n}-{place}", at=at))
        for one in sold:
            spool.append("outcome", {
                "event_id": f"p{one.unit}", "event_ts": (BEGAN + timedelta(hours=one.hours)).isoformat(),
                "unit_type": "user", "unit_id": unit_id(one.unit), "event_name": "purchase", "order_id": f"o{one.unit}",
                "item_id": "i", "item_category": "decor", "quantity": 1, "value": one.value, "currency": "EUR",
            })  # fmt: skip
    now = BEGAN + timedelta(days=DAYS)
    with open_connection(made.warehouse_path) as connection:
        report = load_spool(connection, made.spool, ShopTerms.of(made.settings), now=now.replace(tzinfo=None))
    assert report.accepted == 3 * units + len(sold), report
    return sold
