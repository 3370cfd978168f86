"""Rows that come late, on measures as they are published: at whatever hour they do, nothing of them is lost."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alerts.course.acts import Act
from analysis.alerts.evidence.detector import reset
from analysis.alerts.job import stored
from analysis.alerts.job.doing import current, do
from analysis.alerts.job.gather import Gathered
from analysis.alerts.job.report import RunReport
from analysis.alerts.job.run import Plan, run
from analysis.alerts.model import LONG, Detector
from experiments.money import Money
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers import alert_runs
from tests.helpers.alert_measures import HOLDOUT, HOME, START, STEP, Made, publish
from tests.helpers.alert_runs import Scripted, render
from tests.helpers.effort import scaled

MONEY = Money(loss_budget=Decimal(75_000), margin=Decimal("0.35"), pages=True)
HOUR = timedelta(hours=1)
LATE = START + 116 * STEP  # the end of the bucket whose rows come late
BEGIN, END = LATE - STEP, LATE + 3 * STEP
PLAIN = Made(HOLDOUT, cells=(HOME,), sessions=40_000)
ANEW = Made(HOLDOUT, cells=(HOME,), sessions=40_000, change=lambda _, at: -0.03 if at == LATE else 0.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop measured up to `END`, and looked at up to `BEGIN`."""
    shop = create(tmp_path_factory.mktemp("late") / "shop")
    with Store.open(shop.store_url) as store:
        publish(store, PLAIN, END, quarters=END - BEGIN)
        store.save_measures(PLAIN.buckets(LONG, [END + STEP], seed=1), now=END + HOUR / 2)  # nothing else is as new
        ran(shop, store, BEGIN, minutes=LONG)
    return shop.home


@contextmanager
def copied(home: Path, to: Path) -> Iterator[tuple[Shop, Store]]:
    shop = create(to)
    shutil.copy(home / "registry.sqlite", to / "registry.sqlite")
    with Store.open(shop.store_url) as store:
        yield shop, store


def ran(shop: Shop, store: Store, at: datetime, *, minutes: int = 60) -> RunReport:
    source = Gathered(shop, store, MONEY, as_of=at)
    return run(store, lambda: Plan(source, minutes, (), render), as_of=at, clock=lambda: at)


def came_late(store: Store, now: datetime) -> None:
    assert store.save_measures(ANEW.buckets(LONG, [LATE], seed=1), now=now)


def detectors(store: Store) -> dict[tuple[datetime, str], str | None]:
    """Of every end from the late one on, as they are kept."""
    return {(each.at, each.fingerprint): each.detector for each in store.alerts.units(since=LATE)}


@pytest.fixture(scope="module")
def wanted(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[datetime, str], str | None]:
    """As if the rows had been there in time."""
    with copied(home, tmp_path_factory.mktemp("wanted") / "shop") as (shop, store):
        came_late(store, END)
        ran(shop, store, END)
        return detectors(store)


@pytest.mark.parametrize("hours", range(13))
def test_a_bucket_that_is_counted_anew_reaches_the_detector_at_any_hour(
    home: Path, wanted: dict[tuple[datetime, str], str | None], tmp_path: Path, hours: int
) -> None:
    """In five of six positions the next end stood on the detector of before."""
    with copied(home, tmp_path / "shop") as (shop, store):
        now = LATE + hours * HOUR
        ran(shop, store, now)
        before = detectors(store)
        came_late(store, END + HOUR)
        again = ran(shop, store, now)
        assert again.revised == hours + 1
        assert {key: wanted[key] for key in before} == detectors(store) != before
        assert ran(shop, store, now).code == 99
        ran(shop, store, END)
        assert detectors(store) == wanted


def test_a_run_for_a_time_that_is_over_leaves_late_rows_to_the_next_one(
    home: Path, wanted: dict[tuple[datetime, str], str | None], tmp_path: Path
) -> None:
    with copied(home, tmp_path / "shop") as (shop, store):
        ran(shop, store, END)
        came_late(store, END + HOUR)
        assert ran(shop, store, LATE - HOUR).code == 99
        assert ran(shop, store, END).revised == 19
        assert detectors(store) == wanted


def test_a_detector_that_was_set_to_zero_stays_so_when_rows_before_it_come_late() -> None:
    resolved = Scripted(losses=[(alert_runs.HOME, "page", 2, 30)])
    at = alert_runs.START
    with Store.open("sqlite://") as store:

        def look(source: Scripted, hours: float) -> RunReport:
            now = at + hours * HOUR
            return run(store, lambda: alert_runs.plan(source), as_of=now, clock=lambda: now)

        look(resolved, 9)
        [incident] = current(store, at + 9 * HOUR).incidents
        do(store, Act("resolve", "ann", at + 9.5 * HOUR, "seen", incident.incident_id, code="real_regression"))
        look(resolved, 14)
        before = units(store)
        assert before[at + 10 * HOUR] == reset(at + 10 * HOUR)
        look(replace(resolved, revised={at + 8 * HOUR: at + 20 * HOUR}, revision=0.5), 14.5)
        after = units(store)
        assert {end for end in before if after[end] != before[end]} == {at + 8 * HOUR, at + 9 * HOUR}


class Timed(Scripted):
    """What came late is there from then on only."""

    now: datetime

    def changed(self, since: datetime | None) -> tuple[Sequence[datetime], datetime | None]:
        there = {end: when for end, when in self.revised.items() if when <= self.now}
        changed = [end for end, when in there.items() if since is not None and when >= since]
        return changed, max([alert_runs.START, *there.values()])

    def _late(self, at: datetime) -> float:
        return self.revision if at in self.revised and self.revised[at] <= self.now else 0.0


@settings(max_examples=scaled(8, 150), deadline=None)
@given(
    late=st.dictionaries(st.integers(1, 24), st.integers(0, 12), max_size=4),
    runs=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 12)), max_size=5),
)
def test_whenever_rows_come_and_runs_are_made_the_detectors_are_those_of_all_at_once(
    late: dict[int, int], runs: list[tuple[int, int]]
) -> None:
    """`late`: the hour a bucket ends, and how long after it its rows came; `runs`: hours on, and hours looked back."""
    start = alert_runs.START
    loss = [(alert_runs.HOME, "page", 5, 12)]
    came = {start + end * HOUR: start + (end + after) * HOUR for end, after in late.items()}
    source = Timed(losses=loss, revised=came, revision=0.1)  # type: ignore[arg-type]
    with Store.open("sqlite://") as store, Store.open("sqlite://") as once:
        hour = 0
        for on, back in [*runs, (37, 0)]:  # the last one is after all that came late
            hour = min(hour + on, 37)
            source.now = start + hour * HOUR
            for at in (source.now, source.now - back * HOUR):
                run(store, lambda: alert_runs.plan(source), as_of=at, clock=lambda: source.now)
        run(once, lambda: alert_runs.plan(source), as_of=source.now, clock=lambda: source.now)
        found, wanted = (
            {(each.at, each.fingerprint): each.detector for each in each_store.alerts.units()}
            for each_store in (store, once)
        )
        assert found == wanted


def units(store: Store) -> dict[datetime, Detector | None]:
    """The homepage's detector by end."""
    kept = ((stored.evaluation(each.evaluation).unit, each.detector) for each in store.alerts.units())
    return {unit.at: stored.detector(text) for unit, text in kept if unit.cell == HOME}
