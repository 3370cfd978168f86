"""Measures for the alerts made by hand: a holdout, an experiment and the seasons' forecast of a shop, by bucket.

Every session is a unit of its own. An order is worth 80.00, so that a loss of orders is one of revenue.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from analysis.alerts.measures import measured
from analysis.alerts.model import LONG, SHORT, Cell, Comparison, Traffic
from analysis.warehouse.buckets import Counted, Looked
from experiments.store import Measure, Store

START = datetime(2026, 11, 1, tzinfo=UTC)
STEP = timedelta(minutes=LONG)
BASKET = 8_000  # minor units
HOLDOUT = Comparison("launch", "global_h2", 1, "served", "held_out")
TRIAL = Comparison("experiment", "home_als_v2", 1, "als_v2", "control")
HOME, DECOR, SITE = Cell("homepage"), Cell("homepage", "decor"), Cell()
Change = Callable[[Cell, datetime], float]  # of orders in the watched arm, relative


def counted(sessions: int, orders: int, adds: int) -> Counted:
    """One arm of a bucket."""
    money = orders * BASKET
    return Counted(
        units=sessions, sessions=sessions, sessions_squared=sessions, clicks=2 * adds, adds=adds, orders=orders,
        revenue=money, clicks_squared=2 * adds, adds_squared=adds, orders_squared=orders,
        revenue_squared=orders * BASKET**2, sessions_clicks=2 * adds, sessions_adds=adds, sessions_orders=orders,
        sessions_revenue=money, margin=money // 3, lines=orders, lines_known=orders, revenue_known=money,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """What is measured of one comparison: sessions of an arm in six hours, the rate of orders, what changes it."""

    comparison: Comparison
    cells: Sequence[Cell] = (SITE, HOME, DECOR)
    sessions: int = 375_000
    rate: float = 0.03
    change: Change = lambda _cell, _at: 0.0
    adds_change: Change | None = None  # of add-to-carts, 3.3 times the orders; as that of orders where not given

    def buckets(self, minutes: int, ends: Iterable[datetime], *, seed: int) -> list[Measure]:
        """A row for each end."""
        return [self._row(end, minutes, np.random.default_rng([seed, minutes, int(end.timestamp())])) for end in ends]

    def looks(self, ends: Iterable[datetime], *, planned: float, seed: int) -> list[Measure]:
        """What each cell counted since `START`, as the buckets of six hours, each session a unit."""
        sums: dict[tuple[tuple[str, str], str], Counted] = {}
        rows = []
        for end in ends:
            [row] = self.buckets(LONG, [end], seed=seed)
            for place, arms in measured.counted(row).items():
                for arm, found in arms.items():
                    before = sums.get((place, arm), Counted(*[0] * len(Counted._fields)))
                    sums[place, arm] = Counted(*(a + b for a, b in zip(before, found, strict=True)))
            cells: dict[tuple[str, str], dict[str, Looked]] = {}
            for (place, arm), total in sums.items():
                cells.setdefault(place, {})[arm] = _looked(total)
            rows.append(measured.look_measure(self.comparison, end, cells, planned))
        return rows

    def _row(self, end: datetime, minutes: int, rng: np.random.Generator) -> Measure:
        share = minutes / LONG
        cells = {}
        for cell in self.cells:
            arms = {}
            for arm in (self.comparison.watched, self.comparison.against):
                if not arm:
                    continue
                lost = self.change(cell, end) if arm == self.comparison.watched else 0.0
                of_adds = self.adds_change or self.change
                less = of_adds(cell, end) if arm == self.comparison.watched else 0.0
                n = round(self.sessions * share)
                arms[arm] = counted(
                    n, int(rng.binomial(n, self.rate * (1 + lost))), int(rng.binomial(n, 3.3 * self.rate * (1 + less)))
                )
            cells[cell.module, cell.category] = arms
        return measured.bucket_measure(self.comparison, minutes, end, cells)


def traffic(ends: Iterable[datetime], of: Made, *, per_day: float, watched: float = 0.5) -> list[Measure]:
    """What is expected of every cell at each end: `per_day` sessions, `watched` of them in the watched arm."""
    orders = of.rate * of.sessions
    rows = []
    for end in ends:
        found = [
            Traffic(
                cell, end, per_day, per_day / 50,
                {"click": 6.6 * orders, "add_to_cart": 3.3 * orders, "order": orders, "revenue": orders * BASKET},
                {"click": 66.0, "add_to_cart": 33.0, "order": 25.0, "revenue": 25.0 * BASKET},
                of.rate * BASKET, 0.35, ((of.comparison, watched),),
            )
            for cell in of.cells
        ]  # fmt: skip
        rows.append(measured.traffic_measure(end, found))
    return rows


def ends(first: datetime, last: datetime, minutes: int = LONG) -> list[datetime]:
    """Every end of a bucket in (first, last]."""
    step = timedelta(minutes=minutes)
    return [first + n * step for n in range(1, (last - first) // step + 1)]


def publish(
    store: Store, of: Made, until: datetime, *, since: datetime = START, per_day: float = 3_000_000, seed: int = 1,
    quarters: timedelta = timedelta(hours=48), planned: float | None = None, with_traffic: bool = True,
) -> None:  # fmt: skip
    """Everything up to `until`, as `publish` would leave it: quarters of an hour for the last two days only."""
    long = ends(since, until)
    rows = of.buckets(LONG, long, seed=seed)
    rows += of.buckets(SHORT, ends(max(since, until - quarters), until, SHORT), seed=seed)
    rows += traffic(long, of, per_day=per_day) if with_traffic else []
    rows += of.looks(long, planned=planned, seed=seed) if planned is not None else []
    store.save_measures(rows, now=until)


def _looked(of: Counted) -> Looked:
    return Looked(
        units=of.units, clicks_nonzero=of.clicks // 2, adds_nonzero=of.adds, orders_nonzero=of.orders,
        revenue_nonzero=of.orders, clicks=of.clicks, adds=of.adds, orders=of.orders, revenue=of.revenue,
        clicks_squared=of.clicks_squared, adds_squared=of.adds_squared, orders_squared=of.orders_squared,
        revenue_squared=of.revenue_squared,
    )  # fmt: skip
