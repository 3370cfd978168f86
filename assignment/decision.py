"""What one evaluation answers: which arm a unit has, what it is served, and why. A frozen value, ready for JSON."""

from collections.abc import Mapping
from typing import Literal

import msgspec

AssignmentReason = Literal[
    "split",
    "arm_disabled",
    "burn_in",
    "interleaved",
    "override",
    "holdout",
    "not_in_layer",
    "not_in_traffic",
    "not_targeted",
    "not_running",
    "killed",
    "none",
]
ErrorCode = Literal["FLAG_NOT_FOUND", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"]
Trigger = Literal["render", "serve"]
ANALYSED: frozenset[AssignmentReason] = frozenset({"split", "arm_disabled"})  # the unit was drawn into an arm
LET_IN: frozenset[AssignmentReason] = ANALYSED | {"burn_in", "interleaved"}  # the unit passed layer and traffic


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One unit and one slot at one moment.

    A msgspec struct rather than a dataclass: it is built in a twentieth of the time, once per decision.
    `variant` is the arm the unit is assigned to, `served_variant` the arm whose strategy it meets: they differ where
    an arm is disabled, and where control is served to a unit that is in no arm. An interleaved request is in no arm
    either: control is what it meets where one list is all that can be shown. A bucket is None where the step was
    not reached or had nothing to decide (a range that holds every bucket, full traffic). With an `error` control is
    served all the same (the slot's default strategy without an experiment; nothing for an unknown flag), the reason
    is `none`, and no exposure may be logged.
    """

    flag_key: str
    module: str  # empty for a flag nobody knows
    experiment_key: str | None
    phase: int | None
    layer_key: str | None
    unit_type: str | None
    unit_id: str | None
    variant: str | None
    served_variant: str | None
    strategy: str  # empty for a flag nobody knows
    params: Mapping[str, object]
    assignment_reason: AssignmentReason
    split_bucket: int | None  # buckets are 0 to 9,999
    traffic_bucket: int | None
    layer_bucket: int | None
    traffic_bp: int | None  # hundredths of a per cent of the units
    hash_version: str | None
    config_version: int
    trigger: Trigger
    error: ErrorCode | None


class Step(msgspec.Struct, frozen=True):
    """One step of an evaluation, worked out for a reader whether or not it was reached.

    `goes_on` is whether the unit passes to the next one: the first step that says no decides. `hashed` is the text
    whose md5 gives the `bucket`.
    """

    number: int  # 1 to 11
    name: str
    goes_on: bool
    said: str
    hashed: str | None = None
    bucket: int | None = None


class Explanation(msgspec.Struct, frozen=True):
    """A decision with every step behind it, in order."""

    decision: Decision
    steps: tuple[Step, ...]
