"""The ground that experiments stand on: layers/*.yml and holdouts/*.yml, strictly read and checked together.

A module belongs to exactly one layer, a flag to exactly one slot, a salt to exactly one owner. ASSIGNMENT 2.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.catalogue import read_metrics, shipped_metrics
from experiments.errors import DefinitionError, Problem, nearest
from experiments.loading import Document, Path_, besides, entries, in_order, parse, read_yaml, value_at
from experiments.metric_roles import roles
from experiments.placement import Holdout, Layer, Slot
from experiments.shop import Shop
from experiments.spec import Metric
from experiments.strategies import strategy_fault

NOTHING = "no_recommendations"  # the strategy of a holdout whose comparator is none


@dataclass(frozen=True, slots=True)
class Ground:
    """A shop's layers and holdouts by key, in the order of their files."""

    layers: Mapping[str, Layer] = field(default_factory=dict)
    holdouts: Mapping[str, Holdout] = field(default_factory=dict)

    @property
    def modules(self) -> Mapping[str, Layer]:
        """The layer of each module."""
        return {module: layer for layer in self.layers.values() for module in layer.modules}

    @property
    def slots(self) -> Mapping[str, tuple[Layer, Slot]]:
        """The slot of each flag, with its layer."""
        return {slot.flag_key: (layer, slot) for layer in self.layers.values() for slot in layer.slots}

    @property
    def salts(self) -> dict[str, str]:
        """Whose every salt is: `layer homepage`, `holdout global_h2`."""
        layers = {layer.salt: f"layer {layer.key}" for layer in self.layers.values()}
        return layers | {holdout.salt: f"holdout {holdout.key}" for holdout in self.holdouts.values()}


@dataclass(frozen=True, slots=True)
class GroundFile:
    """One file of a layer or a holdout: what it declares, or its problems."""

    path: Path
    declared: Layer | Holdout | None
    problems: tuple[Problem, ...]

    @property
    def summary(self) -> str:
        """What it declares, in a line."""
        match self.declared:
            case Layer() as layer:
                flags = ", ".join(slot.flag_key for slot in layer.slots)
                return f"layer {layer.key}: {', '.join(layer.modules)}; asked for by {flags}"
            case Holdout() as holdout:
                buckets = sum(end - start for start, end in holdout.buckets)
                return f"holdout {holdout.key}: {buckets} of 10,000 buckets, without {', '.join(holdout.modules)}"
        return ""


def load_ground(shop: Shop) -> Ground:
    """Every layer and holdout of the shop. DefinitionError with every problem of every file."""
    ground, files = read_ground(shop)
    wrong = [replace(p, path=f"{file.path.name}: {p.path}") for file in files for p in file.problems]
    if wrong:
        raise DefinitionError(str(shop.home), wrong)
    return ground


def read_ground(shop: Shop) -> tuple[Ground, tuple[GroundFile, ...]]:
    """What is right, and each file with its problems; nothing is raised for what a file says."""
    metrics = _catalogue(shop)
    read = [_read(path, Layer) for path in _files(shop.layers)] + [
        _read(path, Holdout) for path in _files(shop.holdouts)
    ]
    files: list[GroundFile] = []
    ground = Ground()
    salts: dict[str, Path] = {}
    for path, declared, document, problems in read:
        if declared is not None and document is not None:
            problems += _across(declared, document, ground, salts)
            problems += roles(document, metrics) if isinstance(declared, Holdout) else ()
            salts.setdefault(declared.salt, path)
        files.append(GroundFile(path, None if problems else declared, tuple(in_order(problems))))
        if isinstance(declared, Layer):  # also a wrong one: what names its modules is no further problem
            ground = replace(ground, layers={**ground.layers, declared.key: declared})
        elif isinstance(declared, Holdout):
            ground = replace(ground, holdouts={**ground.holdouts, declared.key: declared})
    return ground, tuple(files)


def _catalogue(shop: Shop) -> Mapping[str, Metric]:
    """Every metric a holdout may name; what is wrong with the shop's own is said of their file."""
    own = read_metrics(shop.metrics_file)[0] if shop.metrics_file.exists() else {}
    return {**shipped_metrics(), **own}


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if folder.is_dir() else []


def _read(
    path: Path, model: type[Layer] | type[Holdout]
) -> tuple[Path, Layer | Holdout | None, Document | None, list[Problem]]:
    document, problems = read_yaml(path)
    if document is None:
        return path, None, None, problems
    said = list(_names(document))
    declared, wrong = parse(model, document)
    return path, declared, document, [*problems, *said, *besides(wrong, said)]


