"""Counted rows to moments: the same columns are summed for every group, and groups of disjoint units add. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.inference.moments import Moments, Pair, pair
from analysis.warehouse.layout import Layout, MetricColumns
from experiments.spec import SEEN_BEFORE

Vector = NDArray[np.object_]  # Python integers, so that nothing can overflow


@dataclass(frozen=True, slots=True)
class Sums:
    """Which sums one statement takes of the unit table, in the order of its result columns after n.

    `sums` and `products` are columns of the unit table, `nonzero` those whose non-zero units are counted. Products
    that are sums already (the square of a 0/1 column, seen_before times a covariate) are not asked for again.
    """

    sums: tuple[str, ...]
    nonzero: tuple[str, ...]
    products: tuple[Pair, ...]
    derived: Mapping[Pair, str]

    @classmethod
    def of(cls, layout: Layout, pairs: Iterable[Pair], *, nonzero: bool = True) -> "Sums":
        """The sums that give these pairs of columns, and the columns themselves."""
        wanted = tuple(dict.fromkeys(pairs))
        columns = tuple(dict.fromkeys(name for both in wanted for name in both))
        derived = {both: known for both in wanted if (known := _known_product(layout, both)) is not None}
        facts = {fact.key for fact in layout.post} if nonzero else set()
        return cls(
            columns,
            tuple(name for name in columns if name in facts),
            tuple(both for both in wanted if both not in derived),
            derived,
        )

    @property
    def width(self) -> int:
        """How many numbers a group has, n included."""
        return 1 + len(self.sums) + len(self.nonzero) + len(self.products)

    def moments(
        self, group: Vector | None, metrics: Sequence[MetricColumns], extra: Iterable[Pair], of: "Names"
    ) -> Moments:
        """One group's moments under the names of `metrics`; no group is an arm that saw nobody."""
        values: list[int] = [0] * self.width if group is None else group.tolist()
        sums = dict(zip(self.sums, values[1:], strict=False))
        nonzero = dict(zip(self.nonzero, values[1 + len(self.sums) :], strict=False))
        products = dict(zip(self.products, values[1 + len(self.sums) + len(self.nonzero) :], strict=True))
        products |= {both: sums[name] for both, name in self.derived.items()}
        names = dict.fromkeys(name for metric in metrics for name in metric.names)
        pairs = dict.fromkeys(both for metric in metrics for both in metric.pairs) | dict.fromkeys(extra)
        names |= dict.fromkeys(name for both in pairs for name in both)
        return Moments(
            values[0],
            {name: sums[of[name]] for name in names},
            {both: products[pair(of[both[0]], of[both[1]])] for both in pairs},
            {name: nonzero[name] for name in names if name in nonzero},
        )


Names = Mapping[str, str]  # a name in moments → its column of the unit table


def _known_product(layout: Layout, both: Pair) -> str | None:
    first, second = both
    if first == second:
        return first if first in layout.binary else None
    if SEEN_BEFORE in both:
        other = second if first == SEEN_BEFORE else first
        return other if other.startswith("x_") else None  # a covariate is 0 where the unit was not seen
    return None


def added(groups: Iterable[Vector]) -> Vector | None:
    """The sum of disjoint groups; None when there is none."""
    result: Vector | None = None
    for group in groups:
        result = group if result is None else result + group
    return result
