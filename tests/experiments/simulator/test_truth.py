"""The written truth against a plain Python recount of the logs of two full plays: all in control, all in the arm."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from experiments.simulator.generator import Logs, simulate
from experiments.simulator.plan import CATEGORY_KEYS, Plan, Play, lifted
from experiments.simulator.truth import TrueLift
from tests.helpers.effort import scaled

PLAYS = (
    lifted("home", "homepage", "als", {"decor": 0.9, "bedding": -0.9, "garden": 0.3}, click_lift=0.4),
    lifted("page", "pdp", "new", {"kitchen": 1.0}, click_lift=-0.3),
    lifted("cart", "cart", "new", {"furniture": -1.0}),
)
PLAN = Plan(seed=7, units=260, plays=PLAYS, history_days=30, run_days=10, after_days=16, visits_a_day=0.3)
Row = Mapping[str, Any]


def others(key: str, arm: str) -> Callable[[str, str], str]:
    """Everybody in one arm of one experiment; of the others half and half."""

    def assign(experiment: str, unit: str) -> str:
        play = next(play for play in PLAYS if play.key == experiment)
        return arm if experiment == key else list(play.arms)[int(unit[1:]) // 3 % 2]

    return assign


@dataclass
class Unit:
    first: datetime
    exposure: Row
    sums: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # category, owner, facts
    spent_before: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def recount(logs: Logs, play: Play) -> list[Unit]:
    """Facts of every exposed unit, from rows alone."""
    end = PLAN.midnight(PLAN.run_days)
    stock = defaultdict(list)
    for row in logs.catalogue.to_pylist():
        stock[row["item_id"]].append(row)
    units: dict[str, Unit] = {}
    exposures, outcomes = logs.exposures.to_pylist(), logs.outcomes.to_pylist()
    bots = {row["unit_id"] for row in exposures if row["is_bot"]}
    for row in exposures:
        if row["experiment_key"] == play.key and row["unit_id"] not in bots:
            units.setdefault(row["unit_id"], Unit(row["event_ts"], row))
    clicked = {row["request_id"] for row in outcomes if row["event_name"] == "click"}
    for row in exposures:
        unit = units.get(row["unit_id"])
        if unit is None or not unit.first <= row["event_ts"] < end or row["module"] != play.module:
            continue
        unit.sums["slates"] += 1
        unit.sums["clicked"] += row["request_id"] in clicked
        unit.sums["fallback"] += row["fallback"]
        unit.sums["latency"] += row["latency_ms"]
        for item in row["items"]:
            offered = [
                each
                for each in stock[item["item_id"]]
                if each["valid_from"] <= row["event_ts"]
                and (not each["valid_to"] or row["event_ts"] < each["valid_to"])
            ]
            assert len(offered) == 1
            unit.sums["shown"] += 1
            unit.sums["out"] += offered[0]["stock"] == 0
    margin = {row["item_id"]: row["margin"] for row in logs.catalogue.to_pylist()}
    sessions: dict[tuple[str, str], list[Row]] = defaultdict(list)
    by_unit: dict[str, list[Row]] = defaultdict(list)
    for row in outcomes:
        by_unit[row["unit_id"]].append(row)
        if row["event_name"] in ("view", "click", "add_to_cart", "purchase"):
            sessions[row["unit_id"], row["session_id"]].append(row)
    for row in exposures:
        sessions[row["unit_id"], row["session_id"]].append(row)
    for (name, _), rows in sessions.items():
        unit, times = units.get(name), [row["event_ts"] for row in rows]
        if unit and unit.first <= max(times) and min(times) < end:
            did = {row.get("event_name") for row in rows}
            unit.sums["sessions"] += 1
            unit.sums["carts"] += "add_to_cart" in did
            unit.sums["abandoned"] += "add_to_cart" in did and "purchase" not in did
    for name, unit in units.items():
        _lines(unit, by_unit[name], margin, end)
    return list(units.values())


def _lines(unit: Unit, rows: list[Row], margin: Mapping[str, int], end: datetime) -> None:
    first_day = unit.first.date()
    cancelled = {row["order_id"] for row in rows if row["event_name"] == "cancel"}
    refunds = {(row["order_id"], row["item_id"]): row for row in rows if row["event_name"] == "refund"}
    for row in rows:
        if row["event_name"] != "purchase":
            continue
        day, category = row["event_ts"].date(), row["item_id"].partition("-")[0]
        if 0 < (first_day - day).days <= 28:
            unit.spent_before[category] += row["value"]
        if not unit.first <= row["event_ts"] < end:
            continue
        owner = "(direct)"
        for click in rows:
            since = row["event_ts"] - click["event_ts"]
            if (
                click["event_name"] == "click"
                and click["event_ts"] >= unit.first
                and timedelta(0) <= since <= timedelta(7)
            ):
                owner = click["module"] or "(search)"
        back = refunds.get((row["order_id"], row["item_id"]))
        in_time = back is not None and (back["event_ts"].date() - day).days <= 14
        refunded = back["value"] if back is not None and in_time else 0
        gone = row["order_id"] in cancelled
        facts = {
            "order": row["order_id"],
            "value": row["value"],
            "net": 0 if gone else row["value"] - refunded,
            "margin": margin[row["item_id"]] * row["quantity"],
            "pieces": row["quantity"],
            "discount": row["discount"],
            "returned": int(in_time),
            "refunded": refunded,
            "cancelled": int(gone),
        }
        unit.lines.append((category, owner, facts))


def metrics(units: list[Unit], keep: Callable[[str, str], bool] = lambda *_: True) -> dict[str, float]:
    """Metrics of these units, their lines cut by category and owner; those of slates and sessions are not cut."""
    lines = [
        (i, facts) for i, unit in enumerate(units) for category, owner, facts in unit.lines if keep(category, owner)
    ]
    n, total = len(units), {key: sum(facts[key] for _, facts in lines) for key in ("value", "net", "margin", "pieces",
        "discount", "returned", "refunded", "cancelled")}  # fmt: skip
    sums = {key: sum(unit.sums[key] for unit in units) for key in ("slates", "clicked", "fallback", "latency", "shown",
        "out", "sessions", "carts", "abandoned")}  # fmt: skip
    orders = len({facts["order"] for _, facts in lines})
    parts = {
        "revenue_per_unit": (total["value"], n),
        "net_revenue_per_unit": (total["net"], n),
        "margin_per_unit": (total["margin"], n),
        "orders_per_unit": (orders, n),
        "conversion": (len({i for i, _ in lines}), n),
        "aov": (total["value"], orders),
        "items_per_order": (total["pieces"], orders),
        "return_rate": (total["returned"], len(lines)),
        "return_value_rate": (total["refunded"], total["value"]),
        "cancellation_rate": (total["cancelled"], len(lines)),
        "discount_share": (total["discount"], total["value"]),
        "sessions_per_unit": (sums["sessions"], n),
        "revenue_per_session": (total["value"], sums["sessions"]),
        "revenue_per_slate": (total["value"], sums["slates"]),
        "ctr": (sums["clicked"], sums["slates"]),
        "add_to_cart_rate": (sums["carts"], sums["sessions"]),
        "cart_abandonment_rate": (sums["abandoned"], sums["carts"]),
        "oos_shown_rate": (sums["out"], sums["shown"]),
        "fallback_rate": (sums["fallback"], sums["slates"]),
        "latency_per_slate": (sums["latency"], sums["slates"]),
    }
    return {key: top / bottom for key, (top, bottom) in parts.items() if bottom}


def affinity(unit: Unit) -> str:
    spent = unit.spent_before
    return max(sorted(spent), key=lambda key: spent[key]) if spent else "(none)"


CONTEXTS: Mapping[str, Callable[[Unit], object]] = {
    "device": lambda unit: unit.exposure["platform"],
    "browser": lambda unit: unit.exposure["browser"],
    "first_page_category": lambda unit: unit.exposure["page_category"],
    "bought_before": lambda unit: "Returning" if unit.spent_before else "New",
    "affinity": affinity,
}


def _cut(units: list[Unit], cell: TrueLift) -> tuple[list[Unit], Callable[[str, str], bool]]:
    if cell.slice in CONTEXTS:
        group = CONTEXTS[str(cell.slice)]
        return [unit for unit in units if group(unit) == cell.value], lambda *_: True
    place = {"item_category": 0, "module": 1}.get(cell.slice or "")
    return units, lambda *line: place is None or line[place] == cell.value


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.key)
def test_the_truth_is_what_two_full_plays_count(play: Play) -> None:
    """Every metric and cell, both worlds, to the last bit but for one division."""
    (arm,) = play.treatments
    compared = 0
    for side, name in (("control", "control"), ("treatment", arm)):
        logs = simulate(PLAN, others(play.key, name))
        units, truth = recount(logs, play), logs.truth[play.key]
        assert truth.units == len(units) > 100
        for each in truth.lifts:
            if each.method == "analytic":
                continue
            found = metrics(*_cut(units, each))
            known = getattr(each, side)
            assert known == pytest.approx(found.get(each.metric), rel=1e-12), (each.metric, each.slice, each.value)
            compared += known is not None
    assert compared > 500


def test_context_cells_hold_every_unit() -> None:
    play = PLAYS[1]
    logs = simulate(PLAN, others(play.key, "new"))
    units = recount(logs, play)
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
