"""What people do about incidents: acknowledge, silence, resolve. ALERTS 5.

An act is written down once, as it is, and taken into account by the next step of the lifecycle.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, get_args

from analysis.alerts.model import SEVERITIES, Cell, Incident, Metric, Resolution, Severity
from experiments.spec import digest

ActKind = Literal["ack", "silence", "unsilence", "resolve"]


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


def refusals(act: Act, incidents: Iterable[Incident]) -> tuple[str, ...]:
    """Everything that is wrong with an act, for whoever is about to write it down; empty when it may be."""
    known = {incident.incident_id: incident for incident in incidents}
    found = []
    if not act.author.strip():
        found.append("author is empty; say who does it")
    if not act.reason.strip():
        found.append(f"reason is empty; say why you {act.kind}")
    if act.incident_id and act.matcher is not None:
        found.append(f"incident {act.incident_id} and a matcher are given; give one of them")
    if not act.incident_id and act.matcher is None:
        found.append("neither an incident nor a matcher is given; say what it is about")
    if act.incident_id and act.incident_id not in known:
        open_ones = ", ".join(sorted(key for key, one in known.items() if one.state != "resolved")) or "none"
        found.append(f"incident {act.incident_id} is not known; open are: {open_ones}")
    return (*found, *_refused_by_kind(act, known.get(act.incident_id)))


def _refused_by_kind(act: Act, incident: Incident | None) -> Iterable[str]:
    if act.matcher is not None and act.kind in ("ack", "resolve"):
        yield f"a matcher cannot {act.kind}; name the incident"
    if act.matcher == Matcher() and act.kind == "silence":
        yield "the matcher is empty and would silence everything; name a module, category, metric or severity"
    if act.kind == "silence" and act.expires_at is None:
        yield "expires_at is missing; every silence ends"
    if act.kind == "silence" and act.expires_at is not None and act.expires_at <= act.at:
        yield f"expires_at is {act.expires_at.isoformat()}, not after {act.at.isoformat()}; give a later time"
    if act.kind != "silence" and act.expires_at is not None:
        yield f"expires_at is of a silence; leave it out of {act.kind}"
    if act.kind == "resolve" and act.code is None:
        yield f"code is missing; it is one of {', '.join(get_args(Resolution))}"
    if act.kind != "resolve" and act.code is not None:
        yield f"code is {act.code}, which only a resolve has; leave it out of {act.kind}"
    if incident is not None and incident.state == "resolved" and act.kind != "resolve":
        yield f"incident {incident.incident_id} is resolved; there is nothing to {act.kind}"
    if incident is not None and incident.state == "pending" and act.kind == "ack":
        yield f"incident {incident.incident_id} is pending; nobody is told of it before a second evaluation agrees"
