"""Which early metrics are worth money: learned from experiments that are over, once a day, and kept."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from analysis.alerts.measures import measured
from analysis.alerts.measures.shelf import Shelf
from analysis.alerts.model import LONG, Comparison
from analysis.alerts.weighing.conversion import Conversion
from analysis.alerts.weighing.conversions import KIND, Conversions
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


def test_an_experiment_that_is_not_over_teaches_nothing(store: Store) -> None:
    past_changes(store, 12)
    assert list(Conversions(store, Shelf(store, OVER)).at(OVER)) == ["revenue"]
