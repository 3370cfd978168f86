import asyncio
import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from assignment.event_log import EventLog, MemorySpool, Spool
from assignment.segments import OPEN, READY, adopt, folder_stats
from experiments.errors import SpoolError, SpoolFullError, UsageError

ROOT = Path(__file__).parents[2]


class Clock:
    """A clock that stands still until it is told; seconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_795_262_400.0

    def __call__(self) -> float:
        return self.now


class Disk:
    """A disk that can be full, tear lines, or refuse to make them safe."""

    def __init__(self) -> None:
        self.room: int | None = None  # bytes; None: enough
        self.safe = True
        self.synced = 0

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return os.write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = os.write(descriptor, data[: self.room])
        self.room -= done
        return done

    def sync(self, descriptor: int) -> None:
        if not self.safe:
            raise OSError(errno.EIO, "Input/output error")
        self.synced += 1
        os.fsync(descriptor)


def event(number: int) -> dict[str, object]:
    return {"event_id": f"e{number}", "unit_id": f"u{number}"}


def ids(folder: Path, ending: str = READY) -> list[str]:
    """The event ids of all whole lines in the folder's segments, in order."""
    texts = [path.read_bytes() for path in sorted(folder.glob(f"*{ending}"))]
    lines = [line for text in texts for line in text.split(b"\n")[:-1] if line.strip()]
    return [json.loads(line)["event_id"] for line in lines]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock, disk: Disk) -> Spool:
    return Spool(tmp_path, clock=clock, write=disk.write, sync=disk.sync, background=False)


def test_a_line_is_in_the_file_when_append_returns(spool: Spool, tmp_path: Path) -> None:
    spool.append("exposure", {"event_id": "e1", "unit_id": "zoë", "items": [{"item_id": "i", "score": 0.5}]})
    (segment,) = tmp_path.glob(f"*{OPEN}")
    assert segment.read_bytes().endswith(b"\n")
    assert json.loads(segment.read_bytes()) == {
        "event_id": "e1", "unit_id": "zoë", "items": [{"item_id": "i", "score": 0.5}], "schema_version": "exposure.v1",
    }  # fmt: skip


def test_both_kinds_share_a_segment_and_say_which_they_are(spool: Spool, tmp_path: Path) -> None:
    spool.append("exposure", event(1))
    spool.append("outcome", event(2))
    spool.close()
    (segment,) = tmp_path.glob(f"*{READY}")
    versions = [json.loads(line)["schema_version"] for line in segment.read_bytes().splitlines()]
    assert versions == ["exposure.v1", "outcome.v1"]


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("click", {"event_id": "e"}, "one of exposure, outcome"),
        ("outcome", {"unit_id": "u"}, "event_id None"),
        ("outcome", {"event_id": 7}, "event_id 7"),
        ("catalogue", {"event_id": "e"}, "item_id None: give a text, the item's"),
        ("catalogue", {"item_id": "i", "schema_version": "outcome.v1"}, r"catalogue is catalogue\.v1"),
        ("outcome", {"event_id": "e", "schema_version": "exposure.v1"}, r"an outcome is outcome\.v1"),
        ("outcome", {"event_id": "e", "value": float("nan")}, "cannot be written as JSON"),
        ("outcome", {"event_id": "e", "value": b"x"}, "cannot be written as JSON"),
        ("outcome", {"event_id": "e", "query": "\ud800"}, "cannot be written as JSON"),
    ],
)
def test_what_is_no_row_is_refused_and_not_written(
    spool: Spool, tmp_path: Path, kind: str, row: dict[str, object], said: str
) -> None:
    for log in (spool, MemorySpool()):
        with pytest.raises(UsageError, match=said):
            log.append(kind, row)  # type: ignore[arg-type]
    assert spool.stats().written == 0
    assert list(tmp_path.iterdir()) == []


