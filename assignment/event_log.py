"""The exposure log: exposures, outcomes and live catalogue rows on disk, before the answer leaves. ASSIGNMENT 7.

    append ─▶ 1795262400000-5f0c3a9b.open ─ 8 MiB or 10 s ─▶ ….ready ─ loader ─▶ loaded/….ready

A line is a contract row as JSON with its schema_version, written when `append` returns, so a killed process loses
nothing; fsync follows in groups, so a power cut loses at most the last group. What a dead process left is adopted as it
is. A last line without its end was never acknowledged; the loader rejects it.
"""

import errno
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

import msgspec

from assignment.segments import OPEN, adopt, folder_stats, locked, seal, sync_folder
from experiments.errors import SpoolError, SpoolFullError, UsageError

Kind = Literal["exposure", "outcome", "catalogue"]
Clock: TypeAlias = Callable[[], float]  # seconds since 1970

VERSIONS: Mapping[str, str] = {"exposure": "exposure.v1", "outcome": "outcome.v1", "catalogue": "catalogue.v1"}
ROTATE_BYTES = 8 << 20
ROTATE_SECONDS = 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BACK_PRESSURE = 4  # times fsync_events written and not yet safe: the caller waits for the disk
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_PLAIN = frozenset({str, int, bool})  # what msgspec writes as json does, in a tenth of the time
_QUICK = msgspec.json.Encoder()
_PROBE = b" " * 65_535 + b"\n"


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """What became of this process's events, and what waits in its folder."""

    written: int  # acknowledged
    fsynced: int  # of those, the ones a power cut cannot take
    pending: int  # of those, the ones it still can
    failed: int  # refused with an error: not logged
    open_segments: int  # of every process that shares the folder
    oldest_open_seconds: float  # 0 without any
    ready_segments: int  # waiting for the loader
    oldest_ready_seconds: float  # 0 without any
    error: str | None  # why the next event may not be kept; None when it will be

    @property
    def healthy(self) -> bool:
        """Whether events can be kept: what readiness asks."""
        return self.error is None


class EventLog(Protocol):
    """Where exposures and outcomes go."""

    def append(self, kind: Kind, row: Mapping[str, object]) -> None:
        """Keep one contract row. SpoolError when it is not kept, UsageError when it is no row."""

    def stats(self) -> SpoolStats:
        """The counts, for metrics and readiness."""

    def close(self) -> None:
        """Hand everything to the loader."""


@dataclass(slots=True, eq=False)
class _Segment:
    path: Path
    descriptor: int
    opened: float
    size: int = 0  # bytes of whole lines
    unsynced: list[bytes] = field(default_factory=list)


