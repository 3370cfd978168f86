"""A trend as a small line: an SVG picture, its limit dashed, its last point in the colour of its state."""

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analysis.drawing import MUTED, UNCLEAR, WITHIN, WORSE
from analysis.readout import CheckState
from analysis.signals.past import Trend
from analysis.words import trust as say

WIDTH, HEIGHT, EDGE = 180, 38, 5  # pixels
SMALLEST = 1e-4  # of odds and chances, which are drawn by their order of magnitude
COLOURS: dict[CheckState, str] = {"pass": WITHIN, "warn": WORSE, "fail": WORSE}


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The picture as a `data:` address (a page lets no SVG text through), and what it shows in words."""

    address: str
    told: str
    svg: str


def sparkline(trend: Trend) -> Sparkline:
    """The line from its first reading to its last."""
    svg = _drawn(trend)
    return Sparkline(f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}", _told(trend), svg)


def _drawn(trend: Trend) -> str:
    found = trend.judged
    near = [limit for limit in (found.warn, found.fail if found.warn is None or found.state == "fail" else None)
            if limit is not None]  # fmt: skip
    magnitude = found.unit in ("odds", "chance")
    values = [_scaled(value, magnitude=magnitude) for _, value in trend.points]
    limits = [_scaled(limit, magnitude=magnitude) for limit in near]
    low, high = min([*values, *limits]), max([*values, *limits])
    days = [date.fromisoformat(day).toordinal() for day, _ in trend.points]
    across = [EDGE + (day - days[0]) / max(days[-1] - days[0], 1) * (WIDTH - 2 * EDGE) for day in days]
    line = " ".join(f"{x:.1f},{_down(value, low, high):.1f}" for x, value in zip(across, values, strict=True))
    dashed = "".join(
        f'<line x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{MUTED}" stroke-dasharray="3 3"/>'
        for y in (_down(limit, low, high) for limit in limits)
    )
    last = f'cx="{across[-1]:.1f}" cy="{_down(values[-1], low, high):.1f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{dashed}"
        f'<polyline points="{line}" fill="none" stroke="{UNCLEAR}" stroke-width="1.5"/>'
        f'<circle {last} r="3.5" fill="{COLOURS.get(found.state, UNCLEAR)}"/></svg>'
    )


def _scaled(value: float, *, magnitude: bool) -> float:
    return math.log10(max(value, SMALLEST)) if magnitude else value


def _down(value: float, low: float, high: float) -> float:
    """Pixels from the top; in the middle where nothing ever moved."""
    share = 0.5 if high == low else (value - low) / (high - low)
    return HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)


def _told(trend: Trend) -> str:
    ends: Sequence[tuple[str, str]] = [
        (day, say.figure(value, trend.judged.unit)) for day, value in (trend.points[0], trend.points[-1])
    ]
    return say.trend(trend.judged.measure, ends[0], ends[1])
