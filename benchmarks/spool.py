"""The exposure log in one run: `python -m benchmarks.spool [--events 50000]`. Ratios travel, times do not.

Append is measured beside the bare json.dumps and os.write of the same row, the loader as events a second in one
segment and in many small ones, the audit beside the bare three md5 of every exposure it recomputes.

On two shared cores of an x86-64 server, 50,000 events: append 9 µs, 1.2 times the bare write; the loader 14,000 events
a second, 0.4 s for a load however small, 500 segments of 20 events in 1.3 s; the audit 5 times the bare md5, 3 times at
a million exposures.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import duckdb

from analysis.warehouse.audit import audit_exposures
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import ShopTerms
from analysis.warehouse.loading.spool import load_spool
from assignment.event_log import Spool, encoded
from assignment.hashing import bucket

NOW = datetime(2026, 12, 10, 12)
TERMS = ShopTerms("EUR", 2, "UTC")
BUNDLE = {
    "schema": "bundle.v1",
    "config_version": 1,
    "layers": [
        {
            "key": "homepage", "salt": "layer.homepage", "unit_type": "user", "modules": ["homepage"],
            "slots": [{"flag_key": "rec.homepage", "module": "homepage", "default_strategy": "popularity"}],
        }
    ],
    "holdouts": [],
    "experiments": [
        {
            "key": "home", "state": "running", "killed": False, "order": 1, "phase": 1,
            "started_at": "2026-12-01T00:00:00Z", "flag_keys": ["rec.homepage"], "modules": ["homepage"],
            "layer": {"key": "homepage", "ranges": [[0, 10_000]]}, "holdouts": [], "unit_type": "user",
            "salt": "home.1", "hash_version": "md5-32/1",
            "variants": [
                {"key": "control", "is_control": True, "strategy": "popularity", "params": {}, "start": 0,
                 "end": 5000, "disabled": False},
                {"key": "als", "is_control": False, "strategy": "als", "params": {}, "start": 5000, "end": 10_000,
                 "disabled": False},
            ],
            "traffic": [{"at": "2026-12-01T00:00:00Z", "bp": 10_000}],
            "schedule": {"start_at": None, "end_at": None}, "targeting": None, "prerequisites": [],
            "overrides": [], "trigger": "render",
        }
    ],
}  # fmt: skip


def rows(count: int, name: str) -> Iterator[dict[str, object]]:
    """Exposures of three slots a unit, as the service logs them."""
    for number in range(count):
        unit = f"{name}{number // 3}"
        split = bucket("home.1:split", unit)
        yield {
            "event_id": f"{name}-{number}", "event_ts": "2026-12-10T11:00:00.123456Z", "experiment_key": "home",
            "phase": 1, "flag_key": "rec.homepage", "module": "homepage", "layer_key": "homepage",
            "unit_type": "user", "unit_id": unit, "variant": "control" if split < 5000 else "als",
            "served_variant": "control" if split < 5000 else "als", "assignment_reason": "split",
            "split_bucket": split, "traffic_bucket": bucket("home.1:traffic", unit),
            "layer_bucket": bucket("layer.homepage:layer", unit), "traffic_bp": 10_000, "hash_version": "md5-32/1",
            "config_version": "1", "strategy": "als", "trigger": "render",
        }  # fmt: skip


def seconds(step: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def append(folder: Path, given: list[dict[str, object]]) -> tuple[float, float]:
    """Seconds for all rows: bare, and through the spool."""
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def bare() -> None:
        for row in given:
            os.write(descriptor, json.dumps(row).encode() + b"\n")

    def spooled() -> None:
        for row in given:
            spool.append("exposure", row)

    with Spool(folder / "spool") as spool:
        taken = seconds(bare), seconds(spooled)
    os.close(descriptor)
    return taken


def many_segments(folder: Path, count: int) -> None:
    """Small segments that are ready."""
    for place in range(count):
        lines = b"".join(encoded("exposure", row) for row in rows(20, f"s{place}."))
        (folder / f"{1_796_000_000_000 + place}-00000000.ready").write_bytes(lines)


def bare_md5(connection: duckdb.DuckDBPyConnection) -> object:
    """Three digests of every exposure."""
    salts = ("home.1:split", "home.1:traffic", "layer.homepage:layer")
    digests = ", ".join(f"max(md5('{salt}-' || unit_id))" for salt in salts)
    return connection.execute(f"select {digests} from exposures").fetchall()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=50_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        bare, spooled = append(folder, list(rows(events, "u")))
        print(f"append: {spooled / events * 1e6:.1f} µs, {spooled / bare:.1f} times a bare json.dumps and os.write")
        with open_connection(folder / "warehouse.duckdb") as connection:
            taken = seconds(lambda: load_spool(connection, folder / "spool", TERMS, now=NOW))
            print(f"load: {events / taken:,.0f} events a second")
            for count in (1, 500):
                many_segments(folder / "spool", count)
                taken = seconds(lambda: load_spool(connection, folder / "spool", TERMS, now=NOW))
                print(f"load: {count} segments of 20 events in {taken:.2f} s")
            audited = min(seconds(lambda: audit_exposures(connection, [BUNDLE], "home")) for _ in range(3))
            digested = min(seconds(lambda: bare_md5(connection)) for _ in range(3))
            print(f"audit: {audited:.2f} s, {audited / digested:.1f} times the bare md5")


if __name__ == "__main__":
    main()
