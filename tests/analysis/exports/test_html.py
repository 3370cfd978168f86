"""One HTML file: it says what a reader needs, fetches nothing, and a withheld one has no number and no chart."""

import re
from html.parser import HTMLParser

import pytest

from analysis.exports.html import to_html
from analysis.readout import Readout
from tests.helpers.readouts import ODD, example, exploratory, odd_names

NAMES = ("SHIP", "STOP", "WITHHELD", "TOO_EARLY", "TWO_TREATMENTS")


class Page(HTMLParser):
    """The text outside drawings, every address, and every figure's accessible name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.addresses, self.names, self.drawings, self.depth = "", [""], [""], 0, 0
        self.addresses.clear()
        self.names.clear()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.depth += tag == "svg"
        self.drawings += tag == "svg"
        if tag == "figure":
            self.names.append(given.get("aria-label") or "")
        for name in ("href", "src", "xlink:href", "action", "data"):
            if given.get(name):
                self.addresses.append(given[name] or "")
        assert tag not in ("script", "link", "iframe", "img", "object")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "svg"

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.text += data + " "


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: to_html(example(name)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_sentence_the_stamps_and_the_checks_are_there(name: str, pages: dict[str, str]) -> None:
    readout, page = example(name), Page(pages[name])
    for each in readout.verdicts:
        assert each.verdict.sentence in page.text
    assert readout.snapshot_id in page.text
    assert f"rule {readout.verdict_rule}" in page.text
    assert readout.data_as_of is not None
    assert readout.data_as_of in page.text
    assert all(check.sentence in page.text for check in readout.checks)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_fetched(name: str, pages: dict[str, str]) -> None:
    assert not [address for address in Page(pages[name]).addresses if not address.startswith("#")]
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<>)]+", pages[name]))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names of XML, not addresses
    assert "@import" not in pages[name]


def test_every_drawing_has_a_name_that_says_what_it_shows(pages: dict[str, str]) -> None:
    page = Page(pages["SHIP"])
    assert page.drawings == len(page.names) == 4
    assert all(len(name) > 40 for name in page.names)
    assert any("+2.4% to +11.8%" in name or "between +2.4% and +11.8%" in name for name in page.names)


def test_the_table_says_the_rows_of_the_readout(pages: dict[str, str]) -> None:
    text = Page(pages["SHIP"]).text
    assert "+7.1% (+2.4% to +11.8%)" in text
    assert "+€6,300 (+€2,100 to +€10,400)" in text
    assert "▲ Better" in text
    missing = Page(pages["TOO_EARLY"]).text
    assert missing.count("its first order lines mature on 15 December 2026") == 1


def test_metrics_stand_in_groups_and_a_guardrail_names_the_bound_it_is_judged_by(pages: dict[str, str]) -> None:
    text = Page(pages["SHIP"]).text
    places = [text.index(title) for title in ("To be improved", "Guardrails", "Also watched")]
    assert places == sorted(places)
    assert places[1] < text.index("● Inside its limit (at most +4.2%, limit 10%)") < places[2]
    assert "A guardrail is judged by one bound" in text


def test_an_exploratory_metric_is_marked() -> None:
    page = Page(to_html(exploratory(example("SHIP"), "ctr")))
    assert "Click-through rate (exploratory)" in page.text
    assert any("Click-through rate (exploratory): between" in name for name in page.names)
    assert "exploratory" not in to_html(example("SHIP"))


def test_a_withheld_page_has_no_chart_and_no_number_of_a_metric(pages: dict[str, str]) -> None:
    page = Page(pages["WITHHELD"])
    assert page.drawings == 0
    assert "€" not in page.text
    assert "revenue" not in page.text.lower()
    assert not re.search(r"[+−][0-9]", page.text)


def test_green_is_for_ship_alone(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        green = 'class="verdict SHIP"' in page
        assert green == (name in ("SHIP", "TWO_TREATMENTS"))


def test_markup_in_a_name_stays_text() -> None:
    head = example("TOO_EARLY").experiment.model_copy(update={"name": "<script>alert(1)</script>"})
    html = to_html(example("WITHHELD").model_copy(update={"experiment": head}))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_name_is_printed_as_it_is() -> None:
    html = to_html(odd_names())
    page = Page(html)
    assert page.text.count(ODD) >= 3  # title, heading, the metric's row
    assert any(ODD in name for name in page.names)
    assert "<b>b" not in html


def test_the_same_readout_gives_the_same_file() -> None:
    readout: Readout = example("STOP")
    assert to_html(readout) == to_html(readout)
