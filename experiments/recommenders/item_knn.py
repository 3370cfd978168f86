"""Items that the same people looked at and bought: the nearest neighbours of what a unit had to do with.

Each unit's row of the matrix (units × items) sums WEIGHTS of its events in the last `window_days`. `implicit` finds
the `neighbours` most similar items of every item by cosine, TF-IDF or BM25. A candidate's score is the sum of its
similarities to what the unit had before and to the session; items the unit had already are left out.
"""

import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.recommenders.base import CELLS, Candidates, Floats, Index, Integers, Reason, Request, Requests
from experiments.recommenders.ranking import top
from experiments.recommenders.training import DAY_MICROS, WEIGHTS, Events, TrainingData

if TYPE_CHECKING:
    from scipy.sparse import csr_array  # answering needs neither scipy nor implicit: only fitting imports them

CODE = 1
SESSION_WEIGHT = WEIGHTS["purchase"]  # what is looked at now says as much as a thing bought


@dataclass(frozen=True, slots=True)
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
        row, item, weight = self._tastes(requests)
        work = len(self.items) + np.bincount(row, np.diff(self.near_begin)[item], minlength=len(requests))
        part = (np.cumsum(work) // CELLS).astype(np.int64)
        begins = np.flatnonzero(np.diff(part, prepend=-1, append=-1))
        found = [top(np.empty((0, len(self.items))), n)]
        for begin, end in itertools.pairwise(begins.tolist()):
            mine = slice(*np.searchsorted(row, (begin, end)).tolist())
            found.append(self._top(end - begin, row[mine] - begin, item[mine], weight[mine], n))
        return Candidates(np.concatenate([codes for codes, _ in found]), np.concatenate([score for _, score in found]))

    def explain(self, request: Request, item_id: str) -> Reason:
        """The thing of the request to which the item owes most."""
        _, item, weight = self._tastes(Requests.of(request))
        of, entry = _entries(self.near_begin, item)
        owed = np.where(self.near_item[entry] == self.items.code(item_id), weight[of] * self.near_score[entry], 0.0)
        if not owed.any():
            return Reason("not_shown", f"{item_id} goes with nothing of this request")
        because = self.items.ids[item[of[owed.argmax()]]]
        return Reason("bought_together", f"Goes with {because}")

    def _top(self, rows: int, row: Integers, item: Integers, weight: Floats, n: int) -> tuple[Integers, Floats]:
        of, entry = _entries(self.near_begin, item)
        cell = row[of] * len(self.items) + self.near_item[entry]
        scores = np.bincount(cell, weight[of] * self.near_score[entry], minlength=rows * len(self.items))
        scores[row * len(self.items) + item] = 0.0
        return top(scores.reshape(rows, -1).astype(np.float64), n)

    def _tastes(self, requests: Requests) -> tuple[Integers, Integers, Floats]:
        """What each request's unit had, then its session: row, ascending, item and weight."""
        unit = requests.units.into(self.units)[requests.unit]
        session = requests.items.into(self.items)[requests.session]
        known, (now, place) = np.flatnonzero(unit >= 0), np.nonzero(session >= 0)
        of, entry = _entries(self.had_begin, unit[known])
        row = np.concatenate([known[of], now])
        order = np.argsort(row, kind="stable")
        item = np.concatenate([self.had_item[entry], session[now, place]])
        weight = np.concatenate([self.had_weight[entry], np.full(len(now), SESSION_WEIGHT)])
        return row[order], item[order], weight[order]


def _entries(begin: Integers, rows: Integers) -> tuple[Integers, Integers]:
    """All entries of these rows of a sparse matrix: for each, its place in `rows` and its own."""
    sizes = (begin[1:] - begin[:-1])[rows]
    of = np.repeat(np.arange(len(rows)), sizes)
    return of, np.arange(len(of)) - np.repeat(sizes.cumsum() - sizes, sizes) + begin[rows][of]


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


def matrix(events: Events, since: int) -> "csr_array":
    """(n_units, n_items): the summed weights of the events from `since` on, µs since the epoch."""
    from scipy.sparse import csr_array

    late = events.at >= since
    cells = (events.unit[late], events.item[late])
    made = csr_array((events.weight[late], cells), shape=(len(events.units), len(events.items)))
    made.sum_duplicates()
    return made


def _neighbours(had: "csr_array", neighbours: int, similarity: str) -> "csr_array":
    """(n_items, n_items): each row has the similarities to its nearest other items, all above 0."""
    from implicit import nearest_neighbours as nn
    from implicit.utils import ParameterWarning
    from scipy.sparse import csr_array, csr_matrix

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
