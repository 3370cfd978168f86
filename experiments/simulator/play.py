"""What the arms do to the shop: which visits become orders, what the slots show, and what is true of both worlds.

Arrays are one-dimensional over visits, orders or slates, as each class says; -1 is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from experiments.simulator.plan import CATEGORY_KEYS, CLICKED, MODULES, SECOND, THROUGH, Plan, Play
from experiments.simulator.world import ITEMS_PER_CATEGORY, Baskets, Flags, Floats, Integers, People, Stock, Visits

Treated = Mapping[str, Flags]  # experiment key → whether each unit is in its treated arm, (n_units,)
SLOTS = 4
FOUND_BY_SEARCH = 0.4  # of the orders that come through no module


@dataclass(frozen=True, slots=True)
class TrueEffect:
    """One experiment's truth: relative lifts of means per exposed unit, treated over control."""

    treatment: str
    revenue_per_unit: float
    orders_per_unit: float
    revenue_by_category: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Orders:
    """Visits that ordered, ascending, (n_orders,); `way` is the module they came through, 'search' or 'direct'."""

    visit: Integers
    way: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Slates:
    """Rendered slots sorted by time, (n_slates,); items are (n_slates, SLOTS)."""

    visit: Integers
    module: Integers  # row of MODULES
    at: Integers
    page_category: Integers
    items: Integers
    browsed: Integers  # the place clicked by somebody looking around
    ordered: Integers  # the place whose click led to the order


# --- what the arms do --------------------------------------------------------------------------------------


def _ways(plan: Plan, folk: People, came: Visits, treated: Treated) -> Mapping[str, Floats]:
    """The chance that each visit orders, by the way it does: elsewhere, pdp, homepage; (n_visits,) each."""
    chance = folk.order_chance[came.unit]
    ways = {"elsewhere": chance * (1 - sum(THROUGH.values()))}
    for module in reversed(MODULES):
        through = chance * THROUGH[module] * came.shows[module]
        for play in plan.plays:
            if play.module == module:
                lift = np.array([play.lifts.get(key, 0.0) for key in CATEGORY_KEYS])[came.category]
                through = through * (1 + lift * (came.running & treated[play.key][came.unit]))
        ways[module] = through
    return ways


def orders(rng: np.random.Generator, plan: Plan, folk: People, came: Visits, treated: Treated) -> Orders:
    """Which visits order, and how."""
    ways = _ways(plan, folk, came, treated)
    steps = np.cumsum(list(ways.values()), axis=0)
    drawn = rng.random(len(came.unit))  # one number decides whether and how, whatever the arm
    way = np.array([*ways, "none"])[(drawn >= steps).sum(axis=0)]
    way = np.where(way == "elsewhere", np.where(rng.random(len(way)) < FOUND_BY_SEARCH, "search", "direct"), way)
    visit = np.flatnonzero(way != "none")
    return Orders(visit, way[visit])


def truth(play: Play, plan: Plan, folk: People, came: Visits, basket: Baskets, treated: Treated) -> TrueEffect:
    """The play's effect on the visits that took place, from the order chances of both worlds."""
    n = len(came.unit)
    shown = np.flatnonzero(came.running & came.shows[play.module])
    first = np.full(plan.units, n)
    np.minimum.at(first, came.unit[shown], shown)
    counted = came.running & (np.arange(n) >= first[came.unit]) & ~folk.bot[came.unit]

    def chances(*, of_treated: bool) -> Floats:
        everybody = {**treated, play.key: np.full(plan.units, of_treated)}
        answer: Floats = np.sum(list(_ways(plan, folk, came, everybody).values()), axis=0) * counted
        return answer

    def money(chance: Floats) -> Floats:
        weights = chance[basket.visit] * basket.value
        return np.bincount(basket.category, weights, minlength=len(CATEGORY_KEYS)).astype(np.float64)

    before, after = chances(of_treated=False), chances(of_treated=True)
    control, treatment = money(before), money(after)
    return TrueEffect(
        treatment=play.treatment,
        revenue_per_unit=float(treatment.sum() / control.sum() - 1),
        orders_per_unit=float(after.sum() / before.sum() - 1),
        revenue_by_category={
            key: float(t / c - 1) for key, c, t in zip(CATEGORY_KEYS, control, treatment, strict=True)
        },
    )


# --- what the pages show -----------------------------------------------------------------------------------


def slates(
    rng: np.random.Generator,
    plan: Plan,
    shelf: Stock,
    came: Visits,
    basket: Baskets,
    ordered: Orders,
    treated: Treated,
) -> Slates:
    """Every slot of every module that a visit's pages show."""
    parts = [_module_slates(rng, plan, shelf, came, basket, ordered, treated, code) for code in range(len(MODULES))]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (field.name for field in fields(Slates))
    }
    order = np.lexsort((joined["module"], joined["visit"], joined["at"]))
    return Slates(**{name: column[order] for name, column in joined.items()})


def _module_slates(
    rng: np.random.Generator,
    plan: Plan,
    shelf: Stock,
    came: Visits,
    basket: Baskets,
    ordered: Orders,
    treated: Treated,
    code: int,
) -> Slates:
    module = MODULES[code]
    visit = np.flatnonzero(came.shows[module])
    n = len(visit)
    at = came.at[visit] + (0 if module == "homepage" else 31 * SECOND)
    items = _shown_items(rng, shelf, came, visit, at, mixed=module == "homepage")

    chance = np.full(n, CLICKED[module])
    for play in plan.plays:
        if play.module == module:
            chance = chance * (1 + play.click_lift * (came.running & treated[play.key][came.unit])[visit])
    browsed = np.where(rng.random(n) < chance, rng.integers(0, SLOTS, n), -1)

    led = np.isin(visit, ordered.visit[ordered.way == module])
    bought = basket.item[basket.first[visit]]
    already = items == bought[:, None]
    place = np.where(already.any(axis=1), already.argmax(axis=1), rng.integers(0, SLOTS, n))
    items[led, place[led]] = bought[led]
    return Slates(
        visit=visit,
        module=np.full(n, code),
        at=at,
        page_category=np.full(n, -1) if module == "homepage" else came.category[visit],
        items=items,
        browsed=browsed,
        ordered=np.where(led, place, -1),
    )


def _shown_items(
    rng: np.random.Generator, shelf: Stock, came: Visits, visit: Integers, at: Integers, *, mixed: bool
) -> Integers:
    """Four different items a slate, of four categories or all of the page's own; half of what is out is replaced."""
    n, slots = len(visit), np.arange(SLOTS)
    own = came.category[visit][:, None]
    if mixed:
        category = (own + slots) % len(CATEGORY_KEYS)
        items = shelf.pick(category, rng.random((n, SLOTS)))
    else:
        category = np.broadcast_to(own, (n, SLOTS))
        first = shelf.pick(own[:, 0], rng.random(n))[:, None]
        items = category * ITEMS_PER_CATEGORY + (first + 7 * slots) % ITEMS_PER_CATEGORY
    skipped = shelf.is_out(items, at[:, None]) & (rng.random((n, SLOTS)) < 0.5)
    return np.where(skipped, category * ITEMS_PER_CATEGORY + (items + 1) % ITEMS_PER_CATEGORY, items)
