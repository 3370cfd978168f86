"""Which days count: ripe ones for money, those in the data for the run, the ones still to come for the horizon."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from analysis.assembly import Inputs, assemble
from analysis.assembly.frame import frame
from analysis.calendar import seen_cut
from analysis.inference.moments import ArmMoments, CellKey, Moments, pair
from analysis.readout import Comparison, Estimate, Interval, Readout, SliceCell
from experiments.spec import ExperimentMetrics, Guardrail, Metric
from tests.helpers.counting import METRICS, OOS, RETURNS, REVENUE, START, Truth, definition, inputs

LATE = REVENUE.model_copy(update={"key": "late_revenue_per_unit", "mature_days": 14})
WITHIN = REVENUE.model_copy(update={"key": "first_revenue_per_unit", "window_days": 7})


def asked(truth: Truth, metric: Metric, *, scale: int = 1) -> Inputs:
    """Inputs whose success metric is `metric`, with revenue's moments; an outcome window has every `scale`-th unit."""
    given = inputs(truth, definition(success=(metric.key,)))
    metrics = {**METRICS, metric.key: metric}
    cells: dict[CellKey, ArmMoments] = {}
    for key, arms in given.counts.cells.items():
        cells[key] = {arm: _renamed(m, metric) for arm, m in arms.items()}
        if metric.window_days is not None:
            smaller = {arm: _thinned(_renamed(m, metric), scale) for arm, m in arms.items()}
            cells[replace(key, window_days=metric.window_days)] = smaller
    daily = {day: {arm: _renamed(m, metric) for arm, m in arms.items()} for day, arms in given.counts.daily.items()}
    return replace(
        given,
        phase=given.phase.model_copy(update={"metrics": metrics}),
        catalogue=metrics,
        counts=replace(given.counts, cells=cells, daily=daily),
    )


