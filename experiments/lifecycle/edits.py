"""What may change while a phase runs: an arm switched off, forced units, more traffic, more of the layer. ASSIGNMENT 5.

None of these moves a unit that has an arm to another one. Each is one transaction and one audit row; `expected` is the
revision that whoever asks has seen.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ValidationError

from experiments import ranges
from experiments.errors import DefinitionError, NotFoundError, TransitionError, UsageError, nearest
from experiments.lifecycle.proposals import surroundings
from experiments.loading import Document
from experiments.own_checks import FINISHED, overlaps
from experiments.placement import LayerUse, Override, RangesStep, TrafficStep
from experiments.spec import Assigned, Live
from experiments.store import Registered, Store


def disable_arm(
    store: Store, key: str, arm: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Serve the control's recommender to an arm's units, which stay in their arm and are analysed in it."""
    current, experiment = _standing(store, key, ("running", "paused"))
    _arm(experiment, arm)
    if arm == experiment.control.key:
        raise TransitionError(f"{key}: {arm} is the control, to which the others fall back; stop it, or kill it")
    return _switch(store, current, arm, "disable", actor=actor, reason=reason, now=now, expected=expected)


def enable_arm(
    store: Store, key: str, arm: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Serve an arm's own recommender to its units again."""
    current, experiment = _standing(store, key, ("running", "paused"))
    _arm(experiment, arm)
    return _switch(store, current, arm, "enable", actor=actor, reason=reason, now=now, expected=expected)


def raise_traffic(
    store: Store, key: str, share: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Let more units take part, from now on; who takes part already goes on. `share` is a decimal such as "0.5"."""
    current, _ = _standing(store, key, ("running", "paused"))
    try:
        points = ranges.basis_points(share)
    except ValueError as error:
        raise UsageError(f'{key}: traffic {error}; write "0.25" for a quarter') from error
    number, live = _live(store, key)
    if points <= live.traffic_bp:
        was = ranges.share_text(live.traffic_bp)
        raise TransitionError(f"{key}: traffic is {was} and only grows; {share} is not more. A new phase may have less")
    grown = live.model_copy(update={"traffic": (*live.traffic, TrafficStep(at=now, bp=points))})
    return store.change(
        key, action="traffic", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        live=(number, grown),
    )  # fmt: skip


def add_ranges(
    store: Store,
    key: str,
    more: Sequence[ranges.Range],
    *,
    actor: str,
    reason: str,
    now: datetime,
    expected: int | None = None,
) -> Registered:
    """Give an experiment more buckets of its layer. DefinitionError when one is another's, naming what is free."""
    current, experiment = _standing(store, key)
    try:
        use = LayerUse(key=experiment.layer.key, ranges=(*experiment.layer.ranges, *more))
    except ValidationError as error:
        said = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise UsageError(
            f"{key}: {ranges.shown(more)}: {said}; it has {ranges.shown(experiment.layer.ranges)}"
        ) from error
    problems = list(overlaps(Document({"key": key}, {}), use, surroundings(store, store.ground())))
    if problems:
        raise DefinitionError(key, problems)
    live: tuple[int, Live] | None = None
    if current.state in ("running", "paused"):
        number, standing = _live(store, key)
        step = RangesStep(at=now, ranges=use.ranges)
        live = (number, standing.model_copy(update={"layer": (*standing.layer, step)}))
    changed = experiment.model_copy(update={"layer": use})
    return _save(store, current, changed, "ranges", live, actor=actor, reason=reason, now=now, expected=expected)


def add_override(
    store: Store, key: str, unit_id: str, arm: str, *, actor: str, reason: str, now: datetime,
    expected: int | None = None,
) -> Registered:  # fmt: skip
    """Force a unit into an arm: it always meets it, and is never analysed."""
    current, experiment = _standing(store, key)
    _arm(experiment, arm)
    forced = next((each for each in experiment.overrides if each.unit_id == unit_id), None)
    if forced is not None:
        raise TransitionError(f"{key}: {unit_id} is forced into {forced.variant} already; remove that first")
    try:
        override = Override(unit_id=unit_id, variant=arm)
    except ValidationError as error:
        rule = "1 to 256 characters, no control characters, no white space around"
        raise UsageError(f"{key}: {unit_id!r} is not a unit id: {rule}") from error
    changed = experiment.model_copy(update={"overrides": (*experiment.overrides, override)})
    return _save(store, current, changed, "override", None, actor=actor, reason=reason, now=now, expected=expected)


def remove_override(
    store: Store, key: str, unit_id: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Let a forced unit be drawn like any other. NotFoundError when it is not forced."""
    current, experiment = _standing(store, key)
    left = tuple(each for each in experiment.overrides if each.unit_id != unit_id)
    if len(left) == len(experiment.overrides):
        known = [each.unit_id for each in experiment.overrides]
        near = nearest(unit_id, known)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise NotFoundError(f"{key}: {unit_id} is not forced into any arm{hint}")
    changed = experiment.model_copy(update={"overrides": left})
    return _save(store, current, changed, "override", None, actor=actor, reason=reason, now=now, expected=expected)


def _standing(store: Store, key: str, states: Sequence[str] = ()) -> tuple[Registered, Assigned]:
    current = store.definition(key)
    if not isinstance(current.experiment, Assigned):
        raise TransitionError(f"{key} is assigned by {current.experiment.assigned_by}: change it there")
    if current.state in FINISHED or (states and current.state not in states):
        needed = " or ".join(states) if states else "one that is not stopped"
        raise TransitionError(f"{key} is {current.state}: this needs {needed}")
    return current, current.experiment


def _arm(experiment: Assigned, arm: str) -> None:
    arms = [variant.key for variant in experiment.variants]
    if arm not in arms:
        raise NotFoundError(f"{experiment.key} has no arm {arm!r}; its arms are {', '.join(arms)}")


def _live(store: Store, key: str) -> tuple[int, Live]:
    number = store.phase(key).number
    return number, store.live(key, number)


def _switch(
    store: Store, current: Registered, arm: str, word: str, *, actor: str, reason: str, now: datetime,
    expected: int | None,
) -> Registered:  # fmt: skip
    number, live = _live(store, current.key)
    if (arm in live.disabled) == (word == "disable"):
        raise TransitionError(f"{current.key}: {arm} is {word}d already")
    left = tuple(each for each in live.disabled if each != arm)
    changed = live.model_copy(update={"disabled": (*left, arm) if word == "disable" else left})
    return store.change(
        current.key, action=word, expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        live=(number, changed),
    )  # fmt: skip


def _save(
    store: Store, current: Registered, changed: Assigned, action: str, live: tuple[int, Live] | None, *,
    actor: str, reason: str, now: datetime, expected: int | None,
) -> Registered:  # fmt: skip
    return store.save_definition(
        changed, current.metrics, expected_version=current.version, expected_revision=_seen(current, expected),
        actor=actor, reason=reason, now=now, action=action, live=live,
    )  # fmt: skip


def _seen(current: Registered, expected: int | None) -> int:
    return current.revision if expected is None else expected
