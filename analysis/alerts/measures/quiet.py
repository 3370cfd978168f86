"""A night in which nobody came is no hole in the log: how far what was loaded is known to go.

The newest row says how far the log goes where somebody always comes. In a small shop's night it does not: who loads at
three and finds nothing after one o'clock has seen the night through. So time after the newest row counts as seen, and
as empty, while hardly anybody comes then; what comes of it later all the same is a revision.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from analysis.alerts.measures import measured
from analysis.alerts.measures.measured import BUCKET, SITE
from analysis.alerts.model import SHORT
from analysis.warehouse.buckets import whole_until
from experiments.store import Measure, Store

STEP, DAY = timedelta(minutes=SHORT), timedelta(days=1)
ON_ITS_WAY = timedelta(hours=1)  # a row may take until it is loaded
NOBODY = 3.0  # sessions at most that usually come where nobody is one night in twenty
BACK = 14  # days that are looked at, as long as quarters of an hour are kept …
LEAST = 3  # … of which so many must have been published
WEEK = 7


def seen_through(store: Store, newest: datetime, *, now: datetime) -> datetime:
    """How far the log goes at an aware instant, whose newest row is of the minute `newest`; a day further at most.

    What usually comes is the mean of the same hours on the days before, or on that weekday's where these are fewer.
    """
    until = min(whole_until(now - ON_ITS_WAY, SHORT), whole_until(newest, SHORT) + DAY)
    days = {back: sums for back in range(1, BACK + 1) if (sums := _sessions(store, newest, until, back * DAY))}
    if len(days) < LEAST:
        return newest
    some = [list(days.values()), [sums for back, sums in days.items() if back % WEEK == 0]]
    usual = [_means(each) for each in some if each]
    quiet: int = sum(min(means) <= NOBODY for means in zip(*usual, strict=True))
    return max(newest, whole_until(newest, SHORT) + quiet * STEP)


def _sessions(store: Store, newest: datetime, until: datetime, shift: timedelta) -> Sequence[float]:
    """The site's sessions so many days before, after `newest`, to the end of each quarter of an hour.

    Of the first one the part that is left of it. Nothing unless all were published.
    """
    start = whole_until(newest, SHORT)
    if until <= start:
        return ()
    rows = store.measures(BUCKET, SHORT, measured.place_of(SITE), since=start - shift, until=until - shift)
    if len(rows) != (until - start) // STEP:
        return ()
    first, *others = map(_came, rows)
    return list(accumulate([first * (start + STEP - newest) / STEP, *others]))


def _came(row: Measure) -> int:
    site = measured.counted(row).get(("", ""), {})
    return sum(arm.sessions for arm in site.values())


def _means(days: Sequence[Sequence[float]]) -> list[float]:
    return [sum(sums) / len(days) for sums in zip(*days, strict=True)]
