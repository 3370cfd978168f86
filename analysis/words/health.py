"""The sentences of the signal checks: what was found, and what has to be done about it. SIGNALS."""

from collections.abc import Mapping, Sequence
from datetime import date

from analysis import words
from analysis.words import notes

SMALLEST_SHARE, MOST_ODDS = 0.0001, 1_000_000  # printed as they are; what lies beyond is only said to
HEADINGS = {"e": "Odds against the plan", "p": "Chance of it under the plan"}
COLUMNS = {
    "add_to_carts": "Add-to-carts", "others": "Other browsers", "z": "Standard deviations", "event_day": "Day",
    "kind": "Rows", "events": "Came", "item_id": "Item", "most_of_a_unit": "By one visitor", "ahead": "Dated ahead",
    "arrivals": "Rows", "hour_late": "Over an hour late", "day_late": "Over a day late",
    "minute_late": "Over a minute late", "catalogue_minutes_old": "Catalogue row, minutes old",
    "items_stock_known": "Stock known", "not_shown": "Not shown there", "shared": "Of several units",
    "unlinked_rate": "Share without an order", "units_sharing": "Share an id", "psi": "Stability index",
    "js": "Divergence", "moved_most": "Moved most",
}  # fmt: skip
SHARES = ("not_shown", "shared", "unlinked_rate")  # columns of groups
CHANGES = ("change", "others")


def share(value: float) -> str:
    """A share with two digits that tell, none beyond the second decimal: 0.32%, 12.4%, < 0.01%, > 99.9%."""
    if 0 < value < SMALLEST_SHARE:
        return f"< {words.amount(SMALLEST_SHARE, unit='share')}"
    places = 3 if value >= 0.01 else 4
    if value < 1 and round(value, places) == 1:
        return "> 99.9%"
    return words.amount(round(value, places), unit="share")


def portion(value: float, what: str) -> str:
    """A share inside a sentence: `none of the rows`, `under 0.01% of the clicks`, `all of the order lines`."""
    if value in (0, 1):
        return f"{'all' if value else 'none'} of the {what}"
    return f"{share(value).replace('< ', 'under ').replace('> ', 'over ')} of the {what}"


def _only(value: float) -> str:
    return f"only {share(value)}" if value > 0 else "none"


def odds(e: float) -> str:
    """Evidence as a bet: what the data would have paid on a split that is off, `> 1,000,000 to 1`."""
    if e > MOST_ODDS:
        return f"> {words.whole(MOST_ODDS)} to 1"
    return f"{words.whole(round(e))} to 1" if e >= 1 else "none"


def unknown(cause: str) -> str:
    """Too little data is unknown, not a pass."""
    return f"Unknown: {cause}."


def not_applicable(cause: str) -> str:
    """The check has no object here."""
    return f"Not applicable: {cause}."


def too_few(count: int, needed: int, what: str) -> str:
    """Why a check is unknown."""
    return f"{words.whole(count)} {what}, at least {words.whole(needed)} are needed"


# --- SH-01 -----------------------------------------------------------------------------------------------


def split_as_planned(groups: int) -> str:
    """Everything in order, overall and in the groups."""
    also = f", and so is that of {words.whole(groups)} groups" if groups else ""
    return f"The split is the one planned{also}."


def split_off(seen: Sequence[tuple[str, float, float]], group: str | None) -> str:
    """`seen`: (arm, share seen, share planned). A cause without a full stop."""
    parts = [
        f"{arm} has {share(found)} of the units where {share(planned)} were planned" for arm, found, planned in seen
    ]
    where = "" if group is None else f"in the group {words.inside(group)}, "
    return f"{where}{words.listed(parts)}"


def group(dimension: str, values: Sequence[str]) -> str:
    """A group of units as readers know it: `Browser: Safari`."""
    return f"{notes.slice_label(dimension)}: {' × '.join(words.pretty(value) for value in values)}"


SPLIT_FIX = "find the exposures that one arm loses, and repair or restart the run"


# --- SH-02 -----------------------------------------------------------------------------------------------


