"""How numbers are printed, and that no sentence says more than it knows."""

import ast
import inspect
from datetime import date
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import words
from analysis.words import Change, Figures, amount, figures, health, notes, pages
from analysis.words import listed as listing
from experiments.spec import SOURCES


@pytest.mark.parametrize(
    ("interval", "unit", "printed"),
    [
        ((0.0199, 0.0026, 0.0374), "lift", ("+2.0%", "+0.3%", "+3.7%")),
        ((-0.012, -0.04, 0.016), "lift", ("−1.2%", "−4.0%", "+1.6%")),
        ((0.4, -1.1, 1.9), "lift", ("+40%", "−110%", "+190%")),
        ((4100, 540, 7700), "money", ("+€4,100", "+€500", "+€7,700")),
        ((41_234, 6_100, 76_000), "money", ("+€41k", "+€6k", "+€76k")),
        ((1_234_567, -200_000, 3_000_000), "money", ("+€1.2M", "−€0.2M", "+€3.0M")),
        ((0.29, 0.1, 0.49), "money", ("+€0.29", "+€0.10", "+€0.49")),
        ((12.4, 9.9, 14.9), "ms", ("+12.4 ms", "+9.9 ms", "+14.9 ms")),
        ((0.0068, 0.0040, 0.0096), "points", ("+0.68 points", "+0.40 points", "+0.96 points")),
        ((0.0, -0.02, 0.02), "lift", ("0.0%", "−2.0%", "+2.0%")),
    ],
)
def test_two_significant_digits_of_the_half_width(
    interval: tuple[float, float, float], unit: words.ValueUnit, printed: tuple[str, str, str]
) -> None:
    assert figures(*interval, unit=unit) == Figures(*printed)


def test_a_bound_that_is_not_zero_is_never_printed_as_zero() -> None:
    assert figures(0.01, 0.0004, 0.0196, unit="lift").lo == "+0.04%"
    assert figures(0.01, -0.0004, 0.0196, unit="lift").lo == "−0.04%"


@given(
    st.floats(-0.9, 3.0),
    st.floats(1e-5, 1.0),
)
def test_printed_bounds_keep_their_side_of_zero_and_are_close(est: float, half: float) -> None:
    shown = figures(est, est - half, est + half, unit="lift")
    for text, value in ((shown.lo, est - half), (shown.hi, est + half)):
        assert text is not None
        back = float(text.replace("−", "-").replace("%", "").replace(",", "")) / 100
        assert back * value > 0 or abs(value) < 1e-9
        assert abs(back - value) <= 0.05 * half + 1e-12


def test_currencies_have_their_sign_or_their_code() -> None:
    assert figures(5, 3, 7, unit="money", currency="USD").est == "+$5.00"
    assert amount(12, unit="money", currency="GBP") == "£12"
    assert amount(12, unit="money", currency="CHF") == "CHF 12"
    assert amount(-12.5, unit="money", currency="EUR") == "−€12.50"


@pytest.mark.parametrize(
    ("value", "unit", "printed"),
    [(0.05, "lift", "5%"), (0.005, "lift", "0.5%"), (412.7, "money", "€413"), (4.127, "money", "€4.13"),
     (0, "lift", "0%"), (0.0125, "share", "1.25%"), (1234567, "count", "1,234,567"), (0.018, "count", "0.018")],
)  # fmt: skip
def test_single_numbers_have_three_digits_and_no_idle_zeros(value: float, unit: words.ValueUnit, printed: str) -> None:
    assert amount(value, unit=unit) == printed


def test_one_sided_figures_say_at_least_or_at_most() -> None:
    assert figures(0.03, 0.012, None, unit="lift").between == "at least +1.2%"
    assert figures(0.03, None, 0.055, unit="lift").between == "at most +5.5%"
    assert figures(0.03, None, None, unit="lift").between == "about +3.0%"


def test_labels_are_filled_and_stand_inside_sentences() -> None:
    assert words.label("Share of {units} who order", "session") == "Share of sessions who order"
    assert words.label("Revenue per {unit}", "user") == "Revenue per user"
    assert words.inside("Revenue per user") == "revenue per user"
    assert words.inside("AOV of sessions") == "AOV of sessions"


