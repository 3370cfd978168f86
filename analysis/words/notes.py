"""What stands beside the numbers: notes, warnings, slices, and the three questions."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

from analysis.words import amount, day, figures, inside, listed, sentence_case, units, whole

# --- the three questions ---------------------------------------------------------------------------------

NO_HOLDOUT = (
    "What would have happened anyway cannot be answered: no arm goes without recommendations. Create a 5% holdout."
)
OTHER_COMPARATOR = {
    "non_personalised": "What would have happened anyway cannot be answered: who is held out meets recommendations, "
    "not personalised ones. The change is what personalisation adds.",
    "champion": "What would have happened anyway cannot be answered: who is held out meets the champion. The change "
    "is what everything new adds to it.",
}
NOT_COMPUTED = "This version does not answer it yet, although the experiment could."
SEGMENTS_IN_SLICES = "Where it helps and where it hurts stands in the slices, each with its range."
NO_COST_RATES = (
    "What it costs cannot be answered: no arm names its cost per 1,000 recommendations, with source and date."
)


def anyway(name: str, share: float, low: float | None, high: float | None) -> str:
    """What is there without recommendations too, as a share of what is there with them."""
    shown = figures(share, low, high, unit="share", signs="minus")
    return f"Of {inside(name)}, {shown.est} ({shown.between}) would have happened anyway, without recommendations."


def anyway_unknown(name: str) -> str:
    """The holdout has no lift yet."""
    return f"What would have happened anyway is not known yet: {inside(name)} has no range."


# --- notes beside numbers --------------------------------------------------------------------------------


def unripe(first: date) -> str:
    """Nothing is old enough yet. A cause without a full stop."""
    return f"its first data mature on {day(first)}"


THINGS = {
    "slates": "slot", "items_shown": "shown item", "items_stock_known": "stock level", "clicked": "click",
    "items_out_of_stock": "out-of-stock item", "latency_ms": "latency", "is_fallback": "use of the fallback",
    "cost_micros": "cost", "interactions": "click or view", "event_name": "click or view", "dwell_ms": "dwell time",
    "item_out_of_stock": "stock level of a clicked item", "order_lines": "order", "order_id": "order",
    "quantity": "quantity", "value": "order value", "net_value": "order value", "margin": "margin",
    "net_margin": "margin", "discount": "discount", "returned_value": "return", "is_returned": "return",
    "is_cancelled": "cancellation", "sessions": "session", "has_click": "click", "has_add_to_cart": "add-to-cart",
    "has_order": "order",
}  # fmt: skip
"""What is missing when a metric's source, or a column of it, has nothing."""


def not_logged(source: str, columns: Sequence[str], arms: Sequence[str] = ()) -> str:
    """`no latency is logged`, `no click is logged in control`. A cause without a full stop."""
    thing = THINGS[columns[-1] if columns else source]
    return f"no {thing} is logged" + (f" in {listed(arms)}" if arms else "")


def adjusted(reduction: float, saved: int, unit_type: str) -> str:
    """What looking at earlier behaviour gained."""
    if reduction < 0.01:
        return f"What {units(unit_type)} did before says next to nothing about this metric: the gain is negligible."
    gain = f"What {units(unit_type)} did before takes {amount(round(reduction, 2), unit='share')} of the noise away"
    return f"{gain}, worth about {saved} day{'' if saved == 1 else 's'} of data." if saved else f"{gain}."


def variance_cut(reduction: float) -> str:
    """The same as a note beside a number."""
    if reduction < 0.01:
        return "variance cut by less than 1%" if reduction > 0 else "variance not cut at all"
    return f"variance cut by {amount(round(reduction, 2), unit='share')}"


def planned_units_assumed(planned: int, unit_type: str) -> str:
    """n* was nobody's plan."""
    who = units(unit_type)
    return f"Nobody planned how many {who} this takes; {whole(planned)} are assumed, which sets how wide ranges are."


def variance_floored(name: str, arm: str, unit_type: str) -> str:
    """STATISTICS 4, unequal arms."""
    return (
        f"{name}: {arm} and control differ more than 2 to 1 in size and the smaller has few {units(unit_type)} that "
        "count, so its spread is taken to be at least the larger one's."
    )


def partly_held(labels: Sequence[str], dimensions: Sequence[str], cause: str, owner: str, fix: str) -> str:
    """A check holds some metrics or views, not all."""
    shown = [*labels, *(f"views by {spoken(dimension)}" for dimension in dimensions)]
    what = listed(shown) if shown else "Nothing of this experiment"
    return f"{what}: not shown, because {cause}. The {owner} must {fix}."


# --- slices ----------------------------------------------------------------------------------------------

FLAGS = ("gain", "loss", "no_material_effect", "noise", "more_data")
SLICE_LABELS = {
    "first_module": "Module of the first exposure",
    "first_page_category": "Page category of the first exposure",
    "first_module_page_category": "Module × page category of the first exposure",
    "module": "Module",
    "item_category": "Category bought",
    "page_category": "Page category",
    "module_item_category": "Module × category bought",
    "module_page_category": "Module × page category",
}


def spoken(key: str) -> str:
    """item_category: item category."""
    return key.replace("_", " ")


def slice_label(key: str) -> str:
    """A slice's name for readers."""
    return SLICE_LABELS.get(key, sentence_case(spoken(key)))


def slice_held(cause: str) -> str:
    """A failing check holds the slice."""
    return f"Not shown: {cause}."


def slice_method(kind: Literal["context", "decomposition"], *, shrunk: bool) -> str:
    """How the cells are to be read."""
    if kind == "decomposition":
        return (
            "Parts add up to the total, their ranges do not: each is wide enough that all of them hold at once. No "
            "part is drawn towards the others."
        )
    if shrunk:
        return (
            "Estimates are drawn towards each other as far as chance explains their spread, so they do not add up to "
            "the total."
        )
    return "Ranges hold for all cells at once."


def slice_flags(name: str, counted: Mapping[str, int]) -> str:
    """'Revenue per user: of 20 cells 2 gain, 1 loses, 12 are noise and 5 need more data.'"""
    forms = {
        "gain": ("gains", "gain"),
        "loss": ("loses", "lose"),
        "no_material_effect": ("hardly differs", "hardly differ"),
        "noise": ("is noise", "are noise"),
        "more_data": ("needs more data", "need more data"),
    }
    said = [f"{n} {forms[flag][0 if n == 1 else 1]}" for flag, n in counted.items() if n]
    total = sum(counted.values())
    return f"{name}: of {total} cell{'' if total == 1 else 's'} {listed(said)}." if said else f"{name}: no cell yet."


# --- method ----------------------------------------------------------------------------------------------


def method(design: Literal["always_valid", "fixed"], level: str, mode: Literal["running", "finished"]) -> str:
    """How the ranges were made, in two sentences."""
    ranges = f"Ranges hold the truth in about {level} of runs"
    if design == "fixed" and mode == "finished":
        ranges += ", for the one reading at the planned end."
    else:
        ranges += ", on every day they are looked at."
    return f"{ranges} Changes compare means that are adjusted for what units did before their first exposure."
