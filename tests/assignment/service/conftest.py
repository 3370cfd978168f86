"""One server for the tests that change nothing."""

from collections.abc import Iterator

import httpx
import pytest

from analysis.plan_warnings import adviser
from assignment.service.manage import paths
from assignment.service.settings import ServiceSettings
from experiments.shop import create
from experiments.store import Store
from tests.helpers.serving import Served, listening


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over every kind of flag, and over an empty shop."""
    shop = create(tmp_path_factory.mktemp("shop") / "shop")
    with Store.open(shop.store_url) as store:
        served = Served(
            settings=ServiceSettings(requests_per_second=1e6), more=paths(store, shop, adviser(store, shop))
        )
        with listening(served.app()) as url:
            yield url


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=address) as opened:
        yield opened
