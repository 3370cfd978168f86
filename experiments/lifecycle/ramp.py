"""What time brings: scheduled starts, ramp steps whose checks are green, and scheduled ends. ASSIGNMENT 4.

A step that is due and may not be taken is held and says why; it is tried again the next time.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from experiments import ranges
from experiments.errors import TrueliftError
from experiments.freeze import frozen_by
from experiments.lifecycle.edits import raise_traffic
from experiments.lifecycle.steps import start, stop
from experiments.placement import Check, RampStep
from experiments.shop import Shop
from experiments.spec import Assigned, Live
from experiments.store import Registered, Store

SAMPLE_RATIO = "SH-01"  # the id of the check in a snapshot
SCHEDULE_ENDED = "its schedule ended"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that was due: what, whether it was done, and in words how or why not."""

    key: str
    what: Literal["start", "step", "stop"]
    done: bool
    words: str
    held: bool = False  # it may not be done yet, which is no failure: a check is not green, or no step is taken now


def tick(store: Store, shop: Shop, now: datetime, *, actor: str) -> tuple[Outcome, ...]:
    """Do everything that is due at `now`, of every experiment that truelift assigns, the oldest first.

    Ends come before steps, starts first of all. One experiment that cannot go on does not keep the others from it.
    """
    found: list[Outcome] = []
    for known in sorted(store.registered(), key=lambda each: each.order):
        if isinstance(known.experiment, Assigned):
            found += _due(store, shop, known.key, now, actor)
    return tuple(found)


def next_step(experiment: Assigned, live: Live) -> RampStep | None:
    """The ramp step that is taken next, due or not; None where none is left."""
    return next((step for step in experiment.ramp if ranges.basis_points(step.traffic) > live.traffic_bp), None)


def _due(store: Store, shop: Shop, key: str, now: datetime, actor: str) -> Iterator[Outcome]:
    current = store.definition(key)
    begin, end = current.experiment.schedule.start_at, current.experiment.schedule.end_at
    if current.state == "scheduled" and begin <= now:
        yield _tried(key, "start", lambda: _start(store, shop, key, now, actor))
        current = store.definition(key)
    if current.state in ("running", "paused") and end is not None and end <= now:
        yield _tried(key, "stop", lambda: _stop(store, key, now, actor))
    elif current.state in ("running", "paused"):
        yield from _steps(store, shop, current, now, actor)


def _tried(key: str, what: Literal["start", "step", "stop"], do: Callable[[], str]) -> Outcome:
    try:
        return Outcome(key, what, True, do())
    except TrueliftError as error:
        return Outcome(key, what, False, str(error))


def _start(store: Store, shop: Shop, key: str, now: datetime, actor: str) -> str:
    phase = start(store, shop, key, actor=actor, reason="its schedule began", now=now)
    return f"phase {phase.number} runs"


def _stop(store: Store, key: str, now: datetime, actor: str) -> str:
    stop(store, key, None, actor=actor, reason=SCHEDULE_ENDED, now=now)
    return f"{SCHEDULE_ENDED}: everybody meets the control; decide with `truelift stop {key} --decision …`"


def _steps(store: Store, shop: Shop, current: Registered, now: datetime, actor: str) -> Iterator[Outcome]:
    experiment, key = current.experiment, current.key
    if not isinstance(experiment, Assigned):
        return
    number = store.phase(key).number
    for step in experiment.ramp:
        live = store.live(key, number)
        if step.at > now or ranges.basis_points(step.traffic) <= live.traffic_bp:
            continue
        to = f"{ranges.share_text(live.traffic_bp)} → {step.traffic}"
        held = _held(store, shop, current, number, step, live, now)
        if held:
            yield Outcome(key, "step", False, f"{to} held: {held}", held=True)
            return
        taken = _tried(key, "step", partial(_raise, store, key, step, to, now, actor))
        yield taken
        if not taken.done:
            return


def _raise(store: Store, key: str, step: RampStep, to: str, now: datetime, actor: str) -> str:
    reason = f"ramp step of {step.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    raise_traffic(store, key, step.traffic, actor=actor, reason=reason, now=now)
    return f"traffic {to}"


def _held(
    store: Store, shop: Shop, current: Registered, number: int, step: RampStep, live: Live, now: datetime
) -> str | None:
    """Why a due step is not taken; None when it is."""
    if current.killed or current.state == "paused":
        return f"it is {'killed' if current.killed else 'paused'}; `truelift resume {current.key}` lets it go on"
    window = frozen_by(shop.settings.freeze, shop.settings.zone, now)
    if window:
        return f"no step in the freeze window {window!r} of truelift.toml"
    reasons = [_not_green(store, current.key, number, check, live) for check in step.require]
    return "; ".join(reason for reason in reasons if reason) or None


def _not_green(store: Store, key: str, number: int, check: Check, live: Live) -> str | None:
    """Why a check does not let a step be taken, from the newest published snapshot; None when it is green.

    srm is green when the sample ratio check passes; guardrails when each is measured and none is beyond its limit.
    The snapshot must be of a moment after the traffic last grew: an older one says nothing about those who came since.
    """
    snapshot, again = store.latest(key, number), f"`truelift refresh {key}`"
    since = live.traffic[-1].at if live.traffic else None
    if snapshot is None:
        return f"{check}: nothing is published of phase {number} yet; {again}"
    if since is not None and live.traffic_bp > 0 and snapshot.as_of <= since:
        as_of = f"{snapshot.as_of:%Y-%m-%d %H:%M} UTC"
        return f"{check}: the newest snapshot, as of {as_of}, is older than its traffic; {again}"
    readout = json.loads(zlib.decompress(snapshot.body))
    return _sample_ratio(readout) if check == "srm" else _guardrails(readout)


def _sample_ratio(readout: dict[str, object]) -> str | None:
    checks = readout.get("checks")
    for each in checks if isinstance(checks, list) else ():
        if each["id"] == SAMPLE_RATIO:
            return None if each["state"] == "pass" else f"srm: {each['state']}: {each['sentence']}"
    return "srm: the newest snapshot does not have the check"


def _guardrails(readout: dict[str, object]) -> str | None:
    metrics = readout.get("metrics")
    if not isinstance(metrics, list):
        return "guardrails: the results are withheld"
    found: list[str] = []
    for metric in metrics:
        for comparison in metric["comparisons"] if metric["role"] == "guardrail" else ():
            if comparison["status"] == "breached":
                found.append(f"{metric['label']} is beyond its limit in {comparison['arm']}")
            elif comparison["not_determined"] is not None:
                found.append(f"{metric['label']} is not measured in {comparison['arm']} yet")
    return f"guardrails: {', '.join(found)}" if found else None
