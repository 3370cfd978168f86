"""`bundle.v1`: everything that decides an assignment, as one JSON document made from the store. ASSIGNMENT 3.

It is what every evaluator compiles; definition files are not read. `config_version` is
the number of the newest audit row, so that whatever was changed has another one.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from experiments.errors import StoreError
from experiments.layers import Ground
from experiments.lifecycle import amended
from experiments.own_checks import FINISHED
from experiments.placement import Holdout, Layer
from experiments.shop import Shop
from experiments.spec import Assigned
from experiments.store import Running, Store

SCHEMA = "bundle.v1"


def bundle_document(store: Store, shop: Shop) -> dict[str, object]:
    """The shop's bundle as it stands now; JSON-able, every time ISO 8601 in UTC.

    Experiments assigned by another system are not in it, nor those that are over and whose layer is gone. StoreError
    when an experiment runs without a phase.
    """
    standing = store.standing()
    placed = [each for each in standing.experiments if _placed(each, standing.ground)]
    keys = {each.registered.key for each in placed}
    return {
        "schema": SCHEMA,
        "config_version": standing.config_version,
        "layers": [_layer(layer) for layer in standing.ground.layers.values()],
        "holdouts": [_holdout(holdout) for holdout in standing.ground.holdouts.values()],
        "experiments": [_experiment(each, standing.ground, keys, shop) for each in placed],
    }


def _placed(each: Running, ground: Ground) -> bool:
    """Whether it is truelift's; of those that are over, whether its place is still there."""
    experiment = each.registered.experiment
    if not isinstance(experiment, Assigned):
        return False
    layer = ground.layers.get(experiment.layer.key)
    slots = () if layer is None else tuple(slot.flag_key for slot in layer.slots)
    whole = (
        layer is not None and set(experiment.modules) <= set(layer.modules) and set(experiment.flag_key) <= set(slots)
    )
    return whole or each.registered.state not in FINISHED


def _layer(layer: Layer) -> Mapping[str, object]:
    return {
        "key": layer.key,
        "salt": layer.salt,
        "unit_type": layer.unit_type,
        "modules": list(layer.modules),
        "slots": [slot.model_dump(mode="json") for slot in layer.slots],
    }


def _holdout(holdout: Holdout) -> Mapping[str, object]:
    return {
        "key": holdout.key,
        "salt": holdout.salt,
        "unit_type": holdout.unit_type,
        "buckets": [list(one) for one in holdout.buckets],
        "modules": list(holdout.modules),
        "strategy": holdout.strategy,
        "start_at": _utc(holdout.start_at),
        "end_at": _utc(holdout.end_at),
    }


def _experiment(each: Running, ground: Ground, keys: Collection[str], shop: Shop) -> Mapping[str, object]:
    known, phase, live = each.registered, each.phase, each.live
    experiment = known.experiment if phase is None else amended(phase, known).experiment
    if not isinstance(experiment, Assigned) or (phase is None and known.state not in ("draft", "scheduled")):
        raise StoreError(f"{shop.store_url}: {known.key} is {known.state} without a phase; restore the store's backup")
    over = known.state in FINISHED  # then what it named may be gone, and decides nothing any more
    holdouts = [key for key in experiment.holdouts if key in ground.holdouts or not over]
    needed = [needs for needs in experiment.prerequisites if needs.experiment in keys or not over]
    variants = [
        {
            "key": variant.key,
            "is_control": variant.is_control,
            "strategy": variant.strategy,
            "params": variant.params,
            "start": start,
            "end": end,
            "disabled": variant.key in live.disabled,
        }
        for variant, (start, end) in zip(experiment.variants, experiment.splits, strict=True)
    ]
    targeting = experiment.targeting
    windows = experiment.switchback
    return {
        "key": known.key,
        "state": known.state,
        "killed": known.killed,
        "order": known.order,
        "phase": 1 if phase is None else phase.number,
        "started_at": None if phase is None else _utc(phase.started_at),
        "flag_keys": list(experiment.flag_key),
        "modules": list(experiment.modules),
        "layer": {"key": experiment.layer.key, "ranges": [list(one) for one in experiment.layer.ranges]},
        "holdouts": holdouts,
        "unit_type": experiment.unit_type,
        "salt": experiment.salt,
        "hash_version": experiment.hash_version,
        "variants": variants,
        "traffic": [{"at": at, "bp": bp} for at, bp in {_utc(step.at): step.bp for step in live.traffic}.items()],
        "schedule": {"start_at": _utc(experiment.schedule.start_at), "end_at": _utc(experiment.schedule.end_at)},
        "targeting": None if targeting is None else targeting.model_dump(mode="json", exclude_none=True),
        "prerequisites": [needs.model_dump(mode="json") for needs in needed],
        "overrides": [override.model_dump(mode="json") for override in experiment.overrides],
        "trigger": experiment.exposure.trigger,
        **({} if experiment.design == "ab" else {"design": experiment.design}),  # an older reader refuses it
        **({} if windows is None else {"switchback": windows.model_dump(mode="json")}),
    }


def _utc(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
