"""Layers and holdouts may change only where no experiment stands on them. ASSIGNMENT 2."""

from collections.abc import Iterator
from datetime import datetime

from experiments.errors import DefinitionError, Problem
from experiments.layers import Ground, load_ground
from experiments.own_checks import FINISHED
from experiments.placement import Layer
from experiments.shop import Shop
from experiments.spec import Assigned
from experiments.store import Registered, Store

FREE = ("owner", "end_at")  # what may change of a holdout at any time


def register_ground(store: Store, shop: Shop, *, actor: str, reason: str, now: datetime) -> tuple[str, ...]:
    """Make the shop's layers/ and holdouts/ the registered ones; which changed, as `layer homepage`.

    DefinitionError with every problem of the files, and with everything that would be pulled away from under an
    experiment that is not stopped.
    """
    ground = load_ground(shop)
    refuse_pulled_away(store, ground, str(shop.home), now)
    return store.save_ground(ground, actor=actor, reason=reason, now=now)


def named_ground(store: Store, files: Ground, experiment: Assigned, where: str) -> Ground:
    """The registered ground with the layer and the holdouts that a definition names as their files are now.

    Nothing else in layers/ and holdouts/ is taken up with it: a holdout acts on all slots of its modules at once.
    DefinitionError when what is named and what is registered claim the same module or flag.
    """
    before = store.ground()
    layer = files.layers[experiment.layer.key]
    others = Ground({key: each for key, each in before.layers.items() if key != layer.key})
    problems = [
        Problem(
            "module_twice" if what == "module" else "flag_conflict", f"layers/{layer.key}.yml", name,
            f"{what} {name} is in layer {owner.key} as that is registered", (),
            f"`truelift register layers/{layer.key}.yml`: the file of a layer registers every layer and holdout",
        )
        for what, name, owner in _claimed(layer, others)
    ]  # fmt: skip
    if problems:
        raise DefinitionError(where, problems)
    named = {key: files.holdouts[key] for key in experiment.holdouts}
    return Ground({**before.layers, layer.key: layer}, {**before.holdouts, **named})


def _claimed(layer: Layer, others: Ground) -> Iterator[tuple[str, str, Layer]]:
    """Its modules and flags that another registered layer has: ("module", name, that layer)."""
    yield from (("module", name, others.modules[name]) for name in layer.modules if name in others.modules)
    for slot in layer.slots:
        if slot.flag_key in others.slots:
            yield "flag", slot.flag_key, others.slots[slot.flag_key][0]


def refuse_pulled_away(store: Store, ground: Ground, where: str, now: datetime | None) -> None:
    """DefinitionError when an experiment would lose its layer, a module, a slot or a holdout, or meet another salt.

    Nor does a holdout change that has begun by `now`: its readout is of one definition.
    """
    problems = [*_layers(store, ground), *_holdouts(store, ground, now)]
    if problems:
        raise DefinitionError(where, problems)


def _standing(store: Store) -> list[tuple[Registered, Assigned]]:
    """What is not stopped, and what that needs to know the arms of."""
    every = [(each, each.experiment) for each in store.registered() if isinstance(each.experiment, Assigned)]
    needed = {needs.experiment for known, each in every if known.state not in FINISHED for needs in each.prerequisites}
    return [(known, each) for known, each in every if known.state not in FINISHED or known.key in needed]


def _layers(store: Store, ground: Ground) -> Iterator[Problem]:
    before = store.ground().layers
    for known, experiment in _standing(store):
        key = experiment.layer.key
        now, was = ground.layers.get(key), before.get(key)
        who = f"{known.key} ({known.state}) stands on it"
        if now is None:
            step = f"keep layers/{key}.yml until {known.key} is stopped"
            yield Problem("immutable_field", f"layers/{key}.yml", None, f"cannot be removed: {who}", (), step)
            continue
        for field, old, new in _changed(was, now):
            step = f"write {old!r} again, or stop {known.key} first"
            yield Problem("immutable_field", f"layers/{key}.yml: {field}", new, f"cannot change: {who}", (), step)
        flags = [slot.flag_key for slot in now.slots]
        lost = [name for name in experiment.modules if name not in now.modules]
        lost += [name for name in experiment.flag_key if name not in flags]
        for name in lost:
            step = f"keep it until {known.key} is stopped"
            yield Problem("immutable_field", f"layers/{key}.yml", name, f"{name} cannot be removed: {who}", (), step)


def _changed(was: Layer | None, now: Layer) -> Iterator[tuple[str, str, str]]:
    for field in ("salt", "unit_type") if was is not None else ():
        if getattr(was, field) != getattr(now, field):
            yield field, getattr(was, field), getattr(now, field)


def _holdouts(store: Store, ground: Ground, now: datetime | None) -> Iterator[Problem]:
    named = {key: known.key for known, experiment in _standing(store) for key in experiment.holdouts}
    for key, was in store.ground().holdouts.items():
        wanted, who = ground.holdouts.get(key), f"{named[key]} names it" if key in named else "it has begun"
        if key not in named and (wanted is None or now is None or was.start_at > now):
            continue
        if wanted is None:
            step = f"keep holdouts/{key}.yml until {named[key]} is stopped"
            yield Problem("immutable_field", f"holdouts/{key}.yml", None, f"cannot be removed: {who}", (), step)
        elif wanted.model_copy(update={name: getattr(was, name) for name in FREE}) != was:
            step = f"write what it was; only {' and '.join(FREE)} may change"
            yield Problem("immutable_field", f"holdouts/{key}.yml", key, f"cannot change: {who}", (), step)
