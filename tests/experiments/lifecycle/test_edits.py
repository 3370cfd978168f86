"""What may change while a phase runs, by one command each."""

from collections.abc import Callable

import pytest

from experiments import lifecycle
from experiments.errors import ConflictError, DefinitionError, NotFoundError, TransitionError, UsageError
from experiments.spec import Assigned
from tests.helpers.assigned_shop import FLAT, KEY, Desk


def test_an_arm_is_switched_off_and_on_again(desk: Desk) -> None:
    desk.begin()
    lifecycle.disable_arm(desk.store, KEY, "als_v2", actor="ann", reason="slow", now=desk.now(1))
    assert desk.store.live(KEY, 1).disabled == ("als_v2",)
    with pytest.raises(TransitionError, match="als_v2 is disabled already"):
        lifecycle.disable_arm(desk.store, KEY, "als_v2", actor="ann", reason="", now=desk.now(1))
    lifecycle.enable_arm(desk.store, KEY, "als_v2", actor="ann", reason="mended", now=desk.now(2))
    assert desk.store.live(KEY, 1).disabled == ()
    with pytest.raises(TransitionError, match="als_v2 is enabled already"):
        lifecycle.enable_arm(desk.store, KEY, "als_v2", actor="ann", reason="", now=desk.now(2))
    with pytest.raises(TransitionError, match="control is the control"):
        lifecycle.disable_arm(desk.store, KEY, "control", actor="ann", reason="", now=desk.now(2))
    with pytest.raises(NotFoundError, match="no arm 'als'; its arms are control, als_v2"):
        lifecycle.enable_arm(desk.store, KEY, "als", actor="ann", reason="", now=desk.now(2))
    assert [row.action for row in desk.store.audit()[-2:]] == ["disable", "enable"]


def test_traffic_grows_and_never_falls(desk: Desk) -> None:
    desk.begin()
    lifecycle.raise_traffic(desk.store, KEY, "0.5", actor="ann", reason="", now=desk.now(1))
    lifecycle.raise_traffic(desk.store, KEY, "1", actor="ann", reason="", now=desk.now(2))
    steps = desk.store.live(KEY, 1).traffic
    assert [(step.at, step.bp) for step in steps] == [
        (desk.now(0), 2500), (desk.now(1), 5000), (desk.now(2), 10_000),
    ]  # fmt: skip
    for share in ("1", "0.5", "0"):
        with pytest.raises(TransitionError, match="traffic is 1 and only grows"):
            lifecycle.raise_traffic(desk.store, KEY, share, actor="ann", reason="", now=desk.now(3))
    for wrong in ("1.5", "half", "0.00001"):
        with pytest.raises(UsageError, match=r"not a multiple of 0\.0001"):
            lifecycle.raise_traffic(desk.store, KEY, wrong, actor="ann", reason="", now=desk.now(3))


def test_more_of_the_layer_is_given_where_it_is_free(desk: Desk) -> None:
    desk.begin()
    desk.propose(FLAT.replace(KEY, "second").replace("[[0, 6000]]", "[[7000, 8000]]"))
    with pytest.raises(DefinitionError, match=r"\[7000, 7500\) of layer homepage belongs to second"):
        lifecycle.add_ranges(desk.store, KEY, [(6000, 7500)], actor="ann", reason="", now=desk.now(1))
    with pytest.raises(UsageError, match="overlap one another"):
        lifecycle.add_ranges(desk.store, KEY, [(5000, 6500)], actor="ann", reason="", now=desk.now(1))
    known = lifecycle.add_ranges(desk.store, KEY, [(6000, 7000)], actor="ann", reason="", now=desk.now(1))
    assert isinstance(known.experiment, Assigned)
    assert known.experiment.layer.ranges == ((0, 6000), (6000, 7000))
    assert desk.store.live(KEY, 1).layer[-1].at == desk.now(1)
    assert (known.version, desk.store.audit()[-1].action) == (2, "ranges")


def test_a_unit_is_forced_and_let_go(desk: Desk) -> None:
    desk.begin()
    known = lifecycle.add_override(desk.store, KEY, "qa-2", "control", actor="ann", reason="", now=desk.now(1))
    assert isinstance(known.experiment, Assigned)
    assert [(each.unit_id, each.variant) for each in known.experiment.overrides] == [
        ("qa-1", "als_v2"), ("qa-2", "control"),
    ]  # fmt: skip
    with pytest.raises(TransitionError, match="qa-2 is forced into control already"):
        lifecycle.add_override(desk.store, KEY, "qa-2", "als_v2", actor="ann", reason="", now=desk.now(1))
    with pytest.raises(UsageError, match="is not a unit id"):
        lifecycle.add_override(desk.store, KEY, " qa-3", "als_v2", actor="ann", reason="", now=desk.now(1))
    lifecycle.remove_override(desk.store, KEY, "qa-2", actor="ann", reason="", now=desk.now(2))
    with pytest.raises(NotFoundError, match="qa-2 is not forced into any arm; nearest: qa-1"):
        lifecycle.remove_override(desk.store, KEY, "qa-2", actor="ann", reason="", now=desk.now(2))
    assert [row.action for row in desk.store.audit()[-2:]] == ["override", "override"]


def test_what_does_not_run_has_no_traffic_or_arms_to_change(desk: Desk) -> None:
    desk.propose()
    with pytest.raises(TransitionError, match="is draft: this needs running or paused"):
        lifecycle.raise_traffic(desk.store, KEY, "0.5", actor="a", reason="", now=desk.now(1))
    with pytest.raises(TransitionError, match="is draft: this needs running or paused"):
        lifecycle.disable_arm(desk.store, KEY, "als_v2", actor="a", reason="", now=desk.now(1))


def test_of_two_managers_who_saw_the_same_one_gets_a_conflict_whatever_both_wanted(desk: Desk) -> None:
    desk.begin()
    seen = desk.store.definition(KEY).revision
    lifecycle.raise_traffic(desk.store, KEY, "0.5", actor="ann", reason="", now=desk.now(1), expected=seen)
    store, now = desk.store, desk.now(1)
    changes: list[Callable[[], object]] = [
        lambda: lifecycle.raise_traffic(store, KEY, "0.6", actor="b", reason="", now=now, expected=seen),
        lambda: lifecycle.disable_arm(store, KEY, "als_v2", actor="b", reason="", now=now, expected=seen),
        lambda: lifecycle.add_ranges(store, KEY, [(6000, 7000)], actor="b", reason="", now=now, expected=seen),
        lambda: lifecycle.add_override(store, KEY, "u", "control", actor="b", reason="", now=now, expected=seen),
        lambda: lifecycle.remove_override(store, KEY, "qa-1", actor="b", reason="", now=now, expected=seen),
    ]
    for change in changes:
        with pytest.raises(ConflictError, match="somebody changed it meanwhile"):
            change()
    assert desk.store.live(KEY, 1).traffic_bp == 5000
    assert desk.store.verify_audit() == ()
