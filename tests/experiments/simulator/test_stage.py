"""Arms that are real strategies: what they show, what they sell, and that their truth is two full plays'."""

import math
import statistics
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from experiments.errors import UsageError
from experiments.simulator.generator import Logs, simulate
from experiments.simulator.pages import pages
from experiments.simulator.plan import Injected, Plan, Play, Recommended
from experiments.simulator.stage import relevance, stage, training
from experiments.simulator.world import world
from tests.helpers.effort import scaled
from tests.helpers.shop_recount import compare

HOME = Play("home", "homepage", {"control": Recommended("popularity"), "knn": Recommended("item_knn")})
PDP = Play(
    "page", "pdp",
    {"control": Recommended("item_knn"), "none": Recommended("no_recommendations"), "lift": Injected({"decor": 0.5})},
)  # fmt: skip


def plan(seed: int = 4, *, units: int = 300, plays: tuple[Play, ...] = (HOME, PDP)) -> Plan:
    return Plan(seed=seed, units=units, plays=plays, history_days=20, run_days=7, after_days=15, visits_a_day=0.3)


def others(key: str, arm: str) -> Callable[[str, str], str]:
    """Everybody in one arm of one experiment, and turn by turn in those of the other."""
    arms = {play.key: list(play.arms) for play in (HOME, PDP)}
    return lambda each, unit: arm if each == key else arms[each][int(unit[1:]) % len(arms[each])]


@pytest.fixture(scope="module")
def played() -> dict[tuple[str, str], Logs]:
    """(experiment, arm) → everybody in that arm."""
    return {(play.key, arm): simulate(plan(), others(play.key, arm)) for play in (HOME, PDP) for arm in play.arms}


@pytest.mark.slow
def test_the_truth_of_a_strategy_is_the_difference_of_two_full_plays(played: dict[tuple[str, str], Logs]) -> None:
    for play in (HOME, PDP):
        for arm in play.treatments:
            assert compare(played[play.key, play.control], plan(), play, arm, "control") > 250
            assert compare(played[play.key, arm], plan(), play, arm, "treatment") > 250
    assert {each.method for each in played["home", "knn"].truth["home"].lifts} == {"replayed"}


@pytest.mark.slow
def test_the_slates_are_the_strategies_own(played: dict[tuple[str, str], Logs]) -> None:
    start = plan().midnight(0)
    shown = {
        arm: [row for row in played["page", arm].exposures.to_pylist() if row["experiment_key"] == "page"]
        for arm in PDP.arms
    }
    assert {row["strategy"] for row in shown["control"]} == {"item_knn"}
    assert {row["strategy"] for row in shown["lift"]} == {None}
    assert all(row["items"] == [] for row in shown["none"])
    for row in shown["control"]:
        items = [item["item_id"] for item in row["items"]]
        assert len(set(items)) == len(items) == 4
    clicks = [row for row in played["page", "none"].outcomes.to_pylist() if row["event_name"] == "click"]
    assert not [row for row in clicks if row["module"] == "pdp" and row["event_ts"] >= start and _in_run(row)]
    assert [row for row in clicks if row["module"] == "pdp" and row["event_ts"] < start]


def _in_run(row: dict[str, Any]) -> bool:
    when: datetime = row["event_ts"]
    return when < plan().midnight(plan().run_days)


@pytest.mark.slow
def test_what_is_ordered_through_a_slate_was_shown_in_it(played: dict[tuple[str, str], Logs]) -> None:
    """Every click lands on an item that was shown, and orders through a module hold an item of its slate."""
    for logs in played.values():
        shown = {row["request_id"]: {item["item_id"] for item in row["items"]} for row in logs.exposures.to_pylist()}
        rows = logs.outcomes.to_pylist()
        clicks = [row for row in rows if row["event_name"] == "click" and row["request_id"]]
        assert all(row["item_id"] in shown[row["request_id"]] for row in clicks)
        lines = [(row["order_id"], row["item_id"]) for row in rows if row["event_name"] == "purchase"]
        assert len(lines) == len(set(lines)), "no item comes twice in an order"
        bought = {(row["session_id"], row["item_id"]) for row in rows if row["event_name"] == "purchase"}
        put = [row for row in rows if row["event_name"] == "add_to_cart" and row["module"]]
        assert put
        assert all((row["session_id"], row["item_id"]) in bought for row in put)


