"""The readout page says the verdict's own sentence first, and nothing it must not say."""

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis import words
from analysis.drawing import LOOKS
from analysis.readout import Interval, Readout
from experiments.store import Store
from tests.analysis.pages.conftest import OpenPage, cards, charts, plain, said
from tests.helpers import published
from tests.helpers.readouts import CASES, ODD, example, exploratory, odd_names

CODES = sorted(CASES)


def banner(client: AppTest) -> str:
    return next(str(element.value) for element in client.html if "banner" in str(element.value)[:30])


def address(reading: Readout, **more: str) -> dict[str, str]:
    return {"experiment": reading.experiment.key, **more}


@pytest.mark.parametrize("code", CODES)
def test_banner_is_the_verdicts_sentence_green_only_for_ship_in_a_readers_words(open_page: OpenPage, code: str) -> None:
    reading = example(code)
    client = open_page("readout", [reading])
    assert client.title[0].value == reading.experiment.name
    shown = re.search(r"<p>(.*?)</p>", banner(client))
    assert shown is not None
    assert unescape(shown.group(1)) == reading.verdict.sentence
    assert ('class="banner ship"' in banner(client)) == (reading.verdict.code == "SHIP")
    text = said(client).lower()
    assert [word for word in words.NOT_FOR_READERS if word in text] == []
    assert re.findall(r"(?<!\w)-[€\d]", text) == []  # minus is U+2212


@pytest.mark.parametrize("code", ["SHIP", "STOP", "CANT_TELL", "NO_MATERIAL_EFFECT"])
def test_last_point_of_the_band_is_the_card_the_table_and_the_sentence(open_page: OpenPage, code: str) -> None:
    reading = example(code)
    assert reading.metrics is not None
    assert reading.series is not None
    client = open_page("readout", [reading])
    comparison = reading.metrics[0].comparisons[0]
    assert isinstance(comparison.relative, Interval)
    text = words.figures(comparison.relative.est, comparison.relative.lo, comparison.relative.hi, unit="lift")
    decided = comparison.status in ("better", "worse")
    shown = (text.est, text.span) if decided else (text.span, words.inside(LOOKS[comparison.status].word))
    assert cards(client)[0] == ("Revenue per user", *shown)
    assert f"{reading.metrics[0].label} To be improved" in said(client)
    assert text.span in said(client)
    _, band = charts(client)
    last = reading.series["revenue_per_unit"][comparison.arm][-1]
    assert last[1:] == (comparison.relative.est, comparison.relative.lo, comparison.relative.hi)
    assert band.rows[-1]["range"] == text.between


def test_cards_have_ranges_no_arrow_and_no_colour(open_page: OpenPage) -> None:
    client = open_page("readout", [example("SHIP")])
    assert cards(client) == [
        ("Revenue per user", "+7.1%", "+2.4% to +11.8%"),
        ("Worth, if shipped", "+€6,300 a day", "+€2,100 to +€10,400"),
        ("Would have happened anyway", "Cannot answer", "create a 5% holdout"),
        ("Users", "300,037", "day 14 of 28"),
    ]
    for card in client.metric:
        assert card.proto.color == card.proto.MetricColor.GRAY


def test_undecided_card_shows_the_range_and_never_a_zero_in_large_type(open_page: OpenPage) -> None:
    client = open_page("readout", [example("TOO_EARLY")])
    assert cards(client)[:2] == [
        ("Revenue per user", "−20% to +21%", "not clear yet"),
        ("Worth, if shipped", "−€4,400 to +€4,600 a day", "not clear yet"),
    ]


def test_header_says_dates_data_mode_design_and_snapshot(open_page: OpenPage) -> None:
    text = said(open_page("readout", [example("SHIP")]))
    for fact in (
        "home_als_v2, phase 1",
        "since 1 December 2026, planned to 28 December 2026",
        "running, day 14 of 28",
        "data as of 14 December 2026, 23:41 UTC",
        "always-valid ranges",
        "control (popularity) 150,000 users and als_v2 (als) 150,037 users",
        "009cfa8c5a22c493, published 2026-12-15 12:00 UTC",
    ):
        assert fact in text


def test_why_lists_the_reasons_and_every_check(open_page: OpenPage) -> None:
    text = said(open_page("readout", [example("HOLD")]))
    assert "Its range reaches beyond 10%." in text
    assert "Next reading on 22 December 2026." in text
    assert "? unknown Catalogue join. No catalogue was loaded. SH-03, data team" in text
    assert "Sample ratio. The split is the one planned." in text


