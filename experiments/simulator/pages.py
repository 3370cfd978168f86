"""What the visits' pages show while nobody tests anything, and every draw that an arm could make something of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from experiments.simulator.items import ITEMS_PER_CATEGORY, Flags, Floats, Integers
from experiments.simulator.plan import CATEGORY_KEYS, MODULES, PLACES, SECOND, SLOTS, Module
from experiments.simulator.world import World


@dataclass(frozen=True, slots=True)
class Page:
    """One module's slates in the order of their visits, (n_slates,); `items` (n_slates, PLACES).

    `looks` is uniform: a visitor who only looks around clicks `place` if it lies below the chance of a click. `takes`
    is uniform: by it an order that runs through the slate falls on one of its items.
    """

    module: Module
    visit: Integers
    at: Integers
    items: Integers
    looks: Floats
    place: Integers
    takes: Floats
    fallback: Flags
    latency_ms: Integers


def pages(world: World) -> Mapping[Module, Page]:
    """Every module's slates: best-sellers, of the page's category on product pages, of four categories elsewhere."""
    return {module: _page(world, module) for module in MODULES}


def _page(world: World, module: Module) -> Page:
    rng, came = world.plan.stream(f"pages {module}"), world.came
    visit = np.flatnonzero(came.shows[module])
    n = len(visit)
    at = came.at[visit] + SLOTS[module].after * SECOND
    fallback = rng.random(n) < 0.01
    return Page(
        module=module,
        visit=visit,
        at=at,
        items=_best_sellers(rng, world, visit, at, mixed=module != "pdp"),
        looks=rng.random(n),
        place=rng.integers(0, PLACES, n),
        takes=rng.random(n),
        fallback=fallback,
        latency_ms=np.where(fallback, 150, 12 + rng.gamma(4, 7, n)).astype(np.int64),
    )


def _best_sellers(rng: np.random.Generator, world: World, visit: Integers, at: Integers, *, mixed: bool) -> Integers:
    """Four different items a slate, of four categories or all of the page's own; half of what is out is replaced."""
    shelf, n, slots = world.shelf, len(visit), np.arange(PLACES)
    own = world.came.category[visit][:, None]
    if mixed:
        category = (own + slots) % len(CATEGORY_KEYS)
        items = shelf.popular(category, rng.random((n, PLACES)))
    else:
        category = np.broadcast_to(own, (n, PLACES))
        first = shelf.popular(own[:, 0], rng.random(n))[:, None]
        items = category * ITEMS_PER_CATEGORY + (first + 7 * slots) % ITEMS_PER_CATEGORY
    skipped = shelf.is_out(items, at[:, None]) & (rng.random((n, PLACES)) < 0.5)
    return np.where(skipped, category * ITEMS_PER_CATEGORY + (items + 1) % ITEMS_PER_CATEGORY, items)
