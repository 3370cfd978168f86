"""Publish what the alerts read: buckets, looks and the traffic that is expected. Incremental, and twice is once.

What a bucket counts hangs on no row after its end, so only buckets after the newest published one are counted, and
those that rows which came since can have changed: from the earliest of them on. What says the same is left alone,
anything else is the next revision.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from analysis.alerts.measures import measured
from analysis.alerts.measures.measured import BUCKET, LOOK, SITE, counted, place_of
from analysis.alerts.measures.quiet import seen_through
from analysis.alerts.measures.spans import spans
from analysis.alerts.measures.traffic import READ_BACK, expected, past
from analysis.alerts.model import LONG, SHORT, Cell, Comparison
from analysis.warehouse import buckets
from analysis.warehouse.base import HeldOut, Warehouse
from analysis.warehouse.buckets import Cells, Counted, Loaded, Subject, Watched, WatchedHoldout, WatchedPhase
from assignment.hashing import stage_salt
from experiments.base import canonical
from experiments.holdouts import holdouts
from experiments.money import Season, load_money
from experiments.placement import HOLDOUT_PREFIX
from experiments.shop import Shop
from experiments.spec import Experiment, Phase
from experiments.store import Measure, Store

HISTORY = timedelta(days=800)  # how far back the first publication goes
SHORT_FOR = timedelta(hours=48)  # buckets of a quarter of an hour are published while they are that new …
SHORT_KEPT = timedelta(days=14)  # … and kept for a run that comes late
TRAFFIC_FOR = timedelta(days=45)  # expectations: a forecast's baseline is 28 days, and a run may be 14 days late
STATE = "loads"  # the kind of the row that says which load was the newest


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What one publication did."""

    until: datetime | None  # the end of the newest whole bucket of six hours; None without any slate
    new: int = 0  # buckets, looks and expectations of a comparison at one end
    revised: int = 0  # of those that had been published with other numbers
    late_from: datetime | None = None  # where rows that came late made the count begin again


