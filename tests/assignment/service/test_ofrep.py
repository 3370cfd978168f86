"""OFREP 0.3.0 over a real connection: bodies, headers, errors, and what is logged."""

import errno
from typing import cast

import httpx
import pytest

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import MemorySpool
from assignment.service.ofrep import etag_matches
from tests.helpers.bundles import NOW, Document, experiment, layer
from tests.helpers.serving import OTHER, SHOP, Documents, Served, everything, listening

FLAGS = "/ofrep/v1/evaluate/flags"
Answer = dict[str, object]


def ask(client: httpx.Client, flag: str, context: object = None, status: int = 200) -> Answer:
    given = {"targetingKey": "u1"} if context is None else context
    response = client.post(f"{FLAGS}/{flag}", json={"context": given}, headers=SHOP)
    assert response.status_code == status, response.text
    return cast("Answer", response.json())


def counted(page: str, name: str) -> float:
    [value] = [line.removeprefix(name) for line in page.splitlines() if line.startswith(name)]
    return float(value)


def metadata(answer: Answer) -> Answer:
    return cast("Answer", answer["metadata"])


def test_one_flag(client: httpx.Client) -> None:
    answer = ask(client, "rec.homepage")
    decision = evaluate(compile_bundle(everything()), "rec.homepage", {"targetingKey": "u1"}, NOW)
    exposure_id = metadata(answer).pop("exposureId")
    assert len(str(exposure_id)) == 36
    assert answer == {
        "key": "rec.homepage",
        "value": decision.variant,
        "variant": decision.variant,
        "reason": "SPLIT",
        "metadata": {
            "configVersion": 7,
            "experimentKey": "home",
            "phase": 1,
            "assignmentReason": "split",
            "splitBucket": decision.split_bucket,
        },
    }


def test_single_is_never_stored_and_bulk_always_revalidated(client: httpx.Client) -> None:
    body = {"context": {"targetingKey": "u1"}}
    assert client.post(f"{FLAGS}/rec.homepage", json=body, headers=SHOP).headers["cache-control"] == "no-store"
    assert client.post(FLAGS, json=body, headers=SHOP).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("flag", "reason", "said"),
    [
        ("rec.held", "SPLIT", "holdout"),
        ("rec.gone", "DISABLED", "killed"),
        ("rec.empty", "STATIC", "none"),
        ("rec.seen", "STATIC", "not_targeted"),
    ],
)
def test_reasons(client: httpx.Client, flag: str, reason: str, said: str) -> None:
    answer = ask(client, flag, {"targetingKey": "u1", "session_id": "s1"})
    assert (answer["reason"], metadata(answer)["assignmentReason"]) == (reason, said)
    assert None not in [answer["value"], answer["variant"], *metadata(answer).values()]


def test_an_override_is_static(client: httpx.Client) -> None:
    answer = ask(client, "rec.seen", {"session_id": "qa-1"})
    assert (answer["value"], answer["reason"], metadata(answer)["assignmentReason"]) == ("als", "STATIC", "override")


def test_whole_floats_keep_their_point(client: httpx.Client) -> None:
    seen = set()
    for unit in range(20):
        body = {"context": {"targetingKey": f"u{unit}"}}
        text = client.post(f"{FLAGS}/float", json=body, headers=SHOP).text
        seen.add(text.partition('"value":')[2].partition(",")[0])
    assert seen == {"1.0", "2.5"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b'{"context":{"targetingKey":"\xff"}}', "PARSE_ERROR"),
        (b'{"context":' * 50_000, "PARSE_ERROR"),
        (b'{"context":[]}', "INVALID_CONTEXT"),
        (b'{"context":null}', "INVALID_CONTEXT"),
        (b"{}", "TARGETING_KEY_MISSING"),
        (b'{"context":{"targetingKey":""}}', "TARGETING_KEY_MISSING"),
        (b'{"context":{"targetingKey":null}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":17}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":" u1"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"null"}}', "INVALID_CONTEXT"),
        (b'{"context":{"user_id":17}}', "INVALID_CONTEXT"),
        (b'{"context":{"user_id":"None"}}', "INVALID_CONTEXT"),
    ],
)
def test_bad_requests(client: httpx.Client, body: bytes, code: str) -> None:
    response = client.post(f"{FLAGS}/rec.homepage", content=body, headers=SHOP)
    assert response.status_code == 400
    said = response.json()
    assert (said["errorCode"], said["key"]) == (code, "rec.homepage")
    assert said["errorDetails"]


def test_an_unknown_flag_names_the_nearest(client: httpx.Client) -> None:
    said = ask(client, "rec.homepag", status=404)
    assert said["errorCode"] == "FLAG_NOT_FOUND"
    assert "nearest: rec.homepage" in str(said["errorDetails"])
    assert ask(client, "a/b", status=404)["key"] == "a/b"


def test_bulk_has_every_flag_with_its_own_error(client: httpx.Client) -> None:
    response = client.post(FLAGS, json={"context": {"targetingKey": "u1"}}, headers=SHOP)
    flags = {flag["key"]: flag for flag in response.json()["flags"]}
    assert set(flags) == set(compile_bundle(everything()).slots)
    assert all("exposureId" not in flag["metadata"] for flag in flags.values())
    assert flags["rec.homepage"]["value"] in ("control", "als")
    nobody = client.post(FLAGS, json={}, headers=SHOP)
    assert nobody.status_code == 200
    without = {flag["key"]: flag for flag in nobody.json()["flags"]}
    assert without["rec.homepage"]["errorCode"] == "TARGETING_KEY_MISSING"
    assert without["rec.empty"]["value"] == "popularity"


