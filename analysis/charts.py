"""Charts of a readout: pure functions from a `Readout` to an Altair chart. Pages and exports draw the same ones.

Every chart's `description` says in words what it shows. All refuse a withheld readout, an unknown arm,
slice or metric with a ReadoutError that names what there is.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import altair as alt

from analysis import words
from analysis.drawing import (
    BETTER,
    INK,
    LOOKS,
    MUTED,
    NOISE,
    NOISE_INK,
    axis_labels,
    axis_numbers,
    calm,
    shade,
    step_up,
    vega_day,
)
from analysis.readout import Comparison, Interval, MetricReadout, Readout, SliceCell, SliceReadout
from analysis.words import pages as say
from experiments.errors import ReadoutError

Datum = dict[str, str | float | bool | None]
BAND, CELL, LINE = 320, 46, 15  # heights in pixels
LETTERS = 24  # of a row's label on one line
ASIDE = 125  # pixels right of the bars for their ranges in figures
ROOM = f"width > {3 * ASIDE}"  # a phone has none for them
MISSING = "not measured yet"
TOTAL = "Total"
DECIDED = ("better", "worse", "cleared", "breached", "gain", "loss", "no_material_effect")


# --- forest ----------------------------------------------------------------------------------------------


def forest(readout: Readout, arm: str) -> alt.LayerChart:
    """The arm's relative lift in every metric: thick bar = range, glyph = estimate, dashed = 0, black tick = limit.

    A guardrail's bar ends at its one-sided bound and runs on as a thin line to its open side. A metric
    that could not be measured keeps its row and says so.
    """
    _check(readout, arm)
    rows: list[Row] = []
    for role, heading in say.GROUPS.items():
        metrics = [metric for metric in readout.metrics or () if metric.role == role]
        drawn = [_metric_row(metric, comparison) for metric in metrics for comparison in _of(metric, arm)]
        rows += [Row(heading, None, "heading"), *drawn] if drawn else []
    return _ranges(
        rows,
        title=["Change against control", f"({level(readout)} ranges)"],
        unit="lift",
        currency=readout.currency.code,
        description=f"Change of {arm} against control, {level(readout)} ranges. ",
    )


def _metric_row(metric: MetricReadout, comparison: Comparison) -> "Row":
    limited = metric.role == "guardrail" and metric.margin is not None
    shown = comparison.guardrail if limited else comparison.relative
    side = 1 if metric.direction == "decrease" else -1
    limit = side * float(metric.margin or 0) if limited else None
    return Row(metric.name, shown if isinstance(shown, Interval) else None, comparison.status, limit)


def _of(metric: MetricReadout, arm: str) -> list[Comparison]:
    return [comparison for comparison in metric.comparisons if comparison.arm == arm]


def level(readout: Readout) -> str:
    """The share of runs whose ranges hold the truth, as printed: `95%`."""
    return words.amount(1 - float(readout.design.alpha), unit="share")


# --- cumulative band -------------------------------------------------------------------------------------


def band(readout: Readout, metric: str, arm: str) -> alt.LayerChart:
    """The arm's lift added up to the end of each day with its range; the last day carries the forest's bar and glyph.

    Time runs to the planned end, lift to a fixed step around the last range: the first, wide days are cut
    rather than flattening the rest.
    """
    _check(readout, arm)
    series = (readout.series or {}).get(metric, {}).get(arm, ())
    values: list[dict[str, str | float]] = []
    for day, est, lo, hi in series:
        if est is not None and lo is not None and hi is not None:
            text = words.figures(est, lo, hi, unit="lift")
            values.append({"day": day, "est": 100 * est, "lo": 100 * lo, "hi": 100 * hi, "range": text.between})
    if not values:
        kept = ", ".join(sorted(readout.series or {})) or "none"
        raise ReadoutError(f"{metric}: no day of {arm} has a cumulative range yet; metrics with a series: {kept}")
    last = values[-1]
    reach = step_up(max(1.5 * max(abs(float(last["lo"])), abs(float(last["hi"]))), 0.01))
    begin = date.fromisoformat(readout.day.started_on)
    end = max(date.fromisoformat(str(last["day"])), date.fromisoformat(readout.day.ends_on or readout.day.started_on))
    label = readout.metric(metric).name
    status = next((comparison.status for comparison in _of(readout.metric(metric), arm)), "not_clear")
    look = LOOKS[status]
    x = alt.X(
        "day:T",
        scale=alt.Scale(domain=[vega_day(begin), vega_day(end)], nice=False),
        axis=alt.Axis(title=None, format="%-d %b", tickCount=5, labelOverlap=True, labelFlush=True),
    )
    y_scale = alt.Scale(domain=[-reach, reach], nice=False)
    y_axis = alt.Axis(title=None, tickCount=5, labelExpr=axis_numbers("lift", readout.currency.code))
    low, middle = (alt.Y(f"{name}:Q", scale=y_scale, axis=y_axis) for name in ("lo", "est"))
    tip = [alt.Tooltip("day:T", title="To the end of", format="%-d %B %Y"), alt.Tooltip("range:N", title="Change")]
    days, today = (alt.Chart(alt.InlineData(values=rows)) for rows in (values, values[-1:]))
    layers = [
        days.mark_area(color=BETTER, opacity=0.18, clip=True).encode(x=x, y=low, y2="hi:Q"),
        _zero().encode(y=alt.datum(0)),
        days.mark_line(color=BETTER, strokeWidth=2, clip=True).encode(x=x, y=middle),
        days.mark_rule(strokeWidth=12, opacity=0, clip=True).encode(x=x, y=low, y2="hi:Q", tooltip=tip),
        today.mark_rule(strokeWidth=6, color=look.colour).encode(x=x, y=low, y2="hi:Q", tooltip=tip),
        today.mark_point(
            filled=True, size=150, opacity=1, shape=look.shape, color=look.colour, stroke="white", strokeWidth=1
        ).encode(x=x, y=middle, tooltip=tip),
    ]
    told = (
        f"Change in {words.inside(label)} of {arm} against control, added up to the end of each day, "
        f"{level(readout)} ranges. {words.day(date.fromisoformat(str(last['day'])))}: {last['range']}."
    )
    return calm(layers, height=BAND, description=told)


# --- slices ----------------------------------------------------------------------------------------------


def parts(readout: Readout, slice_key: str, metric: str, arm: str) -> alt.LayerChart:
    """A one-dimensional slice as rows, each with its simultaneous range: money a day, else relative lift."""
    grid = _grid(readout, slice_key, metric, arm)
    if len(grid.dimensions) != 1:
        raise ReadoutError(f"{slice_key}: rows need one dimension, not {len(grid.dimensions)}; draw its heat map")
    return _ranges(
        [Row(words.pretty(cell.values[grid.dimensions[0]]), grid.shown(cell), cell.flag) for cell in grid.cells],
        title=[grid.axis, f"({level(readout)} ranges, all rows at once)"],
        unit=grid.unit,
        currency=readout.currency.code,
        description=f"{grid.label} of {arm} by {words.pretty(grid.dimensions[0]).lower()}. ",
    )


def heat_map(readout: Readout, slice_key: str, metric: str, arm: str, *, material_only: bool = False) -> alt.LayerChart:
    """Two dimensions of a slice: colour = money a day (else lift), text = flag and range; fewer values go across.

    A noise cell is grey and prints its width only, `~ ±€900`. A cell that is not clear yet keeps the colour of
    zero. The margins are the one-dimensional slices' own totals, never sums of cells. `material_only` leaves
    the cells that are better or worse.
    """
    grid = _grid(readout, slice_key, metric, arm)
    if len(grid.dimensions) != 2:
        raise ReadoutError(f"{slice_key}: a heat map needs two dimensions, not {len(grid.dimensions)}; draw its rows")
    cells = [cell for cell in grid.cells if not material_only or cell.flag in ("gain", "loss")]
    down, across = sorted(grid.dimensions, key=lambda name: -len({cell.values[name] for cell in grid.cells}))
    squares = [
        _square(grid, cell, words.pretty(cell.values[across]), words.pretty(cell.values[down])) for cell in cells
    ]
    totals = [] if material_only else _totals(readout, grid, across, down, arm)
    x_names, y_names = (_names(cells, name, with_total=bool(totals)) for name in (across, down))
    x_axis, y_axis = _names_axis(x_names, "top", 11, grid.axis), _names_axis(y_names, "left", 14, None)
    x = alt.X("x:N", scale=alt.Scale(domain=x_names, paddingInner=0.02), axis=x_axis)
    y = alt.Y("y:N", scale=alt.Scale(domain=y_names, paddingInner=0.04), axis=y_axis)
    tip = [
        alt.Tooltip("where:N", title="Where"),
        alt.Tooltip("range:N", title=grid.axis),
        alt.Tooltip("reading:N", title="Reading"),
    ]
    chart = alt.Chart(alt.InlineData(values=[*squares, *totals]))
    fits = alt.ExprRef(expr=f"clamp(width / {max(len(x_names), 1)} / 7, 8, 13)")  # the text shrinks with its cell
    lift = r"indexof(datum.text, '\n') < 0 ? 0 : -7"  # two lines stand around the middle
    layers = [
        chart.mark_rect(cornerRadius=2).encode(x=x, y=y, color=alt.Color("fill:N", scale=None), tooltip=tip),
        chart.mark_text(lineBreak="\n", fontSize=fits, lineHeight=15, baseline="middle", dy=alt.ExprRef(lift)).encode(
            x=x, y=y, text="text:N", color=alt.Color("ink:N", scale=None), tooltip=tip
        ),
    ]
    told = "; ".join(f"{square['where']}: {square['range']}, {square['reading']}" for square in squares)
    return calm(
        layers,
        height=CELL * max(len(y_names), 1),
        description=f"{grid.label} of {arm}, {grid.axis[:1].lower()}{grid.axis[1:]}. {told}.",
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """One metric's cells of one slice for one arm, and the unit they are drawn in."""

    label: str
    kind: str
    dimensions: tuple[str, ...]
    cells: tuple[SliceCell, ...]
    metric: str
    unit: words.ValueUnit
    currency: str
    reach: float = 1.0

    @property
    def axis(self) -> str:
        """What the numbers are, for a title."""
        return f"{words.symbol(self.currency).strip()} a day" if self.unit == "money" else "Change against control"

    def shown(self, cell: SliceCell) -> Interval | None:
        """The range that is drawn: money a day, else the shrunk lift, else the raw one."""
        lift = cell.raw if cell.shrunk is None else cell.shrunk
        value = cell.money_per_day if self.unit == "money" else lift
        return value if isinstance(value, Interval) else None

    def figures(self, shown: Interval) -> words.Figures:
        """The range as printed."""
        return words.figures(shown.est, shown.lo, shown.hi, unit=self.unit, currency=self.currency)

    def noise(self, shown: Interval) -> str:
        """How far from zero a range that is noise reaches, as printed."""
        return say.noise(shown.est, shown.lo, shown.hi, unit=self.unit, currency=self.currency)


