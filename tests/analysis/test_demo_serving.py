"""The demo's slots served by several processes at once."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

from analysis.demo import serving
from analysis.demo.serving import serve, serve_together
from analysis.demo.shop import assigner, begin, plan
from assignment.event_log import Spool
from experiments.shop import create
from experiments.simulator.generator import simulate
from experiments.store import Store


def logged(folder: Path) -> list[bytes]:
    return sorted(line for segment in folder.glob("*.ready") for line in segment.read_bytes().splitlines())


def test_several_processes_log_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, played = create(tmp_path / "shop"), plan(150)
    with Store.open(shop.store_url) as store:
        configurations = begin(shop, store, played, "test")
    shown = simulate(played, assigner(configurations[1])).exposures
    slots = shown.filter(pc.greater_equal(shown["event_ts"], played.midnight(-2)))
    with Spool(tmp_path / "one") as log:
        assert serve(slots, configurations, log) == len(slots)
    told: list[int] = []
    monkeypatch.setattr(serving, "WORKER_FROM", len(slots) // 3)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert serve_together(slots, configurations, tmp_path / "many", lambda done, _: told.append(done)) == len(slots)
    assert logged(tmp_path / "many") == logged(tmp_path / "one") != []
    assert told == sorted(told)
    assert len(told) >= 3, "a share at a time"
