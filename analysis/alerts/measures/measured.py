"""What was published for the alerts, read back as values: the job, the pages and the replay read only these.

A row of the store is one comparison at one bucket's end, with all its cells. What is written here is read here, so that
one file knows its form.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from analysis.alerts.model import (
    LONG,
    METRICS,
    SHORT,
    Bucket,
    Cell,
    Comparison,
    Kind,
    Look,
    LookArm,
    Metric,
    Sums,
    Traffic,
)
from analysis.warehouse.buckets import Cells, Counted, LookCells, Looked
from experiments.base import canonical
from experiments.store import Measure, Store

BUCKET, LOOK, TRAFFIC = "bucket", "look", "traffic"  # kinds of measures
EVERYWHERE = "site"  # the place of the traffic
SITE = Comparison("forecast", "site", 1, "all", "")
_N = len(METRICS)


def comparisons(store: Store, at: datetime) -> tuple[Comparison, ...]:
    """What was compared in the last bucket of six hours that ended by `at`, in order; none without any."""
    until = max((end for end in store.measured_ends(BUCKET, LONG) if end <= at), default=None)
    places = [] if until is None else store.measured_places(BUCKET, LONG, until)
    return tuple(sorted(comparison_of(place) for place in places))


def buckets(
    store: Store,
    comparison: Comparison,
    cell: Cell | None = None,
    *,
    minutes: int,
    since: datetime | None = None,
    until: datetime,
) -> tuple[Bucket, ...]:
    """The newest revision of each bucket that ends in (since, until], by its end, then by cell.

    Without a cell those of every cell: what is read often is read so, once. A cell in which nothing happened has none.
    """
    rows = store.measures(BUCKET, minutes, place_of(comparison), since=since, until=until)
    return tuple(bucket for row in rows for bucket in _buckets(row, comparison) if cell in (None, bucket.cell))


def looks(store: Store, comparison: Comparison, at: datetime) -> tuple[Look, ...]:
    """What each cell of the comparison's first exposures counted up to the newest look by `at`; none without a look."""
    step = timedelta(minutes=LONG)
    rows = store.measures(LOOK, LONG, place_of(comparison), since=at - step, until=at)
    return tuple(_looks(rows[-1], comparison)) if rows else ()


def traffic(store: Store, at: datetime) -> Mapping[Cell, Traffic]:
    """What was expected at the newest end by `at`, by cell; a cell of which too little is known is not there."""
    rows = store.measures(TRAFFIC, LONG, EVERYWHERE, since=at - timedelta(minutes=LONG), until=at)
    return {} if not rows else {found.cell: found for found in _traffic(rows[-1])}


def expectations(store: Store, *, since: datetime | None, until: datetime) -> Mapping[Cell, Mapping[datetime, Traffic]]:
    """What was expected at each bucket's end in (since, until], by cell: what a forecast's baseline is made of."""
    found: dict[Cell, dict[datetime, Traffic]] = {}
    for row in store.measures(TRAFFIC, LONG, EVERYWHERE, since=since, until=until):
        for each in _traffic(row):
            found.setdefault(each.cell, {})[each.at] = each
    return found


def published(store: Store, *, since: datetime | None = None) -> tuple[datetime, ...]:
    """The ends of buckets of either length (of which something was published at `since` or later), oldest first."""
    ends = (store.measured_ends(BUCKET, minutes, published_since=since) for minutes in (LONG, SHORT))
    return tuple(sorted({end for some in ends for end in some}))


def published_at(store: Store) -> datetime | None:
    """When the newest bucket was published: who reads `published` anew begins there."""
    return store.measures_published_at(BUCKET)


def place_of(comparison: Comparison) -> str:
    """Under which place a comparison is kept."""
    return "/".join((comparison.kind, comparison.key, str(comparison.phase), comparison.watched, comparison.against))


def comparison_of(place: str) -> Comparison:
    """The comparison that is kept under a place."""
    kind, key, phase, watched, against = place.split("/")
    return Comparison(cast(Kind, kind), key, int(phase), watched, against)


def holdouts(store: Store) -> tuple[Comparison, ...]:
    """Those of which anything was published, by what is served against what is held out."""
    every = map(comparison_of, sorted(store.measured_until(BUCKET, LONG)))
    return tuple(each for each in every if each.kind == "launch")


# --- one row of the store ---------------------------------------------------------------------------------------


