"""What goes into the store and comes out of it. Every instant is aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from experiments.designs import unread
from experiments.layers import Ground
from experiments.spec import Experiment, Live, Metric, Phase

State = Literal["draft", "scheduled", "running", "paused", "stopped", "archived"]
DecisionCode = Literal["ship", "roll_back", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided when an experiment was stopped, and why."""

    decision: DecisionCode
    reason: str
    at: datetime


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
    revision: int = 0  # counts every change: who changes it names the one they saw
    order: int = 0  # greater is newer
    killed: bool = False  # everybody gets the control, whatever the state
    decision: Decision | None = None

    @property
    def is_read(self) -> bool:
        """Whether somebody still waits for its readout: it runs, is paused, or ended and nothing is decided."""
        if unread(self.experiment.design, self.experiment.unit_type) is not None:
            return False
        return self.state in ("running", "paused") or (self.state == "stopped" and self.decision is None)


@dataclass(frozen=True, slots=True)
class Running:
    """An experiment as it stands: its newest definition, its newest phase and what is live beside it."""

    registered: Registered
    phase: Phase | None
    live: Live


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that decides an assignment, seen at one moment."""

    config_version: int  # the number of the newest audit row, 0 before any
    ground: Ground
    experiments: tuple[Running, ...]  # by order


@dataclass(frozen=True, slots=True)
class Token:
    """A right to ask: the secret itself is nowhere kept, only its sha256."""

    token_id: str
    name: str
    digest: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class LiveItem:
    """What the catalogue says of an item now, each with the moment from which it holds; None while unknown."""

    item_id: str
    valid_from: datetime  # of the newest row, whatever it said
    stock: int | None = None  # pieces
    stock_since: datetime | None = None
    price: int | None = None  # minor units
    price_since: datetime | None = None
    number: int = 0  # of the change that touched it last; the store fills it in


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
class Measure:
    """What was measured of one place in the minutes before `ended_at`. A later revision replaces the earlier ones."""

    kind: str  # bucket, look, traffic
    place: str
    minutes: int
    ended_at: datetime
    body: str  # canonical JSON, the writer's own
    revision: int = 0  # the store fills it in
    published_at: datetime | None = None  # the store fills it in


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
