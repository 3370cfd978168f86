"""A shop's buckets, drawn fast and with the truth of single shoppers: what `benchmarks.alerts` plays the monitor on.

Shoppers of one kind are alike, so how many of them come and what they do is drawn as counts, exactly as if each were
drawn alone. A shopper is rare, weekly or daily, has a taste for ever and a mood for days (browsing, or about to buy),
stays in one arm, and leaves for good after two months or so. Who is about to buy comes more often and does more: so
visits to a bucket cluster by shopper, and neighbouring buckets are alike. Baskets have a heavy tail. Traffic follows
the hour and the weekday, and, like conversion, has good and bad days that both arms share.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from analysis.alerts.model import LONG, METRICS, SHORT, Bucket, Cell, Comparison, Metric, Sums

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
STEP = timedelta(minutes=LONG)
LAUNCH = Comparison("launch", "holdout", 1, "served", "held_out")
ARMS = ("served", "held_out")
SHORTS = LONG // SHORT

VISIT = np.array([0.006, 0.04, 0.30])  # chance of a visit in six hours: rare, weekly, daily shoppers
ACTIVE = np.array([0.85, 0.13, 0.02])  # their shares
BUYING, BUY_MORE_VISITS, BUY_MORE = 0.08, 3.0, 4.0  # share about to buy; how much more often they come, and do more
MOOD_LASTS, LIFE_LASTS = 10, 240  # buckets: two and a half days, two months
TASTE, TASTE_SHARE = np.array([0.6, 1.6]), np.array([0.6, 0.4])
SESSIONS = np.array([0.84, 0.13, 0.03])  # one, two or three sessions of a visitor in six hours
CLICKS, CARTS = 8.0, 3.3  # times the orders
HOURS = np.array([0.35, 0.95, 1.45, 1.25])
WEEKDAYS = np.array([1.0, 0.95, 0.95, 1.0, 1.05, 0.95, 1.1])
BASKETS = np.array([0.12, 0.25, 0.45, 0.75, 1.1, 1.7, 2.7, 4.5, 8.0, 16.0, 45.0, 150.0])  # times a usual one
BASKET_SHARE = np.array([0.16, 0.2, 0.2, 0.16, 0.12, 0.08, 0.045, 0.022, 0.009, 0.003, 0.0008, 0.0002])
BASKET_SHARE = BASKET_SHARE / BASKET_SHARE.sum()

KINDS = tuple(kind for n in (1, 2, 3) for kind in combinations_with_replacement(range(4), n))
PLACES = tuple(np.array([i for i, kind in enumerate(KINDS) if len(kind) == n]) for n in (1, 2, 3))
VISITS = np.array([len(kind) for kind in KINDS])
DONE = np.array([[sum(s > stage for s in kind) for kind in KINDS] for stage in range(3)])  # click, cart, order


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of the shop: what passes through it on a usual day."""

    cell: Cell
    sessions: float  # a day
    conversion: float  # orders a session
    basket: int  # minor units

    @property
    def stake(self) -> float:
        """Minor units a day at a margin of 35 %."""
        return self.sessions * self.conversion * self.basket * 0.35


@dataclass(frozen=True, slots=True)
class Loss:
    """How much fewer of those who click in the served arm add to the cart, and since when (buckets, also broken)."""

    cell: Cell
    share: float
    since: float

    def before(self, index: int) -> float:
        """The share of the bucket that is over when it begins."""
        return min(1.0, max(0.0, self.since - index))


@dataclass(frozen=True, slots=True)
class Nature:
    """What may be turned: the served share, how far days go up and down, noise of the arms' difference itself."""

    served: float = 0.5
    traffic_sd: float = 0.07
    conversion_sd: float = 0.015
    wander: float = 0.0  # sd of an AR(1) in the served arm's conversion, over the bucket's own s
    wander_kept: float = 0.0  # its autocorrelation


def places() -> tuple[Place, ...]:
    """24 cells from a peak homepage of three million sessions a day down to one of 1,500."""
    sizes = np.geomspace(900_000, 1_500, 23)
    rates = np.resize([0.024, 0.02, 0.03, 0.025], 23)
    baskets = np.resize([7_200, 9_000, 8_000, 5_000, 12_000], 23)
    rest = [
        Place(Cell(f"module_{i + 2:02}"), float(round(size)), float(rate), int(basket))
        for i, (size, rate, basket) in enumerate(zip(sizes[:-1], rates, baskets, strict=False))
    ]
    return (
        Place(Cell("homepage"), 3_000_000.0, 0.03, 8_000),
        *rest,
        Place(Cell("pdp", "rugs"), 1_500.0, 0.02, 8_000),
    )


