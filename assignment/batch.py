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
from assignment.bundle import Holdout, Plan, Ranges
from assignment.hashing import BUCKETS
from experiments.errors import UsageError

_NO_WORD = "cast(null as ubigint)"


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with its named parameters. What stands in the text itself are bounds of ranges."""

    sql: str
    parameters: dict[str, str | list[str]]


def assign_units(plan: Plan, now: datetime) -> Query:
    """The arms of one experiment at `now`, for units that its slot's other experiments do not own.

    UsageError where ids do not suffice: targeting and prerequisites read a context, a holdout of another unit type
    another id. UsageError before its start and after its end: its slot is served as if it were not there.
    """
    _refuse_what_ids_do_not_say(plan)
    if plan.waits:
        raise UsageError(f"{plan.key}: is {plan.state}, and before its start it assigns nobody; start it first")
    if plan.is_over(now):
        raise UsageError(f"{plan.key}: is over, and assigns nobody any more; name a moment of its run")
    parameters: dict[str, str | list[str]] = {f"arm_{index}": arm.key for index, arm in enumerate(plan.arms)}
    forced, halted, layer, traffic = "cast(null as varchar)", "false", _NO_WORD, _NO_WORD
    holdouts: list[Holdout] = []
    outside, kept_out = "false", "false"
    if plan.overrides:
        forced = "$forced[list_position($overridden, unit_id)]"
        parameters["overridden"] = list(plan.overrides)
        parameters["forced"] = [arm.key for arm in plan.overrides.values()]
    if not plan.running or not plan.starts_at <= now < plan.ends_at:
        halted = "true"
    else:
        holdouts = [holdout for holdout in plan.holdouts if holdout.starts_at <= now < holdout.ends_at]
        parameters |= {f"holdout_{index}": each.hash.salt for index, each in enumerate(holdouts)}
        parameters["split"] = plan.split_hash.salt
        if not plan.whole_layer:
            layer, outside = word_of("layer"), f"not ({_inside('layer_bucket', plan.layer_ranges)})"
            parameters["layer"] = plan.layer_hash.salt
        bp = traffic_at(plan, now)
        if bp < BUCKETS:
            traffic, kept_out = word_of("traffic"), f"traffic_bucket >= {bp}"
            parameters["traffic"] = plan.traffic_hash.salt
    held_words = "".join(f", {word_of(f'holdout_{index}')} as held_word_{index}" for index in range(len(holdouts)))
    held = _any(_inside(bucket_of(f"held_word_{index}"), each.ranges) for index, each in enumerate(holdouts))
    disabled = _any(f"variant = $arm_{index}" for index, arm in enumerate(plan.arms) if arm.disabled)
    reason = "killed" if plan.killed and plan.state in ("running", "paused") else "not_running"
    split = _NO_WORD if halted == "true" else word_of("split")
    buckets = [
        *([", case when forced is null then layer_bucket end as layer_bucket"] if layer != _NO_WORD else []),
        *([", traffic_bucket"] if traffic != _NO_WORD else []),
        *([", split_bucket"] if split != _NO_WORD else []),
    ]
    arm = " ".join(f"when split_bucket < {end} then $arm_{index}" for index, end in enumerate(plan.split_ends))
    sql = f"""
with hashed as (
    select unit_id, {forced} as forced, {layer} as layer_word{held_words} from units
),
stopped as (
    select
        unit_id, forced, {bucket_of("layer_word")} as layer_bucket,
        case
            when forced is not null then 'override'
            when {halted} then '{reason}'
            when {held} then 'holdout'
            when {outside} then 'not_in_layer'
        end as stop
    from hashed
),
let_in as (
    select unit_id, forced, layer_bucket, stop, case when stop is null then {traffic} end as traffic_word from stopped
),
kept as (
    select
        unit_id, forced, layer_bucket, {bucket_of("traffic_word")} as traffic_bucket,
        case when stop is null and {kept_out} then 'not_in_traffic' else stop end as stop
    from let_in
),
drawn as (
    select
        unit_id, forced, layer_bucket, traffic_bucket, stop,
        case when stop is null then {split} end as split_word
    from kept
),
assigned as (
    select
        unit_id, forced, layer_bucket, traffic_bucket, stop, {bucket_of("split_word")} as split_bucket,
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
        *(["the draft of an interleaving"] if plan.design == "interleaving" else []),
        *(["targeting"] if plan.targeting is not None else []),
        *(["prerequisites"] if plan.prerequisites else []),
        *(f"holdout {each.key} of {each.unit_type}s" for each in plan.holdouts if each.unit_type != plan.unit_type),
    ]
    if wants:
        raise UsageError(
            f"{plan.key}: {', '.join(wants)} cannot be decided from {plan.unit_type} ids alone; "
            "evaluate each unit with its context instead"
        )


def word_of(parameter: str) -> str:
    """The first 4 bytes of the md5 of `unit_id` under a salt, as DuckDB reads a number: the lowest byte first.

    It costs three quarters of what the same bits cost as hex digits, cut out and read again.
    """
    return f"(md5_number(${parameter} || '-' || unit_id) & 4294967295)::ubigint"


def bucket_of(word: str) -> str:
    """The bucket of a word: its bytes turned round, big-endian as the hash reads them."""
    turned = f"(({word} & 255) << 24) + (({word} & 65280) << 8) + (({word} >> 8) & 65280) + ({word} >> 24)"
    return f"(({turned}) % {BUCKETS})::bigint"


def _inside(bucket: str, ranges: Ranges) -> str:
    return _any(f"{bucket} between {start} and {end - 1}" for start, end in ranges)


def _any(conditions: Iterable[str]) -> str:
    return " or ".join(conditions) or "false"
