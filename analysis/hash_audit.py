"""The hash audit of a registered experiment: every phase the store knows against every exposure of the warehouse."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import duckdb

from analysis.warehouse.audit import AuditReport, audit_exposures
from analysis.warehouse.base import Asked, CheckRows, Warehouse
from analysis.warehouse.holdout_audit import audit_held_out
from experiments.bundle import bundle_document
from experiments.errors import UsageError
from experiments.holdouts import holdout, is_holdout
from experiments.shop import Shop
from experiments.spec import Assigned
from experiments.store import Store


def assigned_elsewhere(store: Store, key: str) -> str | None:
    """The system that assigned the experiment, when it is not truelift: there is nothing to recompute then.

    NotFoundError for an unknown key.
    """
    if is_holdout(key):
        holdout(store, key)
        return None
    experiment = store.definition(key).experiment
    return None if isinstance(experiment, Assigned) else experiment.assigned_by


def audit_experiment(
    connection: duckdb.DuckDBPyConnection, store: Store, shop: Shop, key: str, *, limit: int = 20
) -> AuditReport:
    """Recompute the exposures of every phase, or those at which a holdout was asked.

    UsageError when another system assigned it.
    """
    if is_holdout(key):
        return audit_held_out(connection, asked_holdouts(store), holdout(store, key).key, limit=limit)
    elsewhere = assigned_elsewhere(store, key)
    if elsewhere is not None:
        raise UsageError(f"{key}: assigned by {elsewhere}; only what truelift assigns can be recomputed")
    return audit_exposures(connection, phase_documents(store, shop, key), key, limit=limit)


def audited(warehouse: Warehouse, store: Store, shop: Shop, key: str) -> dict[str, CheckRows]:
    """The audit for a readout; nothing, so unknown, for what another system assigned or whose layer is gone."""
    if is_holdout(key):
        return dict(warehouse.audit_holdout(holdout(store, key).key, asked_holdouts(store)))
    if assigned_elsewhere(store, key) is not None:
        return {}
    try:
        return {"hash_audit": warehouse.audit(key, tuple(phase_documents(store, shop, key)))}
    except UsageError:
        return {}


def asked_holdouts(store: Store) -> Asked:
    """Where every registered holdout is asked, over all phases that ever began."""
    standing = store.standing()
    phases = {
        (known.registered.key, number): phase.holdouts
        for known in standing.experiments
        if known.phase is not None
        for number in range(1, known.phase.number + 1)
        if isinstance(phase := store.phase(known.registered.key, number).experiment, Assigned)
    }
    return Asked(standing.ground.holdouts, phases)


def phase_documents(store: Store, shop: Shop, key: str) -> Iterator[Mapping[str, object]]:
    """The bundle as it stands, then one for each earlier phase with what that froze, where its layer is still there.

    UsageError when the experiment is over and its layer or slot is gone.
    """
    current = bundle_document(store, shop)
    experiments, layers = current["experiments"], current["layers"]
    assert isinstance(experiments, list)
    assert isinstance(layers, list)
    now = next((entry for entry in experiments if entry["key"] == key), None)
    known = {layer["key"] for layer in layers}
    if now is None:
        raise UsageError(f"{key}: it is over, and its layer or slot is gone: without the layer's salt nothing can be "
                         "recomputed; put its file in layers/ back and register it")  # fmt: skip
    yield current
    for number in range(1, now["phase"]):
        entry = {**now, **_frozen(store, key, number)}
        if entry["layer"]["key"] in known:
            yield {**current, "experiments": [entry]}


def _frozen(store: Store, key: str, number: int) -> dict[str, object]:
    """What a phase said of its own, as bundle.v1 has it, without what the audit does not read."""
    phase, live = store.phase(key, number), store.live(key, number)
    experiment = phase.experiment
    if not isinstance(experiment, Assigned):
        raise UsageError(f"{key} phase {number}: assigned by {experiment.assigned_by}")
    ranges = live.layer[-1].ranges if live.layer else experiment.layer.ranges
    arms = zip(experiment.variants, experiment.splits, strict=True)
    return {
        "phase": number,
        "started_at": _utc(phase.started_at),
        "layer": {"key": experiment.layer.key, "ranges": [list(one) for one in ranges]},
        "holdouts": list(experiment.holdouts),
        "unit_type": experiment.unit_type,
        "design": experiment.design,
        "switchback": None if experiment.switchback is None else experiment.switchback.model_dump(mode="json"),
        "salt": experiment.salt,
        "hash_version": experiment.hash_version,
        "variants": [
            {
                "key": arm.key, "is_control": arm.is_control, "strategy": arm.strategy, "params": {},
                "start": start, "end": end, "disabled": arm.key in live.disabled,
            }
            for arm, (start, end) in arms
        ],
        "traffic": [{"at": _utc(step.at), "bp": step.bp} for step in live.traffic],
        "prerequisites": [],
        "overrides": [],
    }  # fmt: skip


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
