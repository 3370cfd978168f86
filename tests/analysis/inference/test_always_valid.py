"""Looking every day at nothing: how often 2,000 A/A runs of returning units would ever be shipped or stopped."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from analysis.inference.decision import Question, read
from analysis.inference.designs import critical_value, student
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.moments import Moments, pair
from tests.helpers.units import AOV, CONVERSION, REVENUE, Ints

DAYS, UNITS = 28, 2000
STREAMS = 2000
BEFORE = ("pre_revenue", "pre_orders", "seen")
Matrix = NDArray[np.int64]


def stream(rng: np.random.Generator) -> Iterator[tuple[Moments, Moments]]:
    """Control and treatment at the end of each day, both from the same shop.

    Half the units have come by day 7, and every unit returns: its orders fall on the days after its first
    exposure at a rate of its own, known in part from the pre-period. Baskets are lognormal, in cents.
    """
    first = np.floor(DAYS * rng.random(UNITS) ** 2).astype(np.int64)
    rate = (rng.random(UNITS) < 0.6) * rng.gamma(1.5, 1.6, UNITS)
    before = rng.poisson(rate)
    past = {
        "pre_orders": before,
        "pre_revenue": np.floor(before * 2000 * np.exp(rng.standard_normal(UNITS))).astype(np.int64),
        "seen": (before > 0).astype(np.int64),
    }
    count = rng.poisson(rate * (DAYS - first) / DAYS)
    unit = np.repeat(np.arange(UNITS), count)
    day = first[unit] + np.floor((DAYS - first[unit]) * rng.random(len(unit))).astype(np.int64)
    paid = np.floor(2000 * np.exp(rng.standard_normal(len(unit)))).astype(np.int64)
    treated = rng.random(UNITS) < 0.5
    orders, revenue = np.zeros((DAYS, UNITS), dtype=np.int64), np.zeros((DAYS, UNITS), dtype=np.int64)
    np.add.at(orders, (day, unit), 1)
    np.add.at(revenue, (day, unit), paid)
    orders, revenue = orders.cumsum(axis=0), revenue.cumsum(axis=0)
    seen = (first[None, :] <= np.arange(DAYS)[:, None]).astype(np.int64)
    sides = [
        daily(orders[:, own], revenue[:, own], seen[:, own], {name: x[own] for name, x in past.items()})
        for own in (~treated, treated)
    ]
    return zip(*sides, strict=True)


def daily(orders: Matrix, revenue: Matrix, seen: Matrix, past: dict[str, Ints]) -> Iterator[Moments]:
    """One arm at the end of each day; arrays (days, units), `past` (units,)."""
    facts = {"revenue": revenue, "orders": orders, "bought": (orders > 0).astype(np.int64)}
    sums = {name: values.sum(axis=1) for name, values in facts.items()}
    products = {pair(a, b): np.einsum("ij,ij->i", facts[a], facts[b]) for a in facts for b in facts if a <= b}
    nonzero = {name: (values > 0).sum(axis=1) for name, values in facts.items()}
    for name, x in past.items():
        sums[name] = seen @ x
        nonzero[name] = seen @ (x > 0)
        products |= {pair(name, other): values @ x for other, values in facts.items()}
        products |= {pair(name, other): seen @ (x * y) for other, y in past.items()}
    n = seen.sum(axis=1)
    for day in range(DAYS):
        yield Moments(
            int(n[day]),
            {name: int(values[day]) for name, values in sums.items()},
            {key: int(values[day]) for key, values in products.items()},
            {name: int(values[day]) for name, values in nonzero.items()},
        )


@pytest.mark.slow
def test_at_most_one_healthy_run_in_twenty_is_ever_shipped_or_stopped() -> None:
    """SHIP is read as any success metric better on any day, guardrails or not; STOP as any harm on any day."""
    rng = np.random.default_rng(28)
    estimate = ESTIMATORS["lin"]
    shipped = stopped = read_looks = 0
    for _ in range(STREAMS):
        up = down = False
        for control, treatment in stream(rng):
            fraction = (control.n + treatment.n) / UNITS
            questions = [
                Question("revenue", "t", "success", 1, estimate(control, treatment, REVENUE), fraction),
                Question("conversion", "t", "success", 1, estimate(control, treatment, CONVERSION), fraction),
                Question("aov", "t", "guardrail", 1, estimate(control, treatment, AOV), fraction, margin=0.02),
            ]
            readings = read(questions, alpha=0.05, look="always_valid").values()
            up |= any(reading.better for reading in readings)
            down |= any(reading.harmed for reading in readings)
            read_looks += any(reading.gate for reading in readings)
        shipped += up
        stopped += down
    print(f"ever shipped {shipped / STREAMS:.2%}, ever stopped {stopped / STREAMS:.2%}")
    assert read_looks > 15 * STREAMS
    assert upper_bound(shipped, STREAMS) <= 0.05
    assert upper_bound(stopped, STREAMS) <= 0.05


def upper_bound(count: int, of: int) -> float:
    """The exact (Clopper–Pearson) one-sided 99.9 % upper bound of a rate."""
    return float(beta.ppf(0.999, count + 1, of - count))


def test_a_fixed_design_that_watches_for_harm_spends_its_level_in_two_halves() -> None:
    """Brownian paths, 27 daily e-process looks and Student's t at the end: spent whole both times it exceeds 5 %."""
    rng = np.random.default_rng(5)
    runs = 200_000
    path, whole, halves = np.zeros(runs), np.zeros(runs, dtype=np.bool_), np.zeros(runs, dtype=np.bool_)
    for day in range(1, DAYS + 1):
        path += rng.standard_normal(runs)
        z = path / np.sqrt(day)
        ends = [student(1e6, 0.05 / part, sides="one") for part in (1, 2)]
        looks = [critical_value(day / DAYS, 0.05 / part, sides="one") for part in (1, 2)]
        k_whole, k_halves = ends if day == DAYS else looks
        whole |= z < -k_whole
        halves |= z < -k_halves
    print(f"stopped: whole {whole.mean():.2%}, halves {halves.mean():.2%}")
    assert whole.mean() > 0.052
    assert halves.mean() < 0.03
