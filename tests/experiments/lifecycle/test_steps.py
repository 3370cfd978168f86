"""States and the steps between them, for what truelift assigns."""

import json

import pytest

from experiments import lifecycle
from experiments.errors import ConflictError, DefinitionError, TransitionError
from experiments.lifecycle import ALLOWED
from experiments.spec import Assigned
from experiments.store import State
from tests.helpers.assigned_shop import BEGIN, FLAT, KEY, Desk
from tests.helpers.definitions import GOOD, written

SECOND = FLAT.replace("start_at: 2026-12-01T09", "start_at: 2026-12-03T00").replace('"0.5"', "equal")


def to(desk: Desk, state: State) -> None:
    """Bring the experiment into a state by the shortest way."""
    desk.propose()
    if state == "draft":
        return
    if state == "scheduled":
        lifecycle.schedule(desk.store, KEY, actor="a", reason="", now=desk.now(-1))
        return
    lifecycle.start(desk.store, desk.shop, KEY, actor="a", reason="", now=desk.now(0))
    if state == "paused":
        lifecycle.pause(desk.store, KEY, actor="a", reason="", now=desk.now(1))
    if state in ("stopped", "archived"):
        lifecycle.stop(desk.store, KEY, "ship", actor="a", reason="it pays", now=desk.now(1))
    if state == "archived":
        lifecycle.archive(desk.store, KEY, actor="a", reason="", now=desk.now(2))


def step(desk: Desk, word: str, at: float) -> None:
    given = {"actor": "ann", "reason": "because", "now": desk.now(at)}
    match word:
        case "start":
            lifecycle.start(desk.store, desk.shop, KEY, **given)  # type: ignore[arg-type]
        case "new-phase":
            lifecycle.new_phase(desk.store, desk.shop, written(desk.shop, SECOND), **given)  # type: ignore[arg-type]
        case "stop":
            lifecycle.stop(desk.store, KEY, "inconclusive", **given)  # type: ignore[arg-type]
        case _:
            getattr(lifecycle, word)(desk.store, KEY, **given)


AFTER = {
    "schedule": "scheduled", "start": "running", "pause": "paused", "resume": "running", "stop": "stopped",
    "archive": "archived", "new-phase": "running",
}  # fmt: skip


@pytest.mark.parametrize("state", ALLOWED)
@pytest.mark.parametrize("word", AFTER)
def test_every_step_from_every_state_is_taken_or_refused(desk: Desk, state: State, word: str) -> None:
    to(desk, state)
    rows = len(desk.store.audit())
    at = -0.5 if word == "schedule" else 48
    if word in ALLOWED[state]:
        step(desk, word, at)
        assert desk.store.definition(KEY).state == AFTER[word]
        assert len(desk.store.audit()) == rows + 1
        return
    with pytest.raises(TransitionError, match=f"{KEY} is {state}"):
        step(desk, word, at)
    assert desk.store.definition(KEY).state == state
    assert len(desk.store.audit()) == rows


def test_a_phase_begins_with_its_traffic_its_buckets_and_its_salt(desk: Desk) -> None:
    phase = desk.begin(at=2)
    assert phase.started_at == desk.now(2)
    assert isinstance(phase.experiment, Assigned)
    assert phase.experiment.salt == f"{KEY}.1"
    live = desk.store.live(KEY, 1)
    assert [(at.at, at.bp) for at in live.traffic] == [(desk.now(2), 2500)]
    assert live.layer[0].ranges == ((0, 6000),)
    assert desk.store.salts()[f"{KEY}.1"] == f"experiment {KEY}"


@pytest.mark.parametrize(("at", "message"), [(-1, "truelift schedule"), (24 * 28, "register a later end_at")])
def test_a_start_outside_the_schedule_is_refused(desk: Desk, at: float, message: str) -> None:
    with pytest.raises(TransitionError, match=message):
        desk.begin(at=at)


def test_what_is_scheduled_may_still_change_and_is_started_as_it_is_then(desk: Desk) -> None:
    to(desk, "scheduled")
    desk.propose(FLAT.replace('"0.5"', "equal").replace("Homepage ALS v3", "Other"))
    phase = lifecycle.start(desk.store, desk.shop, KEY, actor="a", reason="", now=desk.now(0))
    assert phase.experiment.name == "Other"


