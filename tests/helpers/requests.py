"""Count requests over the shipped metrics."""

from collections.abc import Iterable
from datetime import date, datetime

from analysis.warehouse.base import CountRequest, DataCut
from experiments.catalogue import shipped_metrics
from experiments.spec import Metric


def count_request(
    metrics: Iterable[Metric], *, outcome_days: int | None = None, series: tuple[str, ...] = ()
) -> CountRequest:
    """One phase of `demo` in January 2026; a metric without covariates of its own is not adjusted."""
    listed = tuple(metrics)
    return CountRequest(
        experiment_key="demo",
        phase=1,
        unit_type="user",
        modules=("homepage",),
        arms=("control", "treatment"),
        started_at=datetime(2026, 1, 1),
        cut=DataCut(datetime(2026, 2, 1), date(2026, 2, 1), datetime(2026, 2, 1)),
        covariate_days=28,
        attribution_days=7,
        outcome_days=outcome_days,
        metrics=listed,
        covariate_metrics={metric.key: (metric,) if metric.covariates == "own" else () for metric in listed},
        slices=(),
        series=series,
    )


def shipped(*keys: str) -> tuple[Metric, ...]:
    """Shipped metrics by key."""
    return tuple(shipped_metrics()[key] for key in keys)
