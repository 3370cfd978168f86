"""The sentences of the checks of delivery, population and catalogue: what was found, and what to do about it."""

import math
from collections.abc import Sequence
from datetime import date

from analysis import words
from analysis.words.health import browser, portion, share


def day(iso: str) -> str:
    """`2026-03-02` as readers write it."""
    return words.day(date.fromisoformat(iso))


# --- SH-05, SH-06, SH-13 ---------------------------------------------------------------------------------


def arrivals(hour: float, late_day: float) -> str:
    """How late rows come."""
    if hour == 0:
        return "Every row came within an hour after it happened."
    return (
        f"{words.sentence_case(portion(hour, 'rows'))} came more than an hour after they happened, "
        f"{portion(late_day, 'rows')} more than a day."
    )


def clocks(name: str, ahead: float) -> str:
    """The browser whose clocks are most often ahead."""
    if ahead == 0:
        return "No row is dated after its arrival."
    return f"On {browser(name)}, {portion(ahead, 'rows')} are dated more than 5 minutes after their arrival."


def volume_steady(series: int) -> str:
    """Every series with days enough behind it."""
    return f"As many rows came as on the same weekdays before, in all {words.whole(series)} pairs of kind and browser."


KINDS = {"slot shown": "slots shown", "add_to_cart": "add-to-carts"}


def kind(name: str) -> str:
    """A kind of row inside a sentence: `purchases`, `add-to-carts`."""
    return KINDS.get(name, f"{words.pretty(name).lower()}s")


def volume_fell(what: str, name: str, iso: str, change: float) -> str:
    """The deepest fall."""
    fell = f"{kind(what)} on {browser(name)} fell by {share(abs(change))}"
    return f"{words.sentence_case(fell)} on {day(iso)} against the same weekdays before."


def stale(days: int) -> str:
    """Nothing came any more."""
    return f"The newest row is {days} days older than the day that is read."


# --- SH-10, SH-11, SH-12, SH-18 --------------------------------------------------------------------------


def exposed_alike(shares: Sequence[tuple[str, float]]) -> str:
    """What became of the visitors that the split gives each arm."""
    return f"Visitors of every arm meet the module alike: {_by_arm(shares)}."


def exposed_unlike(shares: Sequence[tuple[str, float]]) -> str:
    """A cause without a full stop."""
    return f"visitors of the arms do not meet the module alike: {_by_arm(shares)} did"


EXPOSED_FIX = "log the exposure where the arms begin to differ, for every arm alike"


def _by_arm(shares: Sequence[tuple[str, float]]) -> str:
    return words.listed([f"{share(value)} in {arm}" for arm, value in shares])


def left_out(count: int, rate: float, kind: str, busy: int) -> str:
    """Units marked as bots or own people, and those that look like a program but are not marked."""
    if count == 0:
        marked = f"No {kind} is marked as a bot or as one of your own people"
    elif count == 1:
        marked = f"1 {kind} ({share(rate)}) is marked as a bot or as one of your own people and left out"
    else:
        who = f"{words.whole(count)} {words.units(kind)} ({share(rate)})"
        marked = f"{who} are marked as bots or as your own people and left out"
    if busy == 0:
        return f"{marked}."
    some, are, look = (
        (f"1 {kind}", "is", "looks like a program")
        if busy == 1
        else (f"{words.whole(busy)} {words.units(kind)}", "are", "look like programs")
    )
    return f"{marked}. {some} had 500 rows or more on a day before the test, {look} and {are} not marked."


LEFT_OUT_FIX = "mark bots and own people without looking at the arm"


def identities(linked: int, several: float, sharing: float, kind: str) -> str:
    """How ids hang together."""
    other = "device" if kind == "user" else "user"
    whose = f"Of {words.whole(linked)} {words.units(kind)} with a known {other}"
    return f"{whose} {share(several)} have several, and {share(sharing)} share one with another {kind}."


