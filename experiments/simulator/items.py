"""What the shop sells: items with prices, margins, brands, variants and a style, and a stock that runs out.

Arrays are over items; money is in minor units, instants are µs since the epoch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.simulator.plan import CATEGORIES, CATEGORY_KEYS, DAY, Plan

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ITEMS_PER_CATEGORY = 40
ITEMS = len(CATEGORIES) * ITEMS_PER_CATEGORY
STYLES = 4  # dimensions of style and taste
PERIOD = DAY // 6  # stock is counted every four hours
BRANDS = tuple(f"brand {letter}" for letter in "abcdefghij")


def item_id(number: int) -> str:
    """The id of item `number`, counted from 0."""
    return f"{CATEGORY_KEYS[number // ITEMS_PER_CATEGORY]}-{number % ITEMS_PER_CATEGORY:02d}"


ITEM_IDS = tuple(item_id(number) for number in range(ITEMS))


@dataclass(frozen=True, slots=True)
class Items:
    """Items in blocks of ITEMS_PER_CATEGORY, (n_items,); a block's first never runs out.

    `style` is (n_items, STYLES), `stock` (n_items, n_periods) pieces, `on_sale` (n_items, n_weeks).
    """

    begin: int
    price: Integers
    margin: Integers
    brand: Integers  # row of BRANDS
    group: Integers  # variants of one another
    ship_days: Integers
    popularity: Floats  # cumulative; the block of category g spans (g, g + 1]
    style: Floats
    stock: Integers
    on_sale: Flags

    def popular(self, category: Integers, chance: Floats) -> Integers:
        """An item of each category by popularity, `chance` uniform on [0, 1)."""
        drawn = np.searchsorted(self.popularity, category + chance, side="right")
        return np.minimum(drawn, (category + 1) * ITEMS_PER_CATEGORY - 1).astype(np.int64)

    def period(self, at: Integers) -> Integers:
        """The stock period of each instant; the last goes on for ever."""
        answer: Integers = np.minimum((at - self.begin) // PERIOD, self.stock.shape[1] - 1)
        return answer

    def is_out(self, item: Integers, at: Integers) -> Flags:
        """Whether each item is out of stock at its instant."""
        answer: Flags = self.stock[item, self.period(at)] == 0
        return answer

    def reduced(self, item: Integers, at: Integers) -> Flags:
        """Whether each item is on sale at its instant."""
        answer: Flags = self.on_sale[item, np.minimum((at - self.begin) // (7 * DAY), self.on_sale.shape[1] - 1)]
        return answer


def items(plan: Plan) -> Items:
    """The shop's items.

    Prices are log-normal around the category's median (σ = 0.35), popularity falls as 1 / (rank + 2), every third item
    begins a group of variants. A tenth of the items is reduced in any week.
    """
    rng = plan.stream("items")
    median = np.repeat([category.price for category in CATEGORIES], ITEMS_PER_CATEGORY)
    price = np.maximum(100, np.round(median * rng.lognormal(0, 0.35, ITEMS), -1)).astype(np.int64)
    weights = 1 / np.arange(2, ITEMS_PER_CATEGORY + 2)
    within = (weights / weights.sum()).cumsum()
    return Items(
        begin=plan.log_span[0],
        price=price,
        margin=(price * rng.uniform(0.25, 0.45, ITEMS)).astype(np.int64),
        brand=rng.integers(0, len(BRANDS), ITEMS),
        group=np.arange(ITEMS) // ITEMS_PER_CATEGORY * ITEMS_PER_CATEGORY + np.arange(ITEMS) % ITEMS_PER_CATEGORY // 3,
        ship_days=rng.integers(1, 7, ITEMS),
        popularity=(np.arange(len(CATEGORIES))[:, None] + within).ravel(),
        style=rng.normal(0, 1, (ITEMS, STYLES)) / np.sqrt(STYLES),
        stock=_stock(plan),
        on_sale=rng.random((ITEMS, plan.days // 7 + 1)) < 0.1,
    )


def _stock(plan: Plan) -> Integers:
    """Pieces in every period: sold off at a steady rate with noise, delivered again some days after the last is gone.

    The stock knows nothing of the orders of the arms, so one arm cannot take it from the other. About 5 % of items are
    out at any time, for some five days.
    """
    rng = plan.stream("stock")
    periods = plan.days * (DAY // PERIOD)
    full = rng.integers(60, 240, ITEMS)
    rate = full / rng.uniform(400, 700, ITEMS)  # a delivery lasts two to four months
    stock = np.empty((ITEMS, periods), dtype=np.int64)
    level = (full * rng.random(ITEMS)).astype(np.int64) + 1
    for period in range(periods):
        sold, comes = rng.poisson(rate), rng.random(ITEMS) < 1 / 30
        level = np.where(level == 0, np.where(comes, full, 0), np.maximum(level - sold, 0))
        stock[:, period] = level
    stock[::ITEMS_PER_CATEGORY] = full[::ITEMS_PER_CATEGORY, None]
    return stock
