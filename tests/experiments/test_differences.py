"""Differences are the places where two documents say something else, and only those."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.differences import differing
from experiments.loading import Json

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
)


@given(json)
def test_a_document_does_not_differ_from_itself(document: Json) -> None:
    assert list(differing(document, document)) == []


def test_each_place_is_named_with_both_values() -> None:
    before: Json = {"name": "one", "arms": [{"key": "a"}, {"key": "b"}], "gone": 1, "lists": [1]}
    after: Json = {"name": "one", "arms": [{"key": "a"}, {"key": "c"}], "new": 2, "lists": [1, 2]}
    assert list(differing(before, after)) == [
        (("arms", 1, "key"), "b", "c"),
        (("gone",), 1, None),
        (("lists",), [1], [1, 2]),
        (("new",), None, 2),
    ]
