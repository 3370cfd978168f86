"""Checks of the catalogue beside the logs: is the stock of what was shown known, are the fields filled."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis import words
from analysis.health.findings import DATA_TEAM, NOT_RUN, Evidence, Finding, Sheet, rate, summed, whole, worst
from analysis.health.thresholds import MIN_ROWS, THRESHOLDS
from analysis.readout import CheckState, Figure
from analysis.verdict import Hold
from analysis.words import health as said
from analysis.words import signals
from experiments.spec import Metric

STOCK = Sheet(
    "SH-17", "Stock of what was shown", blocking=False, sql="stock_known", owner=DATA_TEAM,
    judged={"known": "stock_known", "catalogue_hours_old": "catalogue_hours"},
)  # fmt: skip
FIELDS = Sheet(
    "SH-19", "Catalogue and margins are complete", blocking=False, sql="catalogue_fields", owner=DATA_TEAM,
    judged={"lines_with_margin": "margin_coverage", "least_known": "catalogue_field"}, more_sql=("margin_coverage",),
)  # fmt: skip
NAMES = ("price", "margin", "stock", "category", "variant_group")
COLUMNS = frozenset({"items_out_of_stock", "items_stock_known", "item_out_of_stock"})


def stock_known(given: Evidence) -> Finding:
    """SH-17: shown items whose stock is known, and the age of the catalogue; holds the out-of-stock metrics."""
    rows = given.of("stock_known")
    if rows is None:
        return STOCK.unknown(NOT_RUN)
    shown = summed(rows, "items_shown")
    ages = [whole(row, "catalogue_minutes_old") for row in rows if row.get("catalogue_minutes_old") is not None]
    if shown == 0 or not ages:
        return STOCK.not_applicable("no item of a slot is logged" if shown == 0 else "no catalogue is loaded")
    if shown < MIN_ROWS:
        return STOCK.unknown(said.too_few(shown, MIN_ROWS, "shown items"))
    known, hours = rate(summed(rows, "items_stock_known"), shown), max(ages) / 60
    if known == 0:
        return STOCK.not_applicable("the catalogue gives no stock")
    figures: dict[str, Figure] = {"known": known, "catalogue_hours_old": hours}
    by_share, by_age = THRESHOLDS["stock_known"].state(known), THRESHOLDS["catalogue_hours"].state(hours)
    state = worst((by_share, by_age))
    of_age = by_age == state != by_share
    sentence = signals.catalogue_age(hours) if of_age else signals.stock_known(known)
    groups = () if state == "pass" else [dict(row) for row in rows]
    if state != "fail":
        return STOCK.finding(state, sentence, figures=figures, groups=groups)
    cause = signals.age_cause(hours) if of_age else signals.stock_cause(known)
    held = frozenset(key for key, metric in given.metrics.items() if _looks_at_stock(metric))
    hold = STOCK.holding(cause, signals.STOCK_FIX, metrics=held)
    return STOCK.finding(state, words.sentence_case(f"{cause}."), figures=figures, groups=groups, hold=hold)


def _looks_at_stock(metric: Metric) -> bool:
    facts = (metric.numerator,) if metric.denominator is None else (metric.numerator, metric.denominator)
    return any(COLUMNS & set(fact.columns()) for fact in facts)


def completeness(given: Evidence) -> Finding:
    """SH-19: items on offer with each field the catalogue gives, and order lines with a margin."""
    parts = [part for part in (_margins(given), _fields(given)) if part is not None]
    if not parts:
        if given.of("catalogue_fields") is None:
            return FIELDS.unknown(NOT_RUN)
        return FIELDS.not_applicable("no catalogue is loaded, and no order line of a metric that adds margins")
    state = worst(part.state for part in parts)
    figures = {name: value for part in parts for name, value in part.figures.items()}
    sentence = " ".join(part.sentence for part in parts)
    return FIELDS.finding(state, sentence, figures=figures, hold=next((p.hold for p in parts if p.hold), None))


@dataclass(frozen=True, slots=True)
class _Part:
    state: CheckState
    sentence: str
    figures: Mapping[str, Figure]
    hold: Hold | None = None


def _margins(given: Evidence) -> _Part | None:
    """Order lines with a margin, where a metric adds margins up."""
    held = frozenset(key for key, metric in given.metrics.items() if _adds_margins(metric))
    rows = given.of("margin_coverage") or ()
    lines = summed(rows, "lines")
    if not held or lines == 0:
        return None
    known = rate(summed(rows, "lines_with_margin"), lines)
    state = THRESHOLDS["margin_coverage"].state(known)
    figures: dict[str, Figure] = {"lines_with_margin": known, "lines": lines}
    if state != "fail":
        return _Part(state, said.margin_known(known), figures)
    cause = said.margin_missing(known)
    hold = FIELDS.holding(cause, said.MARGIN_FIX, metrics=held)
    return _Part(state, words.sentence_case(f"{cause}."), figures, hold)


def _fields(given: Evidence) -> _Part | None:
    """Fields of the items on offer; one that no item has is not given, and not missed."""
    rows = given.of("catalogue_fields") or ()
    items = summed(rows, "items")
    known = [(name, rate(summed(rows, name), items)) for name in NAMES if summed(rows, name) > 0]
    if not known:
        return None
    state = worst(THRESHOLDS["catalogue_field"].state(share) for _, share in known)
    figures: dict[str, Figure] = {"items": items, **dict(known), "least_known": min(share for _, share in known)}
    return _Part(state, signals.fields(known), figures)


def _adds_margins(metric: Metric) -> bool:
    facts = (metric.numerator,) if metric.denominator is None else (metric.numerator, metric.denominator)
    return any(column in ("margin", "net_margin") for fact in facts for column in fact.columns())
