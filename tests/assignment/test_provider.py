"""The provider as an application meets it: through OpenFeature's own client."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, GeneralError
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

from assignment.hashing import bucket
from assignment.provider import FileSource, InProcessProvider, ServiceSource, Tracked
from experiments.errors import UsageError
from tests.helpers.bundles import NOW, Document, arm, bundle, experiment, layer
from tests.helpers.serving import SHOP, Served, listening

CONTROL, TREATED = (
    next(f"user_{number}" for number in range(100) if (bucket("home.1:split", f"user_{number}") < 5_000) is wanted)
    for wanted in (True, False)
)


def document(version: int = 7, **params: Any) -> Document:
    """Control against als, whose parameters are given."""
    arms = [arm("control", 0, 5_000), arm("als", 5_000, 10_000, **params)]
    return bundle(experiment(variants=arms), layers=[layer(), layer("pdp")], version=version)


def write(path: Path, content: Document) -> Path:
    """Whole or not at all, as the provider asks for it."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content), encoding="utf-8")
    return beside.replace(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle.json", document())


@pytest.fixture
def provider(file: Path) -> Iterator[InProcessProvider]:
    made = InProcessProvider(FileSource(file), clock=lambda: NOW, poll_seconds=3_600)
    api.set_provider_and_wait(made)
    yield made
    api.clear_providers()


@pytest.fixture
def client(provider: InProcessProvider) -> OpenFeatureClient:
    assert provider.get_metadata().name == "truelift in process"
    return api.get_client()


def user(unit_id: str | None) -> EvaluationContext:
    return EvaluationContext(unit_id)


def test_a_string_is_the_served_arm(client: OpenFeatureClient) -> None:
    found = client.get_string_details("rec.homepage", "none", user(TREATED))
    assert (found.value, found.variant, found.reason, found.error_code) == ("als", "als", "SPLIT", None)
    assert found.flag_metadata["experimentKey"] == "home"
    assert found.flag_metadata["splitBucket"] == bucket("home.1:split", TREATED)
    assert client.get_string_value("rec.homepage", "none", user(CONTROL)) == "control"
    assert client.get_string_value("rec.pdp", "none", user(TREATED)) == "popularity"


def test_a_boolean_is_whether_a_treatment_is_served(client: OpenFeatureClient) -> None:
    assert client.get_boolean_value("rec.homepage", False, user(TREATED)) is True
    assert client.get_boolean_value("rec.homepage", True, user(CONTROL)) is False
    assert client.get_boolean_value("rec.pdp", True, user(TREATED)) is False


def test_an_object_is_the_arm_with_its_parameters(
    client: OpenFeatureClient, provider: InProcessProvider, file: Path
) -> None:
    write(file, document(factors=64))
    assert provider.refresh()
    assert client.get_object_value("rec.homepage", {}, user(TREATED)) == {
        "variant": "als",
        "strategy": "als_strategy",
        "params": {"factors": 64},
    }


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, "integer", 3),
        (3, "float", 3.0),
        (2.5, "float", 2.5),
        (False, "boolean", False),
        ("blue", "string", "blue"),
        ({"a": [1]}, "object", {"a": [1]}),
        ([1, 2], "object", [1, 2]),
        (3, "string", "als"),
        (0, "integer", 0),
    ],
)
def test_a_parameter_called_value_is_the_flags_value(
    client: OpenFeatureClient, provider: InProcessProvider, file: Path, value: object, kind: str, expected: object
) -> None:
    write(file, document(value=value))
    assert provider.refresh()
    defaults = {"integer": -1, "float": -1.0, "boolean": True, "string": "none", "object": {}}
    found = getattr(client, f"get_{kind}_details")("rec.homepage", defaults[kind], user(TREATED))
    assert (found.value, type(found.value), found.error_code) == (expected, type(expected), None)


@pytest.mark.parametrize(("value", "kind"), [(None, "integer"), (2.5, "integer"), (True, "integer"), ("3", "float")])
def test_a_flag_of_another_type_keeps_the_default(
    client: OpenFeatureClient, provider: InProcessProvider, file: Path, value: object, kind: str
) -> None:
    write(file, document() if value is None else document(value=value))
    provider.refresh()
    found = getattr(client, f"get_{kind}_details")("rec.homepage", -1 if kind == "integer" else -1.0, user(TREATED))
    assert (found.value, found.error_code) == (-1, ErrorCode.TYPE_MISMATCH)