def test_a_schedule_in_the_past_is_refused(desk: Desk) -> None:
    desk.propose()
    with pytest.raises(TransitionError, match=r"start_at 2026-12-01T09:00:00Z has passed: `truelift start"):
        lifecycle.schedule(desk.store, KEY, actor="a", reason="", now=BEGIN)


def test_killing_needs_nothing_and_resuming_brings_everybody_back(desk: Desk) -> None:
    desk.begin()
    killed = lifecycle.kill(desk.store, KEY, actor="ann", reason="prices are wrong", now=desk.now(1))
    assert (killed.killed, killed.state) == (True, "running")
    assert not lifecycle.kill(desk.store, KEY, actor="ann", reason="again", now=desk.now(1)).changed
    back = lifecycle.resume(desk.store, KEY, actor="ann", reason="mended", now=desk.now(2))
    assert (back.killed, back.state) == (False, "running")
    assert [row.action for row in desk.store.audit()[-2:]] == ["kill", "resume"]


def test_a_kill_wins_whatever_happened_meanwhile(desk: Desk) -> None:
    to(desk, "paused")
    lifecycle.kill(desk.store, KEY, actor="ann", reason="now", now=desk.now(2))
    assert desk.store.definition(KEY).state == "paused"
    back = lifecycle.resume(desk.store, KEY, actor="ann", reason="mended", now=desk.now(3))
    assert (back.killed, back.state) == (False, "running")


def test_a_stop_says_what_was_decided_and_why_and_ends_the_phase(desk: Desk) -> None:
    desk.begin()
    with pytest.raises(TransitionError, match="give a reason"):
        lifecycle.stop(desk.store, KEY, "ship", actor="ann", reason=" ", now=desk.now(2))
    stopped = lifecycle.stop(desk.store, KEY, "roll_back", actor="ann", reason="returns rose", now=desk.now(2))
    assert stopped.decision is not None
    assert (stopped.decision.decision, stopped.decision.reason) == ("roll_back", "returns rose")
    assert desk.store.live(KEY, 1).ended_at == desk.now(2)
    with pytest.raises(TransitionError, match="is stopped: stop needs running or paused"):
        lifecycle.stop(desk.store, KEY, "ship", actor="ann", reason="no", now=desk.now(3))


def test_a_stop_may_be_decided_later_and_only_then_be_archived(desk: Desk) -> None:
    desk.begin()
    lifecycle.stop(desk.store, KEY, None, actor="ann", reason="its schedule ended", now=desk.now(2))
    with pytest.raises(TransitionError, match="nothing is decided"):
        lifecycle.archive(desk.store, KEY, actor="ann", reason="", now=desk.now(3))
    lifecycle.stop(desk.store, KEY, "ship", actor="ann", reason="it pays", now=desk.now(3))
    assert lifecycle.archive(desk.store, KEY, actor="ann", reason="", now=desk.now(4)).state == "archived"
    assert [row.action for row in desk.store.audit()[-3:]] == ["stop", "decide", "archive"]


def test_the_key_of_what_is_over_is_never_used_again(desk: Desk) -> None:
    to(desk, "stopped")
    assert not desk.propose(at=3).changed
    with pytest.raises(DefinitionError, match="key_reused: line 2, key: home_als_v3 is stopped"):
        desk.propose(FLAT.replace("Homepage ALS v3", "Other"), at=3)


def test_a_new_phase_draws_its_units_anew(desk: Desk) -> None:
    desk.begin()
    path = written(desk.shop, SECOND)
    phase = lifecycle.new_phase(desk.store, desk.shop, path, actor="ann", reason="equal", now=desk.now(48))
    assert isinstance(phase.experiment, Assigned)
    assert (phase.number, phase.experiment.salt, phase.started_at) == (2, f"{KEY}.2", desk.now(48))
    assert desk.store.live(KEY, 1).ended_at == desk.now(48)
    assert [at.bp for at in desk.store.live(KEY, 2).traffic] == [2500]
    assert desk.store.phase(KEY, 1).experiment.schedule.start_at == BEGIN
    known = desk.store.definition(KEY)
    assert (known.version, known.state) == (2, "running")
    assert not desk.propose(SECOND, at=50).changed
    last = desk.store.audit()[-1]
    assert last.action == "new_phase"
    assert json.loads(str(last.after))["phase"]["number"] == 2


