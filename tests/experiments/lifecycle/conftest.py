"""A desk: a shop, a store in memory and somebody who works on them."""

from collections.abc import Iterator

import pytest

from experiments.shop import Shop
from experiments.store import Store
from tests.helpers.assigned_shop import Desk


@pytest.fixture
def desk(shop: Shop) -> Iterator[Desk]:
    with Store.open("sqlite://") as store:
        yield Desk(store, shop)