@pytest.mark.parametrize(
    ("flag", "unit_id", "error"),
    [
        ("rec.hompage", TREATED, ErrorCode.FLAG_NOT_FOUND),
        ("rec.homepage", None, ErrorCode.TARGETING_KEY_MISSING),
        ("rec.homepage", "", ErrorCode.TARGETING_KEY_MISSING),
        ("rec.homepage", " padded", ErrorCode.INVALID_CONTEXT),
    ],
)
def test_an_error_keeps_the_default(
    client: OpenFeatureClient, flag: str, unit_id: str | None, error: ErrorCode
) -> None:
    found = client.get_string_details(flag, "default", user(unit_id))
    assert (found.value, found.error_code) == ("default", error)


def test_a_unit_of_its_own_type_is_an_attribute(client: OpenFeatureClient) -> None:
    context = EvaluationContext("somebody", {"user_id": TREATED})
    assert client.get_string_value("rec.homepage", "none", context) == "als"


def test_the_decision_is_there_for_the_exposure_log(provider: InProcessProvider) -> None:
    decision = provider.decide("rec.homepage", user(TREATED))
    assert decision is not None
    assert (decision.unit_id, decision.variant, decision.config_version) == (TREATED, "als", 7)


def test_before_the_first_bundle_the_default_is_served(file: Path) -> None:
    made = InProcessProvider(FileSource(file))
    found = made.resolve_string_details("rec.homepage", "default", user(TREATED))
    assert (found.value, found.error_code) == ("default", ErrorCode.PROVIDER_NOT_READY)
    assert made.decide("rec.homepage", user(TREATED)) is None


# --- reloading -------------------------------------------------------------------------------------------------


def test_a_new_file_is_taken_and_an_old_one_is_not_read_again(provider: InProcessProvider, file: Path) -> None:
    assert not provider.refresh()
    write(file, document(version=8))
    assert provider.refresh()
    assert not provider.refresh()
    decision = provider.decide("rec.homepage", user(TREATED))
    assert decision is not None
    assert decision.config_version == 8


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "bundle.v1"}', "\udcff"])
def test_a_broken_file_leaves_the_bundle_that_was(
    client: OpenFeatureClient, provider: InProcessProvider, file: Path, text: str
) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    for failures in (1, 2):
        assert not provider.refresh()
        assert provider.failures == failures
    assert client.get_provider_status() == ProviderStatus.STALE
    assert client.get_string_value("rec.homepage", "none", user(TREATED)) == "als"
    write(file, document(version=8))
    assert provider.refresh()
    assert client.get_provider_status() == ProviderStatus.READY


def test_without_a_first_bundle_defaults_are_served_until_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    made = InProcessProvider(FileSource(path), clock=lambda: NOW, poll_seconds=3_600)
    with pytest.raises(GeneralError, match=r"bundle\.json: No such file"):
        api.set_provider_and_wait(made)
    client = api.get_client()
    found = client.get_string_details("rec.homepage", "default", user(TREATED))
    assert (found.value, client.get_provider_status()) == ("default", ProviderStatus.ERROR)
    write(path, document())
    assert made.refresh()
    assert client.get_string_value("rec.homepage", "default", user(TREATED)) == "als"
    assert client.get_provider_status() == ProviderStatus.READY
    api.clear_providers()


def test_reloads_drop_no_request(file: Path) -> None:
    """Two threads ask without a pause while the bundle is replaced by the poller: every answer is whole."""
    made = InProcessProvider(FileSource(file), clock=lambda: NOW, poll_seconds=0.001)
    api.set_provider_and_wait(made)
    done = threading.Event()
    wrong: list[object] = []
    seen: set[object] = set()

    def ask() -> None:
        client = api.get_client()
        while not done.is_set():
            found = client.get_string_details("rec.homepage", "default", user(TREATED))
            seen.add(found.flag_metadata.get("configVersion"))
            if found.error_code is not None or found.value != "als":
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(8, 40):
        write(file, document(version=version))
        done.wait(0.01)
    done.set()
    for thread in threads:
        thread.join()
    api.clear_providers()
    assert wrong == []
    assert made.failures == 0
    assert len(seen) > 3


class Service:
    """`/v1/config` in memory, with an ETag."""

    def __init__(self) -> None:
        self.content, self.etag, self.status, self.asked = document(), '"v7"', 200, list[httpx.Request]()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status != 200:
            return httpx.Response(self.status)
        if request.headers.get("if-none-match") == self.etag:
            return httpx.Response(304)
        return httpx.Response(200, json=self.content, headers={"etag": self.etag})


