"""Which of the items a strategy recommends can be shown: none that is known to be sold out, before the cut."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slate:
    """What is shown, in order, and how many items were passed over until it was full, by reason."""

    items: tuple[str, ...]
    dropped: Mapping[str, int]


def slate(candidates: Iterable[str], stock: Callable[[str], int | None], limit: int) -> Slate:
    """The first `limit` candidates that are not sold out. `stock` is in pieces; of unknown stock, an item is shown."""
    items: list[str] = []
    dropped = Counter[str]()
    for item in candidates:
        if len(items) == limit:
            break
        left = stock(item)
        if left is not None and left <= 0:
            dropped["out_of_stock"] += 1
        else:
            items.append(item)
    return Slate(tuple(items), dict(dropped))
