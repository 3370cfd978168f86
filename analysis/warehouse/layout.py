"""What one count has to produce: the columns of the unit table and the products inference needs of them. Pure.

A fact is a column after first exposure (`f_…`), its twin in the covariate window another (`x_…`). Twins ignore the
outcome window, so facts that differ only in `window_days` share one twin column; the moments carry it under every name.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.inference.moments import Pair, pair
from analysis.warehouse.base import CountRequest
from experiments.spec import SEEN_BEFORE, FactColumn, Metric


@dataclass(frozen=True, slots=True)
class MetricColumns:
    """The facts of one metric and the twins that adjust it, in the order of its declaration."""

    metric: Metric
    facts: tuple[FactColumn, ...]
    covariates: tuple[FactColumn, ...]  # read in the covariate window; () means unadjusted

    @property
    def window_days(self) -> int | None:
        """The population the metric is read in."""
        return self.facts[0].window_days

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """The twins by their own names, then seen_before; () when the metric is unadjusted."""
        names = tuple(dict.fromkeys(column.pre_key for column in self.covariates))
        return (*names, SEEN_BEFORE) if names else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name whose sum and mutual products the metric needs."""
        return (*dict.fromkeys(column.key for column in self.facts), *self.covariate_names)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All products among the names, once each."""
        return all_pairs(self.names)


@dataclass(frozen=True, slots=True)
class Layout:
    """The unit table of one request."""

    metrics: tuple[MetricColumns, ...]

    @property
    def post(self) -> tuple[FactColumn, ...]:
        """Every fact after first exposure, once."""
        return tuple({fact.key: fact for metric in self.metrics for fact in metric.facts}.values())

    @property
    def pre(self) -> tuple[FactColumn, ...]:
        """Every distinct twin, once, as the fact without an outcome window."""
        twins = [without_window(fact) for metric in self.metrics for fact in metric.covariates]
        return tuple({twin.pre_key: twin for twin in twins}.values())

    @property
    def column_of(self) -> dict[str, str]:
        """The column of the unit table behind every name used in moments."""
        columns = {fact.key: fact.key for fact in self.post} | {SEEN_BEFORE: SEEN_BEFORE}
        return columns | {
            fact.pre_key: without_window(fact).pre_key for metric in self.metrics for fact in metric.covariates
        }

    @property
    def binary(self) -> frozenset[str]:
        """The columns that are 0 or 1 for every unit, so that their square is themselves."""
        post = {fact.key for fact in self.post if fact.fact.binary}
        return frozenset(post | {fact.pre_key for fact in self.pre if fact.fact.binary} | {SEEN_BEFORE})

    @property
    def windows(self) -> tuple[int, ...]:
        """The outcome windows in use, ascending; each is a population of its own."""
        return tuple(sorted({m.window_days for m in self.metrics if m.window_days is not None}))

    @property
    def mature_days(self) -> tuple[int, ...]:
        """The maturities in use, with 0."""
        return tuple(sorted({0, *(metric.metric.mature_days for metric in self.metrics),
                             *(fact.mature_days for fact in self.pre)}))  # fmt: skip

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Every covariate of every metric by every name it has, then seen_before."""
        names = dict.fromkeys(name for metric in self.metrics for name in metric.covariate_names if name != SEEN_BEFORE)
        return (*names, SEEN_BEFORE)

    def of(self, window_days: int | None) -> tuple[MetricColumns, ...]:
        """The metrics read in one population."""
        return tuple(metric for metric in self.metrics if metric.window_days == window_days)


def layout(request: CountRequest) -> Layout:
    """The columns and products that the request's metrics need."""
    return Layout(
        tuple(
            MetricColumns(
                metric,
                metric.facts(request.outcome_days),
                tuple(
                    fact
                    for partner in request.covariate_metrics.get(metric.key, ())
                    for fact in partner.facts(request.outcome_days)
                ),
            )
            for metric in request.metrics
        )
    )


def without_window(fact: FactColumn) -> FactColumn:
    """The same fact for all of a unit's time: what its pre-period twin is counted as."""
    return FactColumn(fact.fact, fact.scope, None, fact.mature_days)


def all_pairs(names: Iterable[str]) -> tuple[Pair, ...]:
    """Every unordered pair of the names, each with itself too."""
    listed = tuple(dict.fromkeys(names))
    return tuple(dict.fromkeys(pair(a, b) for i, a in enumerate(listed) for b in listed[i:]))
