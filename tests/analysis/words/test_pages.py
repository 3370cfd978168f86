"""The words around a verdict: singular and plural, nothing said of what is zero, no word readers should not meet."""

import inspect
from datetime import UTC, date, datetime
from typing import Any

import pytest

from analysis import words
from analysis.words import pages as say
from tests.helpers.readouts import example


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"decisions": 2, "blocked": 1, "running": 3}, "2 decisions waiting · 3 still running · 1 blocked"),
        ({"decisions": 1}, "1 decision waiting"),
        (
            {"decisions": 0, "running": 1, "done": 1, "unread": 2},
            "No decision waiting · 1 still running · 1 as it should be · 2 without a reading yet",
        ),
    ],
)
def test_headline_of_the_overview(counts: dict[str, Any], told: str) -> None:
    assert say.waiting(**counts) == told


def test_days() -> None:
    assert say.day_of(14, 28) == "day 14 of 28"
    assert say.day_of(1400, None) == "day 1,400"
    assert say.left(27, 28) == "1 day left"
    assert say.left(28, 28) is None
    assert say.left(3, None) is None
    assert say.stale(1) == "data 1 day old"


def test_dates() -> None:
    start, end = date(2026, 12, 1), date(2026, 12, 29)
    assert say.dates(start, end, finished=False) == "since 1 December 2026, planned to 29 December 2026"
    assert say.dates(start, end, finished=True) == "1 December 2026 to 29 December 2026"
    assert say.dates(start, None, finished=False) == "since 1 December 2026, no planned end"
    assert say.data_as_of(datetime(2026, 12, 14, 23, 41, 7, tzinfo=UTC)) == "data as of 14 December 2026, 23:41 UTC"
    assert say.data_as_of(None) == "no data yet"


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((2, 1, 12, 5), "2 of 20 cells are better, 1 is worse; 12 are noise and 5 are not clear yet."),
        ((1, 0, 0, 0), "1 of 1 cell is better, none are worse."),
        ((0, 2, 1, 1), "None of 4 cells are better, 2 are worse; 1 is noise and 1 is not clear yet."),
    ],
)
def test_headline_of_the_map(counts: tuple[int, int, int, int], told: str) -> None:
    assert say.cells(*counts) == told


def test_health() -> None:
    assert say.health(["Sample ratio"], 0, 0, 5) == "Blocked: sample ratio"
    assert say.health([], 0, 0, 5) == "5 of 5 pass"
    assert say.health([], 1, 2, 5).replace("\u00a0", " ") == "2 of 5 pass, 1 to look at, 2 unknown"


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((11, 1), "The 11 checks that pass and the one that does not apply"),
        ((1, 2), "The check that passes and the 2 that do not apply"),
        ((3, 0), "The 3 checks that pass"),
        ((0, 1), "The check that does not apply"),
        ((0, 2), "The 2 checks that do not apply"),
    ],
)
def test_quiet_checks_are_counted_as_the_heading_counts_them(counts: tuple[int, int], told: str) -> None:
    assert say.quiet_checks(*counts) == told


def test_noise_is_how_far_from_zero_the_range_reaches() -> None:
    assert say.noise(-100, -1000, 800, unit="money", currency="EUR") == "~ ±€1,000"
    assert say.noise(0.001, -0.041, 0.043, unit="lift", currency="EUR") == "~ ±4.3%"
    assert say.noise(300, -600, 1234, unit="money", currency="EUR") == "~ ±€1,230"  # as its range prints it


def test_an_earlier_reading_says_what_the_newest_one_says() -> None:
    newest = example("WITHHELD", published_at="2026-12-16T04:00:00Z")
    assert say.superseded(example("SHIP"), newest) == (
        "This is an earlier reading, published on 15 December 2026. It was superseded on 16 December 2026: the newest "
        "reading says Withheld."
    )


def test_unknown_experiment_names_the_nearest_if_any() -> None:
    assert say.no_experiment("home", []).endswith("registered in this shop.")
    assert say.no_experiment("home", ["home_als"]).endswith("Did you mean home_als?")


def test_no_sentence_uses_a_word_that_is_not_for_readers() -> None:
    source = inspect.getsource(say).lower()
    assert [word for word in words.NOT_FOR_READERS if word in source] == []
