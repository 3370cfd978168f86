"""What is drawn is what the readout says: same rows, same numbers, nothing withheld, no point in noise."""

from collections.abc import Mapping, Sequence

import pytest
import vl_convert

from analysis import charts, words
from analysis.readout import Comparison, Interval, NotDetermined, Readout, Reason
from experiments.errors import ReadoutError
from tests.helpers.readouts import CATEGORIES, MODULES, example

ARM = "als_v2"
HEAT = "module_item_category"
Spec = Mapping[str, object]


def rows(spec: Spec) -> list[dict[str, object]]:
    """Every data row of a chart, each once."""
    datasets = spec["datasets"]
    assert isinstance(datasets, dict)
    return [row for dataset in datasets.values() for row in dataset if len(row) > 2]


def by_name(spec: Spec) -> dict[str, dict[str, object]]:
    return {str(row["name"]): row for row in rows(spec)}


def number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def with_comparison(reading: Readout, metric: str, **changes: object) -> Readout:
    """The reading with one metric's comparison changed."""
    metrics = tuple(
        each.model_copy(update={"comparisons": (each.comparisons[0].model_copy(update=changes),)})
        if each.key == metric
        else each
        for each in reading.metrics or ()
    )
    return reading.model_copy(update={"metrics": metrics})


def primary(reading: Readout) -> Comparison:
    assert reading.metrics is not None
    return reading.metrics[0].comparisons[0]


def test_forest_has_a_row_for_every_metric_with_the_readouts_own_bounds() -> None:
    reading = example("HOLD")
    drawn = by_name(charts.forest(reading, ARM).to_dict())
    assert set(drawn) == {metric.label for metric in reading.metrics or ()}
    relative = primary(reading).relative
    assert isinstance(relative, Interval)
    row = drawn["Revenue per user"]
    assert (row["est"], row["lo"], row["hi"]) == pytest.approx(
        (100 * relative.est, 100 * (relative.lo or 0), 100 * (relative.hi or 0))
    )
    assert row["reading"] == "Better"
    assert row["figures"] == row["range"]  # in figures beside the bar


@pytest.mark.parametrize(("direction", "limit"), [("decrease", 5.0), ("increase", -5.0)])
def test_limit_stands_on_the_side_that_hurts(direction: str, limit: float) -> None:
    reading = example("SHIP")
    metrics = tuple(
        metric.model_copy(update={"direction": direction}) if metric.key == "oos_shown_rate" else metric
        for metric in reading.metrics or ()
    )
    drawn = by_name(charts.forest(reading.model_copy(update={"metrics": metrics}), ARM).to_dict())
    assert drawn["Share of shown items that are out of stock"]["limit"] == limit
    assert drawn["Revenue per user"].get("limit") is None


def test_guardrail_bar_ends_at_its_bound_and_is_open_on_the_other_side() -> None:
    reading = example("SHIP")
    row = by_name(charts.forest(reading, ARM).to_dict())["Share of shown items that are out of stock"]
    bound = reading.metric("oos_shown_rate").comparisons[0].guardrail
    assert isinstance(bound, Interval)
    assert row["hi"] == pytest.approx(100 * (bound.hi or 0))
    assert row["lo"] == row["est"]
    assert number(row["thin_lo"]) < number(row["lo"])  # runs on to the end of the axis
    assert row["thin_hi"] == row["hi"]


def test_unmeasured_metric_keeps_its_row_without_bar_and_limit() -> None:
    reading = example("STOP")
    row = by_name(charts.forest(reading, ARM).to_dict())["Share of order lines sent back"]
    assert row["range"] == "not measured yet"
    assert row.get("lo") is None
    assert row.get("limit") is None


def test_axis_holds_what_decides_and_cuts_the_rest_with_an_arrow() -> None:
    wide = Interval(est=0.0, lo=-3.0, hi=3.0)
    row = by_name(charts.forest(with_comparison(example("SHIP"), "aov", relative=wide), ARM).to_dict())[
        "Average order value"
    ]
    assert (row["lo"], row["hi"]) == (-20, 20)
    assert row["beyond_left"] is True
    assert row["beyond_right"] is True
    assert row["range"] == "−300% to +300%"  # the words keep the whole range


def test_axis_is_the_same_for_a_reading_a_day_later() -> None:
    today, later = example("SHIP"), example("SHIP")
    relative = primary(later).relative
    assert isinstance(relative, Interval)
    moved = relative.model_copy(update={"hi": (relative.hi or 0) * 1.1})
    domains = [
        _domains(charts.forest(reading, ARM).to_dict())
        for reading in (today, with_comparison(later, "revenue_per_unit", relative=moved))
    ]
    assert domains[0] == domains[1] == {(-20.0, 20.0)}


