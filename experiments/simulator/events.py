"""Outcomes as contract rows: page views, clicks, things put in the cart, order lines, refunds, cancellations, mails."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from experiments.simulator import times
from experiments.simulator.columns import constant, ids, instants, texts, whole
from experiments.simulator.items import ITEM_IDS, ITEMS_PER_CATEGORY, Integers
from experiments.simulator.plan import DEVICES, MODULES, SECOND
from experiments.simulator.play import ELSEWHERE, Played
from experiments.simulator.rows import UNIT_DIGITS
from experiments.simulator.world import World

CURRENCY = "EUR"
EVENTS = ("open", "unsubscribe", "view", "click", "add_to_cart", "purchase", "refund", "cancel")
QUERIES = ("duvet cover", "picture frame", "sofa", "garden chair", "frying pan", "floor lamp")  # by category
SEARCHED_VIEWS = 0.35  # of the visits whose first page came from a search


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


def outcomes(world: World, played: Played) -> pa.Table:
    """Everything that happens before the end of the log, sorted by time."""
    parts = [
        *_mails(world),
        _views(world),
        *_clicks(world, played),
        *_carts(world, played),
        _purchases(world, played),
        *_second_thoughts(world, played),
    ]
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Events)}
    order = np.lexsort((joined["visit"], joined["event"], joined["at"]))
    order = order[joined["at"][order] < world.plan.log_span[1]]
    return _table(world, _Events(**{name: column[order] for name, column in joined.items()}))


def _mails(world: World) -> Iterator[_Events]:
    """A visit that begins with an e-mail opens it; one in 200 leaves the list."""
    came = world.came
    visit = np.flatnonzero(came.shows["email"])
    module = np.full(len(visit), MODULES.index("email"))
    yield _events("open", visit, came.at[visit], module=module)
    leaves = world.plan.stream("mails").random(len(visit)) < 0.005
    yield _events("unsubscribe", visit[leaves], came.at[visit[leaves]] + 10 * SECOND, module=module[leaves])


def _views(world: World) -> _Events:
    """Product pages, 1.7 a visit: the first is the item that would be bought; found by search or gone to directly."""
    rng, came, basket = world.plan.stream("views"), world.came, world.basket
    sizes = 1 + rng.poisson(0.7, len(came.unit))
    visit = np.repeat(np.arange(len(sizes)), sizes)
    nth = np.arange(len(visit)) - np.repeat(np.concatenate(([0], sizes.cumsum()[:-1])), sizes)
    wanted = basket.item[basket.first[visit]]
    item = np.where(nth == 0, wanted, world.shelf.popular(wanted // ITEMS_PER_CATEGORY, rng.random(len(visit))))
    searched = (rng.random(len(came.unit)) < SEARCHED_VIEWS)[visit] & (nth == 0)
    at = came.at[visit] + times.VIEWED + times.NEXT_VIEW * np.minimum(nth, 20)
    return _events("view", visit, at, item=item, query=np.where(searched, came.category[visit], -1))


def _clicks(world: World, played: Played) -> Iterator[_Events]:
    """On slates, each with the page it leads to, and in the results of a search."""
    came, shown, basket = world.came, played.slates, world.basket
    for place, at in (
        (shown.browsed, shown.at + times.BROWSED),
        (shown.ordered, came.at[shown.visit] + times.LED + shown.module * SECOND),
    ):
        slate = np.flatnonzero(place >= 0)
        visit, item, module = shown.visit[slate], shown.items[slate, place[slate]], shown.module[slate]
        yield _events("click", visit, at[slate], item=item, module=module, slate=slate)
        yield _events("view", visit, at[slate] + times.READ, item=item, module=module)
    found = np.flatnonzero((played.way == ELSEWHERE) & played.searched)
    item = basket.item[basket.first[found]]
    yield _events("click", found, came.at[found] + times.FOUND, item=item, query=came.category[found])


def _carts(world: World, played: Played) -> Iterator[_Events]:
    """Some visits fill a cart, whatever becomes of it; what is ordered has been in one."""
    came, basket, bought = world.came, world.basket, played.lines
    filled = np.flatnonzero(came.fills_cart)
    item = basket.item[basket.first[filled]]
    yield _events("add_to_cart", filled, came.at[filled] + times.FILLED_CART, item=item)
    there = came.fills_cart[bought.visit] & (bought.item == basket.item[basket.first[bought.visit]])
    visit, item = bought.visit[~there], bought.item[~there]
    way = played.way[visit]
    module = np.where(way < ELSEWHERE, way, -1)
    yield _events("add_to_cart", visit, came.at[visit] + times.IN_CART, item=item, module=module)


def _purchases(world: World, played: Played) -> _Events:
    bought = played.lines
    return _events(
        "purchase",
        bought.visit,
        world.came.at[bought.visit] + times.ORDERED,
        item=bought.item,
        order=bought.visit,
        quantity=bought.quantity,
        value=bought.value,
        discount=bought.discount,
    )


def _second_thoughts(world: World, played: Played) -> Iterator[_Events]:
    at, basket, bought = world.came.at, world.basket, played.lines
    visit = np.flatnonzero((played.way >= 0) & (basket.cancelled >= 0))
    yield _events("cancel", visit, at[visit] + times.ORDERED + basket.cancelled[visit], order=visit)
    line = np.flatnonzero(bought.refund >= 0)
    visit = bought.visit[line]
    yield _events(
        "refund",
        visit,
        at[visit] + times.ORDERED + bought.after[line],
        item=bought.item[line],
        order=visit,
        value=bought.refund[line],
    )


def _table(world: World, events: _Events) -> pa.Table:
    came, n = world.came, len(events.at)
    unit = came.unit[events.visit]
    device = world.folk.device[unit]
    return pa.table(
        {
            "event_id": ids("o", np.arange(n), 8),
            "event_ts": instants(events.at),
            "received_ts": instants(events.at + came.delay[events.visit]),
            "unit_type": constant("user", n),
            "unit_id": ids("u", unit, UNIT_DIGITS),
            "session_id": ids("v", events.visit, 8),
            "event_name": texts(events.event, EVENTS),
            "value": whole(events.value),
            "quantity": whole(events.quantity),
            "discount": whole(events.discount),
            "currency": texts(np.where(events.value >= 0, 0, -1), (CURRENCY,)),
            "item_id": texts(events.item, ITEM_IDS),
            "order_id": ids("b", events.order, 8),
            "module": texts(events.module, MODULES),
            "query": texts(events.query, QUERIES),
            "request_id": ids("s", events.slate, 8),
            "browser": texts(device, [browser for _, browser, _ in DEVICES]),
            "platform": texts(device, [platform for platform, *_ in DEVICES]),
        }
    )
