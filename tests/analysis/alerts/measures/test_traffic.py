"""The forecast of traffic on traffic that is known: without noise exact, with noise unbiased and honestly uncertain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.alerts.measures.traffic import READ_BACK, expected, past
from analysis.alerts.model import METRICS, Cell, Comparison, Traffic
from analysis.warehouse.buckets import Counted
from tests.helpers.effort import scaled

SLOT = timedelta(hours=6)
FIRST = datetime(2026, 1, 5, 6, tzinfo=UTC)  # the end of a Monday's first slot
SITE = Cell()
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
History = Mapping[datetime, Mapping[Cell, Counted]]


@dataclass(frozen=True)
class Days:
    """A season's entry, as a calendar has it."""

    name: str
    first: date
    last: date


def slot_end(slot: int) -> datetime:
    return FIRST + slot * SLOT


def usual(slots: int, mean: float) -> Floats:
    """Quieter nights, fuller weekends."""
    slot = np.arange(slots)
    hours, days = np.array([0.5, 0.9, 1.2, 1.4])[slot % 4], np.where(slot // 4 % 7 > 4, 1.25, 0.9)
    return np.asarray(mean * hours * days, dtype=np.float64)


def one(sessions: int, orders: int = 0, revenue: int = 0) -> Counted:
    return Counted(1, sessions, 0, 2 * sessions, sessions, orders, revenue, 0, 0, 0, 0, 0, 0, 0, 0,
                   revenue // 4, orders, orders, revenue)  # fmt: skip


def of_site(sessions: Sequence[int] | Ints, orders: Ints | None = None, revenue: Ints | None = None) -> History:
    zeros = np.zeros(len(sessions), dtype=np.int64)
    orders, revenue = zeros if orders is None else orders, zeros if revenue is None else revenue
    return {slot_end(i): {SITE: one(int(n), int(orders[i]), int(revenue[i]))} for i, n in enumerate(sessions)}


def told(history: History, slot: int, seasons: Sequence[Days] = ()) -> dict[Cell, Traffic]:
    made = past(history)
    assert made is not None
    return {each.cell: each for each in expected(made, [slot_end(slot)], seasons)[slot_end(slot)]}


def test_traffic_that_repeats_is_told_exactly() -> None:
    sessions = np.rint(usual(9 * 28, 1000)).astype(np.int64)
    found = told(of_site(sessions, sessions // 50, sessions * 20), 8 * 28 - 1)[SITE]
    assert found.sessions == pytest.approx(sessions[8 * 28 : 8 * 28 + 4].sum(), rel=1e-6)
    last = sessions[8 * 28 - 1]
    assert found.expected["click"] == pytest.approx(2 * last, rel=1e-6)
    assert found.expected["revenue"] == pytest.approx(20 * last, rel=1e-6)
    assert found.expected["order"] == pytest.approx(last / 50, rel=0.03)
    assert found.revenue_per_session == pytest.approx(20)
    assert found.margin_share == pytest.approx(0.25)
    assert found.sessions_se == pytest.approx(np.sqrt(found.sessions))  # at least what counting gives


CASES = {  # weeks, mean in six hours, variance over mean, autocorrelation and size of levels, growth a week
    "many": (10, 1000.0, 1.0, 0.0, 0.0, 0.0),
    "wider": (10, 1000.0, 3.0, 0.0, 0.0, 0.0),
    "levels that wander": (10, 3000.0, 2.0, 0.8, 0.05, 0.0),
    "few": (10, 6.0, 1.0, 0.0, 0.0, 0.0),
    "growing": (10, 1000.0, 2.0, 0.0, 0.0, 0.05),
    "little history": (3, 1000.0, 2.0, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_known_traffic_is_told_without_bias_and_with_honest_errors(case: str) -> None:
    weeks, mean, phi, correlation, size, growth = CASES[case]
    runs = scaled(30, 400)
    missed: list[float] = []
    orders_missed: list[float] = []
    relative: list[float] = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        slots = (weeks + 1) * 28
        level = np.zeros(slots)
        for i in range(1, slots):
            level[i] = correlation * level[i - 1] + rng.normal() * size * np.sqrt(1 - correlation**2)
        truth = usual(slots, mean) * np.exp(level + growth * np.arange(slots) / 28)
        drawn = rng.gamma(truth / (phi - 1), phi - 1) if phi > 1 else truth
        sessions = rng.poisson(drawn)
        orders = rng.poisson(0.03 * sessions)
        history = of_site(sessions, orders)
        for slot in (weeks * 28 - 3, weeks * 28 + 4, weeks * 28 + 14):
            found = told(history, slot)[SITE]
            next_day = slice(slot + 1, slot + 5)
            relative.append(found.sessions / truth[next_day].sum() - 1)
            missed.append((sessions[next_day].sum() - found.sessions) / found.sessions_se)
            orders_missed.append((orders[slot] - found.expected["order"]) / found.expected_se["order"])
    n = len(missed)
    assert abs(np.mean(relative)) < 3 * np.std(relative) / np.sqrt(runs) + 0.002
    for scores in (missed, orders_missed):
        assert abs(np.mean(scores)) < 0.1 + 3 / np.sqrt(runs)
        # nominal 95 %, at least 92 % less three standard errors of the simulation itself
        assert np.mean(np.abs(scores) < 1.96) > 0.92 - 3 * np.sqrt(0.05 / n)


def test_what_comes_after_an_end_changes_nothing_and_neither_does_what_is_long_gone() -> None:
    rng = np.random.default_rng(4)
    sessions = rng.poisson(usual(24 * 28, 200))
    whole, slot = of_site(sessions), 22 * 28 + 9
    then = told(whole, slot)
    assert told({end: cells for end, cells in whole.items() if end <= slot_end(slot)}, slot) == then
    since = slot_end(slot) - READ_BACK
    recent = told({end: cells for end, cells in whole.items() if end > since}, slot)
    assert recent[SITE].sessions == pytest.approx(then[SITE].sessions, rel=1e-12)
    assert recent[SITE].sessions_se == pytest.approx(then[SITE].sessions_se, rel=1e-12)


def test_a_season_that_was_seen_before_is_expected_when_it_comes_again() -> None:
    truth = usual(12 * 28, 1000)
    first, again = slice(30 * 4, 37 * 4), slice(70 * 4, 80 * 4)
    truth[first] *= 1.5
    truth[again] *= 1.5
    history = of_site(np.random.default_rng(1).poisson(truth))
    sale = [Days("sale", date(2026, 2, 4), date(2026, 2, 10)), Days("sale", date(2026, 3, 16), date(2026, 3, 25))]
    eve = 70 * 4 - 1
    wanted = truth[again][:4].sum()
    assert told(history, eve, sale)[SITE].sessions == pytest.approx(wanted, rel=0.05)
    assert told(history, eve)[SITE].sessions < 0.75 * wanted  # without the calendar nobody can know
    day_five = 75 * 4 - 1
    assert told(history, day_five, sale)[SITE].sessions == pytest.approx(truth[75 * 4 : 76 * 4].sum(), rel=0.05)


def test_a_season_nobody_has_seen_is_caught_up_with() -> None:
    truth = usual(12 * 28, 1000)
    truth[70 * 4 :] *= 1.5
    sale = [Days("sale", date(2026, 3, 16), date(2026, 3, 30))]
    history = of_site(np.random.default_rng(1).poisson(truth))
    days = [told(history, day * 4 - 1, sale)[SITE].sessions / truth[day * 4 : day * 4 + 4].sum() for day in (70, 82)]
    assert days[0] == pytest.approx(1 / 1.5, rel=0.05)
    assert days[1] == pytest.approx(1.0, rel=0.1)


def test_a_cell_has_its_share_of_its_module_and_earns_its_own() -> None:
    rng = np.random.default_rng(2)
    slots = 10 * 28
    home, pdp = rng.poisson(usual(slots, 900)), rng.poisson(usual(slots, 300)[::-1])
    decor = rng.binomial(home, 0.1)
    history = {
        slot_end(i): {
            SITE: one(home[i] + pdp[i], 30, 3000),
            Cell("homepage"): one(home[i], 20, 1000),
            Cell("homepage", "decor"): one(decor[i], 10, 500),
            Cell("pdp"): one(pdp[i], 10, 2000),
        }
        for i in range(slots)
    }
    found = told(history, 9 * 28)
    next_day = slice(9 * 28 + 1, 9 * 28 + 5)
    assert found[Cell("homepage")].sessions == pytest.approx(usual(slots, 900)[next_day].sum(), rel=0.03)
    assert found[Cell("homepage", "decor")].sessions == pytest.approx(usual(slots, 90)[next_day].sum(), rel=0.06)
    assert found[Cell("pdp")].sessions == pytest.approx(usual(slots, 300)[::-1][next_day].sum(), rel=0.05)
    earned = 500 * 112 / decor[9 * 28 + 1 - 112 : 9 * 28 + 1].sum()
    assert found[Cell("homepage", "decor")].revenue_per_session == pytest.approx(earned)


def test_what_is_not_known_is_not_told() -> None:
    sessions = np.rint(usual(6 * 28, 100)).astype(np.int64)
    assert told(of_site(sessions), 2 * 28 - 1) == {}  # two weeks, and a day to be wrong in
    assert set(told(of_site(sessions), 2 * 28 + 8)) == {SITE}
    assert past({}) is None
    few_margins = {
        end: {SITE: cells[SITE]._replace(lines=100, lines_known=97, revenue_known=5, margin=1)}
        for end, cells in of_site(sessions).items()
    }
    assert told(few_margins, 5 * 28)[SITE].margin_share is None
    nobody = {end: {**cells, Cell("cart"): one(0)} for end, cells in of_site(sessions).items()}
    assert set(told(nobody, 5 * 28)) == {SITE}


def test_a_hole_in_the_log_is_no_traffic_of_zero() -> None:
    sessions = np.random.default_rng(3).poisson(usual(10 * 28, 500))
    holed = sessions.copy()
    holed[8 * 28 + 4 : 8 * 28 + 12] = 0
    whole, found = told(of_site(sessions), 8 * 28 + 20)[SITE], told(of_site(holed), 8 * 28 + 20)[SITE]
    assert found.sessions == pytest.approx(whole.sessions, rel=0.03)
    assert found.sessions_se < 2 * whole.sessions_se


def test_hours_in_which_nobody_comes_are_told_as_none() -> None:
    sessions = np.where(np.arange(10 * 28) % 4 == 0, 0, 40).astype(np.int64)
    sessions[np.arange(10 * 28) // 4 % 7 == 6] = 0  # closed on Sundays
    history = {
        end: {SITE: one(int(n) + 10), Cell("email"): one(int(n))} for end, n in zip(
            (slot_end(i) for i in range(len(sessions))), sessions, strict=True)
    }  # fmt: skip
    found = told(history, 9 * 28 - 1)[Cell("email")]
    assert found.sessions == pytest.approx(120.0, rel=1e-6)
    saturday = told(history, 9 * 28 + 6 * 4 - 1)[Cell("email")]
    assert saturday.sessions == 0.0


def test_shares_of_watched_arms_are_those_of_the_last_day_they_ran() -> None:
    sessions = np.full(6 * 28, 100, dtype=np.int64)
    launch = Comparison("launch", "h2", 1, "served", "held_out")
    shares = {slot_end(i): {SITE: 90 if i < 5 * 28 - 2 else 80} for i in range(4 * 28, 6 * 28)}
    made = past(of_site(sessions), {launch: shares})
    assert made is not None
    ends = [slot_end(4 * 28 - 1), slot_end(5 * 28 - 1), slot_end(5 * 28 + 8)]
    found = expected(made, ends)
    assert [found[end][0].watched for end in ends] == [(), ((launch, 0.85),), ((launch, 0.8),)]


def test_every_number_is_finite_and_no_error_is_zero() -> None:
    for seed in range(scaled(4, 40)):
        rng = np.random.default_rng(seed)
        sessions = rng.poisson(rng.choice([0.3, 2.0, 50.0]) * rng.choice([0, 1, 3], size=12 * 28))
        for slot in range(8 * 28, 12 * 28, 17):
            for found in told(of_site(sessions, sessions // 3, 1000 * sessions), slot).values():
                values = [found.sessions, found.sessions_se, *found.expected.values(), *found.expected_se.values()]
                assert np.isfinite(values).all()
                assert min(found.sessions_se, *found.expected_se.values()) >= 1.0
                assert set(found.expected) == set(METRICS)
                assert replace(found, watched=()) == found
