"""Which bucket ends a run evaluates, oldest first, and whether the data it asks for is there. ALERTS 6."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

CAP = timedelta(days=14)  # how far back a run that comes late still evaluates
PATIENCE = 2  # watermark: how many runs the data may be behind
LEAST_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Due:
    """What a run at an instant has to do."""

    wanted: datetime  # the newest bucket end that could be there
    until: datetime | None  # the newest that is there
    ends: tuple[datetime, ...]  # to be evaluated, oldest first
    revised: tuple[datetime, ...]  # evaluated before, and counted anew since
    ready: bool  # whether `until` is within the watermark of `wanted`

    @property
    def watermark_missed(self) -> str:
        """What is missing, in words."""
        newest = "none at all" if self.until is None else f"the newest ends at {_minute(self.until)}"
        step = "load the logs of that time, and `truelift tick` publishes their buckets"
        return f"no bucket is published that ends near {_minute(self.wanted)} ({newest}); {step}"


def due(
    published: Collection[datetime],
    changed: Iterable[datetime] = (),
    *,
    as_of: datetime,
    evaluated: datetime | None,
    minutes: int,
) -> Due:
    """What is due at `as_of`, every `minutes` from midnight UTC, where everything up to `evaluated` was looked at.

    `published` are the bucket ends that are there, `changed` those of which something was published since they were
    last looked at. A quiet bucket has no rows: every end up to the newest published one counts as there. The cap is
    counted back from that one, and is all that a first run looks back.
    """
    step = timedelta(minutes=minutes)
    wanted = on_grid(as_of, minutes)
    there = [end for end in published if end <= as_of]
    if not there:
        return Due(wanted, None, (), (), ready=False)
    newest = on_grid(max(there), minutes)
    earliest = max(newest - CAP, _up(min(there), minutes) - step)
    start = earliest if evaluated is None else max(earliest, on_grid(evaluated, minutes))
    patience = max(PATIENCE * step, LEAST_PATIENCE)
    again = {_up(end, minutes) for end in changed if end <= as_of} if evaluated is not None else set()
    return Due(
        wanted,
        newest,
        tuple(_every(start, newest, step)),
        tuple(sorted(end for end in again if evaluated is not None and newest - CAP < end <= evaluated)),
        ready=newest >= wanted - patience,
    )


def on_grid(at: datetime, minutes: int) -> datetime:
    """The newest multiple of `minutes` since midnight UTC that is not after `at`."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // timedelta(minutes=minutes) * timedelta(minutes=minutes)


def _up(at: datetime, minutes: int) -> datetime:
    down = on_grid(at, minutes)
    return down if down == at else down + timedelta(minutes=minutes)


def _every(after: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    at = after + step
    while at <= until:
        yield at
        at += step


def _minute(at: datetime) -> str:
    """Four digits of a year, also of year 1."""
    return f"{at.replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"
