"""Days until a guardrail clears or a range is narrow enough: against playing the days forward."""

import math
from dataclasses import replace

import pytest

from analysis.assembly.horizon import FARTHEST, days_to_clear, days_to_width
from analysis.inference.decision import Question, read
from analysis.inference.result import Contrast, Undetermined
from analysis.readout import Interval
from tests.helpers.contrasts import contrast_of


def _after(c: Contrast, growth: float) -> Contrast:
    """The same means with `growth` times the units."""
    return replace(
        c, n_c=round(c.n_c * growth), n_t=round(c.n_t * growth), v_cc=c.v_cc / growth, v_tt=c.v_tt / growth,
        v_tc=c.v_tc / growth, v_raw=c.v_raw / growth,
    )  # fmt: skip


def _guardrail(c: Contrast | Undetermined, fraction: float = 0.5) -> Question:
    return Question("return_rate", "new", "guardrail", -1, c, fraction, margin=0.10)


def test_the_day_named_is_the_first_on_which_the_guardrail_clears() -> None:
    c = contrast_of(0.080, 0.083, se_c=0.0016, se_t=0.0016)
    days = days_to_clear(_guardrail(c), 0.05, days=10, days_left=60)
    assert days is not None
    assert days > 1

    def cleared(more: int) -> bool:
        grown = (10 + more) / 10
        question = _guardrail(_after(c, grown), 0.5 * grown)
        return read([question], alpha=0.05, look="always_valid")["return_rate", "new"].status == "cleared"

    assert not cleared(days - 1)
    assert cleared(days)


def test_no_day_is_named_when_the_run_is_too_short_or_the_estimate_is_beyond_the_limit() -> None:
    near = _guardrail(contrast_of(0.080, 0.0870, se_c=0.0016, se_t=0.0016))
    assert days_to_clear(near, 0.05, days=10, days_left=20) is None
    beyond = _guardrail(contrast_of(0.080, 0.090, se_c=0.0016, se_t=0.0016))
    assert days_to_clear(beyond, 0.05, days=10, days_left=10_000) is None
    assert days_to_clear(_guardrail(Undetermined("x", "y")), 0.05, days=10, days_left=20) is None
    assert days_to_clear(near, 0.05, days=0, days_left=20) is None


def test_the_range_is_as_narrow_as_asked_on_the_day_named() -> None:
    c = contrast_of(4.0, 4.02, se_c=0.05, se_t=0.05)
    question = Question("revenue", "new", "success", 1, c, 0.5)

    def half(growth: float) -> float:
        asked = replace(question, contrast=_after(c, growth), fraction=0.5 * growth)
        lift = read([asked], alpha=0.05, look="always_valid")["revenue", "new"].relative
        shown = Interval(est=getattr(lift, "est", math.nan), lo=getattr(lift, "lo", None), hi=getattr(lift, "hi", None))
        assert shown.lo is not None
        assert shown.hi is not None
        return (shown.hi - shown.lo) / 2

    days = days_to_width(question, 0.05, half(1.0), 0.03, days=10)
    assert days is not None
    assert half((10 + days) / 10) == pytest.approx(0.03, rel=0.03)
    assert half((10 + days) / 10) < 0.0305 < half((10 + days - 2) / 10) * 1.05


def test_nobody_waits_more_than_two_years() -> None:
    question = Question("revenue", "new", "success", 1, contrast_of(4.0, 4.02, se_c=0.05, se_t=0.05), 0.5)
    assert days_to_width(question, 0.05, 0.04, 0.0001, days=10) is None
    assert (days_to_width(question, 0.05, 0.04, 0.008, days=10) or 0) < FARTHEST
