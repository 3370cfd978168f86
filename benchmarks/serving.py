"""The service beside a trivial endpoint, in one run: `python -m benchmarks.serving [--seconds 4] [--soak 0]`.

Each is one uvicorn worker, asked over kept connections by one client process. Ours evaluates a flag whose experiment
has `trigger: serve` among 50 experiments: token, JSON in, decision, exposure row appended to a spool on disk that is
fsynced in groups, JSON out. The trivial one is a Starlette endpoint that reads the same JSON and answers a constant.
Rounds alternate; the median counts. Latency is taken at one rate for both, half of what ours can do, from the moment a
request was due. Only the ratios mean anything on another machine. Limits: throughput at least 0.5 times the trivial
one's, 99th percentile at most 3 times. `--soak` goes on for so many seconds and says how the memory grew.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from assignment.event_log import Spool
from assignment.service.app import application
from assignment.service.auth import Gate, Token, digest_of
from assignment.service.configuration import Configuration
from assignment.service.core import Service
from assignment.service.journal import Journal
from assignment.service.live import LiveCatalogue, MemoryItems
from assignment.service.metrics import Metrics
from assignment.service.recommend import Lists
from assignment.service.settings import ServiceSettings

FLAG, SECRET, EXPERIMENTS, CONNECTIONS, ROUNDS = "rec.module_7", "secret", 50, 16, 5
BEGAN, ENDS = "2026-01-01T00:00:00Z", "2199-01-01T00:00:00Z"
BODY = msgspec.json.encode({"context": {"targetingKey": "u%08d", "platform": "web", "country": "DE"}})
PATHS = {"trivial": "/evaluate", "truelift": f"/ofrep/v1/evaluate/flags/{FLAG}"}


def document() -> dict[str, object]:
    """50 running experiments, one a module, each with a ramp at 80 % and half of its layer, under one holdout."""
    names = [f"module_{number}" for number in range(EXPERIMENTS)]
    layers = [
        {"key": name, "salt": f"layer.{name}", "unit_type": "user", "modules": [name],
         "slots": [{"flag_key": f"rec.{name}", "module": name, "default_strategy": "popularity"}]}
        for name in names
    ]  # fmt: skip
    holdout = {
        "key": "global", "salt": "holdout.global", "unit_type": "user", "buckets": [[0, 500]], "modules": names,
        "strategy": "no_recommendations", "start_at": BEGAN, "end_at": None,
    }  # fmt: skip
    return {
        "schema": "bundle.v1", "config_version": 1, "layers": layers, "holdouts": [holdout],
        "experiments": [_experiment(order, name) for order, name in enumerate(names)],
    }  # fmt: skip


def _experiment(order: int, name: str) -> dict[str, object]:
    arms = [("control", 0, 5_000), ("als", 5_000, 10_000)]
    return {
        "key": f"test_{name}", "state": "running", "killed": False, "order": order, "phase": 1, "started_at": BEGAN,
        "flag_keys": [f"rec.{name}"], "modules": [name], "layer": {"key": name, "ranges": [[0, 5_000]]},
        "holdouts": ["global"], "unit_type": "user", "salt": f"test_{name}.1", "hash_version": "md5-32/1",
        "variants": [
            {"key": key, "is_control": key == "control", "strategy": key, "params": {}, "start": start, "end": end,
             "disabled": False}
            for key, start, end in arms
        ],
        "traffic": [{"at": BEGAN, "bp": 8_000}], "schedule": {"start_at": BEGAN, "end_at": ENDS}, "targeting": None,
        "prerequisites": [], "overrides": [], "trigger": "serve",
    }  # fmt: skip


class _Constant:
    def version(self) -> int:
        return 1

    def document(self) -> dict[str, object]:
        return document()

    def tokens(self) -> list[Token]:
        return [Token("bench", digest_of(SECRET), frozenset({"evaluate"}))]


def truelift(folder: Path) -> ASGIApp:
    """The service with its durable log."""
    metrics = Metrics()
    settings = ServiceSettings(requests_per_second=1e9)
    configuration = Configuration(_Constant())
    service = Service(
        settings=settings,
        configuration=configuration,
        journal=Journal(Spool(folder / "spool"), metrics, waits=False),
        catalogue=LiveCatalogue(MemoryItems()),
        gate=Gate(configuration.tokens, 1e9, 1e9, time.monotonic),
        metrics=metrics,
        now=lambda: datetime.now(UTC),
    )
    return application(service, Lists(folder / "lists.json"))


def trivial(_: Path) -> ASGIApp:
    """JSON in, a constant out."""

    async def evaluate(request: Request) -> Response:
        msgspec.json.decode(await request.body())
        return Response(msgspec.json.encode({"key": FLAG, "value": "als"}), media_type="application/json")

    return Starlette(routes=[Route("/evaluate", evaluate, methods=["POST"])])


SERVERS: dict[str, Callable[[Path], ASGIApp]] = {"trivial": trivial, "truelift": truelift}


def serve(name: str, port: int, folder: str) -> None:
    """One worker, in a process of its own."""
    uvicorn.run(SERVERS[name](Path(folder)), port=port, log_level="error", access_log=False, ws="none")


class _Connection(asyncio.Protocol):
    """Asks one request at a time; the answer is read by its content-length."""

    def __init__(self) -> None:
        self._got = b""
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        if len(body) >= length and self._answered is not None:
            if not head.startswith(b"HTTP/1.1 200"):
                self._answered.set_exception(RuntimeError(self._got.decode()))
            else:
                self._answered.set_result(None)
            self._got = b""

    def ask(self, request: bytes) -> asyncio.Future[None]:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered


def _request(name: str, number: int) -> bytes:
    body = BODY % number
    return (
        f"POST {PATHS[name]} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {SECRET}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _connected(port: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(_Connection, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    return [protocol for _, protocol in made]


async def throughput(name: str, port: int, seconds: float) -> float:
    """Requests a second when every connection asks again at once."""
    connections = await _connected(port)
    done = 0
    until = time.perf_counter() + seconds

    async def ask(connection: _Connection, first: int) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < until:
            await connection.ask(_request(name, number))
            number += CONNECTIONS
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(ask(connection, first) for first, connection in enumerate(connections)))
    return done / (time.perf_counter() - began)


async def latencies(name: str, port: int, rate: float, seconds: float) -> list[float]:
    """Seconds from the moment each request was due, at `rate` a second, sorted."""
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for connection in await _connected(port):
        free.put_nowait(connection)
    taken: list[float] = []
    began = time.perf_counter()
    running: set[asyncio.Task[None]] = set()

    async def ask(number: int, due: float) -> None:
        connection = await free.get()
        await connection.ask(_request(name, number))
        taken.append(time.perf_counter() - due)
        free.put_nowait(connection)

    for number in range(int(rate * seconds)):
        due = began + number / rate
        while (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait if wait > 0.002 else 0)
        task = asyncio.create_task(ask(number, due))
        running.add(task)
        task.add_done_callback(running.discard)
    while running:
        await asyncio.gather(*running)
    return sorted(taken)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _started(name: str, folder: str) -> tuple[multiprocessing.process.BaseProcess, int]:
    port = _free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(name, port, folder), daemon=True)
    process.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    raise SystemExit(f"{name} did not start")


def _resident_mib(pid: int) -> float:
    """Memory of a process, MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print both, their ratios and the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of load at the end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers = {name: _started(name, folder) for name in SERVERS}
        for name, (_, port) in servers.items():
            asyncio.run(throughput(name, port, 1.0))
        rates: dict[str, list[float]] = {name: [] for name in servers}
        late: dict[str, list[float]] = {name: [] for name in servers}
        cpu: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, (process, port) in servers.items():
                before = _cpu_seconds(process.pid or 0)
                rates[name].append(asyncio.run(throughput(name, port, given.seconds)))
                used = _cpu_seconds(process.pid or 0) - before
                cpu[name].append(used / (rates[name][-1] * given.seconds) * 1e6)
        spent = {name: statistics.median(each) for name, each in cpu.items()}
        rate = {name: statistics.median(each) for name, each in rates.items()}
        for _ in range(ROUNDS):
            for name, (_, port) in servers.items():
                sorted_ = asyncio.run(latencies(name, port, rate["truelift"] / 2, given.seconds))
                late[name].append(sorted_[int(len(sorted_) * 0.99)])
        p99 = {name: statistics.median(each) for name, each in late.items()}
        for name in servers:
            print(
                f"{name:9} {rate[name]:8,.0f} requests/s, {spent[name]:5.1f} µs of CPU each,",
                f"p99 {p99[name] * 1000:6.2f} ms at {rate['truelift'] / 2:,.0f}/s",
            )
        print(f"throughput ratio {rate['truelift'] / rate['trivial']:.2f} (limit: at least 0.50)")
        print(f"in CPU time      {spent['trivial'] / spent['truelift']:.2f} (what a busy machine cannot blur)")
        print(f"p99 ratio        {p99['truelift'] / p99['trivial']:.2f} (limit: at most 3.00)")
        if given.soak:
            process, port = servers["truelift"]
            before = _resident_mib(process.pid or 0)
            asked = asyncio.run(throughput("truelift", port, given.soak)) * given.soak
            after = _resident_mib(process.pid or 0)
            print(f"soak: {asked:,.0f} requests in {given.soak:g} s, memory {before:.1f} to {after:.1f} MiB")
        for process, _ in servers.values():
            process.terminate()
            process.join(10)


if __name__ == "__main__":
    main()