def bucket_measure(comparison: Comparison, minutes: int, end: datetime, cells: Cells) -> Measure:
    """The row of one bucket."""
    arms = (comparison.watched, comparison.against)
    return Measure(BUCKET, place_of(comparison), minutes, end, canonical({"cells": _written(cells, arms)}))


def look_measure(comparison: Comparison, end: datetime, cells: LookCells, planned: float) -> Measure:
    """The row of one look."""
    body = {"cells": _written(cells, (comparison.watched, comparison.against)), "planned": planned}
    return Measure(LOOK, place_of(comparison), LONG, end, canonical(body))


def traffic_measure(end: datetime, expected: Iterable[Traffic]) -> Measure:
    """The row of what is expected at one bucket's end: nine digits, so that a machine's last bit changes nothing."""
    rows = [
        [each.cell.module, each.cell.category, _short(each.sessions), _short(each.sessions_se),
         [_short(each.expected[metric]) for metric in METRICS],
         [_short(each.expected_se[metric]) for metric in METRICS],
         _short(each.revenue_per_session), None if each.margin_share is None else _short(each.margin_share),
         [[place_of(comparison), _short(share)] for comparison, share in each.watched]]
        for each in sorted(expected, key=lambda each: each.cell)
    ]  # fmt: skip
    return Measure(TRAFFIC, EVERYWHERE, LONG, end, canonical({"cells": rows}))


def counted(row: Measure) -> dict[tuple[str, str], dict[str, Counted]]:
    """What a bucket's row holds, by module and category, then by arm."""
    return {
        (module, category): {arm: Counted(*numbers) for arm, numbers in arms.items()}
        for module, category, arms in json.loads(row.body)["cells"]
    }


def _written(cells: Mapping[tuple[str, str], Mapping[str, Sequence[int]]], arms: Sequence[str]) -> list[list[object]]:
    kept = [
        (place, {arm: list(by_arm[arm]) for arm in arms if arm in by_arm and any(by_arm[arm])})
        for place, by_arm in sorted(cells.items())
    ]
    return [[module, category, by_arm] for (module, category), by_arm in kept if by_arm]


def _buckets(row: Measure, comparison: Comparison) -> Iterable[Bucket]:
    for (module, category), arms in counted(row).items():
        sums = {arm: _sums(numbers) for arm, numbers in arms.items()}
        yield Bucket(comparison, Cell(module, category), row.ended_at, row.minutes, row.revision, sums)


def _sums(of: Counted) -> Sums:
    return Sums(
        units=of.units,
        sessions=of.sessions,
        sessions_squared=of.sessions_squared,
        totals=_by_metric(of.clicks, of.adds, of.orders, of.revenue),
        squares=_by_metric(of.clicks_squared, of.adds_squared, of.orders_squared, of.revenue_squared),
        products=_by_metric(of.sessions_clicks, of.sessions_adds, of.sessions_orders, of.sessions_revenue),
        margin=of.margin,
    )


def _looks(row: Measure, comparison: Comparison) -> Iterable[Look]:
    body = json.loads(row.body)
    for module, category, arms in body["cells"]:
        by_arm = {arm: _look_arm(Looked(*numbers)) for arm, numbers in arms.items()}
        yield Look(comparison, Cell(module, category), row.ended_at, row.revision, by_arm, body["planned"])


def _look_arm(of: Looked) -> LookArm:
    return LookArm(
        units=of.units,
        nonzero=_by_metric(of.clicks_nonzero, of.adds_nonzero, of.orders_nonzero, of.revenue_nonzero),
        totals=_by_metric(of.clicks, of.adds, of.orders, of.revenue),
        squares=_by_metric(of.clicks_squared, of.adds_squared, of.orders_squared, of.revenue_squared),
    )


def _traffic(row: Measure) -> Iterable[Traffic]:
    for module, category, sessions, se, expected, expected_se, per_session, margin, watched in json.loads(row.body)[
        "cells"
    ]:
        yield Traffic(
            Cell(module, category), row.ended_at, sessions, se,
            dict(zip(METRICS, expected, strict=True)), dict(zip(METRICS, expected_se, strict=True)),
            per_session, margin, tuple((comparison_of(place), share) for place, share in watched),
        )  # fmt: skip


def _by_metric(click: int, add_to_cart: int, order: int, revenue: int) -> Mapping[Metric, int]:
    return {"click": click, "add_to_cart": add_to_cart, "order": order, "revenue": revenue}


def _short(value: float) -> float:
    return float(f"{value:.9g}")
