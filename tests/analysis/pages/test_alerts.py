"""The alerts inbox: what is open by money, what may be done about it, why the rest is not there, and who looks."""

import getpass
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analysis.alerts.course.acts import Act
from analysis.alerts.course.inhibition import NOT_THE_RECOMMENDER
from analysis.alerts.job import stored
from analysis.alerts.job.report import CODES, GOOD, UNDELIVERED
from analysis.alerts.model import Cell, Incident, Severity
from analysis.alerts.notices import heartbeat
from analysis.pages import components
from analysis.words import NOT_FOR_READERS
from experiments.shop import open_shop
from experiments.store import Store
from experiments.store.alerts import AlertNotice, AlertStep
from tests.analysis.pages.conftest import plain, said, visit
from tests.helpers import published
from tests.helpers.alert_measures import HOLDOUT, HOME, START, STEP, Made, publish
from tests.helpers.alert_shop import RAN, shop, week
from tests.helpers.incidents import AT, EVERYBODY, TRIAL, evaluation, incident
from tests.helpers.readouts import example

NOW = RAN + timedelta(minutes=12)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(components, "now", lambda: NOW)
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    monkeypatch.setenv("TRUELIFT_HOME", str(tmp_path / "shop"))
    st.cache_data.clear()
    return tmp_path / "shop"


def full(home: Path) -> Path:
    incidents, evaluations, silences = week()
    return shop(home, incidents, evaluations, silences=silences)


def heads(client: AppTest) -> list[str]:
    """The incidents on the page, in order, without markup."""
    found = [str(each.value) for each in client.html if 'class="incident"' in str(each.value)]
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", each)).strip() for each in found]


def button(client: AppTest, key: str) -> AppTest:
    """The page after the form's button was pressed."""
    [found] = [each for each in client.button if each.form_id == key]
    return found.click().run()


def acts(home: Path) -> tuple[Act, ...]:
    with Store.open(open_shop(home).store_url) as store:
        return stored.acts(store)


# --- what is there -----------------------------------------------------------------------------------------------


def test_the_headline_counts_incidents_with_their_money(home: Path) -> None:
    full(home)
    assert visit("alerts").title[0].value == "2 incidents (€48k/day) · 1 silenced · 1 watched"


def test_an_open_incident_says_what_it_costs_since_when_and_where_to_look(home: Path) -> None:
    full(home)
    first, second = heads(visit("alerts"))
    assert first.startswith("▼ Page Open, to look at now Homepage is losing about €48k a day (at least €17k)")
    for part in (
        "Decor on homepage: add-to-carts were 2.1% lower over 6 hours, give or take 1.6% (everybody against holdout "
        "global_h2).",
        "Expected loss a day about €48k At least €17k Lost so far about €12k Since 14 December 2026, 01:00 UTC",
        "The last change there: home_als_v2, launched 1 December 2026.",
        "Readout of holdout.global_h2 · Link to this incident",
    ):
        assert part in first, first
    assert second.startswith(
        "■ Ticket Open, for the next working day Product page: signals fail, so its money alerts are held"
    )
    assert "€" not in second
    assert "%" not in second


@pytest.mark.parametrize(
    ("tab", "starts"),
    [
        ("watch", ["○ Watch Cart is losing about €310 a day"]),
        ("silenced", ["■ Ticket Silenced Email is losing about €2,500 a day"]),
        ("resolved", ["● Page Resolved Search: over", "● Page Resolved Cart: over"]),
    ],
)
def test_each_tab_has_its_own_and_is_an_address(home: Path, tab: str, starts: list[str]) -> None:
    full(home)
    found = heads(visit("alerts", {"tab": tab}))
    assert len(found) == len(starts)
    for head, start in zip(found, starts, strict=True):
        assert head.startswith(start), head
        assert not [word for word in NOT_FOR_READERS if word in head.lower()]


def test_open_incidents_stand_by_money(home: Path) -> None:
    many = [incident(f"{at}" * 12, module=f"m{at}", expected=at * 1_000_00.0, at_least=0.0) for at in (2, 9, 5)]
    shop(home, many)
    assert [re.findall(r"M\d", head)[0] for head in heads(visit("alerts"))] == ["M9", "M5", "M2"]


def whole_and_part(severity: Severity) -> tuple[Incident, ...]:
    """A drop of the whole site, and a module in it that would cost more."""
    made = []
    for key, cell, expected in (("1", Cell(), 48_000_00.0), ("2", Cell("cart"), 90_000_00.0)):
        member = evaluation(cell, severity=severity, comparison=EVERYBODY, expected=expected)
        made.append(incident(key * 12, module=cell.module, severity=severity, members=(member,), expected=expected))
    return tuple(made)


