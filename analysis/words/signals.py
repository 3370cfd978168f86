"""The sentences of the checks of delivery, population and catalogue: what was found, and what to do about it."""

from collections.abc import Sequence
from datetime import date

from analysis import words
from analysis.words.health import portion, share


def day(iso: str) -> str:
    """`2026-03-02` as readers write it."""
    return words.day(date.fromisoformat(iso))


# --- SH-05, SH-06, SH-13 ---------------------------------------------------------------------------------


def arrivals(hour: float, late_day: float) -> str:
    """How late rows come."""
    return (
        f"{words.sentence_case(portion(hour, 'rows'))} came more than an hour after they happened, "
        f"{portion(late_day, 'rows')} more than a day."
    )


def clocks(browser: str, ahead: float) -> str:
    """The browser whose clocks are most often ahead."""
    if ahead == 0:
        return "No row is dated after its arrival."
    return f"On {browser} {portion(ahead, 'rows')} are dated more than 5 minutes after their arrival."


def volume_steady(series: int) -> str:
    """Every series with days enough behind it."""
    return f"As many rows came as on the same weekdays before, in all {words.whole(series)} kinds and browsers."


def volume_fell(kind: str, browser: str, iso: str, change: float) -> str:
    """The deepest fall."""
    name = words.pretty(kind).lower()
    return f"“{name}” on {browser} fell by {share(abs(change))} on {day(iso)} against the same weekdays before."


def stale(days: int) -> str:
    """Nothing came any more."""
    return f"The newest row is {days} days older than the day that is read."


# --- SH-10, SH-11, SH-12, SH-18 --------------------------------------------------------------------------


def exposed_alike(shares: Sequence[tuple[str, float]]) -> str:
    """What became of the visitors that the split gives each arm."""
    return f"Of the visitors that the split gives it, {_by_arm(shares)} met the module."


def exposed_unlike(shares: Sequence[tuple[str, float]]) -> str:
    """A cause without a full stop."""
    return f"of the visitors that the split gives it, {_by_arm(shares)} met the module"


EXPOSED_FIX = "log the exposure where the arms begin to differ, for every arm alike"


def _by_arm(shares: Sequence[tuple[str, float]]) -> str:
    return words.listed([f"{share(value)} in {arm}" for arm, value in shares])


def left_out(count: int, rate: float, kind: str, busy: int) -> str:
    """Units marked as bots or own people, and those that look like a program but are not marked."""
    who = "1 unit is" if count == 1 else f"{words.whole(count)} {words.units(kind)} are"
    marked = f"{words.sentence_case(who)} marked as a bot or as your own people ({share(rate)}) and left out"
    if count == 0:
        marked = f"No {kind} is marked as a bot or as your own people"
    if busy == 0:
        return f"{marked}."
    some = f"1 {kind}" if busy == 1 else f"{words.whole(busy)} {words.units(kind)}"
    return (
        f"{marked}; {some} had 500 rows or more on a day before the test and {'is' if busy == 1 else 'are'} not marked."
    )


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
    return f"{words.sentence_case(portion(missing, 'clicks'))} are on an item that the visitor was not shown there."


def clicks_cause(missing: float) -> str:
    """A cause without a full stop."""
    return f"{share(missing)} of the clicks are on an item that the visitor was not shown there"


CLICKS_FIX = "log the items of a slot as they are shown, and clicks under the ids of those"


def orders_shared(shared: float) -> str:
    """Order ids against units."""
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
    return f"The newest catalogue row was {words.whole(round(hours))} hours old when the newest slot was shown."


def age_cause(hours: float) -> str:
    """A cause without a full stop."""
    return f"the newest catalogue row was {words.whole(round(hours))} hours old when the newest slot was shown"


STOCK_FIX = "send stock for every item on offer, and at least every six hours"


def fields(known: Sequence[tuple[str, float]]) -> str:
    """Which fields the catalogue has, of those it gives at all."""
    parts = [f"{share(value)} have a {words.pretty(name).lower()}" for name, value in known]
    return f"Of the items on offer {words.listed(parts)}."


# --- drift -----------------------------------------------------------------------------------------------

DISTRIBUTIONS = {
    "page_category": "page categories of the slots",
    "browser": "browsers of the slots",
    "clicked": "share of slots clicked",
    "fallback": "share of slots filled by the fallback",
    "viewed_category": "categories of the items viewed",
    "line_value": "amounts of the order lines",
}


def drifted(what: str, module: str, value: str, psi: float, count: int) -> str:
    """The distribution that moved furthest."""
    where = "" if module == "(site)" else f" on {words.inside(words.pretty(module))}"
    name = f"{DISTRIBUTIONS.get(what, what)}{where}"
    if psi < 0.1:
        return f"Control still looks as before the start in all {words.whole(count)} distributions; most moved: {name}."
    return f"Since before the start the {name} moved, “{words.pretty(value).lower()}” most (index {psi:.2f})."
