"""What is said of a schedule before it runs."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from analysis import words
from analysis.calendar import business_day, full_days


def beside_midnight(start_at: datetime, end_at: datetime | None, zone: ZoneInfo) -> str | None:
    """What a schedule loses that begins or ends between two of the shop's midnights; None where neither does."""
    given = {"start_at": start_at, "end_at": end_at}
    local = {name: at.astimezone(zone) for name, at in given.items() if at is not None}
    beside = [f"{name} is {at:%Y-%m-%d %H:%M}" for name, at in local.items() if at.time() != time()]
    if not beside:
        return None
    said = f"{words.listed(beside)} in {zone.key}, not a midnight: only whole business days are read"
    if end_at is None:
        return said
    whole, named = full_days(start_at, end_at, zone), (business_day(end_at, zone) - business_day(start_at, zone)).days
    return f"{said}, {whole} of them" + (f" and not {named}" if named != whole else "")