def test_lists_days_and_dates() -> None:
    assert [listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [words.days(1), words.days(1200)] == ["1 more day", "1,200 more days"]
    assert words.day(date(2026, 12, 8)) == "8 December 2026"


def test_a_fall_is_said_in_sizes_and_a_mixed_range_with_signs() -> None:
    assert Change("R", "lift", (-0.03, -0.05, -0.01), "EUR").moved == "down 3.0% (between 1.0% and 5.0%)"
    assert Change("R", "lift", (0.01, -0.01, 0.03), "EUR").moved == "up 1.0% (between −1.0% and +3.0%)"


def test_money_over_zero_keeps_its_signs() -> None:
    change = Change("R", "lift", (0.01, -0.01, 0.03), "EUR", money=(1000, -900, 2900))
    assert change.worth == "worth about €1,000 a day (between −€900 and +€2,900)"


def test_a_negligible_adjustment_is_called_negligible() -> None:
    assert "negligible" in notes.adjusted(0.0004, 0, "user")
    assert "negligible" in notes.adjusted(-0.02, 0, "user")
    assert (
        notes.adjusted(0.31, 5, "user")
        == "What users did before takes 31% of the noise away, worth about 5 days of data."
    )


@pytest.mark.parametrize("module", [words, notes, health, pages])
def test_no_text_of_ours_uses_a_word_that_is_not_for_readers(module: ModuleType) -> None:
    """Every string a reader may see; docstrings and the list of forbidden words itself are not for readers."""
    tree = ast.parse(inspect.getsource(module))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
    ]
    said = [text for text in texts if text not in words.NOT_FOR_READERS]
    assert len(said) > 20
    assert not [text for text in said if any(word in text.lower() for word in words.NOT_FOR_READERS)]


def test_what_was_not_logged_has_a_name_in_every_column_of_every_source() -> None:
    assert {*SOURCES, *(column for columns in SOURCES.values() for column in columns)} == {*notes.THINGS}
    assert notes.not_logged("slates", ("latency_ms",)) == "no latency is logged"
    assert notes.not_logged("order_lines", (), ["control"]) == "no order is logged in control"


def test_keys_become_names() -> None:
    keys = ("product_page", "pdp", "(direct)", "(none)", "GROCERY")
    assert [words.pretty(key) for key in keys] == ["Product page", "Product page", "Direct", "None given", "GROCERY"]


def test_verdicts_have_names_for_readers() -> None:
    assert words.verdict_name("CANT_TELL", "Can't tell yet: no success metric could be measured.") == "Can't tell"
    assert words.verdict_name("CANT_TELL", words.as_it_should_be(None)) == "As it should be"


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0, "0%"), (0.0000587, "< 0.01%"), (0.000587, "0.06%"), (0.00743, "0.74%"), (0.0587, "5.9%"), (0.1243, "12.4%"),
        (0.5, "50%"), (0.9874, "98.7%"), (0.99996, "> 99.9%"), (1, "100%"),
    ],
)  # fmt: skip
def test_shares_have_two_digits_that_tell(value: float, printed: str) -> None:
    assert health.share(value) == printed


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "none of the rows"), (0.00002, "under 0.01% of the rows"), (0.021, "2.1% of the rows"),
        (0.99999, "over 99.9% of the rows"), (1, "all of the rows"),
    ],
)  # fmt: skip
def test_a_share_inside_a_sentence_is_words_where_there_is_nothing_to_count(value: float, told: str) -> None:
    assert health.portion(value, "rows") == told


def test_checks_that_found_nothing_say_so_in_words() -> None:
    assert health.duplicates(0, 0.00002).startswith("None of the rows came twice under one event id; under 0.01% of")
    assert health.duplicates(0.01, 0).startswith("1% of the rows came twice under one event id (kept once); none of")
    assert health.two_arms(0, 0, "user") == "No user was seen in more than one arm."
    assert health.two_arms(0.002, 1, "user") == "1 user (0.2%) was seen in more than one arm and is left out."


def test_a_variance_that_was_not_cut_is_not_printed_to_six_digits() -> None:
    assert notes.variance_cut(0.2579) == "variance cut by 26%"
    assert notes.variance_cut(0.0000156) == "variance cut by less than 1%"
    assert notes.variance_cut(-0.0000156) == "variance not cut at all"
    assert "takes 8% of the noise away" in notes.adjusted(0.0765, 0, "user")


@pytest.mark.parametrize(
    ("e", "printed"),
    [(0.2, "none"), (1.2, "1 to 1"), (1_234.5, "1,234 to 1"), (1e6, "1,000,000 to 1"), (1.3e299, "> 1,000,000 to 1")],
)
def test_evidence_is_printed_as_odds(e: float, printed: str) -> None:
    assert health.odds(e) == printed
