"""What time brings: starts, ramp steps whose checks are green, ends; and why a step is held."""

from dataclasses import replace

import pytest

from experiments import lifecycle
from experiments.lifecycle import Outcome
from tests.helpers.assigned_shop import KEY, Desk
from tests.helpers.definitions import ASSIGNED

SRM = {"id": "SH-01", "state": "pass", "sentence": "The split is as planned."}
MEASURED = {"arm": "als_v2", "status": "not_clear", "not_determined": None}
GREEN = {"checks": [SRM], "metrics": [{"role": "guardrail", "label": "Return rate", "comparisons": [MEASURED]}]}


def tick(desk: Desk, at: float) -> list[tuple[str, bool, str]]:
    found = lifecycle.tick(desk.store, desk.shop, desk.now(at), actor="clock")
    assert all(isinstance(each, Outcome) and each.key == KEY for each in found)
    return [(each.what, each.done, each.words) for each in found]


@pytest.fixture
def ramping(desk: Desk) -> Desk:
    """Scheduled, and due in an hour: 1 % at once, 25 % a day later if the checks are green."""
    desk.propose(ASSIGNED)
    lifecycle.schedule(desk.store, KEY, actor="ann", reason="", now=desk.now(-1))
    return desk


def test_nothing_is_done_before_it_is_due(ramping: Desk) -> None:
    assert tick(ramping, -0.5) == []
    assert ramping.store.definition(KEY).state == "scheduled"


def test_a_scheduled_start_its_steps_and_its_end_come_by_the_clock(ramping: Desk) -> None:
    assert tick(ramping, 0) == [("start", True, "phase 1 runs"), ("step", True, "traffic 0 → 0.01")]
    assert tick(ramping, 1) == []
    ramping.publish(GREEN, at=20)
    assert tick(ramping, 24) == [("step", True, "traffic 0.01 → 0.25")]
    assert tick(ramping, 25) == []
    steps = ramping.store.live(KEY, 1).traffic
    assert [(step.at, step.bp) for step in steps] == [
        (ramping.now(0), 0), (ramping.now(0), 100), (ramping.now(24), 2500),
    ]  # fmt: skip
    (ended,) = tick(ramping, 24 * 28)
    assert ended[:2] == ("stop", True)
    assert "decide with `truelift stop home_als_v3 --decision" in ended[2]
    known = ramping.store.definition(KEY)
    assert (known.state, known.decision) == ("stopped", None)
    assert tick(ramping, 24 * 29) == []
    assert {row.actor for row in ramping.store.audit()[-4:]} == {"clock"}
    assert ramping.store.verify_audit() == ()


RED = [
    (None, "srm: nothing is published of phase 1 yet; `truelift refresh home_als_v3`"),
    ({**GREEN, "checks": [{**SRM, "state": "fail", "sentence": "Too many."}]}, "srm: fail: Too many."),
    ({**GREEN, "checks": [{**SRM, "state": "unknown", "sentence": "Too few."}]}, "srm: unknown: Too few."),
    ({**GREEN, "checks": []}, "srm: the newest snapshot does not have the check"),
    ({"checks": [SRM]}, "guardrails: the results are withheld"),
    (
        {**GREEN, "metrics": [{"role": "guardrail", "label": "Return rate",
                               "comparisons": [{**MEASURED, "status": "breached"}]}]},
        "guardrails: Return rate is beyond its limit in als_v2",
    ),
    (
        {**GREEN, "metrics": [{"role": "guardrail", "label": "Return rate",
                               "comparisons": [{**MEASURED, "not_determined": {"code": "few", "words": "few"}}]}]},
        "guardrails: Return rate is not measured in als_v2 yet",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "why"), RED)
def test_a_step_whose_checks_are_not_green_is_held_and_says_why(
    ramping: Desk, body: dict[str, object] | None, why: str
) -> None:
    tick(ramping, 0)
    if body is not None:
        ramping.publish(body, at=20)
    (held,) = tick(ramping, 24)
    assert held[:2] == ("step", False)
    assert held[2].startswith(f"0.01 → 0.25 held: {why}")
    assert ramping.store.live(KEY, 1).traffic_bp == 100
    ramping.publish(GREEN, at=26)
    assert tick(ramping, 27) == [("step", True, "traffic 0.01 → 0.25")]


