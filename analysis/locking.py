"""One process at a time: a lock file that names who holds it. The lock is gone when the process is, however it ends."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

_POLL_SECONDS = 0.1


@contextmanager
def alone(
    lock: Path,
    *,
    wait_seconds: float = 0.0,
    busy: Callable[[str], Exception],
    refused: Callable[[OSError], Exception],
) -> Iterator[None]:
    """Hold the lock until the context ends.

    Raises `busy(who)` when another holds it after `wait_seconds`, `refused(error)` when the file cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise refused(error) from error
    with handle:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise busy(_holder(lock)) from None
                time.sleep(_POLL_SECONDS)
        who = {"pid": os.getpid(), "command": _command(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            handle.truncate(0)
            os.write(handle.fileno(), json.dumps(who).encode())  # not buffered: what fails, fails here
        except OSError as error:
            raise refused(error) from error
        try:
            yield
        finally:
            handle.truncate(0)
            fcntl.flock(handle, fcntl.LOCK_UN)


def _command() -> str:
    return " ".join((Path(sys.argv[0]).name, *sys.argv[1:3]))


def _holder(lock: Path) -> str:
    try:
        holder = json.loads(lock.read_text(encoding="utf-8"))
        return f"process {holder['pid']} ({holder['command']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
