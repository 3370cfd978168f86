"""What a readout is built from, and the facts about the run that every part of it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from analysis import words
from analysis.calendar import business_day, day_start, full_days
from analysis.inference.decision import Look
from analysis.inference.effects import Sign
from analysis.inference.metrics import MetricPlan, plan
from analysis.inference.moments import CellKey, Moments
from analysis.verdict import SILENT_DAYS, Run
from analysis.warehouse.base import CheckRows, Counts, DataCut
from experiments.spec import Experiment, Metric, Phase

HORIZON_DAYS = 28  # how far ahead cells are looked at where no end is planned


@dataclass(frozen=True, slots=True)
class Event:
    """A dated fact about an arm that outlives the day: stored with the phase, never recomputed.

    `first_crossing`: the range of a success metric lay on one side of zero for the first time.
    `stop`: the verdict was STOP because of `metric`. `stop_closed`: a person closed every stop of the
    arm up to that day. A crossing is dated by its first day in the data, a stop by the day it was read.
    """

    kind: Literal["first_crossing", "stop", "stop_closed"]
    arm: str
    metric: str  # '' for stop_closed
    day: date


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a readout is made of. Nothing else goes in: equal inputs give an equal readout.

    `catalogue` holds the phase's metrics and those that adjust them. `watched` says that an earlier
    snapshot was published while the run was going on, so that its end is not its first look. `exploratory`
    are secondary metrics added after the phase started. `now` is aware and stays outside the snapshot's id.
    """

    phase: Phase
    definition_version: int
    catalogue: Mapping[str, Metric]
    currency: str
    digits: int
    time_zone: str
    cut: DataCut
    now: datetime
    counts: Counts
    check_rows: Mapping[str, CheckRows]
    events: tuple[Event, ...]
    watched: bool
    engine: str
    exploratory: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Log:
    """How far the log goes, and how far it should. `newest` is the business day of its newest row, None without any.

    A log that ends early and one in which nothing happened any more look alike. While people watch a run its log is
    expected to go on, whosever rows they are: from two silent days on, the run stands where its log ends, and it is
    neither finished nor at its look before there are rows. A run that was over before anyone looked is an import: its
    log is `whole`, as a mailing whose buyers all came in three days, and its silence only makes a warning.
    Refunds and cancels are seen in neither where the log has ended (`analysis.calendar.seen_cut`).
    """

    newest: date | None
    read_day: date
    whole: bool

    def silent(self, until: date) -> int:
        """Business days without data up to a day that counts, by today."""
        return 0 if self.newest is None else max(0, (min(until, self.read_day) - self.newest).days)

    def ends_before(self, until: date) -> bool:
        """Whether what happened up to that day is still missing."""
        return not self.whole and self.silent(until) >= SILENT_DAYS


@dataclass(frozen=True, slots=True)
class Frame:
    """The inputs with what follows from them about time, arms and units."""

    inputs: Inputs
    run: Run
    planned_days: int | None
    started_on: date
    ends_on: date | None
    look: Look
    log: Log

    @property
    def experiment(self) -> Experiment:
        """The definition as it stood at the start."""
        return self.inputs.phase.experiment

    @property
    def counts(self) -> Counts:
        """Exact moments and unit counts."""
        return self.inputs.counts

    @property
    def alpha(self) -> float:
        """The error the definition allows."""
        return float(self.experiment.analysis.alpha)

    @property
    def arms(self) -> tuple[str, ...]:
        """Treatment arms, in the definition's order."""
        return tuple(variant.key for variant in self.experiment.treatments)

    @property
    def control(self) -> str:
        """The control arm."""
        return self.experiment.control.key

    @property
    def last_day(self) -> date:
        """The last business day whose outcomes count."""
        return _last_day(self.inputs.cut.outcome_end.replace(tzinfo=UTC), ZoneInfo(self.inputs.time_zone))

    def data_days(self, mature_days: int) -> int:
        """Business days with data whose rows have ripened: what a sum of ripe rows is to be divided by.

        Days with data are counted, not named; with gaps between them this may be too many by the gaps.
        """
        first = min(self.counts.daily, default=self.started_on)
        ripe = (self.ripe_before(mature_days) - first).days
        return min(self.counts.days_with_data, max(0, ripe))

    def ripe_before(self, mature_days: int) -> date:
        """The first business day whose rows are too young to count: mature_days days must lie after a row's own."""
        return self.inputs.cut.as_of_day - timedelta(days=mature_days)

    @property
    def read_day(self) -> date:
        """The last full day before the cut: `last_day` while it runs, later once it has ended and only ripens."""
        return _read_day(self.inputs)

    @property
    def needed_day(self) -> date:
        """The last business day whose rows something in this readout waits for, by today: ripe lines look ahead."""
        end = self.experiment.schedule.end_at
        if end is None:
            return self.read_day
        last = _last_day(end, ZoneInfo(self.inputs.time_zone))
        return min(self.read_day, last + timedelta(days=max(metric.mature_days for metric in self.metrics)))

    @property
    def days_left(self) -> int:
        """Full days to the planned end; a month where none is planned; 0 at the end."""
        if self.run.finished:
            return 0
        return HORIZON_DAYS if self.planned_days is None else max(0, self.planned_days - self.run.full_days)

    def ripe_days(self, mature_days: int) -> int:
        """Full days of the run whose rows have ripened; all of them where nothing has to."""
        zone, end = ZoneInfo(self.inputs.time_zone), self.experiment.schedule.end_at
        if not mature_days:
            return self.run.full_days
        upto = day_start(self.ripe_before(mature_days), zone)
        return full_days(self.inputs.phase.started_at, upto if end is None else min(upto, end), zone)

    def ripe_days_left(self, mature_days: int) -> int:
        """Full days still to ripen: after the schedule's end too, but not where an import's log has ended."""
        if mature_days and self.log.whole and self.inputs.cut.as_of_day <= self.read_day:
            return 0
        if self.planned_days is None:
            return self.days_left
        return max(0, self.planned_days - self.ripe_days(mature_days))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The experiment's metrics: success, guardrails, secondary."""
        asked = self.experiment.metrics.keys()
        return tuple(self.inputs.phase.metrics[key] for key in asked)

    def plan(self, metric: Metric) -> MetricPlan:
        """How the metric is read from moments."""
        return plan(metric, self.inputs.catalogue, self.experiment.analysis.outcome_days)

    def overall(self, arm: str, window_days: int | None) -> Moments:
        """The arm's moments over all its units of a population."""
        return self.counts.cells.get(CellKey.overall(window_days), {}).get(arm, Moments(0))

    def fraction(self, units: int, arm: str) -> float:
        """n/n* of the arm and the control together; n* is frozen in the phase (STATISTICS 4)."""
        compared = (self.experiment.control, next(v for v in self.experiment.treatments if v.key == arm))
        planned = Decimal(self.inputs.phase.planned_units) * self.experiment.share(compared)
        return max(units, 1) / float(planned)

    def label(self, metric: Metric) -> str:
        """The metric's label for readers."""
        return words.label(metric.label, self.experiment.unit_type)