def test_groups_are_fsynced_by_time_by_size_and_always(tmp_path: Path, disk: Disk) -> None:
    with Spool(tmp_path / "time", fsync_ms=20, sync=disk.sync) as by_time:
        by_time.append("exposure", event(1))
        assert _soon(lambda: by_time.stats().fsynced == 1)
    with Spool(tmp_path / "size", fsync_ms=60_000, fsync_events=3, sync=disk.sync) as by_size:
        for number in range(2):
            by_size.append("exposure", event(number))
        assert by_size.stats().pending == 2
        by_size.append("exposure", event(2))
        assert _soon(lambda: by_size.stats().pending == 0)
    with Spool(tmp_path / "always", always=True, background=False, sync=disk.sync) as always:
        before = disk.synced
        always.append("exposure", event(1))
        assert disk.synced == before + 1
        assert always.stats().pending == 0


def test_a_full_buffer_makes_the_caller_wait_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, fsync_events=5, background=False, sync=disk.sync)
    pending = []
    for number in range(45):
        spool.append("exposure", event(number))
        pending.append(spool.stats().pending)
    assert max(pending) == 19
    assert disk.synced == 2
    spool.close()


def test_segments_are_handed_on_by_age_and_by_size(tmp_path: Path, clock: Clock) -> None:
    spool = Spool(tmp_path, clock=clock, background=False, rotate_bytes=200)
    spool.append("exposure", event(1))
    clock.now += 9.9
    spool.tick()
    assert ids(tmp_path) == []
    assert spool.stats().oldest_open_seconds == pytest.approx(9.9)
    clock.now += 0.1
    spool.tick()
    assert ids(tmp_path) == ["e1"]
    for number in range(2, 6):
        spool.append("exposure", event(number))
    spool.tick()
    assert ids(tmp_path) == ["e1", "e2", "e3", "e4", "e5"]
    clock.now += 60
    told = spool.stats()
    assert (told.open_segments, told.ready_segments) == (0, 2)
    assert told.oldest_ready_seconds == pytest.approx(70)


def test_a_clock_that_is_set_back_holds_no_segment_up(spool: Spool, tmp_path: Path, clock: Clock) -> None:
    spool.append("exposure", event(1))
    clock.now -= 3600
    spool.tick()
    assert ids(tmp_path) == ["e1"]


def test_a_quiet_service_makes_no_files(spool: Spool, tmp_path: Path, clock: Clock) -> None:
    clock.now += 100
    spool.tick()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_close_hands_everything_on_and_takes_no_more(spool: Spool, tmp_path: Path) -> None:
    spool.append("exposure", event(1))
    spool.close()
    spool.close()
    assert ids(tmp_path) == ["e1"]
    assert spool.stats().pending == 0
    with pytest.raises(SpoolError, match="closed"):
        spool.append("exposure", event(2))


# --- several writers -----------------------------------------------------------------------------------------------


def test_threads_and_asyncio_lose_and_tear_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, fsync_ms=5, fsync_events=50, rotate_bytes=20_000)

    def write(first: int) -> None:
        for number in range(first, first + 500):
            spool.append("exposure", event(number))

    async def serve() -> None:
        for number in range(9000, 9500):
            spool.append("exposure", event(number))
            await asyncio.sleep(0)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    asyncio.run(serve())
    for thread in threads:
        thread.join()
    spool.close()
    wanted = [f"e{first + more}" for first in (0, 1000, 2000, 3000, 9000) for more in range(500)]
    assert sorted(ids(tmp_path)) == sorted(wanted)
    assert len(list(tmp_path.glob(f"*{READY}"))) > 1
    assert spool.stats().fsynced == 2500


def test_living_processes_keep_their_segments(spool: Spool, tmp_path: Path) -> None:
    spool.append("exposure", event(1))
    other = Spool(tmp_path, background=False)
    other.append("exposure", event(2))
    assert adopt(tmp_path) == 0
    assert sorted(ids(tmp_path, OPEN)) == ["e1", "e2"]
    other.close()
    assert ids(tmp_path) == ["e2"]


