"""What earlier readings said of a check: since when it is as it is, and how its figure went."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.readout import Check, CheckState, Judged

WORST_FIRST: tuple[CheckState, ...] = ("fail", "warn", "unknown", "pass", "not_applicable")


@dataclass(frozen=True, slots=True)
class Past:
    """The checks of one reading, by its data cut (ISO instant)."""

    as_of: str
    checks: tuple[Check, ...]

    def check(self, key: str) -> Check | None:
        """The check of that id; None in a reading from before there was one."""
        return next((check for check in self.checks if check.id == key), None)


@dataclass(frozen=True, slots=True)
class Trend:
    """One figure over the readings, oldest first: (ISO day, value). `judged` is the newest, with its limits."""

    judged: Judged
    points: tuple[tuple[str, float], ...]


def telling(check: Check) -> Judged | None:
    """The figure that decided: the worst of them, the first of several; None where none was judged."""
    return min(check.judged, key=lambda each: WORST_FIRST.index(each.state), default=None)


def trend(check: Check, past: Sequence[Past]) -> Trend | None:
    """The telling figure over the readings, `past` oldest first and with the check's own last; None of fewer than 2."""
    judged = telling(check)
    if judged is None:
        return None
    points = []
    for reading in past:
        known = reading.check(check.id)
        value = None if known is None else known.figures.get(judged.figure)
        if isinstance(value, int | float):
            points.append((reading.as_of[:10], float(value)))
    return Trend(judged, tuple(points)) if len(points) > 1 else None


@dataclass(frozen=True, slots=True)
class Began:
    """The first reading of those in a row that say the same; `first` when there is none before it."""

    day: str
    first: bool


def began(check: Check, past: Sequence[Past]) -> Began | None:
    """When the check's state began, `past` oldest first and with the check's own last; None without any reading."""
    found: Began | None = None
    for index in reversed(range(len(past))):
        known = past[index].check(check.id)
        if known is None or known.state != check.state:
            break
        found = Began(past[index].as_of[:10], index == 0)
    return found