def test_nothing_sold_out_is_shown_by_a_strategy() -> None:
    """The rules ask for stock, and the truth of out-of-stock items shown says so."""
    known = plan(plays=(Play("home", "homepage", {"control": Injected(), "knn": Recommended("item_knn")}),))
    truth = simulate(known, lambda *_: "control").truth["home"]
    shown = truth.of("oos_shown_rate")
    assert shown.control
    assert shown.treatment == 0


def test_training_ends_before_the_run() -> None:
    known = plan(units=100)
    shop = world(known)
    data = training(shop, pages(shop))
    assert data.as_of == known.midnight(0)
    for table in (data.interactions, data.orders):
        assert len(table) > 50
        assert max(table["event_ts"].to_pylist()) < known.midnight(0)
    assert len(data.items) == 240


def test_relevance_is_by_taste_category_place_and_stock() -> None:
    known = plan(units=200)
    shop = world(known)
    page = pages(shop)["homepage"]
    same = shop.came.category[page.visit][:, None] * 40  # the category's first item is always there
    empty = np.full(page.items.shape, -1)
    first, last, elsewhere = empty.copy(), empty.copy(), empty.copy()
    first[:, :1] = same
    last[:, 3:] = same
    elsewhere[:, :1] = (same + 40) % 240
    assert (relevance(shop, page, empty) == 0).all()
    assert (relevance(shop, page, first) > relevance(shop, page, last)).all()
    liking = np.log(relevance(shop, page, first) / relevance(shop, page, elsewhere))
    style = shop.folk.style[shop.came.unit[page.visit]]
    wanted = ((shop.shelf.style[same[:, 0]] - shop.shelf.style[(same[:, 0] + 40) % 240]) * style).sum(axis=1)
    assert np.ptp(liking - wanted) == pytest.approx(0, abs=1e-9)
    assert (liking - wanted).min() > 1
    gone = np.argwhere(shop.shelf.stock[:, shop.shelf.period(page.at[:1])[0]] == 0)[0, 0]
    first[:1, :1] = gone
    assert relevance(shop, page, first)[0] == 0


def test_an_offer_does_not_depend_on_who_is_in_the_arm(played: dict[tuple[str, str], Logs]) -> None:
    one, other = stage(plan()), stage(plan())
    for key, offer in one.offers.items():
        assert (offer.items == other.offers[key].items).all()
        assert (offer.picked >= 0).all()
    assert played["home", "knn"].truth["home"] == played["home", "control"].truth["home"]


@pytest.mark.slow
def test_the_truth_is_the_difference_of_two_shops_within_chance() -> None:
    """One arm in a shop of one seed, the other in one of another: the mean over pairs is the mean truth."""
    play = Play("home", "homepage", {"control": Recommended("no_recommendations"), "best": Recommended("popularity")})
    scores = []
    for pair in range(scaled(6, 100)):
        one, other = (plan(seed, units=600, plays=(play,)) for seed in (500 + pair, 900 + pair))
        known = simulate(one, lambda *_: "control").truth["home"].of("orders_per_unit")
        there = simulate(other, lambda *_: "best").truth["home"].of("orders_per_unit").treatment
        assert known.control
        assert known.lift is not None
        assert there is not None
        assert known.lift > 0.03, "recommendations sell something"
        scores.append(there / known.control - 1 - known.lift)
    error = statistics.stdev(scores) / math.sqrt(len(scores))
    assert abs(statistics.mean(scores)) < 4.5 * error
    assert error < 0.1


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (Recommended("als"), "strategy als is not built in; choose one of no_recommendations"),
        (Recommended("item_knn", {"neighbors": 5}), "has no parameter neighbors"),
        (Recommended("item_knn", {"neighbours": 0}), "neighbours"),
    ],
)
def test_strategies_that_cannot_be_fitted_are_refused(arm: Recommended, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan(plays=(Play("home", "homepage", {"control": Injected(), "new": arm}),))