def test_what_a_dead_process_left_is_adopted_at_the_next_start(tmp_path: Path) -> None:
    text = (
        "import os, pathlib, sys; from assignment.event_log import Spool\n"
        "spool = Spool(pathlib.Path(sys.argv[1])); spool.append('exposure', {'event_id': 'e1'}); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", text, str(tmp_path)], cwd=ROOT, check=False)
    assert ids(tmp_path, OPEN) == ["e1"]
    (tmp_path / f"1795262400000-0000aaaa{OPEN}").touch()  # died between making the file and its first line
    Spool(tmp_path, background=False)
    assert ids(tmp_path) == ["e1"]
    assert [path for path in tmp_path.iterdir() if path.suffix != READY] == []


def test_a_torn_last_line_is_left_to_the_loader_as_it_is(tmp_path: Path) -> None:
    (tmp_path / f"1795262400000-0000aaaa{OPEN}").write_bytes(b'{"event_id":"e1"}\n{"event_id":"e')
    assert adopt(tmp_path) == 1
    (segment,) = tmp_path.glob(f"*{READY}")
    assert segment.read_bytes() == b'{"event_id":"e1"}\n{"event_id":"e'


def test_a_segment_that_was_adopted_under_its_maker_is_not_written_to(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, clock=clock, background=False)
    tried: list[int] = []
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        if not tried:
            tried.append(operation)
            adopt(tmp_path)  # between making the file and locking it; takes and removes it
        lock(descriptor, operation)

    monkeypatch.setattr("assignment.segments.fcntl.flock", late)
    spool.append("exposure", event(1))
    spool.close()
    assert ids(tmp_path) == ["e1"]


def test_other_files_in_the_folder_are_nobodys_segments(tmp_path: Path) -> None:
    for name in (f"notes{READY}", f"12-x{OPEN}", f"1795262400000-0000aaaa{READY}"):
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    assert folder_stats(tmp_path, 1_795_262_401.0) == (0, 0.0, 1, 1.0)


def test_a_forked_child_is_told_to_open_its_own(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assignment.event_log.os.getpid", lambda: 1)
    with pytest.raises(SpoolError, match="opens its own spool"):
        spool.append("exposure", event(1))


# --- a disk that fails ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 20, 70])
def test_a_full_disk_is_told_and_left_behind_without_a_restart(
    spool: Spool, disk: Disk, tmp_path: Path, room: int
) -> None:
    spool.append("exposure", event(1))
    disk.room = room
    for number in range(2, 5):
        with pytest.raises(SpoolFullError, match=r"No space left on device\); make room on the disk"):
            spool.append("exposure", event(number) | {"query": "x" * 100})
    told = spool.stats()
    assert (told.written, told.failed, told.healthy) == (1, 3, False)
    assert told.error == "No space left on device"
    disk.room = None
    spool.append("exposure", event(5))
    assert spool.stats().healthy
    spool.close()
    assert sorted(ids(tmp_path)) == ["e1", "e5"]  # nothing of the refused ones
    assert all(path.read_bytes().endswith(b"\n") for path in tmp_path.iterdir())


def test_the_background_finds_out_that_there_is_room_again(spool: Spool, disk: Disk, tmp_path: Path) -> None:
    disk.room = 0
    with pytest.raises(SpoolFullError):
        spool.append("exposure", event(1))
    spool.tick()
    assert not spool.stats().healthy
    disk.room = 100  # a little room is not enough
    spool.tick()
    assert not spool.stats().healthy
    disk.room = None
    spool.tick()
    assert spool.stats().healthy
    spool.close()
    assert ids(tmp_path) == []


def test_what_fsync_refused_is_written_again(spool: Spool, disk: Disk, tmp_path: Path) -> None:
    for number in range(3):
        spool.append("exposure", event(number))
    disk.safe = False
    spool.tick()
    told = spool.stats()
    assert (told.pending, told.healthy, told.error) == (3, False, "Input/output error")
    with pytest.raises(SpoolError, match="correct its rights or disk"):
        spool.append("exposure", event(3))
    spool.tick()
    disk.safe = True
    spool.tick()
    spool.append("exposure", event(4))
    spool.close()
    assert (spool.stats().fsynced, spool.stats().healthy) == (4, True)
    assert sorted(set(ids(tmp_path))) == ["e0", "e1", "e2", "e4"]


def test_with_always_an_event_that_is_not_safe_is_not_kept(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, always=True, background=False, sync=disk.sync)
    spool.append("exposure", event(1))
    disk.safe = False
    with pytest.raises(SpoolError):
        spool.append("exposure", event(2))
    disk.safe = True
    spool.append("exposure", event(3))
    spool.close()
    assert sorted(ids(tmp_path)) == ["e1", "e3"]


def test_close_says_when_not_everything_could_be_made_safe(spool: Spool, disk: Disk, tmp_path: Path) -> None:
    spool.append("exposure", event(1))
    disk.safe = False
    with pytest.raises(SpoolError, match="Input/output error"):
        spool.close()
    assert adopt(tmp_path) == 0
    assert ids(tmp_path) == ["e1"]  # what was written is there all the same


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="folder must be writable"):
        Spool(tmp_path / "file" / "spool", background=False)


