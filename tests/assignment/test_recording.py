"""Exposures of evaluations in the caller's own process: the rows that the service writes, or control."""

import errno
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.track import TrackingEventDetails

from assignment.event_log import EventLog, MemorySpool, Spool
from assignment.provider import FileSource, InProcessProvider
from experiments.contracts import CONTRACTS, reasons
from experiments.errors import SpoolError, UsageError
from tests.helpers.bundles import NOW, bundle, experiment
from tests.helpers.serving import SHOP, Served, everything, listening

ROOT = Path(__file__).parents[2]
FULL = OSError(errno.ENOSPC, "No space left on device")
KNOWN = {"user_id": "u-7", "session_id": "s1", "platform": "web", "browser": "chrome", "is_bot": False, "loyalty": 3}


@dataclass(frozen=True, slots=True)
class Page:
    """A provider with a log, as an application holds it."""

    provider: InProcessProvider
    client: OpenFeatureClient
    log: MemorySpool

    def rows(self) -> list[Mapping[str, object]]:
        assert {kind for kind, _ in self.log.rows} <= {"exposure"}
        return [row for _, row in self.log.rows]

    def shown(self, context: EvaluationContext, **told: Any) -> None:
        self.client.track("exposure", context, TrackingEventDetails(attributes=told))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(everything()), encoding="utf-8")
    return path


def made(file: Path, log: EventLog) -> InProcessProvider:
    provider = InProcessProvider(FileSource(file), log=log, clock=lambda: NOW, poll_seconds=3_600)
    api.set_provider_and_wait(provider)
    return provider


@pytest.fixture
def page(file: Path) -> Iterator[Page]:
    log = MemorySpool()
    yield Page(made(file, log), api.get_client(), log)
    api.clear_providers()


def user(number: int, **attributes: Any) -> EvaluationContext:
    return EvaluationContext(f"user_{number}", attributes)


def treated(page: Page, flag: str) -> EvaluationContext:
    return next(
        user(number)
        for number in range(100)
        if (found := page.provider.decide(flag, user(number))) is not None and found.variant == "als"
    )


# --- the same rows as the service's -----------------------------------------------------------------------------


def test_what_is_served_is_logged_as_the_service_logs_it(page: Page) -> None:
    """trigger serve, field by field, for units of both arms; only the random event id differs."""
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url, headers=SHOP) as http:
        for number in range(12):
            http.post(
                "/ofrep/v1/evaluate/flags/rec.mail", json={"context": {"targetingKey": f"user_{number}", **KNOWN}}
            ).raise_for_status()
            page.client.get_string_value("rec.mail", "none", user(number, **KNOWN))
    theirs, ours = [row for _, row in served.rows], page.rows()
    assert len(theirs) == 12
    assert len({row["event_id"] for row in ours}) == 12
    for mine, his in zip(ours, theirs, strict=True):
        assert {**mine, "event_id": None} == {**his, "event_id": None}
        assert reasons(CONTRACTS["exposure"], json.dumps(mine)) == frozenset()


def test_what_is_rendered_is_logged_as_the_service_logs_it(page: Page) -> None:
    """trigger render, field by field and with the event id, in a slot with an experiment and in one without."""
    served = Served()
    items = [{"item_id": "decor-04", "position": 1}, {"item_id": "rug-1", "position": 2, "score": 0.5}]
    with listening(served.app()) as url, httpx.Client(base_url=url, headers=SHOP) as http:
        for number, flag in enumerate(["rec.homepage", "rec.empty"] * 4):
            context = user(number, platform="web")
            found = page.client.get_string_details(flag, "none", context)
            told: dict[str, Any] = {"flag_key": flag, "exposure_id": found.flag_metadata["exposureId"], "items": items}
            told["served_variant"] = found.variant
            page.shown(context, **told)
            body = [{**told, "context": {"targetingKey": f"user_{number}", "platform": "web"}}]
            assert http.post("/v1/exposures", json=body).json()["events"][0]["status"] == "accepted"
    assert len(page.rows()) == 8
    assert page.rows() == [row for _, row in served.rows]


