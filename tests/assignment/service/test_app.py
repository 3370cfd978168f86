"""The application as a whole: paths, limits, hostile bodies, cross-origin rules, reload, counts, shutdown."""

import json
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

import assignment.service.app as application
from assignment.event_log import MemorySpool, Spool
from assignment.service.manage import paths
from assignment.service.settings import ServiceSettings
from experiments.shop import create
from experiments.store import Store
from experiments.validate import Advice
from tests.helpers.bundles import arm, bundle, experiment
from tests.helpers.effort import scaled
from tests.helpers.serving import ALL, BOSS, SHOP, Documents, Served, listening

FLAG = "/ofrep/v1/evaluate/flags/rec.homepage"
BODY = {"context": {"targetingKey": "u1"}}
OPENAPI = Path(application.__file__).with_name("openapi.yml")
PROTECTED = [
    ("POST", FLAG), ("POST", "/ofrep/v1/evaluate/flags"), ("POST", "/v1/recommendations"), ("POST", "/v1/exposures"),
    ("POST", "/v1/outcomes"), ("GET", "/v1/assignments/u1"), ("GET", "/v1/config"), ("GET", "/v1/experiments"),
    ("GET", "/v1/experiments/home"), ("POST", "/v1/experiments"), ("POST", "/v1/validate"),
    ("POST", "/v1/experiments/home/kill"),
]  # fmt: skip