def _grid(readout: Readout, slice_key: str, metric: str, arm: str) -> Grid:
    _check(readout, arm)
    found = [part for part in readout.slices or () if part.key == slice_key]
    if not found:
        raise ReadoutError(f"no slice {slice_key}; there are: {', '.join(p.key for p in readout.slices or ())}")
    grid = _cells(readout, found[0], metric, arm)
    if not grid.cells:
        covered = ", ".join(sorted({cell.metric for cell in found[0].cells})) or "no metric"
        raise ReadoutError(f"{slice_key}: has no cells of {metric} for {arm}; it covers {covered}")
    return grid


def _cells(readout: Readout, part: SliceReadout, metric: str, arm: str) -> Grid:
    cells = tuple(cell for cell in part.cells if cell.metric == metric and cell.arm == arm)
    unit: words.ValueUnit = "money" if any(cell.money_per_day is not None for cell in cells) else "lift"
    label = readout.metric(metric).name
    grid = Grid(label, part.kind, part.dimensions, cells, metric, unit, readout.currency.code)
    sizes = [abs(shown.est) for cell in cells if cell.flag != "noise" and (shown := grid.shown(cell)) is not None]
    reach = step_up(max(sizes, default=0) or 1.0)
    return Grid(label, part.kind, part.dimensions, cells, metric, unit, readout.currency.code, reach)


