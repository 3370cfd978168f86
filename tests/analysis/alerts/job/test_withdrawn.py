"""What people did meanwhile holds for the outbox too: what is silenced, acknowledged or resolved is not told late."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alerts.course.acts import Act
from analysis.alerts.course.telling import is_muted
from analysis.alerts.job.doing import current, do
from analysis.alerts.job.report import RunReport
from analysis.alerts.job.run import Plan, run
from analysis.alerts.model import Resolution
from analysis.alerts.notices.delivery import LATER
from experiments.errors import UsageError
from experiments.store import Store
from tests.helpers.alert_runs import CART, HOME, HOUR, START, Listener, Scripted, plan
from tests.helpers.effort import scaled

Kind: TypeAlias = Literal["ack", "silence", "unsilence", "resolve"]
LOSS = Scripted(losses=[(HOME, "page", 4, 70)])
WORSE = Scripted(losses=[(HOME, "ticket", 4, 8), (HOME, "page", 8, 70)])


def ran(store: Store, given: Plan, hours: float, now: float | None = None) -> RunReport:
    """A run as of `hours`, at `now` by the clock."""
    clock = START + (hours if now is None else now) * HOUR
    return run(store, lambda: given, as_of=START + hours * HOUR, clock=lambda: clock)


def act(
    store: Store,
    kind: Kind,
    hours: float,
    *,
    until: float = 80,
    code: Resolution = "data_issue",
) -> None:
    at = START + hours * HOUR
    [one] = [each for each in current(store, at).incidents if each.module == "homepage"]
    ends = START + until * HOUR if kind == "silence" else None
    said = code if kind == "resolve" else None
    do(store, Act(kind, "ann", at, "known", one.incident_id, expires_at=ends, code=said))


def states(store: Store) -> list[tuple[str, str]]:
    return [(each.transition, each.state) for each in store.alerts.outbox()]


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


@pytest.fixture
def pager() -> Listener:
    return Listener()


@pytest.fixture
def kept(store: Store, pager: Listener) -> Listener:
    """The pager, up again, after it did not take that the homepage is losing."""
    pager.down = True
    assert ran(store, plan(LOSS, pager), 6).code == 4
    pager.down = False
    return pager


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("silence", "silenced by ann until 2026-12-04 08:00 UTC"),
        ("ack", "acknowledged by ann"),
        ("resolve", "resolved as data_issue"),
    ],
)
def test_what_a_person_has_dealt_with_is_not_told_late(
    store: Store, kept: Listener, kind: Literal["ack", "silence", "resolve"], why: str
) -> None:
    act(store, kind, 6.2)
    report = ran(store, plan(LOSS, kept), 6.5)
    assert (report.code, report.delivered, report.undelivered, kept.heard) == (99, 0, 0, [])
    [row] = store.alerts.outbox()
    assert (row.state, row.error, row.attempts) == ("withdrawn", why, 1)
    assert row.payload is not None  # kept, not lost
    for hour in range(7, 12):
        ran(store, plan(LOSS, kept), hour)
    if kind != "resolve":
        assert kept.heard == []


def test_a_silence_holds_for_a_run_that_looks_back(store: Store, kept: Listener) -> None:
    act(store, "silence", 6.2)
    assert (ran(store, plan(LOSS, kept), 6, now=6.5).code, kept.heard) == (99, [])


def test_that_something_is_over_is_not_told_to_whom_nothing_was_told(store: Store, pager: Listener) -> None:
    mail = Listener("mail")
    pager.down = True
    ran(store, plan(LOSS, pager, mail), 6)
    pager.down = False
    act(store, "resolve", 6.2)
    ran(store, plan(LOSS, pager, mail), 7)
    assert mail.transitions[:2] == ["open:page:1", "resolved:2"]
    assert "resolved:2" not in pager.transitions
    found = {(each.channel, each.transition): (each.state, each.error) for each in store.alerts.outbox()}
    assert found["pager", "open:page:1"] == ("withdrawn", "resolved as data_issue")
    assert found["pager", "resolved:2"] == ("withdrawn", "nobody was told there that it was open")


def test_what_is_over_by_itself_is_told_whole_and_in_order(store: Store, pager: Listener) -> None:
    short = Scripted(losses=[(HOME, "page", 4, 8)])
    pager.down = True
    for hour in range(1, 40):
        ran(store, plan(short, pager), hour)
    pager.down = False
    ran(store, plan(short, pager), 40)
    assert pager.transitions == ["open:page:1", "resolved:2"]


def test_who_was_told_hears_that_it_is_over_also_when_something_between_was_withdrawn(
    store: Store, pager: Listener
) -> None:
    ran(store, plan(WORSE, pager), 6)
    pager.down = True
    ran(store, plan(WORSE, pager), 10)
    pager.down = False
    act(store, "silence", 10.2, until=12)
    ran(store, plan(WORSE, pager), 10.5)
    act(store, "unsilence", 11.2)
    act(store, "resolve", 11.3)
    ran(store, plan(WORSE, pager), 12)
    assert pager.transitions[:2] == ["open:ticket:1", "resolved:3"]


def test_what_is_graver_than_what_was_acknowledged_is_told(store: Store, pager: Listener) -> None:
    pager.down = True
    ran(store, plan(WORSE, pager), 6)
    act(store, "ack", 6.2)
    assert states(store) == [("open:ticket:1", "withdrawn")]
    ran(store, plan(WORSE, pager), 10)
    pager.down = False
    assert ran(store, plan(WORSE, pager), 10.5).code == 0
    assert pager.transitions == ["open:page:2"]  # the first that it hears of it


def test_an_acknowledgement_from_before_a_graver_notice_was_written_does_not_withdraw_it(
    store: Store, pager: Listener
) -> None:
    """Who acknowledged the ticket has not seen the page that the next run found in an earlier bucket."""
    ran(store, plan(WORSE, pager), 8)
    act(store, "ack", 9.2)
    pager.down = True
    ran(store, plan(WORSE, pager), 9.5)
    ran(store, plan(WORSE, pager), 10)
    pager.down = False
    ran(store, plan(WORSE, pager), 10.5)
    assert pager.transitions == ["open:ticket:1", "worse:page:2"]


def test_when_a_silence_ends_while_it_lasts_it_is_told_as_open(store: Store, kept: Listener) -> None:
    act(store, "silence", 6.2, until=9)
    for hour in (7, 8, 9, 10):
        ran(store, plan(LOSS, kept), hour)
    assert kept.transitions == ["open:page:2"]


def test_a_silence_that_no_bucket_end_saw_does_not_lose_the_notice(store: Store, kept: Listener) -> None:
    act(store, "silence", 6.2)
    ran(store, plan(LOSS, kept), 6.3)
    act(store, "unsilence", 6.4)
    assert ran(store, plan(LOSS, kept), 6.5).code == 0
    assert kept.transitions == ["open:page:1"]
    for hour in range(7, 20):
        ran(store, plan(LOSS, kept), hour)
    assert kept.transitions == ["open:page:1"]
    assert states(store) == [("open:page:1", "delivered")]


def test_who_last_heard_that_it_was_over_hears_that_it_is_open_again(store: Store, pager: Listener) -> None:
    """What told of it meanwhile was withdrawn, and what got worse since is no news of something known."""
    ran(store, plan(WORSE, pager), 5)
    act(store, "resolve", 5.2)
    for hour in (6, 7):
        ran(store, plan(WORSE, pager), hour)
    pager.down = True
    ran(store, plan(WORSE, pager), 8)
    act(store, "ack", 8.2)
    pager.down = False
    for hour in (9, 10, 11):
        ran(store, plan(WORSE, pager), hour)
    assert states(store)[2] == ("reopen:ticket:3", "withdrawn")
    assert pager.transitions == ["open:ticket:1", "resolved:2", "reopen:page:4"]


def test_a_silence_of_one_incident_keeps_back_no_other(store: Store, pager: Listener) -> None:
    both = Scripted(losses=[(HOME, "page", 4, 70), (CART, "ticket", 4, 70)])
    pager.down = True
    ran(store, plan(both, pager), 6)
    pager.down = False
    act(store, "silence", 6.2)
    report = ran(store, plan(both, pager), 6.5)
    assert (report.code, report.delivered) == (0, 1)
    assert [each["incident"]["module"] for each in pager.heard] == ["cart"]


def test_what_was_told_while_somebody_acknowledged_it_counts_as_told(store: Store) -> None:
    """The act comes between the sending and the note that it was sent."""

    class Acting(Listener):
        def deliver(self, payload: Mapping[str, Any]) -> None:
            super().deliver(payload)
            act(store, "ack", 6.4)

    ran(store, plan(LOSS, Acting()), 6.5)
    assert states(store) == [("open:page:1", "delivered")]


COMES_AND_GOES = Scripted(
    hours=60, losses=[(HOME, "ticket", 3, 7), (HOME, "page", 7, 14), (HOME, "page", 26, 58)]
)  # fmt: skip
HOURS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["", "", "", "", "ack", "silence", "unsilence", "resolve"])),
    min_size=10, max_size=45,
)  # fmt: skip


@settings(max_examples=scaled(20, 300), deadline=None)
@given(hours=HOURS, lasts=st.integers(1, 8))
def test_whatever_people_and_receivers_do_each_hears_in_order_and_only_what_concerns_it(
    hours: list[tuple[bool, Kind | Literal[""]]], lasts: int
) -> None:
    pager = Listener()
    with Store.open("sqlite://") as store:
        for hour, (is_down, kind) in enumerate(hours, 1):
            with suppress(UsageError, ValueError):  # there is no such incident, or nothing to end
                if kind:
                    act(store, kind, hour - 0.5, until=hour - 0.5 + lasts)
            pager.down, before = is_down, len(pager.heard)
            ran(store, plan(COMES_AND_GOES, pager), hour)
            silenced = {
                each.incident_id
                for each in current(store, START + hour * HOUR).incidents
                if each.silenced_until is not None and each.state != "resolved"
            }
            assert not silenced & {each["incident"]["incident_id"] for each in pager.heard[before:]}
        pager.down = False
        last = START + len(hours) * HOUR
        ran(store, plan(COMES_AND_GOES, pager), len(hours))
        assert store.alerts.outbox("due", "waiting") == []
        told: dict[str, list[tuple[str, int]]] = {}
        for each in pager.heard:
            word, *_, number = each["notice"]["transition"].split(":")
            told.setdefault(each["incident"]["incident_id"], []).append((word, int(number)))
        for notices in told.values():
            numbers = [number for _, number in notices]
            assert numbers == sorted(set(numbers))
            for before_it, (word, _) in zip([None, *notices], notices, strict=False):
                known = before_it is not None and before_it[0] != "resolved"
                assert word not in LATER or known, notices
                assert word != "resolved" or known, notices
        for key, case in current(store, last).cases.items():
            if not is_muted(case.incident) and not case.incident.acked_by:
                assert key in told
                assert told[key][-1][0] != "resolved"
