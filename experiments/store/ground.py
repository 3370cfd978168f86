"""Layers, holdouts and salts in the store: replaced together, and no salt ever given twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from experiments.errors import ConflictError
from experiments.layers import Ground
from experiments.placement import Holdout, Layer
from experiments.spec import canonical
from experiments.store import tables

Kind = Literal["layer", "holdout"]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one layer or holdout, for the audit."""

    action: Literal["register", "remove"]
    kind: Kind
    key: str
    before: object
    after: object


def read(connection: Connection) -> Ground:
    """What is registered, by key."""
    rows = connection.execute(select(tables.ground).order_by(tables.ground.c.key)).all()
    layers = [Layer.model_validate_json(row.body) for row in rows if row.kind == "layer"]
    holdouts = [Holdout.model_validate_json(row.body) for row in rows if row.kind == "holdout"]
    return Ground({layer.key: layer for layer in layers}, {holdout.key: holdout for holdout in holdouts})


def write(connection: Connection, wanted: Ground, now: datetime) -> tuple[Change, ...]:
    """Add, change and remove until `wanted` is what is registered; what was done."""
    there = read(connection)
    return (
        *_write(connection, "layer", there.layers, wanted.layers, now),
        *_write(connection, "holdout", there.holdouts, wanted.holdouts, now),
    )


def claim(connection: Connection, salt: str, owner: str, now: datetime) -> None:
    """Make a salt the owner's for ever; harmless twice. ConflictError when it is another's."""
    found = connection.execute(select(tables.salts.c.owner).where(tables.salts.c.salt == salt)).scalar()
    if found is None:
        connection.execute(insert(tables.salts).values(salt=salt, owner=owner, claimed_at=now))
    elif found != owner:
        raise ConflictError(f"{owner}: salt {salt} is the salt of {found} for ever; choose another")


def _write(
    connection: Connection,
    kind: Kind,
    there: Mapping[str, Layer | Holdout],
    wanted: Mapping[str, Layer | Holdout],
    now: datetime,
) -> tuple[Change, ...]:
    c, done = tables.ground.c, []
    for key, declared in wanted.items():
        before = there.get(key)
        if before == declared:
            continue
        claim(connection, declared.salt, f"{kind} {key}", now)
        body = declared.model_dump(mode="json")
        if before is None:
            values = {"kind": kind, "key": key, "version": 1, "body": canonical(body), "registered_at": now}
            connection.execute(insert(tables.ground).values(**values))
        else:
            own = (c.kind == kind) & (c.key == key)
            to = {"body": canonical(body), "version": c.version + 1, "registered_at": now}
            connection.execute(update(tables.ground).where(own).values(**to))
        done.append(Change("register", kind, key, None if before is None else before.model_dump(mode="json"), body))
    for key, before in there.items():
        if key not in wanted:
            connection.execute(delete(tables.ground).where((c.kind == kind) & (c.key == key)))
            done.append(Change("remove", kind, key, before.model_dump(mode="json"), None))
    return tuple(done)
