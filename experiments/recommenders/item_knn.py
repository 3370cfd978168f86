"""Items that the same people looked at and bought: the nearest neighbours of what a unit had to do with.

Each unit's row of the matrix (units × items) sums WEIGHTS of its events in the last `window_days`. `implicit` finds
the `neighbours` most similar items of every item by cosine, TF-IDF or BM25. A candidate's score is the sum of its
similarities to what the unit had before and to the session; items the unit had already are left out.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from experiments.recommenders.base import Candidates, Floats, Index, Integers, Reason, Request, Requests
from experiments.recommenders.ranking import top
from experiments.recommenders.training import DAY_MICROS, WEIGHTS, Events, TrainingData

CODE = 1
CELLS = 4_000_000  # of scores at a time
SESSION_WEIGHT = WEIGHTS["purchase"]  # what is looked at now says as much as a thing bought


@dataclass(frozen=True)
class Model:
    """Two sparse matrices by rows: a row's entries are from `begin[row]` to `begin[row + 1]`, ascending."""

    tops_up: ClassVar = True
    draws: ClassVar = False
    items: Index
    units: Index
    near_begin: Integers  # each item's neighbours …
    near_item: Integers
    near_score: Floats  # … and their similarity to it
    had_begin: Integers  # each unit's items …
    had_item: Integers
    had_weight: Floats  # … and how much they say

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        """The `n` items nearest to what the unit had and the session shows; nothing where neither says anything."""
        rows = max(1, CELLS // max(1, len(self.items)))
        parts = [self._top(requests, slice(start, start + rows), n) for start in range(0, max(1, len(requests)), rows)]
        return Candidates(np.concatenate([codes for codes, _ in parts]), np.concatenate([score for _, score in parts]))

    def explain(self, request: Request, item_id: str) -> Reason:
        """The thing of the request to which it owes most."""
        taste = self._taste(Requests.of(request), slice(0, 1)).toarray()[0]
        owed = taste * self._near[:, [self.items.code(item_id)]].toarray()[:, 0]
        if not owed.any():
            return Reason("popular", "Popular in the shop")
        because = str(self.items.ids[owed.argmax()])
        return Reason("bought_together", f"Goes with {because}")

    def _top(self, requests: Requests, part: slice, n: int) -> tuple[Integers, Floats]:
        taste = self._taste(requests, part)
        scores = (taste @ self._near).toarray()
        scores[taste.nonzero()] = 0.0
        return top(scores, n)

    def _taste(self, requests: Requests, part: slice) -> csr_array:
        """Weights of what each unit had and of its session: (rows, n_items)."""
        unit = requests.units.into(self.units)[requests.unit[part]]
        session = requests.items.into(self.items)[requests.session[part]]
        shape = len(unit), len(self.items)
        known = np.flatnonzero(unit >= 0)
        sizes = np.zeros(len(unit), dtype=np.int64)
        sizes[known] = (self.had_begin[1:] - self.had_begin[:-1])[unit[known]]
        begin = np.concatenate(([0], sizes.cumsum()))
        row = np.repeat(np.arange(len(unit)), sizes)
        entry = np.arange(len(row)) - begin[row] + self.had_begin[unit[row]]
        had = csr_array((self.had_weight[entry], self.had_item[entry], begin), shape=shape)
        row, column = np.nonzero(session >= 0)
        now = csr_array((np.full(len(row), SESSION_WEIGHT), (row, session[row, column])), shape=shape)
        return had + now

    @cached_property
    def _near(self) -> csr_array:
        n = len(self.items)
        return csr_array((self.near_score, self.near_item, self.near_begin), shape=(n, n))


def fit(data: TrainingData, *, seed: int, window_days: int, neighbours: int, similarity: str) -> Model:  # noqa: ARG001
    """Find every item's neighbours. Nothing is drawn."""
    had = matrix(data.tastes, since=data.as_of_micros - window_days * DAY_MICROS)
    near = _neighbours(had, neighbours, similarity)
    return Model(
        items=data.items,
        units=data.units,
        near_begin=near.indptr.astype(np.int64),
        near_item=near.indices.astype(np.int64),
        near_score=near.data,
        had_begin=had.indptr.astype(np.int64),
        had_item=had.indices.astype(np.int64),
        had_weight=had.data,
    )


def matrix(events: Events, since: int) -> csr_array:
    """(n_units, n_items): the summed weights of the events from `since` on, µs since the epoch."""
    late = events.at >= since
    cells = (events.unit[late], events.item[late])
    made = csr_array((events.weight[late], cells), shape=(len(events.units), len(events.items)))
    made.sum_duplicates()
    return made


def _neighbours(had: csr_array, neighbours: int, similarity: str) -> csr_array:
    """(n_items, n_items): each row has the similarities to its nearest other items, all above 0."""
    from implicit import nearest_neighbours as nn
    from implicit.utils import ParameterWarning
    from scipy.sparse import csr_matrix

    if not had.nnz:
        return csr_array(had.shape[1:] * 2)
    kinds = {"cosine": nn.CosineRecommender, "tfidf": nn.TFIDFRecommender, "bm25": nn.BM25Recommender}
    model = kinds[similarity](K=min(neighbours + 1, had.shape[1]), num_threads=1)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ParameterWarning)  # it converts its own intermediate result
        model.fit(csr_matrix(had), show_progress=False)
    found = csr_array(model.similarity)
    row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    good = (found.data > 0) & (row != found.indices)  # an item is its own nearest; 0/0 where an idf is 0
    row, column, score = row[good], found.indices[good], found.data[good]
    ranked = np.lexsort((column, -score, row))
    row, column, score = row[ranked], column[ranked], score[ranked]
    sizes = np.bincount(row, minlength=found.shape[0])
    place = np.arange(len(row)) - np.repeat(sizes.cumsum() - sizes, sizes)
    kept = place < neighbours
    made = csr_array((score[kept], (row[kept], column[kept])), shape=found.shape)
    made.sort_indices()
    return made
