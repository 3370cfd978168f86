"""What every chart shares: the colours and glyphs of READOUT "Drawing", fixed axis steps, one calm look.

Never colour alone, never red against green. Text keeps a contrast of at least 4.5:1 on whatever it stands on.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import altair as alt

from analysis import words

INK, MUTED, GRID = "#262730", "#595959", "#E8E8E8"
BETTER, WORSE, WITHIN, UNCLEAR, NOISE, NOISE_INK = "#0072B2", "#D55E00", "#56B4E9", "#767676", "#EEEEEE", "#333333"
LOSING, NOTHING, EARNING = "#B35806", "#F7F7F7", "#2166AC"
FONT = '"Source Sans", "Source Sans 3", "Liberation Sans", Arial, sans-serif'
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Look:
    """How one meaning is drawn: a word for the legend, a colour, a point shape and its glyph in text."""

    word: str
    colour: str
    shape: Literal["triangle-up", "triangle-down", "circle", "square", "stroke"]
    glyph: str


_BETTER = Look("Better", BETTER, "triangle-up", "▲")
_WORSE = Look("Worse", WORSE, "triangle-down", "▼")
_UNCLEAR = Look("Not clear yet", UNCLEAR, "square", "■")
_SAME = Look("No material effect", WITHIN, "circle", "●")
LOOKS: Mapping[str, Look] = {
    "better": _BETTER,
    "worse": _WORSE,
    "cleared": Look("Inside its limit", WITHIN, "circle", "●"),
    "breached": Look("Beyond its limit", WORSE, "triangle-down", "▼"),
    "no_material_effect": _SAME,
    "not_clear": _UNCLEAR,
    "gain": _BETTER,
    "loss": _WORSE,
    "more_data": _UNCLEAR,
    "noise": Look("Noise", UNCLEAR, "stroke", "~"),
    "descriptive": Look("Not tested", UNCLEAR, "square", "■"),
}


def step_up(size: float) -> float:
    """The smallest of 1, 2, 5 × 10^k that is at least `size` (> 0): axes change in steps, not every day."""
    power = 1.0
    while power > size:
        power /= 10
    while power * 10 <= size:
        power *= 10
    return next(step * power for step in STEPS if step * power >= size * (1 - 1e-9))


def shade(share: float) -> tuple[str, str]:
    """Fill and ink for a value at `share` (−1 to 1) of the heat map's scale; the ink is the more legible of two."""
    end = LOSING if share < 0 else EARNING
    part = min(abs(share), 1.0)
    mixed = [round(low + (high - low) * part) for low, high in zip(_channels(NOTHING), _channels(end), strict=True)]
    fill = "#" + "".join(f"{channel:02X}" for channel in mixed)
    return fill, max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, fill))


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #RRGGBB colours, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def axis_numbers(unit: words.ValueUnit, currency: str) -> str:
    """A Vega expression that prints an axis value with its sign and unit, U+2212 for minus."""
    sign = f"(datum.value > 0 ? '+' : datum.value < 0 ? '{words.MINUS}' : '')"
    if unit == "money":
        return f"{sign} + {json.dumps(words.symbol(currency), ensure_ascii=False)} + format(abs(datum.value), ',~s')"
    return f"{sign} + format(abs(datum.value), ',~r') + '%'"


def axis_labels(labels: Mapping[str, Sequence[str]], letters: int) -> str:
    """A Vega expression from an axis value to its paragraphs, in lines of at most `letters` letters: never cut."""
    lines = {
        value: [line for text in texts for line in textwrap.wrap(text, letters)] for value, texts in labels.items()
    }
    return f"{json.dumps(lines, ensure_ascii=False)}[datum.value]"


def vega_day(day: date) -> alt.DateTime:
    """A calendar day as a bound of a time axis."""
    return alt.DateTime(year=day.year, month=day.month, date=day.day)


def calm(layers: Sequence[alt.Chart], *, height: float, description: str) -> alt.LayerChart:
    """The layers as one chart: full width, quiet axes, its description as accessible name."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")  # axes and titles add to the height
    chart = alt.layer(*layers, height=height, width="container", autosize=fit, description=description)
    chart = chart.configure(font=FONT, background="#FFFFFF").configure_view(stroke=None)
    chart = chart.configure_mark(aria=False)  # the description tells it; marks would read out pixels
    done: alt.LayerChart = chart.configure_axis(
        aria=False, labelColor=INK, labelFontSize=12, labelLineHeight=15, titleColor=MUTED, titleFontSize=12,
        titleFontWeight="normal", titlePadding=10, gridColor=GRID, domain=False, ticks=False, labelPadding=6,
    )  # fmt: skip
    return done


def _luminance(colour: str) -> float:
    shares = [channel / 255 for channel in _channels(colour)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