def _names(document: Document) -> Iterator[Problem]:
    """Salts and flags, whose rules differ from a key's."""
    yield from bad_names(document, ("salt",))
    for at, _ in entries(document.value, ("slots",)):
        yield from bad_names(document, (*at, "flag_key"))


def bad_names(document: Document, path: Path_) -> Iterator[Problem]:
    """What keeps the text at `path` from being the salt or the flag that its name says."""
    given = value_at(document.value, path)
    salt = path[-1] == "salt"
    rule = r"[a-z0-9][a-z0-9_.:]{2,94}" if salt else r"[a-z0-9][a-z0-9_.-]{1,94}"
    if isinstance(given, str) and not re.fullmatch(rule, given):
        letters = "3 to 95 of a-z, 0-9, _ . and :" if salt else "2 to 95 of a-z, 0-9, _ . and -"
        message = f"{given!r} is not a {'salt' if salt else 'flag'}: {letters}, the first a letter or digit"
        yield document.problem("key_format", path, given, message, next_step="choose another")


def _across(
    declared: Layer | Holdout, document: Document, before: Ground, salts: Mapping[str, Path]
) -> Iterator[Problem]:
    same = before.layers if isinstance(declared, Layer) else before.holdouts
    if declared.key in same:
        yield document.problem(
            "key_reused", ("key",), declared.key, "another file has this key", next_step="choose another"
        )
    if declared.salt in salts:
        message = f"{declared.salt} is the salt of {salts[declared.salt].name}: units would fall alike in both"
        yield document.problem("salt_collision", ("salt",), declared.salt, message, next_step="choose another")
    if isinstance(declared, Layer):
        yield from _layer(declared, document, before)
    else:
        yield from _holdout(declared, document, before)


def _layer(layer: Layer, document: Document, before: Ground) -> Iterator[Problem]:
    for index, module in enumerate(layer.modules):
        if module in before.modules:
            message = f"{module} is in layer {before.modules[module].key} already, and a module is in one layer"
            yield document.problem("module_twice", ("modules", index), module, message, next_step="remove it from one")
        if module in layer.modules[:index]:
            yield document.problem(
                "module_twice", ("modules", index), module, "is there already", next_step="remove it"
            )
    flags = [slot.flag_key for slot in layer.slots]
    for index, slot in enumerate(layer.slots):
        at: Path_ = ("slots", index)
        if slot.flag_key in flags[:index] or slot.flag_key in before.slots:
            where = layer.key if slot.flag_key in flags[:index] else before.slots[slot.flag_key][0].key
            message = f"{slot.flag_key} is a slot of layer {where} already"
            yield document.problem(
                "flag_conflict", (*at, "flag_key"), slot.flag_key, message, next_step="choose another"
            )
        if slot.module not in layer.modules:
            message = f"{slot.module} is not a module of this layer"
            near, step = nearest(slot.module, layer.modules), f"write one of {', '.join(layer.modules)}"
            yield document.problem("unknown_module", (*at, "module"), slot.module, message, near=near, next_step=step)
        yield from strategy_problems(document, (*at, "default_strategy"), slot.default_strategy)


def _holdout(holdout: Holdout, document: Document, before: Ground) -> Iterator[Problem]:
    for index, module in enumerate(holdout.modules):
        if module not in before.modules:
            yield unknown_module(document, ("modules", index), module, before)
    faults = list(strategy_problems(document, ("strategy",), holdout.strategy))
    yield from faults
    if not faults and (holdout.strategy == NOTHING) != (holdout.comparator == "none"):
        meets = "nothing" if holdout.strategy == NOTHING else f"recommendations of {holdout.strategy}"
        message = f"{holdout.comparator} is not what its units meet, which is {meets}"
        step = "write comparator: none" if holdout.strategy == NOTHING else "write non_personalised, or champion"
        yield document.problem("comparator", ("comparator",), holdout.comparator, message, next_step=step)


def unknown_module(document: Document, path: Path_, module: str, ground: Ground) -> Problem:
    """That no layer has the module."""
    known = ground.modules
    step = f"add it to a layer in layers/; modules are {', '.join(known) or 'none yet'}"
    message = f"no layer has a module {module}"
    return document.problem("unknown_module", path, module, message, near=nearest(module, known), next_step=step)


def strategy_problems(document: Document, path: Path_, name: str) -> Iterator[Problem]:
    """That a strategy is not known."""
    fault = strategy_fault(name)
    if fault:
        message, near, step = fault
        yield document.problem("unknown_strategy", path, name, message, near=near, next_step=step)