def _renamed(m: Moments, metric: Metric, source: Metric = REVENUE) -> Moments:
    """The moments with those of `source` once more, as `metric`'s."""
    name: dict[str, str] = {}
    for old, new in zip(source.facts(None), metric.facts(None), strict=True):
        name |= {old.key: new.key, old.pre_key: new.pre_key}
    return m.overlay(
        Moments(
            m.n,
            {name[k]: v for k, v in m.sums.items() if k in name},
            {
                pair(name.get(a, a), name.get(b, b)): v
                for (a, b), v in m.products.items()
                if {a, b} & set(name) and not {a, b} & set(name.values())
            },
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


# --- a log that ends early -------------------------------------------------------------------------------


def silent_from(day: int, given: Inputs, *, watched: bool = True) -> Inputs:
    """The same inputs with a log whose newest row is of an hour before the end of that day of the run."""
    newest: datetime = (START + timedelta(days=day, hours=-1)).replace(tzinfo=None)
    return replace(given, counts=replace(given.counts, data_as_of=newest), watched=watched)


@pytest.mark.parametrize("days", [20, 28, 40])
def test_a_watched_run_stands_where_its_log_ends(days: int) -> None:
    readout = assemble(silent_from(10, inputs(Truth(days=days)))).readout
    assert (readout.mode, readout.day.n) == ("running", 10)
    assert "as planned" not in readout.verdict.sentence
    needed = {20: 21, 28: 29, 40: 29}[days]
    assert readout.warnings[0] == (
        f"The newest row is of 11 March 2026; the {needed - 11} days from then to {needed} March 2026 have no data. "
        "The run is read as it stood then; load what came after."
    )


def test_an_import_keeps_its_days_and_says_that_its_log_ends_early() -> None:
    readout = assemble(silent_from(3, inputs(Truth(days=40)), watched=False)).readout
    assert (readout.mode, readout.day.n) == ("finished", 28)
    said = "The newest row is of 4 March 2026; the 25 days from then to 29 March 2026 have no data."
    assert readout.warnings[0] == said


@pytest.mark.parametrize(("ends", "n", "mode"), [(28, 28, "finished"), (27, 28, "finished"), (26, 26, "running")])
def test_one_quiet_day_is_a_small_shops(ends: int, n: int, mode: str) -> None:
    readout = assemble(silent_from(ends, inputs(Truth(days=28)))).readout
    assert (readout.day.n, readout.mode) == (n, mode)
    assert bool(readout.warnings) == (mode == "running")


def test_a_fixed_design_is_not_read_before_its_last_day_is_in_the_log() -> None:
    given = inputs(Truth(days=40, lift={"new": 0.25}), definition(design="fixed"))
    assert assemble(given).readout.verdict.code == "SHIP"
    stalled = assemble(silent_from(20, given)).readout
    assert (stalled.verdict.code, row(stalled, "revenue_per_unit").p_fixed) == ("TOO_EARLY", None)


# --- the one look of a fixed design ----------------------------------------------------------------------


@pytest.mark.parametrize(("days", "look"), [(28, False), (41, False), (42, True), (60, True)])
@pytest.mark.parametrize("watched", [True, False])
def test_a_fixed_design_looks_when_its_last_day_has_ripened(days: int, look: bool, watched: bool) -> None:
    asked_for = definition(design="fixed", guardrails=("return_value_rate",))
    given = inputs(Truth(days=days, lift={"new": 0.25}), asked_for, watched=watched)
    readout = assemble(given).readout
    c = row(readout, "return_value_rate")
    if look:
        assert (readout.verdict.code, readout.mode) == ("SHIP", "finished")
        assert row(readout, "revenue_per_unit").p_fixed is not None
    else:
        assert (readout.verdict.code, readout.verdict.next_reading) == ("TOO_EARLY", "2026-04-13")
        assert (readout.day.n, readout.design.critical_value is None, c.p_fixed) == (28, False, None)


def test_a_secondary_metric_that_ripens_does_not_hold_the_look_up() -> None:
    given = inputs(Truth(days=28, lift={"new": 0.25}), definition(design="fixed", secondary=("return_value_rate",)))
    assert assemble(given).readout.verdict.code == "SHIP"


def test_an_always_valid_design_ends_with_its_schedule() -> None:
    given = inputs(Truth(days=28), definition(guardrails=("return_value_rate",)))
    assert assemble(given).readout.mode == "finished"


# --- how long it still takes -----------------------------------------------------------------------------


def holding(days: int, margin: str, **changes: object) -> Inputs:
    """A run whose return guardrail is as noisy as out-of-stock items are, and not cleared yet."""
    guardrail = Guardrail(metric="return_value_rate", margin=Decimal(margin))
    metrics = ExperimentMetrics(success=("revenue_per_unit",), guardrails=(guardrail,), secondary=())
    given = inputs(
        Truth(days=days, lift={"new": 0.25}), definition().model_copy(update={"metrics": metrics}), **changes
    )
    cells = {
        key: {arm: _renamed(m, RETURNS, OOS) if OOS.facts(None)[0].key in m.sums else m for arm, m in arms.items()}
        for key, arms in given.counts.cells.items()
    }
    return replace(given, counts=replace(given.counts, cells=cells))


def test_a_maturing_guardrail_grows_by_its_ripe_days_and_until_the_last_of_them_is_ripe() -> None:
    """On day 21 of 28 seven days have ripened and twenty-one will: by full days no seven more would do."""
    readout = assemble(holding(21, "0.02")).readout
    assert (readout.verdict.code, row(readout, "return_value_rate").status) == ("HOLD", "not_clear")
    assert "14 more days would settle it." in readout.verdict.sentence
    assert "It cannot be settled in this run." in assemble(holding(21, "0.0145")).readout.verdict.sentence


@pytest.mark.parametrize(
    ("days", "mature_days", "ripe", "left"),
    [
        (21, 0, 21, 7),
        (21, 14, 7, 21),
        (28, 0, 28, 0),
        (28, 14, 14, 14),
        (35, 14, 21, 7),
        (42, 14, 28, 0),
        (60, 14, 28, 0),
    ],
)
def test_ripe_days_so_far_and_still_to_come(days: int, mature_days: int, ripe: int, left: int) -> None:
    found = frame(inputs(Truth(days=days)))
    assert (found.ripe_days(mature_days), found.ripe_days_left(mature_days)) == (ripe, left)


def test_nothing_more_ripens_in_an_import_whose_log_has_ended() -> None:
    given = silent_from(28, inputs(Truth(days=60)), watched=False)
    newest = given.counts.data_as_of
    assert frame(replace(given, cut=seen_cut(given.cut, newest, ZoneInfo("UTC"), whole=True))).ripe_days_left(14) == 0
    assert frame(replace(given, cut=seen_cut(given.cut, newest, ZoneInfo("UTC"), whole=True))).ripe_days(14) == 14