def spiked(item: str, iso: str, count: int, most: int) -> str:
    """The worst burst."""
    return (
        f"On {day(iso)} item {item} had {words.whole(count)} interactions, {words.whole(most)} of them by one visitor."
    )


NO_SPIKES = "No item was pushed by a single visitor."


# --- SH-14 -----------------------------------------------------------------------------------------------


def clicks_shown(missing: float) -> str:
    """Clicks against what was shown."""
    if missing == 0:
        return "Every click is on an item that the visitor was shown there."
    return f"{words.sentence_case(portion(missing, 'clicks'))} are on an item that the visitor was not shown there."


def clicks_cause(missing: float) -> str:
    """A cause without a full stop."""
    return f"{share(missing)} of the clicks are on an item that the visitor was not shown there"


CLICKS_FIX = "log the items of a slot as they are shown, and clicks under the ids of those"


def orders_shared(shared: float) -> str:
    """Order ids against units."""
    if shared == 0:
        return "Every order belongs to one unit."
    return f"{words.sentence_case(portion(shared, 'orders'))} have lines of more than one unit."


def orders_cause(shared: float) -> str:
    """A cause without a full stop."""
    return f"{share(shared)} of the orders have lines of more than one unit"


ORDERS_FIX = "log each order under the one unit that placed it, and never use an order id twice"


# --- SH-17, SH-19 ----------------------------------------------------------------------------------------


def stock_known(known: float) -> str:
    """Shown items with a stock."""
    return f"The stock of {portion(known, 'shown items')} was known."


def stock_cause(known: float) -> str:
    """A cause without a full stop."""
    return f"the stock of {'only ' if known else ''}{portion(known, 'shown items')} was known"


def catalogue_age(hours: float) -> str:
    """How old the newest catalogue row was when the newest slot was shown."""
    return f"The newest catalogue row was {_hours(hours)} old when the newest slot was shown."


def age_cause(hours: float) -> str:
    """A cause without a full stop."""
    return f"the newest catalogue row was {_hours(hours)} old when the newest slot was shown"


def _hours(hours: float) -> str:
    """Whole hours that are over: one minute before a limit is not the limit."""
    full = math.floor(hours + 1e-9)
    return "less than an hour" if full == 0 else "1 hour" if full == 1 else f"{words.whole(full)} hours"


STOCK_FIX = "send stock for every item on offer, and at least every six hours"


FIELDS = {
    "price": "a price", "margin": "a margin", "stock": "a stock level", "category": "a category",
    "variant_group": "a variant group",
}  # fmt: skip


def fields(known: Sequence[tuple[str, float]]) -> str:
    """Which fields the catalogue has, of those it gives at all."""
    whole = [FIELDS.get(name, name) for name, value in known if value == 1]
    parts = [f"{share(value)} have {FIELDS.get(name, name)}" for name, value in known if value < 1]
    if not parts:
        return f"Every item on offer has {words.listed(whole)}."
    return f"Of the items on offer {words.listed(parts)}{f'; all have {words.listed(whole)}' if whole else ''}."


# --- drift -----------------------------------------------------------------------------------------------

DISTRIBUTIONS = {
    "page_category": "page categories of the slots",
    "browser": "browsers of the slots",
    "clicked": "share of slots clicked",
    "fallback": "share of slots filled by the fallback",
    "viewed_category": "categories of the items viewed",
    "line_value": "amounts of the order lines",
}


def drifted(what: str, module: str, value: str, psi: float, *, moved: bool) -> str:
    """The distribution that moved furthest; `moved` says that it is to be looked at."""
    where = "" if module == "(site)" else f" on {words.inside(words.pretty(module))}"
    name = f"the {DISTRIBUTIONS.get(what, what)}{where}"
    if not moved:
        return f"Control still looks as it did before the start; {name} moved most, and hardly."
    most = "" if value in ("yes", "no") else f", “{words.pretty(value).lower()}” most"
    return f"{words.sentence_case(name)} moved since before the start{most} (index {psi:.2f})."
