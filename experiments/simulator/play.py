"""What the arms make of the shop: which visits become orders, of what, and what the slots show.

Every visit has one number that decides whether and how it orders, whatever the arms: each way to an order owns a part
of the unit interval that no arm moves, and an arm only changes how much of its module's part leads to an order. So each
unit has a fixed outcome under each arm, and playing twice with other arms differs by what the arms do and nothing else.

Arrays are one-dimensional over visits, lines or slates, as each class says; -1 is none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from experiments.simulator.items import ITEMS_PER_CATEGORY, Flags, Floats, Integers
from experiments.simulator.pages import Page
from experiments.simulator.plan import (
    CATEGORIES,
    CATEGORY_KEYS,
    MODULES,
    PLACES,
    ROOM,
    SLOTS,
    Arm,
    Injected,
    Module,
    Play,
)
from experiments.simulator.world import World

Chosen = Mapping[str, Integers]  # experiment key → which of its arms each unit is in, (n_units,)
WAYS = (*MODULES, "elsewhere")
ELSEWHERE = len(MODULES)
FOUND_BY_SEARCH = 0.4  # of the orders that come through no module
ANYWAY = 0.5  # of the orders through a module: made elsewhere where a strategy shows nothing of use
MOST_CLICKS = 4.0  # times as likely is a click on the most relevant slate
_RETURNS = np.array([category.returns for category in CATEGORIES])


@dataclass(frozen=True, slots=True)
class Lines:
    """What was ordered, (n_lines,), `visit` ascending."""

    visit: Integers
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


@dataclass(frozen=True, slots=True)
class Offer:
    """What a strategy shows on one module's page to every visit of the run, in the order of the page, (n_slates,)."""

    items: Integers  # (n_slates, PLACES)
    relevance: Floats  # of the slate to its visitor, 1 for the shop's own in the mean
    picked: Integers  # the place whose item is ordered where an order runs through the slate


@dataclass(frozen=True, slots=True)
class Stage:
    """A shop ready to be played: every draw made, and every arm's slates known."""

    world: World
    pages: Mapping[Module, Page]
    plays: tuple[Play, ...]
    offers: Mapping[tuple[str, str], Offer]  # (experiment key, arm) → what its strategy shows

    def arms(self, module: Module) -> Iterator[tuple[str, int, str, Arm]]:
        """Experiment key, code, name and arm of what is tested on the module."""
        for play in self.plays:
            if play.module == module:
                yield from ((play.key, code, name, arm) for code, (name, arm) in enumerate(play.arms.items()))

    def rows(self, module: Module, key: str, code: int, chosen: Chosen) -> Integers:
        """The module's slates in the run of the units in an arm."""
        visit, came = self.pages[module].visit, self.world.came
        return np.flatnonzero(came.running[visit] & (chosen[key][came.unit[visit]] == code))


@dataclass(frozen=True, slots=True)
class Ways:
    """Of each visit, (n_ways, n_visits): the chance of an order that way, and what of it needs no slate.

    A strategy takes the place of a slate, not of the shop: a part of the orders that run through a slate would be made
    elsewhere without it.
    """

    chance: Floats
    anyway: Floats


def ways(stage: Stage, chosen: Chosen) -> Ways:
    """The chances of every visit under these arms."""
    came = stage.world.came
    base = stage.world.folk.order_chance[came.unit]
    chance, anyway = np.empty((len(WAYS), len(base))), np.zeros((len(WAYS), len(base)))
    for number, module in enumerate(MODULES):
        chance[number] = base * SLOTS[module].through * came.shows[module]
        for key, code, name, arm in stage.arms(module):
            row = stage.rows(module, key, code, chosen)
            visit = stage.pages[module].visit[row]
            if isinstance(arm, Injected):
                by_category = np.array([arm.lifts.get(each, 0.0) for each in CATEGORY_KEYS])
                chance[number, visit] *= 1 + by_category[came.category[visit]]
            else:
                anyway[number, visit] = chance[number, visit] * ANYWAY
                brings = (1 - ANYWAY) * stage.offers[key, name].relevance[row]
                chance[number, visit] *= np.minimum(ANYWAY + brings, ROOM)
    chance[ELSEWHERE] = base * (1 - sum(slot.through for slot in SLOTS.values()))
    return Ways(chance, anyway)


def playing(stage: Stage, chosen: Chosen) -> Played:
    """What happens when the units are in these arms."""
    way, searched = _orders(stage, chosen)
    shown, picked = _slates(stage, chosen, way)
    return Played(way, searched, lines(stage.world, way >= 0, picked), shown)


