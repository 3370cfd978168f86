"""What one count has to produce: the columns of the unit table and the products inference needs of them. Pure.

A fact is a column after first exposure (`f_…`), its twin in the covariate window another (`x_…`). Twins ignore the
outcome window, so facts that differ only in `window_days` share one twin column; moments carry it under every name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.inference.moments import Pair, pair
from analysis.warehouse.base import CountRequest
from experiments.spec import SEEN_BEFORE, FactColumn, Metric, Source, SumOf

# Decomposition levels: the CellKey's slice and the dimensions whose values name a cell.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "module": ("module",),
    "item_category": ("item_category",),
    "page_category": ("page_category",),
    "module_item_category": ("module", "item_category"),
    "module_page_category": ("module", "page_category"),
}


@dataclass(frozen=True, slots=True)
class MetricColumns:
    """One metric: its facts, the twins that adjust it, and every product it is read from."""

    key: str
    window_days: int | None  # the population it is read in
    facts: tuple[str, ...]  # numerator, then the denominator of a ratio
    covariates: tuple[str, ...]  # twins by their own names, then seen_before; () when it is not adjusted
    sources: frozenset[Source]
    levels: tuple[str, ...]  # the decomposition levels that cover it

    @property
    def names(self) -> tuple[str, ...]:
        """Every name whose sum it needs."""
        return (*dict.fromkeys(self.facts), *self.covariates)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every product it needs: all pairs of its names."""
        return all_pairs(self.names)

    @property
    def part_pairs(self) -> tuple[Pair, ...]:
        """The products a decomposition part changes: those with a fact in them."""
        return tuple(both for both in self.pairs if not set(both) <= set(self.covariates))


@dataclass(frozen=True, slots=True)
class Layout:
    """The unit table of one request."""

    metrics: tuple[MetricColumns, ...]
    post: Mapping[str, FactColumn]  # column → fact, after first exposure
    pre: Mapping[str, FactColumn]  # column → fact, in the covariate window
    column_of: Mapping[str, str]  # every name used in moments → its column
    binary: frozenset[str]  # columns that are 0 or 1 for every unit, so that their square is themselves
    signed: frozenset[str]  # columns that may be below 0
    windows: tuple[int, ...]  # outcome windows in use, ascending: each is a population of its own
    covariates: tuple[str, ...]  # every covariate by every name, then seen_before
    series: tuple[MetricColumns, ...]  # the metrics whose moments are kept by day
    mature_days: tuple[int, ...]  # maturities in use, with 0

    def of(self, window_days: int | None) -> tuple[MetricColumns, ...]:
        """The metrics read in one population."""
        return tuple(metric for metric in self.metrics if metric.window_days == window_days)

    def columns(self, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
        """Pairs of names as pairs of columns, once each."""
        return tuple(dict.fromkeys(pair(self.column_of[a], self.column_of[b]) for a, b in pairs))

    @property
    def parts(self) -> tuple[str, ...]:
        """The facts that decomposition parts are counted of."""
        return tuple(dict.fromkeys(fact for metric in self.metrics if metric.levels for fact in metric.facts))


def layout(request: CountRequest) -> Layout:
    """The columns and products that the request's metrics need."""
    post: dict[str, FactColumn] = {}
    pre: dict[str, FactColumn] = {}
    column_of = {SEEN_BEFORE: SEEN_BEFORE}
    metrics: list[MetricColumns] = []
    for metric in request.metrics:
        facts = {fact.key: fact for fact in metric.facts(request.outcome_days)}
        twins: list[str] = []
        for partner in request.covariate_metrics.get(metric.key, ()):
            for fact in partner.facts(request.outcome_days):
                twin = _without_window(fact)
                pre[twin.pre_key] = twin
                column_of[fact.pre_key] = twin.pre_key
                twins.append(fact.pre_key)
        post |= facts
        column_of |= {key: key for key in facts}
        metrics.append(_metric_columns(metric, facts, twins))
    signed = {name for name, fact in (*post.items(), *pre.items()) if _signed(fact)}
    names = dict.fromkeys(name for metric in metrics for name in metric.covariates if name != SEEN_BEFORE)
    return Layout(
        metrics=tuple(metrics),
        post=post,
        pre=pre,
        column_of=column_of,
        binary=frozenset(n for n, fact in (*post.items(), *pre.items()) if fact.fact.binary) | {SEEN_BEFORE},
        signed=frozenset(signed),
        windows=tuple(sorted({m.window_days for m in metrics if m.window_days is not None})),
        covariates=(*names, SEEN_BEFORE),
        series=tuple(m for m in metrics if m.key in request.series and m.window_days is None),
        mature_days=tuple(sorted({0, *(fact.mature_days for fact in (*post.values(), *pre.values()))})),
    )


def all_pairs(names: Iterable[str]) -> tuple[Pair, ...]:
    """Every unordered pair of the names, each with itself too."""
    listed = tuple(dict.fromkeys(names))
    return tuple(pair(a, b) for i, a in enumerate(listed) for b in listed[i:])


def _metric_columns(metric: Metric, facts: Mapping[str, FactColumn], twins: Iterable[str]) -> MetricColumns:
    covariates = tuple(dict.fromkeys(twins))
    native = set(metric.native_dimensions())
    return MetricColumns(
        key=metric.key,
        window_days=next(iter(facts.values())).window_days,
        facts=tuple(facts),
        covariates=(*covariates, SEEN_BEFORE) if covariates else (),
        sources=frozenset(fact.fact.source for fact in facts.values()),
        levels=tuple(level for level, dimensions in LEVELS.items() if set(dimensions) <= native),
    )


def _without_window(fact: FactColumn) -> FactColumn:
    return FactColumn(fact.fact, fact.scope, None, fact.mature_days)


def _signed(fact: FactColumn) -> bool:
    match fact.fact.measure:
        case SumOf(sum=column):
            return column in ("margin", "net_margin")
    return False