def test_a_service_is_asked_with_the_etag_it_gave() -> None:
    service = Service()
    source = ServiceSource("http://shop/", "secret", client=httpx.Client(transport=httpx.MockTransport(service.answer)))
    made = InProcessProvider(source, clock=lambda: NOW, poll_seconds=3_600)
    made.initialize(user(None))
    assert not made.refresh()
    service.content, service.etag = document(version=8), '"v8"'
    assert made.refresh()
    assert not made.refresh()
    made.shutdown()
    assert [str(request.url) for request in service.asked] == ["http://shop/v1/config"] * 4
    assert [request.headers.get("if-none-match") for request in service.asked] == [None, '"v7"', '"v7"', '"v8"']
    assert {request.headers["authorization"] for request in service.asked} == {"Bearer secret"}
    decision = made.decide("rec.homepage", user(TREATED))
    assert decision is not None
    assert decision.config_version == 8


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_service_that_refuses_is_named(status: int) -> None:
    service = Service()
    service.status = status
    source = ServiceSource("http://shop", "wrong", client=httpx.Client(transport=httpx.MockTransport(service.answer)))
    with pytest.raises(UsageError, match=f"http://shop/v1/config: HTTP {status}"):
        source.newer(None)
    source.close()


def test_a_service_that_is_away_leaves_the_bundle_that_was() -> None:
    service = Service()

    def answer(request: httpx.Request) -> httpx.Response:
        if len(service.asked) == 1:
            service.asked.append(request)
            raise httpx.ConnectError("refused")
        return service.answer(request)

    source = ServiceSource("http://shop", "secret", client=httpx.Client(transport=httpx.MockTransport(answer)))
    made = InProcessProvider(source, clock=lambda: NOW, poll_seconds=3_600)
    made.initialize(user(None))
    assert (made.refresh(), made.failures) == (False, 1)
    assert made.resolve_string_details("rec.homepage", "none", user(TREATED)).value == "als"
    assert (made.refresh(), made.failures) == (False, 1)
    made.shutdown()


def test_a_running_service_gives_its_bundle_and_the_same_answers() -> None:
    """Beside the service's own protocol: value, variant, reason and metadata are the same for every unit."""
    served = Served()
    typed = {
        "rec.homepage": "",
        "rec.held": "",
        "rec.gone": "",
        "boolean": True,
        "integer": 0,
        "float": 0.0,
        "object": {},
    }
    getters = {str: "string", bool: "boolean", int: "integer", float: "float", dict: "object"}
    with listening(served.app()) as url, httpx.Client(base_url=url, headers=SHOP) as http:
        made = InProcessProvider(ServiceSource(url, "all-secret"), clock=lambda: NOW, poll_seconds=3_600)
        api.set_provider_and_wait(made)
        client = api.get_client()
        for unit_id in (f"user_{number}" for number in range(10)):
            for flag, default in typed.items():
                found = getattr(client, f"get_{getters[type(default)]}_details")(flag, default, user(unit_id))
                body = {"context": {"targetingKey": unit_id}}
                remote = http.post(f"/ofrep/v1/evaluate/flags/{flag}", json=body).json()
                assert (found.value, found.variant, found.reason) == (
                    remote["value"],
                    remote["variant"],
                    remote["reason"],
                )
                remote["metadata"].pop("exposureId", None)
                assert found.flag_metadata == remote["metadata"]
        assert not made.refresh()
        assert made.failures == 0
        api.clear_providers()


# --- tracking --------------------------------------------------------------------------------------------------


def test_events_are_handed_on(file: Path) -> None:
    seen: list[Tracked] = []
    api.set_provider_and_wait(InProcessProvider(FileSource(file), track_to=seen.append, clock=lambda: NOW))
    context = EvaluationContext("user_1", {"session_id": "s1"})
    api.get_client().track("purchase", context, TrackingEventDetails(31.2, {"order_id": "b7"}))
    api.get_client().track("view", context)
    api.clear_providers()
    with_key = {"targetingKey": "user_1", "session_id": "s1"}
    assert seen == [
        Tracked("purchase", NOW, with_key, 31.2, {"order_id": "b7"}),
        Tracked("view", NOW, with_key, None, {}),
    ]


def test_an_event_without_anywhere_to_go_is_refused(client: OpenFeatureClient) -> None:
    with pytest.raises(UsageError, match="track_to"):
        client.track("purchase", user("user_1"))