def _orders(stage: Stage, chosen: Chosen) -> tuple[Integers, Flags]:
    world = stage.world
    rng, base = world.plan.stream("orders"), world.folk.order_chance[world.came.unit]
    drawn, searched = rng.random(len(base)), rng.random(len(base)) < FOUND_BY_SEARCH
    way, begins, found = np.full(len(base), -1), np.zeros(len(base)), ways(stage, chosen)
    for code, (chance, anyway) in enumerate(zip(found.chance, found.anyway, strict=True)):
        way[(drawn >= begins) & (drawn < begins + chance)] = code
        way[(drawn >= begins) & (drawn < begins + anyway)] = ELSEWHERE
        through = SLOTS[MODULES[code]].through if code < ELSEWHERE else 0.0
        begins = begins + base * through * ROOM  # the part of a module is as wide as any arm can make it
    return way, searched


def lines(world: World, ordered: Flags, picked: Integers | None = None) -> Lines:
    """The lines of the visits that ordered, (n_visits,); `picked` (n_visits,) takes the first line's place, -1 nothing.

    A line of the basket with the picked item falls away: no item comes twice in an order.
    """
    basket, shelf, at = world.basket, world.shelf, world.came.at
    item = basket.item
    if picked is not None:
        taken = np.flatnonzero(picked >= 0)
        item = item.copy()
        item[basket.first[taken]] = picked[taken]
        is_first = np.zeros(len(item), dtype=np.bool_)
        is_first[basket.first] = True
        again = ~is_first & (item == picked[basket.visit])
        row = np.flatnonzero(ordered[basket.visit] & ~again)
    else:
        row = np.flatnonzero(ordered[basket.visit])
    visit, item = basket.visit[row], item[row]
    full = shelf.price[item] * basket.quantity[row]
    discount = np.where(shelf.reduced(item, at[visit]), full * 15 // 100, (full * basket.coupon[row]).astype(np.int64))
    value = full - discount
    comes_back = (basket.returned[row] < _RETURNS[item // ITEMS_PER_CATEGORY]) & (basket.cancelled[visit] < 0)
    return Lines(
        visit=visit,
        item=item,
        quantity=basket.quantity[row],
        discount=discount,
        value=value,
        refund=np.where(comes_back, np.where(basket.half[row], value // 2, value), -1),
        after=basket.after[row],
    )


def _slates(stage: Stage, chosen: Chosen, way: Integers) -> tuple[Slates, Integers]:
    """What the slots show, and by visit the item that its order took from a strategy's slate, -1 for none."""
    picked = np.full(len(way), -1)
    parts = [_module_slates(stage, module, chosen, way, picked) for module in MODULES]
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Slates)}
    order = np.lexsort((joined["module"], joined["visit"], joined["at"]))
    return Slates(**{name: column[order] for name, column in joined.items()}), picked


def _module_slates(stage: Stage, module: Module, chosen: Chosen, way: Integers, picked: Integers) -> Slates:
    """One module's slates; writes what they sold into `picked`, (n_visits,)."""
    page, basket, n = stage.pages[module], stage.world.basket, len(stage.pages[module].visit)
    items, place, clicked = page.items.copy(), page.place, np.full(n, SLOTS[module].clicked)
    led = way[page.visit] == MODULES.index(module)
    ordered, finds = np.full(n, -1), led.copy()  # who finds there what they came for
    for key, code, name, arm in stage.arms(module):
        row = stage.rows(module, key, code, chosen)
        if isinstance(arm, Injected):
            clicked[row] *= 1 + arm.click_lift
            continue
        offer = stage.offers[key, name]
        items[row] = offer.items[row]
        clicked[row] *= np.minimum(offer.relevance[row], MOST_CLICKS)
        sold = row[led[row]]
        finds[row], ordered[sold] = False, offer.picked[sold]
        picked[page.visit[sold]] = items[sold, ordered[sold]]
    mine = np.flatnonzero(finds)
    wanted = basket.item[basket.first[page.visit[mine]]]
    already = items[mine] == wanted[:, None]
    ordered[mine] = np.where(already.any(axis=1), already.argmax(axis=1), (page.takes[mine] * PLACES).astype(np.int64))
    items[mine, ordered[mine]] = wanted
    filled = np.maximum((items >= 0).sum(axis=1), 1)
    return Slates(
        visit=page.visit,
        module=np.full(n, MODULES.index(module)),
        at=page.at,
        items=items,
        browsed=np.where(page.looks < clicked, np.minimum(place, filled - 1), -1),
        ordered=ordered,
        fallback=page.fallback,
        latency_ms=page.latency_ms,
    )


def everybody(stage: Stage, chosen: Chosen, key: str, arm: str) -> Chosen:
    """The same with all units of one experiment in one arm."""
    play = next(each for each in stage.plays if each.key == key)
    return {**chosen, key: np.full(stage.world.plan.units, list(play.arms).index(arm))}
