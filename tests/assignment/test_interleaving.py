import json
from collections import Counter
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.interleaving import team_draft
from experiments.errors import UsageError


class Case(TypedDict):
    ranker_a: list[str]
    ranker_b: list[str]
    k: int
    request_id: str
    interleaved: list[str]
    team: list[str]


FILE = json.loads((Path(__file__).parents[2] / "assignment/vectors/team_draft_interleaving.json").read_text("utf-8"))
CASES: list[Case] = FILE["cases"]
rankings = st.lists(st.sampled_from("abcdefghij"), unique=True)


def test_the_golden_file_is_whole() -> None:
    assert len(CASES) == 18


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['request_id']}-{case['k']}")
def test_the_draft_equals_the_golden_vector(case: Case) -> None:
    picks = team_draft(
        case["ranker_a"], case["ranker_b"], length=case["k"], salt=FILE["salt"], request_id=case["request_id"]
    )
    assert [pick.item_id for pick in picks] == case["interleaved"]
    assert [pick.team for pick in picks] == case["team"]


@given(rankings, rankings, st.integers(0, 12), st.text("abc123", min_size=1, max_size=5))
def test_a_draft_is_fair_and_shows_nothing_twice(a: list[str], b: list[str], length: int, request_id: str) -> None:
    picks = team_draft(a, b, length=length, salt="home.1", request_id=request_id)
    shown = [pick.item_id for pick in picks]
    assert len(set(shown)) == len(shown) == min(length, len({*a, *b}))
    for pick in picks:
        assert pick.item_id in (a if pick.team == "A" else b)
    for size in range(0, len(picks) + 1, 2):
        teams = Counter(pick.team for pick in picks[:size])
        ended = [ranking for ranking in (a, b) if set(ranking) <= set(shown[:size])]
        assert teams["A"] == teams["B"] or ended


@given(rankings.filter(bool), rankings.filter(bool), st.integers(0, 200))
def test_the_coin_does_not_know_the_rankers(a: list[str], b: list[str], number: int) -> None:
    [pick] = team_draft(a, b, length=1, salt="home.1", request_id=f"req-{number}")
    [swapped] = team_draft(b, a, length=1, salt="home.1", request_id=f"req-{number}")
    assert pick.team == swapped.team


def test_each_team_begins_half_of_the_requests() -> None:
    first = Counter(
        team_draft(["a"], ["b"], length=1, salt="home.1", request_id=f"req-{number}")[0].team for number in range(4_000)
    )
    assert abs(first["A"] - 2_000) < 124  # 99.99 % of fair coins: 3.9 × √(4,000 · ¼)


@pytest.mark.parametrize(("length", "request_id"), [(-1, "req"), (1, " req"), (1, "r\n")])
def test_what_cannot_be_drafted_is_refused(length: int, request_id: str) -> None:
    with pytest.raises(UsageError):
        team_draft(["a"], ["b"], length=length, salt="home.1", request_id=request_id)
