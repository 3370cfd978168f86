"""One run of the alerts: what is due is evaluated, oldest first, then whoever has to know is told. ALERTS 6.

    due ends ─▶ evaluations ─▶ lifecycle.step ─▶ one transaction each: units, detectors, standing, outbox ─▶ deliveries

A unit of work is done once: run again, in any order, for any time, nothing changes. A run that is killed left either
all of a bucket end or nothing of it, and its notices in the outbox; the next one goes on there.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from analysis.alerts.course.lifecycle import step
from analysis.alerts.course.standing import Reset, Standing, from_json, to_json
from analysis.alerts.evidence.detector import reset
from analysis.alerts.job import stored
from analysis.alerts.job.doing import current
from analysis.alerts.job.due import CAP, Due, due, on_grid
from analysis.alerts.job.report import (
    BUSY,
    CONFIGURATION,
    DONE,
    ERROR,
    HELD,
    NOT_READY,
    NOTHING_DUE,
    ON_ALERT,
    UNDELIVERED,
    RunReport,
    has_evaluated,
)
from analysis.alerts.model import LONG, Baseline, Detector, Evaluation, Incident, Severity
from analysis.alerts.notices.delivery import Channel, Delivered, Render, Say, deliver, queued, release
from experiments.errors import TrueliftError
from experiments.store import Store
from experiments.store.alerts import AlertBaseline, AlertStanding, AlertStep, AlertUnit

KEPT, RECENT = timedelta(days=100), timedelta(days=3)  # units of work at the ends of six hours, and at the others
AMISS = (ERROR, CONFIGURATION, BUSY)  # such a run evaluated nothing

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is carried from one bucket end to the next, by fingerprint."""

    detectors: Mapping[str, Detector]
    baselines: Mapping[str, tuple[Baseline, ...]]  # the oldest first

    def baseline(self, fingerprint: str, at: datetime) -> Baseline | None:
        """The newest that was frozen for a change before that end."""
        return next((each for each in reversed(self.baselines.get(fingerprint, ())) if each.change_at < at), None)

    def after(self, detectors: Mapping[str, Detector], frozen: Mapping[str, Baseline]) -> "Memory":
        """What is known after one more bucket end."""
        added = {key: (*self.baselines.get(key, ()), each) for key, each in frozen.items()}
        return Memory({**self.detectors, **detectors}, {**self.baselines, **added})


@dataclass(frozen=True, slots=True)
class Seen:
    """What one bucket end showed: every unit of work, its detector afterwards, and baselines frozen on the way."""

    evaluations: tuple[Evaluation, ...]
    detectors: Mapping[str, Detector]
    frozen: Mapping[str, Baseline]


class Source(Protocol):
    """Where measures come from."""

    def published(self) -> Sequence[datetime]:
        """The ends of all buckets that are there."""

    def changed(self, since: datetime | None) -> tuple[Sequence[datetime], datetime | None]:
        """The ends of which something was published at or after `since`, and when the newest of all was."""

    def windows(self, at: datetime) -> Mapping[str, str]:
        """Which deploy a module is in."""

    def evaluate(self, at: datetime, memory: Memory, followed: Sequence[Evaluation]) -> Seen:
        """Every unit of work at a bucket's end, those that are `followed` also without data."""

    def accepted(self, at: datetime, loss: Evaluation, incident: str, since: datetime) -> Baseline | None:
        """The baseline that begins where a loss that began at `since` was called expected."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where measures come from, how often (minutes) they are looked at, whom to tell and how a notice is written."""

    source: Source
    minutes: int
    channels: Sequence[Channel]
    render: Render


def run(
    store: Store,
    prepare: Callable[[], Plan],
    *,
    as_of: datetime,
    clock: Clock,
    say: Say = lambda _: None,
    exit_on_alert: bool = False,
) -> RunReport:
    """Evaluate what is due at `as_of`, and tell what changed; a heartbeat of it stays in the store, also of a failure.

    Every error of ours is in the report; what is none of ours leaves its heartbeat and is raised.
    """
    number = store.alerts.begin(clock(), as_of)
    try:
        with store.alerts.lock() as free:
            if free:
                plan = prepare()
                report = _Run(store, plan, as_of, clock, say, exit_on_alert).report()
            else:
                report = RunReport(BUSY, as_of, error="another run of the alerts holds the lock; it does what is due")
    except TrueliftError as error:
        report = RunReport(error.exit_code, as_of, error=str(error))
    except Exception as error:
        failed = RunReport(1, as_of, error=f"{type(error).__name__}: {error}")
        store.alerts.end(number, finished_at=clock(), code=failed.code, body=failed.line)
        raise
    store.alerts.end(number, finished_at=clock(), code=report.code, body=report.line)
    return report


