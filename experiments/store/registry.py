"""The store's one class: what was registered, started, published and noticed."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, Select, delete, insert, select, update

from experiments.errors import ConflictError, NotFoundError, TransitionError, nearest
from experiments.spec import Experiment, Metric, Phase, canonical, digest
from experiments.store import tables
from experiments.store.chain import breaks, linked
from experiments.store.engine import connect, reading, writing
from experiments.store.values import AuditRow, Event, Registered, Snapshot, SnapshotHead

KEPT_DAYS = 7  # how long a snapshot is kept that is not its business day's last
_METRICS = TypeAdapter(dict[str, Metric])
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

    def save_definition(
        self,
        experiment: Experiment,
        metrics: Mapping[str, Metric],
        *,
        expected_version: int,
        actor: str,
        reason: str,
        now: datetime,
    ) -> Registered:
        """Store the next version; the newest one, unchanged, when it says the same.

        `expected_version` is the version this one was made from, 0 for none: ConflictError when there is a newer.
        """
        key, body = experiment.key, canonical(experiment.model_dump(mode="json", by_alias=True))
        used = canonical({name: metric.model_dump(mode="json", by_alias=True) for name, metric in metrics.items()})
        content = digest([body, used])
        with writing(self._engine) as connection:
            current = _find(connection, key)
            if current is not None and current.digest == content:
                return current
            version = 0 if current is None else current.version
            _refuse_stale(key, version, expected_version)
            if current is None:
                connection.execute(insert(tables.experiments).values(key=key, version=1, state="draft"))
            else:
                _move(connection, key, version=version + 1)
            connection.execute(
                insert(tables.definitions).values(
                    experiment_key=key, version=version + 1, digest=content, body=body, metrics=used, registered_at=now
                )
            )
            before = None if current is None else current.experiment.model_dump(mode="json", by_alias=True)
            _append(
                connection,
                now,
                actor,
                "register",
                key,
                reason,
                before,
                experiment.model_dump(mode="json", by_alias=True),
            )
            return replace(_definition(connection, key), changed=True)

    def save_phase(
        self, key: str, phase: Phase, *, expected_version: int, actor: str, reason: str, now: datetime
    ) -> None:
        """Freeze a draft's phase and let it run.

        TransitionError when it is not a draft, ConflictError when its definition is no longer `expected_version`.
        """
        body = phase.model_dump(mode="json", by_alias=True)
        with writing(self._engine) as connection:
            current = _definition(connection, key)
            if current.state != "draft":
                raise TransitionError(f"{key} is {current.state}: only a draft can be started")
            _refuse_stale(key, current.version, expected_version)
            _move(connection, key, state="running")
            connection.execute(
                insert(tables.phases).values(
                    experiment_key=key,
                    number=phase.number,
                    definition_version=current.version,
                    started_at=phase.started_at,
                    frozen_at=now,
                    body=canonical(body),
                )
            )
            after = {"state": "running", "definition_version": current.version, "phase": body}
            _append(connection, now, actor, "start", key, reason, {"state": current.state}, after)

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


def _definitions() -> Select[tuple[object, ...]]:
    newest = (tables.definitions.c.experiment_key == tables.experiments.c.key) & (
        tables.definitions.c.version == tables.experiments.c.version
    )
    return select(tables.experiments.c.state, *tables.definitions.c).join_from(
        tables.experiments, tables.definitions, newest
    )


def _registered(row: Row[tuple[object, ...]]) -> Registered:
    given = row._mapping
    return Registered(
        key=given["experiment_key"],
        version=given["version"],
        state=given["state"],
        experiment=Experiment.model_validate_json(given["body"]),
        registered_at=given["registered_at"],
        digest=given["digest"],
        metrics=_METRICS.validate_json(given["metrics"]),
    )


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


def _move(connection: Connection, key: str, **to: str | int) -> None:
    connection.execute(update(tables.experiments).where(tables.experiments.c.key == key).values(**to))


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
        after=canonical(after),
    )
    connection.execute(insert(tables.audit).values(**asdict(row)))


def _bodies() -> Select[tuple[object, ...]]:
    return select(*_HEAD, tables.snapshots.c.body, tables.moments.c.body.label("moments")).join_from(
        tables.snapshots, tables.moments
    )