def test_a_folder_that_was_moved_away_is_told_and_found_again(tmp_path: Path) -> None:
    folder, aside = tmp_path / "spool", tmp_path / "aside"
    spool = Spool(folder, background=False, rotate_seconds=0)
    spool.append("exposure", event(1))
    spool.tick()
    folder.rename(aside)
    with pytest.raises(SpoolError, match="No such file or directory"):
        spool.append("exposure", event(2))
    assert not spool.stats().healthy
    aside.rename(folder)
    spool.tick()
    assert spool.stats().healthy
    spool.append("exposure", event(3))
    spool.close()
    assert sorted(ids(folder)) == ["e1", "e3"]


def test_a_file_size_limit_is_met_and_lifted_in_one_process(tmp_path: Path) -> None:
    text = """
import json, pathlib, resource, sys
from assignment.event_log import Spool
from experiments.errors import SpoolFullError
folder, said, kept = pathlib.Path(sys.argv[1]), [], []
spool = Spool(folder, fsync_ms=10)

def write(numbers):
    for number in numbers:
        try:
            spool.append("exposure", {"event_id": f"e{number}", "query": "x" * 200})
        except SpoolFullError as error:
            said.append([number, str(error), spool.stats().healthy])
        else:
            kept.append(f"e{number}")

write(range(100))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
write(range(100, 110))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
write(range(110, 120))
healthy = spool.stats().healthy
spool.close()
print(json.dumps([said, kept, healthy]))
"""
    done = subprocess.run(
        [sys.executable, "-c", text, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    said, kept, healthy = json.loads(done.stdout)
    assert [number for number, _, _ in said] == list(range(100, 110))
    assert all("File too large" in message and not ready for _, message, ready in said)
    assert healthy
    assert sorted(ids(tmp_path)) == sorted(kept) == sorted(f"e{n}" for n in (*range(100), *range(110, 120)))


def test_the_memory_twin_keeps_refuses_and_counts_alike() -> None:
    log = MemorySpool()
    shared: EventLog = log
    shared.append("outcome", {"event_id": "e1"})
    assert log.rows == [("outcome", {"event_id": "e1", "schema_version": "outcome.v1"})]
    log.refuse_with = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(SpoolFullError):
        shared.append("outcome", {"event_id": "e2"})
    told = shared.stats()
    assert (told.written, told.failed, told.healthy) == (1, 1, False)
    log.refuse_with = None
    assert log.stats().healthy
    log.close()
    with pytest.raises(SpoolError, match="closed"):
        shared.append("outcome", {"event_id": "e3"})


def _soon(holds: Callable[[], bool]) -> bool:
    """Whether it holds within five seconds."""
    waiting = threading.Event()
    for _ in range(500):
        if holds():
            return True
        waiting.wait(0.01)
    return False
