"""The health page's pictures: squares of states, and the bars of drift. Pure; never colour alone."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt

from analysis.drawing import INK, MUTED, UNCLEAR, WORSE, axis_labels, calm, contrast
from analysis.readout import CheckState
from analysis.words import trust as say

LETTERS, LINE, ROW = 24, 15, 28  # of a row's label on one line; pixels of a line and of the lowest row
LETTERS_ACROSS, FEWEST_ACROSS = 14, 7  # of a column's name on one line; a square is never wider than a seventh
FILLS: Mapping[CheckState, str] = {
    "pass": "#D6ECF9", "warn": "#F9DDC8", "fail": WORSE, "unknown": "#FFFFFF", "not_applicable": "#FFFFFF"
}  # fmt: skip
EDGES: Mapping[CheckState, str] = {
    "pass": "#D6ECF9", "warn": WORSE, "fail": WORSE, "unknown": UNCLEAR, "not_applicable": "#FFFFFF"
}  # fmt: skip
DARK, PALE = "#4A6D8C", "#B9CAD9"
BAR = 34  # pixels a distribution takes


@dataclass(frozen=True, slots=True)
class Square:
    """One state in a row and column; `text` stands in it, with `more` where there is room; `told` is its tooltip."""

    row: str
    column: str
    state: CheckState
    told: str
    more: str = ""


def squares(
    rows: Sequence[str], columns: Sequence[str], found: Sequence[Square], *, description: str
) -> alt.LayerChart:
    """States as squares: rows from top to bottom, columns from left to right; a place without a square is empty."""
    tops, height = _stack(rows)
    letters = max((len(word) for name in columns for word in textwrap.wrap(name, LETTERS_ACROSS)), default=0)
    lines = max((len(textwrap.wrap(name, LETTERS_ACROSS)) for name in columns), default=1)
    places_across = max(len(columns), FEWEST_ACROSS)
    y_labels = axis_labels({str(middle): [name] for name, (_, middle, _) in zip(rows, tops, strict=True)}, LETTERS)
    y_axis = alt.Axis(
        values=[middle for _, middle, _ in tops], title=None, labelExpr=y_labels, labelLimit=0, labelOverlap=False,
        grid=False,
    )  # fmt: skip
    y_scale = alt.Scale(domain=[height, 0], nice=False)
    places = {name: index for index, name in enumerate(columns)}
    narrow = f"width < {places_across * (6 * letters + 8)}"  # then names stand upright
    x_axis = alt.Axis(
        title=None, orient="top", values=[index + 0.5 for index in range(len(columns))], grid=False, labelLimit=0,
        labelOverlap=False,
        labelExpr=axis_labels({f"{at + 0.5:g}": [name] for name, at in places.items()}, LETTERS_ACROSS),
        labelPadding=alt.ExprRef(f"{narrow} ? 8 : {6 + LINE * (lines - 1)}"),
        labelAngle=alt.ExprRef(f"{narrow} ? -90 : 0"),
        labelAlign=alt.ExprRef(f"{narrow} ? 'left' : 'center'"),
        labelBaseline=alt.ExprRef(f"{narrow} ? 'middle' : 'bottom'"),
    )  # fmt: skip
    x_scale = alt.Scale(domain=[0, places_across], nice=False)
    at = dict(zip(rows, tops, strict=True))
    values = [_square(each, at[each.row], places[each.column]) for each in found]
    tip = [
        alt.Tooltip("what:N", title="What"),
        alt.Tooltip("state:N", title="State"),
        alt.Tooltip("told:N", title="Found"),
    ]
    x, top = alt.X("left:Q", scale=x_scale, axis=x_axis), alt.Y("top:Q", scale=y_scale, axis=y_axis)
    x_centre, y = alt.X("centre:Q", scale=x_scale, axis=x_axis), alt.Y("y:Q", scale=y_scale, axis=y_axis)
    data = alt.Chart(alt.InlineData(values=values))
    fits = f"width / {places_across} > 7 * length(datum.long) + 10"
    layers = [
        data.mark_rect(strokeWidth=1, cornerRadius=2, strokeDash=alt.ExprRef("datum.dash ? [3, 3] : [1, 0]")).encode(
            x=x, x2="right:Q", y=top, y2="bottom:Q", color=alt.Color("fill:N", scale=None),
            stroke=alt.Stroke("edge:N", scale=None), tooltip=tip,
        ),
        data.transform_calculate(shown=f"{fits} ? datum.long : datum.short")
        .mark_text(fontSize=12, baseline="middle")
        .encode(x=x_centre, y=y, text="shown:N", color=alt.Color("ink:N", scale=None), tooltip=tip),
    ]  # fmt: skip
    return calm(layers, height=height, description=description)


def _square(each: Square, place: tuple[int, int, int], column: int) -> dict[str, str | float | bool]:
    top, _, bottom = place
    fill, glyph = FILLS[each.state], say.GLYPHS[each.state]
    ink = max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, fill))
    return {
        "left": column + 0.04, "right": column + 0.96, "centre": column + 0.5,
        "top": top + 2, "y": (top + bottom) / 2, "bottom": bottom - 2,
        "fill": fill, "edge": EDGES[each.state], "dash": each.state == "unknown",
        "ink": MUTED if each.state == "not_applicable" else ink, "short": glyph, "long": f"{glyph} {each.more}".strip(),
        "what": f"{each.row}, {each.column}", "state": say.STATES[each.state], "told": each.told,
    }  # fmt: skip


def _stack(rows: Sequence[str]) -> tuple[list[tuple[int, int, int]], int]:
    """Top, first line of the label and bottom of each row in pixels, and the height of all."""
    found, top = [], 0
    for name in rows:
        lines = len(textwrap.wrap(name, LETTERS)) or 1
        height = max(ROW, LINE * lines + 8)
        found.append((top, top + height // 2 - (LINE // 2) * (lines - 1), top + height))
        top += height
    return found, max(top, 1)


# --- drift -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one distribution moved: two measures, and the index from which it is to be looked at."""

    name: str
    psi: float
    js: float
    limit: float | None
    most: str  # the value that moved most


