"""The live catalogue as one worker knows it: what the store says of items, read again where it changed.

Every worker of every machine shares the store. A change is known at once where it was made, and elsewhere after
poll_seconds; a worker that starts reads everything.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from experiments.errors import TrueliftError
from experiments.store import LiveItem

Judge = Callable[[Mapping[str, LiveItem]], Iterable[LiveItem]]  # from what is known of the items to what changes
_log = logging.getLogger("truelift.service")


class Items(Protocol):
    """Where live items are kept: the store, or memory."""

    def live_items(self, after: int = 0) -> list[LiveItem]:
        """Those that changed after that number."""

    def change_live_items(self, item_ids: Collection[str], judge: Judge) -> None:
        """Replace items by what `judge` makes of them, while nobody else writes."""


class MemoryItems:
    """The same in memory: for tests and benchmarks."""

    def __init__(self) -> None:
        self._items: dict[str, LiveItem] = {}
        self._number = 0
        self._changing = threading.Lock()

    def live_items(self, after: int = 0) -> list[LiveItem]:
        """Those that changed after that number."""
        with self._changing:
            return [item for item in self._items.values() if item.number > after]

    def change_live_items(self, item_ids: Collection[str], judge: Judge) -> None:
        """Replace items by what `judge` makes of them."""
        with self._changing:
            changed = list(judge({each: self._items[each] for each in item_ids if each in self._items}))
            self._number += 1
            self._items |= {item.item_id: replace(item, number=self._number) for item in changed}


class LiveCatalogue:
    """Stock and price of every item that was ever posted. Threads may call it."""

    def __init__(self, items: Items) -> None:
        """Read everything. StoreError."""
        self._items = items
        self._known: dict[str, LiveItem] = {}
        self._number = 0
        self._reading = threading.Lock()
        self.newest: datetime | None = None  # valid_from of the newest row
        self.error: str | None = None  # of the last look
        self._refresh()

    def __len__(self) -> int:
        return len(self._known)

    def stock(self, item_id: str) -> int | None:
        """Pieces; None while unknown."""
        known = self._known.get(item_id)
        return None if known is None else known.stock

    def price(self, item_id: str) -> int | None:
        """In minor units; None while unknown."""
        known = self._known.get(item_id)
        return None if known is None else known.price

    def change(self, item_ids: Collection[str], judge: Judge) -> None:
        """Change items in the store, and know it here at once. StoreError; what `judge` raises changes nothing."""
        self._items.change_live_items(item_ids, judge)
        self._refresh()

    def look(self) -> None:
        """Take over what others changed. While the store is away, what was known stays."""
        try:
            self._refresh()
        except TrueliftError as error:
            if str(error) != self.error:
                _log.error("stock and price stay as they are: %s", error)
            self.error = str(error)
        else:
            self.error = None

    def _refresh(self) -> None:
        with self._reading:
            for item in self._items.live_items(self._number):
                self._known[item.item_id] = item
                self._number = max(self._number, item.number)
                self.newest = max(self.newest or item.valid_from, item.valid_from)