def test_checks_that_ask_for_something_stand_in_the_open(open_page: OpenPage) -> None:
    client = open_page("readout", [example("HOLD")])
    assert "Can the numbers be trusted? 1 of 3 pass, 1 to look at, 1 unknown" in said(client).replace("\u00a0", " ")
    lists = [str(element.value) for element in client.html if 'class="checks"' in str(element.value)]
    assert ["Catalogue join" in text for text in lists] == [True, False]
    assert ["Sample ratio" in text for text in lists] == [False, True]
    assert client.expander[0].label == "The check that passes and the one that does not apply"


def test_withheld_page_has_cause_owner_fix_checks_and_counts_but_no_chart_or_metric(open_page: OpenPage) -> None:
    reading = example("WITHHELD")
    client = open_page("readout", [reading])
    text = said(client)
    assert "Results withheld: the split is not the one planned" in banner(client)
    assert "Why this verdict" not in text
    assert text.lower().count("the split is not the one planned") == 2  # in the banner and with the check that found it
    assert "The data team must find the lost exposures." in banner(client)
    assert "Sample ratio. The split is not the one planned. Blocks the results. SH-01, data team" in text
    assert "Browser: Safari" in text
    assert "control (popularity) 60,000 users and als_v2 (als) 60,037 users" in text
    assert charts(client) == []
    assert len(client.metric) == 0
    assert "€" not in text
    assert "Revenue per user" not in text


def test_a_split_that_is_off_is_told_in_odds_and_without_the_figure_that_did_not_judge(open_page: OpenPage) -> None:
    reading = example("WITHHELD")
    group = {"group": "Browser: None given", "e": 1.7e280, "p": 1e-300, "units control": 900, "units als_v2": 100}
    split = next(check for check in reading.checks if check.id == "SH-01")
    checks = (split.model_copy(update={"figures": {"judged_by": "e"}, "groups": (group,)}),)
    text = said(open_page("readout", [reading.model_copy(update={"checks": checks})]))
    assert "Group Units als v2 Units control Odds against the plan" in text
    assert "Browser: None given 100 900 > 1,000,000 to 1" in text


@pytest.mark.parametrize("page", ["readout", "where"])
def test_a_name_is_never_markup(open_page: OpenPage, page: str) -> None:
    client = open_page(page, [odd_names()])
    assert plain(client.title[0].value) == ODD
    shown = [element.value for kind in (client.title, client.subheader, client.markdown) for element in kind]
    shown += [text for card in client.metric for text in (card.label, card.value, card.delta)]
    assert sum(ODD in plain(text) for text in shown) >= 2
    for text in shown:
        assert re.search(r"(?<!\\)[$*<>`~\[\]]|(?<!\\):\w", text) is None, text
    assert not any("<b>b" in str(element.value) for element in client.html)


def test_an_exploratory_metric_is_marked_in_chart_and_table(open_page: OpenPage) -> None:
    client = open_page("readout", [exploratory(example("SHIP"), "ctr")])
    assert "Click-through rate (exploratory)" in {row["name"] for row in charts(client)[0].rows}
    assert "Click-through rate (exploratory) Also watched" in said(client)


def test_a_share_differs_by_points(open_page: OpenPage) -> None:
    row = "Click-through rate Also watched 3.4% 3.5%"
    assert re.search(rf"{row} [+−][\d.]+ points to \+[\d.]+ points", said(open_page("readout", [example("SHIP")])))


def test_a_guardrail_names_the_bound_it_is_judged_by(open_page: OpenPage) -> None:
    client = open_page("readout", [example("SHIP")])
    (bound,) = [row["range"] for row in charts(client)[0].rows if row["name"] == "Share of order lines sent back"]
    assert f"● Inside its limit ({bound}, limit 10%)" in said(client)
    assert "A guardrail is judged by one bound" in said(client)


def test_old_reading_says_its_age_and_what_to_do(open_page: OpenPage) -> None:
    text = said(open_page("readout", [example("STOP")]))
    assert "This reading is old: data 10 days old. Load the newer logs and run `truelift refresh cart_bundles`." in text
    assert "This reading is old" not in said(open_page("readout", [example("SHIP")], address=address(example("SHIP"))))


def test_address_chooses_the_experiment_and_the_arm(open_page: OpenPage) -> None:
    reading = example("TWO_TREATMENTS")
    client = open_page("readout", [example("SHIP"), reading], address=address(reading, arm="womens"))
    assert client.title[0].value == "E-mail picks for two tastes"
    womens = next(each.verdict.sentence for each in reading.verdicts if each.arm == "womens")
    assert womens.split(":")[0] in said(client)
    client.segmented_control(key="arm").set_value("mens").run()
    assert reading.verdicts[0].verdict.sentence in said(client)


def test_default_view_writes_itself_into_the_address(open_page: OpenPage) -> None:
    client = open_page("readout", [example("TOO_EARLY"), example("TWO_TREATMENTS")])
    assert client.query_params == {"experiment": "email_subject", "arm": "mens"}  # the most money at stake


