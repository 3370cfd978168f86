"""Whether anybody looks: when the last run looked, or that monitoring is down and why. ALERTS 6."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from analysis.alerts.job.report import BUSY, CONFIGURATION, ERROR, LATE, NOT_READY, is_about_now
from analysis.words import inbox as say
from experiments.money import Money
from experiments.store import Store
from experiments.store.alerts import AlertRun

BLIND = (ERROR, CONFIGURATION, NOT_READY, BUSY)  # a run that ended thus looked at no data of its time


@dataclass(frozen=True, slots=True)
class Beat:
    """Whether anybody looks: `told` when, or what is wrong."""

    state: Literal["never", "down", "alive"]
    told: str

    @property
    def line(self) -> str:
        """For a terminal: what is wrong by its name; empty while somebody looks."""
        names = {"never": say.NEVER, "down": say.DOWN, "alive": ""}
        return f"{names[self.state]}. {self.told}" if names[self.state] else ""


def heartbeat(store: Store, money: Money, *, now: datetime) -> Beat:
    """Of a shop with these settings: they say how often its alerts should run."""
    looked, newest, kept = store.alerts.last_ended(but=BLIND), store.alerts.runs(1), store.alerts.standing()
    return beat(
        None if looked is None else _moment(looked, money.every_minutes),
        _error(newest[0].code, newest[0].body) if newest else None,
        read=None if kept is None else kept.at,
        minutes=money.every_minutes,
        now=now,
        has_budget=money.loss_budget is not None,
        waits=bool(newest) and newest[0].code == NOT_READY,
    )


def beat(
    looked: datetime | None,
    newest_error: str | None,
    *,
    read: datetime | None,
    minutes: int,
    now: datetime,
    has_budget: bool = False,
    waits: bool = False,
) -> Beat:
    """`looked`: when the last run with data of its time ended; `newest_error`: of the newest run, None without any run.

    `read`: up to when data were looked at; `waits`: the newest run found none beyond.
    """
    if looked is None and newest_error is None:
        return Beat("never", say.never_told(minutes, has_budget=has_budget))
    is_late = looked is None or now - looked > LATE * timedelta(minutes=minutes)
    if waits and is_late:
        return Beat("down", say.no_data_came(read, newest_error or ""))
    if looked is None:
        return Beat("down", say.never_ended(newest_error or "", read))
    if is_late:
        return Beat("down", say.down(looked, now, minutes, newest_error or ""))
    return Beat("alive", say.looked(looked, now, read))


def error_of(body: str) -> str:
    """What a run that looked at nothing said in its line; empty where it said nothing."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    return str(said.get("error", "")) if isinstance(said, dict) else ""


def _moment(run: AlertRun, minutes: int) -> datetime:
    """When a run looked: as it ended, or the earlier time that it looked back at."""
    ended = run.finished_at
    return ended if ended is not None and is_about_now(run.as_of, ended, minutes=minutes) else run.as_of


def _error(code: int | None, body: str) -> str:
    """What went wrong in a run; empty where nothing did."""
    if code is None or code not in BLIND:
        return ""
    return error_of(body) or f"exit code {code}"
