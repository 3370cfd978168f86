"""Where everything stands between two bucket ends: what the lifecycle carries on, as a value and as JSON. ALERTS 5."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from analysis.alerts.course.acts import Act
from analysis.alerts.model import SEVERITIES, Evaluation, Incident, Resolution, Severity

Family = Literal["money", "data"]


@dataclass(frozen=True, slots=True)
class Track:
    """One fingerprint that fires or did a moment ago.

    `recent` are its last two severities that count, each of other data than the one before, newest last; `ends` the
    gravest that was read of each of its last three buckets of six hours, of the data's own track of each evaluation.
    """

    family: Family
    evaluation: Evaluation  # money: the newest with data; data: the newest with a failing check
    recent: tuple[Severity, ...]
    confirmed: Severity  # what enough evaluations in a row agree on
    since: datetime  # first fired
    incident_id: str
    blind_since: datetime | None = None  # no data since then
    ends: tuple[Severity, ...] = ()  # empty in a standing of before there were any: `recent` is they then
    read_at: datetime | None = None  # when the newest of `recent` was first read

    @property
    def held(self) -> bool:
        """Whether a signal check fails on its cell: a loss that is not believed."""
        return self.family == "money" and bool(self.evaluation.held_by)

    @property
    def is_confirmed(self) -> bool:
        """Whether enough evaluations in a row agree that something is wrong."""
        return self.confirmed != "digest"


@dataclass(frozen=True, slots=True)
class Case:
    """An incident, and what is remembered of it besides."""

    incident: Incident
    transitions: int = 0  # told so far: the number of the last
    told: Severity | None = None  # as what people know it; None while they do not
    told_at: datetime | None = None
    owed: bool = False  # a silence ended while it lasted: to be told when nothing else mutes it
    acked_money: float = 0.0  # expected loss a day when it was acknowledged
    acked_severity: Severity = "digest"
    worst: Severity = "digest"
    rules: tuple[tuple[str, int], ...] = ()  # name and version of those that confirmed it
    summed_until: datetime | None = None  # lost_so_far counts up to here
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """One resolved incident of one rule, kept for good: what a rule's precision is counted from."""

    incident_id: str
    rule: str
    rule_version: int
    worst: Severity
    resolved_at: datetime
    lost: float
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """A detector to set to 0 after this step. `accepted`: the loss was expected, so a new baseline begins here."""

    fingerprint: str
    incident_id: str
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything between two steps. `resets` are the last step's: whoever stored it carries them out with it."""

    at: datetime | None = None  # the newest bucket end that was evaluated
    tracks: Mapping[str, Track] = field(default_factory=dict)  # "family:fingerprint"
    cases: Mapping[str, Case] = field(default_factory=dict)  # incident id
    silences: tuple[Act, ...] = ()  # that are not over
    acts: Mapping[str, datetime] = field(default_factory=dict)  # taken into account: act id, when it was done
    closed: tuple[Closed, ...] = ()
    resets: tuple[Reset, ...] = ()

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings")  # an e-value may be infinite

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """All that are kept, the gravest first, then by money and id."""
        return tuple(sorted((case.incident for case in self.cases.values()), key=gravest))


def gravest(incident: Incident) -> tuple[int, float, str]:
    """The order in which incidents are told and shown."""
    return -SEVERITIES.index(incident.severity), -incident.expected, incident.incident_id


STANDING = TypeAdapter(Standing)


def to_json(standing: Standing) -> str:
    """The standing as JSON: equal standings have equal texts."""
    return STANDING.dump_json(standing).decode()


def from_json(text: str) -> Standing:
    """What `to_json` wrote. pydantic's ValidationError for anything else."""
    return STANDING.validate_json(text)
