"""From one state to the next: draft → scheduled → running ⇄ paused → stopped → archived. ASSIGNMENT 5.

Every step is one function, one transaction and one audit row. `expected` is the revision that whoever asks has seen;
None takes the experiment as it is. A step that the state does not allow is a TransitionError that says what it allows.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from experiments.errors import ConflictError, DefinitionError, NotFoundError, TransitionError
from experiments.lifecycle.proposals import checked, used
from experiments.loading import Document, Path_, read_yaml
from experiments.placement import HOLDOUT_PREFIX, REST, RangesStep, TrafficStep
from experiments.shop import Shop
from experiments.spec import Assigned, Experiment, Live, Metric, Phase
from experiments.store import Decision, DecisionCode, Event, Registered, State, Store
from experiments.validate import load_metrics, load_slices

ASSUMED_UNITS = 10_000  # n* of all arms when the definition plans none: STATISTICS 4
ALLOWED: Mapping[State, tuple[str, ...]] = {
    "draft": ("schedule", "start"),
    "scheduled": ("start",),
    "running": ("pause", "stop", "new-phase"),
    "paused": ("resume", "stop", "new-phase"),
    "stopped": ("archive",),
    "archived": (),
}


def schedule(
    store: Store, key: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Let a draft start by itself at its schedule's start_at, with the definition that is registered then."""
    current = _own(store, key, "schedule")
    _allow(current, "schedule")
    at = current.experiment.schedule.start_at
    if at <= now:
        raise TransitionError(f"{key}: its start_at {_utc(at)} has passed: `truelift start {key}` begins it now")
    return store.change(
        key, action="schedule", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        state="scheduled",
    )  # fmt: skip


