"""The audit beside what it tells of: rows that were cut off at the end or taken out, and rows about nothing.

A chain alone cannot show a cut tail. What stands in the store counts its changes, so that the audit has to tell of as
many: an experiment by its revision, a layer or holdout by its version, a token by being there and being revoked, a
closed stop by its event. ASSIGNMENT 5.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from experiments.store import tables
from experiments.store.values import AuditRow

STOP_CLOSED = "stop_closed"  # what a person says of a phase's event; it moves no revision
_GROUND = {f"{action}_{kind}": kind for action in ("register", "remove") for kind in ("layer", "holdout")}
_TOKENS = ("create_token", "revoke_token")


@dataclass(frozen=True, slots=True)
class Subjects:
    """What the store says of everything that audit rows are about, at one moment."""

    experiments: tuple[tuple[str, int], ...]  # key, revision
    ground: tuple[tuple[str, str, int], ...]  # layer or holdout, key, version
    tokens: tuple[tuple[str, str, bool], ...]  # id, name, whether it is revoked
    closed: tuple[tuple[str, int], ...]  # the experiment and how many of its stops a person closed


def read(connection: Connection) -> Subjects:
    """All of them, in the caller's transaction."""
    e, g, t, c = tables.experiments.c, tables.ground.c, tables.tokens.c, tables.events.c
    closed = connection.execute(select(c.experiment_key).where(c.kind == STOP_CLOSED)).scalars()
    return Subjects(
        tuple((row.key, row.revision) for row in connection.execute(select(e.key, e.revision).order_by(e.key))),
        tuple(
            (row.kind, row.key, row.version)
            for row in connection.execute(select(g.kind, g.key, g.version).order_by(g.kind, g.key))
        ),
        tuple(
            (row.token_id, row.name, row.revoked_at is not None)
            for row in connection.execute(select(t.token_id, t.name, t.revoked_at).order_by(t.token_id))
        ),
        tuple(sorted(Counter(map(str, closed)).items())),
    )


def disagreements(rows: Iterable[AuditRow], there: Subjects) -> tuple[str, ...]:
    """One sentence for each thing of which the audit tells other changes than it counts; none when all agree."""
    every = tuple(rows)
    own = [row for row in every if row.action not in _GROUND and row.action not in _TOKENS]
    return (
        *_experiments([row for row in own if row.action != STOP_CLOSED], there),
        *_closed([row for row in own if row.action == STOP_CLOSED], there),
        *_ground([row for row in every if row.action in _GROUND], there),
        *_tokens([row for row in every if row.action in _TOKENS], there),
    )


def _experiments(rows: Sequence[AuditRow], there: Subjects) -> Iterator[str]:
    told = Counter({row.experiment_key: 0 for row in rows})
    last: dict[str, AuditRow] = {}
    for row in rows:
        told[row.experiment_key] += _changes(row)
        last[row.experiment_key] = row
    known = {key: revision + 1 for key, revision in there.experiments}  # its first registration is revision 0
    yield from _compared("experiment", known, told, last)


def _changes(row: AuditRow) -> int:
    """By how much the change moved the revision: a new phase with another definition is two changes in one row."""
    if row.action != "new_phase":
        return 1
    before, after = _object(row.before), _object(row.after)
    return 1 if before.get("definition_version") == after.get("definition_version") else 2


def _closed(rows: Sequence[AuditRow], there: Subjects) -> Iterator[str]:
    told = Counter(row.experiment_key for row in rows)
    last = {row.experiment_key: row for row in rows}
    yield from _compared("closed stops of", dict(there.closed), told, last)


def _ground(rows: Sequence[AuditRow], there: Subjects) -> Iterator[str]:
    for kind in ("layer", "holdout"):
        told: Counter[str] = Counter()
        last: dict[str, AuditRow] = {}
        for row in rows:
            if _GROUND[row.action] != kind:
                continue
            told[row.experiment_key] = 0 if row.action.startswith("remove") else told[row.experiment_key] + 1
            last[row.experiment_key] = row
        known = {key: version for what, key, version in there.ground if what == kind}
        yield from _compared(kind, known, told, last)


def _tokens(rows: Sequence[AuditRow], there: Subjects) -> Iterator[str]:
    told: Counter[str] = Counter()
    last: dict[str, AuditRow] = {}
    for row in rows:
        token = str(_object(row.after).get("token_id"))
        told[token] += 1
        last[token] = row
    yield from _compared("token", {token: 1 + revoked for token, _, revoked in there.tokens}, told, last)


def _compared(what: str, known: dict[str, int], told: Counter[str], last: dict[str, AuditRow]) -> Iterator[str]:
    for key in sorted({*known, *told}):
        there, said = known.get(key, 0), told[key]
        if there > said:
            newest = f"its newest row is {last[key].number}" if key in last else "it has no row"
            yield (
                f"{what} {key}: the store counts {_times(there)}, the audit tells of {said}: rows were cut off or "
                f"taken out; {newest}"
            )
        elif key not in known and said:
            row = last[key]
            yield f"audit row {row.number} ({row.action} {row.experiment_key}): there is no {what} {key} in the store"
        elif there < said:
            yield (
                f"{what} {key}: the store counts {_times(there)}, the audit tells of {said}: the store was put back, "
                f"or a row was written that nothing stands behind; its newest row is {last[key].number}"
            )


def _times(count: int) -> str:
    return f"{count} change{'' if count == 1 else 's'}"


def _object(written: str | None) -> dict[str, object]:
    found = json.loads(written) if written is not None else None
    return found if isinstance(found, dict) else {}
