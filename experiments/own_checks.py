"""What must be right in a definition whose units truelift assigns, beside the shape of its fields. ASSIGNMENT 2 to 4.

`shape` says more plainly what the fields' own patterns would say; `across` compares the fields with one another, with
the shop's layers and holdouts, and with the other experiments. Each part is looked at as far as it can be read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import get_args

from experiments import ranges
from experiments.design_checks import design_problems
from experiments.designs import AssignedUnit
from experiments.errors import Problem, nearest
from experiments.layers import Ground, bad_names, strategy_problems, unknown_module
from experiments.loading import Document, Json, Path_, build, entries, parse, value_at
from experiments.placement import LayerUse, Override, Prerequisite, RampStep
from experiments.spec import Assigned, Experiment, Schedule
from experiments.strategies import STRATEGIES, param_fault
from experiments.targeting import targeting_problems

FINISHED = ("stopped", "archived")  # states that hold no buckets


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An experiment that is registered: its newest definition and its state."""

    state: str
    experiment: Experiment


@dataclass(frozen=True, slots=True)
class Around:
    """What a definition is checked against: the shop's ground, the other experiments, and whose every salt is."""

    ground: Ground = field(default_factory=Ground)
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    salts: Mapping[str, str] = field(default_factory=dict)  # salt → "experiment home_als_v2", "layer homepage"


def shape(document: Document) -> Iterator[Problem]:
    """Weights, shares, salts, flags, strategies, parameters and conditions, one by one."""
    yield from bad_names(document, ("salt",))
    for at, _ in _flags(document):
        yield from bad_names(document, at)
    weights = [(at, value_at(variant, ("weight",))) for at, variant in entries(document.value, ("variants",))]
    for at, weight in weights:
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            step = f'write weight: "{weight}"'
            yield document.problem("wrong_type", (*at, "weight"), weight, "a weight is in quotes", next_step=step)
    given = [(at, weight) for at, weight in weights if isinstance(weight, str)]
    if not all(weight == "equal" for _, weight in given):
        for fault in ranges.faults([weight for _, weight in given]):
            if fault.index is not None:
                at, weight = given[fault.index]
                path = (*at, "weight")
                yield document.problem(fault.code, path, weight, fault.message, next_step=fault.next_step)
    for path in (("traffic",), *((*at, "traffic") for at, _ in entries(document.value, ("ramp",)))):
        yield from _share(document, path)
    for at, variant in entries(document.value, ("variants",)):
        yield from _strategy(document, at, variant)
    yield from targeting_problems(document, ("targeting",))


def across(document: Document, around: Around) -> Iterator[Problem]:
    """What the fields mean together, and beside what else the shop has."""
    yield from _design(document, around)
    yield from _weights_sum(document)
    yield from _modules(document, around.ground)
    yield from _layer(document, around)
    yield from _slots(document, around.ground)
    yield from _holdouts(document, around.ground)
    yield from _ramp(document)
    yield from _overrides(document)
    yield from _prerequisites(document, around)
    yield from _salt(document, around)


def _design(document: Document, around: Around) -> Iterator[Problem]:
    own = {key: each.experiment for key, each in around.neighbours.items() if isinstance(each.experiment, Assigned)}
    standing = {key for key, each in around.neighbours.items() if each.state not in FINISHED}
    yield from design_problems(document, own, standing)


def _share(document: Document, path: Path_) -> Iterator[Problem]:
    given = value_at(document.value, path)
    if isinstance(given, int | float) and not isinstance(given, bool):
        step = f'write traffic: "{given}"'
        yield document.problem("wrong_type", path, given, "a share of traffic is in quotes", next_step=step)
    elif isinstance(given, str):
        try:
            ranges.basis_points(given)
        except ValueError as error:
            yield document.problem("out_of_range", path, given, str(error), next_step='write "0.25" for a quarter')


def _strategy(document: Document, at: Path_, variant: Json) -> Iterator[Problem]:
    name, params = value_at(variant, ("strategy",)), value_at(variant, ("params",))
    if not isinstance(name, str):
        return
    yield from strategy_problems(document, (*at, "strategy"), name)
    for param, value in params.items() if isinstance(params, dict) and name in STRATEGIES else ():
        fault = param_fault(name, param, value)
        if fault:
            message, near, step = fault
            path = (*at, "params", param)
            yield document.problem("params_schema", path, value, message, near=near, next_step=step)


