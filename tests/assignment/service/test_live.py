"""A worker's view of the live catalogue: what others change is seen at the next look, and a restart loses nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assignment.service.live import Items, LiveCatalogue, MemoryItems
from experiments.errors import StoreError
from experiments.store import LiveItem, Store
from tests.helpers.bundles import NOW

SOFA = LiveItem("sofa", NOW, stock=5, stock_since=NOW)


@pytest.fixture(params=["memory", "store"])
def items(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Items]:
    if request.param == "memory":
        yield MemoryItems()
        return
    with Store.open(f"sqlite:///{tmp_path / 'registry.sqlite'}") as store:
        yield store


def test_two_workers_see_each_others_changes_and_a_new_one_all(items: Items) -> None:
    one, two = LiveCatalogue(items), LiveCatalogue(items)
    assert (len(one), one.newest, one.stock("sofa"), one.price("sofa")) == (0, None, None, None)
    one.change(["sofa"], lambda known: [SOFA] if not known else [])
    assert one.stock("sofa") == 5  # at once
    assert two.stock("sofa") is None
    two.look()
    assert (two.stock("sofa"), two.newest) == (5, NOW)
    later = NOW + timedelta(minutes=1)
    two.change(
        ["sofa", "lamp"],
        lambda known: [
            replace(known["sofa"], stock=0, stock_since=later, valid_from=later),
            LiveItem("lamp", NOW, price=1_999, price_since=NOW),
        ],
    )
    one.look()
    restarted = LiveCatalogue(items)
    for worker in (one, two, restarted):
        assert (len(worker), worker.newest) == (2, later)
        assert (worker.stock("sofa"), worker.price("lamp"), worker.stock("lamp")) == (0, 1_999, None)


class Away(MemoryItems):
    broken = False

    def live_items(self, after: int = 0) -> list[LiveItem]:
        if self.broken:
            raise StoreError("the store is away; bring it back")
        return super().live_items(after)


def test_while_the_store_is_away_what_was_known_stays(caplog: pytest.LogCaptureFixture) -> None:
    away = Away()
    away.change_live_items(["sofa"], lambda _: [SOFA])
    worker = LiveCatalogue(away)
    away.broken = True
    worker.look()
    worker.look()
    assert (worker.stock("sofa"), worker.error) == (5, "the store is away; bring it back")
    assert len(caplog.records) == 1  # once, not every second
    away.broken = False
    worker.look()
    assert worker.error is None
