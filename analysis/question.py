"""What the warehouse is asked for one phase at one data cut, made from what the phase froze."""

from datetime import UTC, datetime

from analysis.warehouse.base import CountRequest, DataCut, HeldOut, Split
from assignment.hashing import stage_salt
from experiments import spec
from experiments.spec import Metric, Phase


def count_request(phase: Phase, cut: DataCut) -> CountRequest:
    """What the warehouse is asked for one phase at one cut."""
    experiment = phase.experiment
    held_out = split = None
    if isinstance(experiment, spec.HeldOut):
        held_out = HeldOut(stage_salt(experiment.salt, "holdout"), experiment.buckets)
    elif isinstance(experiment, spec.Assigned) and experiment.salt is not None:
        ranges = zip(experiment.variants, experiment.splits, strict=True)
        split = Split(stage_salt(experiment.salt, "split"), tuple((arm.key, *bounds) for arm, bounds in ranges))
    metrics = tuple(phase.metrics[key] for key in experiment.metrics.keys())  # noqa: SIM118 (not a dict)
    return CountRequest(
        experiment_key=experiment.key,
        phase=phase.number,
        unit_type=experiment.unit_type,
        modules=experiment.modules,
        arms=(experiment.control.key, *(variant.key for variant in experiment.treatments)),
        started_at=naive(experiment.schedule.start_at),
        cut=cut,
        covariate_days=experiment.analysis.covariate_days,
        attribution_days=experiment.analysis.attribution_days,
        outcome_days=experiment.analysis.outcome_days,
        metrics=metrics,
        covariate_metrics={metric.key: _adjusting(metric, phase) for metric in metrics},
        slices=phase.slices,
        series=experiment.metrics.success,
        held_out=held_out,
        split=split,
    )


def none_loaded(request: CountRequest) -> str:
    """Why there is nothing to count, and which rows would have counted."""
    before = f"is loaded before {request.cut.as_of_day}; load"
    if request.held_out is not None:
        return f"no exposure of a {request.unit_type} in {', '.join(request.modules)} {before} what was served there"
    return (
        f"no exposure of it {before} its log with experiment_key {request.experiment_key}, phase {request.phase}, "
        f"unit_type {request.unit_type}, assignment_reason split and a variant of {', '.join(request.arms)}"
    )


def _adjusting(metric: Metric, phase: Phase) -> tuple[Metric, ...]:
    if isinstance(metric.covariates, list):
        return tuple(phase.metrics[key] for key in metric.covariates)
    return (metric,) if metric.covariates == "own" else ()


def naive(instant: datetime) -> datetime:
    """The instant as the warehouse writes it: UTC without a zone."""
    return instant.astimezone(UTC).replace(tzinfo=None)
