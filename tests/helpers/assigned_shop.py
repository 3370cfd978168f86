"""A shop with a store in which truelift assigns: definitions proposed as text, and a moment for each step."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from experiments import lifecycle
from experiments.loading import parse_yaml
from experiments.placement import Holdout
from experiments.shop import Shop
from experiments.spec import Phase, canonical
from experiments.store import Registered, Snapshot, Store
from tests.helpers.definitions import ASSIGNED, HOLDOUT

KEY = "home_als_v3"
BEGIN = datetime(2026, 12, 1, 9, tzinfo=UTC)  # the schedule's start
FLAT = ASSIGNED.split("ramp:")[0] + "schedule:" + ASSIGNED.split("schedule:")[1]  # no ramp: a quarter at once
__all__ = ["BEGIN", "FLAT", "KEY", "Desk", "Holdout"]


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody at work on one shop; `at` is hours after the schedule's start."""

    store: Store
    shop: Shop

    def propose(self, text: str = FLAT, *, at: float = -24, expected: int | None = None) -> Registered:
        """Register a definition written in `text`."""
        (self.shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
        document, problems = parse_yaml(text)
        assert document is not None, problems
        return lifecycle.propose(
            self.store, self.shop, document, where="text", actor="ann", reason="because", now=self.now(at),
            expected=expected,
        )  # fmt: skip

    def register_ground(self) -> None:
        """Register every layer and holdout of the shop."""
        lifecycle.register_ground(self.store, self.shop, actor="ann", reason="", now=self.now(-24))

    def begin(self, text: str = FLAT, *, at: float = 0) -> Phase:
        """Register and start it."""
        key = self.propose(text).key
        return self.start(key, at=at)

    def start(self, key: str, *, at: float) -> Phase:
        """Start what is registered."""
        return lifecycle.start(self.store, self.shop, key, actor="ann", reason="go", now=self.now(at))

    def now(self, hours: float) -> datetime:
        """The moment so many hours after the schedule's start."""
        return BEGIN + timedelta(hours=hours)

    def publish(self, body: Mapping[str, object], *, at: float, key: str = KEY, phase: int = 1) -> None:
        """Publish a readout that says `body`, as of `at`."""
        moment = self.now(at)
        given = zlib.compress(canonical(body).encode())
        name = f"s{at}"
        self.store.publish(Snapshot(name, key, phase, moment, moment, None, "readout.v1", "TOO_EARLY", given, b""))
