"""A shop made ready to be played: its world, its pages, and the slates its strategies would show to everybody.

A strategy is fitted once, on the history, and asked for every slate of the run whoever is in its arm. So each visit's
slate under each arm is settled before any assignment, as every other draw is.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.recommenders.base import Index, Requests
from experiments.recommenders.fitted import Fitted, fit
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.shelf import Shelf
from experiments.recommenders.training import TrainingData
from experiments.simulator import rows
from experiments.simulator.events import outcomes
from experiments.simulator.items import ITEM_IDS, ITEMS_PER_CATEGORY, PERIOD, Floats, Integers
from experiments.simulator.pages import Page, pages
from experiments.simulator.plan import CATEGORY_KEYS, PLACES, SECOND, Module, Plan, Play, Recommended
from experiments.simulator.play import Offer, Stage, playing
from experiments.simulator.world import World, world

SEES = np.array([0.40, 0.27, 0.19, 0.14])  # how much of a visitor's eye each place has
ELSEWHERE_WANTED = 0.1  # how much an item of another category than somebody came for is wanted
RUNGS = ("category_popularity", "popularity")  # what fills the places a strategy leaves open


def stage(plan: Plan) -> Stage:
    """The plan's shop, ready to be played."""
    shop = world(plan)
    slots = pages(shop)
    return Stage(shop, slots, plan.plays, dict(_offers(shop, slots, plan.plays)))


def training(shop: World, slots: Mapping[Module, Page]) -> TrainingData:
    """The shop's logs before the run, as it logs them itself."""
    happened = outcomes(shop, playing(Stage(shop, slots, (), {}), {}))
    looked = pc.is_in(happened["event_name"], value_set=pa.array(["view", "click", "add_to_cart"]))
    bought = pc.equal(happened["event_name"], "purchase")
    shelf = rows.catalogue(shop.plan, shop.shelf)
    data = TrainingData(happened.filter(looked), happened.filter(bought), shelf)
    return data.until(shop.plan.midnight(0))


def _offers(
    shop: World, slots: Mapping[Module, Page], plays: tuple[Play, ...]
) -> Iterator[tuple[tuple[str, str], Offer]]:
    wanted = [(play, name, arm) for play in plays for name, arm in play.arms.items() if isinstance(arm, Recommended)]
    if not wanted:
        return
    data, plan = training(shop, slots), shop.plan
    known: dict[tuple[str, tuple[tuple[str, object], ...]], Fitted] = {}

    def fitted(name: str, params: Mapping[str, object]) -> Fitted:
        key = (name, tuple(sorted(params.items())))
        if key not in known:
            known[key] = fit(name, data, as_of=plan.midnight(0), seed=plan.seed, params=params)
        return known[key]

    rungs = ladder({name: fitted(name, {}) for name in RUNGS})
    for play, name, arm in wanted:
        line = Pipeline(fitted(arm.strategy, arm.params), rungs)
        yield (play.key, name), _offer(shop, slots[play.module], line)


def _offer(shop: World, page: Page, line: Pipeline) -> Offer:
    """What one strategy shows to each visit of a module, asked period by period."""
    came, running = shop.came, shop.came.running[page.visit]
    items = np.full((len(page.visit), PLACES), -1)
    index, units, categories = Index.of(ITEM_IDS), _units(shop.plan.units), Index.of(CATEGORY_KEYS)
    period = shop.shelf.period(page.at)
    for number in np.unique(period[running]).tolist():
        row = np.flatnonzero(running & (period == number))
        visit = page.visit[row]
        asked = Requests(
            module=page.module,
            k=PLACES,
            now=_instant(shop.shelf.begin + number * PERIOD),
            ids=[f"{page.module}-{each}" for each in visit.tolist()],
            unit=came.unit[visit],
            units=units,
            session=_session(shop, page, visit),
            items=index,
            category=came.category[visit] if page.module == "pdp" else np.full(len(row), -1),
            categories=categories,
        )
        items[row] = line.slates(asked, _shelf(shop, index, number)).items
    seen = relevance(shop, page, items)
    usual = relevance(shop, page, page.items)[running].mean() if running.any() else 1.0
    return Offer(items, seen / usual, _picked(shop, page, items))


def relevance(shop: World, page: Page, items: Integers) -> Floats:
    """How much of what its visitor wants a slate shows, (n_slates,); an empty one nothing.

    By place, by the unit's liking of the item's style, by whether it is of the category somebody came for.
    """
    pull: Floats = _pull(shop, page, items).sum(axis=1)
    return pull


def _pull(shop: World, page: Page, items: Integers) -> Floats:
    unit, category = shop.came.unit[page.visit], shop.came.category[page.visit]
    answer = np.empty(items.shape)
    for place in range(PLACES):
        item = items[:, place]
        liking = np.exp(np.einsum("ij,ij->i", shop.folk.style[unit], shop.shelf.style[item]))
        same = np.where(item // ITEMS_PER_CATEGORY == category, 1.0, ELSEWHERE_WANTED)
        there = (item >= 0) & ~shop.shelf.is_out(item, page.at)
        answer[:, place] = np.where(there, SEES[place] * liking * same, 0.0)
    return answer


def _picked(shop: World, page: Page, items: Integers) -> Integers:
    """The place whose item an order through the slate is for: by its part of the slate's relevance."""
    steps = _pull(shop, page, items).cumsum(axis=1)
    answer: Integers = (steps < (page.takes * steps[:, -1])[:, None]).sum(axis=1)
    return np.minimum(answer, PLACES - 1)


def _session(shop: World, page: Page, visit: Integers) -> Integers:
    """What was looked at before the slate: on a product page and in the cart the first item of the visit."""
    wanted = shop.basket.item[shop.basket.first[visit]]
    seen = page.module in ("pdp", "cart")
    return np.where(seen, wanted, -1)[:, None]


def _shelf(shop: World, index: Index, period: int) -> Shelf:
    shelf = shop.shelf
    return Shelf(
        items=index,
        listed=np.ones(len(ITEM_IDS), dtype=np.bool_),
        price=shelf.price.astype(np.float64),
        margin=shelf.margin.astype(np.float64),
        stock=shelf.stock[:, period].astype(np.float64),
        group=shelf.group,
    )


def _units(n: int) -> Index:
    return Index(np.array([rows.unit_id(unit) for unit in range(n)], dtype=np.str_))


def _instant(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=micros // SECOND)
