"""The inbox as text, for a terminal: the list, one incident, what was done, and each rule's precision. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from analysis import words
from analysis.alerts.course.acts import Act, ActKind
from analysis.alerts.course.grouping import total
from analysis.alerts.course.standing import Closed, Standing
from analysis.alerts.job.report import CODES
from analysis.alerts.model import Evaluation, Incident
from analysis.alerts.notices import listing
from analysis.alerts.notices.digest import precision, silenced
from analysis.alerts.notices.listing import ordered
from analysis.words import alerts as told
from analysis.words import digest as weekly
from analysis.words import notices
from experiments.store.alerts import AlertNotice, AlertRun

NOTHING = "Nothing is open."
DID: Mapping[ActKind, str] = {
    "ack": "acknowledged", "silence": "silenced", "unsilence": "told again", "resolve": "resolved"
}  # fmt: skip
STATES = {
    "waiting": "waits for the run to end", "due": "not delivered yet", "delivered": "delivered",
    "superseded": "left out, for what came after", "withdrawn": "not told any more",
    "dropped": "not delivered: its channel is gone",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Print:
    """How amounts and names are printed."""

    currency: str
    digits: int
    names: Mapping[str, str]


def listed(standing: Standing, printed: Print, *, every: bool) -> list[str]:
    """A line for each incident, what somebody should look at first; what is over only if `every`."""
    shown = [each for each in ordered(standing.incidents) if every or each.state != "resolved"]
    if not shown:
        return [NOTHING]
    expected, at_least = total(listing.told(standing.incidents))
    sum_ = notices.loss(round(expected), round(at_least), printed.currency, printed.digits)
    head = [f"Losing {sum_} together."] if round(expected) > 0 else []
    width = max(22, *(len(_kind(each)) for each in shown))
    return [*head, *(_line(each, printed, width) for each in shown), notices.AMOUNTS]


def heartbeat(run: AlertRun) -> str:
    """How the last run ended."""
    if run.finished_at is None or run.code is None:
        return f"The last run began {_moment(run.started_at)} and has not ended."
    return f"The last run ended {_moment(run.finished_at)}: {CODES.get(run.code, f'exit code {run.code}')}."


def shown(incident: Incident, printed: Print, sent: Sequence[AlertNotice], done: Sequence[Act]) -> list[str]:
    """One incident, its cells, what was told of it, and what people did."""
    said = told.sentence(incident, currency=printed.currency, digits=printed.digits, names=printed.names)
    lines = [_title(incident, printed), _standing(incident), "", said]
    lines += [f"- {hint}" for hint in told.look_first(incident)]
    lines += ["", "What was read, most money first", *(_cell(each, printed, incident) for each in incident.members)]
    if sent:
        lines += ["", "Told", *map(_sent, sent)]
    if done:
        lines += ["", "Done", *(f"  {_moment(each.at)}: {_did(each)}" for each in done)]
    return lines


def done(act: Act) -> str:
    """What was just written down."""
    return f"{words.sentence_case(_did(act))}. The next run takes it into account; the inbox shows it now."


def precisions(closed: Iterable[Closed]) -> list[str]:
    """Each rule, and which of them is proposed for demotion."""
    found = precision(closed)
    if not found:
        return [weekly.NO_RULES]
    lines = [weekly.rule(each.rule, each.version, dict(each.found), each.unsaid) for each in found]
    return [*lines, *(weekly.demote(each.rule, each.version) for each in found if each.demoted)]


def _line(incident: Incident, printed: Print, width: int) -> str:
    return f"{incident.incident_id}  {_kind(incident):<{width}}  {_title(incident, printed)}"


def _title(incident: Incident, printed: Print) -> str:
    return told.title(incident, currency=printed.currency, digits=printed.digits, names=printed.names)


def _kind(incident: Incident) -> str:
    severity, state = notices.SEVERITIES[incident.severity], told.STATES[told.state(incident)]
    return severity if severity == state else f"{severity}, {state.lower()}"


def _standing(incident: Incident) -> str:
    opened = "" if incident.opened_at is None else f", since {_moment(incident.opened_at)}"
    by = f" by {incident.acked_by}" if told.state(incident) == "acked" else ""
    return f"{_kind(incident)}{by}{opened}"


def _cell(found: Evaluation, printed: Print, incident: Incident) -> str:
    place, cost, is_over = told.place(found.unit.cell, printed.names), found.now, incident.state == "resolved"
    line = f"  {place}: {notices.METRICS[found.unit.metric]}"
    if found.held_by:
        line += f", not believed: {notices.fail(found.held_by, printed.names)} there"
    elif cost is not None and not (is_over and round(cost.expected) <= 0):
        loss = notices.loss(round(cost.expected), round(cost.at_least), printed.currency, printed.digits)
        line += f", {'lost' if is_over else 'losing'} {loss}"
    return f"{line}. {found.why_not}" if found.why_not else line


def _sent(notice: AlertNotice) -> str:
    said = json.loads(notice.payload)["notice"]["transition"] if notice.payload else notice.transition
    line = f"  {_moment(notice.at)}  {said} on {notice.channel}: {STATES[notice.state]}"
    return f"{line} ({notice.error})" if notice.error else line


def _did(act: Act) -> str:
    about = act.incident_id or silenced(act, {})
    line = f"{DID[act.kind]} by {act.author}: {about}"
    line += f" until {_moment(act.expires_at)}" if act.expires_at is not None else ""
    line += f" as {notices.RESOLUTIONS[act.code]}" if act.code is not None else ""
    return f"{line} ({act.reason})"


def _moment(when: datetime) -> str:
    return notices.moment(when.astimezone(UTC).isoformat())