def test_the_documented_example_runs_where_an_experiment_waits_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word, where no arm is served: the flag answers the strategy's name, and that was shown."""
    text = (ROOT / "docs" / "serving.md").read_text("utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    waiting = experiment(state="scheduled", schedule={"start_at": "2099-01-01T00:00:00Z", "end_at": None})
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(waiting)), encoding="utf-8")
    (tmp_path / "demo-shop").mkdir()
    monkeypatch.chdir(tmp_path)
    told: dict[str, Any] = {}
    exec(compile(example, "docs/serving.md", "exec"), told)
    api.clear_providers()
    assert told["found"].variant == "popularity"
    [path] = (tmp_path / "demo-shop" / "spool").glob("*.ready")
    [row] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert (row["strategy"], row["items"]) == ("popularity", told["shown"]["items"])
    assert "served_variant" not in row


def test_an_exposure_without_an_id_gets_one(page: Page) -> None:
    page.shown(user(1), flag_key="rec.homepage")
    page.shown(user(1), flag_key="rec.homepage")
    assert len({row["event_id"] for row in page.rows()}) == 2


def test_what_meets_no_arm_is_not_logged(page: Page) -> None:
    """A caller that gets its default; a flag that is rendered later; a whole decision asked for."""
    assert page.client.get_integer_details("rec.mail", 7, user(1)).error_code is ErrorCode.TYPE_MISMATCH
    assert page.client.get_string_value("rec.mail", "none", EvaluationContext(None)) == "none"
    assert page.client.get_string_value("rec.hompage", "none", user(1)) == "none"
    page.client.get_string_value("rec.homepage", "none", user(1))
    page.provider.decide("rec.mail", user(1))
    assert page.rows() == []


def test_an_id_that_stands_for_none_is_refused(page: Page) -> None:
    found = page.client.get_string_details("rec.mail", "none", EvaluationContext("null"))
    assert (found.value, found.error_code) == ("none", ErrorCode.INVALID_CONTEXT)
    assert page.rows() == []


# --- a log that fails -------------------------------------------------------------------------------------------


def test_control_is_served_while_exposures_cannot_be_kept(page: Page) -> None:
    context = treated(page, "rec.mail")
    page.log.refuse_with = FULL
    found = page.client.get_string_details("rec.mail", "none", context)
    assert (found.value, found.variant, found.reason, found.error_code) == ("control", "control", "UNKNOWN", None)
    assert "splitBucket" not in found.flag_metadata
    assert (page.provider.control_served, page.rows()) == (1, [])
    page.log.refuse_with = None
    assert page.client.get_string_value("rec.mail", "none", context) == "als"
    assert [row["variant"] for row in page.rows()] == ["als"]


def test_a_slot_that_is_rendered_gets_control_too_until_the_log_recovers(page: Page) -> None:
    context = treated(page, "rec.homepage")
    page.log.refuse_with = FULL
    with pytest.raises(SpoolError, match="No space left on device"):
        page.shown(context, flag_key="rec.homepage")
    found = page.client.get_string_details("rec.homepage", "none", context)
    assert (found.value, found.reason) == ("control", "UNKNOWN")
    assert "exposureId" not in found.flag_metadata
    page.log.refuse_with = None
    page.shown(context, flag_key="rec.homepage")
    assert page.client.get_string_value("rec.homepage", "none", context) == "als"


