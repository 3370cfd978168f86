"""A loss on its way: a run evaluates it, real receivers are told, the inbox shows it, a person acts, it is over."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from jsonschema import Draft202012Validator

from analysis.alerts.job import stored
from analysis.alerts.job.report import DONE, UNDELIVERED
from analysis.alerts.job.run import Plan, run
from analysis.alerts.model import Notice
from analysis.alerts.notices.digest import digest
from analysis.alerts.notices.notify import channels
from analysis.alerts.notices.payload import alert_v1
from analysis.alerts.notices.schema import schema
from analysis.pages import components
from experiments.shop import Shop, create
from experiments.store import Store
from tests.analysis.pages.conftest import said, visit
from tests.helpers import receivers
from tests.helpers.alert_runs import HOME, HOUR, START, Scripted

LOSS = Scripted(hours=60, losses=((HOME, "page", 10.0, 28.0),))  # €48,000 a day
MONEY = """
schema_version: 1
loss_budget: "75000"
pages: true
notify_tag: alerts
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = create(tmp_path / "shop")
    made.money_file.write_text(MONEY, encoding="utf-8")
    monkeypatch.setenv("TRUELIFT_HOME", str(made.home))
    st.cache_data.clear()
    return made


def render(notice: Notice) -> dict[str, Any]:
    links = {"inbox": f"https://truelift.shop.example/alerts?incident={notice.incident.incident_id}"}
    return alert_v1(notice, names={}, currency="EUR", digits=2, links=links)


def hour(shop: Shop, store: Store, at: float) -> int:
    """The run of that hour; its exit code."""
    moment = START + at * HOUR
    plan = Plan(LOSS, 60, channels(shop), render)
    return run(store, lambda: plan, as_of=moment, clock=lambda: moment + timedelta(minutes=2)).code


def test_it_is_told_once_by_every_channel_seen_acknowledged_and_over(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(hours: float) -> datetime:
        moment = START + hours * HOUR + timedelta(minutes=5)
        monkeypatch.setattr(components, "now", lambda: moment)
        return moment

    with Store.open(shop.store_url) as store, receivers.web("refuses") as hook, receivers.mail() as post:
        mailto = f"mailto://127.0.0.1:{post.port}?smtp=127.0.0.1&mode=insecure&from=alerts@shop.example"
        (shop.home / "notify.yml").write_text(
            f"urls:\n"
            f"  - json://127.0.0.1:{hook.port}/hook:\n      tag: [alerts, hook]\n"
            f"  - {mailto}&to=on-call@shop.example:\n      tag: [alerts, on_call]\n"
            f"truelift: {{file: told.jsonl}}\n",
            encoding="utf-8",
        )
        codes = [hour(shop, store, each) for each in range(8, 15)]
        assert codes == [DONE] * 3 + [UNDELIVERED] * 4  # told from the second loss on; the webhook takes nothing
        hook.manner = "takes"
        assert hour(shop, store, 15) == DONE
        assert len(hook.bodies) == len(post.mails) == 1
        assert hook.bodies[0]["title"] == "Homepage is losing about €48k a day (at least €16k)"

        at(15)
        client = visit("alerts")
        assert client.title[0].value == "1 incident (€48k/day)"
        [key] = [each.key for each in client.text_input if str(each.key).startswith("why-ack-")]
        client.text_input(key=str(key)).input("Rolling back")
        form = str(key).removeprefix("why-")
        [button] = [each for each in client.button if each.form_id == form]
        assert "Acknowledged: Homepage is losing" in said(button.click().run())
        assert [hour(shop, store, each) for each in range(16, 46)] == [DONE] * 30

        at(45)
        assert visit("alerts").title[0].value == "No incident"
        told = [json.loads(line) for line in (shop.home / "told.jsonl").read_text("utf-8").splitlines()]
        for document in told:
            Draft202012Validator(schema()).validate(document)
        assert [document["notice"]["transition"] for document in told] == ["open:page:1", "resolved:2"]  # no repeat
        assert told[0]["links"]["inbox"].startswith("https://truelift.shop.example/alerts?incident=")
        assert (len(hook.bodies), len(post.mails)) == (2, 2)
        week = digest(
            stored.standing(store), stored.newest_evaluations(store), since=START, until=START + timedelta(days=7),
            currency="EUR", digits=2, names={},
        )  # fmt: skip
        assert "Ended this week: 1 incident" in week
        assert (
            f"Homepage: over, after a loss of about €{48_000 * 17 / 24 / 1000:.0f}k" in week
        )  # from its first to its last hour
        assert "Loss, version 1: nobody has said yet what 1 incident was" in week