def test_an_incident_that_another_one_tells_stands_last_and_is_not_summed(home: Path) -> None:
    shop(home, whole_and_part("ticket"))
    client = visit("alerts")
    assert client.title[0].value == "1 incident (€48k/day) · 1 within another"
    first, last = heads(client)
    assert first.startswith("■ Ticket Open, for the next working day The whole site is losing")
    assert last.startswith("■ Ticket Part of another incident Cart is losing")


@pytest.mark.parametrize("by", ["1" * 12, NOT_THE_RECOMMENDER])
def test_a_part_leads_to_its_whole(home: Path, by: str) -> None:
    whole, part = whole_and_part("ticket")
    shop(home, (whole, replace(part, inhibited_by=by)))
    heads_ = [str(each.value) for each in visit("alerts").html if 'class="incident"' in str(each.value)]
    assert "The incident that it is part of" not in heads_[0]
    assert '<a href="alerts?incident=111111111111">The incident that it is part of</a>' in heads_[1]


def test_a_part_of_what_is_gone_leads_nowhere(home: Path) -> None:
    _, part = whole_and_part("ticket")
    shop(home, (replace(part, inhibited_by="nothing"),))
    assert "The incident that it is part of" not in said(visit("alerts"))


def test_a_part_of_what_is_watched_is_watched(home: Path) -> None:
    shop(home, whole_and_part("watch"))
    client = visit("alerts")
    assert client.title[0].value == "No incident · 1 within another · 1 watched"
    assert heads(client) == []
    first, last = heads(visit("alerts", {"tab": "watch"}))
    assert first.startswith("○ Watch The whole site is losing")
    assert last.startswith("○ Watch Part of another incident Cart is losing")


def test_what_is_held_shows_no_number(home: Path) -> None:
    incidents, evaluations, _ = week()
    held = replace(incidents[0], held=True, members=tuple(replace(m, held_by=("SH-02",)) for m in incidents[0].members))
    shop(home, [held], evaluations)
    client = visit("alerts")
    [head] = heads(client)
    assert "Homepage: a loss that is not believed while a signal check fails" in head
    assert "Held: SH-02 fails there, so its numbers are not believed; the data alert is raised instead." in head
    table = next(str(each.value) for each in client.html if "data-label" in str(each.value))
    for text in (head, table):
        assert not re.search(r"€|%", text), text
    assert client.title[0].value == "No incident · 1 held"


def test_what_is_over_stands_in_the_past(home: Path) -> None:
    one = evaluation(Cell("cart"), comparison=TRIAL)
    hints = ("It is lost in home_als_v2: stopping the experiment ends it.",)
    shop(home, [incident("7" * 12, module="cart", state="resolved", members=(one,), hints=hints, window="none")])
    client = visit("alerts", {"tab": "resolved"})
    [head] = heads(client)
    assert "Only the sessions in als_v2 lost; shipped to everybody it would have lost about €48k a day." in head
    assert "stopping" not in head
    table = next(str(each.value) for each in client.html if "data-label" in str(each.value))
    assert "Lost a day" in table
    assert "Loses a day" not in table


def test_what_is_expected_and_sure_alike_is_one_amount(home: Path) -> None:
    one = evaluation(Cell("cart"), expected=1_958_75.0, at_least=1_958_75.0)
    shop(home, [incident("7" * 12, module="cart", members=(one,), expected=1_958_75.0, at_least=1_958_75.0)])
    [head] = heads(visit("alerts"))
    assert "Cart is losing at least €1,950 a day" in head
    assert "Loss a day at least €1,950 Lost so far" in head
    assert "Expected" not in head
    assert "€2,000" not in head


def test_a_link_shows_one_incident_wherever_it_stands(home: Path) -> None:
    full(home)
    client = visit("alerts", {"incident": "5" * 12})
    [head] = heads(client)
    assert "Email is losing" in head
    assert "Only this incident is shown." in said(client)
    gone = visit("alerts", {"incident": "nothing"})
    assert "Incident nothing is not kept here." in said(gone)
    assert len(heads(gone)) == 2


def test_the_overview_says_what_is_lost_and_leads_here(home: Path) -> None:
    published.shop(home, [example("SHIP")])
    assert visit("overview").title[0].value == "1 decision waiting"
    full(home)
    client = visit("overview")
    assert client.title[0].value == "1 decision waiting · 2 incidents (€48k/day)"
    assert any('href="alerts"' in str(each.value) for each in client.html)


