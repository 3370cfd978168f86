"""Hand-made evaluations as losses, and a lifecycle that is played through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from analysis.alerts.course.acts import Act
from analysis.alerts.course.lifecycle import Standing, step
from analysis.alerts.model import Cell, Comparison, Evaluation, Evidence, Incident, Metric, Notice, Severity
from tests.helpers.incidents import EVERYBODY as FORECAST
from tests.helpers.incidents import LAUNCH, evaluation
from tests.helpers.incidents import TRIAL as EXPERIMENT

__all__ = [
    "EVIDENCE", "EXPERIMENT", "FORECAST", "HOME", "LAUNCH", "RUGS", "START", "Play", "at", "blind", "clean", "loss",
    "opened",
]  # fmt: skip

START = datetime(2026, 12, 1, tzinfo=UTC)
SIX = timedelta(hours=6)
HOME, RUGS = Cell("homepage"), Cell("pdp", "rugs")
EVIDENCE = Evidence("detector", 900.0, 400.0, "page_fast")


def loss(
    severity: Severity = "page",
    expected: float = 1000.0,
    *,
    cell: Cell = HOME,
    metric: Metric = "order",
    comparison: Comparison = LAUNCH,
    at_least: float = 0.0,
    held_by: Sequence[str] = (),
    at: datetime = START,
    evidence: Evidence = EVIDENCE,
) -> Evaluation:
    """One unit of work that found a loss of `expected` minor units a day, a gain below 0."""
    return evaluation(
        cell, severity=severity, comparison=comparison, metric=metric, at=at, expected=expected, at_least=at_least,
        relative=-0.02 if expected > 0 else 0.01, held_by=tuple(held_by), evidence=evidence,
    )  # fmt: skip


def clean(**given: object) -> Evaluation:
    """One that found nothing."""
    return loss("digest", -10.0, **given)  # type: ignore[arg-type]


def blind(*, cell: Cell = HOME, metric: Metric = "order", comparison: Comparison = LAUNCH) -> Evaluation:
    """One without data."""
    found = loss("digest", 0.0, cell=cell, metric=metric, comparison=comparison)
    return replace(found, now=None, if_shipped=0.0, effects={}, no_data=True)


def at(evaluation: Evaluation, when: datetime) -> Evaluation:
    """The same, of another bucket."""
    return replace(evaluation, unit=replace(evaluation.unit, at=when))


@dataclass
class Play:
    """A shop's lifecycle, one bucket end after the other."""

    standing: Standing = field(default_factory=Standing)
    now: datetime = START
    told: list[Notice] = field(default_factory=list)
    windows: Mapping[str, str] = field(default_factory=dict)

    def step(self, *evaluations: Evaluation, acts: Sequence[Act] = (), hours: float = 6) -> tuple[str, ...]:
        """One more bucket end; the transitions that are told at it."""
        self.now += timedelta(hours=hours)
        found = [at(one, self.now) for one in evaluations]
        self.standing, notices = step(self.standing, self.now, found, acts, windows=self.windows)
        self.told += notices
        return tuple(notice.transition for notice in notices)

    def acts(self, *acts: Act) -> tuple[str, ...]:
        """What people did since, taken in without a new bucket."""
        self.standing, notices = step(self.standing, self.now, (), acts, windows=self.windows)
        self.told += notices
        return tuple(notice.transition for notice in notices)

    @property
    def only(self) -> Incident:
        """The one incident that there is."""
        (incident,) = self.standing.incidents
        return incident

    def of(self, module: str, family: str = "money") -> Incident:
        """The newest incident of a module."""
        found = [one for one in self.standing.incidents if (one.module, one.family) == (module, family)]
        return max(found, key=lambda one: one.changed_at)

    def ack(self, author: str = "mara") -> tuple[str, ...]:
        """The only incident is acknowledged."""
        return self.acts(Act("ack", author, self.now, "on it", self.only.incident_id))


def opened(severity: str = "page", expected: float = 1000.0) -> Play:
    """A homepage that loses money, told at its second evaluation."""
    play = Play()
    assert play.step(loss(severity, expected)) == ()  # type: ignore[arg-type]
    assert play.step(loss(severity, expected)) == (f"open:{severity}:1",)  # type: ignore[arg-type]
    return play
