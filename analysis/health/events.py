"""Checks of what happened: are the events there, in order, and joined to catalogue and orders."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis import words
from analysis.health.findings import (
    DATA_TEAM,
    NOT_RUN,
    WEB_TEAM,
    Evidence,
    Finding,
    Row,
    Sheet,
    rate,
    summed,
    text,
    whole,
    worst,
)
from analysis.health.thresholds import (
    BASELINE_DAYS,
    DROP_Z,
    MIN_ROWS,
    MIN_VIEWS,
    OTHERS_STEADY,
    THRESHOLDS,
)
from analysis.readout import CheckState, Figure
from analysis.verdict import Hold
from analysis.words import health as said
from experiments.spec import Fact, Metric

ADD_TO_CART = Sheet(
    "SH-02", "Missing add-to-cart", blocking=False, sql="missing_add_to_cart", owner=WEB_TEAM,
    judged={"largest_drop": "add_to_cart_drop"},
)  # fmt: skip
CATALOGUE = Sheet(
    "SH-03", "Catalogue join", blocking=False, sql="catalogue_join", owner=DATA_TEAM,
    judged={"found": "catalogue_join", "found_by_spelling": "catalogue_id_gap"},
)  # fmt: skip
ORDER = Sheet(
    "SH-08", "Order of events", blocking=False, sql="order_of_events", owner=WEB_TEAM,
    judged={
        "clicks_before_exposure": "clicks_before_exposure", "unexposed": "purchases_unexposed",
        "growth": "unexposed_growth",
    },
)  # fmt: skip
CONTRACT = Sheet(
    "contract", "Rows keep the contract", blocking=False, sql="rejected_rows", owner=DATA_TEAM,
    judged={"rate": "rejected"},
)  # fmt: skip


# --- SH-02 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BrowserDay:
    """One browser on one day, and the days of it and of the other browsers it is held against."""

    browser: str
    day: str
    views: int
    add_to_carts: int
    change: float  # against what its own last days and the other browsers' change let expect
    z: float
    others: float | None  # change of the other browsers on that day; None when there are none
    state: CheckState

    def figures(self) -> dict[str, Figure]:
        """For the readout."""
        return {
            "browser": self.browser,
            "day": self.day,
            "views": self.views,
            "add_to_carts": self.add_to_carts,
            "change": self.change,
            "z": self.z,
            "others": self.others,
        }


def add_to_cart(given: Evidence) -> Finding:
    """SH-02: add-to-carts a view fell on one browser while the others held; holds the metrics that count them."""
    rows = given.of("missing_add_to_cart")
    if rows is None:
        return ADD_TO_CART.unknown(NOT_RUN)
    if summed(rows, "add_to_carts") == 0:
        return ADD_TO_CART.not_applicable("no add-to-cart is logged")
    held = frozenset(key for key, metric in given.metrics.items() if _counts_add_to_carts(metric))
    never = _never_logged(rows)
    if never is not None:
        cause = said.add_to_cart_never(*never)
        hold = ADD_TO_CART.holding(cause, said.ADD_TO_CART_FIX, metrics=held)
        return ADD_TO_CART.finding(
            "fail", words.sentence_case(f"{cause}."), figures={"orders": never[1]}, hold=hold,
            browsers={text(row, "browser"): "fail" if text(row, "browser") == never[0] else "unknown" for row in rows},
        )  # fmt: skip
    days = _browser_days(rows)
    browsers: dict[str, CheckState] = {text(row, "browser"): "unknown" for row in rows}
    browsers |= {name: worst(day.state for day in days if day.browser == name) for name in {d.browser for d in days}}
    if not days:
        return ADD_TO_CART.unknown(f"no browser has {MIN_VIEWS} views on a day and on its days before")
    figures: dict[str, Figure] = {
        "browsers": len({d.browser for d in days}),
        "browser_days": len(days),
        "largest_drop": min(d.change for d in days),
    }
    state = worst(day.state for day in days)
    if state == "pass":
        steady = said.add_to_cart_steady(len({d.browser for d in days}))
        return ADD_TO_CART.finding(state, steady, figures=figures, browsers=browsers)
    bad = sorted((d for d in days if d.state == state), key=lambda d: (d.day, d.browser))
    cause = said.add_to_cart_missing(bad[0].browser, bad[0].day, bad[0].change)
    return ADD_TO_CART.finding(
        state,
        words.sentence_case(f"{cause}."),
        figures=figures,
        groups=(day.figures() for day in bad),
        since=bad[0].day,
        browsers=browsers,
        hold=ADD_TO_CART.holding(cause, said.ADD_TO_CART_FIX, metrics=held) if state == "fail" else None,
    )


def _counts_add_to_carts(metric: Metric) -> bool:
    facts = (metric.numerator,) if metric.denominator is None else (metric.numerator, metric.denominator)
    return any(_names_add_to_cart(fact) for fact in facts)


def _names_add_to_cart(fact: Fact) -> bool:
    if "has_add_to_cart" in fact.columns():
        return True
    named = fact.where.get("event_name")
    return fact.source == "interactions" and "add_to_cart" in (named if isinstance(named, list) else [named])


def _never_logged(rows: Sequence[Row]) -> tuple[str, int] | None:
    """A browser with views enough and orders, but not one add-to-cart, while other browsers have them."""
    for browser in sorted({text(row, "browser") for row in rows}):
        own = [row for row in rows if text(row, "browser") == browser]
        others = [row for row in rows if text(row, "browser") != browser]
        orders, views = summed(own, "purchases"), summed(own, "views")
        expected = views * rate(summed(others, "add_to_carts"), summed(others, "views"))
        if summed(own, "add_to_carts") == 0 and orders > 0 and views >= MIN_VIEWS and -math.sqrt(expected) < DROP_Z:
            return browser, orders
    return None


def _browser_days(rows: Sequence[Row]) -> list[BrowserDay]:
    """Every day of the run on which a browser has views enough, today and on its last seven logged days."""
    days: list[BrowserDay] = []
    table = {(text(row, "browser"), text(row, "event_day")): row for row in rows}
    for (browser, day), row in table.items():
        own = _last_days(table, {browser}, day)
        if not row.get("in_run") or whole(row, "views") < MIN_VIEWS or summed(own, "views") < MIN_VIEWS:
            continue
        before = rate(summed(own, "add_to_carts"), summed(own, "views"))
        if before > 0:
            days.append(_browser_day(browser, day, row, before, _others_change(table, browser, day)))
    return days


def _browser_day(browser: str, day: str, row: Row, before: float, others: float | None) -> BrowserDay:
    views, found = whole(row, "views"), whole(row, "add_to_carts")
    steady = min(1.0, 1 + (others or 0.0))  # a bad day of all browsers is not this browser's fault
    expected = min(before * steady, 1.0)
    change = rate(found, views) / expected - 1 if expected > 0 else 0.0
    spread = math.sqrt(views * expected * (1 - expected))
    z = (found - views * expected) / spread if spread > 0 else 0.0
    alone = others is None or others > OTHERS_STEADY
    state = THRESHOLDS["add_to_cart_drop"].state(change) if alone and z < DROP_Z else "pass"
    return BrowserDay(browser, day, views, found, change, z, others, state)


def _others_change(table: Mapping[tuple[str, str], Row], browser: str, day: str) -> float | None:
    """How the other browsers' add-to-carts a view changed on that day; None without 500 views on both sides."""
    others = {name for name, _ in table if name != browser}
    today = [row for (name, when), row in table.items() if name in others and when == day]
    earlier = _last_days(table, others, day)
    if min(summed(today, "views"), summed(earlier, "views")) < MIN_VIEWS:
        return None
    before = rate(summed(earlier, "add_to_carts"), summed(earlier, "views"))
    return rate(summed(today, "add_to_carts"), summed(today, "views")) / before - 1 if before > 0 else None