def test_address_names_the_only_experiment_and_arm_too(open_page: OpenPage) -> None:
    client = open_page("readout", [example("TOO_EARLY")])
    assert client.query_params == {"experiment": "pdp_bandit", "arm": "als_v2"}  # a link for when there are more


def test_unknown_experiment_names_the_nearest(open_page: OpenPage) -> None:
    client = open_page("readout", [example("SHIP"), example("STOP")], address={"experiment": "home_als_v3"})
    assert client.title[0].value == "No such experiment"
    assert "No experiment home_als_v3 is registered in this shop. Did you mean home_als_v2?" in said(client)
    assert any('href="?experiment=home_als_v2"' in str(element.value) for element in client.html)
    assert charts(client) == []


def test_unknown_arm_is_said_and_the_verdicts_arm_shown(open_page: OpenPage) -> None:
    reading = example("TWO_TREATMENTS")
    client = open_page("readout", [reading], address=address(reading, arm="kids"))
    assert client.info[0].value == (
        "The address asks for the arm kids, which this reading does not have. Shown instead: mens."
    )
    assert "Ship mens" in banner(client)


def test_experiment_without_a_reading_says_what_to_run(open_page: OpenPage) -> None:
    client = open_page("readout", [], unread=[published.definition(example("SHIP"))])
    assert client.title[0].value == "Homepage ALS v2"
    assert "home_als_v2 has no reading yet" in said(client)
    assert "truelift refresh home_als_v2" in client.code[0].value


def test_shared_link_shows_its_snapshot_after_a_newer_one_came(open_page: OpenPage, tmp_path: Path) -> None:
    first = example("CANT_TELL", as_of="2026-12-15T00:00:00Z", published_at="2026-12-15T06:00:00Z")
    client = open_page("readout", [first])
    link = next(code.value for code in client.code if "snapshot=" in code.value)
    assert link.endswith(f"/readout?experiment=home_freshness&phase=1&snapshot={first.snapshot_id}&arm=als_v2")
    later = first.model_copy(
        update={
            "snapshot_id": "b" * 16,
            "as_of": "2026-12-16T00:00:00Z",
            "published_at": "2026-12-16T06:00:00Z",
            "verdict": first.verdict.model_copy(update={"code": "WITHHELD", "sentence": "Newer."}),
            "verdicts": (),
            "metrics": None,
            "slices": None,
            "series": None,
            "questions": None,
        }
    )
    with Store.open(f"sqlite:///{tmp_path / 'shop' / 'registry.sqlite'}") as store:
        published.publish(store, later, published_at=datetime(2026, 12, 16, 6, tzinfo=UTC))
    client.run()
    assert "Newer." in banner(client)
    client.query_params["snapshot"] = first.snapshot_id
    client.run()
    assert first.verdict.sentence in unescape(banner(client))
    text = said(client)
    assert "This is an earlier reading, published on 15 December 2026." in text
    assert "It was superseded on 16 December 2026: the newest reading says Withheld." in text
    assert any('href="?experiment=home_freshness&phase=1"' in unescape(str(each.value)) for each in client.html)


def test_link_to_a_snapshot_that_is_gone_says_so_and_shows_the_newest(open_page: OpenPage) -> None:
    reading = example("SHIP")
    client = open_page("readout", [reading], address=address(reading, snapshot="0" * 16))
    assert client.info[0].value == (
        "The reading 0000000000000000 is not kept here any more. Shown instead: the newest one."
    )
    assert reading.verdict.sentence in banner(client)
    assert "snapshot" not in client.query_params


def test_phases_are_chosen_by_the_address(open_page: OpenPage) -> None:
    first, second = example("CANT_TELL"), example("SHIP").model_copy(
        update={"experiment": example("CANT_TELL").experiment, "phase": 2}
    )  # fmt: skip
    client = open_page("readout", [first, second])
    assert second.verdict.sentence in unescape(banner(client))  # the newest phase
    client = open_page("readout", [], address=address(first, phase="1"))
    assert first.verdict.sentence in unescape(banner(client))
    assert "home_freshness, phase 1" in said(client)


def test_unmeasured_guardrail_keeps_its_row_and_its_reason(open_page: OpenPage) -> None:
    client = open_page("readout", [example("STOP")])  # day 5: returns are not ripe
    forest = {row["name"]: row["range"] for row in charts(client)[0].rows}
    assert forest["Share of order lines sent back"] == "not measured yet"
    assert "Its first order lines mature on 15 December 2026" in said(client)


@pytest.mark.parametrize("code", ["SHIP", "WITHHELD"])
def test_downloads_are_offered_and_named_by_snapshot(open_page: OpenPage, code: str) -> None:
    client = open_page("readout", [example(code)])
    assert [button.proto.label for button in client.get("download_button")] == ["CSV", "JSON", "HTML"]