def frame(inputs: Inputs) -> Frame:
    """Work out the run's days and its look.

    A fixed design looks once, when nothing it decides by can move any more: at the end of its schedule and the longest
    maturity of its success metrics and guardrails. It is finished then, any other design at the end of its schedule.
    """
    experiment, zone = inputs.phase.experiment, ZoneInfo(inputs.time_zone)
    as_of, started, end = inputs.cut.as_of.replace(tzinfo=UTC), inputs.phase.started_at, experiment.schedule.end_at
    fixed = experiment.analysis.design == "fixed"
    log = _log(inputs)
    upto = as_of if end is None else min(as_of, end)
    last_day = _last_day(upto, zone)
    if log.newest is not None and log.ends_before(last_day):
        upto = day_start(log.newest + timedelta(days=1), zone)
    end_reading = None
    if end is not None:
        end_reading = _first_full_day(end, zone) + timedelta(days=_longest_maturity(inputs.phase) if fixed else 0)
    finished = (
        end_reading is not None
        and as_of >= day_start(end_reading, zone)
        and not log.ends_before(end_reading - timedelta(days=1))
    )
    run = Run(
        design=experiment.analysis.design,
        first_day=_first_full_day(started, zone),
        full_days=full_days(started, upto, zone),
        end_reading=end_reading,
        finished=finished,
        min_days=experiment.analysis.min_days,
        min_units=experiment.analysis.min_units_per_arm,
        unit_type=experiment.unit_type,
        same_strategy=_same_strategy(experiment),
        silent_days=max(0, full_days(started, upto, zone) - inputs.counts.days_with_data),
        today=business_day(as_of, zone),
    )
    look: Look = "always_valid"
    if fixed:
        look = "planned_look" if finished else "before_planned_look"
    return Frame(
        inputs,
        run,
        planned_days=None if end is None else full_days(started, end, zone),
        started_on=business_day(started, zone),
        ends_on=None if end is None else _last_day(end, zone),
        look=look,
        log=log,
    )


def _log(inputs: Inputs) -> Log:
    zone, newest, end = ZoneInfo(inputs.time_zone), inputs.counts.data_as_of, inputs.phase.experiment.schedule.end_at
    over = end is not None and inputs.cut.as_of.replace(tzinfo=UTC) >= end
    return Log(
        newest=None if newest is None else business_day(newest.replace(tzinfo=UTC), zone),
        read_day=_read_day(inputs),
        whole=over and not inputs.watched,
    )


def _read_day(inputs: Inputs) -> date:
    return _last_day(inputs.cut.as_of.replace(tzinfo=UTC), ZoneInfo(inputs.time_zone))


def _last_day(end: datetime, zone: ZoneInfo) -> date:
    """The business day of the last moment before an instant."""
    return business_day(end - timedelta(microseconds=1), zone)


def _longest_maturity(phase: Phase) -> int:
    """Days until the last day's rows of every success metric and guardrail are ripe."""
    asked = phase.experiment.metrics
    deciding = (*asked.success, *(guardrail.metric for guardrail in asked.guardrails))
    return max(phase.metrics[key].mature_days for key in deciding)


def sign(metric: Metric) -> Sign:
    """+1 where an increase is good."""
    return 1 if metric.direction == "increase" else -1


def is_money_per_unit(metric: Metric) -> bool:
    """Whether a difference can be said in money a day: a mean of money over units."""
    return metric.kind == "mean" and metric.value_unit == "money"


def _first_full_day(instant: datetime, zone: ZoneInfo) -> date:
    """The first business day that begins at or after an instant."""
    day = business_day(instant, zone)
    return day if day_start(day, zone) >= instant.astimezone(UTC) else day + timedelta(days=1)


def _same_strategy(experiment: Experiment) -> bool:
    """An A/A test: every variant names a strategy, and all name the same."""
    named = {variant.strategy for variant in experiment.variants}
    return len(named) == 1 and None not in named
