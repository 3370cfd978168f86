"""Interleaving as it is served: both rankers in one deadline, one list drafted by them, each item with its team.

Control is team A, the other arm team B. Where one of them fails or is late, control's list is shown alone, and the
exposure says why (`fallback`, `fallback_cause`): such a request says nothing about which is preferred.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from assignment.bundle import Arm, Bundle, Plan
from assignment.decision import Decision
from assignment.exposures import new_event_id
from assignment.interleaving import team_draft
from assignment.service.in_stock import Slate, slate
from experiments.recommenders.recommended import NoListError

STRATEGY = "team_draft"  # what made a list that two rankers drafted
VARIANT = "interleaved"  # what such an answer calls its arm: there is none
Ranker = Callable[[str, Mapping[str, object]], Awaitable[Sequence[str]]]  # strategy, params; inside the deadline
Stock = Callable[[str], int | None]  # pieces of an item


@dataclass(frozen=True, slots=True)
class Interleaved:
    """What a request is shown. `causes` say why control's list is alone; without any, `teams` has one arm an item."""

    strategy: str
    shown: Slate
    teams: tuple[str, ...]
    causes: tuple[str, ...]
    would_differ: bool | None  # whether the two lists differ; None where one is not known


async def interleave(rank: Ranker, plan: Plan, decision: Decision, stock: Stock, limit: int) -> Interleaved:
    """Run both rankers at once and draft `limit` items from what is in stock of their lists. It never fails."""
    control, other = plan.control, next(arm for arm in plan.arms if arm.key != plan.control.key)
    found = await asyncio.gather(_ranked(rank, control), _ranked(rank, other))
    causes = tuple(each for each in found if isinstance(each, str))
    lists = [slate(dict.fromkeys(each), stock, limit) for each in found if not isinstance(each, str)]
    if causes:
        alone = isinstance(found[0], str)
        return Interleaved(
            "no_recommendations" if alone else control.strategy, Slate(()) if alone else lists[0], (), causes, None
        )
    ours, theirs = lists
    picks = team_draft(
        ours.items, theirs.items, length=limit, salt=plan.salt, request_id=str(decision.unit_id)
    )  # fmt: skip
    names = {"A": control.key, "B": other.key}
    shown = Slate(tuple(pick.item_id for pick in picks), ours.sold_out | theirs.sold_out)
    teams = tuple(names[pick.team] for pick in picks)
    return Interleaved(STRATEGY, shown, teams, (), ours.items != theirs.items)


def with_request_id(
    bundle: Bundle, flag_key: str, context: Mapping[str, object], now: datetime
) -> Mapping[str, object]:
    """The context, with a request id of our own where the flag assigns requests and none is given."""
    slot = bundle.slots.get(flag_key)
    if slot is None or slot.unit_type != "request" or context.get("request_id") is not None:
        return context
    return {**context, "request_id": new_event_id(now)}


def cause_of(error: Exception) -> str:
    """A word for why a ranker gave nothing."""
    if isinstance(error, NoListError):
        return "not_fitted_and_no_list"
    return "deadline" if isinstance(error, TimeoutError) else type(error).__name__


async def _ranked(rank: Ranker, arm: Arm) -> Sequence[str] | str:
    """The arm's list, or in a word why there is none."""
    if arm.disabled:
        return "arm_disabled"
    try:
        return list(await rank(arm.strategy, arm.params))
    except Exception as error:  # whatever a recommender raises, somebody waits for a page
        return cause_of(error)