def _weights_sum(document: Document) -> Iterator[Problem]:
    weights = [value_at(variant, ("weight",)) for _, variant in entries(document.value, ("variants",))]
    texts = [weight for weight in weights if isinstance(weight, str)]
    if len(texts) < max(len(weights), 2) or all(text == "equal" for text in texts):
        return
    for fault in ranges.faults(texts):
        if fault.index is None:
            yield document.problem(fault.code, ("variants",), texts, fault.message, next_step=fault.next_step)


def _modules(document: Document, ground: Ground) -> Iterator[Problem]:
    for at, module in entries(document.value, ("modules",)):
        if isinstance(module, str) and module not in ground.modules:
            yield unknown_module(document, at, module, ground)


def _layer(document: Document, around: Around) -> Iterator[Problem]:
    use, wrong = parse(LayerUse, document, ("layer",))
    if use is None and all(problem.code != "value" for problem in wrong):
        yield from _backwards(document)
    key = value_at(document.value, ("layer", "key"))
    if not isinstance(key, str):
        return
    layer = around.ground.layers.get(key)
    if layer is None:
        known = around.ground.layers
        step = f"write one of {', '.join(known) or 'none: layers/ is empty'}, or add layers/{key}.yml"
        message = f"there is no layer {key}"
        yield document.problem(
            "unknown_layer", ("layer", "key"), key, message, near=nearest(key, known), next_step=step
        )
        return
    unit_type = value_at(document.value, ("unit_type",)) or "user"
    if unit_type in get_args(AssignedUnit) and unit_type != layer.unit_type:
        message = f"{unit_type} is not the unit of layer {key}, which is {layer.unit_type}"
        step = f"write unit_type: {layer.unit_type}, or use a layer of {unit_type}s"
        yield document.problem("unit_mismatch_layer", ("unit_type",), unit_type, message, next_step=step)
    for at, module in entries(document.value, ("modules",)):
        owner = around.ground.modules.get(module) if isinstance(module, str) else None
        if owner is not None and owner.key != key:
            message = f"{module} is in layer {owner.key}, not in {key}"
            step = f"write layer {owner.key}, or make one layer that has all of the modules"
            yield document.problem("module_not_in_layer", at, module, message, next_step=step)
    if use is not None:
        yield from overlaps(document, use, around)


def _backwards(document: Document) -> Iterator[Problem]:
    """Ranges that hold no bucket, where another mistake keeps the whole list from being read."""
    for at, entry in entries(document.value, ("layer", "ranges")):
        edges = [edge for edge in entry if isinstance(edge, int)] if isinstance(entry, list) else []
        if len(edges) == 2 and edges[0] >= edges[1]:
            message = f"[{edges[0]}, {edges[1]}) holds no bucket"
            yield document.problem("value", at, entry, message, next_step="write the start, then a greater end")


def overlaps(document: Document, use: LayerUse, around: Around) -> Iterator[Problem]:
    """Every other experiment that has a bucket of `use`; the document names whose it is to be."""
    own = value_at(document.value, ("key",))
    owned = {
        key: neighbour
        for key, neighbour in around.neighbours.items()
        if key != own and neighbour.state not in FINISHED and isinstance(neighbour.experiment, Assigned)
    }
    taken: list[ranges.Range] = []
    found: list[tuple[str, Neighbour, tuple[ranges.Range, ...]]] = []
    for key, neighbour in owned.items():
        experiment = neighbour.experiment
        if not isinstance(experiment, Assigned) or experiment.layer.key != use.key:
            continue
        taken += experiment.layer.ranges
        common = ranges.overlap(use.ranges, experiment.layer.ranges)
        if common:
            found.append((key, neighbour, common))
    for key, neighbour, common in found:
        message = f"{ranges.shown(common)} of layer {use.key} belongs to {key} ({neighbour.state})"
        step = f"free are {ranges.shown(ranges.free(taken))}"
        value = [list(one) for one in use.ranges]
        yield document.problem("layer_overlap", ("layer", "ranges"), value, message, next_step=step)


