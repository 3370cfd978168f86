"""Counted groups to moments: rows of whole numbers in, `Moments` under the names of the metrics out. Pure.

A statement sums the same columns for every group, so a group is one vector of Python integers and the union of disjoint
groups is their sum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.inference.moments import ArmMoments, Moments, Pair, pair
from analysis.warehouse.counting.layout import Layout
from experiments.spec import SEEN_BEFORE

Vector = NDArray[np.object_]  # Python integers: nothing can overflow
Group = tuple[int, int, int]  # arm, number of complete outcome windows, cell
Groups = Mapping[Group, Vector]


@dataclass(frozen=True, slots=True)
class Sums:
    """Which sums a statement takes, in the order of a group's vector: n, sums, non-zero counts, products.

    Names are columns of the unit table. A product that is a sum already (the square of a 0/1 column, seen_before times
    a covariate) is `derived` and not asked for.
    """

    sums: tuple[str, ...]
    nonzero: tuple[str, ...]
    products: tuple[Pair, ...]
    derived: Mapping[Pair, str]

    @property
    def width(self) -> int:
        """How many numbers a group has."""
        return 1 + len(self.sums) + len(self.nonzero) + len(self.products)

    def reading(
        self, layout: Layout, names: Iterable[str], pairs: Iterable[Pair], nonzero: Iterable[str] | None = None
    ) -> "Reading":
        """How a group's vector is read under these names and products; non-zero units of the names, or of `nonzero`."""
        start = 1 + len(self.sums)
        place = {name: 1 + i for i, name in enumerate(self.sums)}
        counted = {name: start + i for i, name in enumerate(self.nonzero)}
        product = {both: start + len(self.nonzero) + i for i, both in enumerate(self.products)}
        product |= {both: place[name] for both, name in self.derived.items()}
        of = layout.column_of
        listed = tuple(dict.fromkeys(names))
        return Reading(
            {name: place[of[name]] for name in listed},
            {both: product[pair(of[both[0]], of[both[1]])] for both in pairs},
            {name: counted[of[name]] for name in (listed if nonzero is None else nonzero) if of[name] in counted},
            self.width,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """Positions in a group's vector, by the names of the moments they become."""

    sums: Mapping[str, int]
    products: Mapping[Pair, int]
    nonzero: Mapping[str, int]
    width: int

    def moments(self, group: Vector | None, n: int | None = None) -> Moments:
        """One group's moments; no group is an arm that saw nobody. `n` replaces the group's own."""
        values: list[int] = [0] * self.width if group is None else group.tolist()
        return Moments(
            values[0] if n is None else n,
            {name: values[i] for name, i in self.sums.items()},
            {both: values[i] for both, i in self.products.items()},
            {name: values[i] for name, i in self.nonzero.items()},
        )

    def arms(self, arms: Sequence[str], groups: Mapping[int, Vector], n: Sequence[int] | None = None) -> ArmMoments:
        """Every declared arm's moments, from vectors by arm code."""
        return {arm: self.moments(groups.get(code), None if n is None else n[code]) for code, arm in enumerate(arms)}


def context_sums(layout: Layout) -> Sums:
    """What the unit table is summed for in every context cell: all that any metric needs."""
    return _unit_sums(layout, (both for metric in layout.metrics for both in metric.pairs), layout.post)


def covariate_sums(layout: Layout) -> Sums:
    """All products among all covariates, which the pre-period check needs of the whole."""
    columns = [(a, b) for i, a in enumerate(layout.covariates) for b in layout.covariates[i:]]
    return _unit_sums(layout, columns, (*layout.pre, SEEN_BEFORE))


def entry_sums(layout: Layout) -> Sums:
    """What a unit adds to the series' moments on the day it enters: itself and its covariates."""
    return _unit_sums(layout, (p for m in layout.series for p in m.pairs if set(p) <= set(m.covariates)), ())


def day_sums(layout: Layout) -> Sums:
    """What a day adds to the series' moments: the metrics' facts and the products they are in."""
    facts = tuple(dict.fromkeys(fact for metric in layout.series for fact in metric.facts))
    products = layout.columns(both for metric in layout.series for both in metric.part_pairs)
    return Sums(facts, facts, products, {})


def added(groups: Iterable[Groups]) -> dict[Group, Vector]:
    """Groups of disjoint units, added up."""
    total: dict[Group, Vector] = {}
    for part in groups:
        for group, vector in part.items():
            total[group] = total[group] + vector if group in total else vector
    return total


def _unit_sums(layout: Layout, pairs: Iterable[Pair], counted: Iterable[str]) -> Sums:
    wanted = layout.columns(pairs)
    columns = tuple(dict.fromkeys(name for both in wanted for name in both))
    derived = {both: known for both in wanted if (known := _known_product(layout, both)) is not None}
    nonzero = set(counted)
    return Sums(
        columns,
        tuple(name for name in columns if name in nonzero),
        tuple(both for both in wanted if both not in derived),
        derived,
    )


def _known_product(layout: Layout, both: Pair) -> str | None:
    first, second = both
    if first == second:
        return first if first in layout.binary else None
    if SEEN_BEFORE in both:
        other = second if first == SEEN_BEFORE else first
        return other if other in layout.pre else None  # a covariate is 0 where the unit was not seen
    return None
