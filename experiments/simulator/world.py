"""The shop as it would be without any experiment: people with habits, visits, and a basket for every visit.

Nothing here knows an arm; whatever an arm could lead to is drawn here, once. Arrays are one-dimensional over units,
visits or lines, as each class says; money is in minor units, instants are µs since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from experiments.simulator.items import ITEMS, ITEMS_PER_CATEGORY, STYLES, Flags, Floats, Integers, Items, items
from experiments.simulator.plan import CATEGORIES, DAY, DEVICES, MODULES, SECOND, SLOTS, Plan

_SHARES = np.array([category.share for category in CATEGORIES])
HOUR = 3_600 * SECOND
WEEKDAYS = np.array([1.0, 0.98, 0.97, 1.0, 0.95, 1.05, 1.2])  # Monday first
HOURS = np.array([3, 2, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 13, 12, 12, 12, 13, 15, 18, 22, 25, 23, 15, 5], dtype=float)
LAST_MINUTES = 0.7  # of the hour before midnight: a visit is over before the day is
APART = HOUR  # visits of one unit, start to start


@dataclass(frozen=True, slots=True)
class People:
    """Habits that stay, (n_units,); `taste` is cumulative over categories, (n_units, n_categories)."""

    visits_a_day: Floats
    order_chance: Floats
    taste: Floats
    style: Floats  # (n_units, STYLES)
    device: Integers  # row of DEVICES
    subscribed: Flags  # to the e-mail
    bot: Flags

    def wants(self, unit: Integers, chance: Floats) -> Integers:
        """A category for each unit by its own taste, `chance` uniform on [0, 1)."""
        answer: Integers = (self.taste[unit] <= chance[:, None]).sum(axis=1)
        return answer


def people(plan: Plan) -> People:
    """Units of very different weight: the log-normal of visits has σ = 0.9, one in 500 is a bot that never buys."""
    rng, n, sigma = plan.stream("people"), plan.units, 0.9
    bot = rng.random(n) < 0.002
    visits = plan.visits_a_day * rng.lognormal(-(sigma**2) / 2, sigma, n)
    taste = rng.dirichlet(_SHARES * 2.5, n).cumsum(axis=1)
    taste[:, -1] = 1.0
    return People(
        visits_a_day=np.where(bot, 3.0, np.minimum(visits, 2.0)),
        order_chance=np.where(bot, 0.0, np.minimum(0.24 * rng.lognormal(-0.245, 0.7, n), 0.55)),
        taste=taste,
        style=rng.normal(0, 1.2, (n, STYLES)),
        device=rng.choice(len(DEVICES), n, p=[share for *_, share in DEVICES]),
        subscribed=rng.random(n) < 0.4,
        bot=bot,
    )


@dataclass(frozen=True, slots=True)
class Visits:
    """Sorted by time, (n_visits,). A visit is a session: over within half an hour, before midnight, and an hour apart
    from the unit's next."""

    unit: Integers
    at: Integers
    category: Integers  # what the visitor came for
    running: Flags  # begins inside the run
    shows: Mapping[str, Flags]  # module → whether its slate is on the visit's pages
    fills_cart: Flags  # puts something in the cart, whether or not it is ordered
    delay: Integers  # µs until its events arrive


def visits(plan: Plan, folk: People) -> Visits:
    """Poisson visits per unit, by the hour of the week; an eighth come for what is in season."""
    rng, (begin, _), (start, end) = plan.stream("visits"), plan.log_span, plan.run_span
    unit = np.repeat(np.arange(plan.units), rng.poisson(folk.visits_a_day * plan.days))
    at = begin + _clock(plan, rng.random(len(unit)))
    order = np.lexsort((at, unit))
    unit, at = unit[order], at[order]
    apart = np.append([True], (unit[1:] != unit[:-1]) | (at[1:] - at[:-1] >= APART))[: len(unit)]
    unit, at = unit[apart], at[apart]
    order = np.lexsort((unit, at))
    unit, at = unit[order], at[order]
    n = len(unit)
    late = rng.random(n) < 0.0005
    shows: dict[str, Flags] = {module: rng.random(n) < SLOTS[module].shown for module in MODULES}
    shows["email"] &= folk.subscribed[unit]
    in_season = rng.random(n) < 0.125
    category = np.where(in_season, _seasonal(plan, at, rng.random(n)), folk.wants(unit, rng.random(n)))
    return Visits(
        unit=unit,
        at=at,
        category=category,
        running=(at >= start) & (at < end),
        shows=shows,
        fills_cart=shows["cart"] | (rng.random(n) < 0.06),
        delay=(rng.exponential(1.5 * SECOND, n) + np.where(late, 2 * HOUR, 0)).astype(np.int64),
    )


