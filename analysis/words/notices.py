"""What a notice says: its title, and the text that mail and chat show. READOUT, ALERTS 6.

Amounts come in whole minor units with the currency's digits, changes as fractions, instants as ISO texts in UTC.
Whatever is said of how sure something is, is said at 95 %.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from analysis import words
from analysis.alerts.course.inhibition import NOT_THE_RECOMMENDER
from analysis.alerts.model import Cell, Incident, Metric, Resolution, Severity

METRICS: Mapping[Metric, str] = {
    "click": "clicks", "add_to_cart": "add-to-carts", "order": "orders", "revenue": "revenue",
}  # fmt: skip
SEVERITIES: Mapping[Severity, str] = {
    "page_fast": "Page, at once", "page": "Page", "ticket": "Ticket", "watch": "Watch", "digest": "Digest",
}  # fmt: skip
FOR: Mapping[Severity, str] = {  # whoever reads it
    "page_fast": "to look at now", "page": "to look at now", "ticket": "for the next working day",
    "watch": "nobody is told", "digest": "nobody is told",
}  # fmt: skip
RESOLUTIONS: Mapping[Resolution, str] = {
    "real_regression": "a real regression", "data_issue": "a data issue", "expected_change": "an expected change",
    "no_cause_found": "no cause found",
}  # fmt: skip
EVENTS = {
    "open": "New", "reopen": "Again", "worse": "Worse", "doubled": "Twice as much as when it was acknowledged",
    "still": "Goes on after a silence", "repeat": "Still open", "resolved": "Over", "data": "Signals fail",
}  # fmt: skip
SURE = 1.96  # standard errors to either side of what is said at 95 %
AMOUNTS = "“About” is what to expect, “at least” is 95% sure; amounts are margin (what is kept of sales), not revenue."
HOURS = {"15m": "15 minutes", "1h": "1 hour", "6h": "6 hours", "1d": "1 day", "3d": "3 days", "7d": "7 days"}
SITE, UNNAMED = "The whole site", "A module without a name"
UP_TO: Mapping[Severity, str] = {
    "page_fast": "a page at once", "page": "a page", "ticket": "a ticket", "watch": "what is watched",
    "digest": "what the digest says",
}  # fmt: skip
NO_DATA = "No data in the window: that is not the same as no loss."


def place(cell: Cell, names: Mapping[str, str]) -> str:
    """`Homepage`, `Decor on homepage`, `Homepage without a category`, `Decor on homepage, mobile`, `The whole site`."""
    if cell.is_site:
        return SITE
    module = names.get(cell.module) or (UNNAMED if cell.module == words.NONE else words.pretty(cell.module))
    if cell.category == words.NONE:
        module = f"{module} without a category"
    elif cell.category:
        module = f"{names.get(cell.category) or words.pretty(cell.category)} on {words.inside(module)}"
    if cell.device == words.NONE:
        return f"{module}, unknown device"
    return f"{module}, {words.inside(words.pretty(cell.device))}" if cell.device else module


def silenced(cell: Cell, metric: Metric | None, at_most: Severity, names: Mapping[str, str]) -> str:
    """What a silence is about: `Homepage`, `Everything in decor (clicks only, up to a ticket)`."""
    if cell.module:
        about = place(cell, names)
    elif cell.category:
        about = f"Everything in {words.inside(names.get(cell.category) or words.pretty(cell.category))}"
    else:
        about = "Everything"
    only = [] if metric is None else [f"{METRICS[metric]} only"]
    only += [] if at_most == "page_fast" else [f"up to {UP_TO[at_most]}"]
    return f"{about} ({', '.join(only)})" if only else about


def money(minor: int, currency: str, digits: int) -> str:
    """`€48k`: two significant digits, U+2212 where it is below zero."""
    return words.figures(minor / 10**digits, None, None, unit="money", currency=currency, signs="minus").est


def loss(expected: int, at_least: int, currency: str, digits: int) -> str:
    """`about €48k a day (at least €17k)`; no brackets where it may be none; `at least €1,950 a day` if both agree."""
    if expected <= 0:
        return "nothing now"
    if alone := at_least_alone(expected, at_least, currency, digits):
        return f"{alone} a day"
    about = f"about {money(expected, currency, digits)} a day"
    return f"{about} (at least {least(at_least, currency, digits)})" if at_least > 0 else about


def least(minor: int, currency: str, digits: int) -> str:
    """`€17k`: what is sure, with two significant digits, rounded down."""
    return money(_down(minor, 2), currency, digits)


def at_least_alone(expected: int, at_least: int, currency: str, digits: int) -> str:
    """`at least €1,950` where what is expected and what is sure are the same, rounded down; else empty.

    Three digits: it stands for both.
    """
    if at_least <= 0 or (
        at_least < expected and money(expected, currency, digits) != least(at_least, currency, digits)
    ):
        return ""
    sure = _down(min(expected, at_least), 3) / 10**digits
    return f"at least {words.amount(sure, unit='money', currency=currency)}"


def _down(minor: int, kept: int) -> int:
    """With so many significant digits, never more than it is."""
    step: int = 10 ** max(0, len(str(minor)) - kept)
    return minor // step * step


def lost(minor: float, currency: str, digits: int) -> str:
    """`Lost so far: about €12k.`; empty where nothing was."""
    return f"Lost so far: about {money(round(minor), currency, digits)}." if round(minor) > 0 else ""


def shipped(minor: float, watched: str, currency: str, digits: int, *, is_over: bool = False) -> str:
    """What an experiment's loss now is a part of; empty where it would lose nothing."""
    if round(minor) <= 0:
        return ""
    everywhere = money(round(minor), currency, digits)
    if is_over:
        part = f"Only the sessions in {watched} lost"
        return f"{part}; shipped to everybody it would have lost about {everywhere} a day."
    return f"Now only the sessions in {watched} lose; shipped to everybody it would lose about {everywhere} a day."


