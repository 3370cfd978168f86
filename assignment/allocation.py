"""Who gets what: one pure, total function over a compiled bundle.

The steps, in their order: 1 unknown flag · 2 archived · 3 the unit's id is missing · 4 override list · 5 not running,
paused or killed · 6 targeting and prerequisites · 7 holdout · 8 layer range · 9 traffic · 10 split · 11 disabled arm.
A request of an interleaving ends before step 10: both arms rank for it, and whoever serves it drafts their lists.
Whatever goes wrong, control is served and the decision's `error` says so.
"""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime

from assignment.bundle import Arm, Bundle, Holdout, Plan, Ranges, Slot, id_keys
from assignment.decision import AssignmentReason, Decision, ErrorCode
from assignment.hashing import BUCKETS, check_unit_id
from experiments.errors import UsageError

Context = Mapping[str, object]
_NOTHING: Mapping[str, object] = {}


def evaluate(bundle: Bundle, flag_key: str, context: Context, now: datetime) -> Decision:
    """What the unit of `context` gets in the slot of `flag_key` at `now` (with a zone). Never raises.

    The unit's id is `<unit type>_id` of the context; where that is not given, `targetingKey` for user, session and
    device. So a context that names a user and a session serves experiments on both. The unit of a switchback is made
    from the attribute that names its cluster, and `now`.
    """
    try:
        slot = bundle.slots.get(flag_key)
        if slot is None:
            return _unknown_flag(bundle, flag_key)
        unit_id: object = None
        for name in slot.id_keys:
            unit_id = context.get(name)
            if unit_id is not None:
                break
        if not (
            type(unit_id) is str
            and 0 < len(unit_id) <= 256
            and unit_id.isascii()
            and unit_id.isprintable()
            and unit_id[0] != " " != unit_id[-1]
        ):
            if slot.clock is not None:
                unit_id = slot.clock.unit_id(context, now)
            error = unit_id_error(unit_id)
            plan = slot.fallback
            if error is not None and plan is not None and plan.state == "archived":
                return _decided(bundle, slot, plan, None, "not_running", None, plan.control)
            if error is not None and (plan is not None or error == "INVALID_CONTEXT"):
                return _failed(bundle, slot, error)
        if not isinstance(unit_id, str):
            return _default(bundle, slot, None)
        return _of_unit(bundle, slot, unit_id, context, now)
    except Exception:  # total: whatever a context holds, somebody waits for a page
        return _broken(bundle, flag_key)


def unit_id_error(unit_id: object) -> ErrorCode | None:
    """What is wrong with a context's unit id, if anything: absent and empty ids are missing, the others invalid."""
    if unit_id is None or unit_id == "":
        return "TARGETING_KEY_MISSING"
    try:
        check_unit_id(unit_id)  # type: ignore[arg-type]  # it refuses what is no text
    except UsageError:
        return "INVALID_CONTEXT"
    return None


