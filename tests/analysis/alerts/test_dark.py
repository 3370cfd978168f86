"""A module that goes dark, and a whole shop: what is absent while the rest is there counts zero, else it is no data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from analysis.alerts.course.acts import Act
from analysis.alerts.job import stored
from analysis.alerts.job.doing import do
from analysis.alerts.job.gather import Gathered
from analysis.alerts.job.report import RunReport
from analysis.alerts.job.run import Plan, run
from analysis.alerts.measures import measured
from analysis.alerts.measures.shelf import Shelf
from analysis.alerts.measures.traffic import expected, past
from analysis.alerts.model import LONG, Cell, Incident
from analysis.warehouse.buckets import Counted
from experiments import lifecycle
from experiments.money import Money
from experiments.shop import Shop, create
from experiments.store import DecisionCode, Store
from tests.helpers.alert_measures import counted
from tests.helpers.alert_runs import Listener, render
from tests.helpers.assigned_shop import BEGIN, FLAT, Desk

MONEY = Money(loss_budget=Decimal(75_000), margin=Decimal("0.35"), pages=True, every_minutes=360)
STEP = timedelta(minutes=LONG)
START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
SITE, HOME, DECOR, CART = Cell(), Cell("homepage"), Cell("homepage", "decor"), Cell("cart")
USUAL = {HOME: 30_000, CART: 60_000}  # sessions in six hours, on average
GO_ON = 0.8  # of whom a dark module would have been the first, meet the other one instead
HOURS = (0.4, 0.9, 1.5, 1.2)
LOST = START + timedelta(days=63)  # when something goes dark


@dataclass(frozen=True)
class Dark:
    """What is gone from `LOST` on; those who came there go on, for a session is where its first slate is."""

    cells: tuple[Cell, ...] = ()
    back: datetime = datetime(2100, 1, 1, tzinfo=UTC)
    less: float = 0.0  # share of the orders that are missing everywhere from `LOST` on

    def history(self, until: datetime) -> Mapping[datetime, Mapping[Cell, Counted]]:
        rng, end, found = np.random.default_rng(7), START, {}
        while (end := end + STEP) <= until:
            here: dict[Cell, Counted] = {}
            away: list[Counted] = []
            for cell, usual in USUAL.items():
                mean = usual * HOURS[int((end - STEP).hour // 6)] * (1.1 if end.weekday() > 4 else 1.0)
                n = int(rng.normal(mean, 0.01 * mean))
                rate = 0.03 * (1 - self.less * (end > LOST))
                orders, adds = int(rng.binomial(n, rate)), int(rng.binomial(n, 0.1))
                if not LOST < end <= self.back or cell not in self.cells:
                    here[cell] = counted(n, orders, adds)
                elif CART not in self.cells:
                    moved = counted(int(n * GO_ON), int(orders * GO_ON), int(adds * GO_ON))
                    away.append(moved)
            if HOME in here:
                here[DECOR] = here[HOME]
            if away:
                here[CART] = added(here[CART], *away)
            if here:
                here[SITE] = added(*(here[cell] for cell in USUAL if cell in here))
            found[end] = here
        return found


def added(*parts: Counted) -> Counted:
    return Counted(*(sum(numbers) for numbers in zip(*parts, strict=True)))


def publish(store: Store, dark: Dark, until: datetime) -> None:
    """As `publish` would: a bucket in which nothing happened is a row without cells."""
    history = dark.history(until)
    rows = [
        measured.bucket_measure(
            measured.SITE, LONG, end, {(cell.module, cell.category): {"all": here[cell]} for cell in here}
        )
        for end, here in history.items()
    ]
    of = past(history)
    assert of is not None
    ends = [end for end in history if end > LOST - timedelta(days=42)]
    rows += [measured.traffic_measure(end, found) for end, found in expected(of, ends).items()]
    store.save_measures(rows, now=until)


def looked(shop: Shop, store: Store, at: datetime, *channels: Listener, minutes: int = LONG) -> RunReport:
    source = Gathered(shop, store, MONEY, as_of=at)
    return run(store, lambda: Plan(source, minutes, channels, render), as_of=at, clock=lambda: at)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return create(tmp_path / "shop")


def opened(store: Store) -> list[Incident]:
    return [one for one in stored.standing(store).incidents if one.state in ("open", "acked", "resolving")]


def test_a_module_that_goes_dark_is_a_ticket_within_its_windows(shop: Shop) -> None:
    pager = Listener()
    with Store.open(shop.store_url) as store:
        publish(store, Dark((HOME,)), LOST + timedelta(days=3))
        for n in range(-4, 5):
            assert looked(shop, store, LOST + n * STEP, pager).code == 0
            if n <= 0:
                assert opened(store) == []
        [incident] = [one for one in opened(store) if one.module]
        assert (incident.module, incident.inhibited_by, incident.held) == ("homepage", "", False)
        assert {member.unit.comparison for member in incident.members} == {measured.SITE}
        assert all(member.effects["6h"].relative == -1.0 for member in incident.members)
        assert incident.expected > 0
        looked(shop, store, LOST + timedelta(days=3), pager)
        assert incident.incident_id in {one.incident_id for one in opened(store)}  # as long as it is dark
    told = pager.heard[0]
    assert (told["incident"]["severity"], told["incident"]["module"]) == (
        "ticket",
        "homepage",
    )  # a forecast wakes nobody
    assert told["incident"]["opened_at"] == "2026-11-09T18:00:00Z"  # of three days, the third bucket


@pytest.mark.parametrize(("decision", "told"), [(None, False), ("roll_back", False), ("ship", True)])
def test_what_an_experiment_brought_that_ended_is_watched_and_told_to_nobody(
    shop: Shop, decision: DecisionCode | None, told: bool
) -> None:
    """A launch takes nothing away: after one a loss is a loss."""
    pager = Listener()
    with Store.open(shop.store_url) as store:
        desk, weeks = Desk(store, shop), (LOST - timedelta(days=28) - BEGIN) / timedelta(hours=1)
        key = desk.propose(FLAT.replace("2026-12-01T", f"{LOST - timedelta(days=28):%Y-%m-%d}T"), at=weeks - 24).key
        desk.start(key, at=weeks + 9)
        lifecycle.stop(store, key, decision, actor="ann", reason="it is over", now=LOST)
        publish(store, Dark(less=0.12), LOST + timedelta(days=3))
        looked(shop, store, LOST - STEP, pager)
        looked(shop, store, LOST + timedelta(days=3), pager)
        whole = next(one for one in opened(store) if not one.module)
        cart = [one for one in opened(store) if one.module == "cart"]
    assert whole.severity == ("ticket" if told else "watch")
    assert (f"In the last four weeks {key} ended there" in str(whole.hints)) is not told
    assert {one.severity for one in cart} == {"ticket"}, "nothing ended there"


def test_a_module_that_was_taken_away_on_purpose_is_let_go_and_watched_again_when_it_is_back(shop: Shop) -> None:
    with Store.open(shop.store_url) as store:
        publish(store, Dark((HOME,), back=LOST + timedelta(days=8)), LOST + timedelta(days=38))
        looked(shop, store, LOST + timedelta(days=1))
        [incident] = [one for one in opened(store) if one.module]
        at = LOST + timedelta(days=1, hours=1)
        do(store, Act("resolve", "ann", at, "it moves to the app", incident.incident_id, code="expected_change"))
        looked(shop, store, LOST + timedelta(days=7), minutes=4 * LONG)
        assert [one.state for one in stored.standing(store).incidents if one.module] == ["resolved"]
        [gone] = [one for one in stored.newest_evaluations(store) if one.unit.cell == HOME]
        assert (gone.no_data, gone.severity) == (True, "digest")  # nothing can be lost, and it is not called healthy
        looked(shop, store, LOST + timedelta(days=20), minutes=4 * LONG)
        looked(shop, store, LOST + timedelta(days=34), minutes=4 * LONG)
        looked(shop, store, LOST + timedelta(days=38), minutes=4 * LONG)
        [back] = [one for one in stored.newest_evaluations(store) if one.unit.cell == HOME]
        assert (back.no_data, back.severity) == (False, "digest")
        begun = [
            stored.baseline(each.body) for each in store.alerts.baselines() if each.fingerprint == back.unit.fingerprint
        ]
        assert [each.change_at for each in begun][-2:] == [LOST + timedelta(days=2), LOST + timedelta(days=36)]


def test_a_whole_shop_that_goes_dark_is_no_loss_and_not_ready(shop: Shop) -> None:
    """Where nothing at all is counted nobody knows what is lost: the log may be what is missing."""
    pager = Listener()
    with Store.open(shop.store_url) as store:
        publish(store, Dark((HOME, CART)), LOST)
        codes = {n: looked(shop, store, LOST + n * STEP, pager).code for n in range(-4, 13)}
        assert [code for n, code in codes.items() if n > 2] == [3] * 10
        assert (opened(store), pager.heard) == ([], [])


def test_a_bucket_in_which_nothing_at_all_was_counted_is_no_data_for_anybody(shop: Shop) -> None:
    with Store.open(shop.store_url) as store:
        publish(store, Dark((HOME, CART)), LOST + 12 * STEP)  # rows without cells
        pager = Listener()
        for n in range(-4, 13):
            looked(shop, store, LOST + n * STEP, pager)
        assert (opened(store), pager.heard) == ([], [])


def test_an_absent_cell_counts_zero_where_the_site_is_there_and_for_28_days(shop: Shop) -> None:
    with Store.open(shop.store_url) as store:
        publish(store, Dark((HOME,)), LOST + timedelta(days=31))
        week = Shelf(store, LOST + timedelta(days=31)).week(measured.SITE, LOST + timedelta(days=3))
        assert set(week) == {SITE, HOME, DECOR, CART}
        assert [each.arms["all"].sessions > 0 for each in week[HOME]] == [True] * 16 + [False] * 12
        assert [each.end for each in week[HOME]] == [each.end for each in week[CART]]
        late = Shelf(store, LOST + timedelta(days=31)).week(measured.SITE, LOST + timedelta(days=31))
        assert [each.end for each in late[HOME]] == [LOST + timedelta(days=24) + n * STEP for n in range(1, 17)]
