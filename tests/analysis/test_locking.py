"""One process at a time, and the others learn who it is."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from analysis.locking import alone
from experiments.errors import BusyError, SpoolError

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from analysis.locking import alone
with alone(Path(sys.argv[1]), busy=RuntimeError, refused=lambda error: error):
    print("held", flush=True)
    sys.stdin.read()
"""


def mine(lock: Path, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
    return alone(lock, wait_seconds=wait_seconds, busy=BusyError, refused=lambda error: SpoolError(error.strerror))


@contextmanager
def held_elsewhere(lock: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the lock."""
    words = [sys.executable, "-c", HOLDER, str(lock), "a", "b"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_one_learns_who_is_first_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "room" / "x.lock"
    with held_elsewhere(lock) as process:
        with pytest.raises(BusyError, match=rf"^process {process.pid} \(-c .*x\.lock a, since 20..-"), mine(lock):
            pass
        process.kill()
        process.wait()
        with mine(lock):
            assert f'"pid": {process.pid}' not in lock.read_text("utf-8")
    assert lock.read_text("utf-8") == ""


def test_waiting_takes_as_long_as_was_said(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with mine(lock):
        began = time.monotonic()
        with pytest.raises(BusyError), mine(lock, wait_seconds=0.25):
            pass
        assert 0.25 <= time.monotonic() - began < 5


def test_a_lock_without_words_is_another_process(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with mine(lock):
        lock.write_text("{", encoding="utf-8")
        with pytest.raises(BusyError, match=r"^another process$"), mine(lock):
            pass


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="Is a directory"), mine(tmp_path):
        pass
