"""From arrays to contract rows: Arrow tables with the columns of `experiments.contracts`, only those that are filled.

Ids are numbered in the order of time, so that equal worlds give equal files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.simulator.plan import CATEGORIES, CATEGORY_KEYS, DAY, DEVICES, MODULES, SECOND, Plan
from experiments.simulator.play import SLOTS, Orders, Slates
from experiments.simulator.world import ITEMS_PER_CATEGORY, Baskets, Flags, Integers, People, Stock, Visits

CURRENCY = "EUR"
EVENTS = ("view", "click", "add_to_cart", "purchase", "refund", "cancel")
QUERIES = ("duvet cover", "picture frame", "sofa", "garden chair", "frying pan", "floor lamp")  # by category
_INSTANT = pa.timestamp("us", tz="UTC")


def unit_id(number: int) -> str:
    """The id of unit `number`, counted from 0."""
    return f"u{number:07d}"


def item_id(number: int) -> str:
    """The id of item `number`, counted from 0."""
    return f"{CATEGORY_KEYS[number // ITEMS_PER_CATEGORY]}-{number % ITEMS_PER_CATEGORY:02d}"


ITEM_IDS = tuple(item_id(number) for number in range(len(CATEGORIES) * ITEMS_PER_CATEGORY))


# --- exposures ---------------------------------------------------------------------------------------------


def exposures(
    rng: np.random.Generator, plan: Plan, folk: People, came: Visits, shown: Slates, arms: Mapping[str, Sequence[str]]
) -> pa.Table:
    """One row a slate. Outside the run, and on modules nobody tests, the slot is asked for without an experiment."""
    n = len(shown.visit)
    unit = came.unit[shown.visit]
    start, end = plan.run_span
    experiment, variant = np.full(n, None, dtype=object), np.full(n, None, dtype=object)
    for play in plan.plays:
        tested = (shown.module == MODULES.index(play.module)) & (shown.at >= start) & (shown.at < end)
        experiment[tested] = play.key
        variant[tested] = np.array(arms[play.key], dtype=object)[unit[tested]]
    split = np.array([key is not None for key in experiment])
    fallback = rng.random(n) < 0.01
    device = folk.device[unit]
    slate_ids = _ids("s", np.arange(n), 8)
    return pa.table(
        {
            "event_id": slate_ids,
            "event_ts": _instants(shown.at),
            "received_ts": _instants(shown.at + _delay(rng, n)),
            "experiment_key": pa.array(experiment, pa.string()),
            "phase": pa.array(np.ones(n, dtype=np.int64), mask=~split),
            "module": _texts(shown.module, MODULES),
            "page_category": _texts(shown.page_category, CATEGORY_KEYS),
            "unit_type": _constant("user", n),
            "unit_id": _ids("u", unit, 7),
            "session_id": _ids("v", shown.visit, 8),
            "variant": pa.array(variant, pa.string()),
            "assignment_reason": _texts(split.astype(np.int64), ("none", "split")),
            "fallback": pa.array(fallback),
            "fallback_cause": _texts(np.where(fallback, 0, -1), ("deadline",)),
            "trigger": _constant("render", n),
            "request_id": slate_ids,
            "platform": _texts(device, [platform for platform, *_ in DEVICES]),
            "browser": _texts(device, [browser for _, browser, _ in DEVICES]),
            "latency_ms": pa.array(np.where(fallback, 150, 12 + rng.gamma(4, 7, n)).astype(np.int64)),
            "items": _items(shown.items),
            "is_bot": pa.array(folk.bot[unit]),
        }
    )


def _items(items: Integers) -> pa.Array:
    flat = items.ravel()
    place = np.tile(np.arange(1, SLOTS + 1), len(items))
    rows = pa.StructArray.from_arrays([_texts(flat, ITEM_IDS), pa.array(place)], ["item_id", "position"])
    return pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, SLOTS, dtype=np.int32), rows)


# --- outcomes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Events:
    """Rows of one kind, (n,); -1 is none, in every column."""

    event: Integers  # row of EVENTS
    visit: Integers
    at: Integers
    item: Integers
    module: Integers
    slate: Integers
    query: Integers
    order: Integers  # the visit that ordered
    quantity: Integers
    value: Integers
    discount: Integers


def _events(event: str, visit: Integers, at: Integers, **columns: Integers) -> _Events:
    none = np.full(len(visit), -1)
    others = {field.name: columns.get(field.name, none) for field in fields(_Events)[3:]}
    return _Events(np.full(len(visit), EVENTS.index(event)), visit, at, **others)


def outcomes(
    rng: np.random.Generator, plan: Plan, folk: People, came: Visits, basket: Baskets, ordered: Orders, shown: Slates
) -> pa.Table:
    """Views, clicks, things put in the cart, order lines, refunds and cancellations, before the end of the log."""
    bought = np.flatnonzero(np.isin(basket.visit, ordered.visit))
    parts = [
        _views(rng, came, basket),
        *_clicks(came, basket, ordered, shown),
        *_carts(rng, came, basket, ordered, bought),
        _purchases(came, basket, bought),
        *_second_thoughts(rng, came, basket, ordered, bought),
    ]
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Events)}
    order = np.lexsort((joined["visit"], joined["event"], joined["at"]))
    order = order[joined["at"][order] < plan.log_span[1]]
    all_events = _Events(**{name: column[order] for name, column in joined.items()})
    return _outcome_table(rng, folk, came, all_events)


def _views(rng: np.random.Generator, came: Visits, basket: Baskets) -> _Events:
    """Product pages, 1.7 a visit: the first is the item that would be bought."""
    sizes = 1 + rng.poisson(0.7, len(came.unit))
    visit = np.repeat(np.arange(len(sizes)), sizes)
    nth = np.arange(len(visit)) - np.repeat(np.concatenate(([0], sizes.cumsum()[:-1])), sizes)
    wanted = basket.item[basket.first[visit]]
    block = wanted // ITEMS_PER_CATEGORY * ITEMS_PER_CATEGORY
    item = np.where(nth == 0, wanted, block + rng.integers(0, ITEMS_PER_CATEGORY, len(visit)))
    return _events("view", visit, came.at[visit] + (30 + 45 * nth) * SECOND, item=item)


def _clicks(came: Visits, basket: Baskets, ordered: Orders, shown: Slates) -> list[_Events]:
    clicks = []
    for place, wait in ((shown.browsed, 20), (shown.ordered, 170)):
        slate = np.flatnonzero(place >= 0)
        clicks.append(
            _events(
                "click",
                shown.visit[slate],
                shown.at[slate] + wait * SECOND,
                item=shown.items[slate, place[slate]],
                module=shown.module[slate],
                slate=slate,
            )
        )
    searched = ordered.visit[ordered.way == "search"]
    found = basket.item[basket.first[searched]]
    at = came.at[searched] + 200 * SECOND
    return [*clicks, _events("click", searched, at, item=found, query=came.category[searched])]


def _carts(rng: np.random.Generator, came: Visits, basket: Baskets, ordered: Orders, bought: Integers) -> list[_Events]:
    way = np.full(len(came.unit), -1)
    for code, module in enumerate(MODULES):
        way[ordered.visit[ordered.way == module]] = code
    visit = basket.visit[bought]
    kept = _events("add_to_cart", visit, came.at[visit] + 220 * SECOND, item=basket.item[bought], module=way[visit])
    leaves = rng.random(len(came.unit)) < 0.06
    leaves[ordered.visit] = False
    left = np.flatnonzero(leaves)
    item = basket.item[basket.first[left]]
    return [kept, _events("add_to_cart", left, came.at[left] + 150 * SECOND, item=item)]


def _purchases(came: Visits, basket: Baskets, bought: Integers) -> _Events:
    visit = basket.visit[bought]
    return _events(
        "purchase",
        visit,
        came.at[visit] + 300 * SECOND,
        item=basket.item[bought],
        order=visit,
        quantity=basket.quantity[bought],
        value=basket.value[bought],
        discount=basket.discount[bought],
    )


def _second_thoughts(
    rng: np.random.Generator, came: Visits, basket: Baskets, ordered: Orders, bought: Integers
) -> list[_Events]:
    """2 % of orders are cancelled within a day; of the others lines come back after 3 to 20 days, a fifth by half."""
    stopped = rng.random(len(came.unit)) < 0.02
    wait = rng.uniform(1, 20, len(came.unit)) * 3600 * SECOND
    visit = ordered.visit[stopped[ordered.visit]]
    cancels = _events("cancel", visit, came.at[visit] + wait[visit].astype(np.int64), order=visit)

    returns = np.array([category.returns for category in CATEGORIES])[basket.category]
    back = (rng.random(len(basket.visit)) < returns) & ~stopped[basket.visit]
    after = (rng.uniform(3, 20, len(basket.visit)) * DAY).astype(np.int64)
    value = np.where(rng.random(len(basket.visit)) < 0.2, basket.value // 2, basket.value)
    line = bought[back[bought]]
    visit = basket.visit[line]
    refunds = _events(
        "refund", visit, came.at[visit] + after[line], item=basket.item[line], order=visit, value=value[line]
    )
    return [cancels, refunds]


def _outcome_table(rng: np.random.Generator, folk: People, came: Visits, events: _Events) -> pa.Table:
    n = len(events.at)
    device = folk.device[came.unit[events.visit]]
    return pa.table(
        {
            "event_id": _ids("o", np.arange(n), 8),
            "event_ts": _instants(events.at),
            "received_ts": _instants(events.at + _delay(rng, n)),
            "unit_type": _constant("user", n),
            "unit_id": _ids("u", came.unit[events.visit], 7),
            "session_id": _ids("v", events.visit, 8),
            "event_name": _texts(events.event, EVENTS),
            "value": _numbers(events.value),
            "quantity": _numbers(events.quantity),
            "discount": _numbers(events.discount),
            "currency": _texts(np.where(events.value >= 0, 0, -1), (CURRENCY,)),
            "item_id": _texts(events.item, ITEM_IDS),
            "order_id": _ids("b", events.order, 8),
            "module": _texts(events.module, MODULES),
            "query": _texts(events.query, QUERIES),
            "request_id": _ids("s", events.slate, 8),
            "browser": _texts(device, [browser for _, browser, _ in DEVICES]),
            "platform": _texts(device, [platform for platform, *_ in DEVICES]),
        }
    )


# --- catalogue ---------------------------------------------------------------------------------------------


def catalogue(plan: Plan, shelf: Stock) -> pa.Table:
    """One row an item and stretch of days with the same stock; the last stretch is open."""
    n, days = shelf.out.shape
    begins = np.concatenate([np.ones((n, 1), dtype=np.bool_), shelf.out[:, 1:] != shelf.out[:, :-1]], axis=1)
    item, day = np.nonzero(begins)
    last = np.append(item[1:] != item[:-1], [True])
    until = np.where(last, days, np.append(day[1:], days))
    origin = plan.log_span[0]
    return pa.table(
        {
            "item_id": _texts(item, ITEM_IDS),
            "category": _texts(item // ITEMS_PER_CATEGORY, CATEGORY_KEYS),
            "brand": _texts(item % 5, [f"brand {letter}" for letter in "abcde"]),
            "price": pa.array(shelf.price[item]),
            "margin": pa.array(shelf.margin[item]),
            "stock": pa.array(np.where(shelf.out[item, day], 0, 25)),
            "valid_from": _instants(origin + day * DAY),
            "valid_to": pa.array(origin + until * DAY, _INSTANT, mask=last),
            "ship_days": pa.array(2 + item % 4),
        }
    )


# --- columns -----------------------------------------------------------------------------------------------


def _ids(prefix: str, numbers: Integers, width: int) -> pa.Array:
    """`prefix` and the number, padded with zeros; null where it is negative."""
    digits = pc.utf8_lpad(pc.cast(_numbers(numbers), pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def _texts(codes: Integers, texts: Sequence[str]) -> pa.Array:
    """The text of each code; null where it is negative."""
    index = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(index, pa.array(texts, pa.string())).cast(pa.string())


def _numbers(values: Integers) -> pa.Array:
    return pa.array(values, pa.int64(), mask=values < 0)


def _constant(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), n)


def _instants(micros: Integers) -> pa.Array:
    return pa.array(micros, _INSTANT)


def _delay(rng: np.random.Generator, n: int) -> Integers:
    """µs from an event to its arrival: seconds, and for one in 2,000 two hours."""
    late: Flags = rng.random(n) < 0.0005
    return (rng.exponential(1.5 * SECOND, n) + np.where(late, 7_200 * SECOND, 0)).astype(np.int64)
