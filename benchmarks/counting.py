"""How long counting takes, against the floor: three `group by unit` over the same events, sorted by unit.

    python -m benchmarks.counting            # S: 100k units, 2.06 M events
    python -m benchmarks.counting S M        # and M: 1 M units, 20.6 M events (about 15 minutes to make)

Absolute times drift from machine to machine; the ratios of one run are what to quote. Every line is measured in a
process of its own: CPU seconds of all its threads, wall seconds, and its peak memory, Python and DuckDB included.
"""

import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from analysis.warehouse.base import CountRequest, DataCut
from analysis.warehouse.connection import prepare
from analysis.warehouse.duckdb import DuckDBWarehouse
from analysis.warehouse.loading.enrich import link_returns
from experiments.catalogue import shipped_metrics
from experiments.spec import Slice

T = TypeVar("T")
SIZES = {"XS": 10_000, "S": 100_000, "M": 1_000_000}
DAYS, PRE_DAYS = 56, 28
START = datetime(2026, 1, 1)
PHASE_START, CUT, LATER = datetime(2026, 1, 29), datetime(2026, 2, 26), datetime(2026, 3, 26)
MODULES = ("homepage", "pdp", "cart", "email")
TWELVE = (
    "revenue_per_unit", "net_revenue_per_unit", "margin_per_unit", "orders_per_unit", "conversion", "aov",
    "ctr", "add_to_cart_rate", "oos_shown_rate", "return_rate", "discount_share", "latency_per_slate",
)  # fmt: skip
TEN = tuple(name for name in TWELVE if name not in ("margin_per_unit", "latency_per_slate"))
BEFORE = {"from": "order_lines", "measure": "any"}
TOP = {"from": "order_lines", "by": "item_category", "measure": {"sum": "value"}}
DECLARED = (
    Slice.model_validate({"key": "device", "kind": "context", "column": "platform"}),
    Slice.model_validate({"key": "browser", "kind": "context", "column": "browser"}),
    Slice.model_validate({"key": "bought_before", "kind": "context", "pre_period": BEFORE}),
    Slice.model_validate({"key": "affinity", "kind": "context", "pre_period_top": TOP}),
)


