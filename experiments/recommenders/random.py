"""Any item, each as likely as the others: the log from which other strategies can be judged.

An item's number is drawn from the request's id, the salt and the item's own id, and the largest is first. So a slate
can be replayed from its request id, in any process, and an item that joins the catalogue moves no other.
"""

from dataclasses import dataclass
from hashlib import md5
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from experiments.recommenders.base import Candidates, Index, Reason, Request, Requests
from experiments.recommenders.training import TrainingData

CODE = 1
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Model:
    """The items, and the salt of the draws."""

    tops_up: ClassVar = False
    draws: ClassVar = True
    items: Index
    own: Words  # (n_items,) the hash of each item's id
    salt: str

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        """The `n` items with the largest numbers; each weighs 1."""
        asked = _hashes([f"{self.salt}-{name}" for name in requests.ids])
        low = np.uint64((1 << len(self.items).bit_length()) - 1)  # the number's last bits give way to the item's code
        drawn = np.sort(_mixed(asked[:, None] ^ self.own) & ~low | np.arange(len(self.items), dtype=np.uint64), axis=1)
        best = drawn[:, ::-1][:, :n]
        return Candidates((best & low).astype(np.int64), best / 2.0**64, np.broadcast_to(1.0, best.shape))

    def explain(self, request: Request, item_id: str) -> Reason:  # noqa: ARG002
        """By chance."""
        return Reason("by_chance", "Chosen by chance")


def fit(data: TrainingData, *, seed: int) -> Model:
    """Every item ever seen or sold, with a salt of the seed."""
    return Model(data.items, _hashes(data.items.ids.tolist()), f"random.{seed}")


def _hashes(texts: list[str]) -> Words:
    """The first 64 bits of each text's md5."""
    return np.array([int.from_bytes(md5(text.encode(), usedforsecurity=False).digest()[:8], "big") for text in texts],
                    dtype=np.uint64)  # fmt: skip


def _mixed(words: Words) -> Words:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014), cell by cell: one bit in changes half of the bits out."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
