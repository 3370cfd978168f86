"""Titles, places, amounts and changes as notices print them; ages and headlines as the inbox does."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.alerts.course.acts import ActKind
from analysis.alerts.model import METRICS, SEVERITIES, Cell, Metric, Resolution
from analysis.words import NOT_FOR_READERS, inbox, notices
from tests.helpers.incidents import incident

NAMES = {"pdp": "Product page", "rugs": "Rugs & mats"}


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (Cell(), "The whole site"),
        (Cell("homepage"), "Homepage"),
        (Cell("pdp", "rugs"), "Rugs & mats on product page"),
        (Cell("pdp", "", "mobile"), "Product page, mobile"),
        (Cell("homepage", "(none)"), "Homepage without a category"),
        (Cell("homepage", "(none)", "(none)"), "Homepage without a category, unknown device"),
        (Cell("(none)", "decor"), "Decor on a module without a name"),
        (Cell("cart", "outdoor_living", "tablet"), "Outdoor living on cart, tablet"),
    ],
)
def test_a_place_is_named_as_a_reader_knows_it(cell: Cell, told: str) -> None:
    assert notices.place(cell, NAMES) == told


@pytest.mark.parametrize(
    ("expected", "at_least", "told"),
    [
        (4_812_300, 1_720_000, "about €48k a day (at least €17k)"),
        (42_00, 0, "about €42 a day"),
        (252_000_00, 251_999_00, "at least €251,000 a day"),
        (48_123_00, 17_999_00, "about €48k a day (at least €17k)"),
        (1_999_00, 1_958_75, "about €2,000 a day (at least €1,900)"),
        (48_123_00, 40_00, "about €48k a day (at least €40)"),
        (-3_000_00, 0, "nothing now"),
        (195_875, 195_875, "at least €1,950 a day"),
        (195_875, 250_000, "at least €1,950 a day"),
        (42, 42, "at least €0.42 a day"),
    ],
)
def test_a_loss_is_printed_with_what_is_sure_of_it(expected: int, at_least: int, told: str) -> None:
    assert notices.loss(expected, at_least, "EUR", 2) == told


@given(expected=st.integers(1, 10**12), part=st.floats(0.001, 1), digits=st.integers(0, 4))
def test_what_is_sure_is_printed_as_no_more_than_what_is_expected(expected: int, part: float, digits: int) -> None:
    least = min(expected, max(1, round(expected * part)))
    told = notices.loss(expected, least, "EUR", digits)
    sizes = [_number(text) for text in told.replace(")", "").split("€")[1:]]
    assert len(sizes) == (1 if told.startswith("at least") else 2)
    assert sizes[-1] <= sizes[0]
    assert least * 0.9 < sizes[-1] * 10**digits <= least * (1 + 1e-12)  # rounded down, to two digits


def _number(text: str) -> float:
    digits = text.split(" ")[0].replace(",", "")
    scale = {"k": 1e3, "M": 1e6}.get(digits[-1], 1.0)
    return float(digits.rstrip("kM")) * scale


@pytest.mark.parametrize(
    ("metric", "relative", "se", "told"),
    [
        ("order", -0.0213, 0.0083, "Orders were 2.1% lower over 6 hours, give or take 1.6%"),
        ("revenue", -0.02, 0.012, "Revenue was 2.0% lower over 6 hours, give or take 2.4%"),
        ("click", 0.031, 0.011, "Clicks were 3.1% higher over 6 hours, give or take 2.2%"),
        ("add_to_cart", -0.4, None, "Add-to-carts were 40% lower over 6 hours; how far that may be off is not known"),
        ("order", -0.0002, 0.6, "Orders were about the same over 6 hours, give or take 120%"),
        ("order", -0.016268, 0.0083, "Orders were 1.6% lower over 6 hours, give or take 1.6%"),
        ("order", math.nan, 0.1, "Orders cannot be compared over 6 hours"),
        ("order", -0.05, 0.0, "Orders were 5.0% lower over 6 hours"),
    ],
)
def test_a_change_is_a_size_with_what_it_can_be_off_at_95_percent(
    metric: Metric, relative: float, se: float | None, told: str
) -> None:
    assert notices.change(metric, relative, se, "6h") == told


def test_a_title_says_what_an_incident_is() -> None:
    def told(**more: object) -> str:
        return notices.title(replace(incident(), **more), currency="EUR", digits=2, names=NAMES)  # type: ignore[arg-type]

    assert told() == "Homepage is losing about €48k a day (at least €17k)"
    assert told(module="") == "The whole site is losing about €48k a day (at least €17k)"
    assert told(expected=0.0, at_least=0.0) == "Homepage is losing nothing now"
    assert told(state="resolved", held=True) == "Homepage: over, after a loss of about €12k"
    assert told(family="data") == "Homepage: signals fail, so its money alerts are held"
    assert told(held=True) == "Homepage: a loss that is not believed while a signal check fails"


def test_every_word_of_the_closed_lists_has_a_name() -> None:
    assert set(notices.METRICS) == set(METRICS)
    assert set(notices.SEVERITIES) == set(SEVERITIES)
    assert set(notices.RESOLUTIONS) == set(inbox.CODES) == set(get_args(Resolution))
    assert set(inbox.ACTIONS) == set(get_args(ActKind))


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (timedelta(seconds=3), "1 minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=47), "1 day"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_an_age_is_whole_and_rounded_down(age: timedelta, told: str) -> None:
    assert inbox.ago(age) == told


def test_a_headline_leaves_out_what_is_zero() -> None:
    assert inbox.incidents(0, 0, "EUR", 2) == "No incident"
    assert inbox.incidents(1, 4_812_300, "EUR", 2) == "1 incident (€48k/day)"
    assert inbox.incidents(2, -5, "EUR", 2) == "2 incidents"
    assert inbox.headline("No incident", [(0, "held"), (2, "watched")]) == "No incident · 2 watched"


@pytest.mark.parametrize(
    ("value", "told"), [(31.4, "31"), (0.0213, "0.021"), (2e6, "over a million"), (1234.0, "1,200")]
)
def test_evidence_has_two_digits(value: float, told: str) -> None:
    said = f"{told}, where 20 is enough" if value >= 20 else f"{told} of the 20 it takes"
    assert inbox.evidence(value, 20.0, "") == said
    assert inbox.evidence(value, 20.0, "a baseline") == "waits for a baseline"


def test_no_word_is_one_that_readers_misread() -> None:
    texts = [
        str(value) for module in (inbox, notices) for value in vars(module).values() if isinstance(value, str | dict)
    ]
    assert not [word for word in NOT_FOR_READERS if any(word in text for text in texts)]
