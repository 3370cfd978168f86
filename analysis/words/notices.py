"""What a notice says: its title, and the text that mail and chat show. READOUT, ALERTS 6.

Amounts come in whole minor units with the currency's digits, changes as fractions, instants as ISO texts in UTC.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from analysis import words
from analysis.alerts.model import Cell, Incident, Metric, Resolution, Severity

METRICS: Mapping[Metric, str] = {
    "click": "clicks", "add_to_cart": "add-to-carts", "order": "orders", "revenue": "revenue",
}  # fmt: skip
SEVERITIES: Mapping[Severity, str] = {
    "page_fast": "Page, at once", "page": "Page", "ticket": "Ticket", "watch": "Watch", "digest": "Digest",
}  # fmt: skip
RESOLUTIONS: Mapping[Resolution, str] = {
    "real_regression": "a real regression", "data_issue": "a data issue", "expected_change": "an expected change",
    "no_cause_found": "no cause found",
}  # fmt: skip
EVENTS = {
    "open": "New", "reopen": "Again", "worse": "Worse", "doubled": "Twice as much as when it was acknowledged",
    "still": "Goes on after a silence", "repeat": "Still open", "resolved": "Resolved", "data": "Signals fail",
}  # fmt: skip
HOURS = {"15m": "15 minutes", "1h": "1 hour", "6h": "6 hours", "1d": "1 day", "3d": "3 days", "7d": "7 days"}
SITE = "The whole site"
NO_DATA = "No data in the window: that is not the same as no loss."


def place(cell: Cell, names: Mapping[str, str]) -> str:
    """`Homepage`, `Decor on homepage`, `Decor on homepage, mobile`, `The whole site`."""
    if cell.is_site:
        return SITE
    module = names.get(cell.module) or words.pretty(cell.module)
    if cell.category:
        module = f"{names.get(cell.category) or words.pretty(cell.category)} on {words.inside(module)}"
    return f"{module}, {words.inside(words.pretty(cell.device))}" if cell.device else module


def money(minor: int, currency: str, digits: int) -> str:
    """`€48k`: two significant digits, U+2212 where it is below zero."""
    return words.figures(minor / 10**digits, None, None, unit="money", currency=currency, signs="minus").est


def loss(expected: int, at_least: int, currency: str, digits: int) -> str:
    """`about €48k a day (at least €17k)`; no brackets where it may be none, `at least €48k` where both are the same."""
    if at_least <= 0:
        return f"about {money(expected, currency, digits)} a day"
    scale = 10**digits
    shown = words.figures(expected / scale, at_least / scale, None, unit="money", currency=currency, signs="minus")
    if shown.est == shown.lo:
        return f"at least {shown.lo} a day"
    return f"about {shown.est} a day (at least {shown.lo})"


def moment(iso: str) -> str:
    """`14 December 2026, 06:00 UTC`."""
    found = datetime.fromisoformat(iso)
    return f"{words.day(found.date())}, {found:%H:%M} UTC"


def change(metric: Metric, relative: float, se: float | None, window: str) -> str:
    """`Orders were 2.0% lower over 6 hours, give or take 0.8%`: one standard error either way."""
    shown = words.figures(relative, None if se is None else relative - se, None, unit="lift", signs="minus")
    way = "lower" if relative < 0 else "higher"
    told = f"{words.sentence_case(METRICS[metric])} {'was' if metric == 'revenue' else 'were'} "
    told += f"{shown.est.lstrip(words.MINUS)} {way} over {HOURS.get(window, window)}"
    if se is None:
        return told
    spread = words.figures(se, None, None, unit="lift", signs="minus").est
    return f"{told}, give or take {spread}"


def against(kind: str, key: str, watched: str, other: str) -> str:
    """`als_v2 against control in experiment home_als_v2`."""
    if kind == "forecast":
        return "Everybody, against what the seasons lead to expect; that is no proof of a cause"
    if kind == "launch":
        return f"Everybody, against holdout {key}"
    return f"{watched} against {other} in experiment {key}"


def failing(checks: Sequence[str]) -> str:
    """Why the money is not believed."""
    return f"Signal checks that fail here: {words.listed(checks)}"


def more_cells(count: int) -> str:
    """What the text leaves out."""
    return f"And {words.whole(count)} more cell{'' if count == 1 else 's'} with less at stake."


def missed(runs: int) -> str:
    """What was not looked at in time."""
    return f"{words.whole(runs)} run{' was' if runs == 1 else 's were'} missed before this one."


def title(incident: Incident, *, currency: str, digits: int, names: Mapping[str, str]) -> str:
    """`Homepage is losing about €48k a day (at least €17k)`, and what else an incident can be."""
    where = place(Cell(incident.module), names)
    if incident.state == "resolved":
        lost = money(round(incident.lost_so_far), currency, digits)
        return f"{where}: over, after a loss of about {lost}"
    if incident.family != "money":
        return f"{where}: signals fail, so its money alerts are held"
    if incident.held:
        return f"{where}: a loss that is not believed while a signal check fails"
    told = loss(round(incident.expected), round(incident.at_least), currency, digits)
    return f"{where} is losing {told}" if round(incident.expected) > 0 else f"{where} is losing nothing now"
