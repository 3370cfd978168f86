"""The signal checks of a readout, in the order they are shown. SIGNALS.

A check is one function from `Evidence` to a `Finding` and one line in `RULES`; its SQL returns the
groups it looks at. Thresholds are one table in `thresholds`. A failure withholds what its hold says.
"""

from collections.abc import Callable
from dataclasses import dataclass

from analysis import words
from analysis.health import consistency, delivery, drift, events, population, split, stock
from analysis.health.findings import Evidence, Finding
from analysis.health.thresholds import THRESHOLDS
from analysis.readout import Check, Withholds
from analysis.verdict import Hold

__all__ = ["CHECKS", "RULES", "THRESHOLDS", "Evidence", "Health", "evaluate"]

RULES: tuple[Callable[[Evidence], Finding], ...] = (
    split.sample_ratio,
    events.add_to_cart,
    events.catalogue_join,
    split.duplicates,
    delivery.late_events,
    delivery.clock_skew,
    split.two_arms,
    events.order_of_events,
    split.audit,
    population.met_the_module,
    population.bots,
    population.identity,
    delivery.volume,
    consistency.consistency,
    split.pre_period,
    split.registered,
    stock.stock_known,
    population.spikes,
    stock.completeness,
    drift.drift,
    events.contract,
)

CHECKS: tuple[str, ...] = (
    "sample_ratio",
    "missing_add_to_cart",
    "catalogue_join",
    "duplicates",
    "late_events",
    "clock_skew",
    "two_arms",
    "order_of_events",
    "met_the_module",
    "busy_units",
    "identity",
    "volume",
    "returns_unlinked",
    "clicks_not_shown",
    "orders_shared",
    "unregistered_variant",
    "stock_known",
    "spikes",
    "margin_coverage",
    "catalogue_fields",
    "drift",
    "rejected_rows",
)
"""The queries to run: each is sql/checks/<name>.sql, its rows go into `Evidence.rows[name]`."""


@dataclass(frozen=True, slots=True)
class Health:
    """Every check's result, and what the failing ones withhold."""

    checks: tuple[Check, ...]
    holds: tuple[Hold, ...]


FIRST_CAUSE = "SH-16"  # a variant nobody registered takes units out of the others: what it brings about comes after


def evaluate(given: Evidence) -> Health:
    """Judge everything; pure. Holds come in the order of the checks, but for the one that causes others."""
    findings = [rule(given) for rule in RULES]
    holds = sorted((f.hold for f in findings if f.hold is not None), key=lambda hold: hold.check != FIRST_CAUSE)
    return Health(tuple(_telling(f, given) for f in findings), tuple(holds))


def _telling(found: Finding, given: Evidence) -> Check:
    """The check with what it withholds now."""
    if found.hold is None:
        return found.check
    held, kind = found.hold.metrics, given.experiment.unit_type
    labels = [words.label(metric.label, kind) for key, metric in given.metrics.items() if held and key in held]
    tells = Withholds(everything=held is None, metrics=tuple(labels), dimensions=tuple(sorted(found.hold.dimensions)))
    return found.check.model_copy(update={"withholds": tells})
