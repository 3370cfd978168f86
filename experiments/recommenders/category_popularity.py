"""What sells in the category of the page, else in that of the item looked at last. Categories are top levels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc

from experiments.recommenders.base import Candidates, Floats, Index, Integers, Reason, Request, Requests
from experiments.recommenders.popularity import decayed
from experiments.recommenders.training import TrainingData

CODE = 1


@dataclass(frozen=True, slots=True)
class Model:
    """The best items of each category; one without a category is in none."""

    tops_up: ClassVar = True
    draws: ClassVar = False
    items: Index
    categories: Index
    of_item: Integers  # (n_items,) in `categories`, -1 none
    best: Integers  # (n_categories, longest) codes, filled up with -1
    score: Floats  # of `best`: decayed order lines, filled up with NaN

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        """The best `n` of the request's category; nothing where neither page nor session names one."""
        codes = np.append(_tops(requests.categories, self.categories), -1)[requests.category]
        session = requests.items.into(self.items)[requests.session]
        for column in session.T:  # the latest is last and wins
            seen = np.append(self.of_item, -1)[column]
            codes = np.where((requests.category < 0) & (seen >= 0), seen, codes)
        none = np.full((1, self.best.shape[1]), -1)
        best = np.concatenate([self.best, none])[:, :n]
        score = np.concatenate([self.score, np.where(none < 0, np.nan, 0.0)])[:, :n]
        return Candidates(best[codes], score[codes])

    def explain(self, request: Request, item_id: str) -> Reason:  # noqa: ARG002
        """Popular in its category."""
        code = self.of_item[self.items.code(item_id)]
        return Reason("popular_in_category", f"Popular in {self.categories.ids[code]}")


def fit(data: TrainingData, *, seed: int, half_life_days: float) -> Model:  # noqa: ARG001
    """Count the order lines, and sort the items of each category by them."""
    items, score = data.items, decayed(data, half_life_days)
    rows = data.catalogue.filter(pc.is_valid(data.catalogue["category"])).sort_by("valid_from")
    tops = [path.split("/")[0] for path in rows["category"].to_pylist()]
    categories = Index.of(tops)
    of_item = np.full(len(items), -1)
    of_item[items.codes(rows["item_id"].to_pylist())] = categories.codes(tops)
    by_category = np.lexsort((np.arange(len(items)), -score, of_item))
    by_category = by_category[of_item[by_category] >= 0]
    sizes = np.bincount(of_item[by_category], minlength=len(categories))
    place = np.arange(len(by_category)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    best = np.full((len(categories), int(sizes.max(initial=0))), -1)
    best[of_item[by_category], place] = by_category
    return Model(items, categories, of_item, best, np.where(best < 0, np.nan, score[best]))


def _tops(named: Index, known: Index) -> Integers:
    """The category of each path's top level: (n_named,)."""
    return known.codes(path.split("/")[0] for path in named.ids.tolist())
