"""The overview says what waits for a decision, and each row leads to its readout."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.readout import Because
from tests.analysis.pages.conftest import OpenPage, said, visit
from tests.helpers import published
from tests.helpers.readouts import CASES, example, examples


def rows(client: AppTest) -> list[str]:
    table = next(element.value for element in client.html if "overview" in str(element.value)[:30])
    return re.findall(r"<tr.*?</tr>", str(table))[1:]


def text(row: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row))


def test_headline_counts_decisions_runs_and_blocks(open_page: OpenPage) -> None:
    client = open_page("overview", [example(code) for code in ("SHIP", "STOP", "HOLD", "TOO_EARLY", "WITHHELD")])
    assert client.title[0].value == "2 decisions waiting · 2 still running · 1 blocked"


def test_finished_run_without_a_verdict_waits_for_somebody(open_page: OpenPage) -> None:
    client = open_page("overview", [example("CANT_TELL", mode="finished")])
    assert client.title[0].value == "1 decision waiting"


def test_an_a_a_test_that_found_nothing_waits_for_nobody(open_page: OpenPage) -> None:
    undecided = example("CANT_TELL", mode="finished")
    same = {"sentence": "As it should be: no difference found (between −5.0% and +8.6% on revenue per user)."}
    healthy = undecided.model_copy(update={"verdict": undecided.verdict.model_copy(update=same)})
    client = open_page("overview", [healthy])
    assert client.title[0].value == "No decision waiting · 1 as it should be"
    assert "● As it should be" in text(rows(client)[0])
    breached = Because(rule="guardrail_breached", metric="oos", words="Meanwhile it looks worse.")
    harmed = healthy.verdict.model_copy(update={"because": (breached,)})
    other = healthy.experiment.model_copy(update={"key": "other"})
    client = open_page(
        "overview",
        [healthy.model_copy(update={"verdict": harmed, "experiment": other, "snapshot_id": "f" * 16})],
    )
    assert client.title[0].value == "1 decision waiting · 1 as it should be"


def test_rows_stand_by_money_at_stake_and_say_their_range(open_page: OpenPage) -> None:
    found = [text(row) for row in rows(open_page("overview", examples().values()))]
    named = [next(case.name for case in CASES.values() if case.name in row) for row in found]
    assert named[0] == "Cart bundles"  # 16,600 a day
    assert named[-1] == "E-mail top picks"  # withheld: no number is known
    assert "▼ Stop" in found[0]
    assert "−17.3% to −5.1% Revenue per user" in found[0]
    assert "−€25,700 to −€7,600 a day" in found[0]
    assert "Day 5 of 28" in found[0]
    assert "23 days left" in found[0]
    assert "recs-team" in found[0]


def test_withheld_row_has_no_number(open_page: OpenPage) -> None:
    found = rows(open_page("overview", [example("WITHHELD")]))
    assert "Blocked: sample ratio" in text(found[0])
    assert "%" not in re.sub(r'style="[^"]*"', "", found[0])
    assert "€" not in found[0]


def test_each_row_links_to_its_readout(open_page: OpenPage) -> None:
    found = rows(open_page("overview", [example("SHIP"), example("HOLD")]))
    links = {match.group(1) for row in found if (match := re.search(r'href="([^"]+)"', row))}
    assert links == {"readout?experiment=home_als_v2", "readout?experiment=pdp_similar_v3"}


def test_old_reading_of_a_running_experiment_is_greyed_with_its_age(open_page: OpenPage) -> None:
    fresh = example("SHIP")  # data to 15 December
    old = example("STOP")  # data to 6 December, read on 16 December
    over = example("STOP", mode="finished", experiment=old.experiment.model_copy(update={"key": "over"}))
    found = {match.group(1): row for row in rows(open_page("overview", [fresh, old, over.model_copy(
        update={"snapshot_id": "f" * 16})])) if (match := re.search(r"experiment=(\w+)", row))}  # fmt: skip
    assert "class=old" in found["cart_bundles"]
    assert "data 10 days old" in text(found["cart_bundles"])
    assert "class=old" not in found["home_als_v2"]
    assert "class=old" not in found["over"]


def test_experiment_without_a_reading_says_what_to_do(open_page: OpenPage) -> None:
    client = open_page("overview", [], unread=[published.definition(example("SHIP"))])
    assert client.title[0].value == "No decision waiting · 1 without a reading yet"
    assert "run `truelift refresh home_als_v2`" in said(client)


def test_empty_shop_gives_the_commands(open_page: OpenPage) -> None:
    client = open_page("overview", [])
    assert client.title[0].value == "No experiment is registered yet"
    assert "truelift register" in client.code[0].value
    assert "truelift refresh" in client.code[0].value


def test_no_shop_at_all_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRUELIFT_HOME", str(tmp_path / "nowhere"))
    client = visit("overview")
    assert client.title[0].value == "No shop yet"
    assert "truelift init" in client.code[0].value


def test_broken_settings_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "truelift.toml").write_text('currency = "EURO"\n', encoding="utf-8")
    monkeypatch.setenv("TRUELIFT_HOME", str(tmp_path))
    client = visit("overview")
    assert client.title[0].value == "This shop cannot be opened"
    assert "EURO" in said(client)


def test_a_name_is_never_markup(open_page: OpenPage) -> None:
    head = example("SHIP").experiment.model_copy(update={"name": "<img src=x onerror=alert(1)>"})
    assert "<img" not in rows(open_page("overview", [example("SHIP", experiment=head)]))[0]
