"""What was measured, in the store: a number that changes is written again as the next revision, never replaced."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, Select, delete, func, insert, select

from experiments.store import tables
from experiments.store.values import Measure

_c = tables.measures.c
_NAMES = [field.name for field in fields(Measure)]  # asdict would copy every body


def newest(
    connection: Connection, kind: str, minutes: int, place: str | None, since: datetime | None, until: datetime | None
) -> list[Measure]:
    """The newest revision of each that ended in (since, until], of a place or of all, by its end and place."""
    query = _of(kind, minutes, place, since, until).order_by(_c.ended_at, _c.place, _c.revision.desc())
    rows = (Measure(**row._mapping) for row in connection.execute(query))
    return [next(same) for _, same in groupby(rows, key=lambda each: (each.ended_at, each.place))]


def ends(connection: Connection, kind: str, minutes: int, published_since: datetime | None) -> list[datetime]:
    """The ends of which something was published at that instant or later, each once, oldest first."""
    query = select(_c.ended_at).distinct().where(_c.kind == kind, _c.minutes == minutes).order_by(_c.ended_at)
    if published_since is not None:
        query = query.where(_c.published_at >= published_since)
    return list(connection.execute(query).scalars())


def published_at(connection: Connection, kind: str) -> datetime | None:
    """When the newest of a kind was published."""
    return connection.execute(select(func.max(_c.published_at)).where(_c.kind == kind)).scalar()


def places(connection: Connection, kind: str, minutes: int, ended_at: datetime) -> list[str]:
    """Which places were measured up to that end."""
    query = select(_c.place).distinct().where(_c.kind == kind, _c.minutes == minutes, _c.ended_at == ended_at)
    return list(connection.execute(query.order_by(_c.place)).scalars())


def last(connection: Connection, kind: str, minutes: int) -> Mapping[str, datetime]:
    """The newest end of each place."""
    query = select(_c.place, func.max(_c.ended_at)).where(_c.kind == kind, _c.minutes == minutes).group_by(_c.place)
    return {row.place: row[1] for row in connection.execute(query)}


def save(connection: Connection, measures: Iterable[Measure], now: datetime) -> list[Measure]:
    """Those that are new or a revision, as they are kept; what says the same as its newest revision is left alone."""
    given = {(each.kind, each.minutes, each.place, each.ended_at): each for each in measures}
    known: dict[tuple[str, int, str, datetime], Measure] = {}
    for kind, minutes, place in sorted({key[:3] for key in given}):
        spans = [key[3] for key in given if key[:3] == (kind, minutes, place)]
        query = _of(kind, minutes, place, None, max(spans)).where(_c.ended_at >= min(spans)).order_by(_c.revision)
        known |= {(kind, minutes, place, row.ended_at): Measure(**row._mapping) for row in connection.execute(query)}
    changed = [
        replace(each, published_at=now, revision=known[key].revision + 1 if key in known else 0)
        for key, each in given.items()
        if key not in known or known[key].body != each.body
    ]
    if changed:
        connection.execute(
            insert(tables.measures), [{name: getattr(each, name) for name in _NAMES} for each in changed]
        )
    return changed


def forget(connection: Connection, kind: str, minutes: int, before: datetime) -> None:
    """Delete what ended before that instant."""
    connection.execute(delete(tables.measures).where(_c.kind == kind, _c.minutes == minutes, _c.ended_at < before))


def _of(
    kind: str, minutes: int, place: str | None, since: datetime | None, until: datetime | None
) -> Select[tuple[object, ...]]:
    query = select(tables.measures).where(_c.kind == kind, _c.minutes == minutes)
    if place is not None:
        query = query.where(_c.place == place)
    if since is not None:
        query = query.where(_c.ended_at > since)
    return query if until is None else query.where(_c.ended_at <= until)
