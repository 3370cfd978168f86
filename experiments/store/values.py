"""What goes into the store and comes out of it. Every instant is aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from experiments.spec import Experiment, Metric

State = Literal["draft", "running"]


@dataclass(frozen=True, slots=True)
class Registered:
    """The newest version of a definition, with the metrics it names as they stood when it was registered."""

    key: str
    version: int
    state: State
    experiment: Experiment
    registered_at: datetime
    digest: str  # of the definition with its metrics
    metrics: Mapping[str, Metric]  # by key: its own, and those their covariates name
    changed: bool = False  # whether the call that returned this stored a new version


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """A published readout without its bodies."""

    snapshot_id: str
    experiment_key: str
    phase: int
    as_of: datetime
    published_at: datetime
    supersedes: str | None  # the snapshot of the same data cut that this one replaces; the store fills it in
    schema: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Snapshot(SnapshotHead):
    """A published readout: immutable, the same inputs have the same id."""

    body: bytes  # canonical JSON, zlib
    moments: bytes  # the moments it was computed from, as their writer packed them


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once and is remembered with its date: a first crossing, a stop."""

    experiment_key: str
    phase: int
    kind: str
    metric: str  # '' when it is the whole experiment's
    arm: str  # '' when it is every arm's
    at: datetime  # the data cut at which it was seen
    recorded_at: datetime
    detail: str = ""  # canonical JSON, the recorder's own


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who changed what, when and why. `hash` covers everything here and `previous`, the hash of the row before."""

    number: int  # 1, 2, 3, … without gaps
    at: datetime
    actor: str
    action: str
    experiment_key: str
    reason: str
    before: str | None  # canonical JSON; None when there was nothing
    after: str | None
    previous: str
    hash: str