@dataclass(frozen=True, slots=True)
class _Followed:
    """A comparison, the span it is measured in, and how many units it was planned for."""

    comparison: Comparison
    starts_at: datetime
    ends_at: datetime | None
    phase: WatchedPhase | None = None
    holdout: WatchedHoldout | None = None
    planned: float = 0.0

    @property
    def subject(self) -> Subject:
        """Whose buckets it reads."""
        return Subject(self.comparison.kind, self.comparison.key, self.comparison.phase)

    def ends(self, minutes: int, since: datetime, until: datetime) -> list[datetime]:
        """The ends in (since, until] of buckets that lie in its span, or partly."""
        step = timedelta(minutes=minutes)
        first = max(since, buckets.whole_until(self.starts_at, minutes)) + step
        last = until if self.ends_at is None else min(until, buckets.whole_until(self.ends_at - _TICK, minutes) + step)
        return [first + i * step for i in range(max(0, (last - first) // step + 1))]


_TICK = timedelta(microseconds=1)


def publish(shop: Shop, store: Store, warehouse: Warehouse, *, now: datetime) -> PublishReport:
    """Publish every bucket that is whole in slates and outcomes, and anew those whose numbers changed.

    `now` is aware: rows at or after it are not there yet. DefinitionError where money.yml is wrong. One transaction: a
    publication that is killed left nothing, and the next one does it all.
    """
    loaded, late = _late(store, warehouse, now)
    if loaded.complete_until is None:
        return PublishReport(None)
    seasons = load_money(shop).seasons
    seen = seen_through(store, loaded.complete_until, now=now)
    until = {minutes: buckets.whole_until(seen, minutes) for minutes in (LONG, SHORT)}
    followed = _followed(store, loaded, until[LONG])
    rows = [
        *_bucket_rows(store, warehouse, followed, LONG, until[LONG], late),
        *_bucket_rows(store, warehouse, followed, SHORT, until[SHORT], late, most=SHORT_FOR),
        *_look_rows(store, warehouse, followed, until[LONG], late),
    ]
    rows += _traffic_rows(store, rows, until[LONG], seasons)
    state = Measure(STATE, "", 0, until[SHORT], canonical({"load_id": loaded.load_id, "seq": loaded.seq}))
    saved = [row for row in store.save_measures([*rows, state], now=now) if row.kind != STATE]
    store.forget_measures(STATE, 0, before=until[SHORT])
    store.forget_measures(BUCKET, SHORT, before=until[SHORT] - SHORT_KEPT)
    revised = sum(1 for row in saved if row.revision)
    return PublishReport(until[LONG], len(saved) - revised, revised, late if revised else None)


def _late(store: Store, warehouse: Warehouse, now: datetime) -> tuple[Loaded, datetime | None]:
    """The newest load, and from where on rows came since the last publication; of another warehouse, from anywhere."""
    states = store.measures(STATE, 0)
    if not states:
        return buckets.loaded_since(warehouse, 0, before=now), None
    then = json.loads(states[-1].body)
    loaded = buckets.loaded_since(warehouse, then["seq"], before=now)
    if loaded.load_id_then != then["load_id"]:
        return loaded, loaded.first_slate
    return loaded, loaded.earliest


# --- who is compared --------------------------------------------------------------------------------------------


def _followed(store: Store, loaded: Loaded, until: datetime) -> list[_Followed]:
    """Every comparison there ever was: phases, holdouts, and everybody against the seasons."""
    found = [each for phases in spans(store) for each in _of_phase(*phases)]
    for held in holdouts(store):
        key, (start, end) = held.key.removeprefix(HOLDOUT_PREFIX), (held.schedule.start_at, held.schedule.end_at)
        by_hash = HeldOut(stage_salt(held.salt, "holdout"), held.buckets)
        watched = WatchedHoldout(key, held.unit_type, held.modules, by_hash, start, end)
        found.append(_Followed(Comparison("launch", key, 1, "served", "held_out"), start, end, holdout=watched))
    if loaded.first_slate is not None:
        found.append(_Followed(SITE, max(loaded.first_slate, until - HISTORY), None))
    return found


def _of_phase(phase: Phase, ends_at: datetime | None) -> Iterator[_Followed]:
    experiment = phase.experiment
    control, start = experiment.control.key, experiment.schedule.start_at
    if ends_at is not None and ends_at <= start:
        return
    arms = (control, *(arm.key for arm in experiment.treatments))
    watched = WatchedPhase(experiment.key, phase.number, experiment.unit_type, experiment.modules, arms, start, ends_at)
    for arm in arms[1:]:
        comparison = Comparison("experiment", experiment.key, phase.number, arm, control)
        planned = phase.planned_units * _weight(experiment, {arm, control})
        yield _Followed(comparison, start, ends_at, phase=watched, planned=planned)


def _weight(experiment: Experiment, arms: set[str]) -> float:
    """Which share of all units is in these arms."""
    weights = {variant.key: float(variant.weight) for variant in experiment.variants}
    return sum(weights[arm] for arm in sorted(arms)) / sum(weights.values())


# --- rows -------------------------------------------------------------------------------------------------------


def _bucket_rows(
    store: Store,
    warehouse: Warehouse,
    followed: list[_Followed],
    minutes: int,
    until: datetime,
    late: datetime | None,
    *,
    most: timedelta | None = None,
) -> list[Measure]:
    asked = _asked(store, followed, BUCKET, minutes, until, late, None if most is None else until - most)
    step = timedelta(minutes=minutes)
    cuts = sorted({end for _, ends in asked for end in (ends[0] - step, ends[-1])})
    counts: dict[Subject, dict[datetime, Cells]] = {}
    for start, end in pairwise(cuts):  # whoever is asked for a part of such a time is asked for all of it
        some = [each for each, ends in asked if ends[0] - step <= start and end <= ends[-1]]
        for subject, by_end in _counted(warehouse, some, minutes, start, end).items():
            counts.setdefault(subject, {}).update(by_end)
    return [
        measured.bucket_measure(each.comparison, minutes, end, counts.get(each.subject, {}).get(end, {}))
        for each, ends in asked
        for end in ends
    ]


def _counted(
    warehouse: Warehouse, followed: list[_Followed], minutes: int, since: datetime, until: datetime
) -> Mapping[Subject, Mapping[datetime, Cells]]:
    if not followed:
        return {}
    watched = Watched(
        tuple(dict.fromkeys(each.phase for each in followed if each.phase is not None)),
        tuple(dict.fromkeys(each.holdout for each in followed if each.holdout is not None)),
        any(each.comparison == SITE for each in followed),
    )
    return buckets.buckets(warehouse, watched, minutes=minutes, since=since, until=until)


def _look_rows(
    store: Store, warehouse: Warehouse, followed: list[_Followed], until: datetime, late: datetime | None
) -> list[Measure]:
    phases: dict[WatchedPhase, list[tuple[_Followed, list[datetime]]]] = {}
    for each, ends in _asked(store, followed, LOOK, LONG, until, late, None):
        if each.phase is not None:
            phases.setdefault(each.phase, []).append((each, ends))
    rows: list[Measure] = []
    for phase, asked in phases.items():
        found = buckets.looks(warehouse, phase, minutes=LONG, until=max(ends[-1] for _, ends in asked))
        for each, ends in asked:
            rows += (measured.look_measure(each.comparison, end, found.get(end, {}), each.planned) for end in ends)
    return rows


def _asked(
    store: Store,
    followed: list[_Followed],
    kind: str,
    minutes: int,
    until: datetime,
    late: datetime | None,
    earliest: datetime | None,
) -> list[tuple[_Followed, list[datetime]]]:
    """Who has to be measured at which ends: after the newest that is published, or where rows came late."""
    done = store.measured_until(kind, minutes)
    found: list[tuple[_Followed, list[datetime]]] = []
    for each in followed:
        start = buckets.whole_until(each.starts_at, minutes)
        since = done.get(place_of(each.comparison), start)
        if late is not None:
            since = max(start, min(since, buckets.whole_until(late, minutes)))
        ends = each.ends(minutes, since if earliest is None else max(since, earliest), until)
        if ends:
            found.append((each, ends))
    return found


def _traffic_rows(store: Store, rows: list[Measure], until: datetime, seasons: tuple[Season, ...]) -> list[Measure]:
    """What is expected at every end from the first on that is new or changed."""
    own = [row for row in rows if row.kind == BUCKET and row.minutes == LONG]
    if not own:
        return []
    first = max(min(row.ended_at for row in own), until - TRAFFIC_FOR + timedelta(minutes=LONG))
    since = None if seasons else first - READ_BACK
    there = {(row.place, row.ended_at): row for row in (*store.measures(BUCKET, LONG, since=since), *own)}
    history: dict[datetime, Mapping[Cell, Counted]] = {}
    watched: dict[Comparison, dict[datetime, Mapping[Cell, int]]] = {}
    for (place, end), row in there.items():
        if since is not None and end <= since:
            continue
        comparison = measured.comparison_of(place)
        if comparison == SITE:
            history[end] = {Cell(*at): arms[SITE.watched] for at, arms in counted(row).items()}
        elif end > first - timedelta(days=2):
            sessions = {
                Cell(*at): arms[comparison.watched].sessions
                for at, arms in counted(row).items()
                if comparison.watched in arms
            }
            watched.setdefault(comparison, {})[end] = sessions
    of = past(history, watched)
    ends = sorted(end for end in history if end >= first)
    found = {} if of is None else expected(of, ends, seasons)
    return [measured.traffic_measure(end, found[end]) for end in ends]
