"""A decision as feature-flag clients see it: value, variant, reason and metadata. In process and over HTTP alike.

The value of a flag is the served arm's parameter `value`, of whatever type, where its params have one; else the served
arm's key (control's where control is served); and where no arm is served, the name of the strategy that is.
"""

from collections.abc import Mapping
from typing import Literal

from assignment.decision import AssignmentReason, Decision

Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"]

REASONS: Mapping[AssignmentReason, Reason] = {
    "split": "SPLIT",
    "arm_disabled": "SPLIT",
    "burn_in": "SPLIT",
    "interleaved": "STATIC",
    "override": "STATIC",
    "holdout": "SPLIT",
    "not_in_layer": "STATIC",
    "not_in_traffic": "STATIC",
    "not_targeted": "STATIC",
    "not_running": "DISABLED",
    "killed": "DISABLED",
    "none": "STATIC",
}


def value_of(decision: Decision) -> object:
    """What the flag is: never None."""
    value = decision.params.get("value")
    return variant_of(decision) if value is None else value


def variant_of(decision: Decision) -> str:
    """The served arm's key, or the strategy's name where no arm is served."""
    return decision.served_variant or decision.strategy


def reason_of(decision: Decision) -> Reason:
    """Why, in OpenFeature's words; UNKNOWN where something went wrong and control is served."""
    return REASONS[decision.assignment_reason] if decision.error is None else "UNKNOWN"


def metadata_of(decision: Decision, exposure_id: str | None = None) -> dict[str, str | int]:
    """What a client may log beside the value; what is not known is left out."""
    made: dict[str, str | int] = {"configVersion": decision.config_version}
    if decision.experiment_key is not None and decision.phase is not None:
        made["experimentKey"] = decision.experiment_key
        made["phase"] = decision.phase
    if decision.error is None:
        made["assignmentReason"] = decision.assignment_reason
    if decision.unit_type == "request" and decision.unit_id is not None:
        made["requestId"] = decision.unit_id
    if decision.split_bucket is not None:
        made["splitBucket"] = decision.split_bucket
    if exposure_id is not None:
        made["exposureId"] = exposure_id
    return made
