"""Every command that is offered is one that the lifecycle takes."""

from datetime import datetime

import pytest

from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from analysis.registry.steps import next_steps
from experiments import lifecycle
from experiments.store import DecisionCode
from tests.analysis.registry.conftest import NOW
from tests.helpers import registry_shop as shop
from tests.helpers.assigned_shop import FLAT, KEY, Desk
from tests.helpers.definitions import ASSIGNED

STOP = 'stop {key} --decision ship|roll_back|inconclusive --reason "…"'


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (shop.RAMPED, ["ramp", "pause", "stop", "new-phase", "traffic", "kill"]),
        (shop.PHASES, ["pause", "stop", "new-phase", "kill"]),  # everybody takes part already
        (shop.KILLED, ["resume", "pause", "stop", "new-phase"]),
        (shop.LATER, ["ramp"]),
        (shop.DRAFT, ["schedule"]),
        (shop.ELSEWHERE, ["stop"]),
        (shop.OLD, []),
    ],
)
def test_what_may_follow(book: Book, key: str, words: list[str]) -> None:
    assert [step.command.split()[0] for step in next_steps(book.course(key), NOW)] == words


def offered(desk: Desk, now: datetime) -> list[str]:
    [course] = view.read(desk.store).courses
    return [step.command for step in next_steps(course, now)]


def test_a_life_from_draft_to_archive_along_the_offered_steps(desk: Desk) -> None:
    desk.propose(FLAT)
    assert offered(desk, desk.now(-1)) == [f"schedule {KEY}"]
    assert offered(desk, desk.now(1)) == [f"start {KEY}"]
    desk.start(KEY, at=1)
    lifecycle.pause(desk.store, KEY, actor="ann", reason="", now=desk.now(2))
    assert offered(desk, desk.now(2))[0] == f"resume {KEY}"
    lifecycle.stop(desk.store, KEY, None, actor="ann", reason="over", now=desk.now(3))
    assert offered(desk, desk.now(3)) == [STOP.format(key=KEY)]
    decision: DecisionCode = "ship"
    lifecycle.stop(desk.store, KEY, decision, actor="ann", reason="it sells", now=desk.now(4))
    assert offered(desk, desk.now(4)) == [f"archive {KEY}"]
    lifecycle.archive(desk.store, KEY, actor="ann", reason="", now=desk.now(5))
    assert offered(desk, desk.now(5)) == []


def test_a_draft_whose_schedule_is_over_has_to_be_registered_again(desk: Desk) -> None:
    desk.propose(FLAT)
    assert offered(desk, desk.now(24 * 60)) == ["register my_test.yml"]


def test_a_due_step_of_traffic_names_ramp_first(desk: Desk) -> None:
    desk.begin(ASSIGNED, at=0)
    assert offered(desk, desk.now(0))[0] == "ramp"
    lifecycle.tick(desk.store, desk.shop, desk.now(0), actor="ann")
    assert "ramp" not in offered(desk, desk.now(1))
    assert offered(desk, desk.now(25))[0] == "ramp"
