"""The demo that loses: from orders that were never made to an incident in the inbox and in the week's digest."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from analysis.alerts.job import stored
from analysis.alerts.model import Incident
from analysis.demo.play import Played, play
from analysis.demo.shop import REGRESSION, UNITS, plan
from experiments.errors import UsageError
from experiments.money import load_money
from experiments.store import Store
from tests.helpers.browsing import Visit, served_app
from tests.helpers.effort import scaled
from tests.test_demo import NOW, run

SHOPPERS = scaled(6_000, UNITS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("regression") / "demo-shop"


@pytest.fixture(scope="module")
def played(home: Path) -> Played:
    return play(home, units=SHOPPERS, now=NOW, by="test", regression=True)


@pytest.fixture(scope="module")
def incident(played: Played) -> Incident:
    """The one that is open."""
    with Store.open(played.shop.store_url) as store:
        standing = stored.standing(store)
    (found,) = [each for each in standing.incidents if not each.inhibited_by]
    return found


@pytest.mark.slow
def test_the_loss_is_found_where_it_is_and_is_as_large_as_it_is(played: Played, incident: Incident) -> None:
    """What is called sure is no more than what is truly lost a day, all of it on the homepage."""
    assert played.watched is not None
    assert (played.watched.code, sum(played.watched.open.values())) == (0, 1)
    assert (incident.module, incident.family, incident.state) == ("homepage", "money", "open")
    assert incident.severity == "ticket", "nobody is woken before an A/A replay was looked at"
    assert {each.unit.comparison.key for each in incident.members} == {REGRESSION.key}
    truth = played.truth[REGRESSION.key]
    true = truth.of("revenue_per_unit")
    assert true.lift is not None
    assert true.difference is not None
    assert true.lift < -0.3
    margin = load_money(played.shop).margin_of(incident.members[0].unit.cell)
    assert margin is not None
    everywhere = -true.difference * truth.units * margin / plan(SHOPPERS).run_days  # a day, were it shipped
    member = incident.members[0]
    assert member.now is not None
    assert 0 < incident.at_least <= incident.expected < everywhere
    assert 0 < member.if_shipped < 1.5 * everywhere
    assert member.effects["7d"].relative == pytest.approx(true.lift, abs=4 * member.effects["7d"].se)


@pytest.mark.slow
def test_the_digest_and_the_list_say_it(home: Path, incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    end = plan(SHOPPERS).midnight(plan(SHOPPERS).run_days)
    code, said = run(capsys, "alerts", "digest", "--until", f"{end:%Y-%m-%d}", "--home", str(home))
    assert code == 0
    lines = said.splitlines()
    assert lines[0].startswith("Monitoring is down. The last run that looked ended on ")
    assert lines[2].startswith("Alerts from ")
    assert lines[5].startswith("Open: 1 incident, together losing")
    assert lines[6].startswith("- Ticket: Homepage is losing")
    assert incident.opened_at is not None
    assert plan(SHOPPERS).midnight(0) < incident.opened_at < plan(SHOPPERS).midnight(7), "it loses from the start"
    assert run(capsys, "alerts", "list", "--home", str(home))[1].count("Homepage is losing") == 1
    code, said = run(capsys, "alerts", "show", incident.incident_id, "--home", str(home))
    assert code == 0
    assert "home_als_v2" in said


@pytest.mark.slow
def test_again_changes_nothing_and_another_demo_is_refused(played: Played, home: Path, incident: Incident) -> None:
    again = play(home, units=SHOPPERS, now=NOW, by="test", regression=True)
    assert again.watched is not None
    assert played.watched is not None
    assert again.watched.open == played.watched.open
    with Store.open(again.shop.store_url) as store:
        assert incident in stored.standing(store).incidents
    with pytest.raises(UsageError, match="regression 1 there and 0 now"):
        play(home, units=SHOPPERS, now=NOW, by="test")
    assert json.loads((home / "demo.json").read_text("utf-8"))["regression"] == 1


@pytest.mark.slow
@pytest.mark.browser
def test_the_inbox_shows_it(played: Played, home: Path, incident: Incident, visit: Visit, tmp_path: Path) -> None:
    assert played.shop.home == home
    with served_app(home, tmp_path) as address:
        visit.open(f"{address}/alerts")
        expect(visit.page.locator("h1")).to_contain_text("1 incident")
        first = visit.page.locator('[class*="st-key-incident-"]').first
        expect(first.locator("h3")).to_contain_text("Homepage is losing")
        visit.open(f"{address}/alerts?incident={incident.incident_id}")
        expect(visit.page.get_by_text("Homepage is losing").first).to_be_visible()