def _of_unit(bundle: Bundle, slot: Slot, unit_id: str, context: Context, now: datetime) -> Decision:
    encoded = unit_id.encode()
    layer_bucket: int | None = None
    plan = slot.overrides.get(unit_id)
    if plan is None:
        if slot.edges:
            layer_bucket = slot.layer_hash.bucket(encoded)
            plan = slot.owners[bisect_right(slot.edges, layer_bucket)] or slot.fallback
        else:
            plan = slot.owners[0] or slot.fallback
    if plan is None:
        return _held_out_of_slot(bundle, slot, unit_id, context, now) or _default(bundle, slot, unit_id)
    if plan.overrides and plan.state != "archived":
        forced = plan.overrides.get(unit_id)
        if forced is not None:
            return _decided(bundle, slot, plan, unit_id, "override", forced, forced)
    control = plan.control
    if not plan.running or not plan.starts_at <= now < plan.ends_at:
        held = _held_out_of_slot(bundle, slot, unit_id, context, now) if plan.is_over(now) else None
        if held is not None:
            return held
        reason: AssignmentReason = "killed" if plan.killed and plan.state in ("running", "paused") else "not_running"
        return _decided(bundle, slot, plan, unit_id, reason, None, control)
    if (plan.targeting is not None or plan.prerequisites) and not targeted(bundle, plan, context, now, {}):
        return _decided(bundle, slot, plan, unit_id, "not_targeted", None, control, None, None, layer_bucket)
    for holdout in plan.holdouts:
        if _holds(holdout, plan.unit_type, encoded, context, now):
            return _held_out(bundle, slot, plan, unit_id, holdout, layer_bucket)
    if not plan.whole_layer:
        if layer_bucket is None:
            layer_bucket = plan.layer_hash.bucket(encoded)
        if not inside(plan.layer_ranges, layer_bucket):
            return _decided(bundle, slot, plan, unit_id, "not_in_layer", None, control, None, None, layer_bucket)
    traffic_bp = traffic_at(plan, now)
    traffic_bucket: int | None = None
    if traffic_bp < BUCKETS:
        traffic_bucket = plan.traffic_hash.bucket(encoded)
        if traffic_bucket >= traffic_bp:
            return _decided(
                bundle, slot, plan, unit_id, "not_in_traffic", None, control,
                None, traffic_bucket, layer_bucket, traffic_bp,
            )  # fmt: skip
    if plan.design == "interleaving":
        return _decided(
            bundle, slot, plan, unit_id, "interleaved", None, control,
            None, traffic_bucket, layer_bucket, traffic_bp,
        )  # fmt: skip
    split_bucket = plan.split_hash.bucket(encoded)
    arm = plan.arms[bisect_right(plan.split_ends, split_bucket)]
    served = control if arm.disabled else arm
    if plan.clock is not None and plan.clock.in_burn_in(now):
        return _decided(
            bundle, slot, plan, unit_id, "burn_in", arm, served,
            split_bucket, traffic_bucket, layer_bucket, traffic_bp,
        )  # fmt: skip
    return Decision(
        slot.flag_key, slot.module, plan.key, plan.phase, plan.layer_key, plan.unit_type, unit_id,
        arm.key, served.key, served.strategy, served.params, "arm_disabled" if arm.disabled else "split",
        split_bucket, traffic_bucket, layer_bucket, traffic_bp,
        plan.hash_version, bundle.config_version, plan.trigger, None,
    )  # fmt: skip


def _held_out_of_slot(bundle: Bundle, slot: Slot, unit_id: str, context: Context, now: datetime) -> Decision | None:
    """What a member of a holdout on the slot's module meets while no experiment runs there; None for anybody else."""
    encoded = unit_id.encode()
    for holdout in slot.holdouts:
        if _holds(holdout, slot.unit_type, encoded, context, now):
            return _default(bundle, slot, unit_id, holdout)
    return None


def traffic_at(plan: Plan, now: datetime) -> int:
    """How many of 10,000 units are let in at `now`: none before the first step."""
    for at, bp in plan.traffic:
        if at <= now:
            return bp
    return 0


def targeted(bundle: Bundle, plan: Plan, context: Context, now: datetime, known: dict[str, str | None]) -> bool:
    """Targeting holds, and every prerequisite. `known`: what this context was drawn into elsewhere."""
    if plan.targeting is not None and not plan.targeting(context):
        return False
    if plan.unmeetable:
        return False
    for key, variants in plan.prerequisites:
        if key not in known:
            known[key] = _drawn(bundle, bundle.plans[key], context, now, known)
        if known[key] not in variants:
            return False
    return True


def _drawn(bundle: Bundle, plan: Plan, context: Context, now: datetime, known: dict[str, str | None]) -> str | None:
    """The arm the context's unit is drawn into there; None where it is in none, or was forced into one."""
    if plan.design != "ab":
        return None
    unit_id = unit_of(plan.unit_type, context)
    if unit_id_error(unit_id) is not None or not isinstance(unit_id, str) or unit_id in plan.overrides:
        return None
    encoded = unit_id.encode()
    if not plan.running or not plan.starts_at <= now < plan.ends_at:
        return None
    if not targeted(bundle, plan, context, now, known):
        return None
    if any(_holds(holdout, plan.unit_type, encoded, context, now) for holdout in plan.holdouts):
        return None
    if not inside(plan.layer_ranges, plan.layer_hash.bucket(encoded)):
        return None
    if plan.traffic_hash.bucket(encoded) >= traffic_at(plan, now):
        return None
    return plan.arms[bisect_right(plan.split_ends, plan.split_hash.bucket(encoded))].key


def unit_in(slot: Slot, context: Context, now: datetime) -> object:
    """What the slot takes for its unit's id, unchecked; None where the context gives nothing."""
    return unit_of(slot.unit_type, context) if slot.clock is None else slot.clock.unit_id(context, now)


