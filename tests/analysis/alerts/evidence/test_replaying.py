"""The replay of a shop: by every metric that the job goes by, and it says by which not."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from analysis.alerts.evidence.replaying import Replayed, replayed, told
from analysis.alerts.model import Cell
from experiments.money import Money
from experiments.shop import create
from experiments.store import Store
from tests.analysis.alerts.weighing.test_conversions import past_changes
from tests.helpers.alert_measures import HOLDOUT, HOME, SITE, START, STEP, Made, publish

MONEY = Money(loss_budget=Decimal(37_500), margin=Decimal("0.35"))
UNTIL = START + 300 * STEP
DIPS = {place for first in (150, 200, 250) for place in range(first, first + 8)}


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def played(home: Path, store: Store, cells: tuple[Cell, ...] = (HOME,)) -> Replayed:
    """A holdout whose served arm puts less into the cart now and then, and orders as much as ever."""
    dips = Made(
        HOLDOUT, cells=cells, adds_change=lambda _, at: -0.10 if (at - START) // STEP in DIPS else 0.0
    )  # fmt: skip
    publish(store, dips, UNTIL, quarters=STEP)
    [found] = replayed(create(home), store, MONEY, at=UNTIL, drawn=0, rng=np.random.default_rng(1))
    return found


def test_without_past_changes_it_goes_by_revenue_alone_and_says_by_what_not(tmp_path: Path, store: Store) -> None:
    found = played(tmp_path / "shop", store)
    assert (found.metrics, found.found.pages) == (("revenue",), 0)
    lines = told([found])
    assert "  Played by revenue." in lines
    assert any(line.startswith("  Not by clicks, add-to-carts and orders: what one percent") for line in lines)


def test_what_is_worth_known_money_pages_in_the_replay_as_it_does_in_the_job(tmp_path: Path, store: Store) -> None:
    past_changes(store, 12)
    found = played(tmp_path / "shop", store)
    assert found.metrics == ("click", "add_to_cart", "order", "revenue")
    assert found.found.pages >= 3  # each dip, one way round
    assert not found.allows_pages
    assert not [line for line in told([found]) if "Not by" in line]


def test_cells_that_counted_the_same_are_played_once(tmp_path: Path, store: Store) -> None:
    publish(store, Made(HOLDOUT, cells=(SITE, HOME), rate=0.0), UNTIL, quarters=STEP)
    [found] = replayed(create(tmp_path / "shop"), store, MONEY, at=UNTIL, drawn=0, rng=np.random.default_rng(1))
    assert [*found.found.cells, *found.found.waiting] == [HOME]
