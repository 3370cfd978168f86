"""The last change of a module, and the baseline that is frozen for it. ALERTS 3.

A change is a launch (an experiment on the module stopped with the decision to ship) or a loss that somebody called
expected. The baseline is how the cell stood in the 112 buckets of six hours before; where there are fewer, in the
first 112 after it, and nothing is read until then.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from analysis.alerts.evidence.detector import BASELINE_BUCKETS, Deviation, baseline, deviation, stood
from analysis.alerts.measures.spans import spans
from analysis.alerts.model import LONG, Baseline, Bucket, Metric, Traffic
from analysis.pipeline import read
from analysis.readout import Interval
from experiments.errors import NotFoundError
from experiments.spec import Phase
from experiments.store import Store

FIRST = "first_buckets"
BUCKET = timedelta(minutes=LONG)
OF_METRIC: Mapping[Metric, str] = {"order": "orders_per_unit", "revenue": "revenue_per_unit"}  # as a readout names it


@dataclass(frozen=True, slots=True)
class Launch:
    """An experiment that was shipped: from then on its modules serve something else to everybody."""

    key: str
    modules: tuple[str, ...]
    at: datetime
    least: Mapping[Metric, float]  # the lower bound of what it promised, relative; of the metrics that were read

    @property
    def window(self) -> str:
        """What incidents after it are grouped by."""
        return f"launch {self.key} {self.at:%Y-%m-%d}"


def launches(store: Store) -> tuple[Launch, ...]:
    """Every experiment that was shipped, the oldest first."""
    found = []
    for known in store.registered():
        if known.decision is not None and known.decision.decision == "ship":
            least = _least(store, known.key, known.decision.at)
            found.append(Launch(known.key, known.experiment.modules, known.decision.at, least))
    return tuple(sorted(found, key=lambda launch: (launch.at, launch.key)))


def last_launch(found: Iterable[Launch], module: str, at: datetime) -> Launch | None:
    """The newest of a module before an instant; the site is in none."""
    return next((each for each in reversed(tuple(found)) if module in each.modules and each.at < at), None)


def windows(found: Iterable[Launch], at: datetime) -> Mapping[str, str]:
    """By module, the launch it is after."""
    return {module: each.window for each in found if each.at < at for module in each.modules}


@dataclass(frozen=True, slots=True)
class End:
    """An experiment whose arms are gone, and were not shipped with that: what they brought went with them."""

    key: str
    modules: tuple[str, ...]
    at: datetime


def ends(store: Store, launched: Iterable[Launch]) -> tuple[End, ...]:
    """Every experiment that ended without being `launched`, by key; one that will end, at the time it will."""
    shipped = {(launch.key, launch.at) for launch in launched}
    last: dict[str, tuple[Phase, datetime | None]] = {}
    for phase, end in spans(store):
        last[phase.experiment.key] = (phase, end)
    return tuple(
        End(key, phase.experiment.modules, end)
        for key, (phase, end) in sorted(last.items())
        if end is not None and (key, end) not in shipped
    )


def ended_lately(found: Iterable[End], module: str, at: datetime) -> tuple[str, ...]:
    """Those that ended there in the 28 days before: so long what is expected is partly of the days of their arms.

    Of the whole site (module '') it is every one of them.
    """
    later = at - BASELINE_BUCKETS * BUCKET
    return tuple(each.key for each in found if later < each.at < at and (not module or module in each.modules))


def frozen(
    buckets: Sequence[Bucket],
    metric: Metric,
    launch: Launch | None,
    *,
    forecasts: Mapping[datetime, Traffic],
    trial: Sequence[Bucket] = (),
) -> Baseline | None:
    """The baseline after a launch, or the first one without any; None while there are too few buckets.

    After a launch the difference to expect is the one before, raised by the least that the experiment promised (its
    estimate would call a launch a loss that was shipped for more than it is) and by no more of it than is new: who had
    it while it was tested is in the difference before. `trial` are the buckets of six hours of its experiment in this
    cell, of any phase and any treatment: an arm that was not shipped is taken to bring as much as the one that was.
    """
    if launch is not None:
        before = baseline(buckets, metric, change_at=launch.at, reason=launch.window, forecasts=forecasts)
        if before is not None:
            promised = launch.least.get(metric, 0.0)
            if promised == 0 or buckets[0].comparison.kind == "forecast":
                return before
            new = still_to_come(promised, had_it(buckets, metric, launch, trial))
            return replace(before, mean=(1 + before.mean) * (1 + new) - 1)
    since = None if launch is None else launch.at
    after = _deviations(buckets, metric, forecasts, since)[:BASELINE_BUCKETS]
    if len(after) < BASELINE_BUCKETS:
        return None
    reason = FIRST if launch is None else f"{FIRST} after {launch.window}"
    return stood(after, change_at=after[-1].end, reason=reason)


def still_to_come(promised: float, known: float | None) -> float:
    """What a launch adds to a mean in which a share `known` of the sessions had it already, relative.

    The mean before is (1 + p·g) times that without it, the one after it 1 + g times: g(1 − p)/(1 + p·g). Without the
    share the least of all that it may be: nothing of a gain, all of a loss.
    """
    if known is None:
        return min(0.0, promised)
    return promised * (1 - known) / (1 + known * promised)


def had_it(buckets: Sequence[Bucket], metric: Metric, launch: Launch, trial: Sequence[Bucket]) -> float | None:
    """The share of the watched sessions that had a treatment in the 112 buckets before, weighted as their mean.

    A bucket without a trial has none. None where the cell never had a trial, or more of it than there were sessions:
    then the two were counted by different units.
    """
    sessions: dict[datetime, int] = {}
    for bucket in trial:
        if bucket.end <= launch.at and bucket.comparison.watched in bucket.arms:
            arm = bucket.arms[bucket.comparison.watched]
            sessions[bucket.end] = sessions.get(bucket.end, 0) + arm.sessions
    if not any(sessions.values()):
        return None
    by_end = {bucket.end: bucket for bucket in buckets if bucket.end <= launch.at}
    last = _deviations(list(by_end.values()), metric, {}, None)[-BASELINE_BUCKETS:]
    shares = []
    for each in last:
        served = by_end[each.end].arms[by_end[each.end].comparison.watched].sessions
        if sessions.get(each.end, 0) > served:
            return None
        shares.append(sessions.get(each.end, 0) / served)
    weights = [each.se**-2 for each in last]
    return math.fsum(w * p for w, p in zip(weights, shares, strict=True)) / math.fsum(weights) if weights else None


def accepted(
    buckets: Sequence[Bucket],
    metric: Metric,
    *,
    at: datetime,
    since: datetime,
    incident: str,
    forecasts: Mapping[datetime, Traffic],
) -> Baseline | None:
    """The baseline of a loss that is accepted at `at`: where the cell stands since it began, its spread as before.

    One standard error lower than it stands, for it is known from few buckets. None with fewer than 112 buckets.
    """
    reason = f"accepted (incident {incident})"
    before = baseline(buckets, metric, change_at=at, reason=reason, forecasts=forecasts)
    there = [each for each in _deviations(buckets, metric, forecasts, None) if each.end <= at]
    lost = [each for each in there if each.end > since] or there[-1:]
    if before is None or not lost:
        return None
    weight = math.fsum(each.se**-2 for each in lost)
    mean = math.fsum(each.relative * each.se**-2 for each in lost) / weight
    return replace(before, mean=mean - before.factor / math.sqrt(weight))


def _deviations(
    buckets: Sequence[Bucket], metric: Metric, forecasts: Mapping[datetime, Traffic], since: datetime | None
) -> list[Deviation]:
    later = sorted((each for each in buckets if since is None or each.end > since), key=lambda each: each.end)
    known = (deviation(each, metric, forecasts.get(each.end)) for each in later)
    return [each for each in known if each is not None]


def _least(store: Store, key: str, at: datetime) -> Mapping[Metric, float]:
    """The lower bounds of the newest readout that was there when it was decided."""
    heads = [head for head in store.snapshots(key) if head.as_of <= at]
    newest = max(heads, key=lambda head: (head.as_of, head.published_at, head.snapshot_id), default=None)
    if newest is None:
        return {}
    try:
        readout = read(store.snapshot(newest.snapshot_id))
    except NotFoundError:  # deleted meanwhile: a later one of the same day is kept
        return {}
    found: dict[Metric, float] = {}
    for metric, name in OF_METRIC.items():
        rows = [row for each in readout.metrics or () if each.key == name for row in each.comparisons]
        own = [row for row in rows if readout.verdict.arm in (None, row.arm)]
        lowest = own[0].relative.lo if len(own) == 1 and isinstance(own[0].relative, Interval) else None
        if lowest is not None and lowest > -1:
            found[metric] = lowest
    return found
