"""One refresh: count, check, assemble, publish. The stages live in their rooms; this file calls them in order."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo

from analysis import assembly
from analysis.assembly import Inputs, assemble
from analysis.calendar import data_cut, day_start, seen_cut
from analysis.hash_audit import audited
from analysis.health.checks import CHECKS
from analysis.question import count_request, naive, none_loaded
from analysis.readout import Readout
from analysis.subjects import subject
from analysis.warehouse import DEFAULT, WAREHOUSES
from analysis.warehouse.terms import ShopTerms, refuse_others
from experiments.designs import unread
from experiments.errors import UsageError
from experiments.shop import Shop
from experiments.spec import Phase
from experiments.store import Event, Snapshot, Store

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What a refresh left behind; `new` is False when the same inputs had been published before."""

    readout: Readout
    new: bool


def refresh(
    shop: Shop,
    store: Store,
    key: str,
    *,
    now: datetime,
    as_of: datetime | None = None,
    phase: int | None = None,
    wait_seconds: float = 0.0,
    say: Say = lambda _: None,
) -> Published:
    """Recompute one experiment's newest phase (or `phase`) to the last full business day before `as_of` and publish it.

    `now` and `as_of` are aware; without `as_of` it is `now`. Immutable and idempotent: the same logs,
    definition and settings give the same snapshot id, and publishing it again changes nothing. A look back
    publishes its snapshot and leaves no other trace: it sees and stores no event of a later day. UsageError
    for a design of which no readout is made, when no day of the experiment is over yet, when none of its exposures is
    loaded, when they were loaded under other settings, or for an `as_of` in the future; WarehouseBusyError when another
    process has the warehouse. Snapshots that DATA 5 does not keep are deleted here.
    """
    if as_of is not None and as_of > now:
        raise UsageError(
            f"{key}: --as-of {as_of:%Y-%m-%d %H:%M} lies in the future; leave it out to read up to the last full day"
        )
    asked = subject(store, shop, key, phase)
    frozen, experiment = asked.phase, asked.phase.experiment
    end, zone, watched = experiment.schedule.end_at, shop.settings.zone, _watched(store, frozen)
    why_not = unread(experiment.design, experiment.unit_type)
    if why_not is not None:
        raise UsageError(f"{key}: {why_not}")
    cut = data_cut(as_of or now, end, zone)
    looks_back, day = cut.as_of < data_cut(now, end, zone).as_of, cut.as_of_day
    over_before_anyone_looked = not watched and end is not None and cut.as_of.replace(tzinfo=UTC) >= end
    too_early = nothing_yet(frozen, zone, as_of or now)
    if too_early is not None:
        raise UsageError(f"{key}: {too_early}; refresh it from the day after, or pass a later --as-of")
    say(f"{key}: counting to the end of {cut.as_of_day - timedelta(days=1)}")
    with WAREHOUSES[DEFAULT](shop.warehouse_path, wait_seconds=wait_seconds) as warehouse:
        refuse_others(warehouse.terms(), ShopTerms.of(shop.settings))
        newest = warehouse.newest(cut.as_of)
        cut = seen_cut(cut, newest, zone, whole=over_before_anyone_looked)
        request = count_request(frozen, cut)
        counts = warehouse.count(request)
        if not any(counts.units.values()) and not any(counts.excluded.values()):
            raise UsageError(f"{key}: {none_loaded(request)}")
        say(f"{key}: checking the signals")
        rows = {name: warehouse.check(name, request) for name in CHECKS}
        rows |= audited(warehouse, store, shop, key)
        engine = warehouse.engine
    say(f"{key}: estimating")
    made = assemble(
        Inputs(
            phase=frozen,
            definition_version=asked.version,
            catalogue=frozen.metrics,
            currency=shop.settings.currency,
            digits=shop.settings.digits,
            time_zone=shop.settings.time_zone,
            cut=cut,
            now=now,
            counts=counts,
            check_rows=rows,
            events=tuple(e for e in (_from_store(e, shop) for e in store.events(key, frozen.number)) if e.day < day),
            watched=watched,
            engine=engine,
            exploratory=asked.exploratory,
        )
    )
    for event in () if looks_back else made.new_events:
        store.record_event(_to_store(event, frozen, shop, now))
    readout = made.readout
    new = store.publish(
        Snapshot(
            snapshot_id=readout.snapshot_id,
            experiment_key=key,
            phase=frozen.number,
            as_of=cut.as_of.replace(tzinfo=UTC),
            published_at=now,
            supersedes=None,
            schema=readout.schema_,
            verdict=readout.verdict.code,
            body=zlib.compress(readout.to_json().encode()),
            moments=zlib.compress(made.moments.encode()),
        )
    )
    store.prune(now, shop.settings.time_zone)
    return Published(readout if new else read(store.snapshot(readout.snapshot_id)), new)


def read(snapshot: Snapshot) -> Readout:
    """The readout a snapshot holds."""
    return Readout.from_json(zlib.decompress(snapshot.body))


def nothing_yet(phase: Phase, zone: ZoneInfo, at: datetime) -> str | None:
    """Why there is nothing to read of a phase at an aware instant; None when there may be."""
    start, cut = phase.experiment.schedule.start_at, data_cut(at, phase.experiment.schedule.end_at, zone)
    if naive(start) < cut.outcome_end:
        return None
    return f"as of {cut.as_of_day} no day of it is over (it starts {start.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def _watched(store: Store, phase: Phase) -> bool:
    """Whether somebody read it while it ran: a snapshot published before its end stands in the store."""
    end = phase.experiment.schedule.end_at
    heads = store.snapshots(phase.experiment.key, phase.number)
    return any(end is None or head.published_at < end for head in heads)


def _from_store(event: Event, shop: Shop) -> assembly.Event:
    kind = cast(Literal["first_crossing", "stop", "stop_closed"], event.kind)
    return assembly.Event(kind, event.arm, event.metric, event.at.astimezone(shop.settings.zone).date())


def _to_store(event: assembly.Event, phase: Phase, shop: Shop, now: datetime) -> Event:
    at = day_start(event.day, shop.settings.zone)
    return Event(phase.experiment.key, phase.number, event.kind, event.metric, event.arm, at, now)