@dataclass(frozen=True, slots=True)
class _Run:
    store: Store
    plan: Plan
    as_of: datetime
    clock: Clock
    say: Say
    exit_on_alert: bool

    def report(self) -> RunReport:
        kept = self.store.alerts.standing()
        changed, newest = self.plan.source.changed(None if kept is None else kept.seen)
        found = due(
            self.plan.source.published(), changed, as_of=self.as_of, evaluated=None if kept is None else kept.at,
            minutes=self.plan.minutes,
        )  # fmt: skip
        revised = 0 if kept is None else self._again(kept, found, newest)
        units = self._onward(found, newest)
        now = self.store.alerts.standing()
        standing, missed = Standing() if now is None else from_json(now.body), self._missed()
        done = current(self.store, self.as_of)  # what people did since the newest end is kept with the next one
        today = current(self.store, max(self.as_of, self.clock()))  # a notice leaves now, whatever is looked back at
        release(self.store, standing, today, missed=missed, render=self.plan.render)
        told = deliver(self.store, self.plan.channels, today, clock=self.clock, say=self.say)
        if now is not None:
            self.store.alerts.forget_units(
                before=now.at - RECENT, keep=lambda end: is_long(end) and now.at - end < KEPT
            )  # fmt: skip
        return RunReport(
            code=self._code(found, told, done, revised),
            as_of=self.as_of,
            until=found.until,
            evaluated=len(found.ends),
            units=units,
            revised=revised,
            missed_runs=missed,
            open=standing_open(done),
            held=len(standing_held(done)),
            delivered=told.delivered,
            undelivered=told.undelivered,
            error="" if found.ready else found.watermark_missed,
        )

    def _onward(self, found: Due, newest: datetime | None) -> int:
        """Every due end, oldest first, a transaction each; how many units of work that were."""
        memory, units = self._memory(), 0
        for at in found.ends:
            kept = self.store.alerts.standing()
            standing = Standing() if kept is None else from_json(kept.body)
            seen = _carried(self.plan.source.evaluate(at, memory, followed(standing)), memory)
            acts = [stored.act(each.body) for each in self.store.alerts.acts(after=at - CAP, until=at)]
            after, notices = step(standing, at, seen.evaluations, acts, windows=self.plan.source.windows(at))
            detectors, frozen = self._reset(at, after, seen, standing)
            resets = {each.fingerprint for each in after.resets}
            memory = memory.after(detectors, frozen)
            self.store.alerts.commit(
                AlertStep(
                    tuple(_unit(each, detectors, resets) for each in seen.evaluations),
                    tuple(_frozen(key, each) for key, each in frozen.items()),
                    AlertStanding(at, to_json(after), newest),
                    queued(notices, [channel.name for channel in self.plan.channels]),
                ),
                expected=None if kept is None else kept.at,
            )  # fmt: skip
            units += len(seen.evaluations)
            for each in notices:
                one = each.incident  # by what name it is told, its delivery says
                self.say(f"{at:%Y-%m-%d %H:%M} UTC: incident {one.incident_id}: {one.severity}, {one.state}")
        return units

    def _reset(
        self, at: datetime, after: Standing, seen: Seen, before: Standing
    ) -> tuple[dict[str, Detector], dict[str, Baseline]]:
        """Detectors as they are after this end, and the baselines that begin at it."""
        detectors, frozen = dict(seen.detectors), dict(seen.frozen)
        for each in after.resets:
            if each.fingerprint in detectors:
                detectors[each.fingerprint] = reset(at)
            accepted = self._accepted(at, each, before) if each.accepted else None
            if accepted is not None:
                frozen[each.fingerprint] = accepted
        return detectors, frozen

    def _accepted(self, at: datetime, given: Reset, before: Standing) -> Baseline | None:
        track = next((t for t in before.tracks.values() if t.evaluation.unit.fingerprint == given.fingerprint), None)
        return (
            None if track is None else self.plan.source.accepted(at, track.evaluation, given.incident_id, track.since)
        )

    def _again(self, kept: AlertStanding, found: Due, newest: datetime | None) -> int:
        """Units of work of which late rows changed something, as revisions; nobody is told. How many changed.

        From the first bucket that was counted anew on every end is looked at again, the six hours' ones and those
        between: each stands on the detector of the one before. A run for a time before the newest end leaves them to
        the next one, for it sees only a part of the buckets.
        """
        if newest == kept.seen or self.as_of < kept.at:
            return 0
        new: list[AlertUnit] = []
        if found.revised:
            first = found.revised[0]
            before = self.store.alerts.units(since=first - CAP, until=first - timedelta(seconds=1))
            memory = self._memory(before)
            there = self.store.alerts.units(since=first, until=kept.at)
            for at in sorted({each.at for each in there}):
                known = {each.fingerprint: each for each in there if each.at == at}
                followed = [stored.evaluation(each.evaluation) for each in known.values()]
                seen = _carried(self.plan.source.evaluate(at, memory, followed), memory)
                resets = {key for key, each in known.items() if stored.was_reset(each.detector)}
                detectors = {key: reset(at) if key in resets else each for key, each in seen.detectors.items()}
                memory = memory.after(detectors, {})
                revisions = (
                    _revision(each, detectors, resets, known.get(each.unit.fingerprint)) for each in seen.evaluations
                )
                new += [each for each in revisions if each is not None]
        if new:
            self.say(f"late rows changed {len(new)} units of work, from {new[0].at:%Y-%m-%d %H:%M} UTC on")
        self.store.alerts.commit(AlertStep(new, (), replace(kept, seen=newest)), expected=kept.at)
        return len(new)

    def _memory(self, units: Sequence[AlertUnit] | None = None) -> Memory:
        newest = self.store.alerts.newest_units() if units is None else units
        detectors = {each.fingerprint: stored.detector(each.detector) for each in newest}
        memory = Memory({key: each for key, each in detectors.items() if each is not None}, {})
        for each in self.store.alerts.baselines():
            memory = memory.after({}, {each.fingerprint: stored.baseline(each.body)})
        return memory

    def _missed(self) -> int:
        """How many runs there should have been since the newest time for which one evaluated."""
        before = self.store.alerts.last_ended(
            but=AMISS, where=lambda run: run.code != NOT_READY or has_evaluated(run.body)
        )
        if before is None:
            return 0
        steps = (on_grid(self.as_of, self.plan.minutes) - on_grid(before.as_of, self.plan.minutes)) // timedelta(
            minutes=self.plan.minutes
        )
        return max(0, steps - 1)

    def _code(self, found: Due, told: Delivered, standing: Standing, revised: int) -> int:
        if told.undelivered:
            return UNDELIVERED
        if not found.ready:
            return NOT_READY
        if self.exit_on_alert:
            now = standing_open(standing)
            if now.get("page_fast") or now.get("page"):
                return ON_ALERT["page"]
            if standing_held(standing):
                return HELD
            if now.get("ticket"):
                return ON_ALERT["ticket"]
        return DONE if found.ends or told.delivered or revised else NOTHING_DUE


