"""The log as the service uses it: what could not be kept is counted, and until the disk recovers control is served."""

from collections.abc import Mapping, Sequence

from starlette.concurrency import run_in_threadpool

from assignment.event_log import EventLog, Kind, SpoolStats
from assignment.service.metrics import Metrics
from experiments.errors import SpoolError


class Journal:
    """An event log with a memory of whether it could keep the last row."""

    def __init__(self, log: EventLog, metrics: Metrics, *, waits: bool) -> None:
        """`waits`: an append waits for the disk, so it runs in a thread."""
        self._log, self._metrics, self._waits = log, metrics, waits
        self.error: str | None = None  # why the last row was not kept; None while all is well

    @property
    def healthy(self) -> bool:
        """Whether the next row is likely to be kept."""
        return self.error is None

    async def keep(self, kind: Kind, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep rows before the answer leaves, in order. SpoolError: the rest are not kept."""
        if self._waits:
            await run_in_threadpool(self.append, kind, rows)
        else:
            self.append(kind, rows)

    def look(self) -> SpoolStats:
        """Ask the log how it is: what a disk that recovered is noticed by."""
        stats = self._log.stats()
        self.error = stats.error
        return stats

    def close(self) -> None:
        """Hand everything to the loader."""
        self._log.close()

    def append(self, kind: Kind, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep rows, in order, in the caller's thread. SpoolError: the rest are not kept."""
        for done, row in enumerate(rows):
            try:
                self._log.append(kind, row)
            except SpoolError as error:
                self.error = str(error)
                self._metrics.events(kind, "not_kept", len(rows) - done)
                raise
            self._metrics.events(kind, "written", 1)
        self.error = None
