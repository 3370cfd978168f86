"""A flag's value all the way: written in a definition, registered over HTTP, stored, compiled, asked for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from analysis.plan_warnings import adviser
from assignment.event_log import MemorySpool
from assignment.service.manage import paths
from assignment.service.settings import ServiceSettings
from assignment.service.shop_source import ShopSource
from experiments.shop import create
from experiments.store import Store
from tests.helpers.assigned_shop import BEGIN, FLAT, KEY
from tests.helpers.definitions import HOLDOUT
from tests.helpers.serving import ALL, TOKENS, Served, listening

JSON = {  # by what JSON calls them
    "true": True,
    "false": False,
    "a whole number": 12,
    "zero": 0,
    "a negative number": -3,
    "a fraction": 2.5,
    "a whole fraction": 3.0,
    "a large number": 2**53 - 1,
    "a text": "blue",
    "an empty text": "",
    "a text of no ASCII": "日本語 😀",
    "a text like a number": "3",
    "a text like null": "null",
    "an array": [1, "two", 3.0, False, None],
    "an empty array": [],
    "an object": {"rows": 2, "deep": {"a": [None, 0.5]}, "title": "ß"},
    "an empty object": {},
}


class Source(ShopSource):
    """A shop's definitions with the tests' tokens."""

    def tokens(self) -> list[object]:  # type: ignore[override]
        return list(TOKENS.values())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    shop = create(tmp_path / "shop")
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    with Store.open(shop.store_url) as store:
        served = Served(
            Source(store, shop, lambda: BEGIN),  # type: ignore[arg-type]
            log=MemorySpool(), now=BEGIN, more=paths(store, shop, adviser(store, shop)),
            settings=ServiceSettings(poll_seconds=60),
        )  # fmt: skip
        with listening(served.app()) as url, httpx.Client(base_url=url, headers=ALL) as opened:
            yield opened


def definition(value: object) -> dict[str, object]:
    """The treatment has this value; the unit qa-1 is forced into it."""
    made: dict[str, Any] = yaml.safe_load(FLAT)
    made["variants"][1]["params"]["value"] = value
    return made | {"schedule": yaml.load(FLAT, yaml.BaseLoader)["schedule"]}  # times stay texts


def asked(client: httpx.Client, unit: str) -> httpx.Response:
    body = {"context": {"targetingKey": unit, "platform": "web"}}
    return client.post("/ofrep/v1/evaluate/flags/rec.homepage", json=body).raise_for_status()


def same(found: object, expected: object) -> bool:
    """Equal and of the same types, at every depth."""
    return json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("value", JSON.values(), ids=JSON)
def test_a_value_of_every_json_type_is_served_as_it_was_written(client: httpx.Client, value: object) -> None:
    made = client.post("/v1/experiments", json={"definition": definition(value)})
    assert made.status_code in (200, 201), made.text
    client.post(f"/v1/experiments/{KEY}/start", json={}).raise_for_status()
    answer = asked(client, "qa-1").json()
    assert same(answer["value"], value), answer
    assert answer["variant"] == "als_v2"
    [arm] = [each for each in client.get("/v1/config").json()["experiments"][0]["variants"] if not each["is_control"]]
    assert same(arm["params"], {"factors": 64, "value": value})
    stored = client.get(f"/v1/experiments/{KEY}").json()["definition"]["variants"][1]["params"]["value"]
    assert same(stored, value)


def test_the_arm_without_a_value_is_served_by_its_key(client: httpx.Client) -> None:
    client.post("/v1/experiments", json={"definition": definition(12)}).raise_for_status()
    client.post(f"/v1/experiments/{KEY}/start", json={}).raise_for_status()
    found = {type(asked(client, f"u{number}").json()["value"]) for number in range(100)}
    assert found == {int, str}


def test_null_is_refused(client: httpx.Client) -> None:
    refused = client.post("/v1/experiments", json={"definition": definition(None)})
    assert refused.status_code == 422
    [problem] = refused.json()["problems"]
    assert problem["path"].endswith("params.value")
    assert problem["message"] == "value is null"
    assert problem["nextStep"] == "write what the flag is answered, or leave it out"
    assert client.get("/v1/experiments").json() == {"experiments": []}
