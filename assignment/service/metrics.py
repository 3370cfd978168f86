"""What is counted, for Prometheus. With several workers the counts of all are added up (PROMETHEUS_MULTIPROC_DIR)."""

import os
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from assignment.event_log import VERSIONS, Kind, SpoolStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
Fate = Literal["written", "rejected", "not_kept"]
Cause = Literal["log_unavailable", "evaluation_error"]


class _Standing(Collector):
    """Figures of this moment. A Gauge would be written to the folder of all workers and come back as another figure."""

    def __init__(self) -> None:
        self._figures: list[GaugeMetricFamily] = []

    def add(self, name: str, told: str, value: float) -> None:
        self._figures.append(GaugeMetricFamily(f"truelift_{name}", told, value))

    def collect(self) -> list[GaugeMetricFamily]:
        return self._figures


class Metrics:
    """One worker's counts."""

    def __init__(self, loader_counts: Path | None = None) -> None:
        """`loader_counts`: the file in which the loader of the exposure log says what became of its events."""
        self._loader_counts = loader_counts
        self._registry = CollectorRegistry()
        own = self._registry
        self._requests = Counter("truelift_requests", "Answered requests.", ["endpoint", "status"], registry=own)
        self._seconds = Histogram(
            "truelift_request_seconds", "From the request's headers to its answer.", ["endpoint"],
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self._decisions = Counter("truelift_decisions", "Evaluations by assignment reason.", ["reason"], registry=own)
        self._control = Counter(
            "truelift_control_served", "Evaluations answered with control because something failed.", ["cause"],
            registry=own,
        )  # fmt: skip
        self._events = Counter("truelift_events", "Events by kind and what became of them.", ["kind", "fate"],
                               registry=own)  # fmt: skip
        self._fallbacks = Counter("truelift_fallbacks", "Recommendations of control's strategy in the arm's place.",
                                  ["cause"], registry=own)  # fmt: skip
        for cause in ("log_unavailable", "evaluation_error"):
            self._control.labels(cause)
        for kind in VERSIONS:
            for fate in ("written", "rejected", "not_kept"):
                self._events.labels(kind, fate)
        # labels() takes longer than counting, so what it found is kept
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._decided: dict[str, Counter] = {}
        self._kept: dict[tuple[str, str], Counter] = {}

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """One answer."""
        found = self._answered.get((endpoint, status))
        if found is None:
            found = self._requests.labels(endpoint, str(status)), self._seconds.labels(endpoint)
            self._answered[endpoint, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def decision(self, reason: str) -> None:
        """One evaluation."""
        found = self._decided.get(reason)
        if found is None:
            found = self._decided[reason] = self._decisions.labels(reason)
        found.inc()

    def control_served(self, cause: Cause) -> None:
        """Control in an arm's place: nothing was logged."""
        self._control.labels(cause).inc()

    def events(self, kind: Kind, fate: Fate, count: int) -> None:
        """What became of events."""
        found = self._kept.get((kind, fate))
        if found is None:
            found = self._kept[kind, fate] = self._events.labels(kind, fate)
        found.inc(count)

    def fallback(self, cause: str) -> None:
        """An arm's recommender failed."""
        self._fallbacks.labels(cause).inc()

    def page(
        self,
        stats: SpoolStats,
        config_version: int,
        reload_failures: int,
        live_items: int,
        newest_item_seconds: float | None,
    ) -> bytes:
        """The text that Prometheus reads: the counts of every worker, and how things stand now."""
        standing = _Standing()
        if newest_item_seconds is not None:
            told = "Time since the newest row of the live catalogue began to hold."
            standing.add("catalogue_newest_seconds", told, newest_item_seconds)
        for name, told, value in (
            ("config_version", "Number of the configuration that this worker answers from.", config_version),
            ("config_reload_failures", "Reloads of this worker that failed.", reload_failures),
            ("spool_unsynced_events", "Events of this worker that a power cut could still take.", stats.pending),
            ("spool_open_segments", "Segments being written, of all workers.", stats.open_segments),
            ("spool_oldest_open_seconds", "Age of the oldest of them.", stats.oldest_open_seconds),
            ("spool_ready_segments", "Segments waiting for the loader.", stats.ready_segments),
            ("spool_oldest_ready_seconds", "Age of the oldest of them.", stats.oldest_ready_seconds),
            ("spool_healthy", "1 when events can be kept.", int(stats.healthy)),
            ("catalogue_items", "Items of the live catalogue that this worker knows.", live_items),
        ):
            standing.add(name, told, value)
        now = CollectorRegistry()
        now.register(standing)
        return generate_latest(self._counts()) + generate_latest(now) + self._of_loader()

    def _of_loader(self) -> bytes:
        """The file as it is: the loader replaces it whole. Nothing before its first run, or where it cannot be read."""
        if self._loader_counts is None:
            return b""
        try:
            return self._loader_counts.read_bytes()
        except OSError:
            return b""

    def _counts(self) -> CollectorRegistry:
        if not os.environ.get(FOLDER):
            return self._registry
        every = CollectorRegistry()
        MultiProcessCollector(every)  # type: ignore[no-untyped-call]
        return every
