"""Kill −9 in earnest: writers under load and a loader, at random moments. What was acknowledged is there, once."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.spool import load_spool
from assignment.segments import OPEN, READY
from tests.helpers.effort import scaled
from tests.helpers.loads import EUROS, NOW

ROOT = Path(__file__).parents[4]
KILLS = scaled(5, 50)
THREADS = 3

WRITER = f"""
import os, sys, threading, time
from pathlib import Path
from assignment.event_log import Spool

spool = Spool(Path(sys.argv[1]), fsync_ms=20, fsync_events=50, rotate_bytes=100_000, rotate_seconds=0.05)

def write(name):
    number = 0
    while True:
        event_id = f"{{name}}-{{number}}"
        spool.append("exposure", {{
            "event_id": event_id, "event_ts": "2026-11-01T10:00:00Z", "module": "homepage", "unit_type": "user",
            "unit_id": f"u{{number % 50}}", "assignment_reason": "none", "strategy": "x" * (number % 200 + 1),
        }})
        os.write(1, f"{{event_id}}\\n".encode())  # the answer leaves
        number += 1
        time.sleep(0.0005)

for thread in range({THREADS}):
    threading.Thread(target=write, args=(f"{{sys.argv[2]}}-{{thread}}",)).start()
"""

LOADER = """
import sys, time
from datetime import datetime
from pathlib import Path
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import ShopTerms
from analysis.warehouse.loading.spool import load_spool

with open_connection(Path(sys.argv[2]), wait_seconds=30) as connection:
    while True:
        load_spool(connection, Path(sys.argv[1]), ShopTerms("EUR", 2, "Europe/Berlin"), now=datetime(2026, 11, 20, 12))
        print("loaded", flush=True)
        time.sleep(0.01)
"""


def start(text: str, *arguments: object) -> subprocess.Popen[bytes]:
    """The process, once it has said something."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    process.stdout.read(1)
    return process


def kill(process: subprocess.Popen[bytes]) -> bytes:
    """End it as a power cut would; what it had said since `start`."""
    process.kill()
    said, _ = process.communicate()
    return said


def test_every_acknowledged_event_is_in_the_warehouse_once(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    spool, warehouse = tmp_path / "spool", tmp_path / "warehouse.duckdb"
    acknowledged: set[str] = set()
    spool.mkdir()
    loader = start(LOADER, spool, warehouse)
    for number in range(KILLS):
        writer = start(WRITER, spool, number)
        bystander = start(WRITER, spool, f"b{number}") if number % 5 == 4 else None  # several share the folder
        time.sleep(chance.uniform(0, 0.4))
        if number % 4 == 2:
            kill(loader)  # in the middle of whatever it does
            loader = start(LOADER, spool, warehouse)
        for process, name in ((writer, f"{number}"), (bystander, f"b{number}")):
            if process is not None:
                said = name[:1] + kill(process).decode()  # the first letter was read by `start`
                acknowledged |= set(said.split("\n")[:-1])
    kill(loader)
    with open_connection(warehouse, wait_seconds=30) as connection:
        load_spool(connection, spool, EUROS, now=NOW)
        found = Counter(event_id for (event_id,) in connection.execute("select event_id from exposures").fetchall())
        reasons = connection.execute("select distinct unnest(reasons) from rejected").fetchall()
        loads = connection.execute("select count(distinct load_id) from loaded_segments").fetchall()[0][0]
    assert len(acknowledged) > 10 * KILLS
    assert sorted(acknowledged - set(found)) == []
    assert [event_id for event_id, times in found.items() if times > 1] == []
    assert len(set(found) - acknowledged) <= THREADS * (KILLS + KILLS // 5)  # written, its answer had not left
    assert set(reasons) <= {("torn",)}
    assert loads > 1  # the loader was at work meanwhile
    assert [path for path in spool.iterdir() if path.suffix in (OPEN, READY)] == []
