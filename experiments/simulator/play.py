"""What the arms make of the shop: which visits become orders, of what, and what the slots show.

Every visit has one number that decides whether and how it orders, whatever the arms: each way to an order owns a part
of the unit interval that no arm moves, and an arm only changes how much of its module's part leads to an order. So each
unit has a fixed outcome under each arm, and playing twice with other arms differs by what the arms do and nothing else.

Arrays are one-dimensional over visits, lines or slates, as each class says; -1 is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from experiments.simulator.items import ITEMS_PER_CATEGORY, Flags, Floats, Integers
from experiments.simulator.pages import Page
from experiments.simulator.plan import CATEGORIES, CATEGORY_KEYS, MODULES, PLACES, ROOM, SLOTS, Module, Play
from experiments.simulator.world import World

Chosen = Mapping[str, Integers]  # experiment key → which of its arms each unit is in, (n_units,)
WAYS = (*MODULES, "elsewhere")
ELSEWHERE = len(MODULES)
FOUND_BY_SEARCH = 0.4  # of the orders that come through no module
_RETURNS = np.array([category.returns for category in CATEGORIES])


@dataclass(frozen=True, slots=True)
class Lines:
    """What was ordered, (n_lines,), `visit` ascending; `row` is the basket's line."""

    visit: Integers
    row: Integers
    item: Integers
    quantity: Integers
    discount: Integers
    value: Integers
    refund: Integers  # what comes back of it, -1 for nothing …
    after: Integers  # … so many µs later


@dataclass(frozen=True, slots=True)
class Slates:
    """Rendered slots sorted by time, (n_slates,); items are (n_slates, PLACES)."""

    visit: Integers
    module: Integers  # row of MODULES
    at: Integers
    items: Integers
    browsed: Integers  # the place clicked by somebody looking around
    ordered: Integers  # the place whose click led to the order
    fallback: Flags
    latency_ms: Integers


@dataclass(frozen=True, slots=True)
class Played:
    """One course of events: by visit the way its order came, -1 without one, (n_visits,); lines; slates."""

    way: Integers  # row of WAYS
    searched: Flags  # (n_visits,), whether an order that came elsewhere was found by search
    lines: Lines
    slates: Slates


def effect(world: World, play: Play, arm: str, visit: Integers) -> Floats:
    """How many times as likely orders through the module are under the arm, for these visits."""
    by_category = np.array([play.arms[arm].lifts.get(key, 0.0) for key in CATEGORY_KEYS])
    return 1 + by_category[world.came.category[visit]]


def chances(world: World, plays: tuple[Play, ...], chosen: Chosen) -> Floats:
    """The chance that each visit orders, by the way, (n_ways, n_visits)."""
    came = world.came
    base = world.folk.order_chance[came.unit]
    answer = np.empty((len(WAYS), len(base)))
    for code, module in enumerate(MODULES):
        answer[code] = base * SLOTS[module].through * came.shows[module]
    answer[ELSEWHERE] = base * (1 - sum(slot.through for slot in SLOTS.values()))
    for play in plays:
        rows = answer[MODULES.index(play.module)]
        for code, arm in enumerate(play.arms):
            visit = np.flatnonzero(came.running & (chosen[play.key][came.unit] == code) & came.shows[play.module])
            rows[visit] *= effect(world, play, arm, visit)
    return answer


def playing(world: World, pages: Mapping[Module, Page], plays: tuple[Play, ...], chosen: Chosen) -> Played:
    """What happens when the units are in these arms."""
    way, searched = _orders(world, plays, chosen)
    return Played(way, searched, lines(world, way >= 0), _slates(world, pages, plays, chosen, way))


def _orders(world: World, plays: tuple[Play, ...], chosen: Chosen) -> tuple[Integers, Flags]:
    rng, base = world.plan.stream("orders"), world.folk.order_chance[world.came.unit]
    drawn, searched = rng.random(len(base)), rng.random(len(base)) < FOUND_BY_SEARCH
    way, begins = np.full(len(base), -1), np.zeros(len(base))
    for code, chance in enumerate(chances(world, plays, chosen)):
        way[(drawn >= begins) & (drawn < begins + chance)] = code
        through = SLOTS[MODULES[code]].through if code < ELSEWHERE else 0.0
        begins = begins + base * through * ROOM  # the part of a module is as wide as any arm can make it
    return way, searched


def lines(world: World, ordered: Flags) -> Lines:
    """The lines of the visits that ordered, (n_visits,)."""
    basket, shelf, at = world.basket, world.shelf, world.came.at
    row = np.flatnonzero(ordered[basket.visit])
    visit, item = basket.visit[row], basket.item[row]
    full = shelf.price[item] * basket.quantity[row]
    discount = np.where(shelf.reduced(item, at[visit]), full * 15 // 100, (full * basket.coupon[row]).astype(np.int64))
    value = full - discount
    comes_back = (basket.returned[row] < _RETURNS[item // ITEMS_PER_CATEGORY]) & (basket.cancelled[visit] < 0)
    return Lines(
        visit=visit,
        row=row,
        item=item,
        quantity=basket.quantity[row],
        discount=discount,
        value=value,
        refund=np.where(comes_back, np.where(basket.half[row], value // 2, value), -1),
        after=basket.after[row],
    )


def _slates(
    world: World, pages: Mapping[Module, Page], plays: tuple[Play, ...], chosen: Chosen, way: Integers
) -> Slates:
    parts = [
        _module_slates(world, pages[module], [play for play in plays if play.module == module], chosen, way)
        for module in MODULES
    ]
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Slates)}
    order = np.lexsort((joined["module"], joined["visit"], joined["at"]))
    return Slates(**{name: column[order] for name, column in joined.items()})


def _module_slates(world: World, page: Page, plays: list[Play], chosen: Chosen, way: Integers) -> Slates:
    came, basket, code = world.came, world.basket, MODULES.index(page.module)
    clicked, items = np.full(len(page.visit), SLOTS[page.module].clicked), page.items.copy()
    for play in plays:
        by_arm = np.array([1 + arm.click_lift for arm in play.arms.values()])
        clicked = clicked * np.where(came.running[page.visit], by_arm[chosen[play.key][came.unit[page.visit]]], 1.0)
    led = np.flatnonzero(way[page.visit] == code)
    wanted = basket.item[basket.first[page.visit[led]]]
    already = items[led] == wanted[:, None]
    place = np.where(already.any(axis=1), already.argmax(axis=1), (page.takes[led] * PLACES).astype(np.int64))
    items[led, place] = wanted  # somebody found there what they came for
    ordered = np.full(len(page.visit), -1)
    ordered[led] = place
    return Slates(
        visit=page.visit,
        module=np.full(len(page.visit), code),
        at=page.at,
        items=items,
        browsed=np.where(page.looks < clicked, page.place, -1),
        ordered=ordered,
        fallback=page.fallback,
        latency_ms=page.latency_ms,
    )


def everybody(plays: tuple[Play, ...], chosen: Chosen, key: str, arm: str) -> Chosen:
    """The same with all units of one experiment in one arm."""
    play = next(each for each in plays if each.key == key)
    return {**chosen, key: np.full_like(chosen[key], list(play.arms).index(arm))}
