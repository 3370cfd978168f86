"""Until when rows count: an instant becomes the start of a business day. Pure."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from analysis.warehouse.base import DataCut


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The aware UTC instant at which a business day begins in the shop's zone."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def business_day(instant: datetime, zone: ZoneInfo) -> date:
    """The business day an aware instant falls into."""
    return instant.astimezone(zone).date()


def data_cut(as_of: datetime, end_at: datetime | None, zone: ZoneInfo) -> DataCut:
    """The cut for an aware instant: a partial last day is never counted, nothing after the experiment's end is.

    Maturity is measured from the day's start, so a finished experiment goes on ripening after its end.
    """
    day = business_day(as_of, zone)
    start = day_start(day, zone)
    end = start if end_at is None else min(start, end_at.astimezone(UTC))
    return DataCut(as_of=_naive(start), as_of_day=day, outcome_end=_naive(end))


def seen_cut(cut: DataCut, newest: datetime | None, zone: ZoneInfo, *, whole: bool) -> DataCut:
    """The cut as far as the log goes, whose newest row is of the naive UTC instant `newest`.

    What comes back later can only be seen where there are rows: maturity is measured from the day after the newest one.
    `whole` says that the log is known to be all of it, as of a run that was over before anyone looked: then its silence
    is data and outcome windows close by the clock; else they close where the log ends.
    """
    if newest is None:
        return cut
    unseen = business_day(newest.replace(tzinfo=UTC), zone) + timedelta(days=1)
    seen_end = cut.outcome_end if whole else min(cut.outcome_end, _naive(day_start(unseen, zone)))
    return DataCut(cut.as_of, min(cut.as_of_day, unseen), seen_end)


def full_days(started_at: datetime, end: datetime, zone: ZoneInfo) -> int:
    """Whole business days between two aware instants: a day counts when all of it lies between them."""
    first = business_day(started_at, zone)
    if day_start(first, zone) < started_at.astimezone(UTC):
        first += timedelta(days=1)
    return max(0, (business_day(end, zone) - first).days)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
