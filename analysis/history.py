"""What earlier runs measured: from published snapshots to one unit's noise and the pace at which units came.

A plan reads the newest snapshot that has the metric for the same unit type: first of runs on the same modules, then of
others. Metrics that count the experiment's own slots and clicks are taken from the same modules only. A withheld
snapshot is not read, nor a metric that was not determined or had too few units to be tested.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from analysis.assembly.identity import Kept, read_moments
from analysis.assembly.rows import ESTIMATOR
from analysis.inference import metrics
from analysis.inference.decision import GATE_UNITS
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments, pair
from analysis.inference.planning import Accrual, Noise, noise
from analysis.inference.result import Undetermined
from analysis.readout import Readout
from experiments.spec import Experiment, Metric
from experiments.store import Snapshot, SnapshotHead, Store

NEWEST = 20  # runs that are looked into


@dataclass(frozen=True, slots=True)
class Past:
    """What one published run knows of a metric; `modules` are the run's."""

    key: str
    modules: tuple[str, ...]
    noise: Noise
    accrual: Accrual


def earlier(
    store: Store, experiment: Experiment, asked: tuple[Metric, ...], catalogue: Mapping[str, Metric]
) -> dict[str, Past]:
    """The newest that is known of each metric, by its key; a metric that no run has is not in it."""
    found: dict[str, Past] = {}
    missing = {metric.key: metric for metric in asked}
    for run in _runs(store, experiment):
        if not missing:
            break
        for metric in tuple(missing.values()):
            known = run.past(metric, metrics.plan(metric, catalogue, experiment.analysis.outcome_days), experiment)
            if known is not None:
                found[metric.key] = known
                del missing[metric.key]
    return found


@dataclass(frozen=True, slots=True)
class _Run:
    readout: Readout
    control: Mapping[int | None, Moments]  # by outcome window: every unit of the control arm
    accrual: Accrual

    def past(self, metric: Metric, plan: MetricPlan, wanted: Experiment) -> Past | None:
        head, moments = self.readout.experiment, self.control.get(plan.window_days)
        here = set(head.modules) == set(wanted.modules)
        own_slots = any(fact.scope == "module" for fact in metric.facts(None))
        row = next((row for row in self.readout.metrics or () if row.key == metric.key), None)
        if row is None or moments is None or (own_slots and not here):
            return None
        if all(each.not_determined is not None for each in row.comparisons) or not _has(moments, plan.facts):
            return None
        if moments.nonzero.get(plan.gate_fact, 0) < GATE_UNITS:
            return None
        if not _has(moments, (*plan.facts, *plan.covariates)):
            plan = replace(plan, covariates=())
        of = noise(moments, plan, ESTIMATORS[ESTIMATOR])
        return None if isinstance(of, Undetermined) else Past(head.key, head.modules, of, self.accrual)


def _runs(store: Store, experiment: Experiment) -> Iterator[_Run]:
    """The newest snapshot of each run on the same unit type, those on the same modules first, read one by one."""
    heads: list[tuple[bool, SnapshotHead]] = []
    for known in store.registered():
        if known.experiment.unit_type == experiment.unit_type:
            of_it = [head for head in store.snapshots(known.key) if head.verdict != "WITHHELD"]
            same = set(known.experiment.modules) == set(experiment.modules)
            if of_it:
                heads.append((same, max(of_it, key=lambda head: (head.phase, head.as_of, head.published_at))))
    heads.sort(key=lambda each: (each[0], each[1].as_of), reverse=True)
    for _, head in heads[:NEWEST]:
        run = _read(store.snapshot(head.snapshot_id))
        if run is not None and run.readout.experiment.unit_type == experiment.unit_type:
            yield run


def _read(snapshot: Snapshot) -> _Run | None:
    """A snapshot with its moments; None where none were kept with it."""
    if not snapshot.moments:
        return None
    readout = Readout.from_json(zlib.decompress(snapshot.body))
    kept = read_moments(zlib.decompress(snapshot.moments).decode())
    control = next(arm.key for arm in readout.arms if arm.is_control)
    whole = {window: arms[control] for window, arms in kept.overall.items() if control in arms}
    return _Run(readout, whole, _accrual(kept))


def _accrual(kept: Kept) -> Accrual:
    """Units of all arms by day; of a run without a series all that came, over its days with data."""
    if kept.arrived:
        first = min(kept.arrived)
        return Accrual(tuple(((day - first).days + 1, units) for day, units in kept.arrived.items()))
    return Accrual(((kept.days_with_data, kept.units),) if kept.days_with_data else ())


def _has(moments: Moments, names: tuple[str, ...]) -> bool:
    """Whether the names and the products that an estimate needs of them were counted."""
    return all(name in moments.sums and pair(name, other) in moments.products for name in names for other in names)
