from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from analysis.calendar import business_day, data_cut, day_start, full_days, seen_cut

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_partial_last_day_is_cut_off_in_the_shops_zone() -> None:
    cut = data_cut(datetime(2026, 12, 14, 23, 30, tzinfo=UTC), None, BERLIN)  # half past midnight in Berlin
    assert cut.as_of_day == date(2026, 12, 15)
    assert cut.as_of == cut.outcome_end == datetime(2026, 12, 14, 23, 0)


def test_nothing_counts_after_the_end_but_maturity_goes_on() -> None:
    cut = data_cut(datetime(2027, 1, 20, 8, tzinfo=UTC), datetime(2026, 12, 29, 9, tzinfo=UTC), BERLIN)
    assert cut.outcome_end == datetime(2026, 12, 29, 9)
    assert cut.as_of == datetime(2027, 1, 19, 23)


def test_the_day_the_clocks_change_has_its_own_length() -> None:
    before, after = day_start(date(2026, 10, 25), BERLIN), day_start(date(2026, 10, 26), BERLIN)
    assert (after - before).total_seconds() == 25 * 3600


def test_full_days_count_only_whole_business_days() -> None:
    nine = datetime(2026, 12, 1, 8, tzinfo=UTC)  # nine o'clock in Berlin: 1 December is not a full day
    assert full_days(nine, datetime(2026, 12, 3, 12, tzinfo=UTC), BERLIN) == 1
    assert full_days(day_start(date(2026, 12, 1), BERLIN), day_start(date(2026, 12, 15), BERLIN), BERLIN) == 14
    assert full_days(nine, nine, BERLIN) == 0
    assert business_day(datetime(2026, 12, 1, 23, 30, tzinfo=UTC), BERLIN) == date(2026, 12, 2)


def test_what_has_not_been_logged_has_not_ripened() -> None:
    cut = data_cut(datetime(2026, 12, 20, 8, tzinfo=UTC), datetime(2026, 12, 29, tzinfo=UTC), BERLIN)
    newest = datetime(2026, 12, 14, 23, 30)  # half past midnight on the fifteenth in Berlin
    running = seen_cut(cut, newest, BERLIN, whole=False)
    assert (running.as_of, running.as_of_day, running.outcome_end) == (
        cut.as_of, date(2026, 12, 16), datetime(2026, 12, 15, 23)
    )  # fmt: skip
    whole = seen_cut(cut, newest, BERLIN, whole=True)
    assert (whole.as_of_day, whole.outcome_end) == (date(2026, 12, 16), cut.outcome_end)
    assert seen_cut(cut, None, BERLIN, whole=False) == cut
    assert seen_cut(cut, datetime(2026, 12, 19, 22), BERLIN, whole=False) == cut
