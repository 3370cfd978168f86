"""The written truth against a plain Python recount of the logs of two full plays: all in control, all in the arm."""

import math
import statistics
from collections.abc import Callable

import pytest

from experiments.simulator.generator import simulate
from experiments.simulator.plan import CATEGORY_KEYS, Plan, Play, lifted
from tests.helpers.effort import scaled
from tests.helpers.shop_recount import CONTEXTS, compare, recount

PLAYS = (
    lifted("home", "homepage", "als", {"decor": 0.9, "bedding": -0.9, "garden": 0.3}, click_lift=0.4),
    lifted("page", "pdp", "new", {"kitchen": 1.0}, click_lift=-0.3),
    lifted("cart", "cart", "new", {"furniture": -1.0}),
)
PLAN = Plan(seed=7, units=260, plays=PLAYS, history_days=30, run_days=10, after_days=16, visits_a_day=0.3)


def others(key: str, arm: str) -> Callable[[str, str], str]:
    """Everybody in one arm of one experiment; of the others half and half."""

    def assign(experiment: str, unit: str) -> str:
        play = next(play for play in PLAYS if play.key == experiment)
        return arm if experiment == key else list(play.arms)[int(unit[1:]) // 3 % 2]

    return assign


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.key)
def test_the_truth_is_what_two_full_plays_count(play: Play) -> None:
    """Every metric and cell, both worlds, to the last bit but for one division."""
    (arm,) = play.treatments
    before, after = (simulate(PLAN, others(play.key, name)) for name in (play.control, arm))
    assert before.truth[play.key].units > 100
    compared = [compare(before, PLAN, play, arm, "control"), compare(after, PLAN, play, arm, "treatment")]
    assert min(compared) > 250


def test_context_cells_hold_every_unit() -> None:
    play = PLAYS[1]
    logs = simulate(PLAN, others(play.key, "new"))
    units = recount(logs, PLAN, play)
    named = {(each.slice, each.value) for each in logs.truth[play.key].lifts}
    for key, group in CONTEXTS.items():
        assert {(key, group(unit)) for unit in units} <= named
    assert ("item_category", "decor") in named
    assert ("module", "(search)") in named


def test_the_arm_moves_no_draw_of_the_world() -> None:
    """Whoever is in which arm: the same visits, pages and arrivals, and the same orders outside the run."""
    one, other = (simulate(PLAN, others("home", arm)) for arm in ("control", "als"))
    before = PLAN.midnight(0)
    for name, columns in (
        ("exposures", ["event_ts", "received_ts", "unit_id", "module", "latency_ms", "fallback", "session_id"]),
        ("catalogue", ["item_id", "stock", "price", "valid_from"]),
    ):
        assert getattr(one, name).select(columns).equals(getattr(other, name).select(columns))
    rows = [
        [
            (row["event_ts"], row["received_ts"], row["unit_id"], row["event_name"], row["item_id"], row["value"])
            for row in logs.outcomes.to_pylist()
            if row["event_ts"] < before
        ]
        for logs in (one, other)
    ]
    assert rows[0] == rows[1]
    assert one.outcomes.num_rows != other.outcomes.num_rows
    for key in ("page", "cart"):
        assert one.truth[key].units == other.truth[key].units


def test_one_experiment_leaves_the_orders_of_another_alone() -> None:
    """What comes through the product page does not change when the homepage is lifted."""
    orders = []
    for arm in ("control", "als"):
        rows = simulate(PLAN, others("home", arm)).outcomes.to_pylist()
        put = {
            (row["session_id"], row["item_id"])
            for row in rows
            if row["event_name"] == "add_to_cart" and row["module"] == "pdp"
        }
        orders.append(put)
    assert orders[0] == orders[1]
    assert orders[0]


@pytest.mark.slow
def test_the_truth_is_the_difference_of_two_shops_within_chance() -> None:
    """Control in one shop, the arm in another of another seed: the mean lift over pairs is the mean truth."""
    play, pairs = PLAYS[0], scaled(8, 100)
    scores: dict[str, list[float]] = {metric: [] for metric in ("orders_per_unit", "ctr", "conversion")}
    for pair in range(pairs):
        plan = Plan(seed=1_000 + pair, units=1_500, plays=(play,), history_days=1, run_days=14, after_days=0)
        other = Plan(seed=9_000 + pair, units=1_500, plays=(play,), history_days=1, run_days=14, after_days=0)
        known = simulate(plan, lambda *_: "control").truth["home"]
        treated = simulate(other, lambda *_: "als").truth["home"]
        for metric, found in scores.items():
            control, there = known.of(metric), treated.of(metric)
            assert control.control
            assert there.treatment
            assert control.lift is not None
            found.append(there.treatment / control.control - 1 - control.lift)
    for metric, found in scores.items():
        error = statistics.stdev(found) / math.sqrt(len(found))
        assert abs(statistics.mean(found)) < 4.5 * error, metric
        assert error < 0.1, "or the test could not see a wrong truth"


def test_the_analytic_truth_is_the_mean_of_the_replayed() -> None:
    """Over many shops the luck of who ordered evens out."""
    gaps = []
    for seed in range(scaled(12, 200)):
        plan = Plan(seed=seed, units=600, plays=PLAYS[:1], history_days=1, run_days=14, after_days=0)
        truth = simulate(plan, lambda *_: "control").truth["home"]
        expected, played = (truth.of("orders_per_unit", method=method).lift for method in ("analytic", "replayed"))
        assert expected is not None
        assert played is not None
        gaps.append(played - expected)
    assert abs(statistics.mean(gaps)) < 4 * statistics.stdev(gaps) / math.sqrt(len(gaps))
    assert statistics.stdev(gaps) < 0.1


def test_item_categories_are_the_shops_own() -> None:
    logs = simulate(PLAN, others("home", "control"))
    assert {row["category"] for row in logs.catalogue.to_pylist()} == set(CATEGORY_KEYS)
