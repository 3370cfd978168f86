"""From statuses to one of seven verdicts and its sentence: pure, versioned, first match wins. READOUT.

Nothing is estimated here. Each reading already says whether its metric is up, harmed, cleared; this
file says what that means for the decision, on this day of this run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from analysis import words
from analysis.readout import Because, Status, Verdict, VerdictCode

VERDICT_RULE = 1
# The best arm's verdict is the experiment's. An arm that is still open beats one that is settled as immaterial.
BEST_FIRST: tuple[VerdictCode, ...] = ("SHIP", "HOLD", "CANT_TELL", "TOO_EARLY", "NO_MATERIAL_EFFECT")
SILENT_DAYS = 2  # without any row: one quiet day may be a small shop's
AA_HALF_WIDTH = 0.10  # a wider range of an A/A test is no news before its end


@dataclass(frozen=True, slots=True)
class Reading:
    """One success metric or guardrail in one treatment arm, as today's data say.

    `change` is None where the metric is not determined; `cause` then says why, without a full stop.
    `allowed` and `limit` are a guardrail's margin and range as printed, `materiality` a success
    metric's. `more_days` are the days after which a guardrail would be settled, or the range be as
    narrow as the materiality; None when this run cannot.
    """

    metric: str
    role: Literal["success", "guardrail"]
    label: str
    change: words.Change | None
    status: Status
    gate: bool  # 100 non-zero units in both arms
    better: bool  # success: its Holm step was rejected toward good
    immaterial: bool  # success: all of its interval lies inside ± its materiality
    harmed: bool  # beyond zero (success) or the margin (guardrail) at the level of the harm test
    strength: float  # the change toward good in the metric's own direction, to compare arms
    cause: str | None = None
    allowed: str | None = None
    limit: words.Figures | None = None
    materiality: str | None = None
    more_days: int | None = None
    first_crossing: date | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Where the run stands. `first_day` is the first full business day; n full days are read on first_day + n."""

    design: Literal["always_valid", "fixed"]
    first_day: date
    full_days: int
    end_reading: date | None  # the business day at whose start the run has ended
    finished: bool
    min_days: int
    min_units: int
    unit_type: str
    same_strategy: bool  # an A/A test: every variant names the same strategy
    silent_days: int = 0  # full days on which nothing was logged
    today: date | None = None  # the business day that is read, which may be later than the log: no reading is before it

    @property
    def reads_today(self) -> bool:
        """Benefit is read at the end, and under always_valid after whole weeks from `min_days` on."""
        if self.finished:
            return True
        return self.design == "always_valid" and self.full_days >= self.min_days and self.full_days % 7 == 0

    @property
    def next_reading(self) -> date | None:
        """The next business day on which benefit is read; None after the end."""
        if self.finished:
            return None
        if self.design == "fixed":
            return self.end_reading
        whole_weeks = max(-(-self.min_days // 7), self.full_days // 7 + 1)
        weekly = self.first_day + timedelta(days=7 * whole_weeks)
        if self.today is not None and weekly <= self.today:
            weekly += timedelta(days=7 * ((self.today - weekly).days // 7 + 1))
        return weekly if self.end_reading is None else min(weekly, self.end_reading)


@dataclass(frozen=True, slots=True)
class Hold:
    """What a failing check withholds: every result (`metrics` None), or some metrics and slice dimensions."""

    check: str
    cause: str
    owner: str
    fix: str
    metrics: frozenset[str] | None = None
    dimensions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Latch:
    """A STOP that was called on `since` and that nobody has closed."""

    arm: str
    metric: str
    since: date


@dataclass(frozen=True, slots=True)
class ArmCase:
    """One comparison: a treatment arm with its readings, success metrics first, in the definition's order.

    `units` is the smaller arm's. `several` says that there are other treatments, so sentences name the arm.
    """

    arm: str
    units: int
    readings: tuple[Reading, ...]
    latch: Latch | None
    several: bool
    empty: tuple[str, ...] = ()  # arms of the comparison without a unit
    adds: str | None = None  # of a holdout: what everybody else has and its units go without

    @property
    def name(self) -> str | None:
        """The arm where it must be named."""
        return self.adds or (self.arm if self.several else None)

    def of(self, role: Literal["success", "guardrail"]) -> tuple[Reading, ...]:
        """The readings of one role."""
        return tuple(reading for reading in self.readings if reading.role == role)

    def lead(self) -> Reading | None:
        """The success metric a sentence speaks of: the first one that is determined."""
        return next((reading for reading in self.of("success") if reading.change is not None), None)


def withheld(holds: Sequence[Hold], success: Sequence[str]) -> Verdict | None:
    """WITHHELD when a check blocks everything, or a success metric among what it holds. The same for every arm."""
    blocking = [hold for hold in holds if hold.metrics is None or hold.metrics & set(success)]
    if not blocking:
        return None
    first = blocking[0]
    return Verdict(
        code="WITHHELD",
        arm=None,
        sentence=words.withheld(first.cause, first.owner, first.fix),
        because=tuple(Because(rule="blocking_check", check=hold.check, words=hold.cause) for hold in blocking),
        next_reading=None,
        owner=first.owner,
        fix=first.fix,
    )


def arm_verdict(case: ArmCase, run: Run) -> Verdict:
    """The verdict of one comparison, when nothing is withheld. First match of READOUT's table wins."""
    stopped = _stop(case)
    if stopped is not None:
        return stopped
    for rule in (_too_early, _no_material_effect, _ship_or_hold):
        found = rule(case, run)
        if found is not None:
            return _between_readings(found, case, run) or found
    return _cant_tell(case, run)


def overall(cases: Sequence[ArmCase], verdicts: Sequence[Verdict]) -> Verdict:
    """The experiment's verdict: STOP if any arm has it, else the best arm's; ties go to the larger change."""
    for verdict in verdicts:
        if verdict.code in ("WITHHELD", "STOP"):
            return verdict

    def order(pair: tuple[ArmCase, Verdict]) -> tuple[int, float]:
        lead = pair[0].lead()
        return BEST_FIRST.index(pair[1].code), -lead.strength if lead else 0.0

    return min(zip(cases, verdicts, strict=True), key=order)[1]


# --- the rules, in their order ---------------------------------------------------------------------------


def _stop(case: ArmCase) -> Verdict | None:
    harmed = [r for r in case.readings if r.gate and r.harmed and r.change is not None]
    because = [Because(rule="harm", metric=r.metric, words=words.harm_found(r.label, r.role)) for r in harmed]
    if case.latch is not None:
        because.append(Because(rule="latched", metric=case.latch.metric, words=words.latched(case.latch.since)))
    if harmed and harmed[0].change is not None:
        sentence = words.stop(harmed[0].change, case.name, harmed[0].allowed)
    elif case.latch is not None:
        sentence = _latched(case, case.latch)
    else:
        return None
    return _verdict("STOP", case, sentence, because, None)


def _latched(case: ArmCase, latch: Latch) -> str:
    reading = next((r for r in case.readings if r.metric == latch.metric), None)
    if reading is None:
        return words.stopped_earlier(latch.metric, case.name, latch.since, None)
    today = reading.change.spread if reading.change is not None else None
    return words.stopped_earlier(reading.label, case.name, latch.since, today)


def _too_early(case: ArmCase, run: Run) -> Verdict | None:
    because = _missing(case, run)
    if run.finished or not because:
        return None
    missing = words.no_exposures(case.empty) if case.empty else None
    return _verdict("TOO_EARLY", case, words.too_early(run.next_reading, case.name, missing), because, run.next_reading)


def _missing(case: ArmCase, run: Run) -> list[Because]:
    """What a first reading still lacks; at the end the same things say why nothing can be told."""
    because = []
    if case.empty:
        because.append(Because(rule="no_exposures", words=words.no_exposures(case.empty)))
    elif case.units < run.min_units:
        because.append(
            Because(rule="min_units_per_arm", words=words.short_of_units(case.units, run.min_units, run.unit_type))
        )
    if run.full_days < run.min_days:
        because.append(Because(rule="min_days", words=words.short_of_days(run.full_days, run.min_days)))
    if not any(r.gate for r in case.of("success")):
        because.append(Because(rule="gate", words=_gate(case, run)))
    if because and run.silent_days >= SILENT_DAYS:
        because.append(Because(rule="no_data", words=words.days_without_data(run.silent_days, run.full_days)))
    if run.design == "fixed" and not run.finished:
        because.append(Because(rule="planned_end", words=words.READ_AT_THE_END))
    return because


def _gate(case: ArmCase, run: Run) -> str:
    """Why no success metric may be read: the first one has no number, or too few units did anything."""
    first = case.of("success")[0]
    if first.change is None and first.cause is not None:
        return words.unmeasured(first.label, first.cause)
    return words.gate_not_met(run.unit_type)


def _no_material_effect(case: ArmCase, run: Run) -> Verdict | None:
    success, lead = case.of("success"), case.lead()
    settled = [r for r in success if r.gate and r.immaterial]
    if lead is None or lead.change is None or len(settled) < len(success) or _missing(case, run):
        return None
    if run.same_strategy:
        sentence = words.as_it_should_be(lead.change)
    else:
        sentence = words.no_material_effect(lead.change, case.name, lead.materiality or "")
    because = [
        Because(rule="inside_materiality", metric=r.metric, words=words.inside_materiality(r.label, r.materiality))
        for r in settled
    ]
    return _verdict("NO_MATERIAL_EFFECT", case, sentence, because, run.next_reading)


def _ship_or_hold(case: ArmCase, run: Run) -> Verdict | None:
    up = [r for r in case.of("success") if r.gate and r.better and r.change is not None]
    if not up or up[0].change is None or _missing(case, run):
        return None
    change = up[0].change
    because = [Because(rule="success_up", metric=r.metric, words=words.is_up(r.label)) for r in up]
    because += [b for r in up for b in _crossed(r)]
    if run.same_strategy:
        because.append(Because(rule="same_strategy", words=words.SAME_STRATEGY))
        return _verdict("HOLD", case, words.differs_without_cause(change, case.name), because, run.next_reading)
    worse = next((r for r in case.of("success") if r.gate and r.status == "worse" and r.change is not None), None)
    if worse is not None and worse.change is not None:
        because.append(Because(rule="success_worse", metric=worse.metric, words=words.is_worse(worse.label)))
        return _verdict("HOLD", case, words.hold_mixed(change, case.name, worse.change), because, run.next_reading)
    guardrails = case.of("guardrail")
    open_ones = [r for r in guardrails if not (r.gate and r.status == "cleared")]
    if not open_ones:
        because += [
            Because(rule="guardrail_cleared", metric=r.metric, words=words.cleared(r.label)) for r in guardrails
        ]
        said = words.ship if case.adds is None else words.keep
        return _verdict("SHIP", case, said(change, case.adds or case.arm, len(guardrails)), because, run.next_reading)
    because += [_open(r, run) for r in open_ones]
    return _verdict("HOLD", case, _held(change, case, open_ones, run), because, run.next_reading)


def _held(change: words.Change, case: ArmCase, open_ones: Sequence[Reading], run: Run) -> str:
    """The first guardrail that is not cleared, and every one that could not be measured."""
    causes = [(r, _unmeasured(r, run)) for r in open_ones]
    missing = [(r.label, cause) for r, cause in causes if cause is not None]
    worst = next((r for r, cause in causes if cause is None), None)
    if worst is None or worst.limit is None:
        return words.hold_unmeasured(change, case.name, missing)
    allowed = worst.allowed or ""
    said = words.hold_not_cleared(change, case.name, worst.label, allowed, worst.limit, worst.more_days)
    return f"{said} {words.sentence_case(words.not_measured(missing))}." if missing else said


def _open(reading: Reading, run: Run) -> Because:
    cause = _unmeasured(reading, run)
    if cause is not None:
        said = words.unmeasured(reading.label, cause)
        return Because(rule="guardrail_not_measured", metric=reading.metric, words=said)
    said = words.not_cleared(reading.label, reading.allowed, reading.limit)
    return Because(rule="guardrail_not_cleared", metric=reading.metric, words=said)


def _crossed(reading: Reading) -> list[Because]:
    """The dated first crossing of zero, beside today's range."""
    if reading.first_crossing is None:
        return []
    today = reading.change.spread if reading.change is not None else None
    said = words.first_crossing(reading.label, reading.first_crossing, today)
    return [Because(rule="first_crossing", metric=reading.metric, words=said)]


def _unmeasured(reading: Reading, run: Run) -> str | None:
    """Why a guardrail has no reading at all."""
    if reading.change is None or reading.limit is None:
        return reading.cause or "it is not determined"
    return None if reading.gate else words.gate_not_met(run.unit_type)


def _cant_tell(case: ArmCase, run: Run) -> Verdict:
    lead = case.lead()
    change = lead.change if lead is not None else None
    missing = _missing(case, run)
    because = missing or [
        Because(rule="undecided", metric=r.metric, words=words.undecided(r.label, r.cause)) for r in case.of("success")
    ]
    because += [b for r in case.of("success") for b in _crossed(r)]
    differs = any(r.gate and (r.better or r.status == "worse") for r in case.of("success"))
    if missing:
        sentence = _cant_tell_short(case, missing)
    elif run.same_strategy and change is not None and not differs and (run.finished or _narrow(change)):
        sentence = words.as_it_should_be(change)
    elif run.finished:
        sentence = words.cant_tell_at_the_end(change, case.name, lead.cause if lead else words.NOTHING_MEASURED)
    else:
        sentence = words.cant_tell(
            change, case.name, lead.more_days if lead else None, lead.materiality if lead else None
        )
    beyond = next((r for r in case.of("guardrail") if r.gate and r.status == "breached" and r.limit is not None), None)
    if beyond is not None and beyond.limit is not None and not missing:
        said = words.beyond_limit(beyond.label, beyond.allowed, beyond.limit)
        because.append(Because(rule="guardrail_breached", metric=beyond.metric, words=said))
        sentence = f"{sentence} {said}"
    return _verdict("CANT_TELL", case, sentence, because, run.next_reading)


def _cant_tell_short(case: ArmCase, missing: Sequence[Because]) -> str:
    """At the end: what the run lacks; where data are missing it did not go as planned."""
    silent = next((b.words for b in missing if b.rule == "no_data"), None)
    if not case.empty and silent is None:
        return words.cant_tell_at_the_end(None, case.name, missing[0].words)
    causes = dict.fromkeys([missing[0].words, *([silent] if silent else [])])
    return words.cant_tell_without_data(case.name, words.listed(tuple(causes)))


def _narrow(change: words.Change) -> bool:
    """Whether the range of an A/A test says something before its end: ± a tenth at most."""
    _, low, high = change.change
    return change.scale == "lift" and low is not None and high is not None and high - low <= 2 * AA_HALF_WIDTH


def _between_readings(found: Verdict, case: ArmCase, run: Run) -> Verdict | None:
    """A benefit found on a day on which none is read waits for the next reading; harm and TOO EARLY do not."""
    if found.code not in ("SHIP", "HOLD", "NO_MATERIAL_EFFECT") or run.reads_today or run.next_reading is None:
        return None
    because = [Because(rule="between_readings", words=words.READ_IN_WEEKS)]
    sentence = words.cant_tell_between_readings(case.name, run.next_reading)
    return _verdict("CANT_TELL", case, sentence, because, run.next_reading)


def _verdict(
    code: VerdictCode, case: ArmCase, sentence: str, because: Sequence[Because], next_reading: date | None
) -> Verdict:
    return Verdict(
        code=code,
        arm=case.arm,
        sentence=sentence,
        because=tuple(because),
        next_reading=next_reading.isoformat() if next_reading else None,
        owner=None,
        fix=None,
    )
