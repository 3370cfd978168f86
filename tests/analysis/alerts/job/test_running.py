"""A run for a shop: what a dead man's switch hears of it, and what everybody reads of whether monitoring is up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis.alerts.job.report import RunReport
from analysis.alerts.job.running import once, ping
from analysis.alerts.notices.heartbeat import heartbeat
from experiments.money import load_money
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers.alert_measures import HOLDOUT, HOME, STEP, Made, publish
from tests.helpers.pings import pings
from tests.helpers.receivers import nobody

START = datetime(2026, 9, 1, tzinfo=UTC)
UNTIL = START + 8 * STEP
HOUR = timedelta(hours=1)
MONEY = 'schema_version: 1\nloss_budget: "37500"\nmargin: "0.35"\nevery_minutes: 360\n'


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Measured every six hours up to `UNTIL`; nothing is lost."""
    made = create(tmp_path / "shop")
    made.money_file.write_text(MONEY, encoding="utf-8")
    with Store.open(made.store_url) as store:
        publish(store, Made(HOLDOUT, cells=(HOME,)), UNTIL, since=START)
    return made


def ran(shop: Shop, as_of: datetime, now: datetime, say: Callable[[str], None] = lambda _: None) -> RunReport:
    return once(shop, as_of=as_of, clock=lambda: now, say=say)


def state(shop: Shop, now: datetime) -> str:
    with Store.open(shop.store_url) as store:
        return heartbeat(store, load_money(shop), now=now).state


def test_a_good_run_is_pinged_for_and_one_that_looks_back_is_not(shop: Shop) -> None:
    with pings() as heard:
        shop.money_file.write_text(f"{MONEY}ping_url: {heard.url}\n", encoding="utf-8")
        assert ran(shop, UNTIL, UNTIL).code == 0
        assert heard.paths == ["/7c1e"]
        assert ran(shop, UNTIL + 48 * HOUR, UNTIL + 48 * HOUR).code == 3
        assert ran(shop, UNTIL, UNTIL + 13 * HOUR).code == 99
        assert heard.paths == ["/7c1e"]
        assert ran(shop, UNTIL, UNTIL + 12 * HOUR).code == 99  # as late as a run may be
        assert heard.paths == ["/7c1e", "/7c1e"]


def test_a_look_back_does_not_say_that_somebody_watches(shop: Shop) -> None:
    assert state(shop, UNTIL) == "never"
    now = UNTIL + 24 * HOUR
    assert ran(shop, UNTIL, now).code == 0
    assert state(shop, now) == "down"
    assert ran(shop, UNTIL + 6 * HOUR, UNTIL + 6 * HOUR).is_good
    for minutes in (0, 12 * 60):
        assert state(shop, UNTIL + 6 * HOUR + timedelta(minutes=minutes)) == "alive"
    late = UNTIL + 18 * HOUR + timedelta(minutes=1)
    assert state(shop, late) == "down"
    ran(shop, START, late)
    ran(shop, UNTIL, late)
    assert state(shop, late) == "down"


def test_a_look_back_does_not_hide_that_somebody_watches(shop: Shop) -> None:
    assert ran(shop, UNTIL, UNTIL).code == 0
    ran(shop, START + 4 * STEP, UNTIL + HOUR)
    assert state(shop, UNTIL + HOUR) == "alive"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://a..b/7c1e", "ping_url: a..b UnicodeError: "),
        ("http://xn--/7c1e", "ping_url: xn-- IDNAError: "),
        ("http://[::1/7c1e", "ping_url: InvalidURL: "),
        (f"http://127.0.0.1:{nobody()}/7c1e", "ping_url: 127.0.0.1 ConnectError: "),
    ],
    ids=["no_name", "no_idn", "no_url", "nobody_there"],
)
def test_a_ping_that_fails_is_a_line_and_nothing_else(url: str, said: str) -> None:
    lines: list[str] = []
    ping(url, lines.append)
    [line] = lines
    assert line.startswith(said)
    assert "7c1e" not in line  # whoever knows the address can keep the switch quiet


def test_a_run_whose_ping_fails_is_as_good_as_without(shop: Shop) -> None:
    lines: list[str] = []
    shop.money_file.write_text(f"{MONEY}ping_url: http://127.0.0.1:{nobody()}/7c1e\n", encoding="utf-8")
    assert ran(shop, UNTIL, UNTIL, lines.append).code == 0
    assert any(line.startswith("ping_url: 127.0.0.1 ConnectError") for line in lines)
