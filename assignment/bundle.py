"""From `bundle.v1` to what an evaluation reads: definitions turned once into ranges, predicates and hashes.

A malformed document is refused whole, with every problem, so that a service keeps the configuration it has. Only
prerequisites that lead in a circle, or to an experiment that is gone, are not refused: they never hold, so that control
is served, and a kill elsewhere arrives.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from assignment.decision import Trigger
from assignment.document import BundleDocument, ExperimentDocument, HoldoutDocument, LayerDocument, SlotDocument
from assignment.document_checks import problems_of
from assignment.hashing import BUCKETS, Stage, bucketer, stage_salt
from assignment.switchback import Clock
from assignment.targeting import Predicate, compile_targeting
from experiments.designs import Design
from experiments.errors import DefinitionError, Problem
from experiments.loading import Document, Json, build

Ranges = tuple[tuple[int, int], ...]  # half-open, in buckets
_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hash:
    """One stage's hash: the salt with the stage's suffix, and the bucket of an id given as UTF-8."""

    salt: str
    bucket: Callable[[bytes], int]


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant and what it serves."""

    key: str
    strategy: str
    params: Mapping[str, object]
    disabled: bool


@dataclass(frozen=True, slots=True)
class Holdout:
    """Units that meet one strategy instead of any experiment, from `starts_at` until just before `ends_at`."""

    key: str
    unit_type: str
    hash: Hash
    ranges: Ranges
    strategy: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """One phase of an experiment, ready to evaluate."""

    key: str
    phase: int
    state: str
    killed: bool
    flag_keys: tuple[str, ...]
    running: bool  # state running and not killed; its time is checked beside it
    starts_at: datetime
    ends_at: datetime
    layer_key: str
    layer_ranges: Ranges
    whole_layer: bool
    holdouts: tuple[Holdout, ...]
    unit_type: str
    targeting: Predicate | None
    prerequisites: tuple[tuple[str, frozenset[str]], ...]
    unmeetable: bool  # its prerequisites lead back to itself, or to an experiment that is not in the bundle
    salt: str  # without a stage
    layer_hash: Hash
    traffic_hash: Hash
    split_hash: Hash
    traffic: tuple[tuple[datetime, int], ...]  # newest first
    split_ends: tuple[int, ...]  # one an arm: where its half-open range ends
    arms: tuple[Arm, ...]
    control: Arm
    overrides: Mapping[str, Arm]
    hash_version: str
    trigger: Trigger
    design: Design
    clock: Clock | None  # of a switchback

    @property
    def waits(self) -> bool:
        """Whether it has never started: until then it changes nothing of what is served."""
        return self.state in ("draft", "scheduled")

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended, by decision or by its schedule; while paused or killed it has not."""
        return self.state in ("stopped", "archived") or (self.running and now >= self.ends_at)


@dataclass(frozen=True, slots=True)
class Slot:
    """What a flag asks for: its module and default, and which of its experiments a unit meets."""

    flag_key: str
    module: str
    default_strategy: str
    layer_key: str
    layer_hash: Hash
    unit_type: str
    id_keys: tuple[str, ...]  # of the context, first found wins; none where a clock makes the id
    clock: Clock | None  # of its switchback: the newest live one, else the newest of all
    overrides: Mapping[str, Plan]  # unit id → the newest live experiment that names it; without any, that waits
    edges: tuple[int, ...]  # of the layer's buckets; `owners` has one entry more
    owners: tuple[Plan | None, ...]
    fallback: Plan | None  # the newest live experiment, else the newest that ever started
    holdouts: tuple[Holdout, ...]  # of its module, for when there is no experiment


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything one configuration version assigns. Immutable: a reload is a new one in its place."""

    config_version: int
    slots: Mapping[str, Slot]  # by flag
    plans: Mapping[str, Plan]  # by experiment
    holdouts: Mapping[str, Holdout]


def compile_bundle(document: Mapping[str, object]) -> Bundle:
    """A bundle from its document. DefinitionError with every problem for one that is malformed."""
    written = _read(document)
    holdouts = {holdout.key: _holdout(holdout) for holdout in written.holdouts}
    layers = {layer.key: layer for layer in written.layers}
    unmeetable = _unmeetable(written.experiments)
    plans = {
        experiment.key: _plan(
            experiment, layers[experiment.layer.key], holdouts, unmeetable=experiment.key in unmeetable
        )
        for experiment in written.experiments
    }
    by_flag: dict[str, list[Plan]] = {}
    for experiment in sorted(written.experiments, key=lambda each: -each.order):
        for flag in experiment.flag_keys:
            by_flag.setdefault(flag, []).append(plans[experiment.key])
    slots = {
        slot.flag_key: _slot(slot, layer, by_flag.get(slot.flag_key, []), _of_module(written, slot.module, holdouts))
        for layer in written.layers
        for slot in layer.slots
    }
    return Bundle(written.config_version, slots, plans, holdouts)


def id_keys(unit_type: str) -> tuple[str, ...]:
    """Where a context holds the id of a unit type: `<type>_id`, then, for who or what asks, `targetingKey`."""
    own = f"{unit_type}_id"
    return (own, "targetingKey") if unit_type in ("user", "session", "device") else (own,)


