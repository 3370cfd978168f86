"""Experiments over HTTP: every step, its refusals, two managers at once, and a configuration that follows at once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast, get_args

import httpx
import pytest
import yaml

from analysis.plan_warnings import adviser
from assignment.event_log import MemorySpool
from assignment.service.manage import ACTIONS, paths
from assignment.service.settings import ServiceSettings
from assignment.service.shop_source import ShopSource
from experiments.shop import create
from experiments.store import DecisionCode, Store
from tests.helpers import past
from tests.helpers.assigned_shop import BEGIN, FLAT, KEY, Desk
from tests.helpers.definitions import HOLDOUT
from tests.helpers.serving import ALL, TOKENS, Served, listening

VALIDATE = "validate"
NOW = BEGIN + timedelta(hours=3)
Body = dict[str, object]


class Source(ShopSource):
    """A shop's definitions with the tests' tokens."""

    def tokens(self) -> list[object]:  # type: ignore[override]
        return list(TOKENS.values())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    shop = create(tmp_path / "shop")
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    with Store.open(shop.store_url) as store:
        yield Desk(store, shop)


@pytest.fixture
def client(desk: Desk) -> Iterator[httpx.Client]:
    served = Served(
        Source(desk.store, desk.shop, lambda: NOW),  # type: ignore[arg-type]
        log=MemorySpool(), now=NOW, settings=ServiceSettings(poll_seconds=60),
        more=paths(desk.store, desk.shop, adviser(desk.store, desk.shop)),
    )  # fmt: skip

    def later(_: httpx.Request) -> None:
        served.clock.now += timedelta(minutes=1)  # between any two requests

    with (
        listening(served.app()) as url,
        httpx.Client(base_url=url, headers=ALL, event_hooks={"request": [later]}) as opened,
    ):
        yield opened


def definition(**schedule: str) -> Body:
    """As JSON has it: times are texts."""
    made: Body = yaml.safe_load(FLAT)
    return made | {"schedule": yaml.load(FLAT, yaml.BaseLoader)["schedule"] | schedule}


def change(client: httpx.Client, path: str, status: int = 200, **body: object) -> Body:
    response = client.post("/v1/validate" if path == VALIDATE else f"/v1/experiments{path}", json=body)
    assert response.status_code == status, response.text
    made: Body = response.json()
    return made


def value(client: httpx.Client) -> str:
    body = {"context": {"targetingKey": "u1", "platform": "web"}}
    return str(client.post("/ofrep/v1/evaluate/flags/rec.homepage", json=body).json())


def test_from_a_definition_to_the_archive(client: httpx.Client, desk: Desk) -> None:
    unknown = (
        "power is not assessed for revenue_per_unit and return_rate: no readout of users that fits is published yet"
    )
    valid = {"key": KEY, "valid": True, "warnings": [], "notes": [unknown]}
    assert change(client, VALIDATE, definition=definition()) == valid
    assert client.get("/v1/experiments").json() == {"experiments": []}
    made = change(client, "", definition=definition(), reason="new model")
    assert (made["state"], made["version"], made["killed"]) == ("draft", 1, False)
    assert (made["warnings"], made["notes"]) == ([], [unknown])
    assert change(client, f"/{KEY}/start", reason="go")["state"] == "running"
    assert "'experimentKey': 'home_als_v3'" in value(client)  # taken over before the answer came
    assert change(client, f"/{KEY}/raise-traffic", traffic="1")["state"] == "running"
    assert change(client, f"/{KEY}/add-override", unit_id="qa-7", arm="als_v2")
    assert change(client, f"/{KEY}/disable-arm", arm="als_v2")
    assert change(client, f"/{KEY}/enable-arm", arm="als_v2")
    assert change(client, f"/{KEY}/remove-override", unit_id="qa-7")
    assert change(client, f"/{KEY}/pause", reason="a look")["state"] == "paused"
    assert change(client, f"/{KEY}/resume")["state"] == "running"
    assert change(client, f"/{KEY}/kill", reason="fire")["killed"] is True
    assert "'assignmentReason': 'killed'" in value(client)
    stopped = change(client, f"/{KEY}/stop", reason="enough", decision="roll_back")
    assert (stopped["state"], stopped["decision"]) == ("stopped", "roll_back")
    assert change(client, f"/{KEY}/archive")["state"] == "archived"
    [listed] = client.get("/v1/experiments").json()["experiments"]
    one = client.get(f"/v1/experiments/{KEY}").json()
    assert {name: one[name] for name in listed} == listed
    assert one["definition"]["key"] == KEY
    rows = desk.store.audit()
    assert {row.actor for row in rows} == {"token all"}
    assert "new model" in {row.reason for row in rows}
    assert desk.store.verify_audit() == ()


def test_warnings_stand_beside_what_is_right_and_refuse_nothing(client: httpx.Client, desk: Desk) -> None:
    past.publish(desk.store, past.run())
    for answered in (change(client, VALIDATE, definition=definition()), change(client, "", definition=definition())):
        (warning,) = cast("list[dict[str, object]]", answered["warnings"])
        assert (warning["code"], warning["path"], warning["value"]) == ("power", "metrics.guardrails[0]", "0.2")
        assert "at the pace of home_als_v1" in str(warning["message"])
        assert warning["nextStep"] == "choose a wider margin, plan more units, or make it secondary"
        assert len(cast("list[str]", answered["notes"])) == 1
    assert "warnings" not in client.get(f"/v1/experiments/{KEY}").json()
    assert desk.store.definition(KEY).state == "draft"


def test_of_two_managers_one_is_told_the_revision_there_is(client: httpx.Client) -> None:
    change(client, "", definition=definition())
    seen = change(client, f"/{KEY}/start")["revision"]
    assert change(client, f"/{KEY}/pause", revision=seen, reason="a look")["state"] == "paused"
    refused = change(client, f"/{KEY}/stop", 409, revision=seen, reason="enough", decision="ship")
    problems = refused["problems"]
    assert isinstance(problems, list)
    problem = problems[0]
    now = client.get(f"/v1/experiments/{KEY}").json()
    assert (problem["code"], problem["message"]) == ("version_conflict", f"it is {now['revision']} now")
    assert now["state"] == "paused"
    assert change(client, f"/{KEY}/resume", revision=now["revision"])["state"] == "running"


def test_every_problem_of_a_definition_is_named_at_once(client: httpx.Client) -> None:
    wrong = definition() | {"owner": 5, "surprise": 1, "modules": ["homepag"]}
    for path in ("", VALIDATE):
        refused = change(client, path, 422, definition=wrong)
        found = {problem["path"]: problem for problem in refused["problems"]}  # type: ignore[attr-defined]
        assert {"owner", "surprise"} <= set(found)
        assert found["surprise"]["code"] == "unknown_field"
    assert client.get("/v1/experiments").json() == {"experiments": []}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("", {}, 422, "definition is missing"),
        ("", {"definition": 5}, 400, "definition"),
        ("", {"surprise": 5}, 400, "surprise"),
        ("/nope/kill", {}, 404, "nope"),
        (f"/{KEY}/kil", {}, 404, "nearest: kill"),
        (f"/{KEY}/pause", {"reason": "why"}, 409, "draft"),
        (f"/{KEY}/pause", {}, 422, "reason is missing"),
        (f"/{KEY}/kill", {"reason": "x" * 1_001}, 422, "reason has 1,001 characters and may have 1,000"),
        (f"/{KEY}/disable-arm", {}, 422, "arm is missing"),
        (f"/{KEY}/stop", {"decision": "maybe"}, 422, "ship, roll_back, inconclusive"),
        (f"/{KEY}/new-phase", {"definition": {"key": "other"}}, 422, "not 'home_als_v3'"),
    ],
)
def test_what_is_refused(client: httpx.Client, path: str, body: Body, status: int, said: str) -> None:
    change(client, "", definition=definition())
    assert said in str(change(client, path, status, **body)["errorDetails"])


def test_no_message_speaks_of_the_command_line(client: httpx.Client) -> None:
    change(client, "", definition=definition())
    change(client, f"/{KEY}/start")
    unsaid = change(client, f"/{KEY}/stop", 409, decision="ship")["errorDetails"]
    assert unsaid == f"{KEY}: a stop is read years later; say why: give a reason"
    stop = change(client, f"/{KEY}/archive", 409)
    assert "`truelift" not in str(stop)
    unknown = change(client, "/nope/kill", 404)["errorDetails"]
    assert "`POST /v1/experiments` makes one known" in str(unknown)


def test_a_new_phase_draws_anew(client: httpx.Client, desk: Desk) -> None:
    change(client, "", definition=definition())
    change(client, f"/{KEY}/start")
    begins = f"{desk.store.phase(KEY).started_at + timedelta(seconds=30):%Y-%m-%dT%H:%M:%SZ}"
    change(client, f"/{KEY}/new-phase", definition=definition(start_at=begins), reason="again")
    assert desk.store.phase(KEY).number == 2


def test_the_openapi_file_names_every_action_and_decision() -> None:
    said = yaml.safe_load((Path(paths.__code__.co_filename).with_name("openapi.yml")).read_text("utf-8"))
    [action] = [each for each in said["paths"]["/v1/experiments/{key}/{action}"]["post"]["parameters"]
                if each["name"] == "action"]  # fmt: skip
    assert action["schema"]["enum"] == list(ACTIONS)
    assert set(said["components"]["schemas"]["Experiment"]["properties"]["decision"]["enum"]) == set(
        get_args(DecisionCode)
    )
