"""When no ramp takes a step: hours of a weekday, or a named season. Written in a shop's settings."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS = re.compile(rf"({'|'.join(DAYS)}) ([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])")
_SEASON = re.compile(r"([a-z0-9_]+) ([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{4}-[0-9]{2}-[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Hours:
    """Some hours of every such weekday, in minutes of the day: [start, end)."""

    written: str
    weekday: int  # Monday is 0
    start: int
    end: int

    def holds(self, local: datetime) -> bool:
        """Whether a local time lies in it."""
        return local.weekday() == self.weekday and self.start <= local.hour * 60 + local.minute < self.end


@dataclass(frozen=True, slots=True)
class Season:
    """Whole days with a name, both ends included."""

    written: str
    first: date
    last: date

    def holds(self, local: datetime) -> bool:
        """Whether a local time lies in it."""
        return self.first <= local.date() <= self.last


def window(written: str) -> Hours | Season:
    """`friday 16:00-24:00` or `christmas 2026-12-18/2027-01-02`. ValueError for anything else."""
    hours = _HOURS.fullmatch(written)
    if hours:
        start, end = int(hours[2]) * 60 + int(hours[3]), int(hours[4]) * 60 + int(hours[5])
        if start < end <= 24 * 60:
            return Hours(written, DAYS.index(hours[1]), start, end)
        raise ValueError(f"{written!r} has no minute between its times; write the earlier one first, at most 24:00")
    season = _SEASON.fullmatch(written)
    if not season:
        raise ValueError(f"{written!r} is neither hours of a weekday nor a season")
    try:
        first, last = date.fromisoformat(season[2]), date.fromisoformat(season[3])
    except ValueError as error:
        raise ValueError(f"{written!r} names a day that does not exist") from error
    if last < first:
        raise ValueError(f"{written!r} ends before it begins")
    return Season(written, first, last)


def frozen_by(windows: tuple[str, ...], zone: ZoneInfo, now: datetime) -> str | None:
    """The first window that holds `now` in the shop's zone, as it was written; None when there is none."""
    local = now.astimezone(zone)
    return next((written for written in windows if window(written).holds(local)), None)