def _square(grid: Grid, cell: SliceCell, x: str, y: str) -> dict[str, str]:
    look, shown = LOOKS[cell.flag], grid.shown(cell)
    base = {"x": x, "y": y, "where": f"{y}, {x}", "reading": look.word}
    if shown is None:
        return base | {"text": "no\nreading", "range": MISSING, "fill": "#FFFFFF", "ink": MUTED}
    text = grid.figures(shown)
    if cell.flag == "noise":
        return base | {"text": grid.noise(shown), "range": text.span, "fill": NOISE, "ink": NOISE_INK}
    coloured = cell.flag in DECIDED or cell.shrunk is not None
    fill, ink = shade(shown.est / grid.reach if coloured else 0.0)
    return base | {"text": f"{look.glyph} {_lines(text)}", "range": text.span, "fill": fill, "ink": ink}


def _lines(text: words.Figures) -> str:
    return f"{text.lo}\nto {text.hi}" if text.lo is not None and text.hi is not None else text.between


def _totals(readout: Readout, grid: Grid, across: str, down: str, arm: str) -> list[dict[str, str]]:
    """The margins, where the readout has them: the slices by one dimension, and the metric's own row."""
    found: list[tuple[str, str, Interval]] = []
    for part in readout.slices or ():
        if part.kind == grid.kind and part.dimensions in ((across,), (down,)):
            margin = _cells(readout, part, grid.metric, arm)
            for cell in margin.cells:
                shown, name = grid.shown(cell), words.pretty(cell.values[part.dimensions[0]])
                x, y = (name, TOTAL) if part.dimensions == (across,) else (TOTAL, name)
                found += [(x, y, shown)] if shown is not None else []
    for comparison in _of(readout.metric(grid.metric), arm):
        overall = comparison.money_per_day if grid.unit == "money" else comparison.relative
        found += [(TOTAL, TOTAL, overall)] if found and isinstance(overall, Interval) else []
    return [
        {"x": x, "y": y, "where": f"{y}, {x}", "reading": TOTAL, "text": _lines(grid.figures(shown)),
         "range": grid.figures(shown).span, "fill": "#FFFFFF", "ink": INK}
        for x, y, shown in found
    ]  # fmt: skip


