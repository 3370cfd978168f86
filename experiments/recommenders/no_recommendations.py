"""Nothing at all, on purpose: a holdout's arm. No ladder fills it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.recommenders.base import NOBODY, Candidates, Index, Reason, Request, Requests
from experiments.recommenders.training import TrainingData

CODE = 1


@dataclass(frozen=True, slots=True)
class Model:
    """It knows no item."""

    tops_up: ClassVar = False
    draws: ClassVar = False

    @property
    def items(self) -> Index:
        """None."""
        return NOBODY

    def retrieve(self, requests: Requests, n: int) -> Candidates:  # noqa: ARG002
        """No candidate."""
        return Candidates(np.empty((len(requests), 0), dtype=np.int64), np.empty((len(requests), 0)))

    def explain(self, request: Request, item_id: str) -> Reason:  # noqa: ARG002
        """It shows nothing."""
        return Reason("not_shown", f"{item_id} is not shown: nothing is")


def fit(data: TrainingData, *, seed: int) -> Model:  # noqa: ARG001
    """Nothing to learn."""
    return Model()
