"""The files of the exposure log: whose a segment is, and how it is handed on.

A segment belongs to the process that holds its lock (flock): process ids, which repeat in containers, do not matter,
and a dead process holds none.
"""

import fcntl
import os
import re
from pathlib import Path

OPEN, READY = ".open", ".ready"
LOADER_COUNTS = "loader.prom"  # what the loader says became of all events, in Prometheus' text format
_NAME = re.compile(r"([0-9]{13})-[0-9a-f]{8}\.[a-z]+")  # when it was begun, in ms since 1970, and a random tail


def adopt(folder: Path) -> int:
    """Make the segments of dead processes ready for the loader; how many. OSError when the folder refuses."""
    adopted = 0
    for path in sorted(folder.glob(f"*{OPEN}")):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue  # its process has just handed it on
        try:
            if locked(descriptor, path):
                os.fsync(descriptor)
                adopted += seal(path, descriptor)
        finally:
            os.close(descriptor)
    return adopted


def folder_stats(folder: Path, now: float) -> tuple[int, float, int, float]:
    """How many segments are open and how old the oldest is in seconds; the same of the ready ones."""

    def told(ending: str) -> tuple[int, float]:
        names = (_NAME.fullmatch(path.name) for path in folder.glob(f"*{ending}"))
        begun = [int(name[1]) / 1000 for name in names if name is not None]
        return len(begun), max(0.0, now - min(begun)) if begun else 0.0

    return *told(OPEN), *told(READY)


def locked(descriptor: int, path: Path) -> bool:
    """Take the segment's lock; False when a living process has it, or it is no longer at that path."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False


def seal(path: Path, descriptor: int) -> bool:
    """Rename a segment for the loader, True; remove an empty one, False. Running it again is harmless."""
    holds_lines = os.fstat(descriptor).st_size > 0
    if not holds_lines:
        path.unlink(missing_ok=True)
    elif path.exists():
        path.rename(path.with_suffix(READY))
    sync_folder(path.parent)
    return holds_lines


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
