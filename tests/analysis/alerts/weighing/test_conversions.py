"""Which early metrics are worth money: learned from experiments that are over, once a day, and kept."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from analysis.alerts.measures import measured
from analysis.alerts.measures.shelf import Shelf
from analysis.alerts.model import LONG, Comparison
from analysis.alerts.weighing.conversion import Conversion, learn, pair
from analysis.alerts.weighing.conversions import KIND, Conversions
from analysis.warehouse.buckets import Looked
from experiments.store import Store
from tests.helpers.alert_measures import HOME, START, STEP, Made, ends

DAY = timedelta(days=1)
OVER = START + 20 * STEP


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def past_changes(store: Store, count: int) -> None:
    """Experiments of five days whose arm moved add-to-carts, and orders by as much."""
    for number in range(count):
        lift = (-1) ** number * (0.1 + 0.02 * number)
        comparison = Comparison("experiment", f"past_{number:02}", 1, "new", "control")
        made = Made(comparison, cells=(HOME,), sessions=2_000_000, change=lambda _, __, lift=lift: lift)  # type: ignore[misc]
        store.save_measures(made.buckets(LONG, ends(START, OVER), seed=number), now=OVER)


def test_without_past_changes_only_revenue_is_money(store: Store) -> None:
    assert dict(Conversions(store, Shelf(store, OVER)).at(OVER + DAY)) == {
        "revenue": Conversion("revenue", 1.0, 0.0, 0)
    }


def test_past_changes_make_earlier_metrics_worth_money_and_that_is_kept(store: Store) -> None:
    past_changes(store, 12)
    at = OVER + 3 * DAY + timedelta(hours=7)
    found = Conversions(store, Shelf(store, at)).at(at)
    assert list(found) == ["click", "add_to_cart", "order", "revenue"]
    assert found["add_to_cart"].elasticity == pytest.approx(1.0, abs=0.1)
    assert found["add_to_cart"].changes == 12
    assert len(store.measures(KIND, 1_440)) == 4
    store.forget_measures(measured.BUCKET, LONG, before=at)
    assert Conversions(store, Shelf(store, at)).at(at) == found  # of that day, for ever
    assert list(Conversions(store, Shelf(store, at)).at(at + DAY)) == ["revenue"]


def test_visitors_who_come_back_are_known_by_the_look(store: Store) -> None:
    """What is learned is what the buckets give with each experiment's look, which is another than without."""
    past_changes(store, 12)
    at = OVER + 3 * DAY
    blind = Conversions(store, Shelf(store, at)).at(at)
    for place in store.measured_until(measured.BUCKET, LONG):
        comparison = measured.comparison_of(place)
        arms = {
            arm: Looked(
                units=1_000_000, clicks_nonzero=0, adds_nonzero=0, orders_nonzero=0, revenue_nonzero=0, clicks=660_000,
                adds=330_000, orders=100_000, revenue=800_000_000, clicks_squared=2_000_000, adds_squared=1_000_000,
                orders_squared=300_000, revenue_squared=20_000_000_000_000,
            )
            for arm in ("new", "control")
        }  # fmt: skip
        store.save_measures([measured.look_measure(comparison, OVER, {("homepage", ""): arms}, 1e6)], now=OVER)
    later, shelf = at + DAY, Shelf(store, at + DAY)
    found = Conversions(store, shelf).at(later)
    pairs = [
        pair(shelf.everything(each, OVER)[HOME], "order", shelf.look(each, HOME, OVER))
        for each in map(measured.comparison_of, sorted(store.measured_until(measured.BUCKET, LONG)))
    ]
    assert found["order"] == learn("order", [each for each in pairs if each is not None])
    assert found["order"] != blind["order"]


def test_an_experiment_that_is_not_over_teaches_nothing(store: Store) -> None:
    past_changes(store, 12)
    assert list(Conversions(store, Shelf(store, OVER)).at(OVER)) == ["revenue"]