class Spool:
    """The log of one process in a folder that several may share; threads and asyncio may call it.

    `append` writes before it returns and takes microseconds; it waits for the disk when `always`, or when four times
    `fsync_events` are written and not yet safe (an asyncio server that wants `always` calls it in a thread). After an
    error every append tries anew, and a background probe finds out when the disk has room again. A forked child opens
    its own. `write` and `sync` stand in for os.write and os.fsync.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync_ms: int = 200,
        fsync_events: int = 500,
        always: bool = False,
        clock: Clock = time.time,
        rotate_bytes: int = ROTATE_BYTES,
        rotate_seconds: float = ROTATE_SECONDS,
        background: bool = True,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        if fsync_ms < 1 or fsync_events < 1:
            raise UsageError(f"fsync_ms {fsync_ms} and fsync_events {fsync_events}: give at least 1 of each")
        self.folder = folder
        self._events, self._always, self._clock = fsync_events, always, clock
        self._rotate_bytes, self._rotate_seconds = rotate_bytes, rotate_seconds
        self._write, self._sync = write, sync
        self._pid = os.getpid()
        self._appending = threading.Lock()  # of everything below; never held while waiting for the disk to be safe
        self._saving = threading.Lock()  # one thread at a time syncs and renames; taken before _appending
        self._segment: _Segment | None = None
        self._sealing: list[_Segment] = []
        self._unsafe: list[bytes] = []  # acknowledged, then refused by fsync: to be written again
        self._written = self._fsynced = self._failed = 0
        self._error: OSError | None = None
        self._closed = False
        self._wake = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            adopt(folder)
        except OSError as error:
            raise _refused(folder, error) from error
        self._thread = threading.Thread(target=self._run, args=(fsync_ms / 1000,), name="spool", daemon=True)
        if background:
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, kind: Kind, row: Mapping[str, object]) -> None:
        """Write one contract row. SpoolFullError or SpoolError: it is not kept; UsageError: it is no row."""
        line = encoded(kind, row)
        with self._appending:
            self._refuse_strangers()
            try:
                self._put(line)
            except OSError as error:
                self._failed += 1
                self._error = error
                raise _refused(self.folder, error) from error
            self._written += 1
            waiting = len(self._segment.unsynced) if self._segment is not None else 0
        if waiting >= _BACK_PRESSURE * self._events:
            with self._saving:
                self._save()
        elif waiting >= self._events:
            self._wake.set()

    def tick(self) -> None:
        """Do what is due: fsync what was written, hand a full or old segment on, try a disk that failed."""
        with self._saving:
            self._save()
            self._rotate(closing=False)
            if self._error is not None:
                self._probe()

    def stats(self) -> SpoolStats:
        """The counts of this process, and the ages of what lies in the folder."""
        with self._appending:
            written, fsynced, failed, error = self._written, self._fsynced, self._failed, self._error
        said = None if error is None else error.strerror or str(error)
        return SpoolStats(written, fsynced, written - fsynced, failed, *folder_stats(self.folder, self._clock()), said)

    def close(self) -> None:
        """Hand everything to the loader. SpoolError when that fails: what was written is adopted later."""
        self._wake.set()
        with self._appending:
            was, self._closed = self._closed, True
        if was or os.getpid() != self._pid:
            return
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._saving:
            self._save()
            self._rotate(closing=True)
            if self._unsafe:  # what the last fsync refused, once more
                self._save()
                self._rotate(closing=True)
            for segment in self._sealing:
                os.close(segment.descriptor)
            if self._sealing or self._unsafe:
                raise _refused(self.folder, self._error or OSError(errno.EIO, "not everything was saved"))

    # --- writing: under _appending -------------------------------------------------------------------------------

    def _refuse_strangers(self) -> None:
        if self._closed:
            raise SpoolError(f"{self.folder}: this spool is closed; open another")
        if os.getpid() != self._pid:
            raise SpoolError(f"{self.folder}: opened by process {self._pid}; a forked worker opens its own spool")

    def _put(self, line: bytes) -> None:
        """Write a whole line, or nothing. OSError leaves the segment as it was, or behind."""
        if self._unsafe:
            raise self._error or OSError(errno.EIO, "fsync failed")
        segment = self._segment
        if segment is None:
            segment = self._segment = self._begin()
        try:
            self._write_all(segment, line)
            if self._always:
                self._sync(segment.descriptor)
        except OSError:
            self._take_back(segment)
            raise
        segment.size += len(line)
        if self._always:
            self._fsynced += 1
        else:
            segment.unsynced.append(line)
        self._error = None

    def _write_all(self, segment: _Segment, data: bytes) -> None:
        done = self._write(segment.descriptor, data)
        while done < len(data):
            done += self._write(segment.descriptor, data[done:])

    def _take_back(self, segment: _Segment) -> None:
        """Cut what a failed write left, and go on in another file; a tail that stays has no line end."""
        try:
            os.ftruncate(segment.descriptor, segment.size)
            stays = segment.size > 0  # at a file's size limit, or on a bad block, another file may do
        except OSError:
            stays = True
        if stays:
            self._sealing.append(segment)
            self._segment = None

    def _begin(self) -> _Segment:
        """A new segment, locked, its name safe."""
        while True:
            now = self._clock()
            path = self.folder / f"{int(now * 1000):013d}-{secrets.token_hex(4)}{OPEN}"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
            try:
                if locked(descriptor, path):
                    sync_folder(self.folder)
                    return _Segment(path, descriptor, now)
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)  # adopted, empty, between two calls

    # --- saving: under _saving -----------------------------------------------------------------------------------

    def _run(self, seconds: float) -> None:
        while not self._closed:
            self._wake.wait(seconds)
            self._wake.clear()
            try:
                self.tick()
            except OSError as error:
                self._error = error  # the next round tries again

    def _save(self) -> None:
        if self._unsafe:
            self._write_again()
        with self._appending:
            segment = self._segment
            if segment is None or not segment.unsynced:
                return
            lines, segment.unsynced = segment.unsynced, []
        if not self._synced(segment, lines):
            with self._appending:
                if self._segment is segment:
                    self._segment = None
                    self._sealing.append(segment)

    def _synced(self, segment: _Segment, lines: list[bytes]) -> bool:
        """Fsync. What the system refuses once it may call safe the next time, so those lines are written again."""
        try:
            self._sync(segment.descriptor)
        except OSError as error:
            with self._appending:
                self._error = error
                self._unsafe += lines
            return False
        with self._appending:
            self._fsynced += len(lines)
        return True

    def _write_again(self) -> None:
        """The lines that fsync refused, in a new segment; a line that is in two is loaded once."""
        try:
            segment = self._begin()
        except OSError as error:
            self._error = error
            return
        self._sealing.append(segment)
        try:
            self._write_all(segment, b"".join(self._unsafe))
            self._sync(segment.descriptor)
        except OSError as error:
            self._error = error
            with suppress(OSError):
                os.ftruncate(segment.descriptor, 0)
            return
        with self._appending:
            self._fsynced += len(self._unsafe)
            self._unsafe, self._error = [], None

    def _rotate(self, *, closing: bool) -> None:
        with self._appending:
            segment = self._segment
            if segment is not None:
                full = segment.size >= self._rotate_bytes
                old = abs(self._clock() - segment.opened) >= self._rotate_seconds  # a clock may be set back
                if closing or full or old:
                    self._segment = None
                    self._sealing.append(segment)
            waiting = list(self._sealing)
        for segment in waiting:
            lines, segment.unsynced = segment.unsynced, []
            if lines:
                self._synced(segment, lines)
            try:
                seal(segment.path, segment.descriptor)
            except OSError as error:
                self._error = error
                continue
            os.close(segment.descriptor)
            with self._appending:
                self._sealing.remove(segment)

    def _probe(self) -> None:
        """Whether there is room again: a blank line is written, made safe, and cut off."""
        with self._appending:
            if self._unsafe:
                return
            try:
                segment = self._segment = self._segment or self._begin()
                try:
                    self._write_all(segment, _PROBE)
                    self._sync(segment.descriptor)
                finally:
                    self._take_back(segment)
            except OSError as error:
                self._error = error
            else:
                self._error = None


class MemorySpool:
    """The same log in memory: for tests and the demo. `refuse_with` makes every append fail as a disk would."""

    def __init__(self, *, refuse_with: OSError | None = None) -> None:
        self.rows: list[tuple[Kind, Mapping[str, object]]] = []
        self.refuse_with = refuse_with
        self._failed = 0
        self._closed = False
        self._appending = threading.Lock()

    def append(self, kind: Kind, row: Mapping[str, object]) -> None:
        """Keep one contract row, as JSON would give it back."""
        kept = json.loads(encoded(kind, row))
        where = Path("memory")
        with self._appending:
            if self._closed:
                raise SpoolError(f"{where}: this spool is closed; open another")
            if self.refuse_with is not None:
                self._failed += 1
                raise _refused(where, self.refuse_with) from self.refuse_with
            self.rows.append((kind, kept))

    def stats(self) -> SpoolStats:
        """The counts."""
        said = None if self.refuse_with is None else self.refuse_with.strerror or str(self.refuse_with)
        return SpoolStats(len(self.rows), len(self.rows), 0, self._failed, 0, 0.0, 0, 0.0, said)

    def close(self) -> None:
        """Take no more rows."""
        self._closed = True


def encoded(kind: Kind, row: Mapping[str, object]) -> bytes:
    """The row as one JSON line with its schema_version. UsageError when it has no id of its own or is no JSON."""
    version = VERSIONS.get(kind)
    if version is None:
        raise UsageError(f"kind {kind!r}: an event is one of {', '.join(VERSIONS)}")
    if row.get("schema_version", version) != version:
        raise UsageError(f"schema_version {row['schema_version']!r}: an {kind} is {version}; leave it out")
    name = "item_id" if kind == "catalogue" else "event_id"
    if not isinstance(row.get(name), str) or not row[name]:
        which = "the item's" if kind == "catalogue" else "unique for ever, so that no replay counts twice"
        raise UsageError(f"{name} {row.get(name)!r}: give a text, {which}")
    whole = row if "schema_version" in row else {**row, "schema_version": version}
    try:
        plain = _PLAIN.issuperset(map(type, row.values()))
        return (_QUICK.encode(whole) if plain else _JSON.encode(whole).encode()) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{kind} {row[name]}: cannot be written as JSON ({error}); give JSON values only") from error


def _refused(folder: Path, error: OSError) -> SpoolError:
    said = error.strerror or str(error)
    if error.errno in _FULL:
        return SpoolFullError(
            f"{folder}: the event was not kept ({said}); make room on the disk, a restart is not needed"
        )
    return SpoolError(
        f"{folder}: the event was not kept ({said}); the folder must be writable: correct its rights or disk"
    )