def test_the_overview_says_that_nobody_looks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published.shop(home, [example("SHIP")])
    full(home)
    monkeypatch.setattr(components, "now", lambda: RAN + timedelta(hours=3))
    assert visit("overview").title[0].value.endswith("2 incidents (€48k/day) · monitoring is down")


# --- who looks ---------------------------------------------------------------------------------------------------


def test_before_the_first_run_it_says_what_to_do(home: Path) -> None:
    shop(home, [], ran=None)
    client = visit("alerts")
    assert client.title[0].value == "The alerts never ran"
    assert "truelift tick" in client.code[0].value
    assert "loss_budget" not in said(client)
    assert visit("overview").title[0].value == "No experiment is registered yet"


def test_a_quiet_shop_says_so(home: Path) -> None:
    shop(home, [])
    client = visit("alerts")
    assert client.title[0].value == "No incident"
    assert "Nothing loses money beyond doubt." in said(client)
    assert "No place was read yet." in said(client)
    assert "● Last looked 12 minutes ago, at data to 14 December 2026, 06:00 UTC." in said(client)
    assert "Monitoring is down" not in said(client)


def test_only_a_run_that_looked_is_a_heartbeat_whatever_it_found(home: Path) -> None:
    shop(home, [], ran=None)
    with Store.open(open_shop(home).store_url) as store:
        for code in (*GOOD, UNDELIVERED, *heartbeat.BLIND):
            store.alerts.end(store.alerts.begin(RAN, AT), finished_at=RAN, code=code, body="{}")
            looked = store.alerts.last_ended(but=heartbeat.BLIND)
            assert looked is not None
            assert looked.code == (UNDELIVERED if code in heartbeat.BLIND else code)
    assert {*GOOD, UNDELIVERED, *heartbeat.BLIND} == set(CODES)


def test_monitoring_that_is_down_is_a_banner(home: Path) -> None:
    shop(home, [], code=5, error="the warehouse is busy")
    client = visit("alerts")
    assert any('role="alert"' in str(each.value) for each in client.html)
    assert "Monitoring is down" in said(client)
    assert "No run has looked at anything yet. The newest one failed: the warehouse is busy" in said(client)


def test_a_failing_run_after_a_good_one_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(home, [])
    with Store.open(open_shop(home).store_url) as store:
        number = store.alerts.begin(RAN + timedelta(hours=2), AT)
        store.alerts.end(number, finished_at=RAN + timedelta(hours=2), code=3, body='{"error": "no bucket is due"}')
    monkeypatch.setattr(components, "now", lambda: RAN + timedelta(hours=4))
    told = said(visit("alerts"))
    assert "looked at data to 14 December 2026, 06:00 UTC; since then no data came." in told
    assert "It said: no bucket is due" in told
    with Store.open(open_shop(home).store_url) as store:
        number = store.alerts.begin(RAN + timedelta(hours=3), AT)
        store.alerts.end(number, finished_at=RAN + timedelta(hours=3), code=1, body='{"error": "no disk"}')
    told = said(visit("alerts"))
    assert "4 hours ago, and one is due every hour" in told
    assert "The newest run failed: no disk" in told


def test_what_is_wrong_with_the_settings_and_the_outbox_is_said(home: Path) -> None:
    shop(home, [], money="schema_version: 1\n")
    with Store.open(open_shop(home).store_url) as store:
        kept = store.alerts.standing()
        assert kept is not None
        told = AlertNotice("1" * 12, "open:page:1", "mail", AT, "{}")
        store.alerts.commit(AlertStep((), (), kept, (told,)), expected=kept.at)
        store.alerts.release({told.key: "{}"})
    words = said(visit("alerts"))
    assert "money.yml has no loss_budget, so no loss can be judged." in words
    assert "1 notice is not delivered yet." in words
    (home / "money.yml").write_text("loss_budget: many\n", encoding="utf-8")
    assert "loss_budget" in said(visit("alerts"))
    (home / "money.yml").write_text('loss_budget: "100"\n', encoding="utf-8")
    assert "Pages are off: the most that is told is a ticket" in said(visit("alerts"))


def test_what_is_wrong_with_who_is_told_is_said_above_the_incidents(home: Path) -> None:
    full(home)
    (home / "notify.yml").write_text("version: 3\nurl: x\n", encoding="utf-8")
    parts = [str(each.value) for each in visit("alerts").html]
    [wrong] = [at for at, part in enumerate(parts) if "3 is none of 1" in part]
    assert "url is not a known field" in parts[wrong]
    assert "notify.yml" in parts[wrong]
    assert wrong < min(at for at, part in enumerate(parts) if 'class="incident"' in part)
    assert not [part for part in parts if "Nobody is told of an incident" in part]