BROWSERS = {
    "chrome_mobile": "mobile Chrome", "safari_mobile": "mobile Safari", "firefox_mobile": "mobile Firefox",
    "samsung_internet": "Samsung Internet", "in_app_webview": "browsers inside apps", "native_app": "the app",
    "other": "other browsers", "(none)": "an unnamed browser",
}  # fmt: skip


def browser(name: str) -> str:
    """A browser inside a sentence: `mobile Safari`, `Firefox`."""
    return BROWSERS.get(name, words.pretty(name))


def add_to_cart_steady(browsers: int) -> str:
    """Every browser still sends what it used to."""
    kinds = "the one browser" if browsers == 1 else f"all {browsers} browsers"
    return f"Add-to-carts arrive as they used to from {kinds} with enough views."


def add_to_cart_missing(name: str, day: str, drop: float) -> str:
    """A cause without a full stop."""
    when = words.day(date.fromisoformat(day))
    return f"add-to-carts on {browser(name)} fell by {share(abs(drop))} on {when} while other browsers did not"


def add_to_cart_never(name: str, orders: int) -> str:
    """A browser whose add-to-carts were never logged although it orders."""
    return f"no add-to-cart is logged on {browser(name)}, which has {words.whole(orders)} orders"


ADD_TO_CART_FIX = "repair the add-to-cart event of that browser"


# --- SH-03, SH-04 ----------------------------------------------------------------------------------------


def catalogue_joined(found: float) -> str:
    """Items and catalogue fit."""
    return f"{words.sentence_case(portion(found, 'logged items'))} are in the catalogue of their time."


def catalogue_gap(found: float, normalised: float) -> str:
    """A cause without a full stop."""
    if normalised - found >= 0.01:
        ignoring = f"{share(normalised)} if the id's spelling is ignored"
        return f"{_only(found)} of the logged items are in the catalogue, {ignoring}"
    return f"{_only(found)} of the logged items are in the catalogue of their time"


CATALOGUE_FIX = "send the missing catalogue rows, or write item ids in one way"


def duplicates(by_id: float, semantic: float) -> str:
    """How many rows repeat another."""
    kept = " (kept once)" if by_id else ""
    return (
        f"{words.sentence_case(portion(by_id, 'rows'))} came twice under one event id{kept}; "
        f"{portion(semantic, 'slots')} repeat another of the same unit, module and session within 2 seconds."
    )


def unequal(what: str, rates: Sequence[tuple[str, float]]) -> str:
    """A cause without a full stop: a fault that hits one arm more than another."""
    return f"{what} are not equal by arm: {words.listed([f'{share(rate)} in {arm}' for arm, rate in rates])}"


DUPLICATES_FIX = "stop the arm's page from sending a slot twice"


# --- SH-07, SH-08 ----------------------------------------------------------------------------------------


def two_arms(rate: float, count: int, unit_type: str) -> str:
    """How many units were seen in two arms."""
    if count == 0:
        return f"No {unit_type} was seen in more than one arm."
    who = f"1 {unit_type}" if count == 1 else f"{words.whole(count)} {words.units(unit_type)}"
    was = "was seen in more than one arm and is" if count == 1 else "were seen in more than one arm and are"
    return f"{who} ({share(rate)}) {was} left out."


def two_arms_cause(rate: float, unit_type: str) -> str:
    """A cause without a full stop."""
    return f"{share(rate)} of the {words.units(unit_type)} were seen in more than one arm"


TWO_ARMS_FIX = "make the assignment stick to the unit, and restart the run"


def order_of_events(before: float, unexposed: float) -> str:
    """Whether events come in an order that can be."""
    return (
        f"{words.sentence_case(portion(before, 'clicks on the modules'))} come before the unit's first exposure; "
        f"{portion(unexposed, 'purchases')} are by units never exposed."
    )


# --- SH-14, SH-15, SH-16, SH-19, contract ----------------------------------------------------------------


def returns_linked(count: int, unlinked: int) -> str:
    """Refunds and cancels that name an order we know."""
    if unlinked == 0:
        return f"All {words.whole(count)} refunds and cancellations match an order."
    some = f"{words.whole(unlinked)} of {words.whole(count)} refunds and cancellations"
    return f"{some} match no order; no metric uses them."


def alike_before(covariates: int) -> str:
    """Pre-period A/A without a difference."""
    return f"Before their first exposure the arms were alike in {covariates} measure{'' if covariates == 1 else 's'}."