def followed(standing: Standing) -> tuple[Evaluation, ...]:
    """The units of work that something is remembered of: they are looked at also when they have no data."""
    return tuple(track.evaluation for _, track in sorted(standing.tracks.items()))


def standing_open(standing: Standing) -> Mapping[Severity, int]:
    """How many incidents of each severity are open and believed."""
    counted: dict[Severity, int] = {}
    for each in standing.incidents:
        if _is_open(each) and not each.held and each.silenced_until is None and not each.inhibited_by:
            counted[each.severity] = counted.get(each.severity, 0) + 1
    return counted


def standing_held(standing: Standing) -> tuple[Incident, ...]:
    """The incidents that a failing signal check holds."""
    return tuple(each for each in standing.incidents if _is_open(each) and each.held)


def is_long(at: datetime) -> bool:
    """Whether a bucket of six hours ends then."""
    return (at.hour * 60 + at.minute) % LONG == 0


def _is_open(incident: Incident) -> bool:
    return incident.state in ("open", "acked", "resolving")


def _frozen(fingerprint: str, baseline: Baseline) -> AlertBaseline:
    return AlertBaseline(fingerprint, baseline.change_at, stored.baseline_json(baseline))


def _carried(seen: Seen, memory: Memory) -> Seen:
    """The same, with the detectors of cells that could not be read as they were."""
    here = {each.unit.fingerprint for each in seen.evaluations} & memory.detectors.keys()
    return replace(seen, detectors={key: memory.detectors[key] for key in sorted(here)} | dict(seen.detectors))


def _unit(found: Evaluation, detectors: Mapping[str, Detector], resets: Collection[str]) -> AlertUnit:
    unit = found.unit
    state = stored.detector_json(detectors.get(unit.fingerprint), was_reset=unit.fingerprint in resets)
    return AlertUnit(unit.fingerprint, unit.at, unit.revision, stored.evaluation_json(found), state)


def _revision(
    found: Evaluation, detectors: Mapping[str, Detector], resets: Collection[str], known: AlertUnit | None
) -> AlertUnit | None:
    """The unit as it is now, as the next revision; None when it is what it was."""
    if known is None:
        return _unit(found, detectors, resets)
    same = replace(found, unit=replace(found.unit, revision=known.revision))
    if _unit(same, detectors, resets) == known:
        return None
    return _unit(replace(found, unit=replace(found.unit, revision=known.revision + 1)), detectors, resets)