def _slots(document: Document, ground: Ground) -> Iterator[Problem]:
    key, modules = value_at(document.value, ("layer", "key")), value_at(document.value, ("modules",))
    seen: list[Json] = []
    for at, flag in _flags(document):
        if not isinstance(flag, str):
            continue
        if flag in seen:
            yield document.problem("flag_conflict", at, flag, f"{flag} is there already", next_step="remove it")
        seen.append(flag)
        if flag not in ground.slots:
            step = f"add a slot to a layer; slots are {', '.join(ground.slots) or 'none yet'}"
            message = f"no layer has a slot {flag}"
            yield document.problem("unknown_flag", at, flag, message, near=nearest(flag, ground.slots), next_step=step)
            continue
        layer, slot = ground.slots[flag]
        if key in ground.layers and layer.key != key:
            message = f"{flag} is a slot of layer {layer.key}, not of {key}: experiments on one flag share its layer"
            yield document.problem("flag_conflict", at, flag, message, next_step=f"write layer {layer.key}")
        elif isinstance(modules, list) and slot.module not in modules:
            message = f"{flag} is a slot of module {slot.module}, which the experiment does not name"
            step = f"add {slot.module} to modules, or remove the flag"
            yield document.problem("flag_conflict", at, flag, message, next_step=step)


def _holdouts(document: Document, ground: Ground) -> Iterator[Problem]:
    unit_type = value_at(document.value, ("unit_type",)) or "user"
    seen: list[Json] = []
    for at, key in entries(document.value, ("holdouts",)):
        if not isinstance(key, str):
            continue
        if key in seen:
            yield document.problem("holdout_twice", at, key, f"{key} is there already", next_step="remove it")
        seen.append(key)
        holdout = ground.holdouts.get(key)
        if holdout is None:
            step = f"write one of {', '.join(ground.holdouts) or 'none: holdouts/ is empty'}, or add holdouts/{key}.yml"
            near = nearest(key, ground.holdouts)
            message = f"there is no holdout {key}"
            yield document.problem("unknown_holdout", at, key, message, near=near, next_step=step)
        elif unit_type in ("user", "session", "device") and holdout.unit_type != unit_type:
            message = f"{key} holds out {holdout.unit_type}s, and the experiment's units are {unit_type}s"
            yield document.problem(
                "unit_mismatch_holdout", at, key, message, next_step="remove it, or change unit_type"
            )


def _ramp(document: Document) -> Iterator[Problem]:
    schedule, _ = parse(Schedule, document, ("schedule",))
    before: RampStep | None = None
    last: int | None = None
    for at, entry in entries(document.value, ("ramp",)):
        bare = (
            {name: each for name, each in entry.items() if name in ("at", "traffic")}
            if isinstance(entry, dict)
            else entry
        )
        step, _ = build(RampStep, bare, document, at)  # a wrong requirement hides nothing of the rest
        if step is None:
            last = None
            continue
        last = ranges.basis_points(step.traffic)
        when = (*at, "at")
        required = value_at(entry, ("require",))
        if (
            isinstance(required, list)
            and "guardrails" in required
            and not entries(document.value, ("metrics", "guardrails"))
        ):
            said = "add metrics.guardrails, or leave it out"
            message = "requires guardrails, and the definition has none"
            yield document.problem("ramp_require", (*at, "require"), "guardrails", message, next_step=said)
        if before is not None and step.at <= before.at:
            message = f"{_utc(step.at)} is not after the step before it, {_utc(before.at)}"
            yield document.problem("schedule_order", when, str(step.at), message, next_step="put the steps in order")
        elif schedule is not None and not _within(step.at, schedule):
            message = f"{_utc(step.at)} is outside the schedule"
            said = "put it between start_at and end_at"
            yield document.problem("schedule_order", when, str(step.at), message, next_step=said)
        if before is not None and last < ranges.basis_points(before.traffic):
            message = f"falls from {before.traffic} to {step.traffic}: whoever took part would be put out"
            said, path = "let traffic grow only", (*at, "traffic")
            yield document.problem("ramp_decreasing", path, step.traffic, message, next_step=said)
        before = step
    traffic = value_at(document.value, ("traffic",))
    readable = isinstance(traffic, str) and not list(_share(document, ("traffic",)))
    if last is not None and readable and ranges.basis_points(str(traffic)) != last:
        message = f"is {traffic}, and the ramp ends at {ranges.share_text(last)}"
        said = "leave traffic out, or write where the ramp ends"
        yield document.problem("ramp_end", ("traffic",), traffic, message, next_step=said)


