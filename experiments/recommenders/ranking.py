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
    if n == 0:
        return np.empty((rows, 0), dtype=np.int64), np.empty((rows, 0))
    # One sortable number for each cell: the bits of the positive score above, the smaller code higher below.
    bits = np.maximum(scores, 0).astype(np.float32).view(np.uint32).astype(np.uint64)
    keys = (bits << np.uint64(32)) | np.arange(items - 1, -1, -1, dtype=np.uint64)
    best = np.sort(np.partition(keys, items - n, axis=1)[:, items - n :], axis=1)[:, ::-1]
    codes = (items - 1 - (best & np.uint64(0xFFFFFFFF))).astype(np.int64)
    taken = np.take_along_axis(scores, codes, axis=1)
    return np.where(taken > 0, codes, -1), np.where(taken > 0, taken, np.nan)
