"""SH-14: do outcomes fit what was shown and each other; refunds an order, clicks a slot, orders one unit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from analysis import words
from analysis.health.findings import DATA_TEAM, NOT_RUN, Evidence, Finding, Row, Sheet, rate, summed, worst
from analysis.health.thresholds import MIN_ROWS, THRESHOLDS
from analysis.readout import CheckState, Figure
from analysis.words import health as said
from analysis.words import signals
from experiments.spec import Fact

CONSISTENCY = Sheet(
    "SH-14", "Outcomes fit together", blocking=False, sql="returns_unlinked", owner=DATA_TEAM,
    judged={"unlinked_rate": "unlinked_returns", "not_shown": "clicks_not_shown", "shared": "orders_shared"},
    more_sql=("clicks_not_shown", "orders_shared"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    state: CheckState
    sentence: str
    figures: Mapping[str, Figure]
    hold: tuple[str, str, frozenset[str]] | None = None  # cause, fix, metrics


def consistency(given: Evidence) -> Finding:
    """SH-14: returns match an order, clicks an item that was shown, and each order belongs to one unit.

    Shared orders hold the money, clicks on what was not shown hold the metrics of clicks; unmatched returns are used by
    no metric and hold nothing. Told of all arms together: what came back by arm is an outcome, and a withheld readout
    shows none.
    """
    parts = [part for part in (_returns(given), _clicks(given), _orders(given)) if part is not None]
    if not parts:
        asked = ("returns_unlinked", "clicks_not_shown", "orders_shared")
        if all(given.of(name) is None for name in asked):
            return CONSISTENCY.unknown(NOT_RUN)
        return CONSISTENCY.not_applicable("no return is logged, and too few clicks and orders to compare")
    state = worst(part.state for part in parts)
    told = [part for part in parts if part.state == state] if state != "pass" else parts
    holds = [part.hold for part in parts if part.hold is not None and part.state == "fail"]
    hold = None
    if holds:
        causes, fixes = words.listed([cause for cause, _, _ in holds]), words.listed([fix for _, fix, _ in holds])
        hold = CONSISTENCY.holding(causes, fixes, metrics=frozenset().union(*(metrics for _, _, metrics in holds)))
    figures = {name: value for part in parts for name, value in part.figures.items()}
    groups = [dict(part.figures) for part in parts if part.state != "pass"]
    return CONSISTENCY.finding(
        state, " ".join(part.sentence for part in told), figures=figures, groups=groups, hold=hold
    )


def _returns(given: Evidence) -> _Part | None:
    rows = given.of("returns_unlinked") or ()
    count, unlinked = summed(rows, "returns"), summed(rows, "unlinked")
    if count == 0:
        return None
    found = rate(unlinked, count)
    figures: dict[str, Figure] = {"returns": count, "unlinked": unlinked, "unlinked_rate": found}
    return _Part(THRESHOLDS["unlinked_returns"].state(found), said.returns_linked(count, unlinked), figures)


def _clicks(given: Evidence) -> _Part | None:
    rows = given.of("clicks_not_shown") or ()
    clicks = summed(rows, "clicks")
    if clicks < MIN_ROWS or max(_whole(rows, "items_logged")) == 0:
        return None
    missing = rate(summed(rows, "not_shown"), clicks)
    figures: dict[str, Figure] = {"clicks": clicks, "not_shown": missing}
    hold = (signals.clicks_cause(missing), signals.CLICKS_FIX, _metrics(given, _counts_clicks))
    state = THRESHOLDS["clicks_not_shown"].state(missing)
    return _Part(state, signals.clicks_shown(missing), figures, hold)


def _orders(given: Evidence) -> _Part | None:
    rows = given.of("orders_shared") or ()
    orders = summed(rows, "orders")
    if orders < MIN_ROWS:
        return None
    shared = rate(summed(rows, "shared"), orders)
    hold = (signals.orders_cause(shared), signals.ORDERS_FIX, _metrics(given, _counts_orders))
    state = THRESHOLDS["orders_shared"].state(shared)
    return _Part(state, signals.orders_shared(shared), {"orders": orders, "shared": shared}, hold)


def _whole(rows: Iterable[Row], column: str) -> list[int]:
    return [summed((row,), column) for row in rows]


def _metrics(given: Evidence, concerned: Callable[[Fact], bool]) -> frozenset[str]:
    """The metrics of which a fact is concerned."""
    return frozenset(
        key
        for key, metric in given.metrics.items()
        if any(concerned(fact) for fact in (metric.numerator, metric.denominator) if fact is not None)
    )


def _counts_clicks(fact: Fact) -> bool:
    named = fact.where.get("event_name")
    return bool({"clicked", "has_click"} & set(fact.columns())) or (
        fact.source == "interactions" and "click" in (named if isinstance(named, list) else [named])
    )


def _counts_orders(fact: Fact) -> bool:
    return fact.source == "order_lines"
