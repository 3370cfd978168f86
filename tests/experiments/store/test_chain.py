"""The audit chain: whatever is changed, taken out or put in shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from experiments.store.chain import FIRST, breaks, linked
from experiments.store.values import AuditRow

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
FIELDS = ("at", "actor", "action", "experiment_key", "reason", "before", "after", "previous", "hash")


def chain(length: int) -> list[AuditRow]:
    rows: list[AuditRow] = []
    for number in range(length):
        rows.append(
            linked(
                rows[-1] if rows else None,
                at=NOW + timedelta(minutes=number),
                actor="ann",
                action="register",
                experiment_key="k",
                reason=f"reason {number}",
                before=None if number == 0 else "{}",
                after="{}",
            )
        )
    return rows


def test_a_chain_as_it_was_written_holds() -> None:
    rows = chain(5)
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].previous == FIRST
    assert breaks(rows) == ()
    assert breaks([]) == ()


def test_the_same_instant_in_another_zone_is_the_same_row() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=2)))
    first, second = (
        linked(None, at=at, actor="a", action="b", experiment_key="c", reason="", before=None, after=None)
        for at in (NOW, here)
    )
    assert first == second


@given(st.integers(0, 5), st.sampled_from(FIELDS))
def test_any_changed_field_of_any_row_shows(index: int, field: str) -> None:
    rows = chain(6)
    changes: dict[str, Any] = {"at": NOW - timedelta(microseconds=1), "before": "{} ", "after": None}
    changes |= dict.fromkeys(("previous", "hash"), "f" * 64)
    rows[index] = replace(rows[index], **{field: changes.get(field, "other")})
    assert breaks(rows)


@given(st.integers(0, 4))
def test_a_row_taken_out_before_the_last_shows(index: int) -> None:
    rows = chain(6)
    del rows[index]
    assert breaks(rows)


@given(st.permutations(range(4)).filter(lambda order: order != [0, 1, 2, 3]))
def test_rows_in_another_order_show(order: list[int]) -> None:
    rows = chain(4)
    assert breaks([rows[index] for index in order])


def test_a_row_rewritten_with_a_fitting_hash_breaks_the_link_to_the_next() -> None:
    rows = chain(3)
    forged = linked(
        rows[0], at=NOW, actor="eve", action="register", experiment_key="k", reason="", before=None, after="{}"
    )
    assert breaks([rows[0], forged, rows[2]]) == ("audit row 3 does not follow row 2",)
