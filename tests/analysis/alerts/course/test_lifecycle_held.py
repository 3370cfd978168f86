"""Incidents under failing signal checks: the money is held, the data alert is raised instead. ALERTS 5."""

from dataclasses import replace

from analysis.alerts.model import Cell, Evidence
from tests.helpers.losses import EXPERIMENT, FORECAST, HOME, LAUNCH, RUGS, Play, blind, clean, loss, opened


def test_a_failing_check_holds_the_money_and_raises_the_data_alert() -> None:
    play = Play()
    held = loss("page", metric="add_to_cart", held_by=["SH-02"])
    assert play.step(held) == ()
    assert play.step(held) == ("data:1",)
    assert [notice.incident.family for notice in play.told] == ["data"]
    money, data = play.of("homepage"), play.of("homepage", "data")
    assert (money.held, money.state, data.severity) == (True, "open", "ticket")  # a fault wakes nobody
    assert (data.expected, data.lost_so_far, money.lost_so_far) == (0.0, 0.0, 0.0)
    assert [member.held_by for member in data.members] == [("SH-02",)]


def test_a_loss_that_lasts_when_the_signals_are_mended_is_told() -> None:
    play = Play()
    for _ in range(4):
        play.step(loss("page", held_by=["SH-02"]))
    assert play.step(loss("page")) == ("open:page:1",)
    assert [play.step(loss("page")) for _ in range(2)] == [(), ("resolved:2",)]
    assert play.of("homepage", "data").state == "resolved"


def test_a_clean_evaluation_under_a_failing_check_ends_neither() -> None:
    play = opened()
    play.step(loss("page", held_by=["SH-02"]))
    play.step(loss("page", held_by=["SH-02"]))
    for _ in range(6):
        play.step(clean(held_by=["SH-02"]))
    assert play.of("homepage").state == "open"
    assert play.of("homepage", "data").state == "open"


def test_what_only_the_signals_keep_from_a_page_is_held_too() -> None:
    """An evaluation that is already lowered to digest because its signals fail."""
    lowered = replace(loss("page", held_by=["SH-02"]), severity="digest")
    play = Play()
    play.step(lowered)
    assert play.step(lowered) == ("data:1",)
    assert play.of("homepage").held


def test_without_a_loss_a_failing_check_raises_nothing() -> None:
    play = Play()
    assert [play.step(clean(held_by=["SH-02"])) for _ in range(5)] == [()] * 5
    assert play.standing.incidents == ()


def test_nor_does_one_that_has_no_evidence_yet() -> None:
    waiting = Evidence("detector", 3.0, 400.0, "page_fast")
    lowered = replace(loss("page", held_by=["SH-02"], evidence=waiting), severity="digest")
    play = Play()
    assert [play.step(lowered) for _ in range(5)] == [()] * 5
    assert play.standing.incidents == ()


def test_a_failing_check_without_any_data_raises_the_data_alert() -> None:
    dark = replace(blind(), held_by=("SH-13",))
    play = Play()
    play.step(dark)
    assert play.step(dark) == ("data:1",)
    assert (play.only.family, play.only.severity) == ("data", "ticket")


def test_the_data_alert_goes_on_saying_which_check_it_was() -> None:
    play = Play()
    play.step(loss("page", held_by=["SH-02"]))
    play.step(loss("page", held_by=["SH-02"]))
    play.step(clean())
    assert play.of("homepage", "data").state == "resolving"
    assert [member.held_by for member in play.of("homepage", "data").members] == [("SH-02",)]


def test_a_held_member_does_not_hold_the_others() -> None:
    play = Play()
    found = loss("page", 900.0, metric="add_to_cart", held_by=["SH-02"]), loss("ticket", 100.0, metric="order")
    play.step(*found)
    assert set(play.step(*found)) == {"open:ticket:1", "data:1"}
    money = play.of("homepage")
    assert (money.held, money.severity, money.expected) == (False, "ticket", 100.0)


def test_a_broken_split_holds_its_whole_experiment() -> None:
    play = Play()
    found = [loss("page", comparison=EXPERIMENT, held_by=["SH-01"]), loss("page", cell=RUGS, comparison=EXPERIMENT),
             loss("page", cell=Cell("cart"))]  # fmt: skip
    play.step(*found)
    assert sorted(play.step(*found)) == ["data:1", "open:page:1"]  # one fault is told once
    assert [play.of(module).held for module in ("homepage", "pdp", "cart")] == [True, True, False]


# --- inhibition --------------------------------------------------------------------------------------------------


def test_a_drop_of_the_whole_site_is_not_the_recommender() -> None:
    forecast = Evidence("forecast", 900.0, 400.0, "ticket")
    found = [loss("ticket", cell=cell, comparison=FORECAST, evidence=forecast) for cell in (Cell(), HOME, RUGS)]
    play = Play()
    play.step(*found)
    assert play.step(*found) == ("open:ticket:1",)
    assert play.told[0].incident.module == ""
    assert play.told[0].incident.hints == ("What is lost on homepage and product page is part of it.",)
    assert play.of("homepage").inhibited_by == play.of("pdp").inhibited_by == "not the recommender"
    over = clean(cell=Cell(), comparison=FORECAST)
    told = [play.step(over, *found[1:]) for _ in range(3)]
    assert sorted(told[-1]) == ["open:ticket:1", "open:ticket:1", "resolved:2"]


def test_a_loss_against_a_concurrent_arm_stands_beside_it() -> None:
    play = Play()
    found = loss("ticket", cell=Cell(), comparison=FORECAST), loss("ticket", comparison=LAUNCH)
    play.step(*found)
    assert play.step(*found) == ("open:ticket:1", "open:ticket:1")


def test_a_loss_in_an_experiments_arm_says_what_ends_it() -> None:
    play = Play()
    play.step(loss("page", comparison=EXPERIMENT))
    play.step(loss("page", comparison=EXPERIMENT))
    assert play.only.hints == ("It is lost in home_als_v2: stopping the experiment ends it.",)
    for _ in range(2):
        play.step(loss("page", comparison=EXPERIMENT), loss("page", comparison=LAUNCH))
    assert not play.of("homepage").hints  # everybody loses: no experiment ends that
    held = Play()
    for _ in range(2):
        held.step(loss("page", comparison=EXPERIMENT, held_by=["SH-01"]))
    assert not held.of("homepage").hints