def _last_days(table: Mapping[tuple[str, str], Row], browsers: Iterable[str], day: str) -> list[Row]:
    """Rows of the browsers' last seven logged days before `day`."""
    named = set(browsers)
    days = sorted({when for name, when in table if name in named and when < day})[-BASELINE_DAYS:]
    return [row for (name, when), row in table.items() if name in named and when in days]


# --- SH-03 -----------------------------------------------------------------------------------------------


def catalogue_join(given: Evidence) -> Finding:
    """SH-03: logged items in the catalogue of their time; holds the views by item category."""
    rows = given.of("catalogue_join")
    if rows is None:
        return CATALOGUE.unknown(NOT_RUN)
    if max((whole(row, "catalogue_rows") for row in rows), default=0) == 0:
        return CATALOGUE.not_applicable("no catalogue is loaded")
    items = summed(rows, "items")
    if items < MIN_ROWS:
        return CATALOGUE.unknown(said.too_few(items, MIN_ROWS, "rows with an item"))
    found, normalised = rate(summed(rows, "found"), items), rate(summed(rows, "found_normalised"), items)
    gap = normalised - found
    figures: dict[str, Figure] = {
        "found": found, "found_normalised": normalised, "found_by_spelling": gap, "items": items
    }  # fmt: skip
    state = worst(
        (THRESHOLDS["catalogue_join"].state(found), THRESHOLDS["catalogue_id_gap"].state(gap)),
    )
    if state == "pass":
        return CATALOGUE.finding(state, said.catalogue_joined(found), figures=figures)
    cause = said.catalogue_gap(found, normalised)
    hold = Hold(CATALOGUE.id, cause, CATALOGUE.owner, said.CATALOGUE_FIX, frozenset(), frozenset({"item_category"}))
    return CATALOGUE.finding(
        state,
        words.sentence_case(f"{cause}."),
        figures=figures,
        groups=[dict(row) for row in rows],
        hold=hold if state == "fail" else None,
    )


