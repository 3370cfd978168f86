"""Whether a change of an incident is told, and as what. Notices of an incident count up from 1. ALERTS 5."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from analysis.alerts.course.standing import Case
from analysis.alerts.course.tracks import rank
from analysis.alerts.model import Incident, Notice, Severity
from analysis.alerts.weighing.severity import least

TOLD: Severity = "ticket"  # the mildest that is told: watch is for the inbox
REPEATS: Mapping[Severity, timedelta] = {
    "page_fast": timedelta(hours=24), "page": timedelta(hours=24), "ticket": timedelta(days=7),
}  # fmt: skip
DOUBLED = 2.0  # times the money when it was acknowledged
WITHOUT_SEVERITY = ("repeat", "resolved", "data")


def told(case: Case, now: datetime) -> tuple[Case, Notice | None]:
    """The case with what people know of it now, and the notice that lets them know; None where there is nothing new."""
    word = _word(case, now)
    if word is None:
        return _unchanged(case), None
    incident = case.incident
    if word in ("worse", "doubled") or rank(incident.severity) > rank(case.acked_severity):  # less was acknowledged
        state = "open" if incident.state == "acked" else incident.state
        incident = replace(incident, state=state, acked_by="")
    number = case.transitions + 1
    name = f"{word}:{number}" if word in WITHOUT_SEVERITY else f"{word}:{incident.severity}:{number}"
    known = None if word == "resolved" else incident.severity
    after = replace(case, incident=incident, transitions=number, told=known, told_at=now, owed=False)
    return after, Notice(incident, name, now)


def is_muted(incident: Incident) -> bool:
    """Whether nothing is told of it: too mild, not confirmed, held, silenced or inhibited."""
    return (
        incident.state in ("pending", "resolved")
        or rank(incident.severity) < rank(TOLD)
        or incident.held
        or incident.silenced_until is not None
        or bool(incident.inhibited_by)
    )


def _word(case: Case, now: datetime) -> str | None:
    """The first word of the transition."""
    incident = case.incident
    if incident.state == "resolved":
        silenced = incident.silenced_until is not None and incident.silenced_until > now
        return "resolved" if case.told is not None and not silenced else None
    if is_muted(incident):
        return None
    if case.told is None or case.told_at is None:
        return "data" if incident.family == "data" else "reopen" if case.transitions else "open"
    known = max(rank(case.told), rank(case.acked_severity)) if incident.acked_by else rank(case.told)
    if rank(incident.severity) > known:
        return "worse"
    if incident.acked_by and 0 < DOUBLED * case.acked_money <= incident.expected:
        return "doubled"
    if case.owed:
        return "still"
    due = now - case.told_at >= REPEATS[incident.severity]
    return "repeat" if due and incident.state == "open" else None


def _unchanged(case: Case) -> Case:
    """Nothing is told: what is over need not be known, and what became milder is known as that from now on."""
    if case.told is None or case.incident.state == "resolved":
        return replace(case, told=None)
    return replace(case, told=least(case.told, case.incident.severity))
