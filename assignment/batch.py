"""A whole table assigned at once, in DuckDB, to the arms that one unit at a time gets in Python.

The query reads a table or view `units` with a text column `unit_id` and answers one row for each of its rows:
unit_id, assignment_reason, variant (the arm assigned), and of layer_bucket, traffic_bucket and split_bucket those whose
step has something to decide, each as in a decision. Ids are hashed as they are: what `check_unit_id` refuses has no
place in the table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from assignment.allocation import traffic_at
from assignment.bundle import Plan, Ranges
from assignment.hashing import BUCKETS
from experiments.errors import UsageError

_NO_BUCKET = "cast(null as bigint)"


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with its named parameters. What stands in the text itself are bounds of ranges."""

    sql: str
    parameters: dict[str, str | list[str]]


def assign_units(plan: Plan, now: datetime) -> Query:
    """The arms of one experiment at `now`, for units that its slot's other experiments do not own.

    UsageError where ids do not suffice: targeting and prerequisites read a context, a holdout of another unit type
    another id.
    """
    _refuse_what_ids_do_not_say(plan)
    parameters: dict[str, str | list[str]] = {f"arm_{index}": arm.key for index, arm in enumerate(plan.arms)}
    forced, halted, layer, traffic = "cast(null as varchar)", "false", _NO_BUCKET, _NO_BUCKET
    held, outside, kept_out = "false", "false", "false"
    if plan.overrides:
        forced = "$forced[list_position($overridden, unit_id)]"
        parameters["overridden"] = list(plan.overrides)
        parameters["forced"] = [arm.key for arm in plan.overrides.values()]
    if not plan.running or not plan.starts_at <= now < plan.ends_at:
        halted = "true"
    else:
        holdouts = [holdout for holdout in plan.holdouts if holdout.starts_at <= now < holdout.ends_at]
        held = _any(_inside(_bucket(f"holdout_{index}"), each.ranges) for index, each in enumerate(holdouts))
        parameters |= {f"holdout_{index}": each.hash.salt for index, each in enumerate(holdouts)}
        parameters["split"] = plan.split_hash.salt
        if not plan.whole_layer:
            layer, outside = _bucket("layer"), f"not ({_inside('layer_bucket', plan.layer_ranges)})"
            parameters["layer"] = plan.layer_hash.salt
        bp = traffic_at(plan, now)
        if bp < BUCKETS:
            traffic, kept_out = _bucket("traffic"), f"traffic_bucket >= {bp}"
            parameters["traffic"] = plan.traffic_hash.salt
    disabled = _any(f"variant = $arm_{index}" for index, arm in enumerate(plan.arms) if arm.disabled)
    reason = "killed" if plan.killed and plan.state in ("running", "paused") else "not_running"
    split = _NO_BUCKET if halted == "true" else _bucket("split")
    buckets = [
        *([", case when forced is null then layer_bucket end as layer_bucket"] if layer != _NO_BUCKET else []),
        *([", traffic_bucket"] if traffic != _NO_BUCKET else []),
        *([", split_bucket"] if split != _NO_BUCKET else []),
    ]
    arm = " ".join(f"when split_bucket < {end} then $arm_{index}" for index, end in enumerate(plan.split_ends))
    sql = f"""
with placed as (
    select unit_id, {forced} as forced, {layer} as layer_bucket from units
),
stopped as (
    select
        unit_id, forced, layer_bucket,
        case
            when forced is not null then 'override'
            when {halted} then '{reason}'
            when {held} then 'holdout'
            when {outside} then 'not_in_layer'
        end as stop
    from placed
),
let_in as (
    select unit_id, forced, layer_bucket, stop, case when stop is null then {traffic} end as traffic_bucket from stopped
),
drawn as (
    select
        unit_id, forced, layer_bucket, traffic_bucket,
        case when stop is null and {kept_out} then 'not_in_traffic' else stop end as stop,
        case when stop is null and not ({kept_out}) then {split} end as split_bucket
    from let_in
),
assigned as (
    select
        unit_id, forced, layer_bucket, traffic_bucket, split_bucket, stop,
        case {arm} else forced end as variant
    from drawn
)
select
    unit_id,
    case when stop is not null then stop when {disabled} then 'arm_disabled' else 'split' end as assignment_reason,
    variant{"".join(buckets)}
from assigned
"""
    return Query(sql, {name: value for name, value in parameters.items() if f"${name}" in sql})


def _refuse_what_ids_do_not_say(plan: Plan) -> None:
    wants = [
        *(["targeting"] if plan.targeting is not None else []),
        *(["prerequisites"] if plan.prerequisites else []),
        *(f"holdout {each.key} of {each.unit_type}s" for each in plan.holdouts if each.unit_type != plan.unit_type),
    ]
    if wants:
        raise UsageError(
            f"{plan.key}: {', '.join(wants)} cannot be decided from {plan.unit_type} ids alone; "
            "evaluate each unit with its context instead"
        )


def _bucket(parameter: str) -> str:
    """The bucket of `unit_id` under a salt: the first 32 bits of the md5, written as hex digits."""
    return f"(('0x' || substr(md5(${parameter} || '-' || unit_id), 1, 8))::bigint % {BUCKETS})"


def _inside(bucket: str, ranges: Ranges) -> str:
    return _any(f"{bucket} between {start} and {end - 1}" for start, end in ranges)


def _any(conditions: Iterable[str]) -> str:
    return " or ".join(conditions) or "false"
