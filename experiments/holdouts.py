"""A holdout as an experiment that can be read: `holdout.<key>`, who is held out against the rest. ASSIGNMENT 2.

One definition is one phase: while a holdout is in force nothing that draws its units may change.
"""

from experiments import ranges
from experiments.errors import NotFoundError, UsageError, nearest
from experiments.lifecycle.proposals import used
from experiments.lifecycle.steps import ASSUMED_UNITS
from experiments.placement import HELD, REST, Holdout
from experiments.placement import HOLDOUT_PREFIX as PREFIX
from experiments.shop import Shop
from experiments.spec import Analysis, ExperimentMetrics, HeldOut, Phase, Schedule, Variant
from experiments.store import Store
from experiments.validate import load_metrics, load_slices

METRICS = ExperimentMetrics(success=("revenue_per_unit",), secondary=("conversion", "aov"))


def is_holdout(key: str) -> bool:
    """Whether the key is a holdout's readout: no experiment's key has a full stop."""
    return key.startswith(PREFIX)


def holdout(store: Store, key: str) -> Holdout:
    """The registered holdout that `holdout.<key>` reads. NotFoundError names the nearest."""
    known = store.ground().holdouts
    found = known.get(key.removeprefix(PREFIX))
    if found is None:
        near = nearest(key, [PREFIX + each for each in known])
        step = f"nearest: {', '.join(near)}" if near else "`truelift register` its file in holdouts/ first"
        raise NotFoundError(f"no holdout {key.removeprefix(PREFIX)} is registered; {step}")
    return found


def holdouts(store: Store) -> tuple[HeldOut, ...]:
    """Every registered holdout, as it is read."""
    return tuple(as_experiment(each) for each in store.ground().holdouts.values())


def as_experiment(held: Holdout) -> HeldOut:
    """Control is who is held out, the treatment is the rest, so that a lift is what the holdout's units go without."""
    points = sum(end - start for start, end in held.buckets)
    return HeldOut(
        key=PREFIX + held.key,
        name=f"Holdout {held.key}",
        owner=held.owner,
        assignment="holdout",
        modules=held.modules,
        unit_type=held.unit_type,
        salt=held.salt,
        buckets=held.buckets,
        variants=(
            Variant(key=HELD, weight=ranges.share_text(points), is_control=True, strategy=held.strategy),
            Variant(key=REST, weight=ranges.share_text(ranges.BUCKETS - points)),
        ),
        schedule=Schedule(start_at=held.start_at, end_at=held.end_at),
        metrics=held.metrics or METRICS,
        analysis=Analysis(comparator=held.comparator, planned_units=held.planned_units),
    )


def as_phase(held: Holdout, shop: Shop) -> Phase:
    """Its one phase, with the shop's metrics and slices as they stand.

    UsageError when nobody is left to compare, or when a metric is gone.
    """
    experiment = as_experiment(held)
    if sum(end - start for start, end in held.buckets) == ranges.BUCKETS:
        raise UsageError(
            f"{experiment.key}: it holds all {ranges.BUCKETS:,} buckets, so there is no rest to compare with"
        )
    catalogue = load_metrics(shop).metrics
    gone = [key for key in experiment.metrics.keys() if key not in catalogue]  # noqa: SIM118 (not a dict)
    if gone:
        raise UsageError(f"{experiment.key}: the shop has no metric {', '.join(gone)} any more; put it back")
    planned = experiment.analysis.planned_units
    return Phase(
        number=1,
        experiment=experiment,
        metrics=used(experiment, catalogue),
        slices=load_slices(shop),
        started_at=held.start_at,
        planned_units=ASSUMED_UNITS if planned is None else planned,
        planned_units_assumed=planned is None,
    )