def start(
    store: Store, shop: Shop, key: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Phase:
    """Freeze the first phase: the definition, its metrics, the shop's slices and the planned number of units.

    The clock of an assignment made elsewhere is the definition's `schedule.start_at`, past or future, not the moment
    of this call: its exposures happened when the logs say, often before anybody registered it here. Where truelift
    assigns, the phase begins now, which must lie within the schedule. `planned_units` is the definition's, else 10,000,
    marked as assumed (there is no accrual to expect before the first data).
    NotFoundError for an unknown key, TransitionError unless it is a draft or scheduled, ConflictError when a metric's
    entry changed since it was registered.
    """
    current = store.definition(key)
    if current.state not in ("draft", "scheduled"):
        since = store.phase(key).started_at.astimezone(UTC)
        raise TransitionError(
            f"{key} is {current.state} since {since:%Y-%m-%d %H:%M} UTC: only a draft can be started; "
            f"`truelift refresh {key}` reads it"
        )
    _refuse_revision(current, expected)
    _refuse_drift(current, load_metrics(shop).metrics)
    experiment = current.experiment
    if isinstance(experiment, Assigned):
        _refuse_outside(experiment, now)
    started_at = now if isinstance(experiment, Assigned) else experiment.schedule.start_at
    phase = _phase(1, experiment, current.metrics, shop, started_at)
    store.save_phase(
        key, phase, expected_version=current.version, actor=actor, reason=reason, now=now, live=_begun(experiment, now)
    )
    return phase


def new_phase(
    store: Store,
    shop: Shop,
    path: Path,
    *,
    actor: str,
    reason: str,
    now: datetime,
    keep_salt: bool = False,
    expected: int | None = None,
) -> Phase:
    """End the phase that runs and begin the next with the definition in `path`; units are drawn anew.

    The new salt is `<key>.<phase>` unless the file writes one; with `keep_salt` it stays what it was, so that every
    unit whose range stays keeps its arm. The schedule begins with the new phase. What was killed runs again.
    """
    document, problems = read_yaml(path)
    if document is None:
        raise DefinitionError(str(path), problems)
    return propose_phase(
        store, shop, document, where=str(path), actor=actor, reason=reason, now=now, keep_salt=keep_salt,
        expected=expected,
    )  # fmt: skip


def propose_phase(
    store: Store,
    shop: Shop,
    document: Document,
    *,
    where: str,
    actor: str,
    reason: str,
    now: datetime,
    keep_salt: bool = False,
    expected: int | None = None,
) -> Phase:
    """The same from a document that was read already."""
    experiment, ground = checked(store, shop, document, where=where, now=now)
    current = _own(store, experiment.key, "new-phase")
    _allow(current, "new-phase")
    before = store.phase(experiment.key)
    number, frozen = before.number + 1, before.experiment
    if not isinstance(experiment, Assigned) or not isinstance(frozen, Assigned) or ground is None:
        raise TransitionError(f"{experiment.key}: another system assigns it; register the change under another key")
    salt = frozen.salt if keep_salt else experiment.salt or f"{experiment.key}.{number}"
    if keep_salt and experiment.salt not in (None, salt):
        message = f"{experiment.salt} is not the salt of phase {before.number}, which is to be kept"
        problem = document.problem("salt_collision", ("salt",), experiment.salt, message, next_step="leave it out")
        raise DefinitionError(where, [problem])
    if not keep_salt and salt in store.salts():
        whose = f"the salt of phase {before.number}" if salt == frozen.salt else "taken, and a salt is for one phase"
        step = "leave it out, or write one that was never used: a new phase draws its units anew"
        problem = document.problem("salt_collision", ("salt",), salt, f"{salt} is {whose}", next_step=step)
        raise DefinitionError(where, [problem])
    at = experiment.schedule.start_at
    if not before.started_at < at <= now:
        path: Path_ = ("schedule", "start_at")
        message = f"{_utc(at)} is not when phase {number} begins: after {_utc(before.started_at)}, and not after now"
        step = f"write start_at: {_utc(now)}"
        raise DefinitionError(where, [document.problem("schedule_order", path, _utc(at), message, next_step=step)])
    _refuse_outside(experiment, now)
    experiment = experiment.model_copy(update={"salt": salt})
    metrics = used(experiment, load_metrics(shop).metrics)
    phase = _phase(number, experiment, metrics, shop, now)
    ended = store.live(experiment.key, before.number).model_copy(update={"ended_at": now})
    store.save_ground(ground, actor=actor, reason=reason or f"with {experiment.key}", now=now)
    store.open_phase(
        phase, metrics, _begun(experiment, now), ended=(before.number, ended),
        expected_revision=current.revision if expected is None else expected, actor=actor, reason=reason, now=now,
    )  # fmt: skip
    return phase


def pause(store: Store, key: str, *, actor: str, reason: str, now: datetime, expected: int | None = None) -> Registered:
    """Let everybody meet the control until it is resumed; nobody's arm changes by it."""
    current = _own(store, key, "pause")
    _allow(current, "pause")
    return store.change(
        key, action="pause", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        state="paused",
    )  # fmt: skip


def resume(
    store: Store, key: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Let what was paused or killed go on: every unit in the arm it had."""
    current = _own(store, key, "resume")
    if current.killed and current.state in ("draft", "scheduled", "running"):
        state: State | None = None
    else:
        _allow(current, "resume")
        state = "running"
    return store.change(
        key, action="resume", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        state=state, killed=False if current.killed else None,
    )  # fmt: skip


def kill(store: Store, key: str, *, actor: str, reason: str, now: datetime) -> Registered:
    """Give everybody the control at once, whatever else is going on; harmless twice. `resume` lifts it.

    TransitionError for what is stopped or archived: nobody meets it any more, and no `resume` could follow.
    """
    current = _own(store, key, "kill")
    if current.state in ("stopped", "archived"):
        raise TransitionError(f"{key} is {current.state}: nobody meets it any more, so there is nothing to kill")
    if current.killed:
        return current
    return store.change(
        key, action="kill", expected_revision=None, actor=actor, reason=reason, now=now, killed=True
    )  # fmt: skip


def stop(
    store: Store,
    key: str,
    decision: DecisionCode | None,
    *,
    actor: str,
    reason: str,
    now: datetime,
    expected: int | None = None,
) -> Registered:
    """End an experiment with what was decided and why. Without a decision it is to be made later, by `stop` again.

    TransitionError without a reason, or when a decision was made before.
    """
    current = store.definition(key)
    undecided = current.state == "stopped" and current.decision is None and decision is not None
    if not undecided:
        _allow(current, "stop")
    if not reason.strip():
        raise TransitionError(f"{key}: a stop is read years later; say why: give a reason")
    made = None if decision is None else Decision(decision, reason, now)
    if undecided:
        return store.change(
            key, action="decide", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
            decision=made,
        )  # fmt: skip
    number = store.phase(key).number
    ended = store.live(key, number).model_copy(update={"ended_at": now})
    return store.change(
        key, action="stop", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        state="stopped", decision=made, live=(number, ended),
    )  # fmt: skip


def archive(
    store: Store, key: str, *, actor: str, reason: str, now: datetime, expected: int | None = None
) -> Registered:
    """Put a stopped experiment away: its flag is answered as if there had been none. TransitionError if undecided."""
    current = store.definition(key)
    _allow(current, "archive")
    if current.decision is None:
        step = f"`truelift stop {key} --decision ship|roll_back|inconclusive --reason …`"
        raise TransitionError(f"{key} is stopped and nothing is decided; first {step}")
    return store.change(
        key, action="archive", expected_revision=_seen(current, expected), actor=actor, reason=reason, now=now,
        state="archived",
    )  # fmt: skip


def close_stop(store: Store, key: str, arm: str, *, actor: str, reason: str, now: datetime) -> Event:
    """Close every stop of a treatment arm that stands: a person has looked into it. A later harm stops it again.

    TransitionError when no stop of the arm stands, or without a reason; NotFoundError for an unknown key or arm.
    """
    number, arms = _read_arms(store, key)
    if arm not in arms:
        raise NotFoundError(f"{key} has no treatment arm {arm!r}; its arms are {', '.join(arms)}")
    if not reason.strip():
        raise TransitionError(f"{key}: closing a stop is written into the audit; say why: give a reason")
    own = [event for event in store.events(key, number) if event.arm == arm]
    closed = [event.at for event in own if event.kind == "stop_closed"]
    standing = [event.at for event in own if event.kind == "stop" and all(event.at > at for at in closed)]
    if not standing:
        raise TransitionError(f"{key}: no stop of {arm} stands; `truelift readout {key}` shows its verdict")
    event = Event(key, number, "stop_closed", "", arm, max(standing), now)
    store.record_event(event, actor=actor, reason=reason)
    return event


def _read_arms(store: Store, key: str) -> tuple[int, list[str]]:
    """The phase that is read and its treatment arms; a holdout's are one phase and the rest."""
    if key in {HOLDOUT_PREFIX + each for each in store.ground().holdouts}:
        return 1, [REST]
    phase = store.phase(key)
    return phase.number, [variant.key for variant in phase.experiment.treatments]


def _own(store: Store, key: str, word: str) -> Registered:
    """The experiment, if truelift assigns it: what another system assigns cannot be switched from here."""
    current = store.definition(key)
    if not isinstance(current.experiment, Assigned):
        by = current.experiment.assigned_by
        raise TransitionError(f"{key} is assigned by {by}: {word} it there; truelift only reads it")
    return current


def _allow(current: Registered, word: str) -> None:
    if word not in ALLOWED[current.state]:
        may = ", ".join(f"`truelift {each} {current.key}`" for each in ALLOWED[current.state])
        said = f"from here {may}" if may else "nothing follows from here"
        froms = " or ".join(state for state, words in ALLOWED.items() if word in words)
        raise TransitionError(f"{current.key} is {current.state}: {word} needs {froms}; {said}")


def _seen(current: Registered, expected: int | None) -> int:
    return current.revision if expected is None else expected


def _refuse_revision(current: Registered, expected: int | None) -> None:
    if expected is not None and expected != current.revision:
        raise ConflictError(
            f"{current.key}: somebody changed it meanwhile: it is {current.state} at version {current.version} "
            f"(revision {current.revision}, this change was made from {expected}); look at what changed and try again"
        )


def _refuse_outside(experiment: Assigned, now: datetime) -> None:
    begin, end, key = experiment.schedule.start_at, experiment.schedule.end_at, experiment.key
    if now < begin:
        raise TransitionError(
            f"{key} starts {_utc(begin)}: `truelift schedule {key}` lets it start by itself; to start it now, register "
            "an earlier start_at"
        )
    if end is not None and now >= end:
        raise TransitionError(f"{key} ended {_utc(end)}: register a later end_at, then start it")


def _phase(
    number: int, experiment: Experiment, metrics: Mapping[str, Metric], shop: Shop, started_at: datetime
) -> Phase:
    planned = experiment.analysis.planned_units
    return Phase(
        number=number,
        experiment=experiment,
        metrics=dict(metrics),
        slices=load_slices(shop),
        started_at=started_at,
        planned_units=ASSUMED_UNITS if planned is None else planned,
        planned_units_assumed=planned is None,
    )


def _begun(experiment: Experiment, now: datetime) -> Live:
    if not isinstance(experiment, Assigned):
        return Live()
    return Live(
        traffic=(TrafficStep(at=now, bp=experiment.first_traffic_bp),),
        layer=(RangesStep(at=now, ranges=experiment.layer.ranges),),
    )


def _refuse_drift(current: Registered, catalogue: Mapping[str, Metric]) -> None:
    changed = [key for key, metric in current.metrics.items() if catalogue.get(key) != metric]
    if changed:
        raise ConflictError(
            f"{current.key}: {', '.join(changed)} changed in the metric catalogue after version {current.version} was "
            f"registered; register the definition again, then start it"
        )


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
