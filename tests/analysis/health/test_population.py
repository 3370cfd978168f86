"""Bots and own people, ids that hang together, items pushed by one visitor: healthy, planted, too little."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.health.checks import evaluate
from analysis.health.population import _unlike
from tests.helpers.evidence import Row, assigned, check_of, evidence, held


def _met(control: int, new: int) -> list[Row]:
    return [{"arm": arm, "units": 10_000, "units_exposed": met} for arm, met in (("control", control), ("als_v2", new))]


@pytest.mark.parametrize(("new", "state"), [(7000, "pass"), (6850, "pass"), (6680, "fail")])
def test_an_arm_whose_visitors_meet_the_module_less_often_withholds_everything(new: int, state: str) -> None:
    given = replace(evidence({"control": 3000, "als_v2": 3000}, met_the_module=_met(7000, new)), experiment=assigned())
    health = evaluate(given)
    assert check_of(health, "SH-10").state == state
    if state == "fail":
        assert held(health, "SH-10") is None
        assert "70% in control and 66.8% in als_v2" in check_of(health, "SH-10").sentence


def test_healthy_arms_seldom_fail_however_often_they_are_looked_at() -> None:
    """400 runs of 28 looks at 30,000 visitors: at most 0.001 of them may ever fail, so hardly one."""
    rng = np.random.default_rng(5)
    failed = 0
    for _ in range(400):
        exposed = rng.binomial(540, 0.7, (28, 2)).cumsum(axis=0)
        looks = zip(exposed, range(540, 540 * 29, 540), strict=True)
        failed += any(_unlike((n, int(a), n, int(b))) < 0.001 for (a, b), n in looks)
    assert failed <= 3


def test_where_another_system_assigns_nobody_knows_who_should_have_been_exposed() -> None:
    assert check_of(evaluate(evidence(met_the_module=_met(70, 60))), "SH-10").state == "not_applicable"
    few = replace(evidence(met_the_module=[]), experiment=assigned())
    assert check_of(evaluate(few), "SH-10").state == "unknown"


BUSY: list[Row] = [{"arm": arm, "units": 3000, "busy_units": 0} for arm in ("control", "new")]


def _marked(control: int, new: int) -> dict[str, dict[str, int]]:
    return {"control": {"bot": control, "two_arms": 900}, "new": {"bot": new - 1, "internal": 1}}


@pytest.mark.parametrize(("count", "state"), [(5, "pass"), (35, "warn"), (170, "fail")])
def test_many_bots_are_told_and_withhold_nothing(count: int, state: str) -> None:
    health = evaluate(evidence(busy_units=BUSY, excluded=_marked(count, count)))
    assert check_of(health, "SH-11").state == state
    assert "SH-11" not in {hold.check for hold in health.holds}


def test_bots_in_one_arm_withhold_everything() -> None:
    health = evaluate(evidence(busy_units=BUSY, excluded=_marked(20, 120)))
    assert check_of(health, "SH-11").state == "fail"
    assert held(health, "SH-11") is None
    assert "0.66% in control and 3.8% in new" in check_of(health, "SH-11").sentence


def test_units_that_look_like_a_program_are_counted_though_nobody_marked_them() -> None:
    rows = [row | {"busy_units": 40} for row in BUSY]
    found = check_of(evaluate(evidence(busy_units=rows)), "SH-11")
    assert found.state == "warn"
    assert "80 users had 500 rows or more" in found.sentence


def _linked(sharing: tuple[int, int], linked: int = 2000) -> list[Row]:
    return [
        {"arm": arm, "browser": "safari", "units": 3000, "units_linked": linked, "units_with_several": 9,
         "units_sharing": n}
        for arm, n in zip(("control", "new"), sharing, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sharing", "state"), [((10, 12), "pass"), ((60, 55), "warn"), ((220, 230), "fail"), ((10, 60), "fail")]
)
def test_units_that_share_an_id_are_told_and_withhold_nothing(sharing: tuple[int, int], state: str) -> None:
    health = evaluate(evidence(identity=_linked(sharing)))
    assert check_of(health, "SH-12").state == state
    assert "SH-12" not in {hold.check for hold in health.holds}


def test_a_log_with_one_kind_of_id_has_nothing_to_link() -> None:
    assert check_of(evaluate(evidence(identity=_linked((0, 0), linked=0))), "SH-12").state == "not_applicable"


def _burst(today: int, *, days: int = 20, a_day: int = 10) -> Row:
    return {"item_id": "lamp-7", "event_day": "2026-03-09", "interactions": today, "most_of_a_unit": today - 5,
            "days_before": days, "interactions_before": days * a_day, "squares_before": days * a_day**2}  # fmt: skip


@pytest.mark.parametrize(("today", "state"), [(25, "pass"), (32, "warn"), (80, "fail")])
def test_an_item_that_one_visitor_pushes_is_named(today: int, state: str) -> None:
    health = evaluate(evidence(spikes=[_burst(today), _burst(25) | {"item_id": "sofa-1"}]))
    found = check_of(health, "SH-18")
    assert found.state == state
    assert [group["item_id"] for group in found.groups] == ([] if state == "pass" else ["lamp-7"])


def test_a_new_item_has_no_history_to_jump_from() -> None:
    assert check_of(evaluate(evidence(spikes=[_burst(500, days=2)])), "SH-18").state == "pass"