def test_another_metric_beyond_its_limit_holds_no_step(ramping: Desk) -> None:
    tick(ramping, 0)
    other = {"role": "secondary", "label": "CTR", "comparisons": [{**MEASURED, "status": "breached"}]}
    ramping.publish({**GREEN, "metrics": [other]}, at=20)
    assert tick(ramping, 24)[0][1]


def test_a_snapshot_older_than_the_traffic_says_nothing_about_it(ramping: Desk) -> None:
    tick(ramping, 0)
    ramping.publish(GREEN, at=-1)
    (held,) = tick(ramping, 24)
    assert "as of 2026-12-01 08:00 UTC, is older than its traffic" in held[2]


def test_a_step_that_must_be_judged_does_not_follow_at_once_on_the_one_before(ramping: Desk) -> None:
    lifecycle.start(ramping.store, ramping.shop, KEY, actor="a", reason="", now=ramping.now(0))
    ramping.publish(GREEN, at=20)
    assert [(what, done) for what, done, _ in tick(ramping, 30)] == [("step", True), ("step", False)]
    assert ramping.store.live(KEY, 1).traffic_bp == 100


def test_no_step_in_a_freeze_window(ramping: Desk) -> None:
    tick(ramping, 0)
    ramping.publish(GREEN, at=20)
    settings = ramping.shop.settings.model_copy(
        update={"freeze": ("wednesday 10:00-11:00", "sale 2026-12-05/2026-12-06")}
    )
    frozen = replace(ramping, shop=replace(ramping.shop, settings=settings))
    (held,) = tick(frozen, 24)  # Wednesday 10:00 in Berlin
    assert held == (
        "step",
        False,
        "0.01 → 0.25 held: no step in the freeze window 'wednesday 10:00-11:00' of truelift.toml",
    )
    assert "sale" in tick(frozen, 24 * 4)[0][2]
    assert tick(frozen, 25) == [("step", True, "traffic 0.01 → 0.25")]


def test_what_is_paused_or_killed_takes_no_step(ramping: Desk) -> None:
    tick(ramping, 0)
    ramping.publish(GREEN, at=20)
    lifecycle.pause(ramping.store, KEY, actor="a", reason="", now=ramping.now(21))
    assert "held: it is paused" in tick(ramping, 24)[0][2]
    lifecycle.resume(ramping.store, KEY, actor="a", reason="", now=ramping.now(25))
    lifecycle.kill(ramping.store, KEY, actor="a", reason="", now=ramping.now(25))
    assert "held: it is killed" in tick(ramping, 26)[0][2]
    lifecycle.resume(ramping.store, KEY, actor="a", reason="", now=ramping.now(27))
    assert tick(ramping, 28)[0][1]


def test_a_step_below_the_traffic_that_is_there_is_done_already(ramping: Desk) -> None:
    tick(ramping, 0)
    lifecycle.raise_traffic(ramping.store, KEY, "0.5", actor="a", reason="", now=ramping.now(1))
    assert tick(ramping, 24) == []


def test_one_that_cannot_start_keeps_no_other_from_starting(ramping: Desk) -> None:
    other = ASSIGNED.replace(KEY, "second").replace("[[0, 6000]]", "[[6000, 7000]]")
    ramping.propose(other)
    lifecycle.schedule(ramping.store, "second", actor="a", reason="", now=ramping.now(-1))
    ramping.shop.metrics_file.write_text("metrics: {}\n")
    metrics = ramping.shop.metrics_file
    metrics.write_text(
        "metrics:\n  own_metric: {label: Own, kind: mean, numerator: {from: sessions, measure: rows},"
        " value_unit: count, direction: increase}\n"
    )
    changed = ASSIGNED.replace("success: [revenue_per_unit]", "success: [own_metric]")
    ramping.propose(changed)
    metrics.write_text(metrics.read_text().replace("label: Own", "label: Other"))
    found = lifecycle.tick(ramping.store, ramping.shop, ramping.now(0), actor="clock")
    assert [(each.key, each.what, each.done) for each in found] == [
        (KEY, "start", False), ("second", "start", True), ("second", "step", True),
    ]  # fmt: skip
    assert "own_metric changed in the metric catalogue" in found[0].words
