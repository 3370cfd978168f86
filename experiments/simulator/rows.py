"""Exposures and catalogue as contract rows: Arrow tables with the columns of `experiments.contracts` that are filled.

Ids are numbered in the order of time, so that equal worlds give equal files.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from experiments.simulator.columns import INSTANT, constant, ids, instants, texts
from experiments.simulator.items import BRANDS, ITEM_IDS, ITEMS_PER_CATEGORY, PERIOD, Integers, Items
from experiments.simulator.plan import CATEGORY_KEYS, DEVICES, MODULES, PLACES, Plan, Recommended
from experiments.simulator.play import Slates
from experiments.simulator.world import World
from experiments.strategies import BUILT_IN

UNIT_DIGITS = 7


def unit_id(number: int) -> str:
    """The id of unit `number`, counted from 0."""
    return f"u{number:0{UNIT_DIGITS}d}"


def exposures(world: World, shown: Slates, arms: Mapping[str, Sequence[str]]) -> pa.Table:
    """One row a slate. Outside the run, and on modules nobody tests, the slot is asked for without an experiment."""
    plan, came, folk = world.plan, world.came, world.folk
    n = len(shown.visit)
    unit = came.unit[shown.visit]
    start, end = plan.run_span
    experiment, variant, names = np.full(n, -1), np.full(n, -1), [""]
    strategy, strategies = np.full(n, -1), sorted(BUILT_IN)
    for number, play in enumerate(plan.plays):
        tested = (shown.module == MODULES.index(play.module)) & (shown.at >= start) & (shown.at < end)
        experiment[tested] = number
        known = sorted(set(arms[play.key]))
        codes = np.array([len(names) + known.index(arm) for arm in arms[play.key]], dtype=np.int64)
        variant[tested] = codes[unit[tested]]
        names += known
        served = [play.arms[arm] for arm in arms[play.key]]
        shows = [strategies.index(arm.strategy) if isinstance(arm, Recommended) else -1 for arm in served]
        strategy[tested] = np.array(shows, dtype=np.int64)[unit[tested]]
    split = experiment >= 0
    device = folk.device[unit]
    slate_ids = ids("s", np.arange(n), 8)
    return pa.table(
        {
            "event_id": slate_ids,
            "event_ts": instants(shown.at),
            "received_ts": instants(shown.at + came.delay[shown.visit]),
            "experiment_key": texts(experiment, [play.key for play in plan.plays] or [""]),
            "phase": pa.array(np.ones(n, dtype=np.int64), mask=~split),
            "module": texts(shown.module, MODULES),
            "page_category": texts(page_category(world, shown), CATEGORY_KEYS),
            "unit_type": constant("user", n),
            "unit_id": ids("u", unit, UNIT_DIGITS),
            "session_id": ids("v", shown.visit, 8),
            "variant": texts(variant, names),
            "assignment_reason": texts(split.astype(np.int64), ("none", "split")),
            "strategy": texts(strategy, strategies),
            "fallback": pa.array(shown.fallback),
            "fallback_cause": texts(np.where(shown.fallback, 0, -1), ("deadline",)),
            "trigger": constant("render", n),
            "request_id": slate_ids,
            "platform": texts(device, [platform for platform, *_ in DEVICES]),
            "browser": texts(device, [browser for _, browser, _ in DEVICES]),
            "latency_ms": pa.array(shown.latency_ms),
            "items": _items(shown.items),
            "is_bot": pa.array(folk.bot[unit]),
        }
    )


def page_category(world: World, shown: Slates) -> Integers:
    """Of each slate's page: product pages have one."""
    on_pdp = shown.module == MODULES.index("pdp")
    return np.where(on_pdp, world.came.category[shown.visit], -1)


def _items(items: Integers) -> pa.Array:
    """Lists of the items of each slate; -1 is an empty place, and only at its end."""
    flat, lengths = items.ravel(), (items >= 0).sum(axis=1)
    place = np.tile(np.arange(1, PLACES + 1), len(items))
    kept = flat >= 0
    rows = pa.StructArray.from_arrays([texts(flat[kept], ITEM_IDS), pa.array(place[kept])], ["item_id", "position"])
    return pa.ListArray.from_arrays(np.concatenate(([0], lengths.cumsum())).astype(np.int32), rows)


def catalogue(plan: Plan, shelf: Items) -> pa.Table:
    """One row an item and stretch of time with the same stock; the last stretch is open."""
    n, periods = shelf.stock.shape
    begins = np.concatenate([np.ones((n, 1), dtype=np.bool_), shelf.stock[:, 1:] != shelf.stock[:, :-1]], axis=1)
    item, period = np.nonzero(begins)
    last = np.append(item[1:] != item[:-1], [True])
    until = np.where(last, periods, np.append(period[1:], periods))
    origin = plan.log_span[0]
    return pa.table(
        {
            "item_id": texts(item, ITEM_IDS),
            "category": texts(item // ITEMS_PER_CATEGORY, CATEGORY_KEYS),
            "brand": texts(shelf.brand[item], BRANDS),
            "variant_group": ids("g", shelf.group[item], 3),
            "price": pa.array(shelf.price[item]),
            "margin": pa.array(shelf.margin[item]),
            "stock": pa.array(shelf.stock[item, period]),
            "valid_from": instants(origin + period * PERIOD),
            "valid_to": pa.array(origin + until * PERIOD, INSTANT, mask=last),
            "ship_days": pa.array(shelf.ship_days[item]),
        }
    )
