"""Add-to-carts of mobile Safari are lost on the way to the log: the data alert is raised, the money alert is held.

A simulated shop with that fault, through the real load, refresh and publication. What takes a month is given: how the
site stood against its forecast before, and past experiments from which add-to-cart is known to be worth money.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis.alerts.course.standing import Standing, to_json
from analysis.alerts.job import stored
from analysis.alerts.job.gather import Gathered
from analysis.alerts.job.run import Plan as Work
from analysis.alerts.job.run import run
from analysis.alerts.job.running import rendered, settings
from analysis.alerts.measures import measured
from analysis.alerts.measures.publish import publish
from analysis.alerts.model import METRICS, Baseline, Cell, Evaluation, Incident, Unit
from analysis.pipeline import refresh
from analysis.warehouse import DEFAULT, WAREHOUSES
from experiments.shop import open_shop
from experiments.simulator.faults import planted
from experiments.simulator.generator import simulate
from experiments.simulator.plan import Plan, lifted
from experiments.store import Store
from experiments.store.alerts import AlertBaseline, AlertStanding, AlertStep
from tests.analysis.alerts.weighing.test_conversions import past_changes
from tests.helpers.alert_runs import Listener
from tests.helpers.simulated import CONTRACTS, NOW, Ground, halves

PLAN = Plan(
    seed=1, units=2_600, plays=(lifted("home", "homepage", "new"),), history_days=14, run_days=12, after_days=0,
    visits_a_day=0.45, start=datetime(2026, 12, 1, tzinfo=UTC).date(),
)  # fmt: skip
CALM, LOOKED, END = PLAN.midnight(6), PLAN.midnight(10), PLAN.midnight(PLAN.run_days)  # four days of fault at the end
MONEY = """\
schema_version: 1
loss_budget: "300"
every_minutes: 360
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with its measures, as if it had been watched until `CALM`; no readout yet."""
    folder = tmp_path_factory.mktemp("missing")
    logs = planted(simulate(PLAN, halves(PLAN, 1)), ["missing_add_to_cart"], seed=1)
    ground = Ground.made(folder / "ground", PLAN, metrics=("add_to_cart_rate", "ctr"))
    shop = open_shop(ground.with_logs(logs, CONTRACTS, folder / "shop").home)
    shop.money_file.write_text(MONEY, encoding="utf-8")
    with Store.open(shop.store_url) as store, WAREHOUSES[DEFAULT](shop.warehouse_path, wait_seconds=0) as warehouse:
        publish(shop, store, warehouse, now=NOW)
        past_changes(store, 12)
        cells = {bucket.cell for bucket in measured.buckets(store, measured.SITE, minutes=360, until=CALM)}
        frozen = [
            AlertBaseline(
                Unit("loss", 1, measured.SITE, cell, metric, CALM).fingerprint,
                CALM - timedelta(days=1),
                stored.baseline_json(Baseline(CALM - timedelta(days=1), "first_buckets", 0.0, 1.0, 0.0, 112)),
            )
            for cell in cells
            for metric in METRICS
        ]
        standing = AlertStanding(CALM, to_json(Standing(at=CALM)), store.measures_published_at("bucket"))
        store.alerts.commit(AlertStep((), frozen, standing), expected=None)
    return shop.home


def alerted(home: Path, to: Path, *, refreshed: bool) -> tuple[tuple[Incident, ...], tuple[Evaluation, ...], Listener]:
    """What stands after a run at the end, what it evaluated last, and what it told; in a copy of the shop."""
    shop, pager = open_shop(Path(shutil.copytree(home, to))), Listener()
    with Store.open(shop.store_url) as store:
        if refreshed:
            readout = refresh(shop, store, "home", now=NOW, as_of=LOOKED).readout
            assert [check.id for check in readout.checks if check.state == "fail"] == ["SH-02"]
        money = settings(shop)

        def prepare() -> Work:
            source = Gathered(shop, store, money, as_of=END)
            return Work(source, money.every_minutes, (pager,), rendered(shop, store, money))

        report = run(store, prepare, as_of=END, clock=lambda: END)
        assert (report.code, report.evaluated) == (0, 23)
        return stored.standing(store).incidents, stored.newest_evaluations(store), pager


@pytest.mark.slow
def test_lost_add_to_carts_look_like_lost_money_where_nobody_looks_at_the_signals(home: Path, tmp_path: Path) -> None:
    incidents, found, pager = alerted(home, tmp_path / "shop", refreshed=False)
    assert {each.family for each in incidents} == {"money"}
    assert pager.heard[0]["cells"][0]["metric"] == "add_to_cart"
    assert {payload["incident"]["family"] for payload in pager.heard} == {"money"}
    [site] = [one for one in found if one.unit == Unit("loss", 1, measured.SITE, Cell(), "add_to_cart", one.unit.at)]
    assert (site.severity, site.held_by) == ("ticket", ())


@pytest.mark.slow
def test_a_failing_check_holds_the_money_alert_and_raises_the_data_alert(home: Path, tmp_path: Path) -> None:
    incidents, found, pager = alerted(home, tmp_path / "shop", refreshed=True)
    held_by = {one.unit.metric: one.held_by for one in found if one.unit.cell in (Cell(), Cell("homepage"))}
    assert held_by == {"click": (), "add_to_cart": ("SH-02",), "order": (), "revenue": ()}
    money = [each for each in incidents if each.family == "money" and each.severity != "watch"]
    assert money
    assert all(each.held for each in money)
    assert {payload["incident"]["family"] for payload in pager.heard} == {"data"}  # nobody hears of lost money
    first = pager.heard[0]
    assert first["notice"]["event"] == "data"
    assert first["cells"][0]["health"]["held_by"] == [{"id": "SH-02", "name": "Missing add-to-cart"}]
    assert "Missing add-to-cart" in first["text"]
    [site] = [one for one in found if one.unit == Unit("loss", 1, measured.SITE, Cell(), "add_to_cart", one.unit.at)]
    assert (site.severity, site.by_money) == ("digest", "ticket")
    assert "is held: missing add-to-cart fails there" in site.why_not
