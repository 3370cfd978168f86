"""The values recommenders speak: ids by code, requests and candidates in columns, and what a fitted strategy can do.

Everything is in columns, for one request as for a hundred thousand: a strategy has one way of answering, so that the
one cannot differ from the other. Items, units and categories are codes in an `Index`; -1 is nobody and nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]
CELLS = 250_000  # of an array that is worked on at a time: what fits a processor's cache is three times as fast


@dataclass(frozen=True, eq=False)
class Index:
    """Different ids in a fixed order; an id's code is its place, from 0."""

    ids: Names  # (n,)
    _maps: dict["Index", Integers] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Index":
        """Of these ids, sorted, each once."""
        return cls(np.array(sorted(set(ids)), dtype=np.str_))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _code(self) -> Mapping[str, int]:
        return {name: code for code, name in enumerate(self.ids.tolist())}

    def code(self, name: str | None) -> int:
        """The id's code; -1 for None and an id that is not here."""
        return -1 if name is None else self._code.get(name, -1)

    def codes(self, names: Iterable[str | None]) -> Integers:
        """The code of each."""
        return np.array([self.code(name) for name in names], dtype=np.int64)

    def into(self, other: "Index") -> Integers:
        """For each of this index's codes the other's code of the same id, and -1 for -1: (n + 1,), the last for -1.

        So `index.into(other)[codes]` translates any codes. Looked up once for each pair.
        """
        if other not in self._maps:
            self._maps[other] = np.append(other.codes(self.ids.tolist()), -1)
        return self._maps[other]


NOBODY = Index(np.array([], dtype=np.str_))


@dataclass(frozen=True, slots=True)
class Request:
    """One slot to be filled with at most `k` items. `session_items`: what was looked at in this visit, latest last."""

    request_id: str
    module: str
    k: int
    now: datetime
    unit_id: str | None = None
    session_items: tuple[str, ...] = ()
    category: str | None = None  # of the page


@dataclass(frozen=True, slots=True)
class Requests:
    """n requests of one module at one moment, in columns."""

    module: str
    k: int
    now: datetime
    ids: Sequence[str]  # (n,)
    unit: Integers  # (n,), in `units`
    units: Index
    session: Integers  # (n, longest), in `items`; latest last, filled up with -1
    items: Index
    category: Integers  # (n,), in `categories`
    categories: Index

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, request: Request) -> "Requests":
        """One request as columns of one row."""
        units = Index.of([] if request.unit_id is None else [request.unit_id])
        items, categories = (
            Index.of(request.session_items),
            Index.of([] if request.category is None else [request.category]),
        )
        return cls(
            module=request.module,
            k=request.k,
            now=request.now,
            ids=(request.request_id,),
            unit=units.codes([request.unit_id]),
            units=units,
            session=items.codes(request.session_items)[None, :],
            items=items,
            category=categories.codes([request.category]),
            categories=categories,
        )

    def take(self, rows: Integers) -> "Requests":
        """These rows only."""
        return replace(
            self,
            ids=[self.ids[row] for row in rows.tolist()],
            unit=self.unit[rows],
            session=self.session[rows],
            category=self.category[rows],
        )

    def of_nobody(self) -> "Requests":
        """The same with nobody known."""
        return replace(self, unit=np.full(len(self), -1), units=NOBODY)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Each request's candidates, best first: (n, m) codes in the model's items and scores, filled up with -1.

    `weight` is given when the order was drawn: place by place an item is taken with a chance proportional to its weight
    among those left, and the rows then hold every item. None when nothing was drawn.
    """

    items: Integers
    score: Floats
    weight: Floats | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is shown: a code for machines, and words for people."""

    code: str
    words: str


class Model(Protocol):
    """What a strategy learned: a frozen dataclass of arrays, indices, numbers and texts, so that it can be kept.

    `retrieve` gives each request's best `n` candidates, fewer only when it has no more; those for a smaller `n` are the
    first of those for a larger one, and no request's depend on the others asked with it.
    """

    tops_up: ClassVar[bool]  # whether the cold ladder fills the places it leaves open
    draws: ClassVar[bool]  # whether it draws its order and gives weights

    @property
    def items(self) -> Index:
        """The items it knows."""
        ...

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        """The best `n` items for each request."""
        ...

    def explain(self, request: Request, item_id: str) -> Reason:
        """Why it would show this item."""
        ...
