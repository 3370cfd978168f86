"""`truelift serve` as a process: two workers, a configuration that changes under them, an end that loses nothing."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from analysis.cli.serve_worker import application
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import ShopTerms
from analysis.warehouse.loading.spool import load_spool
from assignment.event_log import Spool
from assignment.service.auth import digest_of
from experiments import lifecycle
from experiments.shop import Shop, create
from experiments.store import Store
from experiments.store.values import Token
from tests.helpers.assigned_shop import FLAT, KEY, Desk
from tests.helpers.serving import listening

ROOT = Path(__file__).parents[3]
NOW = datetime.now(UTC)
HEADERS = {"authorization": "Bearer secret"}
FLAG = "/ofrep/v1/evaluate/flags/rec.homepage"
BODY = {"context": {"targetingKey": "u1", "platform": "web"}}


def command(shop: Shop, *words: str) -> list[str]:
    return [sys.executable, "-m", "analysis.cli", "serve", "--home", str(shop.home), *words]


@contextmanager
def serving(shop: Shop, *words: str, **settings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen(
        command(shop, "--port", str(port), "--address", "127.0.0.1", *words),
        cwd=ROOT, text=True, stderr=subprocess.PIPE, env=os.environ | settings,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
        yield url, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A shop whose experiment runs now, with a token for everything."""
    shop = create(tmp_path / "shop")
    begins, ends = NOW - timedelta(days=2), NOW + timedelta(days=60)
    text = FLAT.replace("2026-12-01", f"{begins:%Y-%m-%d}").replace("2026-12-29", f"{ends:%Y-%m-%d}")
    with Store.open(shop.store_url) as store:
        made = Desk(store, shop)
        made.propose(text)
        lifecycle.start(store, shop, KEY, actor="ann", reason="go", now=NOW - timedelta(hours=1))
        scopes = ("evaluate", "write_events", "manage", "read")
        store.add_token(Token("t1", "all", digest_of("secret"), scopes, NOW, None, None), actor="ann", reason="")
        yield made


@pytest.mark.slow
def test_two_workers_follow_the_store_and_lose_nothing(desk: Desk) -> None:
    row = {
        "event_ts": NOW.isoformat(), "unit_type": "user", "unit_id": "u1", "event_name": "click", "item_id": "i1",
        "module": "homepage",
    }  # fmt: skip
    with serving(desk.shop, "--workers", "2") as (url, process):
        first = httpx.post(url + FLAG, json=BODY, headers=HEADERS).json()
        assert first["metadata"]["experimentKey"] == KEY
        for number in range(40):  # a new connection each, so that both workers get some
            answer = httpx.post(f"{url}/v1/outcomes", json=[row | {"event_id": f"o{number}"}], headers=HEADERS)
            assert answer.json()["events"][0]["status"] == "accepted", answer.text
        page = httpx.get(f"{url}/metrics").text
        declared = re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)
        assert len(declared) == len(set(declared)), "each figure once, however many workers there are"
        assert 'truelift_events_total{fate="written",kind="outcome"} 40.0' in page
        lifecycle.kill(desk.store, KEY, actor="ann", reason="fire", now=datetime.now(UTC))
        deadline = time.monotonic() + 10
        agreed = 0
        while agreed < 10:
            answer = httpx.post(url + FLAG, json=BODY, headers=HEADERS)
            assert answer.status_code == 200
            agreed = agreed + 1 if answer.json()["metadata"]["assignmentReason"] == "killed" else 0
            assert time.monotonic() < deadline
        assert httpx.post(url + FLAG, json=BODY, headers=HEADERS).json()["value"] == "control"
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    kept = [
        json.loads(line)["event_id"] for path in desk.shop.spool.iterdir() for line in path.read_text().splitlines()
    ]
    assert sorted(kept) == sorted(f"o{number}" for number in range(40))
    assert not list(desk.shop.spool.glob("*.open"))


@pytest.mark.slow
def test_what_cannot_be_served_is_said_at_once(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    done = subprocess.run(command(shop), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "no layer is registered" in done.stderr) == (2, True), done.stderr
    assert sorted(re.findall(r"\w+\.yml(?=[,:])", done.stderr)) == sorted(path.name for path in shop.layers.iterdir())
    named = re.search(r"`truelift (register .*?)`", done.stderr)
    assert named is not None, done.stderr
    words = [sys.executable, "-m", "analysis.cli", *shlex.split(named[1])]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 0
    with Store.open(shop.store_url) as store:
        assert len(store.ground().layers) == len(list(shop.layers.iterdir()))
    done = subprocess.run(command(shop), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "nobody has a token" in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_a_shop_without_layer_files_and_a_taken_port_are_said_at_once(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    for path in shop.layers.iterdir():
        path.unlink()
    done = subprocess.run(command(shop), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, f"write {shop.layers / 'NAME.yml'}" in done.stderr) == (2, True), done.stderr
    shop = create(tmp_path / "other")
    with Store.open(shop.store_url) as store:
        Desk(store, shop).propose()
        store.add_token(Token("t1", "all", digest_of("secret"), ("evaluate",), NOW, None, None), actor="a", reason="")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        words = command(shop, "--port", str(port), "--address", "127.0.0.1")
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    taken = f"127.0.0.1:{port} cannot be listened on"
    assert [line.startswith(taken) for line in done.stderr.splitlines()] == [True], done.stderr
    wrong = os.environ | {"TRUELIFT_SERVE_BODY_BYTES": "many"}
    done = subprocess.run(command(shop), cwd=ROOT, capture_output=True, text=True, check=False, env=wrong)
    assert (done.returncode, "TRUELIFT_SERVE_BODY_BYTES" in done.stderr) == (2, True), done.stderr


def test_strategies_without_anything_to_recommend_are_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRUELIFT_HOME", str(desk.shop.home))
    desk.shop.published.mkdir(exist_ok=True)
    lists = desk.shop.published / "lists.json"
    with listening(application()) as url:
        [said] = httpx.get(f"{url}/readyz").json()["warnings"]
        assert "als, popularity: not fitted, and no list" in said
        assert said in caplog.text
        lists.write_text(json.dumps({"als": ["i1"], "popularity": ["i2"]}), encoding="utf-8")
        assert "warnings" not in httpx.get(f"{url}/readyz").json()


def test_metrics_tell_what_the_loader_did(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: what a worker is put together from, and what a load left beside the segments."""
    with Spool(desk.shop.spool) as log:
        log.append("outcome", {"event_id": "o1"})
    with open_connection(desk.shop.warehouse_path) as connection:
        load_spool(connection, desk.shop.spool, ShopTerms.of(desk.shop.settings), now=NOW.replace(tzinfo=None))
    monkeypatch.setenv("TRUELIFT_HOME", str(desk.shop.home))
    with listening(application()) as url:
        page = httpx.get(f"{url}/metrics").text
    assert 'truelift_loader_events_total{fate="rejected"} 1\n' in page
    assert "truelift_spool_ready_segments 0.0" in page