@dataclass
class Spent:
    """Seconds of CPU (all threads) and of wall."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def measured() -> Iterator[Spent]:
    """What the block spends."""
    spent = Spent()
    cpu, wall = time.process_time(), time.perf_counter()
    yield spent
    spent.cpu, spent.wall = time.process_time() - cpu, time.perf_counter() - wall


def peak_mb() -> float:
    """The process's largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make(connection: duckdb.DuckDBPyConnection, units: int, *, seed: int = 1) -> None:
    """A shop's log: 12 slates and 8.6 outcomes a unit over 56 days, stored by day and inside a day by unit."""
    rng = np.random.default_rng(seed)
    favourite = rng.integers(0, 12, units)  # seven rows in ten are about a unit's favourite category
    sessions = units * 45 // 10
    weights = rng.pareto(1.5, units) + 0.3
    who = rng.choice(units, sessions, p=weights / weights.sum())
    when = rng.integers(0, DAYS, sessions) * 86_400_000_000 + rng.integers(0, 84_000_000_000, sessions)

    def events(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = rng.integers(0, sessions, n)
        unit, us = who[at], when[at] + rng.integers(0, 1_700_000_000, n)
        order = np.lexsort((us, unit, us // 86_400_000_000))
        return unit[order], us[order], us[order] // 86_400_000_000

    unit, us, day = events(units * 12)
    n = len(unit)
    given = pa.table({
        "unit": unit, "us": us, "day": day.astype(np.int32), "arm": (unit * 2654435761 >> 7) % 2,
        "m": rng.choice(4, n, p=[0.4, 0.35, 0.15, 0.1]),
        "c": np.where(rng.random(n) < 0.7, favourite[unit], rng.integers(0, 12, n)), "b": rng.integers(0, 6, n),
        "p": rng.integers(0, 3, n), "out": rng.binomial(6, 0.05, n), "clicked": rng.random(n) < 0.15,
        "latency_ms": rng.integers(5, 200, n),
    })  # fmt: skip
    connection.register("given", given)
    connection.execute(
        """
        insert into exposures by name
        select
            'e' || row_number() over () as event_id, make_timestamp(us + $start) as event_ts,
            cast(make_timestamp(us + $start) as date) as event_day,
            case when day >= $pre then 'demo' end as experiment_key,
            case when day >= $pre then 1 end as phase, $modules[m + 1] as module, 'category ' || c as page_category,
            'user' as unit_type, 'user-' || unit as unit_id, unit,
            case when day >= $pre then case arm when 0 then 'control' else 'treatment' end end as variant,
            case when day >= $pre then 'split' else 'none' end as assignment_reason, false as fallback,
            ['web', 'ios', 'android'][p + 1] as platform, 'browser ' || b as browser, latency_ms, 6 as items_shown,
            6 as items_stock_known, out as items_out_of_stock, clicked, 'made' as load_id, row_number() over () as line
        from given
        """,
        {"start": int(START.timestamp() * 1_000_000), "pre": PRE_DAYS, "modules": list(MODULES)},
    )
    unit, us, day = events(units * 86 // 10)
    n = len(unit)
    value = np.round(np.exp(rng.normal(7.5, 1, n))).astype(np.int64) + 1
    given = pa.table({
        "unit": unit, "us": us, "day": day.astype(np.int32), "kind": rng.choice(4, n, p=[0.4, 0.3, 0.18, 0.12]),
        "m": rng.choice(4, n, p=[0.4, 0.35, 0.15, 0.1]),
        "c": np.where(rng.random(n) < 0.7, favourite[unit], rng.integers(0, 12, n)), "o": rng.integers(0, 3, n),
        "value": value,
    })  # fmt: skip
    connection.register("given", given)
    connection.execute(
        """
        insert into outcomes by name
        select
            'o' || row_number() over () as event_id, make_timestamp(us + $start) as event_ts,
            cast(make_timestamp(us + $start) as date) as event_day, 'user' as unit_type, 'user-' || unit as unit_id,
            unit, ['view', 'click', 'add_to_cart', 'purchase'][kind + 1] as event_name,
            case when kind = 3 then value end as value,
            case when kind = 3 then value // 3 end as margin, case when kind = 3 then 1 end as quantity,
            case when kind = 3 then value // 20 end as discount, 'i' || (unit + c) % 997 as item_id,
            case when kind = 3 then 'order-' || unit || '-' || day || '-' || o end as order_id,
            case when kind < 3 then $modules[m + 1] end as module, 'category ' || c as item_category,
            unit % 17 = 0 as item_out_of_stock, 'made' as load_id, row_number() over () as line
        from given
        """,
        {"start": int(START.timestamp() * 1_000_000), "modules": list(MODULES)},
    )
    connection.unregister("given")
    connection.execute(
        """
        insert into outcomes by name
        select
            'r' || event_id as event_id, event_ts + interval 5 day as event_ts, event_day + 5 as event_day, unit_type,
            unit_id, unit, 'refund' as event_name, value, order_id, item_id, 'made' as load_id, line
        from outcomes
        where event_name = 'purchase' and line % 16 = 0
        """
    )
    connection.execute(
        """
        insert into sessions by name
        with acted as (
            select unit, event_ts, event_day, module, '' as event_name from exposures
            union all
            select unit, event_ts, event_day, module, event_name from outcomes where event_name <> 'refund'
        ),
        gaps as (
            select *, event_ts - lag(event_ts) over (partition by unit, event_day order by event_ts) as gap from acted
        ),
        numbered as (
            select *, count(*) filter (where gap >= interval 30 minute)
                over (partition by unit, event_day order by event_ts) as session
            from gaps
        )
        select
            unit, min(event_ts) as session_ts, max(event_ts) as last_ts, event_day,
            coalesce(min(module), '(none)') as entry_module,
            bool_or(event_name = 'click') as has_click, bool_or(event_name = 'add_to_cart') as has_add_to_cart,
            bool_or(event_name = 'purchase') as has_order,
        from numbered group by unit, event_day, session order by event_day, unit
        """
    )
    link_returns(connection)


def request(names: tuple[str, ...] = TEN, slices: tuple[Slice, ...] = ()) -> CountRequest:
    """The phase of the made log, 28 days after its start."""
    metrics = tuple(shipped_metrics()[name] for name in names)
    return CountRequest(
        experiment_key="demo",
        phase=1,
        unit_type="user",
        modules=MODULES,
        arms=("control", "treatment"),
        started_at=PHASE_START,
        cut=DataCut(CUT, CUT.date(), CUT),
        covariate_days=PRE_DAYS,
        attribution_days=7,
        outcome_days=None,
        metrics=metrics,
        covariate_metrics={metric.key: (metric,) for metric in metrics},
        slices=slices,
        series=names[:1],
    )


FLOOR = (
    "select unit, min(event_ts) as first_ts, min(arm) as arm from sorted_exposures group by unit",
    "select unit, count(*) as slates, sum(clicked) as clicked, sum(shown) as shown from sorted_exposures group by unit",
    "select unit, count(*) as events, sum(value) as value, sum(quantity) as pieces from sorted_outcomes group by unit",
)


def made(path: Path, units: int) -> tuple[int, ...]:
    """Make a warehouse file; how many exposures, outcomes and sessions it has."""
    connection = duckdb.connect(str(path))
    prepare(connection, path)
    make(connection, units)
    tables = ", ".join(f"(select count(*) from {table})" for table in ("exposures", "outcomes", "sessions"))
    counts: tuple[int, ...] = connection.execute(f"select {tables}").fetchall()[0]
    connection.close()
    return counts


def floor(path: Path) -> tuple[Spent, float]:
    """The three group-bys, best of nine; each is read to its end by an outer aggregate."""
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute(
        "create temp table sorted_exposures as select unit, event_ts, cast(clicked as integer) as clicked,"
        " cast(variant = 'treatment' as integer) as arm, items_shown as shown from exposures order by unit"
    )
    connection.execute("create temp table sorted_outcomes as select unit, value, quantity from outcomes order by unit")
    best = Spent(float("inf"), float("inf"))
    for _ in range(9):
        with measured() as spent:
            for text in FLOOR:
                connection.execute(f"select count(*), max(columns(*)) from ({text})").fetchall()
        best = Spent(min(best.cpu, spent.cpu), min(best.wall, spent.wall))
    return best, peak_mb()


def count(path: Path, given: CountRequest, times: int) -> tuple[Spent, float]:
    """The best of some counts in one process, and the process's peak memory."""
    best = Spent(float("inf"), float("inf"))
    connection = duckdb.connect(str(path))
    prepare(connection, path)
    with DuckDBWarehouse(connection) as warehouse:
        for _ in range(times):
            with measured() as spent:
                warehouse.count(given)
            best = Spent(min(best.cpu, spent.cpu), min(best.wall, spent.wall))
    return best, peak_mb()


def run(size: str, folder: Path) -> None:
    """Make a log of the size, then print every ratio; everything in a process of its own."""
    path = folder / f"{size}.duckdb"

    def apart(step: Callable[..., T], *given: object) -> T:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(step, *given).result()

    print(f"{size}: making {SIZES[size]:,} units", flush=True)
    exposures, outcomes, sessions = apart(made, path, SIZES[size])
    print(f"{size}: {exposures:,} exposures, {outcomes:,} outcomes, {sessions:,} sessions", flush=True)
    base, peak = apart(floor, path)
    print(f"  {'floor':34} {base.cpu:7.3f} s CPU {base.wall:7.3f} s wall  {peak:6,.0f} MB", flush=True)
    wanted = {
        "10 metrics, built-in slices": request(),
        "10 metrics, 4 more context slices": request(slices=DECLARED),
        "12 metrics, built-in slices": request(TWELVE),
        "all 22 metrics, built-in slices": request(tuple(shipped_metrics())),
        "10 metrics, one of four modules": replace(request(), modules=MODULES[:1]),
        "10 metrics, read a month later": replace(request(), cut=DataCut(LATER, LATER.date(), CUT)),
    }
    for name, given in wanted.items():
        best, peak = apart(count, path, given, 1 if size == "M" else 5)
        print(
            f"  {name:34} {best.cpu:7.3f} s CPU {best.wall:7.3f} s wall  {peak:6,.0f} MB"
            f"  {best.cpu / base.cpu:5.1f} x floor (CPU)",
            flush=True,
        )


def main(sizes: list[str]) -> None:
    """Run every size asked for."""
    print(f"DuckDB {duckdb.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes or ["S"]:
            run(size, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
