"""Whether anybody looks: after two periods without a look monitoring is down, and what went wrong is said."""

from datetime import timedelta

import pytest

from analysis.alerts.notices.heartbeat import beat, error_of
from tests.helpers.alert_shop import RAN
from tests.helpers.incidents import AT


@pytest.mark.parametrize(
    ("minutes", "age", "down"), [(60, 120, False), (60, 121, True), (15, 31, True), (360, 720, False), (360, 721, True)]
)
def test_two_periods_without_a_look_and_monitoring_is_down(minutes: int, age: int, *, down: bool) -> None:
    found = beat(RAN, "", read=AT, minutes=minutes, now=RAN + timedelta(minutes=age))
    assert (found.state == "down") == down
    assert ("may be over" in found.told) == down
    assert found.line.startswith("Monitoring is down. The last run") == bool(found.line) == down


def test_what_went_wrong_is_said() -> None:
    now = RAN + timedelta(hours=9)
    assert beat(RAN, "no disk", read=AT, minutes=60, now=now).line.endswith("The newest run failed: no disk")
    assert beat(None, "", read=None, minutes=60, now=now).line == "Monitoring is down. No run has ended yet."
    assert beat(None, None, read=None, minutes=60, now=now).line.startswith("The alerts never ran. Nobody watches")
    assert (error_of('{"error": "no disk"}'), error_of("[]"), error_of("torn {")) == ("no disk", "", "")