def _read(document: Mapping[str, object]) -> BundleDocument:
    try:
        value = cast("Json", json.loads(json.dumps(document, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        problem = Problem("not_json", "(file)", type(document).__name__, f"is not JSON: {error}")
        raise DefinitionError("bundle", [problem]) from error
    given = Document(value, {})
    written, problems = build(BundleDocument, value, given, ())
    if written is not None:
        problems = problems_of(written, given)
    if written is None or problems:
        raise DefinitionError("bundle", problems)
    return written


def _holdout(written: HoldoutDocument) -> Holdout:
    return Holdout(
        key=written.key,
        unit_type=written.unit_type,
        hash=_hash(written.salt, "holdout"),
        ranges=_ranges(written.buckets),
        strategy=written.strategy,
        starts_at=_utc(written.start_at, _EVER),
        ends_at=_utc(written.end_at, _NEVER),
    )


def _plan(
    written: ExperimentDocument, layer: LayerDocument, holdouts: Mapping[str, Holdout], *, unmeetable: bool
) -> Plan:
    arms = tuple(Arm(each.key, each.strategy, each.params, each.disabled) for each in written.variants)
    by_key = {arm.key: arm for arm in arms}
    ranges = _ranges(written.layer.ranges)
    return Plan(
        key=written.key,
        phase=written.phase,
        state=written.state,
        killed=written.killed,
        flag_keys=tuple(written.flag_keys),
        running=written.state == "running" and not written.killed,
        starts_at=_utc(written.started_at or written.schedule.start_at, _EVER),
        ends_at=_utc(written.schedule.end_at, _NEVER),
        layer_key=layer.key,
        layer_ranges=ranges,
        whole_layer=sum(end - start for start, end in ranges) == BUCKETS,
        holdouts=tuple(holdouts[key] for key in written.holdouts),
        unit_type=written.unit_type,
        targeting=None if written.targeting is None else compile_targeting(written.targeting),
        prerequisites=tuple((each.experiment, frozenset(each.variants)) for each in written.prerequisites),
        unmeetable=unmeetable,
        salt=written.salt,
        layer_hash=_hash(layer.salt, "layer"),
        traffic_hash=_hash(written.salt, "traffic"),
        split_hash=_hash(written.salt, "switchback" if written.unit_type == "cluster_window" else "split"),
        traffic=tuple((_utc(step.at, _EVER), step.bp) for step in reversed(written.traffic)),
        split_ends=tuple(each.end for each in written.variants),
        arms=arms,
        control=next(by_key[each.key] for each in written.variants if each.is_control),
        overrides={each.unit_id: by_key[each.variant] for each in written.overrides},
        hash_version=written.hash_version,
        trigger=written.trigger,
        design=written.design,
        clock=None if written.switchback is None else Clock.of(written.switchback),
    )


def _slot(written: SlotDocument, layer: LayerDocument, plans: list[Plan], holdouts: tuple[Holdout, ...]) -> Slot:
    """`plans`: the flag's experiments, newest first."""
    live = [plan for plan in plans if plan.state in ("running", "paused")]
    owned = sorted(
        ((start, end, plan) for plan in live for start, end in plan.layer_ranges), key=lambda share: share[:2]
    )
    edges, owners = _segments(owned)
    fallback = next((plan for plan in live or plans if not plan.waits), None)
    naming = live or [plan for plan in plans if plan.waits]  # a tester sees an arm before the start
    clock = None if fallback is None else fallback.clock
    return Slot(
        flag_key=written.flag_key,
        module=written.module,
        default_strategy=written.default_strategy,
        layer_key=layer.key,
        layer_hash=_hash(layer.salt, "layer"),
        unit_type=layer.unit_type,
        id_keys=id_keys(layer.unit_type) if clock is None else (),
        clock=clock,
        overrides={unit: plan for plan in reversed(naming) for unit in plan.overrides},
        edges=edges,
        owners=owners,
        fallback=fallback,
        holdouts=holdouts,
    )


def _segments(owned: list[tuple[int, int, Plan]]) -> tuple[tuple[int, ...], tuple[Plan | None, ...]]:
    """Disjoint ranges as edges and what lies between them: `owners[bisect_right(edges, bucket)]` owns the bucket."""
    edges: list[int] = []
    owners: list[Plan | None] = []
    at = 0
    for start, end, plan in owned:
        if start > at:
            edges.append(start)
            owners.append(None)
        edges.append(end)
        owners.append(plan)
        at = end
    if at >= BUCKETS:
        return tuple(edges[:-1]), tuple(owners)
    return tuple(edges), (*owners, None)


def _of_module(written: BundleDocument, module: str, holdouts: Mapping[str, Holdout]) -> tuple[Holdout, ...]:
    return tuple(holdouts[each.key] for each in written.holdouts if module in each.modules)


def _unmeetable(experiments: Iterable[ExperimentDocument]) -> frozenset[str]:
    """The experiments whose prerequisites lead back to themselves, or name one that is not there."""
    needs = {each.key: tuple(before.experiment for before in each.prerequisites) for each in experiments}
    gone = frozenset(key for key, names in needs.items() if any(name not in needs for name in names))
    return gone | frozenset(key for key in needs if key in _reached(needs, key))


def _reached(needs: Mapping[str, tuple[str, ...]], key: str) -> Iterator[str]:
    seen: set[str] = set()
    waiting = list(needs[key])
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(needs.get(one, ()))
            yield one


def _hash(salt: str, stage: Stage) -> Hash:
    return Hash(stage_salt(salt, stage), bucketer(salt, stage))


def _ranges(written: Iterable[list[int]]) -> Ranges:
    return tuple((start, end) for start, end in sorted(written))


def _utc(moment: datetime | None, otherwise: datetime) -> datetime:
    return otherwise if moment is None else moment.astimezone(UTC)
