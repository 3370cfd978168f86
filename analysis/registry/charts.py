"""The registry's two pictures: the timeline, and who has which buckets. Pure; never colour alone."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import altair as alt

from analysis.charts import LETTERS, Datum
from analysis.charts import LINE as LINE_HEIGHT
from analysis.drawing import BETTER, INK, UNCLEAR, WITHIN, WORSE, axis_labels, calm, contrast
from analysis.registry.buckets import Band, Meaning, Strip
from analysis.registry.timeline import Line, Timeline
from analysis.words import registry as say
from experiments.ranges import BUCKETS

GAP, FIRST = 20, 14  # pixels between two lines; from a line's top to its bar's middle
THIN, LOW, HIGH = 1.5, 3.0, 9.0  # half the height of a bar: while nothing is served, without and with all traffic
HALF, STRIP = 15, 52  # half the height of a strip of buckets, and how far strips lie apart
DARK, PALE, GREY = "#3A3B42", "#F3F4F6", "#D9DDE3"
ARMS = (BETTER, WITHIN, "#003F66")  # treatments in order, beginning again
FILLS: Mapping[Meaning, str] = {
    "own": BETTER, "other": GREY, "free": "#FFFFFF", "held": DARK, "rest": PALE, "control": GREY, "arm": BETTER,
}  # fmt: skip
Shape = Literal["triangle-up", "triangle-down", "square"]
DECIDED: Mapping[str, tuple[str, Shape]] = {
    "ship": (BETTER, "triangle-up"), "roll_back": (WORSE, "triangle-down"), "inconclusive": (UNCLEAR, "square"),
}  # fmt: skip


# --- timeline --------------------------------------------------------------------------------------------


def timeline(shown: Timeline) -> alt.LayerChart:
    """A line an experiment: what ran, as tall as its traffic; what is planned, framed; today dashed."""
    middles, height = _stack(shown.lines)
    rows = list(zip(shown.lines, middles, strict=True))
    scale = alt.Scale(type="utc", domain=[_ms(shown.begin), _ms(shown.end)], nice=False)
    long = shown.end - shown.begin > timedelta(days=200)
    axis = alt.Axis(
        title=None, format="%b %Y" if long else "%-d %b", tickCount=5, labelOverlap=True, labelFlush=True, orient="top"
    )
    x = alt.X("begin:T", scale=scale, axis=axis)
    at = alt.X("at:T", scale=scale, axis=axis)
    labels = axis_labels({str(y): [line.name, line.state] for line, y in rows}, LETTERS)
    chosen = str([y for line, y in rows if line.chosen])
    bold = {"condition": {"test": f"indexof({chosen}, datum.value) >= 0", "value": 600}, "value": 400}
    y_axis = alt.Axis(
        values=middles, title=None, labelExpr=labels, labelLimit=0, labelOverlap=False, grid=False, labelFontWeight=bold
    )
    y_scale = alt.Scale(domain=[height, 0], nice=False)
    y, top = alt.Y("y:Q", scale=y_scale, axis=y_axis), alt.Y("top:Q", scale=y_scale, axis=y_axis)
    tip = [
        alt.Tooltip("name:N", title="What"), alt.Tooltip("told:N", title="Then"), alt.Tooltip("from:N", title="From"),
        alt.Tooltip("until:N", title="Until"),
    ]  # fmt: skip
    frames, bars = [*_frames(rows, shown)], [*_bars(rows)]
    own = [{"top": y - FIRST - 4.0, "bottom": y + FIRST + 8.0} for line, y in rows if line.chosen]
    glyphs, numbers, ends = [*_glyphs(rows)], [*_numbers(rows)], [*_ends(rows)]
    layers = [
        _data(own).mark_rect(color=PALE).encode(x=alt.value(0), x2=alt.value("width"), y=top, y2="bottom:Q"),
        _data(frames)
        .mark_rect(fillOpacity=0, stroke=UNCLEAR, strokeDash=[3, 3], clip=True)
        .encode(x=x, x2="end:Q", y=top, y2="bottom:Q", tooltip=tip),
        _data([*_waits(rows)])
        .mark_rule(color=UNCLEAR, strokeDash=[1, 3], strokeWidth=2, clip=True)
        .encode(x=x, x2="end:Q", y=y, tooltip=tip),
        _data(bars)
        .mark_rect(clip=True)
        .encode(x=x, x2="end:Q", y=top, y2="bottom:Q", color=alt.Color("fill:N", scale=None), tooltip=tip),
        _data(glyphs).mark_text(fontSize=12, dy=-18, color=INK, clip=True).encode(x=at, y=y, text="text:N"),
        _data(numbers)
        .mark_text(fontSize=11, align="left", dx=2, dy=15, color=INK, clip=True)
        .encode(x=at, y=y, text="text:N"),
        _data(numbers).mark_rule(color="#FFFFFF", strokeWidth=2, clip=True).encode(x=at, y=top, y2="bottom:Q"),
    ]
    for decision, (colour, shape) in DECIDED.items():
        mark = _data([each for each in ends if each["decision"] == decision]).mark_point(
            filled=True, size=130, opacity=1, shape=shape, color=colour, stroke="white", strokeWidth=1, clip=True
        )
        layers.append(mark.encode(x=at, y=y, tooltip=tip))
    today = _data([{"at": _ms(shown.now), "y": 0, "text": "today"}])
    layers.append(today.mark_rule(strokeDash=[4, 4], color=INK).encode(x=at))
    late = (shown.now - shown.begin) > (shown.end - shown.begin) * 0.8
    beside = today.mark_text(align="right" if late else "left", dx=-4 if late else 4, dy=-1, color=INK, fontSize=11)
    layers.append(beside.encode(x=at, y=y, text="text:N"))
    told = "; ".join(f"{line.name}: {line.state}{_when(line)}" for line in shown.lines)
    return calm(layers, height=height, description=f"Timeline to {shown.now:%-d %B %Y} and what is planned. {told}.")


def _stack(lines: Sequence[Line]) -> tuple[list[int], int]:
    """The middle of each line's bar, beside the first line of its label, and the height of all."""
    middles, top = [], 12
    for line in lines:
        middles.append(top + FIRST)
        top += LINE_HEIGHT * sum(len(textwrap.wrap(text, LETTERS)) or 1 for text in (line.name, line.state)) + GAP
    return middles, top