def number(value: float) -> str:
    """Two significant digits; nothing beyond a million is told apart."""
    return "over a million" if value > 1e6 else f"{float(f'{value:.2g}'):,.10g}"


def moment(iso: str) -> str:
    """`14 December 2026, 06:00 UTC`."""
    found = datetime.fromisoformat(iso)
    return f"{words.day(found.date())}, {found:%H:%M} UTC"


def change(metric: Metric, relative: float | None, se: float | None, window: str) -> str:
    """`Orders were 2.1% lower over 6 hours, give or take 1.6%`: 95 % sure, 1.96 standard errors either way."""
    over = f"over {HOURS.get(window, window)}" if window else "in the window"
    who = words.sentence_case(METRICS[metric])
    if relative is None or not math.isfinite(relative):
        return f"{who} cannot be compared {over}"
    off = None if se is None or not math.isfinite(se) else SURE * se
    size = words.figures(abs(relative), None if not off else abs(relative) + off, None, unit="lift", signs="minus").est
    is_nothing = not any(digit in size for digit in "123456789")
    way = "about the same" if is_nothing else f"{size} {'lower' if relative < 0 else 'higher'}"
    told = f"{who} {'was' if metric == 'revenue' else 'were'} {way} {over}"
    if off is None:
        return f"{told}; how far that may be off is not known"
    return f"{told}, give or take {words.figures(off, None, None, unit='lift', signs='minus').est}" if off else told


def against(kind: str, key: str, watched: str, other: str) -> str:
    """`als_v2 against control in experiment home_als_v2`."""
    if kind == "forecast":
        return "Everybody against what the seasons lead to expect, which is no proof of a cause"
    if kind == "launch":
        return f"Everybody against holdout {key}"
    return f"{watched} against {other} in experiment {key}"


def elsewhere(by: str) -> str:
    """What tells an inhibited incident instead."""
    if by == NOT_THE_RECOMMENDER:
        return "the whole site is below what the seasons lead to expect, so this place alone does not explain it"
    return f"incident {by} tells it already"


def found(code: Resolution) -> str:
    """What it was, once somebody said so."""
    return "No cause was found." if code == "no_cause_found" else f"It was {RESOLUTIONS[code]}."


def fail(checks: Sequence[str], names: Mapping[str, str]) -> str:
    """`SH-02 fails`, `missing add-to-cart and volume fail`."""
    listed = words.listed([words.inside(names.get(check, check)) for check in checks])
    return f"{listed} fail{'s' if len(checks) == 1 else ''}"


def failing(checks: Sequence[str]) -> str:
    """Why the money is not believed."""
    return f"Signal checks that fail here: {words.listed(checks)}"


def no_data(since: str) -> str:
    """Of numbers that are not of now."""
    return f"No data since {moment(since)}: that is how it stood then, and whether it goes on is not known."


def read_last(at: str) -> str:
    """Of what is over: of when its numbers are."""
    return f"Read last at data to {moment(at)}"


def more_cells(count: int) -> str:
    """What the text leaves out."""
    return f"And {words.whole(count)} more place{'' if count == 1 else 's'} with less at stake."


def missed(runs: int) -> str:
    """What was not looked at in time."""
    return f"{words.whole(runs)} run{' was' if runs == 1 else 's were'} missed before this one."


def title(incident: Incident, *, currency: str, digits: int, names: Mapping[str, str]) -> str:
    """`Homepage is losing about €48k a day (at least €17k)`, and what else an incident can be."""
    where = place(Cell(incident.module), names)
    if incident.state == "resolved":
        if incident.family != "money":
            return f"{where}: over, signal checks failed there"
        minor = round(incident.lost_so_far)
        return (
            f"{where}: over, after a loss of about {money(minor, currency, digits)}" if minor > 0 else f"{where}: over"
        )
    if incident.family != "money":
        return f"{where}: signals fail, so its money alerts are held"
    if incident.held:
        return f"{where}: a loss that is not believed while a signal check fails"
    return f"{where} is losing {loss(round(incident.expected), round(incident.at_least), currency, digits)}"