def _names(cells: Iterable[SliceCell], dimension: str, *, with_total: bool) -> list[str]:
    """Values in the slice's order, `(none)` and its like last, then the total."""
    values = sorted(dict.fromkeys(cell.values[dimension] for cell in cells), key=lambda value: value.startswith("("))
    return [words.pretty(value) for value in values] + ([TOTAL] if with_total else [])


def _names_axis(names: Sequence[str], orient: Literal["top", "left"], letters: int, title: str | None) -> alt.Axis:
    labels = axis_labels({name: [name] for name in names}, letters)
    lines = max((len(textwrap.wrap(name, letters)) for name in names), default=1)
    above = 6 + 15 * (lines - 1) if orient == "top" else 6  # lines grow downwards from the first
    return alt.Axis(
        title=title, orient=orient, labelAngle=0, labelLimit=0, labelExpr=labels, labelPadding=above, grid=False
    )


# --- ranges: what forest and parts share -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a plot of ranges; `shown` is None for a heading and for what could not be measured."""

    label: str
    shown: Interval | None
    look: str  # a key of LOOKS, or 'heading'
    limit: float | None = None


def _ranges(
    rows: Sequence[Row], *, title: list[str], unit: words.ValueUnit, currency: str, description: str
) -> alt.LayerChart:
    scale = 100.0 if unit == "lift" else 1.0
    reach = _reach(rows, scale)
    middles, height = _stack(rows)
    values: list[Datum] = []
    told: list[str] = []
    for row, at_y in zip(rows, middles, strict=True):
        if row.look == "heading":
            continue
        value: Datum = {"y": at_y, "name": row.label, "reading": LOOKS[row.look].word}
        if row.limit is not None and row.shown is not None:
            allowed = words.figures(row.limit, None, None, unit="lift").est
            value |= {"limit": row.limit * scale, "above": at_y - 14, "below": at_y + 14, "allowed": allowed}
        if row.shown is None:
            value |= {"range": MISSING, "figures": ""}  # its label says so
            told.append(f"{row.label}: {MISSING}")
        else:
            text = words.figures(row.shown.est, row.shown.lo, row.shown.hi, unit=unit, currency=currency)
            value |= {"range": text.span, "figures": text.span} | _ends(row.shown, scale, reach)
            if row.look == "noise":  # never a point in noise
                value["est"] = None
            told.append(f"{row.label}: {text.between}, {LOOKS[row.look].word.lower()}")
        values.append(value)
    bars = alt.ExprRef(f"{ROOM} ? width - {ASIDE} : width")
    x_scale = alt.Scale(domain=[-reach, reach], nice=False, range=[0, bars])
    x_axis = alt.Axis(title=title, tickCount=5, labelExpr=axis_numbers(unit, currency))
    at = {name: alt.X(f"{name}:Q", scale=x_scale, axis=x_axis) for name in ("thin_lo", "lo", "est", "limit")}
    y_labels = axis_labels({str(at_y): _label(row) for row, at_y in zip(rows, middles, strict=True)}, LETTERS)
    bold = {"condition": {"test": f"indexof({_headings(rows, middles)}, datum.value) >= 0", "value": 600}, "value": 400}
    y_axis = alt.Axis(
        values=middles,
        title=None,
        labelExpr=y_labels,
        labelLimit=0,
        labelOverlap=False,
        grid=False,
        labelFontWeight=bold,
    )
    y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=y_axis)
    looks = {LOOKS[row.look].word: LOOKS[row.look] for row in rows if row.shown is not None}
    colours = alt.Scale(domain=list(looks), range=[look.colour for look in looks.values()])
    colour = alt.Color("reading:N", scale=colours, legend=None)  # the row's label says it
    shapes = alt.Scale(domain=list(looks), range=[look.shape for look in looks.values()])
    shape = alt.Shape("reading:N", scale=shapes, legend=None)
    tip = [
        alt.Tooltip("name:N", title="What"),
        alt.Tooltip("range:N", title="Range"),
        alt.Tooltip("reading:N", title="Reading"),
        *([alt.Tooltip("allowed:N", title="Limit")] if any(row.limit is not None for row in rows) else []),
    ]
    every = alt.Chart(alt.InlineData(values=values))
    measured = every.transform_filter("isValid(datum.lo)")
    layers = [
        _zero().encode(x=alt.datum(0)),
        measured.mark_rule(strokeWidth=2, opacity=0.6).encode(x=at["thin_lo"], x2="thin_hi:Q", y=y, color=colour),
        measured.mark_rule(strokeWidth=9).encode(x=at["lo"], x2="hi:Q", y=y, color=colour, tooltip=tip),
        measured.transform_filter("isValid(datum.est)")
        .mark_point(filled=True, size=150, opacity=1, stroke="white", strokeWidth=1)
        .encode(x=at["est"], y=y, color=colour, shape=shape, tooltip=tip),
        every.transform_filter("isValid(datum.limit)")
        .mark_rule(strokeWidth=3, color="black")
        .encode(x=at["limit"], y=alt.Y("above:Q"), y2="below:Q", tooltip=tip),
        every.mark_text(align="right", fontSize=12, color=INK, opacity=alt.ExprRef(f"{ROOM} ? 1 : 0")).encode(
            x=alt.value("width"), y=y, text="figures:N"
        ),
    ]
    sides: tuple[tuple[Literal["left", "right"], float, str], ...] = (("left", -reach, "◀"), ("right", reach, "▶"))
    for side, edge, arrow in sides:
        mark = measured.transform_filter(f"datum.beyond_{side}").mark_text(align=side, text=arrow, color=INK)
        layers.append(mark.encode(x=alt.datum(edge, scale=x_scale), y=y))
    return calm(layers, height=height, description=description + "; ".join(told) + ".")


