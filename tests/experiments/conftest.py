"""A shop, and an empty store on each engine the registry runs on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    reason = postgres.missing()
    if reason:
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store nobody opened yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'registry.sqlite'}"
        return
    server: str = request.getfixturevalue("postgres_server")
    worker = getattr(request.config, "workerinput", {}).get("workerid", "only")
    with postgres.database(server, f"truelift_{worker}") as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return create(tmp_path / "shop", currency="EUR", time_zone="Europe/Berlin")
