"""Why a unit gets what it gets: every step of an evaluation in words, with its hash, also of steps not reached."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import datetime
from reprlib import Repr

from assignment.allocation import evaluate, inside, targeted, traffic_at, unit_id_error, unit_in, unit_of
from assignment.bundle import Bundle, Hash, Holdout, Plan, Ranges, Slot, id_keys
from assignment.decision import Explanation, Step
from experiments.contracts import NULL_TEXTS

SHOWN = Repr()  # of a value that may be as long as a body
SHOWN.maxstring = 80


def explain(bundle: Bundle, flag_key: str, context: Mapping[str, object], now: datetime) -> Explanation:
    """The decision of `evaluate` with its steps; those that need a unit's id are left out where it is not usable.

    Never raises: where a context breaks an evaluation, its last step says how.
    """
    decision = evaluate(bundle, flag_key, context, now)
    slot = bundle.slots.get(decision.flag_key)
    steps: list[Step] = []
    try:
        steps.extend(
            _steps(bundle, decision.flag_key, slot, bundle.plans.get(decision.experiment_key or ""), context, now)
        )
    except Exception as error:
        steps.append(Step(len(steps) + 1, "error", goes_on=False, said=f"{type(error).__name__}: {error}"))
    return Explanation(decision, tuple(steps))


def _steps(
    bundle: Bundle, flag_key: str, slot: Slot | None, plan: Plan | None, context: Mapping[str, object], now: datetime
) -> Iterator[Step]:
    if slot is None:
        yield Step(1, "flag", goes_on=False, said=f"no layer has a slot {flag_key!r}")
        return
    yield Step(1, "flag", goes_on=True, said=f"{flag_key} is a slot of module {slot.module} in layer {slot.layer_key}")
    if plan is None:
        yield Step(2, "experiment", goes_on=False, said="no experiment runs on this slot: its default is served")
    else:
        said = f"{plan.key}, phase {plan.phase}, is {plan.state}"
        yield Step(2, "experiment", goes_on=plan.state != "archived", said=said)
    unit_id = unit_in(slot, context, now)
    error = unit_id_error(unit_id)
    if error is not None or not isinstance(unit_id, str):
        yield Step(3, "unit", goes_on=False, said=f"{error}: {unit_wrong(slot, context)}")
        return
    yield Step(3, "unit", goes_on=True, said=f"{slot.unit_type} {unit_id}")
    if plan is None:
        yield from (_held(holdout, context, now) for holdout in slot.holdouts)
        return
    forced = plan.overrides.get(unit_id)
    said = "not in its override list" if forced is None else f"its override list says {forced.key}"
    yield Step(4, "override", goes_on=forced is None, said=said)
    yield _state(plan, now)
    yield _targeting(bundle, plan, context, now)
    yield from (_held(holdout, context, now) for holdout in plan.holdouts)
    yield from _drawing(plan, unit_id, now)


def unit_wrong(slot: Slot, context: Mapping[str, object]) -> str:
    """What is wrong with the id of the slot's unit: the context's field that this flag needs, its value, the next step.

    Of a context in which it is right, an untruth.
    """
    names = id_keys(slot.unit_type) if slot.clock is None else (slot.clock.cluster,)
    whom = f"assigns {slot.unit_type}s" if slot.clock is None else f"assigns windows of a {names[0]}"
    name = next((each for each in names if context.get(each) is not None), names[0])
    given = context.get(name)
    none = f" ({SHOWN.repr(given)} stands for none)" if isinstance(given, str) and given in ("", *NULL_TEXTS) else ""
    if given is None or none:
        return f"{slot.flag_key} {whom}, and the context has no {' or '.join(names)}{none}: give it as text"
    kind = "" if isinstance(given, str) else f" ({type(given).__name__})"
    step = "send it as the shop logs it"
    if slot.clock is not None:
        step += f", short enough that {name}, a bar and the window's start have 256 characters"
    return (
        f"{slot.flag_key} {whom}, and the context's {name} is {SHOWN.repr(given)}{kind}: it may be text of 1 to 256 "
        f"characters, without control characters and without white space around it; {step}"
    )


def _state(plan: Plan, now: datetime) -> Step:
    in_time = plan.starts_at <= now < plan.ends_at
    said = "killed" if plan.killed else plan.state
    return Step(5, "state", goes_on=plan.running and in_time, said=said if in_time else f"{said}, outside its schedule")


def _targeting(bundle: Bundle, plan: Plan, context: Mapping[str, object], now: datetime) -> Step:
    holds = targeted(bundle, plan, context, now, {})
    asked = [
        *(["its targeting"] if plan.targeting is not None else []),
        *(f"{key} in {' or '.join(sorted(arms))}" for key, arms in plan.prerequisites),
    ]
    said = f"{' and '.join(asked) or 'nothing asked'}: {'holds' if holds else 'does not hold'}"
    return Step(6, "targeting", goes_on=holds, said=f"{said} (in a circle, or gone)" if plan.unmeetable else said)


def _held(holdout: Holdout, context: Mapping[str, object], now: datetime) -> Step:
    unit_id = unit_of(holdout.unit_type, context)
    if unit_id_error(unit_id) is not None or not isinstance(unit_id, str):
        return Step(7, "holdout", goes_on=True, said=f"{holdout.key}: the context has no {holdout.unit_type} id")
    hashed, bucket = _hash(holdout.hash, unit_id)
    in_time = holdout.starts_at <= now < holdout.ends_at
    held = in_time and inside(holdout.ranges, bucket)
    said = f"{holdout.key} holds {_said(holdout.ranges)}{'' if in_time else ', not now'}"
    return Step(7, "holdout", not held, said, hashed, bucket)


def _drawing(plan: Plan, unit_id: str, now: datetime) -> Iterator[Step]:
    hashed, bucket = _hash(plan.layer_hash, unit_id)
    said = f"{plan.key} owns {_said(plan.layer_ranges)} of layer {plan.layer_key}"
    yield Step(8, "layer", inside(plan.layer_ranges, bucket), said, hashed, bucket)
    hashed, bucket = _hash(plan.traffic_hash, unit_id)
    bp = traffic_at(plan, now)
    yield Step(9, "traffic", bucket < bp, f"{_said(((0, bp),))} is let in", hashed, bucket)
    if plan.design == "interleaving":
        said = (
            f"{' and '.join(arm.key for arm in plan.arms)} draft one list; a flag is answered with {plan.control.key}"
        )
        yield Step(10, "draft", goes_on=True, said=said)
        return
    hashed, bucket = _hash(plan.split_hash, unit_id)
    index = bisect_right(plan.split_ends, bucket)
    arm = plan.arms[index]
    start = plan.split_ends[index - 1] if index else 0
    yield Step(10, "split", True, f"{_said(((start, plan.split_ends[index]),))} is {arm.key}", hashed, bucket)
    said = f"{arm.key} is disabled: {plan.control.key} is served" if arm.disabled else f"{arm.key} is served"
    if plan.clock is not None and plan.clock.in_burn_in(now):
        said += "; in the burn-in of its window, so not analysed"
    yield Step(11, "arm", not arm.disabled, said)


def _hash(stage: Hash, unit_id: str) -> tuple[str, int]:
    return f"{stage.salt}-{unit_id}", stage.bucket(unit_id.encode())


def _said(ranges: Ranges) -> str:
    return " and ".join(f"[{start}, {end})" for start, end in ranges) or "no bucket"
