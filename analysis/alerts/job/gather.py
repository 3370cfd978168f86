"""From what was published to evaluations: every cell of every comparison, each metric that is worth money. ALERTS 3.

measures, baselines, detectors, readouts' checks ─▶ Inputs ─▶ evaluate, one unit of work at a time
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analysis.alerts.evidence import changes
from analysis.alerts.evidence.concurrent import LEVEL, by_experiment, upper
from analysis.alerts.evidence.detector import Bars, bars, by_detector, by_forecast, peek, reset
from analysis.alerts.evidence.detector import step as advanced
from analysis.alerts.job.run import Memory, Seen
from analysis.alerts.job.signals import Failure, Signals, held_by
from analysis.alerts.measures import measured
from analysis.alerts.measures.shelf import Shelf, apart
from analysis.alerts.measures.spans import spans
from analysis.alerts.model import (
    LONG,
    Baseline,
    Bucket,
    Cell,
    Comparison,
    Cost,
    Detector,
    Evaluation,
    Evidence,
    Look,
    Metric,
    Traffic,
    Unit,
)
from analysis.alerts.weighing.conversion import Conversion
from analysis.alerts.weighing.conversions import Conversions
from analysis.alerts.weighing.evaluate import Inputs, evaluate
from analysis.alerts.weighing.stake import stake, unpriced
from analysis.words.alerts import EXPERIMENT_OVER
from experiments.errors import DefinitionError, Problem
from experiments.money import Money
from experiments.shop import Shop
from experiments.store import Store

RULE, VERSION = "loss", 1
NO_LOOK = "a first count of its units since the phase began"


@dataclass(frozen=True, slots=True)
class _Place:
    """One comparison's cell and metric at a bucket's end."""

    comparison: Comparison
    cell: Cell
    metric: Metric
    at: datetime

    @property
    def unit(self) -> Unit:
        return Unit(RULE, VERSION, self.comparison, self.cell, self.metric, self.at)

    @property
    def has_detector(self) -> bool:
        """Whether it is watched for a change; an experiment has an arm beside it."""
        return self.comparison.kind != "experiment"


def _newest_phases(found: Iterable[Comparison]) -> tuple[Comparison, ...]:
    """One comparison of each arm: in the bucket in which a new phase begins there are two, and only one goes on."""
    newest = {(each.kind, each.key, each.watched): each for each in sorted(found, key=lambda each: each.phase)}
    return tuple(sorted(newest.values()))


class Gathered:
    """A run's view of a shop: what was published up to `as_of`, weighed by its money settings."""

    def __init__(
        self, shop: Shop, store: Store, money: Money, *, as_of: datetime, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._shop, self._store, self._money, self._say = shop, store, money, say
        self._shelf = Shelf(store, as_of)
        self._signals = Signals(store)
        self._launches = changes.launches(store)
        self._gone = changes.ends(store, self._launches)
        self._ends = {(phase.experiment.key, phase.number): end for phase, end in spans(store)}
        self._conversions = Conversions(store, self._shelf)
        self._said: set[str] = set()

    def published(self) -> Sequence[datetime]:
        """The ends of all buckets that are there."""
        return measured.published(self._store)

    def changed(self, since: datetime | None) -> tuple[Sequence[datetime], datetime | None]:
        """The ends of which something was published at or after `since`, and when the newest of all was."""
        return measured.published(self._store, since=since), measured.published_at(self._store)

    def windows(self, at: datetime) -> Mapping[str, str]:
        """Which launch a module is after."""
        return changes.windows(self._launches, at)

    def evaluate(self, at: datetime, memory: Memory, followed: Sequence[Evaluation]) -> Seen:
        """Every unit of work that has a price at a bucket's end, by fingerprint; then the followed ones that have none.

        DefinitionError when none has, and the settings are the reason: a loss without a price is not a small one.
        """
        conversions, failures = self._conversions.at(at), self._signals.failures(at)
        places = sorted(self._places(at, followed, conversions), key=lambda place: place.unit.fingerprint)
        priced = [place for place in places if self._is_priced(place, places)]
        raised = self._bars(priced, at)
        evaluations, detectors, frozen = [], {}, {}
        for place in priced:
            key = place.unit.fingerprint
            baseline, detector = None, None
            if place.has_detector:
                baseline, new = self._baseline(place, memory)
                frozen.update({} if new is None else {key: new})
                detector = self._advanced(place, baseline, memory.detectors.get(key))
                detectors.update({} if detector is None else {key: detector})
                detector = self._peeked(place, baseline, detector)
            evaluations.append(self._evaluated(place, conversions[place.metric], baseline, detector, raised, failures))
        seen = {each.unit.fingerprint for each in evaluations}
        unseen = {each.unit.fingerprint: each for each in followed if each.unit.fingerprint not in seen}
        evaluations += [self._unseen(each, at) for _, each in sorted(unseen.items())]
        return Seen(tuple(evaluations), detectors, frozen)

    def accepted(self, at: datetime, loss: Evaluation, incident: str, since: datetime) -> Baseline | None:
        """The baseline that begins where a loss that began at `since` was called expected; None for an experiment."""
        unit = loss.unit
        if unit.comparison.kind == "experiment":
            return None
        return changes.accepted(
            self._shelf.history(unit.comparison, unit.cell, at), unit.metric, at=at, since=since, incident=incident,
            forecasts=self._shelf.expected(unit.cell) if unit.comparison.kind == "forecast" else {},
        )  # fmt: skip

    # --- which units of work ------------------------------------------------------------------------------------

    def _places(
        self, at: datetime, followed: Sequence[Evaluation], conversions: Mapping[Metric, Conversion]
    ) -> Iterator[_Place]:
        for comparison in _newest_phases(self._shelf.comparisons(at)):
            known = {each.unit.cell for each in followed if each.unit.comparison == comparison}
            for cell in known | apart(self._shelf.week(comparison, at), comparison):
                yield from (_Place(comparison, cell, metric, at) for metric in conversions)

    def _is_priced(self, place: _Place, all_: Sequence[_Place]) -> bool:
        wrong = self._unpriced(place)
        if not wrong:
            return True
        codes = {each.code for each in wrong}
        if "no_margin" in codes and "no_traffic" not in codes and all(map(self._unpriced, all_)):
            raise DefinitionError(str(self._shop.money_file), wrong)
        for each in wrong:
            if str(each) not in self._said:
                self._said.add(str(each))
                self._say(f"not evaluated: {each}")
        return False

    def _unpriced(self, place: _Place) -> tuple[Problem, ...]:
        return unpriced(place.cell, place.comparison, self._shelf.traffic(place.at).get(place.cell), self._money)

    def _unseen(self, before: Evaluation, at: datetime) -> Evaluation:
        """What is followed and cannot be evaluated: over with its experiment, else without data, which is no end."""
        comparison, unit = before.unit.comparison, replace(before.unit, at=at, revision=0)
        end = self._ends.get((comparison.key, comparison.phase)) if comparison.kind == "experiment" else None
        known = replace(
            before, unit=unit, severity="digest", by_money="digest", asked="digest", if_shipped=0.0, held_by=()
        )
        if end is None or end > at:
            told = "It could not be read: nothing was counted or expected there, or it has no price now."
            return replace(known, now=None, no_data=True, held_by=before.held_by, why_not=told)
        told = f"Its experiment ended {end:%Y-%m-%d %H:%M} UTC: nobody meets the arm because of it any more."
        over = replace(before.evidence, waits_for=EXPERIMENT_OVER)
        return replace(known, now=Cost(0.0, 0.0, 0.0, 0.0), no_data=False, evidence=over, why_not=told)

    # --- evidence -----------------------------------------------------------------------------------------------

    def _bars(self, places: Iterable[_Place], at: datetime) -> Mapping[Cell, Bars]:
        """How high the detectors of each cell must stand; several on a cell share its false alarms.

        Page bars are shared by those that may page: a launch's, not a forecast's.
        """
        watched = [place for place in places if place.has_detector]
        paging = [place for place in watched if place.comparison.kind == "launch"]
        traffic, day = self._shelf.traffic(at), at.astimezone(self._shop.settings.zone).date()
        cells = {place.cell for place in watched}
        stakes = {cell: stake(traffic[cell], self._money, on=day).money for cell in cells}
        return bars(stakes, paging=len(paging), watching=len(watched))

    def _baseline(self, place: _Place, memory: Memory) -> tuple[Baseline | None, Baseline | None]:
        """The baseline in force, and the one that is frozen now; a new one is in force from the next end on."""
        known = memory.baseline(place.unit.fingerprint, place.at)
        launch = changes.last_launch(self._launches, place.cell.module, place.at)
        if known is not None and (launch is None or known.change_at >= launch.at):
            return known, self._returned(place, known) if known.is_of_nothing else None
        history = self._shelf.history(place.comparison, place.cell, place.at)
        trial = [] if launch is None else self._trial(launch, place.cell, place.at)
        new = changes.frozen(history, place.metric, launch, forecasts=self._forecasts(place), trial=trial)
        return (new if new is not None and new.change_at < place.at else None), new

    def _returned(self, place: _Place, known: Baseline) -> Baseline | None:
        """The baseline of a cell that somebody accepted as gone, once it has been there again for 28 days."""
        later = self._shelf.since(place.comparison, place.cell, known.change_at, place.at)
        watched = place.comparison.watched
        there = [each for each in later if watched in each.arms and each.arms[watched].sessions > 0]
        return changes.frozen(there, place.metric, None, forecasts=self._forecasts(place))

    def _trial(self, launch: changes.Launch, cell: Cell, at: datetime) -> list[Bucket]:
        """What was counted of the experiment that was shipped, in every phase, of every treatment."""
        all_ = map(measured.comparison_of, sorted(self._store.measured_until(measured.BUCKET, LONG)))
        its = [each for each in all_ if (each.kind, each.key) == ("experiment", launch.key)]
        return [bucket for each in its for bucket in self._shelf.history(each, cell, at)]

    def _advanced(self, place: _Place, baseline: Baseline | None, before: Detector | None) -> Detector | None:
        """The detector after every bucket since its last one; None without a baseline."""
        if baseline is None:
            return None
        is_older = before is None or before.end <= baseline.change_at
        state = reset(baseline.change_at) if before is None or is_older else before
        forecasts = self._forecasts(place)
        for bucket in self._shelf.since(place.comparison, place.cell, state.end, place.at):
            state = advanced(state, baseline, bucket, place.metric, forecasts.get(bucket.end))
        return state

    def _peeked(self, place: _Place, baseline: Baseline | None, detector: Detector | None) -> Detector | None:
        """The detector with what was counted since its last bucket; never kept. A forecast is of six hours only."""
        part = self._shelf.part(place.comparison, place.cell, place.at)
        if baseline is None or part is None or place.comparison.kind == "forecast":
            return detector
        return peek(detector, baseline, part, place.metric)

    def _evidence(self, place: _Place, look: Look | None, detector: Detector | None, raised: Bars | None) -> Evidence:
        if place.comparison.kind == "experiment":
            if look is None:
                return Evidence("e_process", 0.0, 1 / LEVEL, "page_fast", NO_LOOK)
            return by_experiment(look, place.metric)
        if raised is None:
            raise ValueError(f"no bar for {place.cell}")
        if place.comparison.kind == "forecast":
            return by_forecast(detector, raised, changes.ended_lately(self._gone, place.cell.module, place.at))
        return by_detector(detector, raised, replayed=self._money.pages)

    # --- one unit of work ---------------------------------------------------------------------------------------

    def _evaluated(
        self,
        place: _Place,
        conversion: Conversion,
        baseline: Baseline | None,
        detector: Detector | None,
        raised: Mapping[Cell, Bars],
        failures: Sequence[Failure],
    ) -> Evaluation:
        comparison, cell, at = place.comparison, place.cell, place.at
        look = self._shelf.look(comparison, cell, at) if comparison.kind == "experiment" else None
        long = self._shelf.week(comparison, at).get(cell, ())
        forecasts = self._forecasts(place)
        return evaluate(
            Inputs(
                unit=place.unit,
                long=long,
                short=self._shelf.quarters(comparison, cell, at),
                traffic=self._shelf.traffic(at).get(cell),
                evidence=self._evidence(place, look, detector, raised.get(cell)),
                digits=self._shop.settings.digits,
                look=look,
                upper=None if look is None else upper(look, place.metric),
                baseline=baseline,
                expected=[forecasts[bucket.end] for bucket in long if bucket.end in forecasts],
                conversion=conversion,
                held_by=held_by(failures, comparison, cell, place.metric),
                fast=self._money.fast and self._shelf.has_quarter(at),
                on=at.astimezone(self._shop.settings.zone).date(),
                currency=self._shop.settings.currency,
                names=self._signals.names,
            ),
            self._money,
        )

    def _forecasts(self, place: _Place) -> Mapping[datetime, Traffic]:
        return self._shelf.expected(place.cell) if place.comparison.kind == "forecast" else {}
