"""The shop as it would be without any experiment: people with habits, stock, visits, and a basket for every visit.

Nothing here knows an arm. Arrays are one-dimensional over units, visits, lines or items, as each class says; money is
in minor units, instants are µs since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.simulator.plan import CATEGORIES, DAY, DEVICES, MODULES, SECOND, SHOWN, Plan

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ITEMS_PER_CATEGORY = 40
_SHARES = np.array([category.share for category in CATEGORIES])


@dataclass(frozen=True, slots=True)
class People:
    """Habits that stay, (n_units,); `taste` is cumulative over categories, (n_units, n_categories)."""

    visits_a_day: Floats
    order_chance: Floats
    taste: Floats
    device: Integers  # row of DEVICES
    bot: Flags

    def wants(self, unit: Integers, chance: Floats) -> Integers:
        """A category for each unit by its own taste, `chance` uniform on [0, 1)."""
        answer: Integers = (self.taste[unit] <= chance[:, None]).sum(axis=1)
        return answer


def people(rng: np.random.Generator, plan: Plan) -> People:
    """Units of very different weight: the log-normal of visits has σ = 0.9, one in 500 is a bot that never buys."""
    n, sigma = plan.units, 0.9
    bot = rng.random(n) < 0.002
    visits = plan.visits_a_day * rng.lognormal(-(sigma**2) / 2, sigma, n)
    taste = rng.dirichlet(_SHARES * 5, n).cumsum(axis=1)
    taste[:, -1] = 1.0
    return People(
        visits_a_day=np.where(bot, 3.0, np.minimum(visits, 2.0)),
        order_chance=np.where(bot, 0.0, np.minimum(0.24 * rng.lognormal(-0.245, 0.7, n), 0.6)),
        taste=taste,
        device=rng.choice(len(DEVICES), n, p=[share for *_, share in DEVICES]),
        bot=bot,
    )


@dataclass(frozen=True, slots=True)
class Visits:
    """Sorted by time, (n_visits,)."""

    unit: Integers
    at: Integers
    category: Integers  # what the visitor came for
    running: Flags  # begins inside the run
    shows: Mapping[str, Flags]  # module → whether its slate is on the visit's pages


def visits(rng: np.random.Generator, plan: Plan, folk: People) -> Visits:
    """Poisson visits per unit over the whole log, mostly in the evening."""
    begin, _ = plan.log_span
    start, end = plan.run_span
    unit = np.repeat(np.arange(plan.units), rng.poisson(folk.visits_a_day * plan.days))
    n = len(unit)
    clock = (rng.normal(18.5, 4.5, n) % 24 * 3600 * SECOND).astype(np.int64)
    at = begin + rng.integers(0, plan.days, n) * DAY + clock
    order = np.lexsort((unit, at))
    unit, at = unit[order], at[order]
    return Visits(
        unit=unit,
        at=at,
        category=folk.wants(unit, rng.random(n)),
        running=(at >= start) & (at < end),
        shows={module: rng.random(n) < SHOWN[module] for module in MODULES},
    )


@dataclass(frozen=True, slots=True)
class Stock:
    """Items in blocks of ITEMS_PER_CATEGORY, (n_items,); a block's first never runs out. `out` is (n_items, n_days)."""

    begin: int
    price: Integers
    margin: Integers
    popularity: Floats  # cumulative; the block of category g spans (g, g + 1]
    out: Flags

    def pick(self, category: Integers, chance: Floats) -> Integers:
        """An item of each category by popularity, `chance` uniform on [0, 1)."""
        drawn = np.searchsorted(self.popularity, category + chance, side="right")
        return np.minimum(drawn, (category + 1) * ITEMS_PER_CATEGORY - 1).astype(np.int64)

    def is_out(self, item: Integers, at: Integers) -> Flags:
        """Whether each item is out of stock at its instant; the last day goes on for ever."""
        answer: Flags = self.out[item, np.minimum((at - self.begin) // DAY, self.out.shape[1] - 1)]
        return answer


def stock(rng: np.random.Generator, plan: Plan) -> Stock:
    """About 5 % of items are out of stock on any day, for five days in the mean."""
    n = len(CATEGORIES) * ITEMS_PER_CATEGORY
    median = np.repeat([category.price for category in CATEGORIES], ITEMS_PER_CATEGORY)
    price = np.maximum(100, np.round(median * rng.lognormal(0, 0.35, n), -1)).astype(np.int64)
    weights = 1 / np.arange(2, ITEMS_PER_CATEGORY + 2)
    within = (weights / weights.sum()).cumsum()
    out = np.zeros((n, plan.days), dtype=np.bool_)
    out[:, 0] = rng.random(n) < 0.05
    for day in range(1, plan.days):
        chance = rng.random(n)
        out[:, day] = np.where(out[:, day - 1], chance < 0.8, chance < 0.0105)
    out[::ITEMS_PER_CATEGORY] = False
    return Stock(
        begin=plan.log_span[0],
        price=price,
        margin=(price * rng.uniform(0.25, 0.45, n)).astype(np.int64),
        popularity=(np.arange(len(CATEGORIES))[:, None] + within).ravel(),
        out=out,
    )


@dataclass(frozen=True, slots=True)
class Baskets:
    """The lines each visit would order, (n_lines,), `visit` ascending; `first` (n_visits,) is a visit's first line."""

    visit: Integers
    item: Integers
    quantity: Integers
    discount: Integers
    value: Integers
    first: Integers

    @property
    def category(self) -> Integers:
        """Of each line."""
        return self.item // ITEMS_PER_CATEGORY


def baskets(rng: np.random.Generator, folk: People, shelf: Stock, came: Visits) -> Baskets:
    """1.5 lines in the mean; the first in the category the visit came for, the others mostly; nothing out of stock."""
    sizes = 1 + rng.poisson(0.5, len(came.unit))
    first = np.concatenate(([0], sizes.cumsum()[:-1]))
    visit = np.repeat(np.arange(len(sizes)), sizes)
    n = len(visit)
    roams = rng.random(n) < 0.3
    roams[first] = False
    category = np.where(roams, folk.wants(came.unit[visit], rng.random(n)), came.category[visit])
    item = shelf.pick(category, rng.random(n))
    item = np.where(shelf.is_out(item, came.at[visit]), category * ITEMS_PER_CATEGORY, item)
    quantity = 1 + (rng.random(n) < 0.15).astype(np.int64)
    full = shelf.price[item] * quantity
    discount = np.where(rng.random(n) < 0.2, full // 10, 0)
    return Baskets(visit, item, quantity, discount, full - discount, first)