def _clock(plan: Plan, chance: Floats) -> Integers:
    """µs after the log's begin, by the traffic of the hours of its days; `chance` uniform on [0, 1)."""
    first = plan.midnight(-plan.history_days).weekday()
    by_day = WEEKDAYS[(first + np.arange(plan.days)) % 7]
    weight = (by_day[:, None] * HOURS).ravel()
    steps = np.concatenate(([0.0], weight.cumsum() / weight.sum()))
    hour = np.minimum(np.searchsorted(steps, chance, side="right") - 1, len(weight) - 1)
    part = (chance - steps[hour]) / (steps[hour + 1] - steps[hour])
    part = np.where(hour % 24 == 23, part * LAST_MINUTES, part)
    answer: Integers = hour * HOUR + (part * (HOUR - SECOND)).astype(np.int64)
    return answer


def _seasonal(plan: Plan, at: Integers, chance: Floats) -> Integers:
    """A category by the shares of the visit's day; `chance` uniform on [0, 1)."""
    first = plan.midnight(-plan.history_days).timetuple().tm_yday
    week = ((first + np.arange(plan.days)) / 7)[:, None]
    best, season = (np.array([getattr(each, name) for each in CATEGORIES]) for name in ("best_week", "season"))
    shares = _SHARES * (1 + season * np.cos(2 * np.pi * (week - best) / 52))
    steps = (shares / shares.sum(axis=1, keepdims=True)).cumsum(axis=1)
    steps[:, -1] = 1.0
    answer: Integers = (steps[(at - plan.log_span[0]) // DAY] <= chance[:, None]).sum(axis=1)
    return answer


@dataclass(frozen=True, slots=True)
class Baskets:
    """The lines each visit would order, (n_lines,), `visit` ascending; `first` (n_visits,) is a visit's first line.

    No item comes twice in a visit. Of each line: how many pieces, the share of its price that a coupon takes, and what
    becomes of it. A line's value follows from the item, which a recommender may change.
    """

    visit: Integers
    item: Integers
    quantity: Integers
    coupon: Floats
    returned: Floats  # uniform: the line comes back if it lies below the item's category's rate …
    after: Integers  # … so many µs later
    half: Flags  # … or only half of it
    first: Integers
    cancelled: Integers  # (n_visits,): µs after the order until all of it is cancelled, -1 for never


def baskets(plan: Plan, folk: People, shelf: Items, came: Visits) -> Baskets:
    """1.5 lines in the mean, heavy-tailed pieces; the first in the category the visit came for, the others mostly.

    Nothing is ordered that is out of stock. 2 % of orders are cancelled within a day; of the others lines come back
    after 3 to 20 days, a fifth of them by half.
    """
    rng, visits = plan.stream("baskets"), len(came.unit)
    sizes = 1 + np.minimum(rng.negative_binomial(0.8, 0.6, visits), 20)
    starts = np.concatenate(([0], sizes.cumsum()[:-1])).astype(np.int64)
    visit = np.repeat(np.arange(visits), sizes)
    n = len(visit)
    roams = rng.random(n) < 0.3
    roams[starts] = False
    category = np.where(roams, folk.wants(came.unit[visit], rng.random(n)), came.category[visit])
    item = liked(rng, folk, shelf, came.unit[visit], category)
    item = np.where(shelf.is_out(item, came.at[visit]), category * ITEMS_PER_CATEGORY, item)
    pieces = np.where(rng.random(n) < 0.15, np.floor(1 + rng.pareto(2.5, n)), 0)
    columns = {
        "quantity": 1 + np.minimum(pieces, 20).astype(np.int64),
        "coupon": np.where(rng.random(n) < 0.12, 0.1, 0.0),
        "returned": rng.random(n),
        "after": (rng.uniform(3, 20, n) * DAY).astype(np.int64),
        "half": rng.random(n) < 0.2,
    }
    wait = (rng.uniform(1, 20, visits) * HOUR).astype(np.int64)
    kept = np.zeros(n, dtype=np.bool_)
    kept[np.unique(visit * ITEMS + item, return_index=True)[1]] = True  # the first line of each visit and item
    visit = visit[kept]
    return Baskets(
        visit=visit,
        item=item[kept],
        first=np.searchsorted(visit, np.arange(visits)),
        cancelled=np.where(rng.random(visits) < 0.02, wait, -1),
        **{name: column[kept] for name, column in columns.items()},
    )


def liked(rng: np.random.Generator, folk: People, shelf: Items, unit: Integers, category: Integers) -> Integers:
    """An item of each category: of three by popularity the one that the unit's taste prefers, by chance."""
    picks = [shelf.popular(category, rng.random(len(unit))) for _ in range(3)]
    style = folk.style[unit]
    weights = [np.exp(np.einsum("ij,ij->i", style, shelf.style[pick])) for pick in picks]
    drawn = rng.random(len(unit)) * sum(weights)
    answer: Integers = np.where(
        drawn < weights[0], picks[0], np.where(drawn < weights[0] + weights[1], picks[1], picks[2])
    )
    return answer


@dataclass(frozen=True, slots=True)
class World:
    """A plan's shop, complete but for what the arms do."""

    plan: Plan
    folk: People
    shelf: Items
    came: Visits
    basket: Baskets


def world(plan: Plan) -> World:
    """Draw the shop of a plan."""
    folk, shelf = people(plan), items(plan)
    came = visits(plan, folk)
    return World(plan, folk, shelf, came, baskets(plan, folk, shelf, came))
