"""What `truelift readout` prints for a person."""

import re

import pytest
from rich.console import Console

from analysis.exports.terminal import for_a_person
from analysis.readout import Readout
from tests.helpers.readouts import example, examples


def _printed(readout: Readout, width: int = 200) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False, highlight=False, quiet=True)
    console.quiet = False
    with console.capture() as captured:
        console.print(for_a_person(readout))
    return captured.get()


@pytest.mark.parametrize("name", examples())
def test_the_verdict_comes_before_any_number(name: str) -> None:
    readout, text = example(name), _printed(example(name))
    assert text.index(readout.verdict.sentence) < text.index("Arms")
    if not readout.withheld:
        assert text.index(readout.verdict.sentence) < text.index("Metrics")
    for each in readout.verdicts:
        assert each.verdict.sentence in text


def test_rows_are_the_readouts_and_the_limit_stands_beside() -> None:
    text = _printed(example("SHIP"))
    row = next(line for line in text.splitlines() if line.startswith("Share of order lines sent back"))
    assert re.split(r"\s{2,}", row.strip()) == [
        "Share of order lines sent back", "8.1%", "8.02%", "−1.0% (−6.7% to +4.7%)",
        "● Inside its limit (at most +4.2%, limit 10%)",
    ]  # fmt: skip
    assert "▲ Homepage, Decor: revenue per user +€3,200 (+€1,400 to +€5,100) a day" in text


def test_a_missing_number_says_why() -> None:
    text = _printed(example("TOO_EARLY"))
    row = next(line for line in text.splitlines() if line.startswith("Share of order lines sent back"))
    assert "its first order lines mature on 15 December 2026" in row
    assert "not determined" in row


def test_withheld_prints_cause_arms_and_checks_and_no_number_of_a_metric() -> None:
    text = _printed(example("WITHHELD"))
    assert "The data team must find the lost exposures." in text
    assert "60,000" in text
    assert "€" not in text
    assert "revenue" not in text.lower()
    assert not re.search(r"[+−][0-9]", text)


def test_arms_are_named_only_where_there_are_several() -> None:
    assert "als_v2, Homepage" not in _printed(example("SHIP"))
    assert "mens, Homepage, Decor" in _printed(example("TWO_TREATMENTS"))


def test_it_fits_a_narrow_terminal() -> None:
    assert max(len(line) for line in _printed(example("TWO_TREATMENTS"), width=80).splitlines()) <= 80


def test_the_verdict_is_named_as_people_write_it() -> None:
    assert "CAN'T TELL" in _printed(example("CANT_TELL"))
    assert "NO MATERIAL EFFECT" in _printed(example("NO_MATERIAL_EFFECT"))
