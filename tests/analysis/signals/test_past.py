"""Trends and beginnings over a few readings, and their small line."""

import base64
from dataclasses import replace

from analysis.readout import Check, CheckState, Judged
from analysis.signals.past import Began, Past, Trend, began, telling, trend
from analysis.signals.sparkline import HEIGHT, sparkline


def judged(value: float, state: CheckState = "pass", *, figure: str = "late", fail: float | None = 0.05) -> Judged:
    return Judged(
        figure=figure, measure="rows that come late", unit="share", value=value, warn=0.01, fail=fail, worse="above",
        state=state,
    )  # fmt: skip


def check(state: CheckState, *figures: Judged, **plain: float | str | bool) -> Check:
    return Check(
        id="SH-05", label="Late events", state=state, blocking=False, sentence="…",
        figures={**{each.figure: each.value for each in figures}, **plain}, groups=(), sql=None, since=None,
        owner="data team", judged=figures,
    )  # fmt: skip


def past(*checks: Check | None) -> list[Past]:
    return [Past(f"2026-12-{n:02}T00:00:00Z", () if c is None else (c,)) for n, c in enumerate(checks, 1)]


def test_the_figure_that_decided_tells_the_trend() -> None:
    late, worst = judged(0.001), judged(0.2, "fail", figure="day")
    assert telling(check("fail", late, worst)) == worst
    assert telling(check("pass", late, replace_state(worst, "pass"))) == late
    assert telling(check("unknown")) is None


def replace_state(found: Judged, state: CheckState) -> Judged:
    return found.model_copy(update={"state": state})


def test_readings_without_the_figure_are_left_out_and_one_alone_is_no_trend() -> None:
    old, now = check("pass", late=0.002), check("warn", judged(0.02, "warn"))
    found = trend(now, past(None, old, check("unknown"), check("pass", late="none"), now))
    assert found is not None
    assert found.points == (("2026-12-02", 0.002), ("2026-12-05", 0.02))
    assert trend(now, past(None, check("unknown"), now)) is None
    assert trend(check("unknown"), past(old, check("unknown"))) is None


def test_it_began_with_the_first_of_those_in_a_row() -> None:
    good, bad = check("pass"), check("fail")
    assert began(bad, past(bad, good, bad, bad)) == Began("2026-12-03", first=False)
    assert began(bad, past(bad, bad)) == Began("2026-12-01", first=True)
    assert began(bad, past(None, bad)) == Began("2026-12-02", first=False)
    assert began(bad, []) is None


def drawn(found: Trend) -> list[tuple[float, float]]:
    """The points of the line: pixels from the left and from the top."""
    svg = base64.b64decode(sparkline(found).address.split(",")[1]).decode()
    points = svg.split('points="')[1].split('"')[0]
    return [(float(x), float(y)) for x, y in (each.split(",") for each in points.split())]


def test_the_line_rises_with_the_figure_keeps_days_apart_and_shows_the_limit() -> None:
    found = Trend(judged(0.03, "warn"), (("2026-12-01", 0.0), ("2026-12-02", 0.015), ("2026-12-05", 0.03)))
    (x1, y1), (x2, y2), (x3, y3) = drawn(found)
    assert y1 > y2 > y3
    assert abs((x3 - x1) / (x2 - x1) - 4) < 0.01
    line = sparkline(found)
    assert line.svg.count("stroke-dasharray") == 1
    assert line.told == "Rows that come late: 0% on 1 December 2026, 3% on 5 December 2026"
    failing = Trend(judged(0.2, "fail"), found.points)
    assert sparkline(failing).svg.count("stroke-dasharray") == 2


def test_a_figure_that_never_moves_and_has_no_limit_is_a_flat_line_in_the_middle() -> None:
    still = replace(
        Trend(judged(0.0), (("2026-12-01", 0.0), ("2026-12-02", 0.0))),
        judged=judged(0.0).model_copy(update={"warn": None, "fail": None}),
    )
    assert {y for _, y in drawn(still)} == {HEIGHT / 2}


def test_odds_are_drawn_by_their_order_of_magnitude() -> None:
    odds = judged(1000.0).model_copy(update={"unit": "odds", "warn": None, "fail": None})
    (_, low), (_, middle), (_, high) = drawn(
        Trend(odds, (("2026-12-01", 10.0), ("2026-12-02", 100.0), ("2026-12-03", 1000.0)))
    )
    assert abs((low - middle) - (middle - high)) < 0.2
