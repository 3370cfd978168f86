"""A switchback and an interleaving in a shop: served, logged, loaded, audited; and no readout is made of either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import pipeline
from experiments.errors import UsageError
from experiments.shop import create
from experiments.store import Store
from tests.helpers.assigned_shop import Desk
from tests.helpers.definitions import INTERLEAVING, SWITCHBACK, layer_of

DAY = 24.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    shop = create(tmp_path / "shop", currency="EUR", time_zone="Europe/Berlin")
    (shop.layers / "delivery.yml").write_text(layer_of("delivery", "cluster_window"))
    (shop.layers / "search.yml").write_text(layer_of("search", "request"))
    with Store.open("sqlite://") as store:
        yield Desk(store, shop)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SWITCHBACK, r"city_prices: its units are of type cluster_window: whole windows .*assign users or sessions"),
        (INTERLEAVING, r"rank_duel: .* which of two rankers is preferred, never what either adds.*test the winner"),
        (INTERLEAVING.replace("design: interleaving\n", ""), r"rank_duel: its units are of type request: .* narrow"),
    ],
    ids=["switchback", "interleaving", "requests"],
)
def test_no_lift_is_computed_where_it_would_be_wrong(desk: Desk, text: str, said: str) -> None:
    key = desk.begin(text).experiment.key
    with pytest.raises(UsageError, match=said):
        pipeline.refresh(desk.shop, desk.store, key, now=desk.now(3 * DAY))
    assert not any(known.is_read for known in desk.store.registered())
    assert not desk.shop.warehouse_path.exists()  # refused before anything was counted