def test_band_ends_in_the_row_of_the_table() -> None:
    reading = example("CANT_TELL")
    relative = primary(reading).relative
    assert isinstance(relative, Interval)
    spec = charts.band(reading, "revenue_per_unit", ARM).to_dict()
    days = {str(row["day"]): row for row in rows(spec)}
    assert len(days) == 21
    last = days[max(days)]
    assert (last["est"], last["lo"], last["hi"]) == pytest.approx(
        (100 * relative.est, 100 * (relative.lo or 0), 100 * (relative.hi or 0))
    )
    text = words.figures(relative.est, relative.lo, relative.hi, unit="lift")
    assert last["range"] == text.between
    assert str(spec["description"]).endswith(f"21 December 2026: {text.between}.")


def test_band_leaves_out_days_without_a_range() -> None:
    reading = example("SHIP")
    assert reading.series is not None
    points = reading.series["revenue_per_unit"][ARM]
    gap = ((points[0][0], None, None, None), *points[1:])
    drawn = charts.band(
        reading.model_copy(update={"series": {"revenue_per_unit": {ARM: gap}}}), "revenue_per_unit", ARM
    )
    assert points[0][0] not in {row["day"] for row in rows(drawn.to_dict())}


def test_band_time_axis_runs_to_the_planned_end() -> None:
    spec = str(charts.band(example("SHIP"), "revenue_per_unit", ARM).to_dict())
    assert "{'date': 1, 'month': 12, 'year': 2026}" in spec
    assert "{'date': 28, 'month': 12, 'year': 2026}" in spec


def test_band_without_a_series_names_what_there_is() -> None:
    with pytest.raises(ReadoutError, match=r"ctr: no day of als_v2 .* metrics with a series: revenue_per_unit"):
        charts.band(example("SHIP"), "ctr", ARM)


def test_heat_map_has_every_cell_in_its_own_words() -> None:
    reading = example("STOP")
    assert reading.slices is not None
    spec = charts.heat_map(reading, HEAT, "revenue_per_unit", ARM).to_dict()
    drawn = {(str(row["x"]), str(row["y"])): row for row in rows(spec)}
    assert len(drawn) == len(MODULES) * len(CATEGORIES)
    for cell in reading.slices[0].cells:
        row = drawn[_name(cell.values["module"]), _name(cell.values["item_category"])]
        money = cell.money_per_day
        assert isinstance(money, Interval)
        text = words.figures(money.est, money.lo, money.hi, unit="money")
        if cell.flag == "noise":
            assert str(row["text"]).startswith("~ ±€")
            assert text.est.lstrip("+−") not in str(row["text"]) or text.est == text.hi
            assert row["range"] == text.span
            assert row["fill"] == "#EEEEEE"
        else:
            assert str(row["text"])[2:].replace("\n", " ") == text.span


def test_noise_says_how_far_from_zero_it_reaches_and_never_its_middle() -> None:
    reading = example("SHIP")
    assert reading.slices is not None
    noisy = (
        reading.slices[0]
        .cells[0]
        .model_copy(update={"flag": "noise", "money_per_day": Interval(est=-100, lo=-1000, hi=800)})
    )
    grid = reading.slices[0].model_copy(update={"cells": (noisy, *reading.slices[0].cells[1:])})
    changed = reading.model_copy(update={"slices": (grid,)})
    spec = charts.heat_map(changed, HEAT, "revenue_per_unit", ARM).to_dict()
    row = next(row for row in rows(spec) if row["where"] == "Bath, Homepage")
    assert (row["text"], row["range"]) == ("~ ±€1,000", "−€1,000 to +€800")


def test_undecided_cell_keeps_the_colour_of_zero() -> None:
    spec = charts.heat_map(example("SHIP"), HEAT, "revenue_per_unit", ARM).to_dict()
    fills = {(str(row["reading"]), str(row["fill"])) for row in rows(spec)}
    assert {fill for reading, fill in fills if reading == "Not clear yet"} == {"#F7F7F7"}
    assert all(fill != "#F7F7F7" for reading, fill in fills if reading in ("Better", "Worse"))


def test_blue_earns_and_orange_loses() -> None:
    spec = charts.heat_map(example("NO_MATERIAL_EFFECT"), HEAT, "revenue_per_unit", ARM).to_dict()
    for row in rows(spec):
        red, blue = int(str(row["fill"])[1:3], 16), int(str(row["fill"])[5:7], 16)
        if row["reading"] in ("Better", "Worse"):
            assert (blue > red) == (row["reading"] == "Better")


