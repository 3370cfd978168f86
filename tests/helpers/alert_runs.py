"""Runs of the alerts on measures made by hand: what each cell loses at each bucket end, and who listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any

from sqlalchemy import text

from analysis.alerts.job.run import Memory, Plan, Seen
from analysis.alerts.model import (
    Baseline,
    Cell,
    Comparison,
    Cost,
    Detector,
    Effect,
    Evaluation,
    Evidence,
    Notice,
    Severity,
    Stake,
    Unit,
)
from analysis.alerts.notices.payload import alert_v1
from experiments.errors import DeliveryError
from experiments.store import Store
from experiments.store.engine import reading

START = datetime(2026, 12, 1, tzinfo=UTC)  # of the measures; the first bucket ends a quarter of an hour later
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
SHIPPED = Comparison("launch", "global_h2", 1, "served", "held_out")
HOME, CART = Cell("homepage"), Cell("cart")


@dataclass
class Scripted:
    """Measures of some hours: of each cell, what it loses from when (hours since `START`) until when.

    The detector's state hangs on every hour before it, so that an hour left out or done twice shows in its bits. Each
    hour brings more evidence of a loss, so that two of them agree.
    """

    hours: int = 72
    losses: Sequence[tuple[Cell, Severity, float, float]] = ()
    held: Sequence[tuple[Cell, float, float]] = ()
    unread: Sequence[tuple[Cell, float, float]] = ()  # no detector could be advanced there
    revised: Mapping[datetime, datetime] = field(default_factory=dict)  # end → when its late rows were published
    revision: float = 0.0  # what they added

    def published(self) -> Sequence[datetime]:
        return [START + n * QUARTER for n in range(1, self.hours * 4 + 1)]

    def changed(self, since: datetime | None) -> tuple[Sequence[datetime], datetime | None]:
        ends = [*self.published(), *(end for end, when in self.revised.items() if since is None or when >= since)]
        newest = max([START, *self.revised.values()])
        return [end for end in ends if since is None or end in self.revised], newest

    def windows(self, at: datetime) -> Mapping[str, str]:
        return {"homepage": "launch home_als_v2 2026-12-01"} if at > START else {}

    def evaluate(self, at: datetime, memory: Memory, followed: Sequence[Evaluation]) -> Seen:
        del followed
        found = [self._evaluated(cell, at) for cell in (HOME, CART)]
        return Seen(
            tuple(found),
            {
                each.unit.fingerprint: self._advanced(each, memory)
                for each in found
                if not _is_in(self.unread, each.unit.cell, at)
            },
            {each.unit.fingerprint: self._frozen(each) for each in found if at == START + 6 * HOUR},
        )

    def accepted(self, at: datetime, loss: Evaluation, incident: str, since: datetime) -> Baseline | None:
        del since
        return Baseline(at, f"accepted (incident {incident})", loss.stake.money, 1.0, 0.0, 112)

    def _severity(self, cell: Cell, at: datetime) -> Severity:
        hour = (at - START) / HOUR
        found = [severity for place, severity, first, last in self.losses if place == cell and first <= hour < last]
        return found[0] if found else "digest"

    def _evaluated(self, cell: Cell, at: datetime) -> Evaluation:
        severity = self._severity(cell, at)
        is_held = _is_in(self.held, cell, at)
        lost = 0.0 if severity == "digest" else 4_800_000.0 + self._late(at)
        burn = {"digest": 0.0, "watch": 0.2, "ticket": 2.0, "page": 8.0, "page_fast": 20.0}[severity]
        return Evaluation(
            unit=Unit("loss", 1, SHIPPED, cell, "revenue", at),
            severity="digest" if is_held else severity,
            by_money=severity,
            stake=Stake(1_000_000, 240.0, 0.35),
            now=Cost(lost, lost / 3, lost, burn),
            if_shipped=lost,
            effects={"6h": Effect("revenue", 6.0, -lost / 84_000_000, 0.005)},
            evidence=Evidence("detector", 500.0 + (at - START) / HOUR if lost else 1.0, 100.0, "page_fast"),
            held_by=("SH-02",) if is_held else (),
        )

    def _late(self, at: datetime) -> float:
        return self.revision if at in self.revised else 0.0

    def _advanced(self, found: Evaluation, memory: Memory) -> Detector:
        at, before = found.unit.at, memory.detectors.get(found.unit.fingerprint)
        value = 0.0 if before is None else before.values[0]
        baseline = memory.baseline(found.unit.fingerprint, at)
        step = exp(((at - START) / HOUR % 7 - 3) / 11) + (0.0 if baseline is None else baseline.mean) + self._late(at)
        return Detector(((value + 1) * step, value, step, 1.0), at)

    def _frozen(self, found: Evaluation) -> Baseline:
        return Baseline(found.unit.at, "first_buckets", 0.01, 1.1, 0.1, 112)


def _is_in(spans: Sequence[tuple[Cell, float, float]], cell: Cell, at: datetime) -> bool:
    return any(place == cell and first <= (at - START) / HOUR < last for place, first, last in spans)


class Listener:
    """A channel that keeps what it is told, and fails while it is `down`."""

    def __init__(self, name: str = "pager") -> None:
        self.name, self.down, self.heard = name, False, list[Mapping[str, Any]]()
        self.refuses = ""  # a transition that it never takes

    def deliver(self, payload: Mapping[str, Any]) -> None:
        if self.down or payload["notice"]["transition"] == self.refuses:
            raise DeliveryError(self.name, "no route to host", "it stays in the outbox")
        self.heard.append(payload)

    @property
    def transitions(self) -> list[str]:
        return [payload["notice"]["transition"] for payload in self.heard]


def plan(source: Scripted, *channels: Listener, minutes: int = 60) -> Plan:
    return Plan(source, minutes, channels, render)


def render(notice: Notice) -> Mapping[str, Any]:
    return alert_v1(notice, names={}, currency="EUR", digits=2, links={})


STATE = ("alert_units", "alert_baselines", "alert_standing")
ALL = (*STATE, "alert_acts", "alert_outbox")


def dump(store: Store, *names: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the tables, as they are kept."""
    with reading(store.alerts._engine) as connection:
        return {
            name: sorted(map(tuple, connection.execute(text(f"select * from {name}")).all()), key=repr)
            for name in names
        }