def counted(
    shop: tuple[Place, ...], rng: np.random.Generator, buckets: int, *, loss: Loss | None = None,
    nature: Nature | None = None,
) -> Iterator[Ints]:  # fmt: skip
    """For each six hours the visitors by cell, arm, kind: shape (cells, 2, 34), then baskets are drawn from them."""
    nature = nature or Nature()
    cells = len(shop)
    mood_share = np.array([1 - BUYING, BUYING])
    come = VISIT[:, None] * np.array([1.0, BUY_MORE_VISITS]) / (1 + BUYING * (BUY_MORE_VISITS - 1))  # (activity, mood)
    per_day = 4 * float((ACTIVE[:, None] * mood_share * come).sum()) * float(SESSIONS @ [1, 2, 3])
    people = np.array([place.sessions for place in shop]) / per_day
    kinds = np.einsum("a,m,t->amt", ACTIVE, mood_share, TASTE_SHARE)
    expected = np.einsum("c,r,amt->cramt", people, [nature.served, 1 - nature.served], kinds)
    here = rng.poisson(expected)
    does = np.array([1.0, BUY_MORE])[:, None] * TASTE  # (mood, taste)
    does = does / np.average(np.broadcast_to(does, (3, 2, 2)), weights=kinds * come[:, :, None])
    order = np.array([place.conversion for place in shop])
    noise = 2 / np.sqrt(np.array([place.sessions for place in shop]) / 4 * order * CARTS)  # about s, of add-to-cart
    busy, good, off = 0.0, 0.0, np.zeros(cells)
    for index in range(buckets):
        if index % 4 == 0:
            busy = 0.5 * busy + nature.traffic_sd * 0.866 * rng.standard_normal()
            good = 0.5 * good + nature.conversion_sd * 0.866 * rng.standard_normal()
        here = _next_people(here, expected, rng)
        pace = HOURS[index % 4] * WEEKDAYS[index // 4 % 7] * np.exp(busy)
        visitors = rng.binomial(here, np.minimum(0.95, come * pace)[:, :, None]).sum(axis=2)  # (cell, arm, mood, taste)
        off = nature.wander_kept * off + np.sqrt(1 - nature.wander_kept**2) * rng.standard_normal(cells)
        cart = np.full((cells, 2), CARTS / CLICKS)
        cart[:, 0] *= 1 + nature.wander * noise * off
        if loss is not None:
            cart[[place.cell == loss.cell for place in shop], 0] *= 1 - loss.share * (1 - loss.before(index))
        click = np.minimum(0.9, np.exp(good) * CLICKS * order[:, None, None] * does)  # (cell, mood, taste)
        yield _what_they_do(visitors, click, cart, rng)


def _next_people(here: Ints, expected: Floats, rng: np.random.Generator) -> Ints:
    """Some leave for good, as many come; moods change. Each shopper on his own, so the counts are binomial."""
    stay = rng.binomial(here, 1 - 1 / LIFE_LASTS)
    to_browse = rng.binomial(stay[:, :, :, 1], 1 / MOOD_LASTS)
    to_buy = rng.binomial(stay[:, :, :, 0], BUYING / (1 - BUYING) / MOOD_LASTS)
    moved = np.stack([stay[:, :, :, 0] - to_buy + to_browse, stay[:, :, :, 1] + to_buy - to_browse], axis=3)
    return np.asarray(moved + rng.poisson(expected / LIFE_LASTS), dtype=np.int64)


def _what_they_do(visitors: Ints, click: Floats, cart: Floats, rng: np.random.Generator) -> Ints:
    """Sessions of each visitor, each ending at nothing, click, cart or order: counts of the 34 kinds of visitor."""
    by_sessions = rng.multinomial(visitors, SESSIONS)  # (cell, arm, mood, taste, 3)
    clicked = np.broadcast_to(click[:, None], visitors.shape)
    carted = clicked * cart[:, :, None, None]
    ordered = carted / CARTS
    ends = np.stack([1 - clicked, clicked - carted, carted - ordered, ordered], axis=-1)
    found = np.zeros((*visitors.shape[:2], len(KINDS)), dtype=np.int64)
    for n, at in enumerate(PLACES, start=1):
        chances = np.stack([_ways(KINDS[i]) * np.prod(ends[..., list(KINDS[i])], axis=-1) for i in at], axis=-1)
        found[:, :, at] = rng.multinomial(by_sessions[..., n - 1], chances / chances.sum(-1, keepdims=True)).sum((2, 3))
    return found


def _ways(kind: tuple[int, ...]) -> int:
    """In how many orders the sessions of a kind can have come."""
    return {1: {1: 1}, 2: {1: 1, 2: 2}, 3: {1: 1, 2: 3, 3: 6}}[len(kind)][len(set(kind))]


def sums(kinds: Ints, basket: int, rng: np.random.Generator) -> Sums:
    """One arm of one bucket; `kinds` has shape (34,). A shopper who orders twice orders the same basket twice.

    A basket of 0 leaves revenue out.
    """
    values = {metric: DONE[i] for i, metric in enumerate(METRICS[:3])}
    totals: dict[Metric, int] = {metric: int(kinds @ done) for metric, done in values.items()}
    squares: dict[Metric, int] = {metric: int(kinds @ (done * done)) for metric, done in values.items()}
    products: dict[Metric, int] = {metric: int(kinds @ (VISITS * done)) for metric, done in values.items()}
    margin = 0
    if basket:
        margin = _revenue(kinds, basket, rng, totals, squares, products)
    seen = int(kinds.sum()), int(kinds @ VISITS), int(kinds @ (VISITS * VISITS))
    return Sums(*seen, totals, squares, products, margin)


def _revenue(
    kinds: Ints, basket: int, rng: np.random.Generator, totals: dict[Metric, int], squares: dict[Metric, int],
    products: dict[Metric, int],
) -> int:  # fmt: skip
    """Put revenue beside the other metrics; its margin."""
    buyers = DONE[2] > 0
    drawn = rng.multinomial(kinds[buyers], BASKET_SHARE)  # (kinds that order, 12)
    paid = DONE[2][buyers][:, None] * np.rint(BASKETS / (BASKETS @ BASKET_SHARE) * basket).astype(np.int64)
    totals["revenue"] = int((drawn * paid).sum())
    squares["revenue"] = int((drawn * paid * paid).sum())
    products["revenue"] = int((drawn * paid * VISITS[buyers][:, None]).sum())
    return totals["revenue"] * 35 // 100


def bucket(place: Place, index: int, kinds: Ints, rng: np.random.Generator, *, revenue: bool = True) -> Bucket:
    """Six hours of one cell from its visitors, shape (2, 34); the first bucket begins at START."""
    arms = {arm: sums(kinds[i], place.basket if revenue else 0, rng) for i, arm in enumerate(ARMS)}
    return Bucket(LAUNCH, place.cell, START + (index + 1) * STEP, LONG, 0, arms)


def quarters_of_an_hour(
    place: Place, index: int, kinds: Ints, rng: np.random.Generator, *, loss: Loss | None = None
) -> tuple[Bucket, ...]:
    """The same six hours in 24 buckets, without revenue: each session falls into one of them.

    A shopper's two sessions in six hours are two shoppers here: next to none fall into the same quarter of an hour.
    A loss that begins within the six hours is in the quarters after it.
    """
    ends = kinds @ _SINGLE.T  # (2, 4): sessions that end at nothing, click, cart, order
    clear = np.full(SHORTS, 1 / SHORTS)
    leans = np.tile(clear, (2, 4, 1))
    if loss is not None and loss.cell == place.cell and 0 < loss.before(index) < 1:
        over = np.arange(SHORTS) < loss.before(index) * SHORTS
        carted = np.where(over, 1.0, 1 - loss.share)
        stopped = 1 - CARTS / CLICKS * carted
        leans[0, 1], leans[0, 2:] = stopped / stopped.sum(), carted / carted.sum()
    drawn = rng.multinomial(ends, leans)  # (2, 4, 24)
    found = []
    for quarter in range(SHORTS):
        alone = np.zeros((2, len(KINDS)), dtype=np.int64)
        alone[:, PLACES[0]] = drawn[:, :, quarter]
        arms = {arm: sums(alone[i], 0, rng) for i, arm in enumerate(ARMS)}
        end = START + index * STEP + (quarter + 1) * timedelta(minutes=SHORT)
        found.append(Bucket(LAUNCH, place.cell, end, SHORT, 0, arms))
    return tuple(found)


_SINGLE = np.array([[sum(s == end for s in kind) for kind in KINDS] for end in range(4)])


def stakes(shop: tuple[Place, ...]) -> Mapping[Cell, float]:
    """Minor units a day, by cell."""
    return {place.cell: place.stake for place in shop}