def test_metric_that_is_not_money_is_drawn_as_lift() -> None:
    reading = example("SHIP")
    assert reading.slices is not None
    cells = tuple(cell.model_copy(update={"money_per_day": None}) for cell in reading.slices[0].cells)
    changed = reading.model_copy(update={"slices": (reading.slices[0].model_copy(update={"cells": cells}),)})
    spec = charts.heat_map(changed, HEAT, "revenue_per_unit", ARM).to_dict()
    assert all("%" in str(row["text"]) and "€" not in str(row["text"]) for row in rows(spec))


def test_cell_that_could_not_be_measured_says_so() -> None:
    reading = example("SHIP")
    assert reading.slices is not None
    missing = NotDetermined(not_determined=Reason(code="zero_control", words="no orders in control"))
    cell = reading.slices[0].cells[0].model_copy(update={"money_per_day": missing, "raw": missing, "flag": "more_data"})
    grid = reading.slices[0].model_copy(update={"cells": (cell, *reading.slices[0].cells[1:])})
    spec = charts.heat_map(reading.model_copy(update={"slices": (grid,)}), HEAT, "revenue_per_unit", ARM).to_dict()
    assert next(row for row in rows(spec) if row["where"] == "Bath, Homepage")["text"] == "no\nreading"


def test_rows_of_a_slice_have_no_point_in_noise() -> None:
    spec = charts.parts(example("SHIP"), "device", "revenue_per_unit", ARM).to_dict()
    assert len(rows(spec)) == 6
    for row in rows(spec):
        assert (row.get("est") is None) == (row["reading"] == "Noise")
        assert row["figures"] == row["range"]  # beside the bar, from where it begins to where it ends
        assert number(row["lo"]) < number(row["hi"])


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda r: charts.heat_map(r, "device", "revenue_per_unit", ARM), "a heat map needs two dimensions, not 1"),
        (lambda r: charts.parts(r, HEAT, "revenue_per_unit", ARM), "rows need one dimension, not 2"),
        (
            lambda r: charts.heat_map(r, "colour", "revenue_per_unit", ARM),
            f"no slice colour; there are: {HEAT}, device",
        ),
        (lambda r: charts.heat_map(r, HEAT, "aov", ARM), "it covers revenue_per_unit"),
        (lambda r: charts.forest(r, "als_v3"), "no treatment arm als_v3; there are: als_v2"),
        (lambda r: charts.forest(r, "control"), "no treatment arm control; there are: als_v2"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw: object, told: str) -> None:
    assert callable(draw)
    with pytest.raises(ReadoutError) as raised:
        draw(example("SHIP"))
    assert told in str(raised.value)


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: charts.forest(r, ARM),
        lambda r: charts.band(r, "revenue_per_unit", ARM),
        lambda r: charts.heat_map(r, HEAT, "revenue_per_unit", ARM),
        lambda r: charts.parts(r, "device", "revenue_per_unit", ARM),
    ],
)
def test_nothing_is_drawn_of_a_withheld_reading(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(ReadoutError, match="withheld"):
        draw(example("WITHHELD"))


@pytest.mark.parametrize("width", [340, 700])
def test_every_chart_renders_and_cuts_no_label(width: int) -> None:
    reading = example("HOLD")
    for chart in (
        charts.forest(reading, ARM),
        charts.band(reading, "revenue_per_unit", ARM),
        charts.heat_map(reading, HEAT, "revenue_per_unit", ARM),
        charts.parts(reading, "device", "revenue_per_unit", ARM),
    ):
        spec = chart.to_dict() | {"width": width}
        picture = vl_convert.vegalite_to_svg(spec)
        assert "…" not in picture  # Vega's mark of a cut text
        assert "NaN" not in picture
        assert "undefined" not in picture


def _domains(part: object) -> set[tuple[float, float]]:
    """The numeric x domains anywhere in a specification."""
    found: set[tuple[float, float]] = set()
    if isinstance(part, Mapping):
        scale = part.get("x", {}).get("scale", {}) if isinstance(part.get("x"), Mapping) else {}
        domain = scale.get("domain") if isinstance(scale, Mapping) else None
        if isinstance(domain, Sequence) and all(isinstance(end, int | float) for end in domain):
            found.add((float(domain[0]), float(domain[1])))
        for value in part.values():
            found |= _domains(value)
    elif isinstance(part, list):
        for value in part:
            found |= _domains(value)
    return found


def _name(key: str) -> str:
    return key.replace("_", " ").capitalize()
