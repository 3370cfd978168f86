"""The registry page: a timeline first, then one experiment in plain words; a broken audit never passes."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import create_engine, text
from streamlit.testing.v1 import AppTest

from analysis import hints
from analysis.pages import components
from experiments.shop import create, open_shop
from experiments.store import Store
from tests.analysis.pages.conftest import NOW, OpenPage, charts, plain, said, visit
from tests.helpers import published
from tests.helpers import registry_shop as shop
from tests.helpers.assigned_shop import Desk
from tests.helpers.readouts import example


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop.full(tmp_path_factory.mktemp("pages") / "shop")


@pytest.fixture(autouse=True)
def _at_nine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "now", lambda: NOW)
    monkeypatch.setenv(hints.CALLED, "./run")
    st.cache_data.clear()


def opened(home: Path, monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    monkeypatch.setenv("TRUELIFT_HOME", str(home))
    asked: Mapping[str, str] = address
    return visit("registry", asked)


def test_a_timeline_first_then_the_experiment_the_address_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened(home, monkeypatch, experiment=shop.RAMPED)
    assert client.title[0].value == "3 running · 1 paused or killed · 1 to be decided · 2 not begun · 1 done"
    timeline, buckets = charts(client)
    assert timeline.name.startswith(
        "Timeline to 16 December 2026 and what is planned. Bundles: ■ Run over, not decided"
    )
    assert "Layer homepage, now: home_als_v3 60%, home_blend 20%, home_new (draft) 10%, free 10%" in buckets.name
    assert client.header[0].value == "Homepage ALS v3"
    told = said(client)
    for sentence in (
        "It tests als_v2 against control on homepage. Users are assigned by truelift.",
        "recs-team owns it. It began on 1 December 2026; its planned end is 29 December 2026.",
        "About 11.4% of the users its targeting lets in are in it now: control 50% and als_v2 50% of those.",
        "Nothing is decided yet.",
        "Only where platform is one of web, ios.",
        "Exploratory: added after the start",
        "home_als_v3.1, md5-32/1",
        "2 units are forced into an arm, and never analysed.",
        "Other layer, drawn with another salt: units are in both, independently. This is allowed.",
        "Same layer, other buckets: no unit is in both.",
        "Its members meet no recommendations in place of this experiment.",
        "./run pause home_als_v3",
        "prices are wrong",
        "state was running now paused",
        "All 32 rows of the audit are as they were written.",
    ):
        assert sentence in told, sentence


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (shop.OLD, "It ran from 1 October 2026 to 21 October 2026."),
        (shop.OLD, "Decided on 21 October 2026: roll back, because: returns rose by 3 %."),
        (shop.OLD, "It is put away: nothing follows."),
        (shop.KILLED, "./run resume pdp_similar"),
        (shop.LATER, "It is to start on 20 December 2026; its planned end is 17 January 2027."),
        (shop.DRAFT, "Only units that are drawn into als_v2 of home_als_v3."),
        (shop.DRAFT, "Not locked before the start"),
        (shop.ELSEWHERE, "Users are assigned by the e-mail tool."),
        (shop.ELSEWHERE, "These are planned shares, not buckets"),
        (shop.OVER, "It began on 1 November 2026, and its schedule ended on 5 December 2026."),
        (shop.OVER, "It waits for a decision."),
        (shop.PHASES, "Phase 5 began on 6 December 2026."),
        (shop.PHASES, "No unit is forced into an arm."),
    ],
)
def test_each_kind_reads_well(home: Path, monkeypatch: pytest.MonkeyPatch, key: str, sentence: str) -> None:
    assert sentence in said(opened(home, monkeypatch, experiment=key))


def test_an_earlier_phase_is_a_link(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened(home, monkeypatch, experiment=shop.PHASES, phase="2")
    told = said(client)
    assert "What was locked when phase 2 began" in told
    assert "als (factors 128)" in told
    assert client.segmented_control(key="phase").value == "2"


def test_the_first_one_that_runs_is_shown_where_the_address_names_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = opened(home, monkeypatch)
    assert client.header[0].value == "Bundles"
    assert client.query_params["experiment"] == shop.OVER


def test_an_unknown_experiment_names_the_nearest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened(home, monkeypatch, experiment="home_als")
    assert client.title[0].value == "No such experiment"
    assert "home_als_v3" in plain(said(client))


def test_a_holdouts_address_leads_to_an_experiment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened(home, monkeypatch, experiment="holdout.global_h2")
    assert client.header[0].value == "Bundles"


def test_a_holdouts_readout_is_linked_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shop.full(tmp_path / "shop")
    links = "".join(str(each.value) for each in opened(home, monkeypatch, experiment=shop.RAMPED).html)
    assert "holdout.global_h2" not in links
    with Store.open(open_shop(home).store_url) as store:
        read = example("SHIP")
        head = read.experiment.model_copy(update={"key": "holdout.global_h2"})
        published.publish(store, read.model_copy(update={"experiment": head}))
    links = "".join(str(each.value) for each in opened(home, monkeypatch, experiment=shop.RAMPED).html)
    assert 'href="readout?experiment=holdout.global_h2"' in links


def test_a_broken_chain_is_a_warning_and_never_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shop.full(tmp_path / "shop")
    engine = create_engine(f"sqlite:///{home / 'registry.sqlite'}")
    with engine.begin() as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"drop trigger {trigger}"))
        connection.execute(text("update audit set reason = 'nothing <b>happened</b>' where number = 11"))
        connection.execute(text("delete from audit where number = 20"))
    engine.dispose()
    client = opened(home, monkeypatch, experiment=shop.RAMPED)
    told = said(client)
    assert "The audit chain is broken" in told
    assert "audit row 11 (pause home_als_v3) was changed after it was written" in told
    assert "audit row 20 is missing" in told
    assert "experiment home_blend: the store counts" in told
    assert "./run verify-audit names every row" in told
    assert "are as they were written" not in told
    alert = next(str(each.value) for each in client.html if 'role="alert"' in str(each.value))
    assert 'class="banner stop"' in alert
    changes = next(str(each.value) for each in client.html if 'class="changes"' in str(each.value))
    assert '<p class="broken">⊘ audit row 11' in changes
    assert "<b>happened" not in changes


def test_fifty_experiments_with_long_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create(tmp_path / "shop")
    with Store.open(made.store_url) as store:
        desk = Desk(store, made)
        for number in range(50):
            buckets, name = f"[[{number * 200}, {number * 200 + 200}]]", f"{number} {'<i>long</i>_' * 18}"
            key = f"one_{number:02}_{'x' * 50}"
            desk.propose(shop.definition(key, "cart", buckets, "2026-12-01T00:00:00Z", name=name))
            desk.start(key, at=number)
    client = opened(tmp_path / "shop", monkeypatch)
    assert client.title[0].value == "50 running"
    assert charts(client)[0].name.count("▶ Running") == 12
    assert "<i>long" not in "".join(str(each.value) for each in client.html)
    client.segmented_control(key="lines").set_value("All 50").run()
    assert not client.exception
    assert charts(client)[0].name.count("▶ Running") == 50


def test_many_changes_and_many_forced_units_can_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create(tmp_path / "shop")
    forced = ", ".join(f"{{unit_id: qa-{number}, variant: blend}}" for number in range(25))
    with Store.open(made.store_url) as store:
        desk = Desk(store, made)
        for number in range(24):
            desk.propose(
                shop.definition("one", "cart", "[[0, 200]]", "2026-12-01T00:00:00Z", name=f"name {number}",
                                more=f"overrides: [{forced}]\n"), at=number,
            )  # fmt: skip
    client = opened(tmp_path / "shop", monkeypatch)
    labels = [each.label for each in client.expander]
    assert labels[-2:] == ["15 more", "5 earlier changes"]  # 24 registrations and one of its layer


def test_a_reading_is_named_and_linked(open_page: OpenPage) -> None:
    reading = example("SHIP")
    client = open_page("registry", [reading])
    assert "says: Ship." in said(client)
    links = "".join(str(each.value) for each in client.html)
    assert 'href="readout?experiment=home_als_v2"' in links


def test_published_and_never_started_here_reads_well(open_page: OpenPage) -> None:
    client = open_page("registry", [], unread=[published.definition(example("SHIP"))])
    assert client.title[0].value == "1 not begun"
    assert "Users are assigned by the shop." in said(client)
    assert "./run start home_als_v2" in said(client)


def test_empty_shop_says_what_to_do_first(open_page: OpenPage) -> None:
    client = open_page("registry", [])
    assert client.title[0].value == "No experiment is registered yet"
    assert "./run register" in client.code[0].value
