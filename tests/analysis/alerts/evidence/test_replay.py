"""Replaying a history in which nothing happened, against a recount of the same pages by hand."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import chi2

from analysis.alerts.evidence.detector import deviation
from analysis.alerts.evidence.replay import Replay, Terms, poisson, replay
from analysis.alerts.model import SHORT, Bucket, Cell, Comparison
from analysis.alerts.weighing.conversion import Conversion
from benchmarks.alerts_shop import LAUNCH, START, STEP, Loss, Place, bucket, counted

HOME = Place(Cell("homepage"), 300_000.0, 0.03, 8_000)
PDP = Place(Cell("pdp"), 100_000.0, 0.02, 8_000)
CARTS, ORDERS = Conversion("add_to_cart", 1.0, 0.0, 20), Conversion("order", 1.0, 0.0, 20)
EAGER = Terms({HOME.cell: HOME.stake}, 1.0, 0.03)  # any loss is money enough
HIGH = Terms({HOME.cell: HOME.stake, PDP.cell: 100 * HOME.stake}, 1.0, 0.03)  # little money, so a high bar
CALM = Terms({HOME.cell: HOME.stake, PDP.cell: PDP.stake}, 1e15, 0.03)  # none is


@lru_cache
def history(places: tuple[Place, ...], buckets: int, seed: int = 1, loss: Loss | None = None) -> tuple[Bucket, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        bucket(place, i, counts, rng, revenue=False)
        for i, kinds in enumerate(counted(places, rng, buckets, loss=loss))
        for place, counts in zip(places, kinds, strict=True)
    )


def played(
    buckets: Sequence[Bucket],
    terms: Terms = EAGER,
    *,
    drawn: int = 0,
    changes: Sequence[int] = (),
    by: Sequence[Conversion] = (CARTS,),
) -> Replay:
    marks = [START + change * STEP for change in changes]
    return replay(buckets, by, terms, rng=np.random.default_rng(5), drawn=drawn, changes=marks)


def by_hand(buckets: Sequence[Bucket]) -> int:
    """One cell, one way round: the recursion in numpy, any loss in the six hours being money enough."""
    found = [one for each in buckets if (one := deviation(each, "add_to_cart"))]
    d, s = np.array([one.relative for one in found]), np.array([one.se for one in found])
    mean = np.average(d[:112], weights=s[:112] ** -2)
    u = (d[:112] - mean) / s[:112]
    spread = np.mean(u**2)
    r = float(np.clip(np.mean(u[1:] * u[:-1]) / spread, 0, 0.8))
    c = math.sqrt(max(1, spread) * (1 + r) / (1 - r))
    values, pages, last = np.zeros(4), 0, -99
    for i in range(112, len(d)):
        z = max(-4.0, (d[i] - mean) / (c * s[i]) + 112**-0.5)
        rates = np.minimum(2, np.array([0.01, 0.02, 0.04, 0.08]) / s[i])
        values = (values + 1) * np.exp(-rates * z - rates**2 / 2)
        if values.mean() >= 364 / 2 and d[i] < mean:
            pages += i - last > 4
            last, values = i, np.zeros(4)
    return pages


def turned(buckets: Sequence[Bucket]) -> list[Bucket]:
    return [replace(one, arms={"served": one.arms["held_out"], "held_out": one.arms["served"]}) for one in buckets]


def test_the_pages_are_those_of_the_recursion_written_out_both_ways_round() -> None:
    total = 0
    for seed in range(1, 4):
        buckets = history((HOME,), 700, seed)
        found = played(buckets)
        assert found.pages == by_hand(buckets) + by_hand(turned(buckets)) == found.cells[HOME.cell]
        assert found.quarters == pytest.approx(2 * (700 - 112) / 364)
        total += found.pages
    assert total > 0


def test_a_loss_nobody_declared_counts_whichever_arm_lost_and_a_declared_change_does_not() -> None:
    calm, lost = history((HOME,), 400), history((HOME,), 400, 1, Loss(HOME.cell, 0.08, 200.0))
    assert played(calm, HIGH).pages == 0
    assert 1 <= played(lost, HIGH).pages <= 4  # what rings within a day of the last is the same page
    assert played(turned(lost), HIGH).pages == played(lost, HIGH).pages
    assert played(lost, HIGH, changes=[200]).pages == 0


def test_the_interval_is_garwoods() -> None:
    for count in (0, 1, 4, 30):
        low, high = poisson(count)
        assert high == pytest.approx(chi2.ppf(0.975, 2 * count + 2) / 2)
        assert low == pytest.approx(chi2.ppf(0.025, 2 * count) / 2 if count else 0)
    found = played(history((HOME,), 700))
    assert found.rate is not None
    assert found.low <= found.rate <= found.high
    assert found.high == pytest.approx(poisson(found.pages)[1] / found.quarters)


def test_a_quarter_is_one_of_the_whole_shop() -> None:
    both = Terms({HOME.cell: HOME.stake, PDP.cell: PDP.stake}, 1.0, 0.03)
    found = played(history((HOME, PDP), 300), both)
    assert found.quarters == pytest.approx(2 * (300 - 112) / 364)
    assert set(found.cells) == {HOME.cell, PDP.cell}
    assert sum(found.cells.values()) == found.pages


def test_no_money_no_page() -> None:
    found = played(history((HOME, PDP), 300), CALM, drawn=3)
    assert (found.pages, found.drawn_pages) == (0, 0)
    assert found.low == 0
    assert found.high == pytest.approx(3.689 / found.quarters, rel=1e-3)


def test_a_metric_that_is_worth_nothing_and_bars_that_many_detectors_share_page_less() -> None:
    buckets = history((HOME,), 700)
    pages = played(buckets).pages
    assert pages > 0
    assert played(buckets, by=[replace(CARTS, elasticity=0.0)]).pages == 0
    assert played(buckets, replace(EAGER, shares={HOME.cell: 0.0})).pages == 0  # all of it is held out
    assert played(buckets, replace(EAGER, paging=10**9)).pages == 0
    assert 0 < played(buckets, replace(EAGER, paging=2)).pages < pages


def test_a_cell_pages_by_any_metric_that_is_watched_and_once_a_day() -> None:
    """Carts that are lost are orders lost: one fault, two detectors."""
    buckets = history((HOME,), 400, 1, Loss(HOME.cell, 0.08, 200.0))
    carts, orders, both = (played(buckets, by=each) for each in ([CARTS], [ORDERS], [CARTS, ORDERS]))
    assert 0 < both.pages < carts.pages + orders.pages
    assert both.quarters == carts.quarters
    assert played(buckets, by=[ORDERS, CARTS]) == both
    calm = history((HOME,), 700)
    carts, orders, both = (played(calm, drawn=8, by=each) for each in ([CARTS], [ORDERS], [CARTS, ORDERS]))
    assert 0 < max(carts.pages, orders.pages) <= both.pages <= carts.pages + orders.pages
    assert 0 < max(carts.drawn_pages, orders.drawn_pages) <= both.drawn_pages


def test_an_uncertain_worth_pages_less() -> None:
    buckets = history((HOME,), 400, 1, Loss(HOME.cell, 0.08, 200.0))
    dear = replace(EAGER, budget=HOME.stake / 20)
    assert played(buckets, dear, by=[replace(CARTS, se=5.0)]).pages < played(buckets, dear).pages


def test_what_is_too_short_waits_and_is_not_called_healthy() -> None:
    buckets = [one for one in history((HOME, PDP), 300) if one.cell == HOME.cell or one.end <= START + 112 * STEP]
    found = played(buckets, CALM)
    assert found.waiting == (PDP.cell,)
    assert PDP.cell not in found.cells
    nothing = played(history((HOME,), 112), drawn=5)
    assert (nothing.rate, nothing.drawn_rate, nothing.drawn) == (None, None, 0)
    assert nothing.high == math.inf
    cut = played(history((HOME,), 200), changes=[100])
    assert cut.waiting == (HOME.cell,)


def test_drawn_quarters_have_the_noise_and_not_the_loss_of_the_whole_second_half() -> None:
    """A change that is declared leaves two periods, each centred on itself."""
    lost = history((HOME,), 560, 1, Loss(HOME.cell, 0.08, 280.0))
    undeclared, declared = played(lost, drawn=15), played(lost, drawn=15, changes=[280])
    assert declared.drawn == undeclared.drawn == 15
    assert declared.drawn_rate is not None
    assert declared.drawn_rate < 3
    assert undeclared.drawn_pages > 5 * max(1, declared.drawn_pages)


def test_weeks_a_change_cuts_are_not_drawn_from_and_few_weeks_are_none() -> None:
    assert played(history((HOME,), 300), drawn=2).drawn == 2
    assert played(history((HOME,), 300), drawn=2, changes=[150]).drawn == 2
    assert played(history((HOME,), 190), drawn=2).drawn == 0


def test_order_does_not_matter_and_the_generator_does() -> None:
    buckets = list(history((HOME, PDP), 300))
    terms = Terms({HOME.cell: HOME.stake, PDP.cell: PDP.stake}, 1.0, 0.03, {PDP.cell: 0.05})
    first = played(buckets, terms, drawn=4)
    random.Random(1).shuffle(buckets)
    assert played(buckets, terms, drawn=4) == first


def test_what_cannot_be_replayed_is_refused() -> None:
    buckets = history((HOME,), 120)
    test = Comparison("experiment", "home_test", 1, "new", "control")
    with pytest.raises(ValueError, match="of one launch, with its holdout; these are buckets of experiment home_test"):
        played([replace(one, comparison=test) for one in buckets])
    with pytest.raises(ValueError, match="experiment home_test, launch holdout"):
        played([*buckets, replace(buckets[0], comparison=test)])
    with pytest.raises(ValueError, match="not of 360 minutes"):
        played([replace(buckets[0], minutes=SHORT)])
    with pytest.raises(ValueError, match="1 cells have no stake"):
        played([replace(buckets[0], cell=Cell("cart"))])
    assert {one.comparison for one in buckets} == {LAUNCH}
