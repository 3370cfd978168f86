"""What the alerts remember: a step is written whole and once, notices are told in order, one run at a time."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from experiments.errors import ConflictError
from experiments.store import Store
from experiments.store.alerts import AlertBaseline, AlertNotice, AlertStanding, AlertStep, AlertUnit

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[3]


def notice(number: int, channel: str = "pager", at: datetime = NOON) -> AlertNotice:
    return AlertNotice("homepage-1", f"worse:{number}", channel, at, f"notice {number}")


def step(at: datetime, units: Iterable[AlertUnit] = (), *notices: AlertNotice) -> AlertStep:
    return AlertStep(tuple(units), (), AlertStanding(at, f"standing {at:%H}"), notices)


def test_a_step_is_written_once_and_what_stands_there_is_left_as_it_is(store_url: str) -> None:
    unit = AlertUnit("f1", NOON, 0, "evaluation", "detector")
    frozen = AlertBaseline("f1", NOON - HOUR, "baseline")
    with Store.open(store_url) as store:
        assert store.alerts.standing() is None
        store.alerts.commit(replace(step(NOON, [unit], notice(1)), baselines=[frozen]), expected=None)
    with Store.open(store_url) as store:
        again = replace(
            step(NOON, [replace(unit, evaluation="other"), replace(unit, revision=1)], notice(1), notice(2)),
            baselines=[replace(frozen, body="other")],
        )
        store.alerts.commit(again, expected=NOON)
        assert store.alerts.units() == [replace(unit, revision=1)]
        assert store.alerts.units(since=NOON + HOUR) == store.alerts.units(until=NOON - HOUR) == []
        assert store.alerts.units(fingerprint="f1") == [replace(unit, revision=1)]
        assert store.alerts.baselines() == [frozen]
        assert [(each.number, each.transition) for each in store.alerts.outbox()] == [(1, "worse:1"), (2, "worse:2")]
        assert store.alerts.standing() == AlertStanding(NOON, "standing 12")


def test_a_step_from_an_older_standing_changes_nothing(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.alerts.commit(step(NOON), expected=None)
        for expected in (None, NOON - HOUR):
            with pytest.raises(ConflictError, match="another run evaluated up to 2026-11-20 12:00 UTC meanwhile"):
                store.alerts.commit(step(NOON + HOUR, [AlertUnit("f1", NOON, 0, "e")], notice(1)), expected=expected)
        assert store.alerts.standing() == AlertStanding(NOON, "standing 12")
        assert store.alerts.units() == []
        assert store.alerts.outbox() == []


def test_a_notice_waits_is_due_and_is_delivered(store_url: str) -> None:
    with Store.open(store_url) as store:
        given = (notice(1), notice(2), notice(2, "mail"))
        store.alerts.commit(step(NOON, (), *given), expected=None)
        store.alerts.told(given[1].key, now=NOON)  # it only waits
        assert {each.state for each in store.alerts.outbox()} == {"waiting"}
        store.alerts.release({given[1].key: "p", given[2].key: "q"}, [given[0].key])
        assert [(each.transition, each.channel, each.state, each.payload) for each in store.alerts.outbox()] == [
            ("worse:1", "pager", "superseded", None), ("worse:2", "pager", "due", "p"), ("worse:2", "mail", "due", "q")
        ]  # fmt: skip
        store.alerts.untold(given[1].key, "no route to host")
        store.alerts.told(given[2].key, now=NOON)
        [kept] = store.alerts.outbox("due")
        assert (kept.attempts, kept.error, kept.channel) == (1, "no route to host", "pager")
        store.alerts.told(kept.key, now=NOON + HOUR)
        store.alerts.untold(kept.key, "too late to fail")
        assert [(each.attempts, each.error, each.done_at) for each in store.alerts.outbox("delivered")] == [
            (2, "", NOON + HOUR), (1, "", NOON)
        ]  # fmt: skip
        store.alerts.release({given[1].key: "other"})  # what was told is not told anew
        assert store.alerts.outbox("due", "waiting") == []


def test_a_channel_that_is_gone_gets_nothing(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.alerts.commit(step(NOON, (), notice(1)), expected=None)
        store.alerts.release({notice(1).key: "p"})
        store.alerts.drop(notice(1).key, "no channel pager any more", now=NOON)
        assert [(each.state, each.error) for each in store.alerts.outbox()] == [
            ("dropped", "no channel pager any more")
        ]


def test_what_is_withdrawn_is_kept_and_may_be_told_after_all(store_url: str) -> None:
    with Store.open(store_url) as store:
        store.alerts.commit(step(NOON, (), notice(1), notice(2)), expected=None)
        store.alerts.withdraw(notice(1).key, "it only waits", now=NOON)
        store.alerts.release({notice(1).key: "p", notice(2).key: "q"})
        for number in (1, 2):
            store.alerts.withdraw(notice(number).key, "silenced by ann", now=NOON)
        store.alerts.untold(notice(1).key, "too late to fail")
        assert [(each.state, each.error, each.payload, each.done_at) for each in store.alerts.outbox("withdrawn")] == [
            ("withdrawn", "silenced by ann", "p", NOON), ("withdrawn", "silenced by ann", "q", NOON)
        ]  # fmt: skip
        store.alerts.release({notice(1).key: "again"})
        store.alerts.told(notice(2).key, now=NOON + HOUR)  # it was on its way
        assert [(each.state, each.error, each.payload, each.done_at) for each in store.alerts.outbox()] == [
            ("due", "", "again", None), ("delivered", "", "q", NOON + HOUR)
        ]  # fmt: skip


def test_the_newest_of_each_fingerprint_is_found_whenever_that_was(store_url: str) -> None:
    units = [
        AlertUnit("f1", NOON, 0, "old"),
        AlertUnit("f1", NOON + HOUR, 0, "new"),
        AlertUnit("f1", NOON + HOUR, 1, "newest"),
        AlertUnit("f0", NOON, 0, "only"),
    ]
    with Store.open(store_url) as store:
        assert store.alerts.newest_units() == []
        store.alerts.commit(step(NOON, units), expected=None)
        assert [each.evaluation for each in store.alerts.newest_units()] == ["only", "newest"]


def test_acts_are_read_by_their_time(store_url: str) -> None:
    with Store.open(store_url) as store:
        made = [store.alerts.act(NOON + HOUR * n, f"act {n}") for n in (2, 0, 1)]
        assert [each.number for each in made] == [1, 2, 3]
        assert [each.body for each in store.alerts.acts()] == ["act 0", "act 1", "act 2"]
        assert [each.body for each in store.alerts.acts(after=NOON, until=NOON + HOUR)] == ["act 1"]


def test_units_of_other_ends_are_forgotten(store_url: str) -> None:
    units = [AlertUnit("f1", NOON + HOUR * n, 0, str(n)) for n in range(5)]
    with Store.open(store_url) as store:
        store.alerts.commit(step(NOON, units), expected=None)
        store.alerts.forget_units(before=NOON + 3 * HOUR, keep=lambda end: end == NOON + HOUR)
        assert [each.evaluation for each in store.alerts.units()] == ["1", "3", "4"]
        store.alerts.forget_units(before=NOON + 4 * HOUR, keep=lambda _: False)
        assert [each.evaluation for each in store.alerts.units()] == ["4"]


def test_a_run_leaves_its_heartbeat_whether_it_ends_or_not(store_url: str) -> None:
    with Store.open(store_url) as store:
        killed, done = store.alerts.begin(NOON, NOON), store.alerts.begin(NOON + HOUR, NOON)
        store.alerts.end(done, finished_at=NOON + 2 * HOUR, code=99, body="{}")
        newest, oldest = store.alerts.runs()
        assert (newest.number, newest.code, newest.body, newest.finished_at) == (done, 99, "{}", NOON + 2 * HOUR)
        assert (oldest.number, oldest.code, oldest.finished_at) == (killed, None, None)
        assert store.alerts.runs(1) == [newest]
        assert store.alerts.last_ended(but=[1, 2]) == newest
        assert store.alerts.last_ended(but=[99]) is None


def test_the_last_run_that_ended_is_that_for_the_newest_time(store_url: str) -> None:
    with Store.open(store_url) as store:
        for hours, code in ((5, 0), (9, 3), (2, 0), (5, 99), (9, 1)):
            number = store.alerts.begin(NOON, NOON + hours * HOUR)
            store.alerts.end(number, finished_at=NOON, code=code, body=f"{number}")
        found = [store.alerts.last_ended(but=but) for but in ([], [1], [1, 3], [0, 1, 3, 99])]
        assert [each and (each.number, each.code) for each in found] == [(5, 1), (2, 3), (4, 99), None]
        asked = store.alerts.last_ended(but=[1], where=lambda run: run.body == "3")
        assert asked is not None
        assert asked.as_of == NOON + 2 * HOUR


HOLD = """
import sys
from experiments.store import Store
with Store.open(sys.argv[1]) as store, store.alerts.lock() as free:
    print(free, flush=True)
    sys.stdin.read()
"""


def test_one_process_runs_at_a_time_and_a_killed_one_gives_the_lock_back(store_url: str) -> None:
    with (
        Store.open(store_url) as store,
        subprocess.Popen(
            [sys.executable, "-c", HOLD, store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as other,
    ):  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with store.alerts.lock() as free:
            assert not free
        assert store.alerts.runs() == []  # who reads is not kept out
        other.kill()
        other.wait(10)
        assert _freed(store)  # a server notices a little later
        assert _freed(store)


def _freed(store: Store) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with store.alerts.lock() as free:
            if free:
                return True
        time.sleep(0.02)
    return False
