"""What a change of an early metric is worth, learned once a day from experiments that are over, and kept. ALERTS 3."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from analysis.alerts.measures import measured
from analysis.alerts.measures.shelf import Shelf
from analysis.alerts.model import LONG, METRICS, Comparison, Metric
from analysis.alerts.weighing.conversion import REVENUE, Conversion, Pair, Unstable, learn, pair
from experiments.base import canonical
from experiments.store import Measure, Store

KIND, MINUTES = "conversion", 1_440  # of a measure: a day's
OVER = timedelta(days=1)  # without a bucket for so long, an experiment is over


class Conversions:
    """The stable conversions, by day: what was learned on a day holds for all of it, whenever it is asked again."""

    def __init__(self, store: Store, shelf: Shelf) -> None:
        self._store, self._shelf = store, shelf
        self._kept: dict[datetime, Mapping[Metric, Conversion]] = {}

    def at(self, at: datetime) -> Mapping[Metric, Conversion]:
        """Those that are stable on the day of `at` (UTC), revenue's always, the earliest metric first."""
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if day not in self._kept:
            self._kept[day] = self._stored(day) or self._learned(day)
        return self._kept[day]

    def _stored(self, day: datetime) -> Mapping[Metric, Conversion] | None:
        rows = self._store.measures(KIND, MINUTES, since=day - timedelta(seconds=1), until=day)
        if not rows:
            return None
        bodies = {row.place: json.loads(row.body) for row in rows}
        return {metric: Conversion(**bodies[metric]) for metric in METRICS if "elasticity" in bodies.get(metric, {})}

    def _learned(self, day: datetime) -> Mapping[Metric, Conversion]:
        pairs = list(self._pairs(day))
        found = {metric: learn(metric, [each[metric] for each in pairs if metric in each]) for metric in METRICS}
        found["revenue"] = REVENUE
        rows = [Measure(KIND, metric, MINUTES, day, canonical(asdict(each))) for metric, each in found.items()]
        self._store.save_measures(rows, now=day)
        return {metric: each for metric, each in found.items() if not isinstance(each, Unstable)}

    def _pairs(self, day: datetime) -> Iterator[Mapping[Metric, Pair]]:
        """Each arm of each experiment that is over, on each of its modules: one past change."""
        for place, last in sorted(self._store.measured_until(measured.BUCKET, LONG).items()):
            comparison = measured.comparison_of(place)
            if comparison.kind == "experiment" and last <= day - OVER:
                yield from self._changes(comparison, last)

    def _changes(self, comparison: Comparison, last: datetime) -> Iterator[Mapping[Metric, Pair]]:
        for cell, buckets in sorted(self._shelf.everything(comparison, last).items()):
            if cell.module and not cell.category and not cell.device:
                look = self._shelf.look(comparison, cell, last)
                found = {metric: pair(buckets, metric, look) for metric in METRICS if metric != "revenue"}
                yield {metric: each for metric, each in found.items() if each is not None}
