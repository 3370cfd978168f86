"""One incident from its first evaluation to its end, and everything that keeps it from being told. ALERTS 5."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.lifecycle import Standing, from_json, step, to_json
from analysis.alerts.course.standing import Closed, Reset
from analysis.alerts.model import Cell, Resolution
from tests.helpers.losses import RUGS, START, Play, at, blind, clean, loss, opened

# --- counting evaluations ---------------------------------------------------------------------------------------


def test_one_evaluation_is_pending_and_two_open() -> None:
    play = Play()
    assert play.step(loss("page")) == ()
    assert (play.only.state, play.only.opened_at) == ("pending", None)
    assert play.step(loss("page")) == ("open:page:1",)
    assert (play.only.state, play.only.severity, play.only.opened_at) == ("open", "page", play.now)


def test_a_page_fast_opens_at_once() -> None:
    assert Play().step(loss("page_fast")) == ("open:page_fast:1",)


def test_a_loss_that_is_gone_before_the_second_evaluation_was_nothing() -> None:
    play = Play()
    play.step(loss("page"))
    assert play.step(clean()) == ()
    assert play.standing.incidents == ()
    assert play.standing.tracks == {}
    assert play.standing.resets == ()


def test_two_evaluations_agree_on_the_milder_of_the_two() -> None:
    play = Play()
    play.step(loss("page"))
    assert play.step(loss("ticket")) == ("open:ticket:1",)


def test_it_gets_graver_after_two_and_milder_after_three() -> None:
    play = opened("ticket")
    assert play.step(loss("page")) == ()
    assert play.step(loss("page")) == ("worse:page:2",)
    seen = [(play.step(loss("ticket")), play.only.severity) for _ in range(3)]
    assert seen == [((), "page"), ((), "page"), ((), "ticket")]  # nobody is told that it is milder
    assert play.step(loss("page_fast")) == ("worse:page_fast:3",)


def test_it_is_over_after_three_clean_ones_and_its_detector_is_reset() -> None:
    play = opened()
    fingerprint = loss().unit.fingerprint
    for _ in range(2):
        assert play.step(clean()) == ()
        assert (play.only.state, play.standing.resets) == ("resolving", ())
    over = play.only.incident_id
    resets = [(play.step(clean()), play.standing.resets) for _ in range(2)]
    assert resets == [(("resolved:2",), (Reset(fingerprint, over),)), ((), ())]
    assert (play.only.state, play.only.expected) == ("resolved", 0.0)


def test_a_loss_between_two_clean_ones_starts_the_count_anew() -> None:
    play = opened()
    play.step(clean())
    play.step(clean())
    assert play.step(loss("ticket")) == ()
    assert play.only.state == "open"
    assert [play.step(clean()) for _ in range(3)] == [(), (), ("resolved:2",)]


def test_no_data_is_not_resolved() -> None:
    play = opened()
    for _ in range(20):
        play.step(blind(), hours=1)
    assert (play.only.state, play.only.severity) == ("open", "page")
    assert play.only.hints == ("No data since 1 December 2026, 13:00 UTC: whether it goes on is not known.",)
    for _ in range(2):
        play.step(clean())
    play.step(blind())
    assert play.only.state == "resolving"
    assert play.step(clean()) == ("resolved:2",)


def test_what_it_is_made_of_and_when_it_changed() -> None:
    rugs, decor = Cell("pdp", "rugs"), Cell("pdp", "decor")
    play = Play()
    for _ in range(2):
        play.step(loss("page", 50.0, cell=rugs), loss("page", 90.0, cell=decor))
    opened_at = play.now
    play.step(loss("page", 50.0, cell=rugs), clean(cell=decor))
    assert [one.unit.cell for one in play.only.members] == [rugs]  # those that fire now
    assert (play.only.expected, play.only.changed_at, play.only.opened_at) == (50.0, opened_at, opened_at)
    play.step(clean(cell=rugs), clean(cell=decor))
    assert sorted(one.unit.cell for one in play.only.members) == [decor, rugs]  # none does: those that did
    assert (play.only.state, play.only.changed_at, play.only.opened_at) == ("resolving", play.now, opened_at)


def test_a_cell_that_nobody_evaluates_any_more_is_not_resolved_either() -> None:
    play = opened()
    for _ in range(10):
        play.step(clean(cell=RUGS), hours=1)
    assert play.of("homepage").state == "open"


# --- reopening ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "same"), [(6, True), (24, True), (24.25, False), (30, False)])
def test_what_returns_within_a_day_is_the_same_incident(hours: float, same: bool) -> None:
    play = opened()
    for _ in range(3):
        play.step(clean())
    before = play.only
    play.step(loss("page"), hours=hours)
    told = play.step(loss("page"))
    if same:
        assert told == ("reopen:page:3",)
        assert (play.only.incident_id, play.only.opened_at) == (before.incident_id, before.opened_at)
        assert play.standing.closed == ()
    else:
        assert told == ("open:page:1",)
        assert {one.state for one in play.standing.incidents} == {"open", "resolved"}
        assert [one.incident_id for one in play.standing.closed] == [before.incident_id]


def test_what_is_resolved_is_kept_for_the_inbox_and_its_outcome_for_good() -> None:
    play = opened()
    for _ in range(3):
        play.step(clean())
    over = play.only.incident_id
    play.step(clean(), hours=24 * 35)
    assert play.only.incident_id == over
    play.step(clean())
    assert play.standing.incidents == ()
    assert [one.incident_id for one in play.standing.closed] == [over]


# --- repeats, acknowledging --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "hours"), [("page_fast", 24), ("page", 24), ("ticket", 24 * 7)])
def test_it_is_repeated(severity: str, hours: int) -> None:
    play = opened() if severity == "page" else Play()
    if severity == "page_fast":
        play.step(loss("page_fast"))
    if severity == "ticket":
        play = opened("ticket")
    told = [(done, play.step(loss(severity), hours=6)) for done in range(6, 2 * hours + 1, 6)]  # type: ignore[arg-type]
    assert [(done, *names) for done, names in told if names] == [(hours, "repeat:2"), (2 * hours, "repeat:3")]


def test_watch_is_for_the_inbox_and_never_told() -> None:
    play = Play()
    assert [play.step(loss("watch")) for _ in range(40)] == [()] * 40
    assert (play.only.state, play.only.severity) == ("open", "watch")
    play.step(loss("ticket"))
    assert play.step(loss("ticket")) == ("open:ticket:1",)


def test_what_is_acknowledged_is_not_repeated() -> None:
    play = opened()
    assert play.ack() == ()
    assert (play.only.state, play.only.acked_by) == ("acked", "mara")
    assert [play.step(loss("page")) for _ in range(20)] == [()] * 20
    assert play.only.state == "acked"


def test_until_its_severity_rises() -> None:
    play = opened("ticket")
    play.ack()
    play.step(loss("page"))
    assert play.step(loss("page")) == ("worse:page:2",)
    assert (play.only.state, play.only.acked_by) == ("open", "")
    assert play.step(loss("page"), hours=24) == ("repeat:3",)


def test_or_the_money_doubles() -> None:
    play = opened(expected=1000.0)
    play.ack()
    assert play.step(loss("page", 1999.0)) == ()
    assert play.step(loss("page", 2000.0)) == ("doubled:page:2",)
    assert play.only.state == "open"
    play.ack()
    assert play.step(loss("page", 3999.0)) == ()


def test_what_became_milder_is_told_when_it_gets_graver_again() -> None:
    play = opened("page")
    for _ in range(3):
        play.step(loss("ticket"))
    play.ack()
    play.step(loss("page"))
    assert play.step(loss("page")) == ("worse:page:2",)
    assert play.only.state == "open"


def test_an_ack_of_what_was_watched_is_none_of_what_it_became() -> None:
    play = Play()
    for _ in range(2):
        play.step(loss("watch"))
    play.ack()
    play.step(loss("ticket"))
    assert play.step(loss("ticket")) == ("open:ticket:1",)
    assert (play.only.state, play.only.acked_by) == ("open", "")


def test_an_ack_holds_while_it_dips_and_comes_back_to_what_was_acknowledged() -> None:
    play = opened("ticket")
    play.ack()
    for severity in ("watch", "watch", "watch", "ticket", "ticket"):
        assert play.step(loss(severity)) == ()
    assert play.only.acked_by
    play.step(loss("page"))
    assert play.step(loss("page")) == ("worse:page:2",)


def test_an_acknowledged_one_that_resolves_is_told_and_its_ack_is_over() -> None:
    play = opened()
    play.ack()
    assert [play.step(clean()) for _ in range(3)] == [(), (), ("resolved:2",)]
    play.step(loss("page"))
    assert play.step(loss("page")) == ("reopen:page:3",)
    assert (play.only.state, play.only.acked_by) == ("open", "")
    assert play.step(loss("page"), hours=24) == ("repeat:4",)


# --- silences ----------------------------------------------------------------------------------------------------


def silence(play: Play, hours: float, *, by: str = "matcher", **matcher: str) -> Act:
    """A silence from now on."""
    ends = play.now + timedelta(hours=hours)
    if by == "incident":
        return Act("silence", "mara", play.now, "sale", play.only.incident_id, expires_at=ends)
    return Act("silence", "mara", play.now, "sale", matcher=Matcher(**matcher), expires_at=ends)  # type: ignore[arg-type]


def test_a_silence_before_the_loss_ends_and_what_is_still_open_is_told() -> None:
    play = Play()
    play.acts(silence(play, 24, module="homepage"))
    assert [play.step(loss("page")) for _ in range(3)] == [()] * 3
    assert (play.only.state, play.only.silenced_by) == ("open", "mara")
    ends = [play.only.silenced_until]
    assert play.step(loss("page")) == ("open:page:1",)
    assert [*ends, play.only.silenced_until] == [START + timedelta(hours=24), None]
    assert play.standing.silences == ()


def test_a_silence_after_the_loss_was_told_ends_with_its_state() -> None:
    play = opened()
    play.acts(silence(play, 48, by="incident"))
    assert [play.step(loss("page")) for _ in range(7)] == [()] * 7
    lost = play.only.lost_so_far
    assert lost == pytest.approx(1000.0 * 2)  # since the first evaluation
    assert play.step(loss("page")) == ("still:page:2",)
    assert play.step(loss("page")) == ()


def test_what_ends_inside_a_silence_is_not_told() -> None:
    play = opened()
    play.acts(silence(play, 48, by="incident"))
    assert [play.step(clean()) for _ in range(10)] == [()] * 10
    assert play.only.state == "resolved"


def test_a_silence_up_to_a_ticket_lets_a_page_through() -> None:
    play = Play()
    play.acts(silence(play, 100, module="homepage", at_most="ticket"))
    assert [play.step(loss("ticket")) for _ in range(3)] == [()] * 3
    play.step(loss("page"))
    assert play.step(loss("page")) == ("open:page:1",)


def test_a_silenced_category_mutes_itself_only() -> None:
    rugs, decor = Cell("pdp", "rugs"), Cell("pdp", "decor")
    play = Play()
    play.acts(silence(play, 100, category="rugs"))
    play.step(loss("page", 900.0, cell=rugs), loss("ticket", 100.0, cell=decor))
    assert play.step(loss("page", 900.0, cell=rugs), loss("ticket", 100.0, cell=decor)) == ("open:ticket:1",)
    assert (play.only.severity, play.only.expected) == ("ticket", 100.0)
    assert play.only.lost_so_far == pytest.approx(1000.0 / 4)  # the silenced one is summed


def test_of_two_silences_of_a_cell_the_longer_counts_and_of_two_cells_the_one_that_ends_first() -> None:
    rugs, decor = Cell("pdp", "rugs"), Cell("pdp", "decor")
    play = Play()
    play.acts(
        silence(play, 20, category="rugs"), silence(play, 40, category="rugs"), silence(play, 30, category="decor")
    )
    for _ in range(2):
        play.step(loss("page", cell=rugs))
    assert play.only.silenced_until == START + timedelta(hours=40)
    for _ in range(2):
        play.step(loss("page", cell=rugs), loss("page", cell=decor))
    assert play.only.silenced_until == START + timedelta(hours=30)


def test_a_silence_of_losses_lets_the_data_alert_through() -> None:
    play = Play()
    play.acts(silence(play, 100, module="homepage"))
    play.step(loss("page", held_by=["SH-02"]))
    assert play.step(loss("page", held_by=["SH-02"])) == ("data:1",)
    fault = play.of("homepage", "data").incident_id
    assert [play.step(loss("page", held_by=["SH-02"]), hours=24) for _ in range(7)][-1] == ("repeat:2",)
    ends = play.now + timedelta(days=30)
    play.acts(Act("silence", "mara", play.now, "known", fault, expires_at=ends))
    assert [play.step(loss("page", held_by=["SH-02"]), hours=24) for _ in range(14)] == [()] * 14


def test_a_silence_can_be_taken_back() -> None:
    play = opened()
    play.acts(silence(play, 480, module="homepage"))
    play.step(loss("page"))
    assert play.acts(Act("unsilence", "mara", play.now, "sale over", matcher=Matcher("homepage"))) == ("still:page:2",)


def test_a_silence_without_an_end_or_already_over_changes_nothing() -> None:
    play = opened()
    play.acts(Act("silence", "mara", play.now, "x", matcher=Matcher("homepage")), silence(play, -1, module="homepage"))
    assert (play.only.silenced_until, play.standing.silences) == (None, ())


# --- resolving by hand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["real_regression", "expected_change"])
def test_a_person_resolves_and_says_what_it_was(code: Resolution) -> None:
    play = opened()
    key = play.only.incident_id
    assert play.acts(Act("resolve", "mara", play.now, "rolled back", key, code=code)) == ("resolved:2",)
    over, closed = play.only, play.standing.closed
    assert (over.state, over.resolution) == ("resolved", code)
    assert play.standing.resets == (Reset(loss().unit.fingerprint, key, code == "expected_change"),)
    assert closed == (Closed(key, "loss", 1, "page", play.now, over.lost_so_far, code),)
    assert play.step(loss("page")) == ()
    assert play.step(loss("page")) == ("reopen:page:3",)
    assert (play.only.resolution, len(play.standing.closed)) == (None, 0)


def test_what_was_read_before_a_person_resolved_it_does_not_open_it_again() -> None:
    play = Play()
    play.step(loss("page_fast"))
    ended = Act("resolve", "mara", play.now, "rolled back", play.only.incident_id, code="real_regression")
    assert play.step(loss("page_fast"), acts=[ended]) == ("resolved:2",)
    assert play.only.resolution == "real_regression"
    assert play.step(loss("page_fast")) == ("reopen:page_fast:3",)


def test_another_cell_may_open_it_in_the_same_step_and_that_is_told() -> None:
    play = Play()
    play.step(loss("page_fast"))
    play.ack()
    ended = Act("resolve", "mara", play.now, "rolled back", play.only.incident_id, code="real_regression")
    other = loss("page_fast", cell=Cell("homepage", "rugs"))
    assert play.step(loss("page_fast"), other, acts=[ended]) == ("reopen:page_fast:2",)
    assert (play.only.state, play.only.acked_by, len(play.only.members)) == ("open", "", 1)


def test_what_resolved_by_itself_gets_its_code_later() -> None:
    play = opened()
    for _ in range(3):
        play.step(clean())
    assert play.standing.closed[0].resolution is None
    assert (
        play.acts(Act("resolve", "mara", play.now, "was a sale", play.only.incident_id, code="expected_change")) == ()
    )
    assert play.standing.closed[0].resolution == play.only.resolution == "expected_change"


def test_what_does_not_fit_changes_nothing() -> None:
    play = opened()
    before = play.only
    play.acts(Act("ack", "mara", play.now, "x", "unknown"), Act("resolve", "mara", play.now, "x", before.incident_id))
    assert play.only == before


# --- money, groups, time ------------------------------------------------------------------------------------------


def test_what_is_lost_is_summed_over_the_time_it_lasts() -> None:
    play = opened(expected=1000.0)  # 6 hours at 1,000 a day between its first two evaluations
    play.step(loss("page", 2000.0), hours=12)
    assert play.only.lost_so_far == pytest.approx(250.0 + 1000.0)
    play.step(blind(), hours=24)
    assert play.only.lost_so_far == pytest.approx(1250.0)
    play.step(loss("page", 400.0), hours=6)
    assert play.only.lost_so_far == pytest.approx(1350.0)
    play.step(loss("page", 400.0), hours=24 * 9)  # nobody looked in between: one day of it
    assert play.only.lost_so_far == pytest.approx(1750.0)
    play.step(clean())
    assert play.only.lost_so_far == pytest.approx(1750.0)  # a gain pays nothing back


def test_a_cell_without_data_adds_nothing_to_what_is_lost() -> None:
    rugs, decor = Cell("pdp", "rugs"), Cell("pdp", "decor")
    play = Play()
    play.step(loss("page", 100.0, cell=rugs), loss("page", 10.0, cell=decor))
    play.step(loss("page", 100.0, cell=rugs), loss("page", 10.0, cell=decor), hours=12)
    play.step(blind(cell=rugs), loss("page", 10.0, cell=decor), hours=12)
    assert play.only.lost_so_far == pytest.approx(55.0 + 5.0)
    assert play.only.hints == ()  # not all is dark


def test_twelve_categories_are_one_incident() -> None:
    cells = [Cell("homepage", f"category {i}") for i in range(12)]
    play = Play()
    play.step(*(loss("ticket", 10.0, cell=cell) for cell in cells))
    assert play.step(*(loss("ticket", 10.0, cell=cell) for cell in cells)) == ("open:ticket:1",)
    assert (play.only.expected, len(play.only.members)) == (120.0, 12)
    assert play.step(*(loss("ticket", 10.0, cell=cell) for cell in cells), loss("ticket", 100.0)) == ()
    play.step(*(loss("ticket", 10.0, cell=cell) for cell in cells), loss("ticket", 100.0))
    assert (play.only.expected, len(play.only.members)) == (100.0, 13)


def test_another_deploy_is_another_incident() -> None:
    play = Play(windows={"homepage": "launch als_v1 2026-11-01"})
    for _ in range(2):
        play.step(loss("page"))
    play.windows = {"homepage": "launch als_v2 2026-12-02"}
    same, other = loss("page", metric="click"), loss("page_fast", cell=Cell("homepage", "rugs"))
    assert play.step(loss("page"), same, other) == ("open:page_fast:1",)
    assert play.step(loss("page"), same, other) == ()  # another metric of the cell is the same loss
    metrics = {one.window: sorted(member.unit.metric for member in one.members) for one in play.standing.incidents}
    assert metrics == {"launch als_v1 2026-11-01": ["click", "order"], "launch als_v2 2026-12-02": ["order"]}


def test_an_older_evaluation_changes_nothing() -> None:
    play = opened()
    late = at(loss("page_fast"), play.now - timedelta(hours=1))
    assert step(play.standing, late.unit.at, [late], [], windows={}) == (play.standing, ())
    assert step(play.standing, play.now, [at(clean(), play.now)], [], windows={}) == (play.standing, ())


def test_an_act_counts_once_however_often_it_is_handed_in() -> None:
    play = opened()
    ack = Act("ack", "mara", play.now, "on it", play.only.incident_id)
    play.acts(ack)
    play.step(loss("page"), acts=[ack])
    play.step(loss("page", 2000.0), acts=[ack])
    assert (play.only.state, play.told[-1].transition) == ("open", "doubled:page:2")


def test_an_act_of_a_quarter_ago_is_forgotten_and_not_done_again() -> None:
    play = opened()
    mute = silence(play, 24 * 400, module="homepage")
    lift = Act("unsilence", "mara", play.now + timedelta(hours=1), "over", matcher=Matcher("homepage"))
    play.acts(mute, lift)
    play.step(loss("page"), hours=24 * 91, acts=[mute, lift])
    assert play.standing.acts == {}
    play.step(loss("page"), acts=[mute])
    assert (play.only.silenced_until, play.standing.silences) == (None, ())


def test_an_evaluation_of_a_bucket_to_come_waits_for_its_step() -> None:
    play = Play()
    early = at(loss("page_fast"), START + timedelta(hours=12))
    assert step(play.standing, START + timedelta(hours=6), [early], [], windows={})[1] == ()


def test_what_nobody_was_told_of_says_nothing_about_its_rule() -> None:
    play = Play()
    for found in (loss("watch"), loss("watch"), clean(), clean(), clean()):
        play.step(found)
    assert (play.only.state, play.standing.closed) == ("resolved", ())
    play.acts(Act("resolve", "mara", play.now, "a sale", play.only.incident_id, code="expected_change"))
    assert [one.resolution for one in play.standing.closed] == ["expected_change"]


def test_time_without_evaluations_repeats_and_ends_silences() -> None:
    play = opened()
    assert play.step(hours=24) == ("repeat:2",)
    assert play.standing.at == START + timedelta(hours=12)  # the newest bucket end that was evaluated


def test_the_newest_revision_of_a_bucket_counts() -> None:
    play = Play()
    revised = replace(loss("page_fast"), unit=replace(loss().unit, revision=1))
    assert play.step(revised, loss("digest")) == ("open:page_fast:1",)


def test_the_standing_survives_json_between_any_two_steps() -> None:
    plain, stored = Play(), Play()
    for found in [loss("page"), loss("page", held_by=["SH-02"]), loss("page"), blind(), clean(), clean(), clean()]:
        assert plain.step(found) == stored.step(found)
        stored.standing = from_json(to_json(stored.standing))
        assert to_json(plain.standing) == to_json(stored.standing)
        assert plain.standing == stored.standing
    assert Standing() != plain.standing
