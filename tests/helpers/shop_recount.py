"""A simulated shop's truth counted once more, from the rows of its logs and in plain Python."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from experiments.simulator.generator import Logs
from experiments.simulator.plan import Plan, Play
from experiments.simulator.truth import TrueLift

Row = Mapping[str, Any]


@dataclass
class Unit:
    """What an exposed unit did."""

    first: datetime
    exposure: Row
    sums: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # category, owner, facts
    spent_before: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def recount(logs: Logs, plan: Plan, play: Play) -> list[Unit]:
    """Facts of every exposed unit, from rows alone."""
    end = plan.midnight(plan.run_days)
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
            unit.sums["shown"] += 1
            unit.sums["out"] += _stock(stock[item["item_id"]], row["event_ts"]) == 0
    for row in outcomes:
        unit = units.get(row["unit_id"])
        here = row["event_name"] == "click" and row["module"] == play.module
        if unit and here and unit.first <= row["event_ts"] < end:
            unit.sums["clicks"] += 1
            unit.sums["clicks_out"] += _stock(stock[row["item_id"]], row["event_ts"]) == 0
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


def _stock(offered: list[Row], at: datetime) -> int:
    """What the catalogue says of an item at a time."""
    (then,) = (each for each in offered if each["valid_from"] <= at and (not each["valid_to"] or at < each["valid_to"]))
    return int(then["stock"])


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
        "out", "clicks", "clicks_out", "sessions", "carts", "abandoned")}  # fmt: skip
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
        "oos_click_rate": (sums["clicks_out"], sums["clicks"]),
        "fallback_rate": (sums["fallback"], sums["slates"]),
        "latency_per_slate": (sums["latency"], sums["slates"]),
    }
    return {key: top / bottom for key, (top, bottom) in parts.items() if bottom}


def affinity(unit: Unit) -> str:
    """The category most was spent on before."""
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


def compare(logs: Logs, plan: Plan, play: Play, arm: str, side: Literal["control", "treatment"]) -> int:
    """Assert that one side of an arm's truth is what these logs, of everybody in it, hold; how many it has."""
    units, truth, compared = recount(logs, plan, play), logs.truth[play.key], 0
    assert truth.units == len(units)
    for each in truth.lifts:
        if each.method == "analytic" or each.arm != arm:
            continue
        found, known = metrics(*_cut(units, each)), getattr(each, side)
        where = (each.metric, each.slice, each.value)
        if known is None:
            assert each.metric not in found, where
            continue
        assert known == pytest.approx(found[each.metric], rel=1e-12), where
        compared += 1
    return compared
