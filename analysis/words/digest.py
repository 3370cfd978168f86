"""What the weekly digest says. Amounts come printed."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from analysis import words
from analysis.alerts.model import Resolution, Severity
from analysis.words.notices import RESOLUTIONS, SEVERITIES, loss

RULES = "How often each rule was right"
NO_RULES = "How often each rule was right: nothing that was told is over yet"
PROPOSALS = "Proposals"
NO_PROPOSALS = "Proposals: none"
WRONG: Mapping[Resolution, str] = {
    "data_issue": "data issue", "expected_change": "expected change", "no_cause_found": "without a cause",
}  # fmt: skip


def title(since: datetime, until: datetime) -> str:
    """`Alerts from 7 December 2026 to 13 December 2026`: whole days; the last one is in it."""
    last = until - timedelta(microseconds=1)
    return f"Alerts from {words.day(since.date())} to {words.day(last.date())}"


def opened(count: int, expected: int, at_least: int, currency: str, digits: int) -> str:
    """`Open: 2 incidents, together losing about €50k a day (at least €17k)`."""
    if not count:
        return "Open: no incident"
    told = f"Open: {_incidents(count)}"
    return f"{told}, together losing {loss(expected, at_least, currency, digits)}" if expected > 0 else told


def open_line(
    title: str, severity: Severity, since: datetime | None, lost: str, *, held: bool, inhibited_by: str, acked: bool
) -> str:
    """One incident that stands."""
    told = f"{SEVERITIES[severity]}: {title}"
    told += f", since {_when(since)}" if since is not None else ""
    told += f". Lost so far: about {lost}"
    told += ". Held, because a signal check fails" if held else ""
    told += f". Part of {inhibited_by}" if inhibited_by else ""
    return f"{told}. Acknowledged." if acked else f"{told}."


def over(count: int) -> str:
    """How many are over."""
    return f"Over this week: {_incidents(count) if count else 'no incident'}"


def over_line(title: str, code: Resolution | None, incident_id: str) -> str:
    """One that is over, and what it was; what to do where nobody said."""
    if code is not None:
        return f"{title}. It was {RESOLUTIONS[code]}."
    return f"{title}. What was it? `truelift alerts resolve {incident_id}` says so."


def silenced(count: int) -> str:
    """How many are silenced."""
    return f"Silenced: {_incidents(count) if count else 'no incident'}"


def silenced_line(title: str, author: str, until: datetime, lost: str) -> str:
    """One that is silenced, and what it lost all the same."""
    return f"{title}; silenced by {author} until {_when(until)}. Lost so far: about {lost}."


def silence(about: str, author: str, reason: str, until: datetime) -> str:
    """A silence that silences nothing now."""
    return f"{about}: nothing to silence now; by {author} until {_when(until)} ({reason})."


def rule(name: str, version: int, found: Mapping[Resolution, int], unsaid: int) -> str:
    """`launch_regression, version 1: 8 of 12 real (67%); 3 data issue, 1 without a cause; 2 not said`."""
    said = sum(found.values())
    real = found.get("real_regression", 0)
    which = f"{words.pretty(name)}, version {version}"
    if not said:
        return f"{which}: nobody has said yet what {unsaid} of them {'was' if unsaid == 1 else 'were'}"
    told = f"{which}: {real} of {said} real ({words.amount(real / said, unit='share')})"
    others = [f"{count} {WRONG[code]}" for code, count in found.items() if code in WRONG]
    told += f"; {', '.join(others)}" if others else ""
    return f"{told}; {unsaid} not said" if unsaid else told


def demote(name: str, version: int) -> str:
    """A rule that was wrong too often."""
    return f"{words.pretty(name)}, version {version}, was right less than half the time: let it wake nobody."


def watched(count: int) -> str:
    """How many are watched."""
    return f"Watch list: {_incidents(count) if count else 'nothing'}"


def small(count: int) -> str:
    """How many cells lose a little."""
    if not count:
        return "Too little to say more: no cell"
    return f"Too little to say more: {words.whole(count)} cell{'' if count == 1 else 's'}"


def small_line(place: str, money: str, why: str) -> str:
    """A cell that loses a little, or may."""
    return f"{place}: about {money} a day. {why}".rstrip()


def more(count: int) -> str:
    """What is left out."""
    return f"and {words.whole(count)} more with less"


def _incidents(count: int) -> str:
    return f"{words.whole(count)} incident{'' if count == 1 else 's'}"


def _when(moment: datetime) -> str:
    return f"{words.day(moment.date())}, {moment:%H:%M} UTC"