def _within(instant: datetime, schedule: Schedule) -> bool:
    """Whether the schedule runs then; a schedule that is wrong itself is no reason to complain of its parts."""
    end = schedule.end_at
    backwards = end is not None and end <= schedule.start_at
    return backwards or (instant >= schedule.start_at and (end is None or instant < end))


def _overrides(document: Document) -> Iterator[Problem]:
    arms = [value_at(variant, ("key",)) for _, variant in entries(document.value, ("variants",))]
    seen: list[str] = []
    for at, entry in entries(document.value, ("overrides",)):
        override, _ = build(Override, entry, document, at)
        if override is None:
            continue
        if override.variant not in arms:
            yield _unknown_variant(document, (*at, "variant"), override.variant, arms)
        if override.unit_id in seen:
            message = f"{override.unit_id} is forced already"
            yield document.problem("override_twice", (*at, "unit_id"), override.unit_id, message, next_step="keep one")
        seen.append(override.unit_id)


def _prerequisites(document: Document, around: Around) -> Iterator[Problem]:
    own = value_at(document.value, ("key",))
    unit_type = value_at(document.value, ("unit_type",)) or "user"
    for at, entry in entries(document.value, ("prerequisites",)):
        needs, _ = build(Prerequisite, entry, document, at)
        if needs is None:
            continue
        path = (*at, "experiment")
        other = around.neighbours.get(needs.experiment)
        if needs.experiment == own:
            message = f"{own} would need itself"
            yield document.problem("prerequisite_cycle", path, own, message, next_step="remove it")
        elif other is None or not isinstance(other.experiment, Assigned):
            why = "assigned by another system" if other is not None else "not registered"
            known = [key for key, each in around.neighbours.items() if isinstance(each.experiment, Assigned)]
            near, step = nearest(needs.experiment, known), "register it first, or remove it"
            message = f"{needs.experiment} is {why}"
            yield document.problem("unknown_experiment", path, needs.experiment, message, near=near, next_step=step)
        else:
            arms = [variant.key for variant in other.experiment.variants]
            for index, variant in enumerate(needs.variants):
                if variant not in arms:
                    yield _unknown_variant(document, (*at, "variants", index), variant, list(arms))
            if other.experiment.unit_type != unit_type:
                message = f"{needs.experiment} assigns {other.experiment.unit_type}s, this experiment {unit_type}s"
                yield document.problem("prerequisite_unit", path, needs.experiment, message, next_step="remove it")
            way = _way(needs.experiment, own, around.neighbours) if isinstance(own, str) else None
            if way:
                message = f"{' needs '.join((str(own), *way))}: none of them could begin"
                yield document.problem(
                    "prerequisite_cycle", path, needs.experiment, message, next_step="remove one of them"
                )


def _way(start: str, goal: str, neighbours: Mapping[str, Neighbour]) -> tuple[str, ...] | None:
    """The keys from `start` to `goal` along prerequisites, both included; None when there is no way."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop()
        known = neighbours.get(way[-1])
        if known is None or not isinstance(known.experiment, Assigned):
            continue
        for needs in known.experiment.prerequisites:
            if needs.experiment == goal:
                return (*way, goal)
            if needs.experiment not in seen:
                seen.add(needs.experiment)
                ways.append((*way, needs.experiment))
    return None


def _salt(document: Document, around: Around) -> Iterator[Problem]:
    salt, own = value_at(document.value, ("salt",)), value_at(document.value, ("key",))
    owner = around.salts.get(salt) if isinstance(salt, str) else None
    if owner is not None and owner != f"experiment {own}":
        message = f"{salt} is the salt of {owner}: units would fall alike in both"
        yield document.problem("salt_collision", ("salt",), salt, message, next_step="leave it out, or choose another")


def _unknown_variant(document: Document, path: Path_, name: str, arms: list[Json]) -> Problem:
    known = [arm for arm in arms if isinstance(arm, str)]
    step = f"write one of {', '.join(known)}"
    return document.problem(
        "unknown_variant", path, name, f"there is no arm {name}", near=nearest(name, known), next_step=step
    )


def _flags(document: Document) -> list[tuple[Path_, Json]]:
    given = value_at(document.value, ("flag_key",))
    return entries(document.value, ("flag_key",)) if isinstance(given, list) else [(("flag_key",), given)]


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