Rows = Sequence[tuple[Line, int]]


def _bars(rows: Rows) -> Iterator[Datum]:
    for line, y in rows:
        for each in line.segments:
            half = LOW + (HIGH - LOW) * each.traffic_bp / BUCKETS if each.kind == "running" else THIN
            fill = {"running": BETTER, "paused": UNCLEAR, "killed": INK}[each.kind]
            told = say.ran(each.kind, each.phase, each.traffic_bp / BUCKETS)
            yield _span(line, each.begin, each.end, told) | {"top": y - half, "bottom": y + half, "fill": fill}


def _frames(rows: Rows, shown: Timeline) -> Iterator[Datum]:
    for line, y in rows:
        if line.planned is not None:
            begin, end = line.planned
            told = "planned" if end is not None else "planned, without an end"
            span = _span(line, begin, end or shown.end + timedelta(days=1), told)
            until = {} if end is not None else {"until": "no planned end"}
            yield span | until | {"top": y - HIGH - 2, "bottom": y + HIGH + 2}


def _waits(rows: Rows) -> Iterator[Datum]:
    for line, y in rows:
        if line.waited is not None:
            yield _span(line, *line.waited, "registered, not begun") | {"y": y}


def _glyphs(rows: Rows) -> Iterator[Datum]:
    for line, y in rows:
        for each in line.segments:
            if each.kind != "running":
                middle = each.begin + (each.end - each.begin) / 2
                yield {"at": _ms(middle), "y": y, "text": say.STATES[each.kind][0]}


def _numbers(rows: Rows) -> Iterator[Datum]:
    for line, y in rows:
        begins = {each.phase: each.begin for each in reversed(line.segments)}
        for phase, begin in sorted(begins.items()):
            if phase > 1:
                yield {"at": _ms(begin), "y": y, "top": y - HIGH, "bottom": y + HIGH, "text": str(phase)}


def _ends(rows: Rows) -> Iterator[Datum]:
    for line, y in rows:
        if line.decided is not None:
            at, decision = line.decided
            told = f"decided: {say.DECISIONS[decision]}"
            yield {"at": _ms(at), "y": y, "decision": decision, "name": line.name, "told": told, "from": say.moment(at)}


def _span(line: Line, begin: datetime, end: datetime, told: str) -> Datum:
    return {
        "begin": _ms(begin), "end": _ms(end), "name": line.name, "told": told, "from": say.moment(begin),
        "until": say.moment(end),
    }  # fmt: skip


