"""What the weekly digest says. Amounts come printed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from analysis import words
from analysis.alerts.model import Resolution, Severity
from analysis.words.notices import SEVERITIES, elsewhere, found, loss

RULES = "How often each rule was right"
NO_RULES = "How often each rule was right: nothing that was told is over yet"
PROPOSALS = "Proposals"
NO_PROPOSALS = "Proposals: none"
WRONG: Mapping[Resolution, tuple[str, str]] = {  # of one, of several
    "data_issue": ("data issue", "data issues"), "expected_change": ("expected change", "expected changes"),
    "no_cause_found": ("without a cause", "without a cause"),
}  # fmt: skip


def title(since: datetime, until: datetime) -> str:
    """`Alerts from 7 December 2026 to 13 December 2026`: whole days; the last one is in it."""
    last = until - timedelta(microseconds=1)
    return f"Alerts from {words.day(since.date())} to {words.day(last.date())}"


def opened(
    count: int, expected: int, at_least: int, others: Sequence[tuple[int, str]], currency: str, digits: int
) -> str:
    """`Open: 2 incidents, together losing about €50k a day (at least €17k); 1 held`."""
    told = f"Open: {_incidents(count) if count else 'no incident'}"
    told += f", together losing {loss(expected, at_least, currency, digits)}" if expected > 0 else ""
    return "; ".join([told, *(f"{words.whole(number)} {name}" for number, name in others if number)])


def open_line(
    title: str, severity: Severity, since: datetime | None, lost: str, *, inhibited_by: str, acked: bool
) -> str:
    """One incident that stands."""
    told = f"{SEVERITIES[severity]}: {title}{'' if since is None else f', since {_when(since)}'}."
    also = [
        lost,
        f"{words.sentence_case(elsewhere(inhibited_by))}." if inhibited_by else "",
        "Acknowledged." if acked else "",
    ]
    return " ".join(filter(None, [told, *also]))


def over(count: int) -> str:
    """How many are over."""
    return f"Ended this week: {_incidents(count) if count else 'no incident'}"


def over_line(title: str, code: Resolution | None, incident_id: str) -> str:
    """One that is over, and what it was; what to do where nobody said."""
    if code is not None:
        return f"{title}. {found(code)}"
    return f"{title}. Say what it was: `truelift alerts resolve {incident_id} --as … --reason …`."


def silenced(count: int) -> str:
    """How many are silenced."""
    return f"Silenced: {_incidents(count) if count else 'no incident'}"


def silenced_line(title: str, author: str, until: datetime, lost: str) -> str:
    """One that is silenced, and what it lost all the same."""
    return f"{title}; silenced by {author} until {_when(until)}. {lost}".rstrip()


def silence(about: str, author: str, reason: str, until: datetime) -> str:
    """A silence that silences nothing now."""
    return f"{about}: nothing to silence now; silenced by {author} until {_when(until)} ({reason})."


def rule(name: str, version: int, counted: Mapping[Resolution, int], unsaid: int) -> str:
    """`Launch regression, version 1: 8 of 12 real (67%); 3 data issues, 1 without a cause; 2 not said`."""
    said = sum(counted.values())
    real = counted.get("real_regression", 0)
    which = f"{words.pretty(name)}, version {version}"
    if not said:
        return f"{which}: nobody has said yet what {_incidents(unsaid)} {'was' if unsaid == 1 else 'were'}"
    told = f"{which}: {real} of {said} real ({round(100 * real / said)}%)"
    others = [f"{words.whole(count)} {WRONG[code][count != 1]}" for code, count in counted.items() if code in WRONG]
    told += f"; {', '.join(others)}" if others else ""
    return f"{told}; {words.whole(unsaid)} not said" if unsaid else told


def demote(name: str, version: int) -> str:
    """A rule that was wrong too often."""
    return f"{words.pretty(name)}, version {version}, was right less than half the time: let it wake nobody."


def watched(count: int) -> str:
    """How many are watched."""
    return f"Watch list: {_incidents(count) if count else 'nothing'}"


def small(count: int) -> str:
    """How many places lose a little."""
    if not count:
        return "Too little to say more: nothing"
    return f"Too little to say more: {words.whole(count)} place{'' if count == 1 else 's'}"


def small_line(place: str, money: str, why: str) -> str:
    """A place that loses a little, or may."""
    if why.startswith(f"{place} "):
        return f"{why} To expect: about {money} a day."
    return f"{place}: about {money} a day. {why}".rstrip()


def more(count: int) -> str:
    """What is left out."""
    return f"and {words.whole(count)} more with less"


def _incidents(count: int) -> str:
    return f"{words.whole(count)} incident{'' if count == 1 else 's'}"


def _when(moment: datetime) -> str:
    return f"{words.day(moment.date())}, {moment:%H:%M} UTC"
