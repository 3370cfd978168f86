"""What the store's methods are made of: one statement or two each, inside the caller's transaction."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, func, insert, select, update

from experiments.errors import ConflictError, NotFoundError, UsageError, nearest
from experiments.ranges import overlap, shown
from experiments.spec import DEFINITION, Assigned, Experiment, Live, Metric, Phase, canonical, digest
from experiments.store import ground, tables
from experiments.store.chain import linked
from experiments.store.values import AuditRow, Decision, Registered

REASON_LIMIT = 1_000  # characters
_METRICS = TypeAdapter(dict[str, Metric])
_DECISION = TypeAdapter(Decision)


def config_version(connection: Connection) -> int:
    """The number of the newest audit row, 0 before any."""
    return connection.execute(select(func.max(tables.audit.c.number))).scalar() or 0


def definitions() -> Select[tuple[object, ...]]:
    """Every experiment with its newest definition."""
    newest = (tables.definitions.c.experiment_key == tables.experiments.c.key) & (
        tables.definitions.c.version == tables.experiments.c.version
    )
    c = tables.experiments.c
    return select(c.state, c.revision, c.ordinal, c.killed, c.decision, *tables.definitions.c).join_from(
        tables.experiments, tables.definitions, newest
    )


def registered(row: Row[tuple[object, ...]]) -> Registered:
    """A row of `definitions` as a value."""
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


def content(experiment: Experiment, metrics: Mapping[str, Metric]) -> tuple[str, str, str]:
    """The digest of a definition with its metrics, and both as they are stored."""
    body = canonical(experiment.model_dump(mode="json", by_alias=True))
    used = canonical({name: metric.model_dump(mode="json", by_alias=True) for name, metric in metrics.items()})
    return digest([body, used]), body, used


def write_definition(
    connection: Connection,
    current: Registered | None,
    experiment: Experiment,
    metrics: Mapping[str, Metric],
    now: datetime,
) -> None:
    """Insert the next version, its buckets and its salt checked where no other write can come between."""
    key, (found, body, used) = experiment.key, content(experiment, metrics)
    if isinstance(experiment, Assigned):
        _refuse_overlap(connection, experiment)
        if experiment.salt is not None:
            ground.claim(connection, experiment.salt, f"experiment {key}", now)
    version = 1 if current is None else current.version + 1
    if current is None:
        ordinal = (connection.execute(select(func.max(tables.experiments.c.ordinal))).scalar() or 0) + 1
        connection.execute(insert(tables.experiments).values(key=key, version=1, state="draft", ordinal=ordinal))
    else:
        move(connection, key, version=version)
    connection.execute(
        insert(tables.definitions).values(
            experiment_key=key, version=version, digest=found, body=body, metrics=used, registered_at=now
        )
    )


def _refuse_overlap(connection: Connection, experiment: Assigned) -> None:
    """Checked again where no other write can come between."""
    c = tables.experiments.c
    others = definitions().where(c.state.not_in(("stopped", "archived")), c.key != experiment.key)
    for row in connection.execute(others):
        other = registered(row).experiment
        if not isinstance(other, Assigned) or other.layer.key != experiment.layer.key:
            continue
        common = overlap(experiment.layer.ranges, other.layer.ranges)
        if common:
            raise ConflictError(
                f"{experiment.key}: {shown(common)} of layer {other.layer.key} belongs to {other.key} since a moment "
                "ago; `truelift validate` shows what is free"
            )


def write_phase(connection: Connection, phase: Phase, version: int, live: Live, now: datetime) -> Mapping[str, object]:
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


def live(connection: Connection, key: str, number: int) -> Live:
    """What is live beside a phase. NotFoundError."""
    c = tables.phases.c
    body = connection.execute(select(c.live).where(c.experiment_key == key, c.number == number)).scalar()
    if body is None:
        raise NotFoundError(f"{key} has no phase {number}; `truelift start {key}` begins its first")
    return Live.model_validate_json(body)


def write_live(connection: Connection, key: str, number: int, live: Live) -> None:
    """Replace what is live beside a phase."""
    c = tables.phases.c
    own = (c.experiment_key == key) & (c.number == number)
    connection.execute(update(tables.phases).where(own).values(live=canonical(live.model_dump(mode="json"))))


def find(connection: Connection, key: str) -> Registered | None:
    """An experiment, None when its key was never registered."""
    row = connection.execute(definitions().where(tables.experiments.c.key == key)).first()
    return None if row is None else registered(row)


def definition(connection: Connection, key: str) -> Registered:
    """An experiment. NotFoundError names the nearest keys."""
    found = find(connection, key)
    if found is not None:
        return found
    known = connection.execute(select(tables.experiments.c.key)).scalars().all()
    near = nearest(key, known)
    hint = f" (nearest: {', '.join(near)})" if near else ""
    raise NotFoundError(f"no experiment {key} is registered{hint}; `truelift register FILE` makes one known")


def refuse_stale(key: str, version: int, expected: int) -> None:
    """ConflictError unless the newest version is the expected one."""
    if version != expected:
        raise ConflictError(
            f"{key}: version {version} was registered meanwhile, this change was made from version {expected}; "
            "look at what changed and try again"
        )


def refuse_changed(current: Registered, expected_revision: int | None) -> None:
    """ConflictError unless the revision is the expected one; None expects none."""
    if expected_revision is not None and current.revision != expected_revision:
        raise ConflictError(
            f"{current.key}: somebody changed it meanwhile: it is {current.state} at version {current.version} "
            f"(revision {current.revision}, this change was made from {expected_revision}); look at what changed and "
            "try again"
        )


def move(connection: Connection, key: str, **to: str | int | bool) -> None:
    """Every change of an experiment goes through here, and counts."""
    own = tables.experiments.c.key == key
    revision = tables.experiments.c.revision + 1
    connection.execute(update(tables.experiments).where(own).values(**to, revision=revision))


def append(
    connection: Connection, now: datetime, actor: str, action: str, key: str, reason: str, before: object, after: object
) -> None:
    """One audit row, linked to the newest. UsageError for a reason that nobody would read to its end."""
    if len(reason) > REASON_LIMIT:
        said = f"reason has {len(reason):,} characters and may have {REASON_LIMIT:,}"
        raise UsageError(f"{said}; say it shorter, and where the rest stands")
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
