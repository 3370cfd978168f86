"""Whether anybody looks: after two periods without a look monitoring is down, and what went wrong is said."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from analysis.alerts.job.report import NOT_READY
from analysis.alerts.notices.heartbeat import beat, error_of, heartbeat
from experiments.money import Money
from experiments.shop import open_shop
from experiments.store import Store
from tests.helpers.alert_shop import RAN, shop
from tests.helpers.incidents import AT


@pytest.mark.parametrize(
    ("minutes", "age", "down"), [(60, 120, False), (60, 121, True), (15, 31, True), (360, 720, False), (360, 721, True)]
)
def test_two_periods_without_a_look_and_monitoring_is_down(minutes: int, age: int, *, down: bool) -> None:
    found = beat(RAN, "", read=AT, minutes=minutes, now=RAN + timedelta(minutes=age))
    assert (found.state == "down") == down
    assert ("may be over" in found.told) == down
    assert found.line.startswith("Monitoring is down. The last run") == bool(found.line) == down


@pytest.mark.parametrize("looked", [None, RAN])
def test_a_run_that_found_no_new_data_looked_at_what_there_was(looked: datetime | None) -> None:
    now = RAN + timedelta(hours=9)
    found = beat(looked, "no bucket ends near then", read=AT, minutes=60, now=now, waits=True)
    assert found.state == "down"
    assert found.told == (
        "The newest run looked at data to 14 December 2026, 06:00 UTC; since then no data came. What is shown here may "
        "be over, and what is wrong may be missing. It said: no bucket ends near then"
    )
    nothing = beat(looked, "no bucket", read=None, minutes=60, now=now, waits=True)
    assert nothing.told == "There is nothing to look at yet: no data came. The newest run said: no bucket"


def test_the_newest_run_of_the_store_says_whether_it_waits_for_data(tmp_path: Path) -> None:
    home = shop(tmp_path / "shop", [])
    with Store.open(open_shop(home).store_url) as store:
        number = store.alerts.begin(RAN, AT)
        store.alerts.end(number, finished_at=RAN, code=NOT_READY, body='{"error": "no bucket ends near then"}')
        found = heartbeat(store, Money(), now=RAN + timedelta(hours=9))
    assert "looked at data to 14 December 2026, 06:00 UTC; since then no data came" in found.told


@pytest.mark.parametrize(("minutes", "every"), [(15, "15 minutes"), (60, "hour"), (360, "6 hours")])
@pytest.mark.parametrize("budget", ["75000", None])
def test_a_shop_that_was_never_watched_hears_what_is_still_to_do(minutes: int, every: str, budget: str | None) -> None:
    money = Money.model_validate({"loss_budget": budget, "every_minutes": minutes})
    with Store.open("sqlite://") as store:
        found = heartbeat(store, money, now=AT)
    assert found.state == "never"
    step = f"et a scheduler call `truelift tick` every {every}: it publishes what the alerts read, and runs them."
    assert found.told.endswith(step)
    assert ("loss_budget" in found.told) == (budget is None)
    assert "alerts run" not in found.told


def test_what_went_wrong_is_said() -> None:
    now = RAN + timedelta(hours=9)
    assert beat(RAN, "no disk", read=AT, minutes=60, now=now).line.endswith("The newest run failed: no disk")
    assert beat(None, "", read=None, minutes=60, now=now).line == "Monitoring is down. No run has ended yet."
    assert beat(None, None, read=None, minutes=60, now=now).line.startswith("The alerts never ran. Nobody watches")
    after = beat(None, "no disk", read=AT, minutes=60, now=now).line
    assert after.endswith("is of data to 14 December 2026, 06:00 UTC. The newest run failed: no disk")
    assert "looked at anything" not in after
    assert (error_of('{"error": "no disk"}'), error_of("[]"), error_of("torn {")) == ("no disk", "", "")
