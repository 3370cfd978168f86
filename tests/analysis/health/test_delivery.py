"""Late rows, wrong clocks, days with too few rows: healthy, planted, too little."""

import pytest

from analysis.health.checks import evaluate
from analysis.health.thresholds import MIN_EXPECTED
from tests.helpers.evidence import Row, check_of, evidence


def _late(hour: int, day: int) -> list[Row]:
    row: Row = {"log": "outcomes", "events": 10_000, "arrivals": 10_000, "minute_late": 500}
    return [row | {"hour_late": hour, "day_late": day}]


@pytest.mark.parametrize(
    ("hour", "day", "state"), [(50, 0, "pass"), (100, 0, "warn"), (150, 99, "warn"), (150, 100, "fail")]
)
def test_rows_that_come_a_day_late_fail(hour: int, day: int, state: str) -> None:
    health = evaluate(evidence(late_events=_late(hour, day)))
    assert check_of(health, "SH-05").state == state
    assert "SH-05" not in {hold.check for hold in health.holds}


def test_a_log_without_arrival_times_has_nothing_to_check() -> None:
    rows: list[Row] = [
        {"log": "outcomes", "events": 900, "arrivals": 0, "minute_late": 0, "hour_late": 0, "day_late": 0}
    ]
    health = evaluate(evidence(late_events=rows))
    assert (check_of(health, "SH-05").state, check_of(health, "SH-06").state) == ("not_applicable", "not_applicable")


@pytest.mark.parametrize(("ahead", "state"), [(1, "pass"), (20, "warn"), (100, "fail")])
def test_one_browser_with_wrong_clocks_is_named(ahead: int, state: str) -> None:
    rows: list[Row] = [
        {"browser": "chrome", "arrivals": 90_000, "ahead": 3},
        {"browser": "in_app_webview", "arrivals": 10_000, "ahead": ahead},
        {"browser": "opera", "arrivals": 40, "ahead": 40},
    ]
    found = check_of(evaluate(evidence(clock_skew=rows)), "SH-06")
    assert found.state == state
    assert [group["browser"] for group in found.groups] == ([] if state == "pass" else ["in_app_webview"])


def test_a_browser_with_few_rows_says_nothing_of_clocks() -> None:
    rows: list[Row] = [{"browser": "opera", "arrivals": 40, "ahead": 40}]
    assert check_of(evaluate(evidence(clock_skew=rows)), "SH-06").state == "unknown"


def _volume(last: int, *, days: int = 42, newest: int = 1, usual: int = 1000) -> list[Row]:
    """Views on Safari, `usual` a day but Sundays half of it, and `last` on the newest day."""
    return [
        {
            "kind": "view",
            "browser": "safari",
            "event_day": f"2026-{3 + (day - 1) // 30:02d}-{(day - 1) % 30 + 1:02d}",
            "events": last if ago == newest else usual // 2 if ago % 7 == 3 else usual,
            "days_before_end": ago,
        }
        for day, ago in enumerate(range(days, newest - 1, -1), 1)
    ]


@pytest.mark.parametrize(
    ("last", "state"), [(1000, "pass"), (800, "pass"), (600, "warn"), (300, "fail"), (1500, "pass")]
)
def test_a_day_with_few_rows_is_held_against_its_weekday(last: int, state: str) -> None:
    found = check_of(evaluate(evidence(volume=_volume(last))), "SH-13")
    assert found.state == state
    if state != "pass":
        assert "on Safari" in found.sentence
        assert found.groups[0]["expected"] == 1000


def test_a_day_without_any_row_counts_as_none() -> None:
    rows = [row for row in _volume(1000) if row["days_before_end"] != 2]
    other: list[Row] = [row | {"kind": "click"} for row in _volume(1000)]
    found = check_of(evaluate(evidence(volume=rows + other)), "SH-13")
    assert (found.state, found.groups[0]["events"], found.groups[0]["kind"]) == ("fail", 0, "view")


def test_a_log_that_stopped_is_stale_unless_it_was_whole_when_it_came() -> None:
    rows = _volume(1000, newest=5)
    assert check_of(evaluate(evidence(volume=rows)), "SH-13").state == "fail"
    assert check_of(evaluate(evidence(volume=rows, finished_import=True)), "SH-13").state != "fail"


def test_too_short_or_too_small_a_series_is_unknown() -> None:
    assert check_of(evaluate(evidence(volume=_volume(1000, days=13))), "SH-13").state == "unknown"
    small = _volume(0, usual=MIN_EXPECTED - 1)
    assert check_of(evaluate(evidence(volume=small)), "SH-13").state == "unknown"
