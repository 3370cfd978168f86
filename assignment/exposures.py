"""The exposure row of a decision: what the log keeps of one rendered slot."""

import os
import re
from collections.abc import Mapping
from datetime import datetime

from assignment.bundle import Bundle
from assignment.decision import LET_IN, Decision
from experiments.contracts import NAME_PATTERN, NULL_TEXTS, TEXT_LIMIT, Exposure, columns

_NAME = re.compile(NAME_PATTERN)
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: no UTF-8
_IDS = frozenset({"user_id", "session_id", "device_id"})
_NAMES = frozenset({"page_category", "platform", "country", "app_version"})
_FLAGS = frozenset({"is_bot", "is_internal"})
_BROWSERS = next(frozenset(column.kind.values) for column in columns(Exposure) if column.name == "browser")  # type: ignore[union-attr]


_RANDOM: list[str] = []  # drawn ahead: asking the system costs more than all the rest of an id
os.register_at_fork(after_in_child=_RANDOM.clear)


def new_event_id(at: datetime) -> str:
    """A UUID of version 7: 48 bits of `at` in milliseconds, the rest random: ids sort by time. RFC 9562, 5.7."""
    when = f"{int(at.timestamp() * 1000):012x}"
    try:
        rest = _RANDOM.pop()
    except IndexError:
        drawn = os.urandom(2_560).hex()
        rest, *more = (drawn[start : start + 20] for start in range(0, len(drawn), 20))
        _RANDOM.extend(more)
    return f"{when[:8]}-{when[8:]}-7{rest[:3]}-{'89ab'[int(rest[3], 16) % 4]}{rest[4:7]}-{rest[7:19]}"


def exposure_row(
    bundle: Bundle, decision: Decision, context: Mapping[str, object], *, event_id: str, at: datetime
) -> dict[str, object]:
    """An `exposure.v1` row; columns that are not known are left out.

    `decision` comes of `bundle` and has a unit and no error. A unit that was let in gets the buckets of every step,
    also of those with nothing to decide, so that the row can be recomputed. Of the context's ids and attributes those
    are kept that the contract takes: a strange one must not cost the exposure.
    """
    reason = decision.assignment_reason
    row: dict[str, object] = {
        "schema_version": "exposure.v1",
        "event_id": event_id,
        "event_ts": at.isoformat(),
        "flag_key": decision.flag_key,
        "module": decision.module,
        "layer_key": decision.layer_key,
        "unit_type": decision.unit_type,
        "unit_id": decision.unit_id,
        "assignment_reason": reason,
        "config_version": str(decision.config_version),
        "strategy": decision.strategy,
        "trigger": decision.trigger,
    }
    traffic_bucket, layer_bucket = decision.traffic_bucket, decision.layer_bucket
    if decision.experiment_key is not None:
        row["experiment_key"], row["phase"] = decision.experiment_key, decision.phase
        row["hash_version"] = decision.hash_version
        if reason in LET_IN:
            plan, encoded = bundle.plans[decision.experiment_key], str(decision.unit_id).encode()
            if traffic_bucket is None:
                traffic_bucket = plan.traffic_hash.bucket(encoded)
            if layer_bucket is None:
                layer_bucket = plan.layer_hash.bucket(encoded)
    for name, value in (
        ("variant", decision.variant),
        ("served_variant", decision.served_variant),
        ("split_bucket", decision.split_bucket),
        ("traffic_bucket", traffic_bucket),
        ("layer_bucket", layer_bucket),
        ("traffic_bp", decision.traffic_bp),
    ):
        if value is not None:
            row[name] = value
    if decision.unit_type == "request":
        row["request_id"] = decision.unit_id
        if reason == "interleaved":  # whoever drafts says what was served
            del row["strategy"], row["served_variant"]
    _add_context(row, context)
    return row


def _add_context(row: dict[str, object], context: Mapping[str, object]) -> None:
    for name, value in context.items():
        if isinstance(value, bool):
            kept = name in _FLAGS
        elif name == "browser":
            kept = isinstance(value, str) and value in _BROWSERS
        else:
            kept = (name in _NAMES or (name in _IDS and value not in NULL_TEXTS)) and _is_name(value)
        if kept:
            row[name] = value


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_LIMIT:
        return False
    if value.isascii() and value.isprintable():
        return value[0] != " " != value[-1]  # what the pattern says of such a text, in a third of the time
    return _NAME.fullmatch(value) is not None and _HALF.search(value) is None
