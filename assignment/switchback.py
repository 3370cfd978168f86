"""Switchback: a whole cluster changes arms from one window of time to the next, so the unit is cluster and window.

Its id is `cluster|YYYY-MM-DDTHH:MM:SSZ`, the start of the window. What the window before left behind (stock, warm
caches) lasts a while, so the first minutes of a window are dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from assignment.hashing import check_unit_id
from experiments.contracts import NULL_TEXTS
from experiments.designs import Switchback
from experiments.errors import UsageError


def window_start(moment: datetime, window: timedelta) -> datetime:
    """The start of the window `moment` lies in, in UTC: windows are counted from 1970-01-01T00:00:00Z.

    UsageError for a moment without a zone, or a window that is not a positive number of whole seconds.
    """
    if moment.tzinfo is None:
        raise UsageError(f"moment {moment.isoformat()} has no time zone; give it one, such as UTC")
    seconds = _seconds("window", window)
    if seconds == 0:
        raise UsageError("window 0:00:00: give a positive number of whole seconds")
    since = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=since - since % seconds)


def cluster_window(cluster: str, moment: datetime, window: timedelta) -> str:
    """The unit id of a cluster at a moment. UsageError where the result cannot be a unit id."""
    return check_unit_id(f"{cluster}|{window_start(moment, window):%Y-%m-%dT%H:%M:%SZ}")


def in_burn_in(moment: datetime, window: timedelta, burn_in: timedelta) -> bool:
    """Whether `moment` lies in the part at a window's start that is dropped.

    UsageError for a burn-in that is negative, not of whole seconds, or leaves nothing of the window.
    """
    if _seconds("burn_in", burn_in) >= _seconds("window", window):
        raise UsageError(f"burn_in {burn_in} leaves nothing of a window of {window}; choose a shorter one")
    return moment - window_start(moment, window) < burn_in


@dataclass(frozen=True, slots=True)
class Clock:
    """The windows of one experiment, and the attribute of a context that says which cluster asks."""

    cluster: str
    window: timedelta
    burn_in: timedelta

    @classmethod
    def of(cls, written: Switchback) -> "Clock":
        """As a definition writes it."""
        return cls(written.cluster, written.window, written.burn_in)

    def unit_id(self, context: Mapping[str, object], now: datetime) -> object:
        """The cell of the context at `now`; None without a cluster, and what stands there where it can be none."""
        cluster = context.get(self.cluster)
        if cluster is None or cluster == "" or not isinstance(cluster, str):
            return cluster
        if cluster in NULL_TEXTS:
            return None
        return f"{cluster}|{window_start(now, self.window):%Y-%m-%dT%H:%M:%SZ}"

    def in_burn_in(self, now: datetime) -> bool:
        """Whether exposures at `now` are logged and not analysed."""
        return now - window_start(now, self.window) < self.burn_in


def _seconds(name: str, given: timedelta) -> int:
    seconds, rest = divmod(given, timedelta(seconds=1))
    if rest or seconds < 0:
        raise UsageError(f"{name} {given}: give whole seconds, none of them negative")
    return seconds
