"""The only thing inference ever sees: exact sums over units, per arm and slice. STATISTICS 1."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Pair = tuple[str, str]
K = TypeVar("K")


def pair(first: str, second: str) -> Pair:
    """The one key under which a product of two facts is kept: names in alphabetical order."""
    return (first, second) if first <= second else (second, first)


@dataclass(frozen=True, slots=True)
class Moments:
    """One arm in one slice: n units, and exact whole-number sums over them.

    `sums[f]` is the sum over units of fact f (minor units, counts, ms: the fact's own whole unit),
    `products[pair(f, g)]` the sum of f times g, `nonzero[f]` the number of units whose f is not 0.
    Units without events are in n and add zero elsewhere. Moments of disjoint sets of units add.
    A product that was not counted is absent; asking for it is a KeyError, never a zero.
    """

    n: int
    sums: Mapping[str, int] = field(default_factory=dict)
    products: Mapping[Pair, int] = field(default_factory=dict)
    nonzero: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Moments") -> "Moments":
        return _combine(self, other, sign=1)

    def __sub__(self, other: "Moments") -> "Moments":
        return _combine(self, other, sign=-1)

    def product(self, first: str, second: str) -> int:
        """The sum over units of `first` times `second`."""
        return self.products[pair(first, second)]

    def means(self, names: Iterable[str]) -> NDArray[np.float64]:
        """Means per unit, shape (len(names),); refuses n = 0 by ZeroDivisionError."""
        return np.array([self.sums[name] / self.n for name in names], dtype=np.float64)

    def covariance(self, names: Iterable[str]) -> NDArray[np.float64]:
        """Sample covariance, shape (k, k): (n Q - S S')/(n(n-1)), exact numerator, one division."""
        listed = tuple(names)
        scale = self.n * (self.n - 1)
        return np.array(
            [[(self.n * self.product(a, b) - self.sums[a] * self.sums[b]) / scale for b in listed] for a in listed],
            dtype=np.float64,
        ).reshape(len(listed), len(listed))

    def overlay(self, part: "Moments") -> "Moments":
        """This total's moments with the outcome facts of a decomposition part laid over them.

        `part` carries the part's own facts and their products, with the total's covariates among the
        partners; n and the covariates' own moments stay the total's (STATISTICS 3: all parts use the
        total's covariates, so adjusted parts add up).
        """
        return Moments(
            self.n,
            {**self.sums, **part.sums},
            {**self.products, **part.products},
            {**self.nonzero, **part.nonzero},
        )


def _combine(left: Moments, right: Moments, *, sign: Literal[1, -1]) -> Moments:
    return Moments(
        left.n + sign * right.n,
        _added(left.sums, right.sums, sign),
        _added(left.products, right.products, sign),
        _added(left.nonzero, right.nonzero, sign),
    )


def _added(left: Mapping[K, int], right: Mapping[K, int], sign: int) -> dict[K, int]:
    return {key: left.get(key, 0) + sign * right.get(key, 0) for key in (*left, *(k for k in right if k not in left))}


def total(parts: Iterable[Moments]) -> Moments:
    """The moments of the union of disjoint sets of units."""
    result = Moments(0)
    for part in parts:
        result = result + part
    return result


SliceKind = Literal["context", "decomposition"]


@dataclass(frozen=True, slots=True)
class CellKey:
    """Which units or which part: `slice` is '' for the whole, `values` its dimensions' values in order.

    `window_days` is the population: None for every exposed unit, n for units whose n days after the
    first exposure are complete at the data cut.
    """

    kind: SliceKind
    slice: str
    values: tuple[str, ...]
    window_days: int | None

    @classmethod
    def overall(cls, window_days: int | None = None) -> "CellKey":
        """All units of a population, undivided."""
        return cls("context", "", (), window_days)


ArmMoments = Mapping[str, Moments]  # arm key → moments; every declared arm is present, with n = 0 if it saw nobody
MomentTable = Mapping[CellKey, ArmMoments]