def _when(line: Line) -> str:
    """The dates of a line, for those who hear it."""
    if line.segments:
        return f", ran {line.segments[0].begin:%-d %B %Y} to {line.segments[-1].end:%-d %B %Y}"
    return "" if line.planned is None else f", planned from {line.planned[0]:%-d %B %Y}"


def _ms(moment: datetime) -> int:
    """Milliseconds since 1970: what a time scale takes."""
    return round(moment.timestamp() * 1000)


# --- buckets ---------------------------------------------------------------------------------------------


def buckets(strips: Sequence[Strip]) -> alt.LayerChart:
    """A strip of 10,000 buckets for each draw; what its bands mean stands in them where it fits, and in the table."""
    middles = [STRIP * index + HALF + 4 for index in range(len(strips))]
    labels = axis_labels(
        {
            str(y): [strip.title, *([strip.told] if strip.told else [])]
            for strip, y in zip(strips, middles, strict=True)
        },
        LETTERS,
    )
    height = STRIP * len(strips)
    x_axis = alt.Axis(title=None, values=[0, 2500, 5000, 7500, BUCKETS], format=",d", labelFlush=True, grid=False)
    x = alt.X("begin:Q", scale=alt.Scale(domain=[0, BUCKETS], nice=False), axis=x_axis)
    y_axis = alt.Axis(values=middles, title=None, labelExpr=labels, labelLimit=0, labelOverlap=False, grid=False)
    scale = alt.Scale(domain=[height, 0], nice=False)
    top, middle = alt.Y("top:Q", scale=scale, axis=y_axis), alt.Y("y:Q", scale=scale, axis=y_axis)
    values = [
        datum for strip, y in zip(strips, middles, strict=True) for datum in _bands(strip, y)
    ]  # fmt: skip
    tip = [
        alt.Tooltip("draw:N", title="Draw"), alt.Tooltip("who:N", title="Means"),
        alt.Tooltip("range:N", title="Buckets"), alt.Tooltip("share:N", title="Share"),
    ]  # fmt: skip
    fits = alt.ExprRef(f"(datum.end - datum.begin) / {BUCKETS} * width > datum.room ? 1 : 0")
    layers = [
        _data(values).mark_rect(strokeWidth=1).encode(
            x=x, x2="end:Q", y=top, y2="bottom:Q", color=alt.Color("fill:N", scale=None),
            stroke=alt.Stroke("edge:N", scale=None), tooltip=tip,
        ),
        _data(values).mark_text(fontSize=12, baseline="middle", opacity=fits).encode(
            x=alt.X("centre:Q"), y=middle, text="text:N", color=alt.Color("ink:N", scale=None), tooltip=tip
        ),
    ]  # fmt: skip
    told = "; ".join(
        f"{strip.title}: " + ", ".join(f"{band.who} {band.share}" for band in _merged(strip)) for strip in strips
    )
    return calm(layers, height=height, description=f"Who has which of 10,000 buckets. {told}.")


@dataclass(frozen=True, slots=True)
class Total:
    """All bands of one meaning in a strip."""

    who: str
    share: str


def _merged(strip: Strip) -> tuple[Total, ...]:
    sizes: dict[str, int] = {}
    for band in strip.bands:
        sizes[band.who] = sizes.get(band.who, 0) + band.end - band.begin
    return tuple(Total(who, say.share(count / BUCKETS)) for who, count in sizes.items())


def _bands(strip: Strip, y: int) -> Iterator[Datum]:
    treatments = [band.who for band in strip.bands if band.meaning == "arm"]
    for band in strip.bands:
        fill = ARMS[treatments.index(band.who) % len(ARMS)] if band.meaning == "arm" else FILLS[band.meaning]
        text = f"{band.who} {band.share}"
        yield {
            "begin": band.begin, "end": band.end, "centre": (band.begin + band.end) / 2, "y": y, "top": y - HALF,
            "bottom": y + HALF, "fill": fill, "edge": UNCLEAR if band.meaning == "free" else "#FFFFFF",
            "ink": _ink(fill), "text": text, "room": 7 * len(text) + 8, "who": band.who, "share": band.share,
            "draw": strip.title, "range": _range(band),
        }  # fmt: skip


def _range(band: Band) -> str:
    return f"{band.begin:,} to {band.end - 1:,}"


def _ink(fill: str) -> str:
    return max((INK, "#FFFFFF"), key=lambda ink: contrast(ink, fill))


def _data(values: Sequence[Mapping[str, object]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[dict(each) for each in values]))
