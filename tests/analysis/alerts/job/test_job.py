"""One run of the alerts: nothing twice, nothing lost, whatever happens between two runs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alerts.course.acts import Act
from analysis.alerts.evidence.detector import reset
from analysis.alerts.job import stored
from analysis.alerts.job.doing import current, do
from analysis.alerts.job.report import RunReport
from analysis.alerts.job.run import Plan, run
from experiments.errors import UsageError
from experiments.store import Store
from tests.helpers import postgres
from tests.helpers.alert_runs import ALL, CART, HOME, HOUR, START, STATE, Listener, Scripted, dump, plan
from tests.helpers.effort import scaled

LOSS = Scripted(losses=[(HOME, "page", 20, 28), (CART, "ticket", 30, 60)])


def at(hours: float) -> datetime:
    return START + hours * HOUR


def ran(store: Store, given: Plan, hours: float, *, exit_on_alert: bool = False) -> RunReport:
    as_of = at(hours)
    return run(store, lambda: given, as_of=as_of, clock=lambda: as_of, exit_on_alert=exit_on_alert)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def test_an_hour_after_the_other_tells_each_transition_once(store: Store) -> None:
    pager, mail = Listener(), Listener("mail")
    reports = [ran(store, plan(LOSS, pager, mail), hour + 0.1) for hour in range(1, 60)]
    assert [report.evaluated for report in reports] == [1] * 59
    assert {report.code for report in reports} == {0}
    assert {report.missed_runs for report in reports} == {0}
    assert pager.heard == mail.heard
    events = [(p["notice"]["transition"].split(":")[0], p["incident"]["module"]) for p in pager.heard]
    assert events[:2] == [("open", "homepage"), ("open", "cart")]
    assert ("resolved", "homepage") in events
    assert len({(p["incident"]["incident_id"], p["notice"]["transition"]) for p in pager.heard}) == len(pager.heard)
    first = pager.heard[0]
    assert first["notice"]["at"] == "2026-12-01T21:00:00Z"  # the second evaluation in a row
    assert first["title"] == "Homepage is losing about €48k a day (at least €16k)"
    assert first["incident"]["window"] == "launch home_als_v2 2026-12-01"


def test_the_report_is_one_json_line(store: Store) -> None:
    report = ran(store, plan(LOSS, Listener()), 22)
    assert "\n" not in report.line
    assert json.loads(report.line) == {
        "as_of": "2026-12-01T22:00:00Z", "code": 0, "outcome": "evaluated and delivered",
        "until": "2026-12-01T22:00:00Z", "evaluated": 22, "units": 44, "revised": 0, "missed_runs": 0,
        "open": {"page": 1}, "held": 0, "delivered": 1, "undelivered": 0, "error": "",
    }  # fmt: skip
    assert report.words == "22 bucket ends evaluated, 1 open, 1 delivered"


@settings(max_examples=scaled(5, 60))
@given(hours=st.lists(st.integers(0, 290), min_size=1, max_size=6))
def test_any_interval_in_any_order_twice_gives_the_same_bits_and_no_second_notice(hours: list[int]) -> None:
    last, pager = max(hours) / 4, Listener()
    with Store.open("sqlite://") as store, Store.open("sqlite://") as once:
        for _ in range(2):
            for quarter in hours:
                ran(store, plan(LOSS, pager), quarter / 4)
            told = dump(store, *ALL), list(pager.heard)
        for quarter in [*hours, *reversed(hours)]:
            assert ran(store, plan(LOSS, pager), quarter / 4).code == (3 if quarter == 0 else 99)
        assert (dump(store, *ALL), pager.heard) == told
        ran(once, plan(LOSS, Listener()), last)
        assert dump(once, *STATE) == dump(store, *STATE)
    keys = [(p["incident"]["incident_id"], p["notice"]["transition"]) for p in pager.heard]
    assert len(set(keys)) == len(keys)


def test_a_cell_that_cannot_be_read_for_a_while_keeps_its_detector(store: Store) -> None:
    """Else the runs after it would begin anew, or with what was before an incident was resolved."""
    source = replace(LOSS, unread=[(HOME, 10, 13)])
    for hour in range(1, 16):
        ran(store, plan(source), hour)
    with Store.open("sqlite://") as once:
        ran(once, plan(source), 15)
        assert dump(store, *STATE) == dump(once, *STATE)
    states = {
        each.at: each.detector for each in store.alerts.units() if stored.evaluation(each.evaluation).unit.cell == HOME
    }
    assert states[at(9)] == states[at(10)] == states[at(12)] != states[at(13)]


def test_missed_runs_are_made_up_and_only_the_final_state_is_told(store: Store) -> None:
    pager = Listener()
    ran(store, plan(LOSS, pager), 19)
    report = ran(store, plan(LOSS, pager), 45)
    assert (report.evaluated, report.missed_runs) == (26, 25)
    told = {p["incident"]["module"]: p for p in pager.heard}
    assert len(pager.heard) == 2
    assert told["homepage"]["notice"]["event"] == "resolved"
    assert told["cart"]["notice"]["event"] == "open"
    assert told["cart"]["incident"]["changed_at"] >= "2026-12-02T07:00:00Z"
    assert told["cart"]["money"]["lost_so_far_minor"] > 4_800_000 / 24 * 12  # as it stands after 15 hours of it
    assert "25 runs were missed" in told["cart"]["text"]
    states = {(each.transition.split(":")[0], each.state) for each in store.alerts.outbox()}
    assert states == {("open", "superseded"), ("resolved", "delivered"), ("open", "delivered")}
    again = ran(store, plan(LOSS, pager), 46)
    assert (again.missed_runs, again.evaluated, len(pager.heard)) == (0, 1, 2)


def test_missed_are_the_runs_since_the_newest_that_evaluated_whatever_was_looked_back_at(store: Store) -> None:
    ran(store, plan(LOSS), 19)
    for hour in (3, 0, -24 * 365):  # a look back, and two before there are any data
        assert ran(store, plan(LOSS), hour).missed_runs == 0
    assert ran(store, plan(LOSS), 45).missed_runs == 25


def test_a_run_without_data_was_missed_and_one_that_evaluated_late_data_was_not(store: Store) -> None:
    late = replace(LOSS, hours=10)
    ran(store, plan(late), 10)
    assert [ran(store, plan(late), hour).code for hour in (20, 21)] == [3, 3]
    assert ran(store, plan(replace(late, hours=12)), 22).missed_runs == 11
    report = ran(store, plan(replace(late, hours=13)), 23)  # far behind, and yet the run before it found something
    assert (report.code, report.evaluated, report.missed_runs) == (3, 1, 0)


def test_who_hears_of_an_incident_for_the_first_time_hears_that_it_is_open(store: Store) -> None:
    worse = Scripted(losses=[(HOME, "ticket", 2, 6), (HOME, "page", 6, 70)])
    pager, mail = Listener(), Listener("mail")
    ran(store, plan(worse, pager), 4)
    assert pager.transitions == ["open:ticket:1"]
    ran(store, plan(worse, pager, mail), 10)
    assert pager.transitions == ["open:ticket:1", "worse:page:2"]
    assert mail.transitions == ["open:page:2"]
    with Store.open("sqlite://") as other:
        ran(other, plan(worse, late := Listener()), 10)
        assert late.transitions == ["open:page:2"]
        ran(other, plan(worse, late), 40)
        assert late.transitions == ["open:page:2", "repeat:3"]


def test_a_notifier_that_is_down_for_hours_loses_nothing(store: Store) -> None:
    pager, mail = Listener(), Listener("mail")
    pager.down = True
    codes = [ran(store, plan(LOSS, pager, mail), hour).code for hour in range(1, 47)]
    assert codes == [0] * 20 + [4] * 26
    assert len(mail.heard) >= 3  # a channel by itself
    pager.down = False
    report = ran(store, plan(LOSS, pager, mail), 46.2)
    assert (report.code, report.delivered, report.undelivered) == (0, len(mail.heard), 0)  # nothing due but these
    assert pager.heard == mail.heard
    assert ran(store, plan(LOSS, pager, mail), 46.3).code == 99
    assert {each.error for each in store.alerts.outbox()} == {""}


def test_one_notice_that_is_refused_keeps_back_its_own_incident_only(store: Store) -> None:
    pager = Listener()
    for hour in range(1, 22):
        ran(store, plan(LOSS, pager), hour)
    pager.refuses = "resolved:2"
    for hour in range(22, 45):
        report = ran(store, plan(LOSS, pager), hour)
    assert (report.code, report.undelivered) == (4, 1)
    assert [p["incident"]["module"] for p in pager.heard] == ["homepage", "cart"]
    [kept] = store.alerts.outbox("due")
    assert kept.error == "channel pager: not delivered, no route to host; it stays in the outbox"
    assert kept.attempts >= 2


def test_a_later_notice_never_overtakes_an_earlier_one_of_its_incident(store: Store) -> None:
    pager = Listener()
    pager.refuses = "open:page:1"
    for hour in range(1, 46):
        ran(store, plan(LOSS, pager), hour)
    assert [p["incident"]["module"] for p in pager.heard] == ["cart"]
    assert len(store.alerts.outbox("due")) == 2  # that it is open, and that it is over
    pager.refuses = ""
    assert ran(store, plan(LOSS, pager), 45.5).code == 0
    assert pager.transitions[1:] == ["open:page:1", "resolved:2"]


def test_a_channel_that_does_more_than_refuse_does_not_stop_the_others(store: Store) -> None:
    class Broken(Listener):
        def deliver(self, payload: object) -> None:
            raise ValueError(f"cannot print {type(payload).__name__}")

    mail, said = Listener("mail"), list[str]()
    report = run(
        store, lambda: plan(LOSS, Broken(), mail), as_of=at(22), clock=lambda: at(22), say=said.append
    )  # fmt: skip
    assert (report.code, report.undelivered, len(mail.heard)) == (4, 1, 1)
    assert any("pager: ValueError: cannot print dict" in line for line in said)


def test_what_is_due_on_a_channel_that_is_gone_is_said_and_dropped(store: Store) -> None:
    pager, said = Listener(), list[str]()
    pager.down = True
    assert ran(store, plan(LOSS, pager), 22).code == 4
    report = run(store, lambda: plan(LOSS), as_of=at(22.1), clock=lambda: at(22.1), say=said.append)
    assert (report.code, report.undelivered) == (99, 0)
    assert [each.state for each in store.alerts.outbox()] == ["dropped"]
    assert len(said) == 1
    assert said[0].endswith("no channel pager any more; it is not told there")


def test_late_rows_are_a_revision_and_no_second_notice(store: Store) -> None:
    pager = Listener()
    late = replace(LOSS, revised={at(12): at(24.5), at(21): at(24.5)}, revision=1_000.0)
    for hour in range(1, 25):
        ran(store, plan(LOSS, pager), hour)
    before, standing, told = store.alerts.units(), stored.standing(store), list(pager.heard)
    report = ran(store, plan(late, pager), 24.6)
    assert (report.code, report.evaluated, pager.heard) == (0, 0, told)
    assert stored.standing(store) == standing
    after = {(each.fingerprint, each.at): each for each in store.alerts.units()}
    changed = {each.at for each in before if after[each.fingerprint, each.at] != each}
    assert changed == {at(hour) for hour in range(12, 25)}  # those two, and the detectors of every end since
    assert {after[each.fingerprint, each.at].revision for each in before if each.at in changed} == {1}
    assert report.revised == 2 * 13
    [loss] = [
        stored.evaluation(each.evaluation)
        for each in store.alerts.units(since=at(21), until=at(21))
        if stored.evaluation(each.evaluation).unit.cell == HOME
    ]
    assert loss.now is not None
    assert loss.now.expected == 4_801_000
    assert loss.unit.revision == 1
    again = dump(store, *ALL)
    assert ran(store, plan(late, pager), 24.7).code == 99
    assert dump(store, *ALL) == again


def test_what_is_revised_gives_the_same_detectors_as_if_it_had_been_so_at_once() -> None:
    late = replace(LOSS, revised={at(18): at(0.5)}, revision=0.25)
    with Store.open("sqlite://") as store:
        ran(store, plan(late), 18)
        wanted = {each.fingerprint: each.detector for each in store.alerts.newest_units()}
    late = replace(LOSS, revised={at(18): at(18.5)}, revision=0.25)
    with Store.open("sqlite://") as store:
        ran(store, plan(LOSS), 18)
        assert {each.fingerprint: each.detector for each in store.alerts.newest_units()} != wanted
        ran(store, plan(late), 18.6)
        assert {each.fingerprint: each.detector for each in store.alerts.newest_units()} == wanted


def test_what_people_do_is_taken_into_account_by_the_next_run(store: Store) -> None:
    pager = Listener()
    for hour in range(1, 24):
        ran(store, plan(LOSS, pager), hour)
    [incident] = current(store, at(23)).incidents
    with pytest.raises(UsageError, match="reason is empty; say why you silence"):
        do(store, Act("silence", "ann", at(23.5), "", incident.incident_id, expires_at=at(80)))
    act = Act("silence", "ann", at(23.5), "known", incident.incident_id, expires_at=at(80))
    assert do(store, act) == act
    assert current(store, at(23.6)).incidents[0].silenced_by == "ann"
    assert stored.standing(store).incidents[0].silenced_by == ""
    for hour in range(24, 50):
        ran(store, plan(LOSS, pager), hour)
    assert [p["incident"]["module"] for p in pager.heard] == ["homepage", "cart"]
    assert stored.acts(store) == (act,)


@pytest.mark.parametrize("kind", ["resolve", "silence"])
def test_a_run_with_nothing_to_evaluate_says_and_ends_with_what_people_did(store: Store, kind: str) -> None:
    """Else a scheduler would go on waking people about what somebody has closed, until the next bucket is there."""
    page = Scripted(losses=[(HOME, "page", 2, 70)])
    assert ran(store, plan(page), 8, exit_on_alert=True).code == 20
    [incident] = current(store, at(8)).incidents
    act = Act("resolve", "ann", at(8.2), "rolled back", incident.incident_id, code="real_regression")
    if kind == "silence":
        act = Act("silence", "ann", at(8.2), "known", incident.incident_id, expires_at=at(8.6))
    do(store, act)
    kept = dump(store, *STATE)
    before = ran(store, plan(page), 8.1, exit_on_alert=True)
    assert (before.code, before.open) == (20, {"page": 1})  # it is done later
    after = ran(store, plan(page), 8.3, exit_on_alert=True)
    assert (after.code, after.open, after.evaluated) == (99, {}, 0)
    ended = ran(store, plan(page), 8.7, exit_on_alert=True)
    assert (ended.code, ended.open) == ((99, {}) if kind == "resolve" else (20, {"page": 1}))
    assert dump(store, *STATE) == kept  # the next bucket's end keeps it
    with Store.open("sqlite://") as other:
        do_at_once(other, act)
        ran(other, plan(page), 9)
        ran(store, plan(page), 9)
        assert dump(other, *STATE) == dump(store, *STATE)


def do_at_once(store: Store, act: Act) -> None:
    """As if it had been known before anything was evaluated."""
    store.alerts.act(act.at, stored.act_json(act))


def test_what_was_silenced_before_the_run_came_is_not_told_by_it(store: Store) -> None:
    pager = Listener()
    ran(store, plan(LOSS, pager), 20)
    [incident] = current(store, at(20)).incidents
    assert incident.state == "pending"
    do(store, Act("silence", "ann", at(22.5), "known", incident.incident_id, expires_at=at(80)))
    report = ran(store, plan(replace(LOSS, hours=22), pager), 22.6)  # the data end before the act
    assert (report.evaluated, pager.heard) == (2, [])
    assert [each.state for each in store.alerts.outbox()] == ["withdrawn"]


@pytest.mark.parametrize(("code", "begins"), [("real_regression", False), ("expected_change", True)])
def test_a_resolved_loss_starts_its_detector_anew_and_an_expected_one_its_baseline(
    store: Store, code: str, begins: bool
) -> None:
    for hour in range(1, 24):
        ran(store, plan(LOSS), hour)
    [incident] = current(store, at(23)).incidents
    do(store, Act("resolve", "ann", at(23.5), "seen", incident.incident_id, code=code))  # type: ignore[arg-type]
    ran(store, plan(LOSS), 24)
    units = {stored.evaluation(each.evaluation).unit.cell: each for each in store.alerts.newest_units()}
    assert stored.detector(units[HOME].detector) == reset(at(24))
    assert stored.detector(units[CART].detector) != reset(at(24))
    own = [each for each in store.alerts.baselines() if each.fingerprint == units[HOME].fingerprint]
    assert [each.change_at for each in own] == ([at(6), at(24)] if begins else [at(6)])
    if begins:
        assert stored.baseline(own[1].body).reason == f"accepted (incident {incident.incident_id})"


def test_another_run_holds_the_lock(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    with Store.open(url) as one, Store.open(url) as other, one.alerts.lock() as free:
        assert free
        report = ran(other, plan(LOSS, Listener()), 5)
        assert (report.code, report.evaluated) == (5, 0)
        assert other.alerts.standing() is None
        assert [each.code for each in other.alerts.runs()] == [5]
        assert other.alerts.runs(but=(5,)) == []  # it gave up: nobody looked, and nothing went wrong
        begun = other.alerts.begin(at(5), at(5))
        assert [each.number for each in other.alerts.runs(1, but=(5,))] == [begun]  # it may have been killed


def test_every_run_leaves_a_heartbeat_also_one_that_failed(store: Store) -> None:
    def refuse() -> Plan:
        raise UsageError("money.yml: loss_budget is not set")

    def fall() -> Plan:
        raise ZeroDivisionError("nobody thought of it")

    report = run(store, refuse, as_of=at(1), clock=lambda: at(1))
    assert (report.code, report.error, report.is_good) == (2, "money.yml: loss_budget is not set", False)
    with pytest.raises(ZeroDivisionError):
        run(store, fall, as_of=at(2), clock=lambda: at(2))
    assert ran(store, plan(LOSS), 3).is_good
    newest = store.alerts.runs()
    assert [each.code for each in newest] == [0, 1, 2]
    assert json.loads(newest[1].body)["error"] == "ZeroDivisionError: nobody thought of it"
    assert all(each.finished_at is not None for each in newest)
    assert ran(store, plan(LOSS), 8).missed_runs == 4


@pytest.mark.parametrize(
    ("source", "hour", "plain", "on_alert"),
    [
        (Scripted(), 25, 0, 0),
        (LOSS, 25, 0, 20),
        (Scripted(losses=[(HOME, "ticket", 10, 40)]), 25, 0, 10),
        (Scripted(losses=[(HOME, "watch", 10, 40)]), 25, 0, 0),
        (Scripted(losses=[(HOME, "page", 10, 40)], held=[(HOME, 10, 40)]), 25, 0, 30),
        (Scripted(losses=[(HOME, "page", 10, 40), (CART, "ticket", 10, 40)], held=[(HOME, 10, 40)]), 25, 0, 30),
        (Scripted(losses=[(HOME, "page", 10, 40), (CART, "page", 10, 40)], held=[(HOME, 10, 40)]), 25, 0, 20),
        (replace(LOSS, hours=22), 25, 3, 3),
        (replace(LOSS, hours=23), 25, 0, 20),
    ],
)
def test_exit_codes(source: Scripted, hour: int, plain: int, on_alert: int) -> None:
    for asks, code in ((False, plain), (True, on_alert)):
        with Store.open("sqlite://") as store:
            assert ran(store, plan(source, Listener()), hour, exit_on_alert=asks).code == code
            if code not in (3,):
                assert ran(store, plan(source, Listener()), hour, exit_on_alert=asks).code == (code or 99)


def test_units_of_work_are_kept_as_long_as_they_can_be_asked_for(store: Store) -> None:
    source = Scripted(hours=24 * 20)
    ran(store, plan(source, minutes=360), 24 * 2)
    ran(store, plan(source), 24 * 20)
    ends = {each.at for each in store.alerts.units()}
    assert min(ends) == at(6)
    assert {end for end in ends if end < at(24 * 6)} == {at(6 * n) for n in range(1, 9)}
    assert {end for end in ends if end >= at(24 * 17)} == {at(hour) for hour in range(24 * 17, 24 * 20 + 1)}
    assert all(end.hour % 6 == 0 for end in ends if end < at(24 * 17))


def test_it_is_the_same_on_postgresql() -> None:
    reason = postgres.missing()
    if reason:
        pytest.skip(reason)
    pager, other = Listener(), Listener()
    with postgres.server() as server, postgres.database(server, "truelift_alerts") as url:
        with Store.open(url) as there, Store.open("sqlite://") as here:
            for hour in (1, 2, 22, 23, 30, 45):
                assert ran(there, plan(LOSS, pager), hour) == ran(here, plan(LOSS, other), hour)
            assert pager.heard == other.heard != []
            assert there.alerts.units() == here.alerts.units()
            assert there.alerts.standing() == here.alerts.standing()
            assert [replace(each, done_at=None) for each in there.alerts.outbox()] == [
                replace(each, done_at=None) for each in here.alerts.outbox()
            ]
        with Store.open(url) as one, Store.open(url) as two, one.alerts.lock() as free:
            assert free
            assert ran(two, plan(LOSS), 50).code == 5