def test_a_new_phase_keeps_its_salt_only_when_asked(desk: Desk) -> None:
    desk.begin()
    same = SECOND.replace("unit_type: user", f"unit_type: user\nsalt: {KEY}.1")
    path = written(desk.shop, same)
    with pytest.raises(DefinitionError, match=r"salt_collision: line 11, salt: home_als_v3\.1 is the salt of phase 1"):
        lifecycle.new_phase(desk.store, desk.shop, path, actor="ann", reason="", now=desk.now(48))
    phase = lifecycle.new_phase(
        desk.store, desk.shop, path, actor="ann", reason="", now=desk.now(48), keep_salt=True
    )  # fmt: skip
    assert isinstance(phase.experiment, Assigned)
    assert phase.experiment.salt == f"{KEY}.1"


def test_no_phase_takes_the_salt_of_an_earlier_one(desk: Desk) -> None:
    desk.begin()
    step(desk, "new-phase", 48)
    third = SECOND.replace("12-03T00", "12-04T00").replace("unit_type: user", f"unit_type: user\nsalt: {KEY}.1")
    path = written(desk.shop, third)
    with pytest.raises(DefinitionError, match=r"home_als_v3\.1 is taken, and a salt is for one phase"):
        lifecycle.new_phase(desk.store, desk.shop, path, actor="ann", reason="", now=desk.now(96))
    with pytest.raises(DefinitionError, match=r"home_als_v3\.1 is not the salt of phase 2"):
        lifecycle.new_phase(desk.store, desk.shop, path, actor="ann", reason="", now=desk.now(96), keep_salt=True)
    assert desk.store.phase(KEY).number == 2


@pytest.mark.parametrize("start", ["2026-12-01T09", "2026-12-04T09"])
def test_a_new_phases_schedule_begins_with_it(desk: Desk, start: str) -> None:
    desk.begin()
    path = written(desk.shop, FLAT.replace("start_at: 2026-12-01T09", f"start_at: {start}"))
    with pytest.raises(DefinitionError, match=r"schedule_order.*is not when phase 2 begins"):
        lifecycle.new_phase(desk.store, desk.shop, path, actor="ann", reason="", now=desk.now(48))
    assert desk.store.phase(KEY).number == 1


def test_a_new_phase_lifts_a_kill(desk: Desk) -> None:
    desk.begin()
    lifecycle.kill(desk.store, KEY, actor="ann", reason="", now=desk.now(1))
    step(desk, "new-phase", 48)
    assert not desk.store.definition(KEY).killed


def test_what_another_system_assigns_is_not_switched_here(desk: Desk) -> None:
    desk.propose(GOOD)
    key = "home_als_v2"
    lifecycle.start(desk.store, desk.shop, key, actor="a", reason="", now=desk.now(0))
    for word in ("schedule", "pause", "resume", "kill"):
        with pytest.raises(TransitionError, match="is assigned by the e-mail tool"):
            getattr(lifecycle, word)(desk.store, key, actor="a", reason="", now=desk.now(1))
    lifecycle.stop(desk.store, key, "ship", actor="a", reason="it pays", now=desk.now(1))
    assert desk.store.definition(key).state == "stopped"


def test_of_two_managers_who_saw_the_same_the_second_gets_a_conflict(desk: Desk) -> None:
    desk.begin()
    seen = desk.store.definition(KEY).revision
    lifecycle.pause(desk.store, KEY, actor="ann", reason="", now=desk.now(1), expected=seen)
    with pytest.raises(ConflictError, match=f"is paused at version 1 .revision {seen + 1}, this change was made from"):
        lifecycle.stop(desk.store, KEY, "ship", actor="ben", reason="it pays", now=desk.now(1), expected=seen)
    now = desk.store.definition(KEY).revision
    with pytest.raises(ConflictError):
        desk.propose(FLAT.replace("Homepage ALS v3", "Other"), at=2, expected=seen)
    assert desk.propose(FLAT.replace("Homepage ALS v3", "Other"), at=2, expected=now).version == 2
    assert desk.store.verify_audit() == ()
