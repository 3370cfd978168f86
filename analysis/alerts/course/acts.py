"""What people do about incidents: acknowledge, silence, resolve. ALERTS 5.

An act is written down once, as it is, and taken into account by the next step of the lifecycle.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from analysis.alerts.model import SEVERITIES, Cell, Incident, Metric, Resolution, Severity
from experiments.errors import nearest
from experiments.spec import digest

ActKind = Literal["ack", "silence", "unsilence", "resolve"]
LONGEST = timedelta(days=90)  # of a silence: what nobody is told of for longer, nobody decides about
WHY: Mapping[ActKind, str] = {
    "ack": "acknowledge it", "silence": "silence it", "unsilence": "end the silence", "resolve": "resolve it"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matcher:
    """Which cells a silence is about. What is left empty matches all."""

    module: str = ""
    category: str = ""
    metric: Metric | None = None
    at_most: Severity = "page_fast"  # the highest severity that is silenced

    def matches(self, cell: Cell, metric: Metric, severity: Severity) -> bool:
        """Whether it silences that cell's metric, at that severity."""
        return (
            self.module in ("", cell.module)
            and self.category in ("", cell.category)
            and self.metric in (None, metric)
            and SEVERITIES.index(severity) <= SEVERITIES.index(self.at_most)
        )


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did, about one incident or about whatever a matcher matches. A silence may come before the loss.

    ack: no repeats until it gets worse. silence: no notices until `expires_at`. unsilence: ends the silences of the
    same incident or matcher. resolve: it is over, and `code` says what it was; of one that is over, only the code.
    """

    kind: ActKind
    author: str
    at: datetime
    reason: str = ""
    incident_id: str = ""
    matcher: Matcher | None = None
    expires_at: datetime | None = None  # of a silence
    code: Resolution | None = None  # of a resolve

    @property
    def act_id(self) -> str:
        """Equal acts are one. 16 hex digits."""
        times = {
            "at": self.at.isoformat(),
            "expires_at": None if self.expires_at is None else self.expires_at.isoformat(),
        }
        return digest({**asdict(self), **times})[:16]


def refusals(
    act: Act,
    incidents: Iterable[Incident],
    silences: Iterable[Act] = (),
    modules: Mapping[str, Iterable[str]] | None = None,
) -> tuple[str, ...]:
    """Everything that is wrong with an act, for whoever is about to write it down; empty when it may be.

    `silences` are those that run; `modules` are the known ones with their categories, None where nobody knows.
    """
    known = {incident.incident_id: incident for incident in incidents}
    found = []
    if not act.author.strip():
        found.append("author is empty; say who does it")
    if not act.reason.strip():
        found.append(f"reason is empty; say why you {WHY[act.kind]}")
    if act.incident_id and act.matcher is not None:
        found.append(f"incident {act.incident_id} and a matcher are given; give one of them")
    if not act.incident_id and act.matcher is None:
        found.append("neither an incident nor a matcher is given; say what it is about")
    if act.incident_id and act.incident_id not in known:
        open_ones = ", ".join(sorted(key for key, one in known.items() if one.state != "resolved")) or "none"
        found.append(f"incident {act.incident_id} is not known; open are: {open_ones}")
    if act.kind == "silence":
        found += _never_ends_well(act, known.get(act.incident_id))
        found += [] if act.matcher is None or modules is None else _unknown(act.matcher, modules)
    if act.kind == "unsilence" and not found:
        found += _nothing_silenced(act, silences)
    return (*found, *_refused_by_kind(act, known.get(act.incident_id)))


def _never_ends_well(act: Act, incident: Incident | None) -> Iterable[str]:
    """A silence without an end, with one that is over, or with one beyond what anybody will remember."""
    if act.expires_at is None:
        yield "the silence has no end; every silence ends"
    elif act.expires_at <= act.at:
        yield f"the silence would end {_moment(act.expires_at)} and now it is {_moment(act.at)}; give a later time"
    elif act.expires_at > act.at + LONGEST:
        yield (
            f"the silence would end {_moment(act.expires_at)}, more than {LONGEST.days} days from now: what nobody is "
            f"told of for so long, nobody decides about; give an end by {_moment(act.at + LONGEST)}{_instead(incident)}"
        )


def _instead(incident: Incident | None) -> str:
    """What may be done about an incident that is known, so that nobody need silence it."""
    if incident is None:
        return ""
    if keys := _experiments(incident):
        return f", or end it with {_stop(keys)}"
    accept = f'`truelift alerts resolve {incident.incident_id} --as expected_change --reason "…"`'
    return f", or accept what is lost with {accept}" if incident.family == "money" else ""


def _unknown(matcher: Matcher, modules: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """A module or a category that no silence could ever be about."""
    if matcher.module and matcher.module not in modules:
        yield _no_such("module", matcher.module, modules, "no layer, definition or measure has it")
        return
    where = [matcher.module] if matcher.module else modules
    categories = {category for module in where for category in modules[module]}
    if matcher.category and matcher.category not in categories:
        about = f"none was measured on {matcher.module}" if matcher.module else "none was measured"
        yield _no_such("category", matcher.category, categories, about)


def _no_such(what: str, given: str, known: Iterable[str], why: str) -> str:
    near = nearest(given, known)
    meant = f"; nearest: {', '.join(near)}" if near else ""
    return f"{what} {given} is not known: {why}{meant}; known: {', '.join(sorted(known)) or 'none yet'}"


def _nothing_silenced(act: Act, silences: Iterable[Act]) -> Iterable[str]:
    """A silence can only be ended as it was begun."""
    running = [(one.incident_id, one.matcher) for one in silences]
    if (act.incident_id, act.matcher) not in running:
        those = "; ".join(dict.fromkeys(key or _options(matcher) for key, matcher in running)) or "none"
        about = act.incident_id or _options(act.matcher)
        yield f"no silence of {about} runs; name one as it was begun: {those}"


def _options(matcher: Matcher | None) -> str:
    """A matcher as it is typed."""
    if matcher is None:
        return "nothing"
    given = {"--module": matcher.module, "--category": matcher.category, "--metric": matcher.metric}
    given["--at-most"] = "" if matcher.at_most == "page_fast" else matcher.at_most
    return " ".join(f"{name} {value}" for name, value in given.items() if value) or "everything"


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _refused_by_kind(act: Act, incident: Incident | None) -> Iterable[str]:
    if act.matcher is not None and act.kind in ("ack", "resolve"):
        yield f"a matcher cannot {act.kind}; name the incident"
    if act.matcher == Matcher() and act.kind == "silence":
        yield "the matcher is empty and would silence everything; name a module, category, metric or severity"
    if act.kind != "silence" and act.expires_at is not None:
        yield f"expires_at is of a silence; leave it out of {act.kind}"
    if act.kind == "resolve" and act.code is None:
        yield f"code is missing; it is one of {', '.join(get_args(Resolution))}"
    if act.kind != "resolve" and act.code is not None:
        yield f"code is {act.code}, which only a resolve has; leave it out of {act.kind}"
    if incident is not None and incident.state != "resolved" and act.code == "expected_change":
        yield from _nothing_to_accept(incident)
    if incident is not None and incident.state == "resolved" and act.kind != "resolve":
        yield f"incident {incident.incident_id} is resolved; there is nothing to {act.kind}"
    if incident is not None and incident.state == "pending" and act.kind == "ack":
        yield f"incident {incident.incident_id} is pending; nobody is told of it before a second evaluation agrees"


def _nothing_to_accept(incident: Incident) -> Iterable[str]:
    """A loss of an experiment is against its control, not against a baseline that could begin anew."""
    if keys := _experiments(incident):
        those, control = ("experiments", "their controls") if len(keys) > 1 else ("experiment", "its control")
        yield (
            f"it is not expected_change: the loss is of {those} {', '.join(keys)}, and against {control} it would be "
            f"told again, there is no baseline to accept; {_stop(keys)}, or silence the incident until the "
            f"end, or resolve it as {', '.join(code for code in get_args(Resolution) if code != 'expected_change')}"
        )


def _experiments(incident: Incident) -> list[str]:
    """The experiments that anything of it is lost in."""
    comparisons = [member.unit.comparison for member in incident.members]
    return sorted({each.key for each in comparisons if each.kind == "experiment"})


def _stop(keys: Iterable[str]) -> str:
    """What ends them, as typed."""
    return " and ".join(f'`truelift stop {key} --decision roll_back --reason "…"`' for key in keys)
