"""Which cells a failing signal check holds: what the newest published readouts say, for every comparison. SIGNALS.

A check of how an experiment was split concerns its own comparisons only. A check of what was logged concerns every
comparison on its modules, and the whole site. An unknown check holds nothing: it is no failure, and no pass either.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.alerts.model import METRICS, Cell, Comparison, Metric
from analysis.health.thresholds import THRESHOLDS
from analysis.pipeline import read
from analysis.readout import Check, Figure, Readout
from analysis.subjects import everything
from experiments.store import SnapshotHead, Store

FRESH = timedelta(days=3)  # an older readout says nothing of what the signals are now
PREFIX = "holdout."  # of a holdout's readout

OF_LOGS = ("SH-02", "SH-13", "SH-14")  # checks of what was logged, whoever it was shown to
OF_FIGURE: Mapping[str, tuple[Metric, ...]] = {"not_shown": ("click",), "shared": ("order", "revenue")}  # of SH-14
OF_KIND: Mapping[str, tuple[Metric, ...]] = {  # rows that are missing; without slots or views nothing can be counted
    "click": ("click",), "add_to_cart": ("add_to_cart",), "purchase": ("order", "revenue"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """One failing check of one readout, and which metrics it makes unbelievable."""

    check: str
    key: str  # of the experiment or holdout, as a comparison names it
    modules: frozenset[str]
    metrics: tuple[Metric, ...]

    @property
    def of_logs(self) -> bool:
        """Whether other comparisons on the modules are concerned as well."""
        return self.check in OF_LOGS

    def holds(self, comparison: Comparison, cell: Cell, metric: Metric) -> bool:
        """Whether a loss of that metric is not to be believed there."""
        if metric not in self.metrics:
            return False
        return comparison.key.removeprefix(PREFIX) == self.key or (
            self.of_logs and (cell.is_site or cell.module in self.modules)
        )


class Signals:
    """The readouts of a store, each read once: a run asks at many bucket ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heads = tuple(head for each in everything(store) for head in store.snapshots(each.key))
        self._read: dict[str, tuple[Failure, ...]] = {}
        self.names: dict[str, str] = {}  # of the checks that were read, as a reader knows them

    def failures(self, at: datetime) -> tuple[Failure, ...]:
        """What fails in each experiment's and holdout's newest readout whose data end in (at − 3 days, at]."""
        newest: dict[str, SnapshotHead] = {}
        fresh = (head for head in self._heads if at - FRESH < head.as_of <= at)
        for head in sorted(fresh, key=lambda head: (head.as_of, head.published_at, head.snapshot_id)):
            newest[head.experiment_key] = head
        return tuple(found for _, head in sorted(newest.items()) for found in self._failing(head.snapshot_id))

    def _failing(self, snapshot_id: str) -> tuple[Failure, ...]:
        if snapshot_id not in self._read:
            readout = read(self._store.snapshot(snapshot_id))
            self._read[snapshot_id] = tuple(failing(readout))
            self.names |= {check.id: check.label for check in readout.checks}
        return self._read[snapshot_id]


def check_names(store: Store) -> dict[str, str]:
    """Signal checks as a reader knows them, by their id, of the newest readouts."""
    newest = (store.latest(each.key) for each in everything(store))
    return {check.id: check.label for found in newest if found is not None for check in read(found).checks}


def failing(readout: Readout) -> Iterable[Failure]:
    """The failing checks of a readout that hold something."""
    for check in readout.checks:
        metrics = _metrics(check)
        if check.state == "fail" and metrics:
            key = readout.experiment.key.removeprefix(PREFIX)
            yield Failure(check.id, key, frozenset(readout.experiment.modules), metrics)


def held_by(found: Iterable[Failure], comparison: Comparison, cell: Cell, metric: Metric) -> tuple[str, ...]:
    """The checks that hold a metric of a cell, each once, by id."""
    return tuple(sorted({each.check for each in found if each.holds(comparison, cell, metric)}))


def _metrics(check: Check) -> tuple[Metric, ...]:
    """What a failure makes unbelievable."""
    if check.withholds is not None and check.withholds.everything:
        return METRICS
    match check.id:
        case "SH-02":
            found: Iterable[Metric] = ("add_to_cart",)
        case "SH-13":
            found = _missing(check)
        case "SH-14":
            failed = [each.figure for each in check.judged if each.state == "fail"]
            found = [metric for figure in failed for metric in OF_FIGURE.get(figure, ())]
        case _:
            found = ()
    return tuple(metric for metric in METRICS if metric in found)


def _missing(check: Check) -> Iterable[Metric]:
    """By the kinds of rows that fell too far; all where everything is old."""
    limit = THRESHOLDS["volume"]
    kinds = {str(group.get("kind")) for group in check.groups if limit.state(_number(group.get("change"))) == "fail"}
    return {metric for kind in kinds for metric in OF_KIND.get(kind, METRICS)} if kinds else METRICS


def _number(figure: Figure) -> float:
    return float(figure) if isinstance(figure, int | float) else 0.0
