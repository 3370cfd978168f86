"""Clients that others wrote, against a real server: Python's OFREP provider, and the JavaScript web provider."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, GeneralError, OpenFeatureError
from openfeature.flag_evaluation import Reason

from assignment.service.settings import ServiceSettings
from tests.helpers.bundles import bundle, experiment
from tests.helpers.serving import SHOP, Documents, Served, listening

USER = EvaluationContext("u1")
SCRIPT = Path(__file__).with_name("web_provider.mjs")


@pytest.fixture
def provider(address: str) -> Iterator[OFREPProvider]:
    """Python's provider with the shop's token."""
    made = OFREPProvider(address, headers_factory=lambda: dict(SHOP))
    yield made
    made.session.close()


def test_python_resolves_every_type(provider: OFREPProvider) -> None:
    seen: dict[str, set[str]] = {}

    def note(kind: str, value: object) -> None:
        seen.setdefault(kind, set()).add(repr(value))

    for unit in range(20):
        context = EvaluationContext(f"u{unit}", {"platform": "web", "basket": 3, "nested": {"a": [1, 2]}})
        note("boolean", provider.resolve_boolean_details("boolean", False, context).value)
        note("integer", provider.resolve_integer_details("integer", 0, context).value)
        note("float", provider.resolve_float_details("float", 0.0, context).value)
        note("object", provider.resolve_object_details("object", {}, context).value)
        note("string", provider.resolve_string_details("rec.homepage", "", context).value)
    assert seen == {
        "boolean": {"True", "False"},
        "integer": {"3", "4"},
        "float": {"1.0", "2.5"},
        "object": {"{'a': 1}", "{'a': [1, 2]}"},
        "string": {"'control'", "'als'"},
    }


def test_python_gets_variant_reason_and_metadata(provider: OFREPProvider) -> None:
    found = provider.resolve_string_details("rec.homepage", "", USER)
    assert found.reason == Reason.SPLIT
    assert found.variant == found.value
    assert found.flag_metadata["experimentKey"] == "home"
    assert isinstance(found.flag_metadata["splitBucket"], int)
    assert provider.resolve_string_details("rec.gone", "", USER).reason == Reason.DISABLED
    assert provider.resolve_string_details("rec.empty", "", USER).reason == Reason.STATIC


@pytest.mark.parametrize(
    ("flag", "context", "code"),
    [
        ("nope", USER, ErrorCode.FLAG_NOT_FOUND),
        ("rec.homepage", None, ErrorCode.TARGETING_KEY_MISSING),
        ("rec.homepage", EvaluationContext(None, {"platform": "web"}), ErrorCode.TARGETING_KEY_MISSING),
        ("rec.homepage", EvaluationContext(None, {"targetingKey": 5}), ErrorCode.INVALID_CONTEXT),
        ("rec.homepage", EvaluationContext(" u1"), ErrorCode.INVALID_CONTEXT),
        ("rec.homepage", EvaluationContext("u1", {"a": "x" * 2_000_000}), ErrorCode.GENERAL),
    ],
)
def test_python_understands_every_error(
    provider: OFREPProvider, flag: str, context: EvaluationContext | None, code: ErrorCode
) -> None:
    with pytest.raises(OpenFeatureError) as refused:
        provider.resolve_string_details(flag, "", context)
    assert refused.value.error_code == code
    assert refused.value.error_message


def test_python_understands_a_body_that_is_no_json(provider: OFREPProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    post = provider.session.post
    monkeypatch.setattr(
        provider.session, "post", lambda url, **given: post(url, **{**given, "json": None, "data": "{"})
    )
    with pytest.raises(OpenFeatureError) as refused:
        provider.resolve_string_details("rec.homepage", "", USER)
    assert refused.value.error_code == ErrorCode.PARSE_ERROR


def test_python_is_told_that_its_token_is_wrong(address: str) -> None:
    made = OFREPProvider(address, headers_factory=lambda: {"authorization": "Bearer wrong"})
    with made.session, pytest.raises(OpenFeatureError, match="unauthorized"):
        made.resolve_string_details("rec.homepage", "", USER)


def test_python_waits_after_a_429() -> None:
    served = Served(settings=ServiceSettings(requests_per_second=0.01, burst_seconds=100))
    with listening(served.app()) as url:
        made = OFREPProvider(url, headers_factory=lambda: dict(SHOP))
        with made.session:
            assert made.resolve_string_details("rec.homepage", "", USER).value
            with pytest.raises(GeneralError, match=r"Rate limited, retry after: 1?\d\d"):
                made.resolve_string_details("rec.homepage", "", USER)
            assert made.retry_after is not None
            with pytest.raises(GeneralError, match="paused"):
                made.resolve_string_details("rec.homepage", "", USER)


def web_provider() -> Path | str:
    """The folder of node_modules with the web provider, or why there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    folder = Path(os.environ.get("TRUELIFT_NODE", Path.home() / ".cache" / "truelift-node"))
    if (folder / "node_modules/@openfeature/ofrep-web-provider").is_dir():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ["@openfeature/ofrep-web-provider@0.4", "@openfeature/web-sdk@1", "@openfeature/core@1"]
    words: Sequence[str] = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted)
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=90)
    except subprocess.TimeoutExpired:
        return "npm could not install the web provider within 90 seconds"
    return folder if done.returncode == 0 else f"npm could not install the web provider: {done.stderr[-200:]}"


@pytest.mark.slow
def test_the_web_provider_prefetches_revalidates_and_follows_attributes() -> None:
    folder = web_provider()
    if isinstance(folder, str):
        pytest.skip(folder)
    ios = {"all": [{"attribute": "platform", "operator": "EQ", "value": "ios"}]}
    documents = Documents(
        bundle(experiment(targeting=ios, variants=[
            {"key": "control", "is_control": True, "strategy": "popularity", "params": {}, "start": 0, "end": 1,
             "disabled": False},
            {"key": "als", "is_control": False, "strategy": "als", "params": {}, "start": 1, "end": 10_000,
             "disabled": False},
        ]))
    )  # fmt: skip
    with listening(Served(documents).app()) as url:
        script = folder / "web_provider.mjs"
        shutil.copyfile(SCRIPT, script)
        done = subprocess.run(
            ["node", str(script), url, "shop-secret"], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "web control STATIC not_targeted",
        "polled 304",
        "ios als SPLIT split",
        "etag changed true",
        "typed TYPE_MISMATCH",
        "unknown FLAG_NOT_FOUND",
    ]
