"""Freeze windows: in the shop's own time, ends as written."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from experiments.freeze import frozen_by, window

WINDOWS = ("friday 16:00-24:00", "christmas 2026-12-18/2027-01-02")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T14:59:59Z", None),  # Friday 15:59:59 in Berlin
        ("2026-11-20T15:00:00Z", WINDOWS[0]),
        ("2026-11-20T22:59:59Z", WINDOWS[0]),
        ("2026-11-20T23:00:00Z", None),  # Saturday in Berlin
        ("2026-12-17T22:59:59Z", None),
        ("2026-12-17T23:00:00Z", WINDOWS[1]),
        ("2027-01-02T22:59:59Z", WINDOWS[1]),
        ("2027-01-02T23:00:00Z", None),
    ],
)
def test_a_window_is_in_the_shops_time(now: str, expected: str | None) -> None:
    assert frozen_by(WINDOWS, BERLIN, datetime.fromisoformat(now)) == expected


def test_without_windows_nothing_is_frozen() -> None:
    assert frozen_by((), BERLIN, datetime(2026, 12, 24, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("friday", "neither hours"),
        ("friday 16:00-16:00", "no minute between"),
        ("friday 16:00-25:00", "no minute between"),
        ("sale 2026-02-30/2026-03-01", "does not exist"),
        ("sale 2026-03-02/2026-03-01", "ends before it begins"),
    ],
)
def test_what_is_no_window_is_refused(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window(written)