def test_the_poll_finds_out_that_the_log_recovered(file: Path) -> None:
    log = MemorySpool(refuse_with=FULL)
    provider = InProcessProvider(FileSource(file), log=log, clock=lambda: NOW, poll_seconds=0.01)
    api.set_provider_and_wait(provider)
    page = Page(provider, api.get_client(), log)
    context = treated(page, "rec.homepage")
    page.client.get_string_value("rec.mail", "none", context)
    assert page.client.get_string_value("rec.homepage", "none", context) == "control"
    log.refuse_with = None
    again = threading.Event()
    for _ in range(500):
        if page.client.get_string_value("rec.homepage", "none", context) == "als":
            break
        again.wait(0.01)
    assert page.client.get_string_value("rec.homepage", "none", context) == "als"
    api.clear_providers()


# --- what is no exposure ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "flag_key is None; give the flag"),
        ({"flag_key": "rec.homepage", "variant": "als"}, "variant: may be"),
        ({"flag_key": "rec.homepage", "served_variant": "old"}, "'old' was shown"),
        ({"flag_key": "rec.homepage", "exposure_id": 7}, "exposure_id 7: give the text"),
        ({"flag_key": "rec.homepage", "items": [{"position": 1}]}, "no exposure.v1 row"),
        ({"flag_key": "rec.homepage", "latency_ms": "fast"}, "no exposure.v1 row"),
        ({"flag_key": "rec.hompage"}, "nothing was assigned"),
        ({"flag_key": "rec.seen"}, "nothing was assigned"),
    ],
)
def test_what_is_no_exposure_is_refused(page: Page, told: Mapping[str, object], said: str) -> None:
    context = EvaluationContext(None, {"user_id": "user_1"})
    with pytest.raises(UsageError, match=said):
        page.shown(context, **told)
    assert page.rows() == []


def test_before_the_first_bundle_nothing_can_have_been_rendered(file: Path) -> None:
    provider = InProcessProvider(FileSource(file), log=MemorySpool())
    with pytest.raises(UsageError, match="no bundle yet"):
        provider.track("exposure", user(1), TrackingEventDetails(attributes={"flag_key": "rec.homepage"}))


# --- threads and processes --------------------------------------------------------------------------------------


def test_threads_share_one_spool(file: Path, tmp_path: Path) -> None:
    """Every evaluation of eight threads is one whole line, once."""
    each = 100
    with Spool(tmp_path / "spool") as log:
        made(file, log)

        def ask(first: int) -> None:
            client = api.get_client()
            for number in range(first, first + each):
                client.get_string_value("rec.mail", "none", user(number))

        threads = [threading.Thread(target=ask, args=(each * number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        api.clear_providers()
    lines = [line for path in (tmp_path / "spool").glob("*.ready") for line in path.read_text("utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    assert {row["unit_id"] for row in rows} == {f"user_{number}" for number in range(8 * each)}
    assert len({row["event_id"] for row in rows}) == len(rows) == 8 * each


FORKING = """
import os, sys
from pathlib import Path
from openfeature.evaluation_context import EvaluationContext
from assignment.event_log import Spool
from assignment.provider import FileSource, InProcessProvider
from tests.helpers.bundles import NOW

spool = Spool(Path(sys.argv[2]), background=False)
provider = InProcessProvider(FileSource(Path(sys.argv[1])), log=spool, clock=lambda: NOW)
provider.refresh()
users = [EvaluationContext(f"user_{number}") for number in range(20)]
ask = lambda: sorted({provider.resolve_string_details("rec.mail", "none", user).value for user in users})
before = ask()
child = os.fork()
answers = ask() if child == 0 else before
os.write(1, f"{'child' if child == 0 else 'parent'} {' '.join(answers)}\\n".encode())  # one write, from two processes
if child:
    os.waitpid(child, 0)
    os.write(1, f"after {' '.join(ask())}\\n".encode())
else:
    os._exit(0)
"""


def test_a_forked_child_serves_control_and_leaves_the_spool_alone(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    ran = subprocess.run(
        [sys.executable, "-c", FORKING, str(file), str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert sorted(ran.stdout.splitlines()) == ["after als control", "child control", "parent als control"]
    lines = [line for path in folder.glob("*.open") for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == 2 * 20
