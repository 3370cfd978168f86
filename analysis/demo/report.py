"""What was found beside what is true: the last word of the demo. Pure, but for reading the truth that was written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from analysis.readout import Estimate, Interval, Readout
from experiments.simulator.plan import CATEGORY_KEYS, Module
from experiments.simulator.truth import Method, TrueLift, Truth

TOTALS = {"revenue_per_unit": "revenue per user", "orders_per_unit": "orders per user"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A true lift beside its estimate, which is None where the readout withholds it."""

    what: str
    true: float
    found: Estimate | None

    @property
    def inside(self) -> bool | None:
        """Whether the interval holds the truth; None without an interval."""
        return covers(self.found, self.true) if isinstance(self.found, Interval) else None


def comparisons(readout: Readout, truth: Truth) -> list[Comparison]:
    """The totals, and each category where their effects differ."""
    rows = [
        Comparison(name, _true(truth, metric), _found(readout, metric))
        for metric, name in TOTALS.items()
        if readout.withheld or any(each.key == metric for each in readout.metrics or ())
    ]
    effects = {key: _true(truth, "revenue_per_unit", key) for key in CATEGORY_KEYS}
    if readout.withheld or min(effects.values()) >= 0:
        return rows
    cells = {
        cell.values["item_category"]: cell.raw
        for part in readout.slices or ()
        if part.key == "item_category"
        for cell in part.cells
        if cell.metric == "revenue_per_unit"
    }
    return rows + [Comparison(f"revenue, {key}", true, cells.get(key)) for key, true in effects.items()]


def covers(found: Interval, true: float) -> bool:
    """Whether the interval holds the true value; an open side holds everything."""
    return (found.lo is None or found.lo <= true) and (found.hi is None or true <= found.hi)


def read_truth(path: Path) -> Mapping[str, Truth]:
    """What `experiments.simulator.generator.write` wrote, by experiment."""
    return {key: _truth(key, given) for key, given in json.loads(path.read_text(encoding="utf-8")).items()}


def _truth(key: str, given: Mapping[str, object]) -> Truth:
    arms = cast("Mapping[str, list[Mapping[str, object]]]", given["arms"])
    return Truth(
        key=key,
        module=cast("Module", given["module"]),
        control=str(given["control"]),
        units=cast("int", given["units"]),
        lifts=tuple(_lift(arm, each) for arm, lifts in arms.items() for each in lifts),
    )


def _lift(arm: str, given: Mapping[str, object]) -> TrueLift:
    where = cast("Mapping[str, str] | None", given["slice"]) or {}
    name, value = next(iter(where.items()), (None, None))
    return TrueLift(
        arm=arm,
        metric=str(given["metric"]),
        slice=name,
        value=value,
        control=cast("float | None", given["control"]),
        treatment=cast("float | None", given["treatment"]),
        method=cast("Method", given["method"]),
    )


def _true(truth: Truth, metric: str, category: str | None = None) -> float:
    """The relative lift on the very visits that took place: what the experiment estimates."""
    cut = None if category is None else "item_category"
    return truth.of(metric, slice=cut, value=category).lift or 0.0


def _found(readout: Readout, metric: str) -> Estimate | None:
    return None if readout.withheld else readout.metric(metric).comparisons[0].relative
