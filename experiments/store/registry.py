"""The store's one class: what was registered, started, published and noticed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Select, delete, insert, select

from experiments.errors import NotFoundError, TransitionError, nearest
from experiments.layers import Ground
from experiments.spec import DEFINITION, Experiment, Live, Metric, Phase, canonical
from experiments.store import cross_check, ground, live_items, measures, statements, tables, tokens
from experiments.store.alerts import Alerts
from experiments.store.chain import breaks
from experiments.store.engine import connect, reading, writing
from experiments.store.values import (
    AuditRow,
    Decision,
    Event,
    LiveItem,
    Measure,
    Registered,
    Running,
    Snapshot,
    SnapshotHead,
    Standing,
    State,
    Token,
)

KEPT_DAYS = 7  # how long a snapshot is kept that is not its business day's last
_BY_PUBLICATION = (tables.snapshots.c.published_at.desc(), tables.snapshots.c.snapshot_id)
_HEAD = [tables.snapshots.c[name] for name in SnapshotHead.__dataclass_fields__]


class Store:
    """An open store. Every method is one transaction; every instant is aware, UTC when it comes out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.alerts = Alerts(engine)

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
            rows = connection.execute(statements.definitions().order_by(tables.experiments.c.key)).all()
        return [statements.registered(row) for row in rows]

    def definition(self, key: str) -> Registered:
        """An experiment's newest version. NotFoundError names the nearest keys."""
        with reading(self._engine) as connection:
            return statements.definition(connection, key)

    def find(self, key: str) -> Registered | None:
        """An experiment's newest version, None when the key was never registered."""
        with reading(self._engine) as connection:
            return statements.find(connection, key)

    def version(self, key: str, version: int) -> Experiment:
        """The definition as it stood at a version. NotFoundError when there is none."""
        c = tables.definitions.c
        with reading(self._engine) as connection:
            current = statements.definition(connection, key)
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
            current = statements.find(connection, key)
            if current is not None and current.digest == statements.content(experiment, metrics)[0]:
                return current
            statements.refuse_stale(key, 0 if current is None else current.version, expected_version)
            if current is not None:
                statements.refuse_changed(current, expected_revision)
            statements.write_definition(connection, current, experiment, metrics, now)
            if live is not None:
                statements.write_live(connection, key, *live)
            before = None if current is None else current.experiment.model_dump(mode="json", by_alias=True)
            after = experiment.model_dump(mode="json", by_alias=True)
            statements.append(connection, now, actor, action, key, reason, before, after)
            return replace(statements.definition(connection, key), changed=True)

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
            current = statements.definition(connection, key)
            if current.state not in ("draft", "scheduled"):
                raise TransitionError(f"{key} is {current.state}: only a draft can be started")
            statements.refuse_stale(key, current.version, expected_version)
            statements.move(connection, key, state="running")
            after = statements.write_phase(connection, phase, current.version, live or Live(), now)
            statements.append(connection, now, actor, "start", key, reason, {"state": current.state}, after)

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
            current = statements.definition(connection, key)
            statements.refuse_changed(current, expected_revision)
            if current.digest != statements.content(experiment, metrics)[0]:
                statements.write_definition(connection, current, experiment, metrics, now)
            version = statements.definition(connection, key).version
            statements.move(connection, key, state="running", killed=False)
            statements.write_live(connection, key, *ended)
            after = statements.write_phase(connection, phase, version, live, now)
            before = {"state": current.state, "definition_version": current.version, "phase": ended[0]}
            statements.append(connection, now, actor, "new_phase", key, reason, before, after)
            return replace(statements.definition(connection, key), changed=True)

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
            current = statements.definition(connection, key)
            statements.refuse_changed(current, expected_revision)
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
                was["live"] = statements.live(connection, key, live[0]).model_dump(mode="json")
                becomes["live"] = live[1].model_dump(mode="json")
                was["phase"] = becomes["phase"] = live[0]
                statements.write_live(connection, key, *live)
            statements.move(connection, key, **to)
            statements.append(connection, now, actor, action, key, reason, was, becomes)
            return replace(statements.definition(connection, key), changed=True)

    def live(self, key: str, number: int) -> Live:
        """What is live beside a phase. NotFoundError when there is no such phase."""
        with reading(self._engine) as connection:
            return statements.live(connection, key, number)

    def standing(self) -> Standing:
        """Everything that decides an assignment, at one moment."""
        phases = tables.phases
        with reading(self._engine) as connection:
            rows = connection.execute(
                statements.definitions().order_by(tables.experiments.c.ordinal, tables.experiments.c.key)
            )
            known = [statements.registered(row) for row in rows]
            newest: dict[str, tuple[Phase, Live]] = {}
            for row in connection.execute(select(phases).order_by(phases.c.experiment_key, phases.c.number)):
                found = (Phase.model_validate_json(row.body), Live.model_validate_json(row.live))
                newest[str(row.experiment_key)] = found
            number = statements.config_version(connection)
            found_ground = ground.read(connection)
        running = (Running(each, *newest.get(each.key, (None, Live()))) for each in known)
        return Standing(number, found_ground, tuple(running))

    def config_version(self) -> int:
        """The number of the newest audit row, 0 before any: whoever asks often reads everything when it has grown."""
        with reading(self._engine) as connection:
            return statements.config_version(connection)

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
                statements.append(connection, now, actor, action, change.key, reason, change.before, change.after)
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
            statements.append(connection, token.created_at, actor, "create_token", token.name, reason, None, after)

    def tokens(self) -> list[Token]:
        """Every token ever made, by creation."""
        with reading(self._engine) as connection:
            return tokens.every(connection)

    def revoke_token(self, token_id: str, *, actor: str, reason: str, now: datetime) -> Token:
        """Make a token invalid from now on; harmless twice. NotFoundError when there is none."""
        with writing(self._engine) as connection:
            before = tokens.one(connection, token_id)
            if before.revoked_at is not None:
                return before
            after = tokens.revoke(connection, token_id, now)
            was, becomes = {"revoked_at": None}, {"token_id": token_id, "revoked_at": now.isoformat()}
            statements.append(connection, now, actor, "revoke_token", before.name, reason, was, becomes)
            return after

    def phase(self, key: str, number: int | None = None) -> Phase:
        """A phase as it was frozen, the newest without a number. NotFoundError when there is none."""
        own = tables.phases.c.experiment_key == key
        query = select(tables.phases.c.body).where(own).order_by(tables.phases.c.number.desc())
        with reading(self._engine) as connection:
            current = statements.definition(connection, key)
            body = connection.execute(
                query if number is None else query.where(tables.phases.c.number == number)
            ).scalar()
        if body is None:
            which = "no phase yet" if number is None else f"no phase {number}"
            step = f"`truelift start {key}`" if current.state == "draft" else "leave the number out for the newest"
            raise NotFoundError(f"{key} ({current.state}) has {which}; {step}")
        return Phase.model_validate_json(body)

    def phases(self) -> dict[str, tuple[tuple[Phase, Live], ...]]:
        """Every phase that ever began, by experiment and in order, with what is live beside it."""
        query = select(tables.phases).order_by(tables.phases.c.experiment_key, tables.phases.c.number)
        found: dict[str, tuple[tuple[Phase, Live], ...]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                own = (Phase.model_validate_json(row.body), Live.model_validate_json(row.live))
                found[row.experiment_key] = (*found.get(row.experiment_key, ()), own)
        return found

    # --- live catalogue -----------------------------------------------------------------------------------------

    def live_items(self, after: int = 0) -> list[LiveItem]:
        """What the catalogue says now of the items that changed after that number; of all for 0."""
        with reading(self._engine) as connection:
            return live_items.newer(connection, after)

    def change_live_items(
        self, item_ids: Collection[str], judge: Callable[[Mapping[str, LiveItem]], Iterable[LiveItem]]
    ) -> None:
        """Replace items by what `judge` makes of those that are known, while nobody else writes.

        What `judge` raises leaves everything as it was.
        """
        with writing(self._engine) as connection:
            live_items.write(connection, judge(live_items.read(connection, item_ids)))

    # --- what the alerts read -----------------------------------------------------------------------------------

    def save_measures(self, given: Iterable[Measure], *, now: datetime) -> list[Measure]:
        """Those that are new, or a revision of what had other numbers; what says the same changes nothing."""
        with writing(self._engine) as connection:
            return measures.save(connection, given, now)

    def measures(
        self,
        kind: str,
        minutes: int,
        place: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Measure]:
        """The newest revision of each that ended in (since, until], of one place or of all, by its end and place."""
        with reading(self._engine) as connection:
            return measures.newest(connection, kind, minutes, place, since, until)

    def measured_ends(self, kind: str, minutes: int, *, published_since: datetime | None = None) -> list[datetime]:
        """The ends of which something was published (at that instant or later), each once, oldest first."""
        with reading(self._engine) as connection:
            return measures.ends(connection, kind, minutes, published_since)

    def measures_published_at(self, kind: str) -> datetime | None:
        """When the newest of a kind was published."""
        with reading(self._engine) as connection:
            return measures.published_at(connection, kind)

    def measured_places(self, kind: str, minutes: int, ended_at: datetime) -> list[str]:
        """Which places were measured up to that end."""
        with reading(self._engine) as connection:
            return measures.places(connection, kind, minutes, ended_at)

    def measured_until(self, kind: str, minutes: int) -> Mapping[str, datetime]:
        """The newest end of each place."""
        with reading(self._engine) as connection:
            return measures.last(connection, kind, minutes)

    def forget_measures(self, kind: str, minutes: int, *, before: datetime) -> None:
        """Delete what ended before that instant."""
        with writing(self._engine) as connection:
            measures.forget(connection, kind, minutes, before)

    # --- audit --------------------------------------------------------------------------------------------------

    def audit(self, key: str | None = None) -> list[AuditRow]:
        """Every change in order, of one experiment or of all."""
        query = select(tables.audit).order_by(tables.audit.c.number)
        with reading(self._engine) as connection:
            rows = connection.execute(query if key is None else query.where(tables.audit.c.experiment_key == key)).all()
        return [AuditRow(**row._mapping) for row in rows]

    def verify_audit(self) -> tuple[str, ...]:
        """Walk the whole chain, and count it against what stands in the store: one sentence for each thing wrong."""
        return self.verified_audit()[1]

    def verified_audit(self) -> tuple[tuple[AuditRow, ...], tuple[str, ...]]:
        """Every audit row, and what is wrong with them at the same moment, in sentences."""
        query = select(tables.audit).order_by(tables.audit.c.number)
        with reading(self._engine) as connection:
            rows = tuple(AuditRow(**row._mapping) for row in connection.execute(query))
            there = cross_check.read(connection)
        return rows, (*breaks(rows), *cross_check.disagreements(rows, there))

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
                statements.append(
                    connection, event.recorded_at, actor, event.kind, event.experiment_key, reason, None, after
                )
        return True

    def events(self, key: str, phase: int) -> list[Event]:
        """What is remembered of a phase, in the order it happened."""
        c = tables.events.c
        query = select(tables.events).where(c.experiment_key == key, c.phase == phase)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(c.at, c.recorded_at, c.kind, c.metric, c.arm)).all()
        return [Event(**row._mapping) for row in rows]


def _bodies() -> Select[tuple[object, ...]]:
    return select(*_HEAD, tables.snapshots.c.body, tables.moments.c.body.label("moments")).join_from(
        tables.snapshots, tables.moments
    )
