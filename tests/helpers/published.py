"""A shop whose store holds published readouts, as `truelift refresh` would leave it: what the pages read."""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analysis.readout import Readout
from experiments.spec import Experiment, ExperimentMetrics, Schedule, Variant
from experiments.store import Snapshot, Store

NOON = timedelta(hours=12)


def shop(home: Path, readouts: Iterable[Readout] = (), *, unread: Iterable[Experiment] = ()) -> Path:
    """A shop folder at `home` with the readouts' experiments registered and the readouts published."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "truelift.toml").write_text('currency = "EUR"\n', encoding="utf-8")
    with Store.open(f"sqlite:///{home / 'registry.sqlite'}") as store:
        for experiment in unread:
            _register(store, experiment)
        for readout in readouts:
            if store.find(readout.experiment.key) is None:
                _register(store, definition(readout))
            publish(store, readout)
    return home


def publish(store: Store, readout: Readout, *, published_at: datetime | None = None) -> None:
    """One more reading of an experiment that is registered already."""
    as_of = datetime.fromisoformat(readout.as_of)
    store.publish(
        Snapshot(
            snapshot_id=readout.snapshot_id,
            experiment_key=readout.experiment.key,
            phase=readout.phase,
            as_of=as_of,
            published_at=published_at or as_of + NOON,
            supersedes=None,
            schema="readout.v1",
            verdict=readout.verdict.code,
            body=zlib.compress(readout.to_json().encode()),
            moments=b"",
        )
    )


def definition(readout: Readout) -> Experiment:
    """A definition that could have led to the readout."""
    success = tuple(metric.key for metric in readout.metrics or () if metric.role == "success")
    return Experiment(
        key=readout.experiment.key,
        name=readout.experiment.name,
        owner=readout.experiment.owner,
        assignment="external",
        modules=readout.experiment.modules,
        variants=tuple(Variant(key=arm.key, weight="1", is_control=arm.is_control) for arm in readout.arms),
        schedule=Schedule(start_at=datetime(2026, 12, 1, tzinfo=UTC)),
        metrics=ExperimentMetrics(success=success or ("revenue_per_unit",)),
    )


def _register(store: Store, experiment: Experiment) -> None:
    store.save_definition(
        experiment, {}, expected_version=0, actor="local user", reason="", now=datetime(2026, 12, 1, tzinfo=UTC)
    )