def drift(moved: Sequence[Moved], *, description: str) -> alt.LayerChart:
    """A dark bar for the stability index, its limit as a black tick, and beneath it a pale one for the divergence."""
    ends = [value for each in moved for value in (each.psi, each.js, each.limit or 0.0)]
    reach = 1.15 * max(ends, default=0.0) or 1.0
    middles = [BAR * index + BAR // 2 for index in range(len(moved))]
    rows = list(zip(moved, middles, strict=True))
    named = {y - LINE // 2 * (len(textwrap.wrap(each.name, LETTERS)) - 1): each.name for each, y in rows}
    labels = axis_labels({str(y): [name] for y, name in named.items()}, LETTERS)
    y_axis = alt.Axis(values=[*named], title=None, labelExpr=labels, labelLimit=0, labelOverlap=False, grid=False)
    y_scale = alt.Scale(domain=[BAR * len(moved), 0], nice=False)
    x_axis = alt.Axis(title=None, tickCount=5, format=".2~f")
    x = alt.X("from:Q", scale=alt.Scale(domain=[0, reach], nice=False), axis=x_axis)
    top = alt.Y("top:Q", scale=y_scale, axis=y_axis)
    bars = [
        {"from": 0, "to": value, "top": y + above, "bottom": y + above + 9, "fill": fill, "name": each.name,
         "measure": measure, "value": say.figure(value, "index"), "most": each.most}
        for each, y in rows
        for measure, value, above, fill in (
            ("stability index", each.psi, -11, DARK), ("divergence", each.js, 1, PALE)
        )
    ]  # fmt: skip
    ticks = [
        {"from": each.limit, "top": y - 14, "bottom": y + 1, "value": f"{each.limit:g}"}
        for each, y in rows
        if each.limit is not None
    ]
    tip = [
        alt.Tooltip("name:N", title="What"), alt.Tooltip("measure:N", title="Measure"),
        alt.Tooltip("value:N", title="Value"), alt.Tooltip("most:N", title="Moved most"),
    ]  # fmt: skip
    numbers = [{**bar, "y": bar["top"]} for bar in bars]
    layers = [
        _data(bars).mark_rect().encode(
            x=x, x2="to:Q", y=top, y2="bottom:Q", color=alt.Color("fill:N", scale=None), tooltip=tip
        ),
        _data(numbers).mark_text(align="left", dx=4, dy=5, fontSize=11, baseline="middle", color=INK).encode(
            x=alt.X("to:Q"), y=alt.Y("y:Q"), text="value:N"
        ),
        _data(ticks).mark_rule(strokeWidth=3, color="black").encode(
            x=x, y=top, y2="bottom:Q", tooltip=[alt.Tooltip("value:N", title="To look at from")]
        ),
    ]  # fmt: skip
    return calm(layers, height=BAR * len(moved), description=description)


def _data(values: Sequence[Mapping[str, object]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[dict(each) for each in values]))
