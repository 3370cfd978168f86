"""What is said when the log ends before the days that are read."""

from datetime import date

from analysis.words import day


def log_ends(newest: date, needed: date, *, as_of_the_log: bool) -> str:
    """The newest row is older than the days that count."""
    silent = (needed - newest).days
    said = f"The newest row is of {day(newest)}; the {silent} days from then to {day(needed)} have no data."
    return f"{said} The run is read as it stood then; load what came after." if as_of_the_log else said


def unripe(first: date, newest: date) -> str:
    """Old enough by the clock, but the log ends before it had ripened. A cause without a full stop."""
    return f"its first data mature on {day(first)}, and the newest row is of {day(newest)}"
