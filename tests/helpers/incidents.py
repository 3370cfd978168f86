"""Hand-made evaluations, incidents and notices of a shop in euro, at 14 December 2026."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from analysis.alerts.model import (
    Cell,
    Comparison,
    Cost,
    Effect,
    Evaluation,
    Evidence,
    Incident,
    Metric,
    Notice,
    Severity,
    Stake,
    Unit,
)

AT = datetime(2026, 12, 14, 6, tzinfo=UTC)
LAUNCH = Comparison("launch", "global_h2", 1, "served", "held_out")
TRIAL = Comparison("experiment", "home_als_v2", 2, "als_v2", "control")
EVERYBODY = Comparison("forecast", "site", 1, "all", "")
BUDGET = 75_000_00.0  # minor units per 30 days
ENOUGH = Evidence("e_process", 31.0, 20.0, "page_fast")


def evaluation(
    cell: Cell,
    *,
    severity: Severity = "page",
    comparison: Comparison = LAUNCH,
    metric: Metric = "order",
    at: datetime = AT,
    expected: float = 48_123_00.0,
    at_least: float = 17_200_00.0,
    relative: float = -0.021,
    held_by: tuple[str, ...] = (),
    why_not: str = "",
    evidence: Evidence = ENOUGH,
) -> Evaluation:
    """One cell that loses `expected` a day, minor units, with as much evidence as it takes."""
    cost = Cost(expected, at_least, expected * 1.2, expected / (BUDGET / 30))
    hours: tuple[tuple[str, float, float], ...] = (
        *(("15m", 0.25, 0.04), ("1h", 1.0, 0.02), ("6h", 6.0, 0.008)),
        *(("1d", 24.0, 0.005), ("3d", 72.0, 0.003), ("7d", 168.0, 0.002)),
    )
    return Evaluation(
        unit=Unit("loss", 1, comparison, cell, metric, at),
        severity=severity,
        by_money=severity,
        stake=Stake(3_000_000, 240.0, 0.35),
        now=cost,
        if_shipped=expected,
        effects={name: Effect(metric, long, relative, se) for name, long, se in hours},
        evidence=evidence,
        held_by=held_by,
        why_not=why_not,
    )


def incident(
    incident_id: str = "5d1f00aa12345678",
    *,
    module: str = "homepage",
    members: tuple[Evaluation, ...] | None = None,
    state: str = "open",
    severity: Severity = "page",
    opened_at: datetime | None = AT - timedelta(hours=5),
    expected: float = 48_123_00.0,
    at_least: float = 17_200_00.0,
    lost: float = 12_345_67.0,
    **more: object,
) -> Incident:
    """An incident of one module; without `members`, of two of its categories."""
    found = members
    if found is None:
        decor = evaluation(Cell(module, "decor"), severity=severity, expected=expected * 0.7)
        rugs = evaluation(Cell(module, "rugs"), severity="ticket", expected=expected * 0.3, comparison=TRIAL)
        found = (decor, rugs)
    made = Incident(
        incident_id=incident_id, module=module, family="money", window="launch home_als_v2 2026-12-01", state="open",
        severity=severity, opened_at=opened_at, changed_at=AT, members=found, expected=expected, at_least=at_least,
        lost_so_far=lost, hints=("Deployed 3 hours before: home_als_v2",),
    )  # fmt: skip
    return replace(made, state=state, **more)  # type: ignore[arg-type]


def notice(about: Incident | None = None, transition: str = "open:page:1", *, missed_runs: int = 0) -> Notice:
    """It is told now."""
    return Notice(about or incident(), transition, AT, missed_runs)
