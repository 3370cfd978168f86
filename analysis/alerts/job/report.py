"""How a run of the alerts ended: an exit code, one JSON line, and a sentence. ALERTS 6."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from analysis.alerts.model import Severity
from experiments.base import canonical

DONE, ERROR, CONFIGURATION, NOT_READY, UNDELIVERED, BUSY, HELD, NOTHING_DUE = 0, 1, 2, 3, 4, 5, 30, 99
ON_ALERT: Mapping[Severity, int] = {"ticket": 10, "page": 20, "page_fast": 20}
CODES: Mapping[int, str] = {
    DONE: "evaluated and delivered",
    ERROR: "error: run it again",
    CONFIGURATION: "configuration: running it again changes nothing",
    NOT_READY: "data not ready",
    UNDELIVERED: "a notice is undelivered and kept in the outbox",
    BUSY: "another run holds the lock",
    ON_ALERT["ticket"]: "a ticket is open",
    ON_ALERT["page"]: "a page is open",
    HELD: "an alert is held by a failing signal check",
    NOTHING_DUE: "nothing is due",
}
GOOD = (DONE, NOTHING_DUE, HELD, *ON_ALERT.values())  # it looked, and whoever has to know was told
LATE = 2  # periods: without a look in so many monitoring is down, and a run for an earlier time says nothing of now


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did. `until` is the newest bucket end that is there, `evaluated` counts bucket ends.

    `as_of` is None where the time that was asked for is none.
    """

    code: int
    as_of: datetime | None
    until: datetime | None = None
    evaluated: int = 0
    units: int = 0
    revised: int = 0
    missed_runs: int = 0
    open: Mapping[Severity, int] = field(default_factory=dict)
    held: int = 0
    delivered: int = 0
    undelivered: int = 0
    error: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the alerts are at work: what a dead man's switch wants to know."""
        return self.code in GOOD

    @property
    def line(self) -> str:
        """The one JSON line of a run."""
        return canonical(
            {
                "as_of": _instant(self.as_of), "code": self.code, "outcome": CODES.get(self.code, "error"),
                "until": _instant(self.until), "evaluated": self.evaluated,
                "units": self.units, "revised": self.revised, "missed_runs": self.missed_runs,
                "open": dict(self.open), "held": self.held, "delivered": self.delivered,
                "undelivered": self.undelivered, "error": self.error,
            }
        )  # fmt: skip

    @property
    def words(self) -> str:
        """The same for a person."""
        if self.error:
            return self.error
        count = sum(self.open.values())
        said = f"{self.evaluated} bucket end{'' if self.evaluated == 1 else 's'} evaluated, {count} open"
        said += f", {self.held} held" if self.held else ""
        said += f", {self.delivered} delivered" if self.delivered else ""
        said += f", {self.undelivered} undelivered" if self.undelivered else ""
        return f"{said} ({self.missed_runs} runs missed)" if self.missed_runs else said


def is_about_now(as_of: datetime, now: datetime, *, minutes: int) -> bool:
    """Whether a run as of then, in a shop that runs every so many minutes, says anything about now: no look back."""
    return now - as_of <= LATE * timedelta(minutes=minutes)


def has_evaluated(body: str) -> bool:
    """Whether the run of that line evaluated anything."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and bool(said.get("evaluated"))


def _instant(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"
