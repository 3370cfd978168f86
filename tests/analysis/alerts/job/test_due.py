"""What is due: every bucket end once, oldest first, whatever runs were missed; late data again; no data said."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.alerts.job.due import CAP, due, on_grid

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
QUARTERS = [NOON - n * QUARTER for n in range(96 * 3)]  # three days back
HOUR = timedelta(hours=1)


def test_a_run_in_time_has_one_bucket_end_to_do_and_none_an_instant_later() -> None:
    found = due(QUARTERS, as_of=NOON + 5 * QUARTER / 3, evaluated=NOON - HOUR, minutes=60)
    assert (found.ends, found.revised, found.ready, found.wanted, found.until) == ((NOON,), (), True, NOON, NOON)
    again = due(QUARTERS, as_of=NOON + 5 * QUARTER / 3, evaluated=NOON, minutes=60)
    assert (again.ends, again.ready) == ((), True)


def test_missed_runs_are_made_up_oldest_first() -> None:
    found = due(QUARTERS, as_of=NOON, evaluated=NOON - 4 * HOUR, minutes=60)
    assert found.ends == (NOON - 3 * HOUR, NOON - 2 * HOUR, NOON - HOUR, NOON)


@pytest.mark.parametrize("evaluated", [None, NOON - 40 * timedelta(days=1)])
def test_no_run_looks_back_more_than_14_days(evaluated: datetime | None) -> None:
    found = due([NOON - n * 6 * HOUR for n in range(400)], as_of=NOON + HOUR, evaluated=evaluated, minutes=360)
    assert len(found.ends) == 14 * 4
    assert (found.ends[0], found.ends[-1]) == (NOON - CAP + 6 * HOUR, NOON)


def test_a_first_run_begins_with_the_first_bucket_there_is() -> None:
    assert due(QUARTERS[:5], as_of=NOON, evaluated=None, minutes=60).ends == (NOON - HOUR, NOON)
    assert due(QUARTERS[:4], as_of=NOON, evaluated=None, minutes=60).ends == (NOON,)


def test_a_quiet_bucket_has_no_rows_and_is_evaluated_all_the_same() -> None:
    there = [end for end in QUARTERS if not NOON - 3 * HOUR < end < NOON]
    assert due(there, as_of=NOON, evaluated=NOON - 3 * HOUR, minutes=60).ends == (NOON - 2 * HOUR, NOON - HOUR, NOON)


def test_what_is_published_after_as_of_is_not_there_yet() -> None:
    found = due(QUARTERS, [NOON, NOON - HOUR], as_of=NOON - HOUR, evaluated=NOON - 2 * HOUR, minutes=60)
    assert (found.ends, found.revised) == ((NOON - HOUR,), ())
    back = due(QUARTERS, as_of=NOON - 5 * HOUR, evaluated=NOON, minutes=60)
    assert (back.ends, back.ready) == ((), True)


def test_late_rows_reopen_the_end_their_bucket_was_looked_at() -> None:
    changed = [NOON - HOUR - QUARTER, NOON - HOUR, NOON - 2 * HOUR + QUARTER, NOON - CAP - HOUR, NOON + HOUR]
    found = due([*QUARTERS, NOON + HOUR], changed, as_of=NOON + HOUR, evaluated=NOON, minutes=60)
    assert (found.revised, found.ends) == ((NOON - HOUR,), (NOON + HOUR,))
    assert due(QUARTERS, changed, as_of=NOON, evaluated=None, minutes=60).revised == ()


@pytest.mark.parametrize(
    ("minutes", "late", "ready"),
    [(15, 4, True), (15, 5, False), (60, 8, True), (60, 9, False), (360, 48, True), (360, 49, False)],
)
def test_data_that_are_too_far_behind_are_said(minutes: int, late: int, ready: bool) -> None:
    there = [NOON - n * QUARTER for n in range(late, late + 200)]
    found = due(there, as_of=NOON, evaluated=NOON - 2 * CAP, minutes=minutes)
    assert found.ready is ready
    newest = on_grid(there[0], minutes)
    assert f"(the newest ends at {newest:%Y-%m-%d %H:%M} UTC); load the logs" in found.watermark_missed


def test_without_any_data_nothing_is_due_and_nothing_is_ready() -> None:
    found = due([], as_of=NOON, evaluated=None, minutes=60)
    assert (found.ends, found.ready, found.until) == ((), False, None)
    assert found.watermark_missed == (
        "no bucket is published that ends near 2026-11-20 12:00 UTC (none at all); "
        "load the logs of that time, and `truelift tick` publishes their buckets"
    )


@given(
    minutes=st.sampled_from([15, 60, 360]),
    runs=st.lists(st.integers(-300, 300), min_size=1, max_size=8),
)
def test_runs_at_any_times_evaluate_every_end_exactly_once_and_in_order(minutes: int, runs: list[int]) -> None:
    evaluated: datetime | None = None
    done: list[datetime] = []
    for minute in runs:
        found = due(QUARTERS, as_of=NOON + timedelta(minutes=minute), evaluated=evaluated, minutes=minutes)
        done += found.ends
        evaluated = found.ends[-1] if found.ends else evaluated
    assert all(after - before == timedelta(minutes=minutes) for before, after in pairwise(done))
    last = on_grid(min(NOON, NOON + timedelta(minutes=max(runs))), minutes)
    assert done[-1] == last
    assert done == list(due(QUARTERS, as_of=last, evaluated=None, minutes=minutes).ends)
