"""kill −9 anywhere between the first write and the last delivery: every notice at least once, none twice by its key."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.store import Store
from tests.helpers import receivers
from tests.helpers.alert_runs import STATE, dump
from tests.helpers.effort import scaled

ROOT = Path(__file__).parents[4]
KILLS = scaled(5, 30)
HOURS = scaled(48, 192)  # a loss begins and ends every twelve

# Runs hour after hour, each in a process of its own that may be killed at any of four places; says how each ended.
RUNS = """
import os, random, signal, sys
import httpx
from experiments.store import Store
from experiments.store.alerts import Alerts
from analysis.alerts.job.run import run
from tests.helpers.alert_runs import CART, HOME, HOUR, START, Scripted, plan

url, port, wanted, hours, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
LOSS = Scripted(
    hours=hours,
    losses=[
        *((HOME, "page", first, first + 5) for first in range(4, hours, 12)),
        *((CART, "ticket", first, first + 14) for first in range(8, hours, 48)),
    ],
)
rng = random.Random(seed)

def maybe(place):
    if place == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)

def between(function, place):                     # dies after the transaction, before the next step
    def then(*given, **named):
        found = function(*given, **named)
        maybe(place)
        return found
    return then

class Webhook:
    name = "webhook"
    def deliver(self, payload):
        maybe("before the post")
        answer = httpx.post(f"http://127.0.0.1:{port}/hook", json=payload, timeout=10)
        answer.raise_for_status()
        maybe("after the post")

PLACES = ("after the state", "after the release", "before the post", "after the post")
kills, hour = 0, 1
while hour <= hours:
    due = kills < wanted
    killed_at = rng.choice(PLACES) if due and rng.random() < 0.8 else None
    child = os.fork()
    if child == 0:
        Alerts.commit = between(Alerts.commit, "after the state")
        Alerts.release = between(Alerts.release, "after the release")
        as_of = START + hour * HOUR
        with Store.open(url) as store:
            report = run(store, lambda: plan(LOSS, Webhook()), as_of=as_of, clock=lambda: as_of)
        os._exit(report.code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGKILL:
        kills += 1
        print(killed_at, flush=True)
        continue                                  # the scheduler tries again
    assert code in (0, 99), code
    hour = hour + 1 if hour == hours else min(hours, hour + rng.choice((1, 1, 1, 3)))
print("done", kills, flush=True)
"""


@dataclass(frozen=True)
class Played:
    """What arrived, in order, how often a run was killed and where."""

    arrived: list[tuple[str, str]]
    bodies: dict[tuple[str, str], list[str]]
    places: list[str]


def played(folder: Path, kills: int, seed: int) -> Played:
    url = f"sqlite:///{folder / 'registry.sqlite'}"
    Store.open(url).close()
    with receivers.web() as hook:
        done = subprocess.run(
            [sys.executable, "-c", RUNS, url, str(hook.port), str(kills), str(HOURS), str(seed)],
            capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *places, last = done.stdout.splitlines()
        assert last == f"done {kills}"
        bodies: dict[tuple[str, str], list[str]] = {}
        arrived = [(body["incident"]["incident_id"], body["notice"]["transition"]) for body in hook.bodies]
        for key, body in zip(arrived, hook.bodies, strict=True):
            bodies.setdefault(key, []).append(json.dumps(body, sort_keys=True))
    return Played(arrived, bodies, places)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(scaled(1, 3)))
def test_what_is_killed_between_state_and_delivery_is_told_at_least_once_and_never_twice_by_its_key(
    tmp_path: Path, seed: int
) -> None:
    (tmp_path / "killed").mkdir()
    found = played(tmp_path / "killed", KILLS, seed)
    assert len(found.places) == KILLS
    with Store.open(f"sqlite:///{tmp_path / 'killed' / 'registry.sqlite'}") as store:
        told = [each for each in store.alerts.outbox() if each.state != "superseded"]
        assert {each.state for each in told} == {"delivered"}
        owed = [(each.incident, json.loads(each.payload or "")["notice"]["transition"]) for each in told]
        assert set(found.arrived) == set(owed)  # at least once, and nothing else
        assert len(set(owed)) == len(owed)
        assert len(found.arrived) - len(owed) <= found.places.count("after the post")
        for texts in found.bodies.values():
            assert len(set(texts)) == 1  # a second time it is the same, to the last letter
        firsts = list(dict.fromkeys(found.arrived))
        assert firsts == owed  # and in order
        assert {transition.split(":")[0] for _, transition in owed} >= {"open", "resolved"}
        killed = dump(store, *STATE)
    (tmp_path / "whole").mkdir()
    played(tmp_path / "whole", 0, seed + 100)
    with Store.open(f"sqlite:///{tmp_path / 'whole' / 'registry.sqlite'}") as store:
        assert dump(store, *STATE) == killed
