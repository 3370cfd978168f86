"""A disk that fills up under a real spool: control is served, readiness is false, and it ends without a restart."""

import errno
import json
import os
import time
from pathlib import Path

import httpx

from assignment.event_log import Spool
from assignment.service.settings import ServiceSettings
from tests.helpers.bundles import arm, bundle, experiment
from tests.helpers.serving import SHOP, Documents, Served, listening

TREATED = bundle(experiment(variants=[arm("control", 0, 1), arm("als", 1, 10_000)], trigger="serve"))


def test_a_full_disk_and_its_recovery(tmp_path: Path) -> None:
    full = False

    def write(descriptor: int, data: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(descriptor, data)

    spool = Spool(tmp_path / "spool", fsync_ms=10, write=write)
    served = Served(Documents(TREATED), log=spool, settings=ServiceSettings(poll_seconds=0.02))
    said: list[tuple[str, str]] = []
    with listening(served.app()) as url, httpx.Client(base_url=url, headers=SHOP) as client:

        def ask(unit: int) -> str:
            body = {"context": {"targetingKey": f"u{unit}"}}
            answer = client.post("/ofrep/v1/evaluate/flags/rec.homepage", json=body)
            assert answer.status_code == 200
            said.append((f"u{unit}", answer.json()["value"]))
            return said[-1][1]

        assert [ask(unit) for unit in range(5)] == ["als"] * 5
        full = True
        assert [ask(unit) for unit in range(5, 10)] == ["control"] * 5
        ready = client.get("/readyz")
        assert (ready.status_code, "No space left on device" in ready.text) == (503, True)
        assert client.post("/v1/outcomes", json=[]).status_code == 202
        full = False
        deadline = time.monotonic() + 10
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert [ask(unit) for unit in range(10, 15)] == ["als"] * 5
    lines = [line for path in (tmp_path / "spool").glob("*.ready") for line in path.read_bytes().splitlines()]
    logged = {json.loads(line)["unit_id"] for line in lines if line.strip()}
    assert logged == {unit for unit, value in said if value == "als"}
