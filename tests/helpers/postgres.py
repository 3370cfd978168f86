"""A throw-away PostgreSQL on loopback, or the reason why there is none."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def missing() -> str | None:
    """Why no server can be used here; None when one can."""
    if os.environ.get("TRUELIFT_TEST_POSTGRES") or _binaries() is not None:
        return None
    return "no PostgreSQL: neither TRUELIFT_TEST_POSTGRES nor an installed initdb"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server's maintenance database: TRUELIFT_TEST_POSTGRES, else one started for the occasion."""
    given = os.environ.get("TRUELIFT_TEST_POSTGRES")
    if given:
        yield given
        return
    binaries = _binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="truelift-postgres-"))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        subprocess.run(
            [
                binaries / "initdb",
                "-D",
                data,
                "-U",
                "truelift",
                "--auth=trust",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        port = _free_port()
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), *options],
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
            )
        url = f"postgresql://truelift@127.0.0.1:{port}/postgres"
        try:
            _wait(url, process, folder / "log")
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(url: str, name: str) -> Iterator[str]:
    """The URL of a new database on the server at `url`; gone afterwards."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')
        connection.execute(f'create database "{name}"')
    try:
        yield f"{url.rsplit('/', 1)[0]}/{name}"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')


def _binaries() -> Path | None:
    found = [Path(initdb).parent for initdb in [shutil.which("initdb")] if initdb]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _user() -> str | None:
    """PostgreSQL refuses to run as root: somebody else, when we are."""
    if os.geteuid() != 0:
        return None
    known = Path("/etc/passwd").read_text()
    return "postgres" if "\npostgres:" in known else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.05)
