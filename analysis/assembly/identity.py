"""What makes two snapshots the same: digests of everything that went in. DATA 5."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias, TypedDict

from analysis.assembly.frame import Event, Frame
from analysis.inference.moments import ArmMoments, Moments, MomentTable, pair
from analysis.readout import METHOD_VERSION, VERDICT_RULE, Provenance
from analysis.warehouse.base import Counts
from experiments.spec import canonical, digest

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
EXACT_IN_JSON = 2**53  # larger whole numbers travel as text


def moments_json(counts: Counts) -> str:
    """The exact moments as canonical JSON: what is hashed, and what a snapshot's sibling row keeps."""
    return canonical(
        {
            "cells": _table(counts.cells),
            "daily": {day.isoformat(): _arms(arms) for day, arms in counts.daily.items()},
            "units": dict(counts.units),
            "excluded": {arm: dict(reasons) for arm, reasons in counts.excluded.items()},
            "days_with_data": counts.days_with_data,
        }
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What a later plan reads of the moments kept with a snapshot: the whole of each population, and who came when."""

    overall: Mapping[int | None, ArmMoments]  # by outcome window
    arrived: Mapping[date, int]  # units of all arms to the end of each business day; none without a series
    units: int
    days_with_data: int


def read_moments(text: str) -> Kept:
    """`moments_json` read back."""
    body: _Body = json.loads(text)
    return Kept(
        {
            window: {arm: _read_arm(moments) for arm, moments in arms.items()}
            for kind, name, _, window, arms in body["cells"]
            if (kind, name) == ("context", "")
        },
        {
            date.fromisoformat(day): sum(moments["n"] for moments in arms.values())
            for day, arms in sorted(body["daily"].items())
        },
        sum(body["units"].values()),
        body["days_with_data"],
    )


def provenance(frame: Frame, events: Sequence[Event], moments: str) -> Provenance:
    """The digests of everything the readout is made of, with what helps to find it again; `moments` is their JSON."""
    inputs, phase = frame.inputs, frame.inputs.phase
    checks = {name: [dict(row) for row in rows.rows] for name, rows in inputs.check_rows.items()}
    settings: dict[str, Json] = {
        "currency": inputs.currency,
        "digits": inputs.digits,
        "time_zone": inputs.time_zone,
        "started_at": phase.started_at.isoformat(),
        "planned_units": phase.planned_units,
        "planned_units_assumed": phase.planned_units_assumed,
        "outcome_end": inputs.cut.outcome_end.isoformat(),
        "data_as_of": None if inputs.counts.data_as_of is None else inputs.counts.data_as_of.isoformat(),
        "finished_import": frame.run.finished and not inputs.watched,
        "exploratory": [*sorted(inputs.exploratory)],
        "events": [[e.kind, e.arm, e.metric, e.day.isoformat()] for e in sorted(events, key=_event_order)],
    }
    metrics = {**phase.metrics, **inputs.catalogue}
    return Provenance(
        definition_version=inputs.definition_version,
        definition_digest=phase.experiment.digest(),
        metrics_digest=digest({key: metric.digest() for key, metric in metrics.items()}),
        slices_digest=digest([part.digest() for part in phase.slices]),
        moments_digest=hashlib.sha256(moments.encode()).hexdigest(),
        checks_digest=digest(checks),
        settings_digest=digest(settings),
        loads=inputs.counts.loads,
        engine=inputs.engine,
    )


def snapshot_id(frame: Frame, made_of: Provenance) -> str:
    """16 hex digits: the same for the same inputs, whoever computes it and when."""
    parts: dict[str, Json] = {
        "experiment_key": frame.experiment.key,
        "phase": frame.inputs.phase.number,
        "as_of": frame.inputs.cut.as_of.isoformat(),
        "definition_digest": made_of.definition_digest,
        "metrics_digest": made_of.metrics_digest,
        "slices_digest": made_of.slices_digest,
        "moments_digest": made_of.moments_digest,
        "checks_digest": made_of.checks_digest,
        "settings_digest": made_of.settings_digest,
        "method_version": METHOD_VERSION,
        "verdict_rule": VERDICT_RULE,
    }
    return digest(parts)[:16]


def _event_order(event: Event) -> tuple[str, str, str, str]:
    return event.day.isoformat(), event.kind, event.arm, event.metric


def _table(cells: MomentTable) -> list[Json]:
    listed = sorted(
        cells.items(), key=lambda item: (item[0].kind, item[0].slice, item[0].values, item[0].window_days or 0)
    )
    return [[key.kind, key.slice, list(key.values), key.window_days, _arms(arms)] for key, arms in listed]


def _arms(arms: ArmMoments) -> dict[str, Json]:
    return {
        arm: {
            "n": m.n,
            "sums": _exact(m.sums),
            "products": _exact({f"{a}*{b}": value for (a, b), value in m.products.items()}),
            "nonzero": _exact(m.nonzero),
        }
        for arm, m in arms.items()
    }


def _exact(values: Mapping[str, int]) -> dict[str, Json]:
    return {key: value if abs(value) <= EXACT_IN_JSON else str(value) for key, value in values.items()}


class _Arm(TypedDict):
    n: int
    sums: dict[str, int | str]
    products: dict[str, int | str]
    nonzero: dict[str, int | str]


class _Body(TypedDict):
    cells: list[tuple[str, str, list[str], int | None, dict[str, _Arm]]]
    daily: dict[str, dict[str, _Arm]]
    units: dict[str, int]
    days_with_data: int


def _read_arm(written: _Arm) -> Moments:
    products = {pair(*name.split("*", 1)): int(value) for name, value in written["products"].items()}
    return Moments(written["n"], _read(written["sums"]), products, _read(written["nonzero"]))


def _read(values: Mapping[str, int | str]) -> dict[str, int]:
    return {name: int(value) for name, value in values.items()}
