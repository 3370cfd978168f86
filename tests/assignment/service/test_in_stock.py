"""The cut to what can be shown: sold out is passed over, unknown is shown, and the slate is full while it can be."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.service.in_stock import Slate, slate


@pytest.mark.parametrize(
    ("stock", "limit", "expected"),
    [
        ({}, 2, Slate(("a", "b"))),
        ({"a": 0, "b": 1, "d": -1}, 2, Slate(("b", "c"), frozenset("a"))),
        ({"a": 0, "c": -5}, 3, Slate(("b", "d"), frozenset("ac"))),
        ({"d": 0}, 3, Slate(("a", "b", "c"))),  # after the cut nobody asks
        ({"a": 0, "b": 0, "c": 0, "d": 0}, 3, Slate((), frozenset("abcd"))),
    ],
)
def test_what_is_shown(stock: Mapping[str, int], limit: int, expected: Slate) -> None:
    assert slate(["a", "b", "c", "d"], stock.get, limit) == expected


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-2, 2) | st.none()),
    st.integers(1, 9),
)
def test_never_short_while_something_can_be_shown(
    candidates: list[str], stock: Mapping[str, int | None], limit: int
) -> None:
    shown = slate(candidates, stock.get, limit)
    can = [item for item in candidates if (left := stock.get(item)) is None or left > 0]
    assert list(shown.items) == can[:limit]
    assert sum(shown.dropped.values()) <= len(candidates) - len(can)
