"""A shop's store as the source of a service's configuration and tokens."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from assignment.service.auth import Token
from experiments.bundle import bundle_document
from experiments.shop import Shop
from experiments.store import Store


class ShopSource:
    """Reads everything when the store's version has grown, and the version and the tokens whenever it is asked."""

    def __init__(self, store: Store, shop: Shop, now: Callable[[], datetime]) -> None:
        self._store, self._shop, self._now = store, shop, now

    def version(self) -> int:
        """The number of the newest audit row."""
        return self._store.config_version()

    def document(self) -> Mapping[str, object]:
        """The `bundle.v1` of now."""
        return bundle_document(self._store, self._shop)

    def tokens(self) -> Sequence[Token]:
        """Those that are neither revoked nor expired."""
        now = self._now()
        return [
            Token(each.name, each.digest, frozenset(each.scopes)) for each in self._store.tokens() if each.valid(now)
        ]