MISMATCH = {
    "null_unit": "no unit id, or one of another kind",
    "unknown_phase": "a phase nobody started",
    "bucket_mismatch": "logged buckets that do not follow from the unit",
    "window_mismatch": "exposures outside the window that their unit names",
    "holdout_mismatch": "held out, or not, against the definition",
    "outside_layer": "a unit outside the experiment's share of its layer",
    "outside_traffic": "let in, or kept out, against the traffic",
    "variant_mismatch": "another arm than the unit belongs to",
    "served_mismatch": "another arm or strategy served than the assigned one",
}


def recomputed(total: int, wrong: Mapping[str, int]) -> str:
    """How many exposures are what the definition gives."""
    if not wrong:
        return f"All {words.whole(total)} exposures are in the arm that the definition gives."
    count = sum(wrong.values())
    most = max(wrong, key=lambda name: wrong[name])
    said = "1 exposure is" if count == 1 else f"{words.whole(count)} exposures are"
    return f"{said} not what the definition gives ({share(count / total)}), most of them: {MISMATCH[most]}."


def recomputed_cause(rate: float) -> str:
    """A cause without a full stop."""
    return f"{share(rate)} of the exposures are not in the arm that the definition gives"


RECOMPUTED_FIX = "find out who served them, with `truelift audit`, and start a new phase"


def held_out_fix(key: str) -> str:
    """The same of a holdout, which has no phases."""
    return (
        f"find out who served them, with `truelift audit {key}`, let every experiment on its modules name the holdout, "
        "and begin another one: what its members met stays"
    )


def members_met_else(found: float, count: int, unit_type: str, where: str) -> str:
    """Members of a holdout that were not held out: a cause without a full stop. `where` most of them were."""
    who = words.units(unit_type)
    return f"{share(found)} of the held-out {who} ({words.whole(count)}) met something else, most of them {where}"


def members(seen: int, elsewhere: int) -> str:
    """The same for the audit."""
    if not elsewhere:
        return f"members seen in its modules: {words.whole(seen)}; none met anything but the holdout's strategy"
    found = share(elsewhere / seen)
    return f"members seen in its modules: {words.whole(seen)}; {words.whole(elsewhere)} ({found}) met something else"


def met_place(experiment: object, reason: str) -> str:
    """What a member met in place of the holdout's strategy: `home_als (split)`, `no experiment (none)`."""
    return f"{'no experiment' if experiment is None else experiment} ({reason})"


def measure(name: str) -> str:
    """What was compared before the exposure: `pre:aov/denominator` is aov, denominator; `seen_before` seen before."""
    return notes.spoken(name.removeprefix("pre:").replace("/", ", "))


UNLIKE_BEFORE = "the arms already differed before their first exposure"
UNLIKE_BEFORE_FIX = "find out what else split the units that way, and restart the run"


def unregistered(variants: Sequence[str], rows: int) -> str:
    """A cause without a full stop."""
    names = words.listed([f"“{name}”" for name in variants])
    kind = "a variant" if len(variants) == 1 else "variants"
    return f"the logs name {kind} the definition does not: {names} ({words.whole(rows)} rows)"


ARM_BY_HASH = "an id has one arm of a holdout by its hash, and no ids of both arms are linked to one person"
ARMS_BY_HASH = "the arms of a holdout are what its hash gives, whatever variant is logged"
ALL_REGISTERED = "The logs name only the variants of the definition."
UNREGISTERED_FIX = "correct the logs or the mapping, or register the variant in a new phase"


def margin_known(rate: float) -> str:
    """How many order lines carry a margin."""
    return f"{words.sentence_case(portion(rate, 'order lines'))} have a margin."


def margin_missing(rate: float) -> str:
    """A cause without a full stop."""
    return f"{_only(rate)} of the order lines have a margin"


MARGIN_FIX = "send the missing margins, on the rows or in the catalogue"


def rejected(rate: float, rows: int, reasons: Sequence[str]) -> str:
    """What the contract refused."""
    if rows == 0:
        return "Every row kept the contract."
    return f"{words.whole(rows)} rows ({share(rate)}) broke the contract and are kept aside: {', '.join(reasons)}."