def test_what_is_wrong_with_who_is_told_is_said_beside_what_is_wrong_with_money(home: Path) -> None:
    shop(home, [], money="loss_budget: many\n")
    (home / "notify.yml").write_text("version: 3\n", encoding="utf-8")
    words = said(visit("alerts"))
    assert "loss_budget" in words
    assert "3 is none of 1" in words


def test_a_shop_without_a_holdout_hears_what_a_replay_cannot_show_and_what_it_may_do(home: Path) -> None:
    shop(home, [], money='loss_budget: "100"\n')
    words = said(visit("alerts"))
    for part in (
        "Pages are off: the most that is told is a ticket, and no holdout is published",
        "how many pages would have been false is not known, which is not none",
        "on your own responsibility",
        "an experiment's evidence (e ≥ 20, always valid) needs no replay",
    ):
        assert part in words, words
    assert "alerts replay shows" not in words
    with Store.open(open_shop(home).store_url) as store:
        publish(store, Made(HOLDOUT, cells=(HOME,)), START + STEP)
    words = said(visit("alerts"))
    assert "truelift alerts replay shows how many would have been false." in words
    assert "no holdout is published" not in words


def test_what_the_alerts_do_not_do_yet_stands_below_the_incidents(home: Path) -> None:
    full(home)
    parts = [str(each.value) for each in visit("alerts").html]
    last = max(at for at, part in enumerate(parts) if 'class="incident"' in part)
    [remark] = [
        at
        for at, part in enumerate(parts)
        if "Nobody is told of an incident: there is no notify.yml that names" in part
    ]
    assert remark > last
    (home / "notify.yml").write_text("truelift: {stdout: true}\n", encoding="utf-8")
    assert "Nobody is told of an incident" not in said(visit("alerts"))


# --- what may be done --------------------------------------------------------------------------------------------


def test_acknowledged_is_written_down_and_shown_at_once(home: Path) -> None:
    full(home)
    client = visit("alerts")
    client.text_input(key="why-ack-111111111111").input("Looking into the deploy")
    client = button(client, "ack-111111111111")
    assert acts(home) == (Act("ack", "ann", NOW, "Looking into the deploy", "1" * 12),)
    assert "Acknowledged: Homepage is losing about €48k a day (at least €17k)." in said(client)
    assert "The page shows it already; what is told follows it from the next run on." in said(client)
    assert heads(client)[0].startswith("▼ Page Acknowledged Homepage")
    assert "Acknowledged by ann on 14 December 2026, 06:17 UTC: Looking into the deploy" in heads(client)[0]
    assert "ack-111111111111" not in {each.form_id for each in client.button}
    assert "Acknowledged: Homepage" not in said(client.run())


