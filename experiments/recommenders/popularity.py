"""What sells: each order line counts, half as much every `half_life_days`. The same for everybody."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.recommenders.base import Candidates, Floats, Index, Integers, Reason, Request, Requests
from experiments.recommenders.ranking import order
from experiments.recommenders.training import DAY_MICROS, TrainingData

CODE = 1


@dataclass(frozen=True, slots=True)
class Model:
    """Every item, the best first; those never sold are last, by id."""

    tops_up: ClassVar = True
    draws: ClassVar = False
    items: Index
    best: Integers  # (n_items,) codes
    score: Floats  # (n_items,) decayed order lines of `best`
    half_life_days: float

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        """The best `n`, for every request the same."""
        shape = len(requests), min(n, len(self.best))
        return Candidates(np.broadcast_to(self.best[:n], shape), np.broadcast_to(self.score[:n], shape))

    def explain(self, request: Request, item_id: str) -> Reason:  # noqa: ARG002
        """Popular."""
        return Reason("popular", "Popular in the shop")


def fit(data: TrainingData, *, seed: int, half_life_days: float) -> Model:  # noqa: ARG001
    """Count the order lines."""
    score = decayed(data, half_life_days)
    best = order(score)
    return Model(data.items, best, score[best], half_life_days)


def decayed(data: TrainingData, half_life_days: float) -> Floats:
    """Order lines of each item, each worth 2^(−age / half_life): (n_items,)."""
    bought = data.bought
    age_days = (data.as_of_micros - bought.at) / DAY_MICROS
    worth = bought.weight * np.exp2(-age_days / half_life_days)
    return np.bincount(bought.item, worth, minlength=len(data.items)).astype(np.float64)