# --- SH-08 -----------------------------------------------------------------------------------------------


def order_of_events(given: Evidence) -> Finding:
    """SH-08: clicks before any exposure cannot be; purchases without one may, but must not grow. Never withholds."""
    rows = given.of("order_of_events")
    if rows is None:
        return ORDER.unknown(NOT_RUN)
    clicks, purchases = summed(rows, "clicks"), summed(rows, "purchases")
    if max(clicks, purchases) < MIN_ROWS:
        return ORDER.unknown(said.too_few(max(clicks, purchases), MIN_ROWS, "clicks or purchases"))
    before = rate(summed(rows, "clicks_before_exposure"), clicks)
    unexposed = rate(summed(rows, "purchases_unexposed"), purchases)
    growth = _growth(sorted(rows, key=lambda row: text(row, "event_day")))
    figures: dict[str, Figure] = {"clicks_before_exposure": before, "unexposed": unexposed, "growth": growth}
    states: list[CheckState] = []
    if clicks >= MIN_ROWS:
        states.append(THRESHOLDS["clicks_before_exposure"].state(before))
    if purchases >= MIN_ROWS:
        states.append(THRESHOLDS["purchases_unexposed"].state(unexposed))
    if growth is not None:
        states.append(THRESHOLDS["unexposed_growth"].state(growth))
    state = worst(states) if states else "pass"
    groups = [] if state == "pass" else [dict(row) for row in rows]
    few = {"clicks_before_exposure": clicks, "unexposed": purchases}
    return ORDER.finding(
        state, said.order_of_events(before, unexposed), figures=figures, groups=groups,
        unjudged=[name for name, count in few.items() if count < MIN_ROWS],
    )  # fmt: skip


def _growth(rows: Sequence[Row]) -> float | None:
    """Change of the unexposed share of purchases, last seven days against all before; None with too few."""
    late, early = rows[-BASELINE_DAYS:], rows[:-BASELINE_DAYS]
    if min(summed(late, "purchases"), summed(early, "purchases")) < MIN_ROWS:
        return None
    before = rate(summed(early, "purchases_unexposed"), summed(early, "purchases"))
    now = rate(summed(late, "purchases_unexposed"), summed(late, "purchases"))
    n = summed(late, "purchases")
    clear = abs(now - before) * n > -DROP_Z * math.sqrt(n * before * (1 - before))
    return now / before - 1 if before > 0 and clear else 0.0


# --- the contract ----------------------------------------------------------------------------------------


def contract(given: Evidence) -> Finding:
    """Rows the contract refused, by reason: kept aside, never repaired. Never withholds."""
    rows = given.of("rejected_rows")
    if rows is None:
        return CONTRACT.unknown(NOT_RUN)
    loaded = max((whole(row, "rows_read") for row in rows), default=0)
    if loaded == 0:
        return CONTRACT.unknown("no load is recorded")
    refused = max((whole(row, "rows_rejected") for row in rows), default=0)
    found = rate(refused, loaded)
    state = THRESHOLDS["rejected"].state(found)
    reasons = list(dict.fromkeys(text(row, "reason") for row in rows if row.get("reason") is not None))
    sentence = said.rejected(found, refused, reasons)
    figures: dict[str, Figure] = {"rejected": refused, "read": loaded, "rate": found}
    return CONTRACT.finding(state, sentence, figures=figures, groups=[dict(row) for row in rows if refused])