def unit_of(unit_type: str, context: Context) -> object:
    """What the context gives as the id of a unit type, unchecked; None where it gives nothing."""
    for name in id_keys(unit_type):
        found = context.get(name)
        if found is not None:
            return found
    return None


def _holds(holdout: Holdout, unit_type: str, encoded: bytes, context: Context, now: datetime) -> bool:
    """A member now. A unit of another type whose id the context does not give cannot be one."""
    if not holdout.starts_at <= now < holdout.ends_at:
        return False
    if holdout.unit_type != unit_type:
        other = unit_of(holdout.unit_type, context)
        if unit_id_error(other) is not None or not isinstance(other, str):
            return False
        encoded = other.encode()
    return inside(holdout.ranges, holdout.hash.bucket(encoded))


def inside(ranges: Ranges, bucket: int) -> bool:
    """Whether one of the half-open ranges holds the bucket."""
    for start, end in ranges:  # noqa: SIM110 - twice as quick as any(…), and called for every unit
        if start <= bucket < end:
            return True
    return False


def _decided(
    bundle: Bundle,
    slot: Slot,
    plan: Plan,
    unit_id: str | None,
    reason: AssignmentReason,
    variant: Arm | None,
    served: Arm,
    split_bucket: int | None = None,
    traffic_bucket: int | None = None,
    layer_bucket: int | None = None,
    traffic_bp: int | None = None,
) -> Decision:
    return Decision(
        slot.flag_key, slot.module, plan.key, plan.phase, plan.layer_key, plan.unit_type, unit_id,
        None if variant is None else variant.key, served.key, served.strategy, served.params, reason,
        split_bucket, traffic_bucket, layer_bucket, traffic_bp,
        plan.hash_version, bundle.config_version, plan.trigger, None,
    )  # fmt: skip


def _held_out(
    bundle: Bundle, slot: Slot, plan: Plan, unit_id: str, holdout: Holdout, layer_bucket: int | None
) -> Decision:
    """No arm is served: what the unit meets is the holdout's strategy."""
    return Decision(
        slot.flag_key, slot.module, plan.key, plan.phase, plan.layer_key, plan.unit_type, unit_id,
        None, None, holdout.strategy, _NOTHING, "holdout", None, None, layer_bucket, None,
        plan.hash_version, bundle.config_version, plan.trigger, None,
    )  # fmt: skip


def _default(bundle: Bundle, slot: Slot, unit_id: str | None, holdout: Holdout | None = None) -> Decision:
    """A slot without any experiment: its default strategy, or the strategy of a holdout on its module."""
    strategy = slot.default_strategy if holdout is None else holdout.strategy
    return Decision(
        slot.flag_key, slot.module, None, None, slot.layer_key, slot.unit_type, unit_id,
        None, None, strategy, _NOTHING, "none" if holdout is None else "holdout",
        None, None, None, None, None, bundle.config_version, "render", None,
    )  # fmt: skip


def _failed(bundle: Bundle, slot: Slot, error: ErrorCode) -> Decision:
    """Control of the flag's current experiment, else the slot's default."""
    plan = slot.fallback
    if plan is None:
        strategy, params, served = slot.default_strategy, _NOTHING, None
    else:
        strategy, params, served = plan.control.strategy, plan.control.params, plan.control.key
    return Decision(
        slot.flag_key, slot.module, None if plan is None else plan.key, None if plan is None else plan.phase,
        slot.layer_key, slot.unit_type, None, None, served, strategy, params, "none",
        None, None, None, None, None, bundle.config_version, "render", error,
    )  # fmt: skip


def _unknown_flag(bundle: Bundle, flag_key: str, error: ErrorCode = "FLAG_NOT_FOUND") -> Decision:
    return Decision(
        flag_key, "", None, None, None, None, None, None, None, "", _NOTHING, "none",
        None, None, None, None, None, bundle.config_version, "render", error,
    )  # fmt: skip


def _broken(bundle: Bundle, flag_key: object) -> Decision:
    slot = bundle.slots.get(flag_key) if isinstance(flag_key, str) else None
    if slot is None:
        return _unknown_flag(bundle, repr(flag_key), "GENERAL")
    return _failed(bundle, slot, "GENERAL")
