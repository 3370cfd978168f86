"""Weights to ranges as the golden vectors have them, and ranges that never lose or double a bucket."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import ranges
from experiments.ranges import BUCKETS, Range

VECTORS = json.loads((Path(__file__).parents[2] / "assignment/vectors/weights_to_ranges.json").read_text())
bounds = st.tuples(st.integers(0, BUCKETS), st.integers(0, BUCKETS)).map(sorted).filter(lambda two: two[0] < two[1])
some_ranges = st.lists(bounds.map(lambda two: (two[0], two[1])), max_size=6)


def buckets(given: object) -> set[int]:
    assert isinstance(given, list | tuple)
    return {bucket for start, end in given for bucket in range(start, end)}


@pytest.mark.parametrize("case", VECTORS["explicit"], ids=lambda case: ",".join(case["weights"]))
def test_weights_become_the_golden_ranges_or_the_golden_error(case: dict[str, object]) -> None:
    weights, expected = case["weights"], case["expect"]
    assert isinstance(weights, list)
    if isinstance(expected, str):
        assert {f"error:{fault.code}" for fault in ranges.faults(weights)} == {expected}
        with pytest.raises(ValueError, match=expected.removeprefix("error:")):
            ranges.split(weights)
        return
    assert [list(one) for one in ranges.split(weights)] == expected


@pytest.mark.parametrize("case", VECTORS["equal"], ids=lambda case: str(case["arms"]))
def test_equal_arms_are_the_golden_ones(case: dict[str, object]) -> None:
    arms = case["arms"]
    assert isinstance(arms, int)
    points = ranges.equal(arms)
    assert list(points) == case["basis_points"]
    assert [list(one) for one in ranges.split([ranges.share_text(each) for each in points])] == case["ranges"]


@given(st.lists(st.integers(1, BUCKETS), min_size=1, max_size=8))
def test_weights_that_do_not_sum_to_one_are_always_refused(points: list[int]) -> None:
    weights = [ranges.share_text(each) for each in points]
    if sum(points) == BUCKETS:
        laid = ranges.split(weights)
        assert [end - start for start, end in laid] == points
    else:
        assert [fault.code for fault in ranges.faults(weights)] == ["weights_sum"]
        with pytest.raises(ValueError, match="weights_sum"):
            ranges.split(weights)


@given(st.integers(1, 40))
def test_equal_arms_are_all_buckets_in_order_and_differ_by_one_at_most(arms: int) -> None:
    points = ranges.equal(arms)
    assert sum(points) == BUCKETS
    assert max(points) - min(points) <= 1
    assert list(points) == sorted(points, reverse=True)


def test_every_fault_of_a_list_is_said_at_once() -> None:
    found = ranges.faults(["0.5", "0", "-0.1", "0.12345", "half"])
    assert [(fault.index, fault.code) for fault in found] == [
        (1, "zero_weight"), (2, "negative_weight"), (3, "weight_precision"), (4, "weight_precision"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "step"),
    [(["0.5", "0.48"], "give the missing 0.02 to a variant"), (["0.5", "0.6"], "take 0.1 away from a variant")],
)
def test_a_wrong_sum_says_what_is_missing(weights: list[str], step: str) -> None:
    assert [fault.next_step for fault in ranges.faults(weights)] == [step]


@given(st.integers(0, BUCKETS))
def test_basis_points_come_back_from_their_decimal(points: int) -> None:
    text = ranges.share_text(points)
    assert Decimal(text) * BUCKETS == points
    assert ranges.basis_points(text) == points


@pytest.mark.parametrize("share", ["0.00001", "1.1", "-0.1", "half", "1e-1", ""])
def test_what_is_no_share_has_no_basis_points(share: str) -> None:
    with pytest.raises(ValueError, match="multiple of"):
        ranges.basis_points(share)


@given(some_ranges, some_ranges)
def test_overlap_is_what_both_have(one: list[Range], other: list[Range]) -> None:
    assert buckets(ranges.overlap(one, other)) == buckets(one) & buckets(other)


@given(some_ranges)
def test_free_is_what_nobody_has(taken: list[Range]) -> None:
    found = ranges.free(taken)
    assert buckets(found) == set(range(BUCKETS)) - buckets(taken)
    assert ranges.overlap(found, taken) == ()


@given(some_ranges, some_ranges)
def test_covers_is_subset(one: list[Range], other: list[Range]) -> None:
    assert ranges.covers(one, other) == (buckets(other) <= buckets(one))


def test_ranges_in_words() -> None:
    assert ranges.shown([(0, 2000), (6000, 10_000)]) == "[0, 2000), [6000, 10000)"
    assert ranges.shown([]) == "none"
