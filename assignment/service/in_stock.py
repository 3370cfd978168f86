"""Which of the items a strategy recommends can be shown: none that is known to be sold out, before the cut."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slate:
    """What is shown, in order, and the items that were passed over until it was full, because they are sold out."""

    items: tuple[str, ...]
    sold_out: frozenset[str] = frozenset()

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many were passed over, by reason; each once."""
        return {"out_of_stock": len(self.sold_out)} if self.sold_out else {}


def slate(candidates: Iterable[str], stock: Callable[[str], int | None], limit: int) -> Slate:
    """The first `limit` candidates that are not sold out. `stock` is in pieces; of unknown stock, an item is shown."""
    items: list[str] = []
    sold_out: set[str] = set()
    for item in candidates:
        if len(items) == limit:
            break
        left = stock(item)
        if left is not None and left <= 0:
            sold_out.add(item)
        else:
            items.append(item)
    return Slate(tuple(items), frozenset(sold_out))