def _label(row: Row) -> list[str]:
    """The name, and beneath it the reading with its glyph: no legend has to be looked up."""
    if row.look == "heading":
        return [row.label]
    look = LOOKS[row.look]
    return [row.label, f"– {MISSING}" if row.shown is None else f"{look.glyph} {look.word}"]


def _ends(shown: Interval, scale: float, reach: float) -> Datum:
    """Where thick bar and thin line begin and end, cut at the axis; an open side is thin up to the axis's end."""
    est = shown.est * scale
    lo, hi = (est if bound is None else bound * scale for bound in (shown.lo, shown.hi))

    def cut(value: float) -> float:
        return min(max(value, -reach), reach)

    return {
        "est": est if abs(est) <= reach else None,
        "lo": cut(lo),
        "hi": cut(hi),
        "thin_lo": -reach if shown.lo is None else cut(lo),
        "thin_hi": reach if shown.hi is None else cut(hi),
        "beyond_left": lo < -reach,
        "beyond_right": hi > reach,
    }


def _reach(rows: Sequence[Row], scale: float) -> float:
    """Half the axis: a fixed step that holds every decided range and every limit; what is wider gets an arrow."""
    ends = [1.15 * abs(row.limit) for row in rows if row.limit is not None]
    measured = [row for row in rows if row.shown is not None]
    for row in [row for row in measured if row.look in DECIDED] or measured:
        if row.shown is not None:
            ends += [abs(value) for value in (row.shown.est, row.shown.lo, row.shown.hi) if value is not None]
    return step_up(scale * max(ends, default=0) or 1.0)


def _stack(rows: Sequence[Row]) -> tuple[list[int], int]:
    """Where each row's bar and the first line of its label stand, in pixels from the top, and the height of all."""
    at, top = [], 0
    for row in rows:
        lines = sum(len(textwrap.wrap(text, LETTERS)) for text in _label(row))
        at.append(top + 16)
        top += LINE * lines + (12 if row.look == "heading" else 22)
    return at, max(top, 1)


def _headings(rows: Sequence[Row], middles: Sequence[int]) -> str:
    return str([y for row, y in zip(rows, middles, strict=True) if row.look == "heading"])


def _zero() -> alt.Chart:
    chart: alt.Chart = alt.Chart(alt.InlineData(values=[{}])).mark_rule(strokeDash=[4, 4], color=INK)
    return chart


def _check(readout: Readout, arm: str) -> None:
    if readout.withheld:
        raise ReadoutError(f"{readout.experiment.key}: results are withheld, so nothing is drawn")
    treatments = [each.key for each in readout.arms if not each.is_control]
    if arm not in treatments:
        raise ReadoutError(f"{readout.experiment.key}: no treatment arm {arm}; there are: {', '.join(treatments)}")
