"""Decomposition: which statements give the moments of which parts, and how they are put together. Pure.

Sums of a fact, and its products with a covariate of the whole unit, add over cells: one statement a source counts them
in its finest cells. Products of two facts do not, so each level counts its own, unless its cells are the finest ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.inference.moments import Pair
from analysis.warehouse.counting.layout import Layout, MetricColumns
from analysis.warehouse.counting.moment_table import Sums
from analysis.warehouse.counting.slices import FinestCells
from experiments.spec import Source


@dataclass(frozen=True, slots=True)
class SourcePart:
    """One run of moments_decomposition.sql."""

    source: Source
    sums: Sums


@dataclass(frozen=True, slots=True)
class LevelPart:
    """One run of part_products.sql: a level, and the facts of one source, or of the several a ratio takes."""

    level: str
    facts: Mapping[Source, tuple[str, ...]]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Parts:
    """Every run the parts of a request take."""

    sources: tuple[SourcePart, ...]
    levels: tuple[LevelPart, ...]


def part_facts(layout: Layout) -> dict[Source, tuple[str, ...]]:
    """The facts whose parts are counted, by source."""
    found: dict[Source, dict[str, None]] = {}
    for metric in layout.metrics:
        for fact in metric.facts if metric.levels else ():
            found.setdefault(layout.post[fact].fact.source, {})[fact] = None
    return {source: tuple(facts) for source, facts in found.items()}


def plan_parts(layout: Layout, finest: Mapping[Source, FinestCells]) -> Parts:
    """The runs that give every part of every metric its sums and products."""
    sources: list[SourcePart] = []
    levels: list[LevelPart] = []
    for source, facts in part_facts(layout).items():
        if source not in finest:
            continue
        cells = finest[source]
        own = _pairs(layout, layout.metrics, {source})
        outside = _with_covariates(layout, facts)
        alone = any(cells.alone(level) for level in cells.levels)
        products = (*outside, *own) if alone else outside
        sources.append(SourcePart(source, Sums(facts, facts if alone else (), layout.columns(products), {})))
        for level in cells.levels:
            if not cells.alone(level):
                metrics = [metric for metric in layout.metrics if level in metric.levels]
                named = _facts_of(layout, metrics, source)
                if named:
                    products = layout.columns(_pairs(layout, metrics, {source}))
                    levels.append(LevelPart(level, {source: named}, Sums((), named, products, {})))
    for level, mixed in _mixed(layout).items():
        for together, metrics in mixed.items():
            if together <= set(finest):
                named_by = {source: _facts_of(layout, metrics, source) for source in sorted(together)}
                levels.append(LevelPart(level, named_by, Sums((), (), layout.columns(_across(layout, metrics)), {})))
    return Parts(tuple(sources), tuple(levels))


def _with_covariates(layout: Layout, facts: Iterable[str]) -> tuple[Pair, ...]:
    wanted = set(facts)
    return tuple(
        both
        for metric in layout.metrics
        if metric.levels
        for both in metric.part_pairs
        if set(both) & wanted and set(both) & set(metric.covariates)
    )


def _pairs(layout: Layout, metrics: Iterable[MetricColumns], sources: set[Source]) -> tuple[Pair, ...]:
    """Products of two facts of these sources."""
    return tuple(
        both
        for metric in metrics
        if metric.levels
        for both in metric.part_pairs
        if set(both) <= set(metric.facts) and {layout.post[name].fact.source for name in both} <= sources
    )


def _across(layout: Layout, metrics: Iterable[MetricColumns]) -> tuple[Pair, ...]:
    return tuple(
        both
        for metric in metrics
        for both in metric.part_pairs
        if set(both) <= set(metric.facts) and len({layout.post[name].fact.source for name in both}) > 1
    )


def _facts_of(layout: Layout, metrics: Iterable[MetricColumns], source: Source) -> tuple[str, ...]:
    named = (fact for metric in metrics for fact in metric.facts if layout.post[fact].fact.source == source)
    return tuple(dict.fromkeys(named))


def _mixed(layout: Layout) -> dict[str, dict[frozenset[Source], list[MetricColumns]]]:
    """The metrics whose facts come from two sources, by level and sources."""
    found: dict[str, dict[frozenset[Source], list[MetricColumns]]] = {}
    for metric in layout.metrics:
        if len(metric.sources) > 1:
            for level in metric.levels:
                found.setdefault(level, {}).setdefault(metric.sources, []).append(metric)
    return found
