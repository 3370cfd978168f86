"""Unit totals in arrays → exact moments, and a shop of heavy-tailed, zero-inflated units whose truth is known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments, pair

Ints = NDArray[np.int64]

REVENUE = MetricPlan("revenue", "mean", "revenue", None, ("pre_revenue", "seen"), None)
CONVERSION = MetricPlan("conversion", "proportion", "bought", None, ("pre_orders", "seen"), None)
AOV = MetricPlan("aov", "ratio", "revenue", "orders", ("pre_revenue", "pre_orders", "seen"), None)


def moments_of(facts: Mapping[str, Ints]) -> Moments:
    """All sums and pairwise products of one arm's units, arrays (n,), as Python integers."""
    columns = {name: [int(v) for v in values] for name, values in facts.items()}
    return Moments(
        len(next(iter(columns.values()))),
        {name: sum(values) for name, values in columns.items()},
        {
            pair(a, b): sum(x * y for x, y in zip(columns[a], columns[b], strict=True))
            for a, b in combinations_with_replacement(columns, 2)
        },
        {name: sum(v != 0 for v in values) for name, values in columns.items()},
    )


def draws_of(facts: Mapping[str, Ints]) -> Iterator[Moments]:
    """The same for many draws at once, arrays (n_draws, n): one Moments a draw. Sums must fit 63 bits."""
    n = next(iter(facts.values())).shape[1]
    sums = {name: values.sum(axis=1).tolist() for name, values in facts.items()}
    products = {
        pair(a, b): np.einsum("ij,ij->i", facts[a], facts[b]).tolist()
        for a, b in combinations_with_replacement(facts, 2)
    }
    nonzero = {name: np.count_nonzero(values, axis=1).tolist() for name, values in facts.items()}
    for i in range(len(next(iter(sums.values())))):
        yield Moments(
            n,
            {name: values[i] for name, values in sums.items()},
            {key: values[i] for key, values in products.items()},
            {name: values[i] for name, values in nonzero.items()},
        )


@dataclass(frozen=True, slots=True)
class Shop:
    """Units of which `active` buy at all, at gamma-distributed rates; baskets are lognormal.

    In the window of `orders` mean orders an active unit buys Poisson(rate) times, pre-period and post-period
    alike. A treatment multiplies the rate by `more_orders` and each basket by `dearer`. Money in cents.
    """

    active: float = 0.5
    orders: float = 1.5
    shape: float = 1.5
    basket: float = 3000.0
    sigma: float = 1.0
    more_orders: float = 1.0
    dearer: float = 1.0

    def units(self, rng: np.random.Generator, size: tuple[int, ...], names: tuple[str, ...]) -> dict[str, Ints]:
        """Facts `names` of `size` units."""
        rate = (rng.random(size) < self.active) * rng.gamma(self.shape, self.orders / self.shape, size)
        orders = rng.poisson(rate * self.more_orders)
        before = rng.poisson(rate)
        facts: dict[str, Ints] = {
            "orders": orders,
            "bought": (orders > 0).astype(np.int64),
            "revenue": self._revenue(rng, orders, self.dearer),
            "pre_orders": before,
            "seen": (before > 0).astype(np.int64),
        }
        if "pre_revenue" in names:
            facts["pre_revenue"] = self._revenue(rng, before, 1.0)
        return {name: facts[name] for name in names}

    def truth(self, metric: str) -> float:
        """The exact mean of `metric` (revenue, bought, aov) in the population."""
        per_unit = self.active * self.orders * self.more_orders
        if metric == "revenue":
            return per_unit * self.basket * self.dearer
        if metric == "aov":
            return self.basket * self.dearer
        none = (1 + self.orders * self.more_orders / self.shape) ** -self.shape
        return self.active * float(1 - none)

    def _revenue(self, rng: np.random.Generator, orders: Ints, dearer: float) -> Ints:
        """Orders × a lognormal basket, rounded at random so that the mean is exact."""
        result = np.zeros(orders.shape, dtype=np.int64)
        buys = orders > 0
        count = int(buys.sum())
        basket = self.basket * dearer * np.exp(self.sigma * rng.standard_normal(count) - self.sigma**2 / 2)
        result[buys] = np.floor(orders[buys] * basket + rng.random(count)).astype(np.int64)
        return result
