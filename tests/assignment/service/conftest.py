"""One server for the tests that change nothing."""

from collections.abc import Iterator

import httpx
import pytest

from assignment.service.settings import ServiceSettings
from tests.helpers.serving import Served, listening


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """A server over every kind of flag."""
    with listening(Served(settings=ServiceSettings(requests_per_second=1e6)).app()) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=address) as opened:
        yield opened
