"""The registry of the shop with a past, read once, and an empty one to work on."""

from collections.abc import Iterator
from datetime import UTC, datetime

import altair as alt
import pytest

from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from experiments.shop import create, open_shop
from experiments.store import Store
from tests.helpers import registry_shop
from tests.helpers.assigned_shop import Desk

NOW = datetime(2026, 12, 16, 9, tzinfo=UTC)


def values(drawn: alt.LayerChart) -> list[list[dict[str, object]]]:
    """The data of each layer of a chart."""
    spec = drawn.to_dict()
    return [spec["datasets"][layer["data"]["name"]] for layer in spec["layer"]]


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """Everything registered at 9 o'clock on 16 December 2026."""
    home = registry_shop.full(tmp_path_factory.mktemp("registry") / "shop")
    with Store.open(open_shop(home).store_url) as store:
        return view.read(store)


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    shop = create(tmp_path_factory.mktemp("desk") / "shop")
    with Store.open("sqlite://") as store:
        yield Desk(store, shop)