def test_bulk_refuses_a_bad_targeting_key_as_a_whole(client: httpx.Client) -> None:
    response = client.post(FLAGS, json={"context": {"targetingKey": ""}}, headers=SHOP)
    assert (response.status_code, response.json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")


def test_the_etag_covers_configuration_context_caller_and_time() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:

        def tag(context: Answer, headers: dict[str, str]) -> str:
            return client.post(FLAGS, json={"context": context}, headers=headers).headers["etag"]

        first = tag({"targetingKey": "u1", "platform": "web"}, SHOP)
        assert tag({"platform": "web", "targetingKey": "u1"}, SHOP) == first
        again = client.post(
            FLAGS,
            json={"context": {"targetingKey": "u1", "platform": "web"}},
            headers=SHOP | {"if-none-match": f'"x", W/{first}'},
        )
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first)
        others = {
            first,
            tag({"targetingKey": "u2", "platform": "web"}, SHOP),
            tag({"targetingKey": "u1", "platform": "ios"}, SHOP),
            tag({"targetingKey": "u1", "platform": "web"}, OTHER),
        }
        served.clock.now = served.clock.now.replace(year=2028)  # every schedule has ended
        others.add(tag({"targetingKey": "u1", "platform": "web"}, SHOP))
        assert len(others) == 5


def test_if_none_match() -> None:
    assert etag_matches("*", '"a"')
    assert etag_matches('W/"a"', '"a"')
    assert not etag_matches('"b", "c"', '"a"')
    assert not etag_matches(None, '"a"')


def test_only_trigger_serve_is_logged_by_the_service_and_bulk_never() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        client.post(FLAGS, json={"context": {"targetingKey": "u1"}}, headers=SHOP)
        ask(client, "rec.homepage")
        assert served.rows == []
        answer = ask(client, "rec.mail", {"targetingKey": "u1", "platform": "web"})
        [(kind, row)] = served.rows
        assert (kind, row["experiment_key"], row["served_variant"]) == ("exposure", "mail", answer["variant"])
        assert (row["trigger"], row["platform"]) == ("serve", "web")
        assert "exposureId" not in metadata(answer)


def test_a_full_disk_serves_control_until_there_is_room_again() -> None:
    log = MemorySpool()
    served = Served(log=log)
    compiled = compile_bundle(everything())
    treated = next(
        unit
        for unit in map(str, range(100))
        if all(
            evaluate(compiled, flag, {"targetingKey": unit}, NOW).variant == "als"
            for flag in ("rec.mail", "rec.homepage")
        )
    )
    context = {"targetingKey": treated}
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        assert ask(client, "rec.mail", context)["value"] == "als"
        assert client.get("/readyz").status_code == 200
        log.refuse_with = OSError(errno.ENOSPC, "No space left on device")
        answer = ask(client, "rec.mail", context)
        assert (answer["value"], answer["variant"], answer["reason"]) == ("control", "control", "UNKNOWN")
        answer = ask(client, "rec.homepage", context)
        assert (answer["value"], "exposureId" in metadata(answer)) == ("control", False)
        flags = client.post(FLAGS, json={"context": context}, headers=SHOP).json()["flags"]
        assert {flag["value"] for flag in flags if flag["key"] in ("rec.mail", "rec.homepage")} == {"control"}
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert "No space left" in ready.json()["reasons"][0]
        page = client.get("/metrics").text
        assert counted(page, 'truelift_control_served_total{cause="log_unavailable"}') >= 4
        assert 'truelift_events_total{fate="not_kept",kind="exposure"} 1.0' in page
        assert "truelift_spool_healthy 0.0" in page
        log.refuse_with = None
        assert client.get("/readyz").status_code == 200
        assert ask(client, "rec.mail", context)["value"] == "als"
        assert ask(client, "rec.homepage", context)["value"] == "als"
        assert len(served.rows) == 2


@pytest.mark.parametrize(
    ("flag", "context", "said"),
    [
        (
            "rec.delivery",
            {"targetingKey": "u1"},
            "rec.delivery assigns windows of a city, and the context has no city:",
        ),
        ("rec.delivery", {"city": "null"}, "the context has no city ('null' stands for none): give it as text"),
        ("rec.delivery", {"city": 5}, "the context's city is 5 (int): it may be text of 1 to 256 characters"),
        ("rec.seen", {"user_id": "u1"}, "rec.seen assigns sessions, and the context has no session_id or targetingKey"),
        ("rec.homepage", {"user_id": 7}, "rec.homepage assigns users, and the context's user_id is 7 (int): it may be"),
    ],
)
def test_a_wrong_unit_is_named_by_the_field_that_this_flag_needs(
    flag: str, context: dict[str, object], said: str
) -> None:
    document = everything()
    cast("list[Document]", document["layers"]).append(layer("delivery", "cluster_window"))
    windows = {"cluster": "city", "window_minutes": 240, "burn_in_minutes": 0}
    cast("list[Document]", document["experiments"]).append(
        experiment(
            key="cells", flag_keys=["rec.delivery"], modules=["delivery"], unit_type="cluster_window", trigger="serve",
            layer={"key": "delivery", "ranges": [[0, 10_000]]}, design="switchback", switchback=windows,
        )
    )  # fmt: skip
    with listening(Served(Documents(document)).app()) as url:
        answer = httpx.post(f"{url}/ofrep/v1/evaluate/flags/{flag}", json={"context": context}, headers=SHOP)
        assert answer.status_code == 400
        assert said in answer.json()["errorDetails"]
