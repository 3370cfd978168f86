"""The best of many, in an order that is the same on every run: by score, and equal scores by id."""

import numpy as np

from experiments.recommenders.base import Floats, Integers


def order(scores: Floats) -> Integers:
    """All codes, best first: (n_items,) scores."""
    return np.lexsort((np.arange(len(scores)), -scores))


def top(scores: Floats, n: int) -> tuple[Integers, Floats]:
    """The `n` best of each row, (rows, n_items) → (rows, n) codes and scores; only scores above 0, then -1 and NaN.

    Scores are compared to seven digits, so that the last bit of a sum decides nothing.
    """
    rows, items = scores.shape
    n = min(n, items)
    cell = np.flatnonzero(scores > 0)
    row, code = cell // max(1, items), cell % max(1, items)
    sizes = np.bincount(row, minlength=rows)
    place = np.arange(len(cell)) - np.repeat(sizes.cumsum() - sizes, sizes)
    # One sortable number for each: the bits of the positive score above, the smaller code higher below; 0 is nothing.
    keys = np.zeros((rows, max(n, int(sizes.max(initial=0)))), dtype=np.uint64)
    bits = scores.ravel()[cell].astype(np.float32).view(np.uint32).astype(np.uint64)
    keys[row, place] = (bits << np.uint64(32)) | (items - code).astype(np.uint64)
    if n < keys.shape[1]:
        keys = np.partition(keys, keys.shape[1] - n, axis=1)[:, keys.shape[1] - n :]
    best = items - (np.sort(keys, axis=1)[:, ::-1] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    found = best < items
    best = np.where(found, best, -1)
    taken = scores[np.arange(rows)[:, None], best] if items else np.empty((rows, 0))
    return best, np.where(found, taken, np.nan)
