"""Every error truelift raises on purpose, in one tree.

    TrueliftError                 exit 1   something went wrong that a person can act on
    ├── UsageError                exit 2   what was given cannot be used as it stands
    │   ├── DefinitionError       exit 2   an experiment, metric, slice or setting is wrong (carries every problem)
    │   ├── MappingError          exit 2   a mapping file is wrong (carries every problem)
    │   ├── SourceError           exit 2   a log file cannot be read (missing, truncated, unknown format, empty)
    │   └── RequestError          exit 2   an HTTP request cannot be answered as it stands (carries status and code)
    ├── NotFoundError             exit 2   no such experiment, snapshot or shop (names the nearest)
    ├── TransitionError           exit 2   the lifecycle does not allow this step from this state
    ├── ConflictError             exit 1   somebody else changed it first
    ├── StoreError                exit 1   the store refused (unreachable, disk full, made by a newer version)
    ├── WarehouseError            exit 1   the warehouse refused (disk full, corrupt file, overflow guard)
    │   └── WarehouseBusyError    exit 5   another process holds warehouse.lock
    ├── SpoolError                exit 1   an event cannot be kept in the spool (no rights, I/O error, closed)
    │   └── SpoolFullError        exit 1   the disk, the quota or the file size limit is used up
    ├── BusyError                 exit 5   another run of the same job holds its lock (names it)
    ├── DeliveryError             exit 4   a notice did not reach a channel; it stays in the outbox
    └── ReadoutError              exit 1   a snapshot cannot be built or read

A message names the thing, what it was, what it may be, and the next step.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, precise enough to mend it without reading the code."""

    code: str
    path: str
    value: object
    message: str
    nearest: tuple[str, ...] = ()
    next_step: str = ""
    line: int | None = None  # of the file it was read from, counted from 1

    def __str__(self) -> str:
        said = f"{self.path}: {self.message}" if self.line is None else f"line {self.line}, {self.path}: {self.message}"
        if self.nearest:
            said += f" (nearest: {', '.join(self.nearest)})"
        return f"{said}; {self.next_step}" if self.next_step else said


class TrueliftError(Exception):
    """Base of all; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(TrueliftError):
    """What was given cannot be used as it stands."""

    exit_code = 2


class _ProblemsError(UsageError):
    """Carries every problem found in one named thing, so that all can be mended at once."""

    def __init__(self, where: str, problems: Iterable[Problem]) -> None:
        self.where = where
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem.code}: {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{where}: {count} problem{'s' if count != 1 else ''}\n{lines}")


class DefinitionError(_ProblemsError):
    """An experiment, metric, slice or setting is wrong."""


class MappingError(_ProblemsError):
    """A mapping file is wrong."""


class SourceError(UsageError):
    """A log file cannot be read."""


class RequestError(UsageError):
    """An HTTP request cannot be answered as it stands."""

    def __init__(
        self, status: int, code: str, details: str, *, retry_after: int | None = None, problems: Iterable[Problem] = ()
    ) -> None:
        super().__init__(details)
        self.status = status
        self.code = code
        self.retry_after = retry_after  # whole seconds
        self.problems = tuple(problems)


class NotFoundError(TrueliftError):
    """No such experiment, snapshot or shop."""

    exit_code = 2


class TransitionError(TrueliftError):
    """The lifecycle does not allow this step from this state."""

    exit_code = 2


class ConflictError(TrueliftError):
    """Somebody else changed it first."""


class StoreError(TrueliftError):
    """The store refused."""


class WarehouseError(TrueliftError):
    """The warehouse refused."""


class WarehouseBusyError(WarehouseError):
    """Another process holds warehouse.lock."""

    exit_code = 5


class BusyError(TrueliftError):
    """Another run of the same job holds its lock."""

    exit_code = 5


class SpoolError(TrueliftError):
    """An event cannot be kept in the spool: it was not logged."""


class SpoolFullError(SpoolError):
    """The disk, the quota or the file size limit is used up."""


class DeliveryError(TrueliftError):
    """A notice did not reach a channel."""

    exit_code = 4

    def __init__(self, channel: str, cause: str, next_step: str) -> None:
        super().__init__(f"channel {channel}: not delivered, {cause}; {next_step}")
        self.channel = channel
        self.cause = cause
        self.next_step = next_step


class ReadoutError(TrueliftError):
    """A snapshot cannot be built or read."""


def said_once(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, a list of columns only with the first that ends in it."""
    said: set[str] = set()
    kept = []
    for problem in problems:
        listed = problem.code in ("no_column", "unknown_column") and problem.next_step in said
        said.add(problem.next_step)
        kept.append(replace(problem, next_step="") if listed else problem)
    return kept


def nearest(name: object, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three known names that look like `name`, best first."""
    return tuple(get_close_matches(str(name), sorted(known), n=3, cutoff=0.5))