def test_the_openapi_file_has_the_paths_of_the_service(tmp_path: Path) -> None:
    with Store.open("sqlite://") as store:
        served = {
            (re.sub(r":path", "", route.path), method)
            for route in Served(more=paths(store, create(tmp_path / "shop"), lambda _: Advice())).app().whole.routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
    said = yaml.safe_load(OPENAPI.read_text("utf-8"))["paths"]
    assert served == {(path, method.upper()) for path, methods in said.items() for method in methods}


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_every_path_wants_a_token_with_its_scope(client: httpx.Client, method: str, path: str) -> None:
    without = client.request(method, path)
    assert (without.status_code, without.headers["www-authenticate"]) == (401, "Bearer")
    assert client.request(method, path, headers={"authorization": "Bearer wrong"}).status_code == 401
    wrong_scope = SHOP if method == "GET" or "experiments" in path or "validate" in path else BOSS
    assert client.request(method, path, headers=wrong_scope).status_code == 403
    assert set(without.json()) >= {"errorCode", "errorDetails"}


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    lost, wrong = client.get("/v2/anything"), client.put(FLAG)
    assert (lost.status_code, wrong.status_code, wrong.headers["allow"]) == (404, 405, "POST")
    assert "errorDetails" in lost.json()
    assert "errorDetails" in wrong.json()


def test_a_body_beyond_the_limit_is_refused_announced_or_not(client: httpx.Client) -> None:
    long = b'{"context":{"a":"' + b"x" * 10_000_000 + b'"}}'
    assert client.post(FLAG, content=long, headers=SHOP).status_code == 413
    parts = (long[start : start + 65_536] for start in range(0, len(long), 65_536))
    with suppress(httpx.WriteError):  # the server may hang up before it was all sent
        assert client.post(FLAG, content=parts, headers=SHOP).status_code == 413
    assert client.get("/healthz").json() == {"status": "ok"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=scaled(60, 1_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([path for method, path in PROTECTED if method == "POST"]),
    st.binary() | json_values.map(lambda value: json.dumps(value).encode()) | st.dictionaries(
        st.sampled_from(["context", "flag_key", "limit"]), json_values
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
def test_no_body_breaks_it(client: httpx.Client, path: str, body: bytes) -> None:
    response = client.post(path, content=body, headers=ALL)
    assert response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/json"
    response.json()
    assert client.get("/readyz").status_code == 200


def test_browsers_may_ask_from_anywhere_and_see_etag_and_retry_after(client: httpx.Client) -> None:
    origin = {"origin": "https://shop.example"}
    wanted = "content-type,if-none-match,authorization,x-api-key"
    asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": wanted}
    preflight = client.options(FLAG, headers=asked)
    assert preflight.status_code == 200
    assert set(wanted.split(",")) <= set(preflight.headers["access-control-allow-headers"].lower().split(", "))
    for answer in (client.post(FLAG, json=BODY, headers=SHOP | origin), client.post(FLAG, json=BODY, headers=origin)):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "ETag, Retry-After"


def test_a_shop_may_name_its_origins() -> None:
    served = Served(settings=ServiceSettings(cors_origins=("https://shop.example",)))
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        for origin, allowed in (("https://shop.example", True), ("https://other.example", False)):
            answer = client.post(FLAG, json=BODY, headers=SHOP | {"origin": origin})
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_too_many_requests_are_told_when_to_come_back() -> None:
    served = Served(settings=ServiceSettings(requests_per_second=0.5, burst_seconds=4))
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        statuses = [client.post(FLAG, json=BODY, headers=SHOP).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = client.post(FLAG, json=BODY, headers=SHOP)
        assert refused.headers["retry-after"] in ("1", "2")
        assert client.get("/v1/config", headers=BOSS).status_code == 200  # others are not held up


def test_a_new_configuration_is_taken_over_without_losing_a_request() -> None:
    documents = Documents(bundle(experiment(), version=1))
    served = Served(documents, settings=ServiceSettings(poll_seconds=0.02))
    answers: list[tuple[int, int, str]] = []
    done = threading.Event()
    with listening(served.app()) as url:

        def load() -> None:
            with httpx.Client(base_url=url) as client:
                while not done.is_set():
                    answer = client.post(FLAG, json=BODY, headers=SHOP)
                    body = answer.json()
                    answers.append((answer.status_code, body["metadata"]["configVersion"], body["value"]))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in range(2, 12):
            only = "control" if version % 2 else "als"
            other = "als" if version % 2 else "control"
            documents.current = bundle(
                experiment(variants=[arm(only, 0, 9_999), arm(other, 9_999, 10_000)]), version=version
            )
            time.sleep(0.06)
        done.set()
        for thread in threads:
            thread.join()
        tag = httpx.get(f"{url}/v1/config", headers=BOSS).headers["etag"]
        assert httpx.get(f"{url}/v1/config", headers=BOSS | {"if-none-match": tag}).status_code == 304
    assert {status for status, _, _ in answers} == {200}
    versions = {version for _, version, _ in answers}
    assert len(versions) >= 5
    assert max(versions) == 11
    for _, version, value in answers:
        assert version == 1 or value == ("control" if version % 2 else "als")


def test_a_configuration_that_does_not_compile_is_not_taken_over() -> None:
    documents = Documents(bundle(experiment(), version=1))
    served = Served(documents, settings=ServiceSettings(poll_seconds=0.02))
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:

        def waited(said: str) -> dict[str, object]:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                body: dict[str, object] = client.get("/readyz").json()
                if said in str(body.get("warnings", "")) if said else "warnings" not in body:
                    return body
                time.sleep(0.02)
            raise AssertionError(said)

        documents.current = bundle(experiment(variants=[]), version=2)
        assert waited("the newest configuration is not served")["configVersion"] == 1
        assert client.post(FLAG, json=BODY, headers=SHOP).status_code == 200
        documents.broken = True
        assert waited("the store is away")["ready"] is True
        documents.broken, documents.current = False, bundle(experiment(), version=3)
        assert waited("")["configVersion"] == 3
        assert re.search(r"truelift_config_reload_failures [1-9]", client.get("/metrics").text)


def test_a_revoked_token_is_refused_a_moment_later() -> None:
    served = Served(settings=ServiceSettings(poll_seconds=0.02))
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        assert client.post(FLAG, json=BODY, headers=SHOP).status_code == 200
        served.documents.revoked.add("shop")
        deadline = time.monotonic() + 5
        while client.post(FLAG, json=BODY, headers=SHOP).status_code != 401:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_steps_of_one_unit(client: httpx.Client) -> None:
    answer = client.get("/v1/assignments/u1", headers=BOSS).json()
    assert [flag["decision"]["flag_key"] for flag in answer["flags"]][:2] == ["rec.homepage", "rec.mail"]
    one = client.get("/v1/assignments/u1", params={"flag_key": "rec.homepage"}, headers=BOSS).json()["flags"]
    split = next(step for step in one[0]["steps"] if step["name"] == "split")
    assert split["hashed"] == "home.1:split-u1"
    assert split["bucket"] == one[0]["decision"]["split_bucket"]
    seen = {"flag_key": "rec.seen", "session_id": "s9", "platform": "web"}
    asked = client.get("/v1/assignments/u1", params=seen, headers=BOSS).json()["flags"][0]
    assert asked["decision"]["unit_id"] == "s9"
    assert asked["decision"]["assignment_reason"] in ("split", "not_in_traffic")
    assert client.get("/v1/assignments/u1", params={"flag_key": "x"}, headers=BOSS).status_code == 404
    assert client.get("/v1/assignments/null", headers=BOSS).status_code == 400


def test_shutting_down_closes_the_log(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", fsync_ms=5)
    with listening(Served(log=spool).app()) as url:
        for unit in range(20):
            body = {"context": {"targetingKey": f"u{unit}"}}
            assert httpx.post(f"{url}/ofrep/v1/evaluate/flags/rec.mail", json=body, headers=SHOP).status_code == 200
    assert not list((tmp_path / "spool").glob("*.open"))
    [segment] = (tmp_path / "spool").glob("*.ready")
    units = [json.loads(line)["unit_id"] for line in segment.read_text("utf-8").splitlines()]
    assert units == [f"u{unit}" for unit in range(20)]


def test_waiting_for_the_disk_keeps_the_same_rows() -> None:
    log = MemorySpool()
    served = Served(log=log, settings=ServiceSettings(fsync_always=True))
    with listening(served.app()) as url:
        assert httpx.post(f"{url}/ofrep/v1/evaluate/flags/rec.mail", json=BODY, headers=SHOP).status_code == 200
    assert [row["experiment_key"] for _, row in served.rows] == ["mail"]
