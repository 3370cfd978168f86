"""Colours a reader can tell apart, text that can be read, axes that stand still."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.drawing import (
    BETTER,
    EARNING,
    INK,
    LOOKS,
    LOSING,
    MUTED,
    NOISE,
    NOISE_INK,
    NOTHING,
    UNCLEAR,
    WITHIN,
    WORSE,
    axis_labels,
    axis_numbers,
    contrast,
    shade,
    step_up,
    vega_day,
)


def test_colours_and_glyphs_are_the_design_pages() -> None:
    assert (LOOKS["better"].colour, LOOKS["better"].glyph) == ("#0072B2", "▲")
    assert (LOOKS["worse"].colour, LOOKS["worse"].glyph) == ("#D55E00", "▼")
    assert (LOOKS["cleared"].colour, LOOKS["cleared"].glyph) == ("#56B4E9", "●")
    assert (LOOKS["not_clear"].colour, LOOKS["not_clear"].glyph) == ("#767676", "■")
    assert LOOKS["noise"].glyph == "~"
    assert (NOISE, NOISE_INK) == ("#EEEEEE", "#333333")
    assert (LOSING, NOTHING, EARNING) == ("#B35806", "#F7F7F7", "#2166AC")


def test_no_two_meanings_share_a_glyph_in_different_colours() -> None:
    by_glyph: dict[str, set[str]] = {}
    for look in LOOKS.values():
        by_glyph.setdefault(look.glyph, set()).add(look.colour)
    assert all(len(colours) == 1 for colours in by_glyph.values())
    assert len({BETTER, WORSE, WITHIN, UNCLEAR}) == 4


def test_contrast_is_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)  # the usual example just below 4.5
    assert contrast("#FFFFFF", "#777777") == contrast("#777777", "#FFFFFF")


@pytest.mark.parametrize("ink", [INK, MUTED])
def test_text_on_white_is_legible(ink: str) -> None:
    assert contrast(ink, "#FFFFFF") >= 4.5


def test_text_on_noise_is_legible() -> None:
    assert contrast(NOISE_INK, NOISE) >= 4.5


@given(st.floats(-3, 3))
def test_text_in_any_cell_is_legible(share: float) -> None:
    fill, ink = shade(share)
    assert contrast(ink, fill) >= 4.5


def test_scale_is_symmetric_about_a_neutral_zero() -> None:
    assert shade(0)[0] == NOTHING
    assert shade(1)[0] == EARNING
    assert shade(-1)[0] == LOSING
    assert shade(7) == shade(1)


@given(st.floats(1e-6, 1e9))
def test_axis_is_the_smallest_step_that_holds(size: float) -> None:
    step = step_up(size)
    assert step >= size * (1 - 1e-9)
    assert step / size < 2.5 * (1 + 1e-9)
    assert f"{step:.0e}"[0] in "125"


def test_axis_stands_still_while_the_range_moves_a_little() -> None:
    assert {step_up(size) for size in (10.4, 11.0, 14.9, 19.9)} == {20.0}


def test_labels_are_wrapped_and_never_cut() -> None:
    expression = axis_labels({"16": ["Share of order value sent back within 14 days", "■ Not clear yet"]}, 24)
    lines = json.loads(expression.removesuffix("[datum.value]"))["16"]
    assert " ".join(lines) == "Share of order value sent back within 14 days ■ Not clear yet"
    assert max(len(line) for line in lines) <= 24


def test_axis_numbers_carry_the_true_minus_and_the_unit() -> None:
    assert "\u2212" in axis_numbers("lift", "EUR")
    assert "'%'" in axis_numbers("lift", "EUR")
    assert '"€"' in axis_numbers("money", "EUR")
    assert '"SEK "' in axis_numbers("money", "SEK")


def test_day_on_a_time_axis() -> None:
    assert vega_day(date(2026, 12, 1)).to_dict() == {"year": 2026, "month": 12, "date": 1}
