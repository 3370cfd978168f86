"""The store's one class: what was registered, started, published and noticed."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, select, update

from experiments.errors import ConflictError, NotFoundError, TransitionError, nearest
from experiments.layers import Ground
from experiments.ranges import overlap, shown
from experiments.spec import DEFINITION, Assigned, Experiment, Live, Metric, Phase, canonical, digest
from experiments.store import ground, tables, tokens
from experiments.store.chain import breaks, linked
from experiments.store.engine import connect, reading, writing
from experiments.store.values import (
    AuditRow,
    Decision,
    Event,
    Registered,
    Running,
    Snapshot,
    SnapshotHead,
    Standing,
    State,
    Token,
)

KEPT_DAYS = 7  # how long a snapshot is kept that is not its business day's last
_METRICS = TypeAdapter(dict[str, Metric])
_DECISION = TypeAdapter(Decision)
_BY_PUBLICATION = (tables.snapshots.c.published_at.desc(), tables.snapshots.c.snapshot_id)
_HEAD = [tables.snapshots.c[name] for name in SnapshotHead.__dataclass_fields__]


class Store:
    """An open store. Every method is one transaction; every instant is aware, UTC when it comes out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the store at a SQLAlchemy URL and bring its schema up to date. UsageError, StoreError."""
        return cls(connect(url))

    def close(self) -> None:
        """Give back what is held; harmless twice."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- definitions and phases ---------------------------------------------------------------------------------

    def registered(self) -> list[Registered]:
        """Every experiment at its newest version, by key."""
        with reading(self._engine) as connection:
            rows = connection.execute(_definitions().order_by(tables.experiments.c.key)).all()
        return [_registered(row) for row in rows]

    def definition(self, key: str) -> Registered:
        """An experiment's newest version. NotFoundError names the nearest keys."""
        with reading(self._engine) as connection:
            return _definition(connection, key)

    def find(self, key: str) -> Registered | None:
        """An experiment's newest version, None when the key was never registered."""
        with reading(self._engine) as connection:
            return _find(connection, key)

    def version(self, key: str, version: int) -> Experiment:
        """The definition as it stood at a version. NotFoundError when there is none."""
        c = tables.definitions.c
        with reading(self._engine) as connection:
            current = _definition(connection, key)
            query = select(c.body).where(c.experiment_key == key, c.version == version)
            body = connection.execute(query).scalar()
        if body is None:
            raise NotFoundError(f"{key} has no version {version}; its versions are 1 to {current.version}")
        return DEFINITION.validate_json(body)

    def save_definition(
        self,
        experiment: Experiment,
        metrics: Mapping[str, Metric],
        *,
        expected_version: int,
        actor: str,
        reason: str,
        now: datetime,
        action: str = "register",
        expected_revision: int | None = None,
        live: tuple[int, Live] | None = None,
    ) -> Registered:
        """Store the next version; the newest one, unchanged, when it says the same.

        `expected_version` is the version this one was made from, 0 for none: ConflictError when there is a newer, when
        its salt is another's or its buckets became another's. `live` replaces what is live beside that phase.
        """
        key = experiment.key
        with writing(self._engine) as connection:
            current = _find(connection, key)
            if current is not None and current.digest == _content(experiment, metrics)[0]:
                return current
            _refuse_stale(key, 0 if current is None else current.version, expected_version)
            if current is not None:
                _refuse_changed(current, expected_revision)
            _write_definition(connection, current, experiment, metrics, now)
            if live is not None:
                _write_live(connection, key, *live)
            before = None if current is None else current.experiment.model_dump(mode="json", by_alias=True)
            after = experiment.model_dump(mode="json", by_alias=True)
            _append(connection, now, actor, action, key, reason, before, after)
            return replace(_definition(connection, key), changed=True)

    def save_phase(
        self,
        key: str,
        phase: Phase,
        *,
        expected_version: int,
        actor: str,
        reason: str,
        now: datetime,
        live: Live | None = None,
    ) -> None:
        """Freeze the first phase of a draft, or of what is scheduled, and let it run.

        TransitionError when it is neither, ConflictError when its definition is no longer `expected_version`.
        """
        with writing(self._engine) as connection:
            current = _definition(connection, key)
            if current.state not in ("draft", "scheduled"):
                raise TransitionError(f"{key} is {current.state}: only a draft can be started")
            _refuse_stale(key, current.version, expected_version)
            _move(connection, key, state="running")
            after = _write_phase(connection, phase, current.version, live or Live(), now)
            _append(connection, now, actor, "start", key, reason, {"state": current.state}, after)

    def open_phase(
        self,
        phase: Phase,
        metrics: Mapping[str, Metric],
        live: Live,
        *,
        ended: tuple[int, Live],
        expected_revision: int,
        actor: str,
        reason: str,
        now: datetime,
    ) -> Registered:
        """End a phase and begin the next with another definition, all at once. ConflictError as for a definition."""
        experiment, key = phase.experiment, phase.experiment.key
        with writing(self._engine) as connection:
            current = _definition(connection, key)
            _refuse_changed(current, expected_revision)
            if current.digest != _content(experiment, metrics)[0]:
                _write_definition(connection, current, experiment, metrics, now)
            version = _definition(connection, key).version
            _move(connection, key, state="running", killed=False)
            _write_live(connection, key, *ended)
            after = _write_phase(connection, phase, version, live, now)
            before = {"state": current.state, "definition_version": current.version, "phase": ended[0]}
            _append(connection, now, actor, "new_phase", key, reason, before, after)
            return replace(_definition(connection, key), changed=True)

    def change(
        self,
        key: str,
        *,
        action: str,
        expected_revision: int | None,
        actor: str,
        reason: str,
        now: datetime,
        state: State | None = None,
        killed: bool | None = None,
        decision: Decision | None = None,
        live: tuple[int, Live] | None = None,
    ) -> Registered:
        """Move an experiment, or what is live beside a phase of it, with one audit row of what it was and is.

        ConflictError when its revision is no longer the expected one; None changes it whatever happened meanwhile.
        """
        with writing(self._engine) as connection:
            current = _definition(connection, key)
            _refuse_changed(current, expected_revision)
            to: dict[str, str | bool] = {}
            was: dict[str, object] = {}
            if state is not None:
                to["state"], was["state"] = state, current.state
            if killed is not None:
                to["killed"], was["killed"] = killed, current.killed
            if decision is not None:
                to["decision"] = canonical({**asdict(decision), "at": decision.at.isoformat()})
                was["decision"] = None if current.decision is None else current.decision.decision
            becomes: dict[str, object] = {**to, **({"decision": decision.decision} if decision else {})}
            if live is not None:
                was["live"] = _live(connection, key, live[0]).model_dump(mode="json")
                becomes["live"] = live[1].model_dump(mode="json")
                was["phase"] = becomes["phase"] = live[0]
                _write_live(connection, key, *live)
            _move(connection, key, **to)
            _append(connection, now, actor, action, key, reason, was, becomes)
            return replace(_definition(connection, key), changed=True)

    def live(self, key: str, number: int) -> Live:
        """What is live beside a phase. NotFoundError when there is no such phase."""
        with reading(self._engine) as connection:
            return _live(connection, key, number)

    def standing(self) -> Standing:
        """Everything that decides an assignment, at one moment."""
        phases = tables.phases
        with reading(self._engine) as connection:
            rows = connection.execute(_definitions().order_by(tables.experiments.c.ordinal, tables.experiments.c.key))
            known = [_registered(row) for row in rows]
            newest: dict[str, tuple[Phase, Live]] = {}
            for row in connection.execute(select(phases).order_by(phases.c.experiment_key, phases.c.number)):
                found = (Phase.model_validate_json(row.body), Live.model_validate_json(row.live))
                newest[str(row.experiment_key)] = found
            number = _config_version(connection)
            found_ground = ground.read(connection)
        running = (Running(each, *newest.get(each.key, (None, Live()))) for each in known)
        return Standing(number, found_ground, tuple(running))

    def config_version(self) -> int:
        """The number of the newest audit row, 0 before any: whoever asks often reads everything when it has grown."""
        with reading(self._engine) as connection:
            return _config_version(connection)

    # --- layers, holdouts, salts, tokens ------------------------------------------------------------------------

    def ground(self) -> Ground:
        """The registered layers and holdouts."""
        with reading(self._engine) as connection:
            return ground.read(connection)

    def save_ground(self, wanted: Ground, *, actor: str, reason: str, now: datetime) -> tuple[str, ...]:
        """Make these the registered layers and holdouts; which were added, changed or removed, as `layer homepage`.

        One audit row each, all or none. ConflictError when a salt is another's.
        """
        with writing(self._engine) as connection:
            changes = ground.write(connection, wanted, now)
            for change in changes:
                action = f"{change.action}_{change.kind}"
                _append(connection, now, actor, action, change.key, reason, change.before, change.after)
        return tuple(f"{change.kind} {change.key}" for change in changes)

    def salts(self) -> dict[str, str]:
        """Whose every salt is or was: `experiment home_als_v2`, `layer homepage`, `holdout global_h2`."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(tables.salts.c.salt, tables.salts.c.owner)).all()
        return {str(salt): str(owner) for salt, owner in rows}

    def add_token(self, token: Token, *, actor: str, reason: str) -> None:
        """Keep a new token. ConflictError when a valid one has its name already."""
        with writing(self._engine) as connection:
            tokens.add(connection, token)
            after = {"token_id": token.token_id, "scopes": list(token.scopes)}
            _append(connection, token.created_at, actor, "create_token", token.name, reason, None, after)

    def tokens(self) -> list[Token]:
        """Every token ever made, by creation."""
        with reading(self._engine) as connection:
            return tokens.every(connection)

    def token_by_digest(self, digest: str) -> Token | None:
        """The token with this sha256 of its secret (64 hex digits), also when it is revoked or expired."""
        with reading(self._engine) as connection:
            return tokens.by_digest(connection, digest)

    def revoke_token(self, token_id: str, *, actor: str, reason: str, now: datetime) -> Token:
        """Make a token invalid from now on; harmless twice. NotFoundError when there is none."""
        with writing(self._engine) as connection:
            before = tokens.one(connection, token_id)
            if before.revoked_at is not None:
                return before
            after = tokens.revoke(connection, token_id, now)
            was, becomes = {"revoked_at": None}, {"token_id": token_id, "revoked_at": now.isoformat()}
            _append(connection, now, actor, "revoke_token", before.name, reason, was, becomes)
            return after

    def phase(self, key: str, number: int | None = None) -> Phase:
        """A phase as it was frozen, the newest without a number. NotFoundError when there is none."""
        own = tables.phases.c.experiment_key == key
        query = select(tables.phases.c.body).where(own).order_by(tables.phases.c.number.desc())
        with reading(self._engine) as connection:
            current = _definition(connection, key)
            body = connection.execute(
                query if number is None else query.where(tables.phases.c.number == number)
            ).scalar()
        if body is None:
            which = "no phase yet" if number is None else f"no phase {number}"
            step = f"`truelift start {key}`" if current.state == "draft" else "leave the number out for the newest"
            raise NotFoundError(f"{key} ({current.state}) has {which}; {step}")
        return Phase.model_validate_json(body)

    # --- audit --------------------------------------------------------------------------------------------------

    def audit(self, key: str | None = None) -> list[AuditRow]:
        """Every change in order, of one experiment or of all."""
        query = select(tables.audit).order_by(tables.audit.c.number)
        with reading(self._engine) as connection:
            rows = connection.execute(query if key is None else query.where(tables.audit.c.experiment_key == key)).all()
        return [AuditRow(**row._mapping) for row in rows]

    def verify_audit(self) -> tuple[str, ...]:
        """Walk the whole chain: one sentence for each row that is not what was written."""
        return breaks(self.audit())

    # --- snapshots ----------------------------------------------------------------------------------------------

    def publish(self, snapshot: Snapshot) -> bool:
        """Insert a snapshot, or nothing when its id is there already; whether it was inserted."""
        with writing(self._engine) as connection:
            if connection.execute(_bodies().where(tables.snapshots.c.snapshot_id == snapshot.snapshot_id)).first():
                return False
            c = tables.snapshots.c
            same_cut = (
                c.experiment_key == snapshot.experiment_key,
                c.phase == snapshot.phase,
                c.as_of == snapshot.as_of,
            )
            before = connection.execute(select(c.snapshot_id).where(*same_cut).order_by(*_BY_PUBLICATION)).scalar()
            supersedes = snapshot.supersedes or before
            head = {name: getattr(snapshot, name) for name in SnapshotHead.__dataclass_fields__}
            connection.execute(
                insert(tables.snapshots).values(**{**head, "supersedes": supersedes, "body": snapshot.body})
            )
            connection.execute(insert(tables.moments).values(snapshot_id=snapshot.snapshot_id, body=snapshot.moments))
        return True

    def latest(self, key: str, phase: int | None = None) -> Snapshot | None:
        """The newest reading of the largest data cut, of the newest phase that has any; None without any."""
        order = (tables.snapshots.c.phase.desc(), tables.snapshots.c.as_of.desc(), *_BY_PUBLICATION)
        query = _bodies().where(tables.snapshots.c.experiment_key == key).order_by(*order).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query if phase is None else query.where(tables.snapshots.c.phase == phase)).first()
        return None if row is None else Snapshot(**row._mapping)

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """One snapshot by its id. NotFoundError when it is not there (any more)."""
        with reading(self._engine) as connection:
            row = connection.execute(_bodies().where(tables.snapshots.c.snapshot_id == snapshot_id)).first()
            known = [] if row else connection.execute(select(tables.snapshots.c.snapshot_id)).scalars().all()
        if row is None:
            near = nearest(snapshot_id, known)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise NotFoundError(
                f"no snapshot {snapshot_id}{hint}; only the last of a day is kept beyond {KEPT_DAYS} days"
            )
        return Snapshot(**row._mapping)

    def snapshots(self, key: str, phase: int | None = None) -> list[SnapshotHead]:
        """What was published of an experiment, newest first, without the bodies."""
        query = select(*_HEAD).where(tables.snapshots.c.experiment_key == key).order_by(*_BY_PUBLICATION)
        with reading(self._engine) as connection:
            rows = connection.execute(query if phase is None else query.where(tables.snapshots.c.phase == phase)).all()
        return [SnapshotHead(**row._mapping) for row in rows]

    def prune(self, now: datetime, time_zone: str) -> int:
        """Delete snapshots older than 7 days that a later one of the same business days replaced; how many.

        Kept for ever: the last published on each business day for each data cut's day, so neither what was read
        on a day nor any day's last reading is lost. DATA 5.
        """
        zone, cutoff = ZoneInfo(time_zone), now - timedelta(days=KEPT_DAYS)
        query = select(*_HEAD).order_by(*_BY_PUBLICATION)
        with writing(self._engine) as connection:
            heads = [SnapshotHead(**row._mapping) for row in connection.execute(query).all()]
            kept: set[object] = set()
            gone: list[str] = []
            for head in heads:  # newest first: the first of a group is its last
                days = (head.as_of.astimezone(zone).date(), head.published_at.astimezone(zone).date())
                group = (head.experiment_key, head.phase, *days)
                if group in kept and head.published_at < cutoff:
                    gone.append(head.snapshot_id)
                kept.add(group)
            for start in range(0, len(gone), 500):
                ids = gone[start : start + 500]
                connection.execute(delete(tables.moments).where(tables.moments.c.snapshot_id.in_(ids)))
                connection.execute(delete(tables.snapshots).where(tables.snapshots.c.snapshot_id.in_(ids)))
        return len(gone)

    # --- events -------------------------------------------------------------------------------------------------

    def record_event(self, event: Event, *, actor: str | None = None, reason: str = "") -> bool:
        """Remember what happened on a day, once; whether it is new. What a person did (`actor`) goes into the audit."""
        c = tables.events.c
        same = (
            (c.experiment_key == event.experiment_key)
            & (c.phase == event.phase)
            & (c.kind == event.kind)
            & (c.metric == event.metric)
            & (c.arm == event.arm)
            & (c.at == event.at)
        )
        with writing(self._engine) as connection:
            if connection.execute(select(c.kind).where(same)).first():
                return False
            connection.execute(insert(tables.events).values(**asdict(event)))
            if actor is not None:
                after = {"phase": event.phase, "arm": event.arm, "metric": event.metric, "at": event.at.isoformat()}
                _append(connection, event.recorded_at, actor, event.kind, event.experiment_key, reason, None, after)
        return True

    def events(self, key: str, phase: int) -> list[Event]:
        """What is remembered of a phase, in the order it happened."""
        c = tables.events.c
        query = select(tables.events).where(c.experiment_key == key, c.phase == phase)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(c.at, c.recorded_at, c.kind, c.metric, c.arm)).all()
        return [Event(**row._mapping) for row in rows]


def _config_version(connection: Connection) -> int:
    return connection.execute(select(func.max(tables.audit.c.number))).scalar() or 0


def _definitions() -> Select[tuple[object, ...]]:
    newest = (tables.definitions.c.experiment_key == tables.experiments.c.key) & (
        tables.definitions.c.version == tables.experiments.c.version
    )
    c = tables.experiments.c
    return select(c.state, c.revision, c.ordinal, c.killed, c.decision, *tables.definitions.c).join_from(
        tables.experiments, tables.definitions, newest
    )


def _registered(row: Row[tuple[object, ...]]) -> Registered:
    given = row._mapping
    return Registered(
        key=given["experiment_key"],
        version=given["version"],
        state=given["state"],
        experiment=DEFINITION.validate_json(given["body"]),
        registered_at=given["registered_at"],
        digest=given["digest"],
        metrics=_METRICS.validate_json(given["metrics"]),
        revision=given["revision"],
        order=given["ordinal"],
        killed=given["killed"],
        decision=None if given["decision"] is None else _DECISION.validate_json(given["decision"]),
    )


def _content(experiment: Experiment, metrics: Mapping[str, Metric]) -> tuple[str, str, str]:
    """The digest of a definition with its metrics, and both as they are stored."""
    body = canonical(experiment.model_dump(mode="json", by_alias=True))
    used = canonical({name: metric.model_dump(mode="json", by_alias=True) for name, metric in metrics.items()})
    return digest([body, used]), body, used


def _write_definition(
    connection: Connection,
    current: Registered | None,
    experiment: Experiment,
    metrics: Mapping[str, Metric],
    now: datetime,
) -> None:
    key, (content, body, used) = experiment.key, _content(experiment, metrics)
    if isinstance(experiment, Assigned):
        _refuse_overlap(connection, experiment)
        if experiment.salt is not None:
            ground.claim(connection, experiment.salt, f"experiment {key}", now)
    version = 1 if current is None else current.version + 1
    if current is None:
        ordinal = (connection.execute(select(func.max(tables.experiments.c.ordinal))).scalar() or 0) + 1
        connection.execute(insert(tables.experiments).values(key=key, version=1, state="draft", ordinal=ordinal))
    else:
        _move(connection, key, version=version)
    connection.execute(
        insert(tables.definitions).values(
            experiment_key=key, version=version, digest=content, body=body, metrics=used, registered_at=now
        )
    )


def _refuse_overlap(connection: Connection, experiment: Assigned) -> None:
    """Checked again where no other write can come between."""
    c = tables.experiments.c
    others = _definitions().where(c.state.not_in(("stopped", "archived")), c.key != experiment.key)
    for row in connection.execute(others):
        other = _registered(row).experiment
        if not isinstance(other, Assigned) or other.layer.key != experiment.layer.key:
            continue
        common = overlap(experiment.layer.ranges, other.layer.ranges)
        if common:
            raise ConflictError(
                f"{experiment.key}: {shown(common)} of layer {other.layer.key} belongs to {other.key} since a moment "
                "ago; `truelift validate` shows what is free"
            )


def _write_phase(connection: Connection, phase: Phase, version: int, live: Live, now: datetime) -> Mapping[str, object]:
    """Insert a phase; what the audit says of it."""
    body = phase.model_dump(mode="json", by_alias=True)
    connection.execute(
        insert(tables.phases).values(
            experiment_key=phase.experiment.key,
            number=phase.number,
            definition_version=version,
            started_at=phase.started_at,
            frozen_at=now,
            body=canonical(body),
            live=canonical(live.model_dump(mode="json")),
        )
    )
    return {"state": "running", "definition_version": version, "phase": body}


def _live(connection: Connection, key: str, number: int) -> Live:
    c = tables.phases.c
    body = connection.execute(select(c.live).where(c.experiment_key == key, c.number == number)).scalar()
    if body is None:
        raise NotFoundError(f"{key} has no phase {number}; `truelift start {key}` begins its first")
    return Live.model_validate_json(body)


def _write_live(connection: Connection, key: str, number: int, live: Live) -> None:
    c = tables.phases.c
    own = (c.experiment_key == key) & (c.number == number)
    connection.execute(update(tables.phases).where(own).values(live=canonical(live.model_dump(mode="json"))))


def _find(connection: Connection, key: str) -> Registered | None:
    row = connection.execute(_definitions().where(tables.experiments.c.key == key)).first()
    return None if row is None else _registered(row)


def _definition(connection: Connection, key: str) -> Registered:
    found = _find(connection, key)
    if found is not None:
        return found
    known = connection.execute(select(tables.experiments.c.key)).scalars().all()
    near = nearest(key, known)
    hint = f" (nearest: {', '.join(near)})" if near else ""
    raise NotFoundError(f"no experiment {key} is registered{hint}; `truelift register FILE` makes one known")


def _refuse_stale(key: str, version: int, expected: int) -> None:
    if version != expected:
        raise ConflictError(
            f"{key}: version {version} was registered meanwhile, this change was made from version {expected}; "
            "look at what changed and try again"
        )


def _refuse_changed(current: Registered, expected_revision: int | None) -> None:
    if expected_revision is not None and current.revision != expected_revision:
        raise ConflictError(
            f"{current.key}: somebody changed it meanwhile: it is {current.state} at version {current.version} "
            f"(revision {current.revision}, this change was made from {expected_revision}); look at what changed and "
            "try again"
        )


def _move(connection: Connection, key: str, **to: str | int | bool) -> None:
    """Every change of an experiment goes through here, and counts."""
    own = tables.experiments.c.key == key
    revision = tables.experiments.c.revision + 1
    connection.execute(update(tables.experiments).where(own).values(**to, revision=revision))


def _append(
    connection: Connection, now: datetime, actor: str, action: str, key: str, reason: str, before: object, after: object
) -> None:
    newest = connection.execute(select(tables.audit).order_by(tables.audit.c.number.desc()).limit(1)).first()
    row = linked(
        None if newest is None else AuditRow(**newest._mapping),
        at=now,
        actor=actor,
        action=action,
        experiment_key=key,
        reason=reason,
        before=None if before is None else canonical(before),
        after=None if after is None else canonical(after),
    )
    connection.execute(insert(tables.audit).values(**asdict(row)))


def _bodies() -> Select[tuple[object, ...]]:
    return select(*_HEAD, tables.snapshots.c.body, tables.moments.c.body.label("moments")).join_from(
        tables.snapshots, tables.moments
    )
