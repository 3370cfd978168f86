"""Team-draft interleaving: one list drafted by two rankers, so that a click says which of them was preferred.

It says nothing about the revenue a ranker adds: both are always shown. Radlinski, Kurup & Joachims (2008), "How does
clickthrough data reflect retrieval quality?", CIKM; the coin is the assignment's hash instead of a random number, so
that the log can be audited.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from assignment.hashing import bucketer, check_unit_id
from experiments.errors import UsageError

Team = Literal["A", "B"]


@dataclass(frozen=True, slots=True)
class Pick:
    """One shown item and the team it counts for."""

    item_id: str
    team: Team


def team_draft(
    ranking_a: Sequence[str], ranking_b: Sequence[str], *, length: int, salt: str, request_id: str
) -> tuple[Pick, ...]:
    """At most `length` items, none twice; shorter where both rankings end before.

    The team with fewer picks goes next and takes its best item that is not yet shown. Of two teams with as many picks
    A goes where the bucket of `request_id|position` (position from 0, salt with the suffix `:tdi`) is even. A team
    whose ranking has ended no longer picks. UsageError for a negative length and for a salt or request id that cannot
    be hashed.
    """
    if length < 0:
        raise UsageError(f"length {length}: a list has 0 items or more; give how many the slot shows")
    check_unit_id(request_id)
    coin = bucketer(salt, "tdi")
    left: dict[Team, list[str]] = {"A": list(reversed(ranking_a)), "B": list(reversed(ranking_b))}
    shown: set[str] = set()
    picks: list[Pick] = []
    count: dict[Team, int] = {"A": 0, "B": 0}
    while len(picks) < length:
        for ranking in left.values():
            while ranking and ranking[-1] in shown:
                ranking.pop()
        team = _next(left, count, coin, f"{request_id}|{len(picks)}")
        if team is None:
            break
        item = left[team].pop()
        shown.add(item)
        count[team] += 1
        picks.append(Pick(item, team))
    return tuple(picks)


def _next(left: dict[Team, list[str]], count: dict[Team, int], coin: Callable[[bytes], int], turn: str) -> Team | None:
    if not left["A"] or not left["B"]:
        return "A" if left["A"] else "B" if left["B"] else None
    if count["A"] != count["B"]:
        return "A" if count["A"] < count["B"] else "B"
    return "A" if coin(turn.encode()) % 2 == 0 else "B"