def test_silenced_it_moves_to_its_tab_until_it_expires(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full(home)
    client = visit("alerts")
    client.selectbox(key="for-silence-111111111111").select("3 days")
    client.text_input(key="why-silence-111111111111").input("A planned price change")
    client = button(client, "silence-111111111111")
    [act] = acts(home)
    assert (act.kind, act.reason, act.expires_at) == ("silence", "A planned price change", NOW + timedelta(days=3))
    assert client.title[0].value == "1 incident · 2 silenced · 1 watched"
    silenced = heads(visit("alerts", {"tab": "silenced"}))
    assert any("Homepage" in head and "Silenced until 17 December 2026, 06:17 UTC" in head for head in silenced)
    monkeypatch.setattr(components, "now", lambda: NOW + timedelta(days=3, minutes=1))
    assert any("Homepage" in head for head in heads(visit("alerts")))


def test_a_silence_can_be_ended(home: Path) -> None:
    full(home)
    client = visit("alerts", {"tab": "silenced"})
    client.text_input(key="why-unsilence-555555555555").input("It is over earlier")
    client = button(client, "unsilence-555555555555")
    assert [act.kind for act in acts(home)] == ["unsilence"]
    assert "3 incidents" in client.title[0].value


def test_resolved_with_a_code_it_counts_for_its_rule(home: Path) -> None:
    full(home)
    client = visit("alerts")
    client.radio(key="code-resolve-111111111111").set_value("An expected change")
    client.text_input(key="why-resolve-111111111111").input("The price rose")
    client = button(client, "resolve-111111111111")
    [act] = acts(home)
    assert (act.kind, act.code, act.reason) == ("resolve", "expected_change", "The price rose")
    assert client.title[0].value == "1 incident · 1 silenced · 1 watched"
    resolved = "Resolved by ann on 14 December 2026, 06:17 UTC as an expected change: The price rose"
    assert any(resolved in head for head in heads(visit("alerts", {"tab": "resolved"})))
    assert any("It was an expected change." in head for head in heads(visit("alerts", {"tab": "resolved"})))


def test_what_was_over_by_itself_can_be_given_a_code_once(home: Path) -> None:
    full(home)
    client = visit("alerts", {"tab": "resolved"})
    assert {each.form_id for each in client.button} == {"resolve-666666666666"}
    client.radio(key="code-resolve-666666666666").set_value("No cause found")
    client.text_input(key="why-resolve-666666666666").input("Nobody saw anything")
    client = button(client, "resolve-666666666666")
    assert [act.code for act in acts(home)] == ["no_cause_found"]
    assert not client.button


def test_without_a_reason_or_code_nothing_is_written(home: Path) -> None:
    full(home)
    client = visit("alerts")
    for key, missing in {
        "ack-111111111111": ["“Why” is empty: say why you acknowledge it."],
        "silence-111111111111": ["“Why” is empty: say why you silence it."],
        "resolve-111111111111": [
            "“What was it?” is not answered: choose one.",
            "“Why” is empty: say why you resolve it.",
        ],
    }.items():
        client = button(client, key)
        assert [plain(each.value) for each in client.error] == missing
    assert acts(home) == ()
    assert client.title[0].value == "2 incidents (€48k/day) · 1 silenced · 1 watched"


def test_a_refusal_speaks_of_what_the_form_offers(home: Path) -> None:
    one = evaluation(Cell("cart"), comparison=TRIAL)
    shop(home, [incident("3" * 12, module="cart", members=(one,))])
    client = visit("alerts")
    client.radio(key="code-resolve-333333333333").set_value("An expected change")
    client.text_input(key="why-resolve-333333333333").input("We knew")
    client = button(client, "resolve-333333333333")
    [wrong] = [plain(each.value) for each in client.error]
    assert wrong.startswith("It is not “An expected change”: the loss is of experiment home_als_v2, and")
    assert "resolve it as “A real regression”, “A data issue”, “No cause found”" in wrong
    assert "--decision roll_back --reason" in wrong
    assert "expected_change" not in wrong
    assert acts(home) == ()


def test_an_act_is_signed_by_whoever_the_field_names(home: Path) -> None:
    full(home)
    client = visit("alerts")
    assert client.text_input(key="name-ack-111111111111").value == "ann"  # as the command line signs
    client.text_input(key="name-ack-111111111111").input(" mara ")
    client.text_input(key="why-ack-111111111111").input("On it")
    client = button(client, "ack-111111111111")
    assert [act.author for act in acts(home)] == ["mara"]
    client.text_input(key="name-silence-111111111111").input(" ")
    client.text_input(key="why-silence-111111111111").input("On it")
    client = button(client, "silence-111111111111")
    assert [plain(each.value) for each in client.error] == ["“Your name” is empty: say who does it."]
    assert len(acts(home)) == 1


def test_where_nobody_knows_who_has_the_program_open_the_name_is_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr(getpass, "getuser", nobody)
    full(home)
    assert visit("alerts").text_input(key="name-ack-111111111111").value == ""


# --- why not -----------------------------------------------------------------------------------------------------


def test_a_cell_says_why_nobody_was_alerted(home: Path) -> None:
    full(home)
    told = said(visit("alerts", {"cell": "pdp/rugs"}))
    assert "Rugs on product page looks 5% down, but with 1,500 sessions a day one week can be off by ±27%." in told
    assert "If real it costs €42 a day." in told


def test_a_cell_that_is_told_or_held_says_so(home: Path) -> None:
    full(home)
    told = said(visit("alerts", {"cell": "homepage/decor"}))
    assert "Add-to-carts Everybody against holdout global_h2 It is told." in told
    held = said(visit("alerts", {"cell": "pdp"}))
    assert "Held: SH-02 fails there, so its numbers are not believed. The data alert is raised." in held
    assert "The address asks for the place moon" in said(visit("alerts", {"cell": "moon"}))


# --- manners -----------------------------------------------------------------------------------------------------


def test_a_name_is_never_markup(home: Path) -> None:
    odd = incident("1" * 12, module="<img src=x onerror=alert(1)>", hints=("<script>alert(2)</script>",))
    shop(home, [odd], odd.members)
    for each in visit("alerts").html:
        assert "<img src=x" not in str(each.value)
        assert "<script>" not in str(each.value)


def test_a_shop_that_is_none_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRUELIFT_HOME", str(tmp_path / "nowhere"))
    assert visit("alerts").title[0].value == "No shop yet"
