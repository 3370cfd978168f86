"""Every slot the simulated shop showed, asked of the assignment core and logged: the rows a service would have written.

A page asks when it renders, in the order of time, under the configuration of its moment: before the start, in the run,
after the end, also where nobody tests anything.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.demo.steps import Tell
from assignment.allocation import evaluate
from assignment.bundle import Bundle, compile_bundle
from assignment.event_log import EventLog, Spool
from assignment.exposures import exposure_row

ASKED = ("session_id", "page_category", "platform", "browser", "is_bot")  # what a page knows when it asks …
SHOWN = ("request_id", "fallback", "fallback_cause", "latency_ms")  # … and when it has rendered
BATCH = 20_000
WORKER_FROM = 2 * BATCH  # slots that are worth a process of their own: it starts in a second


@dataclass(frozen=True)
class Configuration:
    """What is served from an instant on."""

    since: datetime
    document: Mapping[str, object]  # of the bundle

    @cached_property
    def bundle(self) -> Bundle:
        """The document compiled."""
        return compile_bundle(self.document)


def serve_together(
    slots: pa.Table, configurations: Sequence[Configuration], folder: Path, tell: Tell = lambda *_: None
) -> int:
    """`serve` in as many processes as there are cores, each with a log of its own in the folder."""
    workers = min(os.cpu_count() or 1, len(slots) // WORKER_FROM)
    if workers < 2:
        with Spool(folder) as log:
            return serve(slots, configurations, log, tell)
    written = [(each.since, each.document) for each in configurations]
    shares = [slots.slice(first, WORKER_FROM) for first in range(0, len(slots), WORKER_FROM)]
    served = 0
    with ProcessPoolExecutor(workers, get_context("spawn"), _end_with_the_first) as pool:
        for done in as_completed([pool.submit(_share, share, written, folder) for share in shares]):
            served += done.result()
            tell(served, len(slots))
    return served


def _end_with_the_first() -> None:
    """An interrupt is for the process that people see; this one ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _share(slots: pa.Table, written: Sequence[tuple[datetime, Mapping[str, object]]], folder: Path) -> int:
    with Spool(folder) as log:
        return serve(slots, [Configuration(*each) for each in written], log)


def serve(slots: pa.Table, configurations: Sequence[Configuration], log: EventLog, tell: Tell = lambda *_: None) -> int:
    """Log the exposure of every slot, and say how many. `slots` are `exposure` rows in the order of event_ts.

    Of them only what a page knows is read: who, where, when and what was shown; the arm comes of the evaluation.
    `configurations` are in the order of `since`, the first of them before the first slot; each has a flag for every
    module that is asked for.
    """
    served = 0
    for configuration, part in _parts(slots, configurations):
        flags = {slot.module: flag for flag, slot in configuration.bundle.slots.items()}
        for batch in part.to_batches(max_chunksize=BATCH):
            for row in _rows(configuration.bundle, flags, batch):
                log.append("exposure", row)
            served += len(batch)
            tell(served, len(slots))
    return served


def _parts(slots: pa.Table, configurations: Sequence[Configuration]) -> Iterator[tuple[Configuration, pa.Table]]:
    at = slots["event_ts"]
    edges = [pc.sum(pc.less(at, each.since)).as_py() or 0 for each in configurations]
    for configuration, (first, last) in zip(configurations, pairwise([*edges, len(slots)]), strict=True):
        yield configuration, slots.slice(first, last - first)


def _rows(bundle: Bundle, flags: Mapping[str, str], batch: pa.RecordBatch) -> Iterator[dict[str, object]]:
    """One exposure row a slot; what the page does not know is left out."""
    when: list[datetime] = batch["event_ts"].to_pylist()
    arrived: list[datetime] = batch["received_ts"].to_pylist()
    asked = list(zip(*(batch[name].to_pylist() for name in ASKED), strict=True))
    shown = list(zip(*(batch[name].to_pylist() for name in SHOWN), strict=True))
    for event_id, module, unit_id, at, came, context_values, page_values, items in zip(
        *(batch[name].to_pylist() for name in ("event_id", "module", "unit_id")), when, arrived, asked, shown,
        _items(batch["items"]), strict=True,
    ):  # fmt: skip
        context: dict[str, object] = {"user_id": unit_id}
        for name, value in zip(ASKED, context_values, strict=True):
            if value is not None:
                context[name] = value
        decision = evaluate(bundle, flags[module], context, at)
        row = exposure_row(bundle, decision, context, event_id=event_id, at=at)
        row["received_ts"] = came.isoformat()
        for name, value in zip(SHOWN, page_values, strict=True):
            if value is not None:
                row[name] = value
        row["items"] = items
        yield row


def _items(lists: pa.ListArray) -> Iterator[list[dict[str, object]]]:
    """The items of each slot as JSON has them; equal ones are one object, which saves the most of the work."""
    made: dict[tuple[str, int], dict[str, object]] = {}
    ids, places = (pc.struct_field(lists.flatten(), name).to_pylist() for name in ("item_id", "position"))
    flat = [
        made.get(item) or made.setdefault(item, {"item_id": item[0], "position": item[1]})
        for item in zip(ids, places, strict=True)
    ]
    first = 0
    for length in pc.list_value_length(lists).to_pylist():
        yield flat[first : first + length]
        first += length
