"""The audit chain: each row's hash covers the row and the hash before it, so that a change shows. ASSIGNMENT 5.

What is cut off at the end cannot be seen from the rest: `cross_check` counts the rows against the store. Who changes
both is found only by the newest hash, noted elsewhere.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from experiments.spec import digest
from experiments.store.values import AuditRow

FIRST = "0" * 64  # what the first row has for a predecessor


def linked(
    last: AuditRow | None,
    *,
    at: datetime,
    actor: str,
    action: str,
    experiment_key: str,
    reason: str,
    before: str | None,
    after: str | None,
) -> AuditRow:
    """The row that follows `last`."""
    number, previous = (1, FIRST) if last is None else (last.number + 1, last.hash)
    row = AuditRow(number, at.astimezone(UTC), actor, action, experiment_key, reason, before, after, previous, "")
    return AuditRow(number, row.at, actor, action, experiment_key, reason, before, after, previous, _hash(row))


def breaks(rows: Iterable[AuditRow]) -> tuple[str, ...]:
    """One sentence for each row that is not what was written; none when the chain holds."""
    found: list[str] = []
    number, previous = 0, FIRST
    for row in rows:
        number += 1
        if row.number != number:
            found.append(f"audit row {number} is missing: row {row.number} comes next")
            number = row.number
        elif row.previous != previous:
            found.append(f"audit row {row.number} does not follow row {row.number - 1}")
        if row.hash != _hash(row):
            found.append(f"audit row {row.number} ({row.action} {row.experiment_key}) was changed after it was written")
        previous = row.hash
    return tuple(found)


def _hash(row: AuditRow) -> str:
    return digest(
        {
            "number": row.number,
            "at": row.at.isoformat(timespec="microseconds"),
            "actor": row.actor,
            "action": row.action,
            "experiment_key": row.experiment_key,
            "reason": row.reason,
            "before": row.before,
            "after": row.after,
            "previous": row.previous,
        }
    )
