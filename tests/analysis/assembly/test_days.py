"""Which days count: ripe ones for money, those in the data for the run, the ones still to come for the horizon."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.assembly import Inputs, assemble
from analysis.inference.moments import ArmMoments, CellKey, Moments, pair
from analysis.readout import Comparison, Estimate, Interval, MetricReadout, Readout, SliceCell
from experiments.spec import Experiment, Metric
from tests.helpers.counting import METRICS, REVENUE, Truth, definition, inputs

LATE = REVENUE.model_copy(update={"key": "late_revenue_per_unit", "mature_days": 14})
WITHIN = REVENUE.model_copy(update={"key": "first_revenue_per_unit", "window_days": 7})


def asked(truth: Truth, metric: Metric, *, scale: int = 1, **changes: object) -> Inputs:
    """Inputs whose success metric is `metric`, with revenue's moments; a window's population is every `scale`-th unit."""
    experiment = definition(success=(metric.key,), days=changes.pop("planned", 28))  # type: ignore[arg-type]
    given = inputs(truth, experiment)
    metrics = {**METRICS, metric.key: metric}
    cells: dict[CellKey, ArmMoments] = {}
    for key, arms in given.counts.cells.items():
        cells[key] = {arm: _renamed(m, metric) for arm, m in arms.items()}
        if metric.window_days is not None:
            smaller = {arm: _thinned(_renamed(m, metric), scale) for arm, m in arms.items()}
            cells[replace(key, window_days=metric.window_days)] = smaller
    daily = {day: {arm: _renamed(m, metric) for arm, m in arms.items()} for day, arms in given.counts.daily.items()}
    counted = replace(given.counts, cells=cells, daily=daily)
    return replace(
        given, phase=given.phase.model_copy(update={"metrics": metrics}), catalogue=metrics, counts=counted, **changes
    )  # type: ignore[arg-type]


def _renamed(m: Moments, metric: Metric) -> Moments:
    (old,), (new,) = REVENUE.facts(None), metric.facts(None)
    name = {old.key: new.key, old.pre_key: new.pre_key}
    return m.overlay(
        Moments(
            m.n,
            {name[k]: v for k, v in m.sums.items() if k in name},
            {pair(name.get(a, a), name.get(b, b)): v for (a, b), v in m.products.items() if {a, b} & set(name)},
            {name[k]: v for k, v in m.nonzero.items() if k in name},
        )
    )


def _thinned(m: Moments, scale: int) -> Moments:
    return Moments(
        m.n // scale,
        {k: v // scale for k, v in m.sums.items()},
        {k: v // scale for k, v in m.products.items()},
        {k: v // scale for k, v in m.nonzero.items()},
    )


def interval(estimate: Estimate | None) -> Interval:
    assert isinstance(estimate, Interval), estimate
    return estimate


def row(readout: Readout, metric: str) -> Comparison:
    return readout.metric(metric).comparisons[0]


def cells(readout: Readout, part: str, metric: str) -> list[SliceCell]:
    (found,) = (each for each in readout.slices or () if each.key == part)
    return [cell for cell in found.cells if cell.metric == metric]


# --- money a day -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "ripe"), [(15, 1), (21, 7), (28, 14), (35, 21), (60, 28)])
def test_money_of_a_maturing_metric_is_divided_by_its_ripe_days(days: int, ripe: int) -> None:
    given = asked(Truth(days=days, lift={"new": 0.25}), LATE)
    given = replace(given, counts=replace(given.counts, days_with_data=min(days, 28)))
    c = row(assemble(given).readout, LATE.key)
    assert interval(c.money_per_day).est == pytest.approx(interval(c.absolute).est * 6000 / ripe, rel=1e-12)


def test_parts_of_a_maturing_metric_add_up_to_its_money() -> None:
    readout = assemble(asked(Truth(days=21, lift={"new": 0.25}), LATE)).readout
    money = [interval(cell.money_per_day).est for cell in cells(readout, "module_item_category", LATE.key)]
    assert len(money) == 6
    assert sum(money) == pytest.approx(interval(row(readout, LATE.key).money_per_day).est, rel=1e-9)


def test_sparse_data_are_not_spread_over_days_without_any() -> None:
    """All events on three days; the first two of them have ripened by the sixteenth."""
    given = asked(Truth(days=16, lift={"new": 0.25}), LATE)
    given = replace(given, counts=replace(given.counts, days_with_data=3))
    c = row(assemble(given).readout, LATE.key)
    assert interval(c.money_per_day).est == pytest.approx(interval(c.absolute).est * 6000 / 2, rel=1e-12)


# --- cells of a population -------------------------------------------------------------------------------


def test_a_slice_of_one_cell_is_worth_what_the_row_is() -> None:
    """An outcome window reads the units whose window is over; the money is all exposed units'."""
    given = asked(Truth(days=28, lift={"new": 0.25}), WITHIN, scale=3)
    whole = {CellKey("context", "device", ("all",), w): given.counts.cells[CellKey.overall(w)] for w in (None, 7)}
    kept = {key: arms for key, arms in given.counts.cells.items() if key.slice != "device"}
    readout = assemble(replace(given, counts=replace(given.counts, cells={**kept, **whole}))).readout
    (cell,) = cells(readout, "device", WITHIN.key)
    assert cell.units == 2000
    total = row(readout, WITHIN.key)
    assert interval(cell.money_per_day).est == pytest.approx(interval(total.money_per_day).est, rel=1e-9)
