"""What became of the exposure log's events so far, beside the segments, for whoever watches: `loader.prom`.

The loader is a job and the warehouse has one process at a time, so it cannot be asked. After each run it writes its
counts here, in Prometheus' text format, and `/metrics` appends them. They are sums over the warehouse, not over runs:
a run that was killed is counted by the next.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from analysis.warehouse.sql_files import first_row
from assignment.segments import LOADER_COUNTS

_SUMS = """
    select coalesce(sum(accepted), 0), coalesce(sum(duplicates), 0), coalesce(sum(rejected), 0)
    from loads where load_id in (select load_id from loaded_segments)
"""


def write_counts(connection: duckdb.DuckDBPyConnection, folder: Path, *, unreadable: int, now: datetime) -> None:
    """Replace the file whole. `now` is naive UTC, `unreadable` how many segments this run left. OSError as the disk."""
    fates = zip(("loaded", "duplicate", "rejected"), first_row(connection, _SUMS) or (0, 0, 0), strict=True)
    segments = (first_row(connection, "select count(*) from loaded_segments") or (0,))[0]
    lines = [
        *_family("events_total", "counter", "Events of the exposure log in the warehouse, by what became of them."),
        *(f'truelift_loader_events_total{{fate="{fate}"}} {count}' for fate, count in fates),
        *_family("segments_total", "counter", "Segments of the exposure log in the warehouse."),
        f"truelift_loader_segments_total {segments}",
        *_family("unreadable_segments", "gauge", "Segments that the last run could not read, and left."),
        f"truelift_loader_unreadable_segments {unreadable}",
        *_family("last_run_timestamp_seconds", "gauge", "When the loader last came to its end, since 1970."),
        f"truelift_loader_last_run_timestamp_seconds {now.replace(tzinfo=UTC).timestamp():.3f}",
    ]
    target = folder / LOADER_COUNTS
    beside = target.with_suffix(f".{os.getpid()}")
    try:
        beside.write_text("\n".join([*lines, ""]), encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _family(name: str, kind: str, told: str) -> tuple[str, str]:
    return f"# HELP truelift_loader_{name} {told}", f"# TYPE truelift_loader_{name} {kind}"
