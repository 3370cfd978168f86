"""The exposure log beside an evaluation in the caller's own process: the rows that the service writes, by its rules.

trigger serve     the row is kept before the evaluation answers; control where it cannot be kept
trigger render    the answer carries an exposure id; `rendered` keeps the row when the slot has been rendered
"""

import json
import threading
from collections.abc import Mapping
from datetime import datetime

import msgspec

from assignment.bundle import Bundle
from assignment.decision import Decision
from assignment.event_log import EventLog
from assignment.exposures import exposure_row, new_event_id
from assignment.flags import variant_of
from experiments.contracts import CONTRACTS, columns, reasons
from experiments.errors import SpoolError, UsageError

Context = Mapping[str, object]
_DECIDED = {  # what an evaluation says of a rendered slot, never the page
    "event_id", "experiment_key", "phase", "flag_key", "module", "layer_key", "unit_type", "unit_id", "variant",
    "served_variant", "assignment_reason", "split_bucket", "traffic_bucket", "layer_bucket", "traffic_bp",
    "hash_version", "config_version", "strategy", "trigger", "received_ts", "schema_version",
}  # fmt: skip
SEEN = {column.name for column in columns(CONTRACTS["exposure"])} - _DECIDED  # what only the page knows
TOLD = {"flag_key", "exposure_id", "served_variant"} | SEEN  # what may be told of a rendered slot


def without_log(bundle: Bundle, decision: Decision) -> Decision:
    """What is served where an exposure cannot be kept: control in an arm's place, else the same."""
    if decision.experiment_key is None or (decision.variant is None and decision.assignment_reason != "interleaved"):
        return decision
    control = bundle.plans[decision.experiment_key].control
    return msgspec.structs.replace(
        decision,
        variant=None, served_variant=control.key, strategy=control.strategy, params=control.params,
        assignment_reason="none", split_bucket=None, error="GENERAL",
    )  # fmt: skip


class Recorder:
    """An event log with a memory of whether it could keep the last row. Threads may share it.

    A spool refuses the children of the process that opened it, so in a forked worker control is served until the worker
    makes a provider with a spool of its own.
    """

    def __init__(self, log: EventLog) -> None:
        """The log stays the caller's, who closes it."""
        self._log = log
        self._lock = threading.Lock()
        self.healthy = True  # whether the last row was kept
        self.control_served = 0  # in an arm's place, since the start

    def recorded(
        self, bundle: Bundle, decision: Decision, context: Context, at: datetime
    ) -> tuple[Decision, str | None]:
        """What to serve, and the exposure id to tell `rendered` of, where the row is not kept by now."""
        if decision.error is not None or decision.unit_id is None or decision.assignment_reason == "interleaved":
            return decision, None  # a flag cannot interleave: what it answers is no exposure
        exposure_id = new_event_id(at)
        if decision.trigger == "render":
            return (decision, exposure_id) if self.healthy else (self._control(bundle, decision), None)
        try:
            self._keep(exposure_row(bundle, decision, context, event_id=exposure_id, at=at))
        except SpoolError:
            return self._control(bundle, decision), None
        return decision, None

    def rendered(
        self, bundle: Bundle, decision: Decision, context: Context, told: Mapping[str, object], at: datetime
    ) -> str:
        """Keep the row of a slot that was rendered, and say its event id. `told` holds names of TOLD.

        UsageError for what is no exposure: no unit, a row that the contract refuses, or a `served_variant` that is not
        what the flag answers now. SpoolError where it is not kept.
        """
        if decision.error is not None or decision.unit_id is None:
            raise UsageError(f"{decision.flag_key}: nothing was assigned; give the context that was evaluated")
        now = variant_of(decision)
        served = told.get("served_variant", now)
        if served != now and (served is not None or decision.served_variant is not None):  # None: no arm was shown
            raise UsageError(f"{decision.flag_key}: {served!r} was shown, {now!r} is served now; evaluate it again")
        event_id = told.get("exposure_id") or new_event_id(at)
        if not isinstance(event_id, str):
            raise UsageError(f"exposure_id {event_id!r}: give the text that the evaluation answered")
        row = exposure_row(bundle, decision, context, event_id=event_id, at=at)
        row |= {"received_ts": at.isoformat()} | {name: told[name] for name in SEEN & set(told)}
        if wrong := _faults(row):
            raise UsageError(f"{decision.flag_key}: no exposure.v1 row: {', '.join(wrong)}; correct what was told")
        self._keep(row)
        return event_id

    def look(self) -> None:
        """Ask a log that failed whether it recovered; it may take milliseconds."""
        if not self.healthy:
            self.healthy = self._log.stats().healthy

    def _keep(self, row: Mapping[str, object]) -> None:
        try:
            self._log.append("exposure", row)
        except SpoolError:
            self.healthy = False
            raise
        self.healthy = True

    def _control(self, bundle: Bundle, decision: Decision) -> Decision:
        instead = without_log(bundle, decision)
        if instead is not decision:
            with self._lock:
                self.control_served += 1
        return instead


def _faults(row: Mapping[str, object]) -> list[str]:
    try:
        return sorted(reasons(CONTRACTS["exposure"], json.dumps(row).encode()))
    except (TypeError, ValueError, RecursionError, OverflowError):
        return ["malformed"]
