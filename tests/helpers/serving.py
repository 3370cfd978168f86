"""A service in memory for tests, and a real server around it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import uvicorn

from assignment.event_log import EventLog, MemorySpool
from assignment.service.app import Front, Path_, application
from assignment.service.auth import Gate, Token, digest_of
from assignment.service.configuration import Configuration
from assignment.service.core import Service
from assignment.service.journal import Journal
from assignment.service.live import Items, LiveCatalogue, MemoryItems
from assignment.service.metrics import Metrics
from assignment.service.recommend import Lists, Recommender
from assignment.service.settings import ServiceSettings
from experiments.errors import StoreError
from tests.helpers.bundles import NOW, Document, arm, bundle, experiment, holdout, layer

TOKENS = {
    "shop-secret": Token("shop", digest_of("shop-secret"), frozenset({"evaluate", "write_events"})),
    "other-secret": Token("other", digest_of("other-secret"), frozenset({"evaluate"})),
    "all-secret": Token("all", digest_of("all-secret"), frozenset({"evaluate", "write_events", "manage", "read"})),
    "boss-secret": Token("boss", digest_of("boss-secret"), frozenset({"manage", "read"})),
}
SHOP = {"authorization": "Bearer shop-secret"}
OTHER = {"authorization": "Bearer other-secret"}
ALL = {"authorization": "Bearer all-secret"}
BOSS = {"authorization": "Bearer boss-secret"}


@dataclass(slots=True)
class Documents:
    """Definitions that a test changes; `broken` makes the store unreachable."""

    current: Document
    broken: bool = False
    revoked: set[str] = field(default_factory=set)

    def version(self) -> int:
        if self.broken:
            raise StoreError("the store is away; bring it back")
        return cast("int", self.current["config_version"])

    def document(self) -> Mapping[str, object]:
        return self.current

    def tokens(self) -> Sequence[Token]:
        return [token for token in TOKENS.values() if token.name not in self.revoked]


def everything() -> Document:
    """One flag of each type, one for each way to be served, and one without an experiment."""
    flags = {"boolean": (True, False), "integer": (3, 4), "float": (1.0, 2.5), "object": ({"a": 1}, {"a": [1, 2]})}
    typed = [
        experiment(
            key=name, flag_keys=[name], modules=[name], layer={"key": name, "ranges": [[0, 10_000]]},
            variants=[arm("control", 0, 5_000, value=off), arm("on", 5_000, 10_000, value=on)],
        )
        for name, (off, on) in flags.items()
    ]  # fmt: skip
    others = [
        experiment(),
        experiment(
            key="mail", flag_keys=["rec.mail"], modules=["mail"], trigger="serve",
            layer={"key": "mail", "ranges": [[0, 10_000]]},
        ),
        experiment(
            key="seen", flag_keys=["rec.seen"], modules=["seen"], unit_type="session",
            layer={"key": "seen", "ranges": [[0, 10_000]]}, overrides=[{"unit_id": "qa-1", "variant": "als"}],
            targeting={"all": [{"attribute": "platform", "operator": "EQ", "value": "web"}]}, traffic=[
                {"at": "2026-12-01T00:00:00Z", "bp": 5_000}
            ],
        ),
        experiment(
            key="gone", flag_keys=["rec.gone"], modules=["gone"], killed=True,
            layer={"key": "gone", "ranges": [[0, 10_000]]},
        ),
        experiment(
            key="held", flag_keys=["rec.held"], modules=["held"], holdouts=["global"],
            layer={"key": "held", "ranges": [[0, 10_000]]},
        ),
    ]  # fmt: skip
    layers = [layer(name) for name in ("homepage", "mail", "gone", "held", "empty")]
    layers += [layer("seen", "session"), *(layer(name, "user", name) for name in flags)]
    held = holdout(buckets=[[0, 10_000]], modules=["held"])
    return bundle(*typed, *others, layers=layers, holdouts=[held])


@dataclass(slots=True)
class Served:
    """A service with everything a test may look at or change."""

    documents: Documents = field(default_factory=lambda: Documents(everything()))
    log: EventLog = field(default_factory=MemorySpool)
    items: Items = field(default_factory=MemoryItems)
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    now: datetime = NOW
    recommender: Recommender | None = None
    seconds: Callable[[], float] = time.monotonic
    more: Sequence[Path_] = ()
    clock: SimpleNamespace = field(default_factory=SimpleNamespace)
    currency: str | None = None

    def app(self) -> Front:
        self.clock.now = self.now
        metrics = Metrics()
        rate = self.settings.requests_per_second
        configuration = Configuration(self.documents)
        service = Service(
            settings=self.settings,
            configuration=configuration,
            journal=Journal(self.log, metrics, waits=self.settings.fsync_always),
            catalogue=LiveCatalogue(self.items),
            gate=Gate(configuration.tokens, rate, rate * self.settings.burst_seconds, self.seconds),
            metrics=metrics,
            now=lambda: self.clock.now,
            currency=self.currency,
        )
        return application(service, self.recommender or Lists(Path("/nowhere/lists.json")), self.more)

    @property
    def rows(self) -> list[tuple[str, Mapping[str, object]]]:
        assert isinstance(self.log, MemorySpool)
        return [(kind, row) for kind, row in self.log.rows]


@contextmanager
def listening(app: Front) -> Iterator[str]:
    """The application behind a real server on a free port; its address."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # asyncio sets TCP_NODELAY where the protocol is named
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", ws="none", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the server ended before it began"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
