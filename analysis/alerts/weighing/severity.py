"""How much money asks for which answer: the multi-window table of ALERTS 2.

Windows and multipliers follow the burn rates of Google's SRE workbook ("Alerting on SLOs", multiwindow, multi-burn-
rate). The long window says that it matters, the short one that it still goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.alerts.model import SEVERITIES, Cost, Severity
from analysis.alerts.weighing.money import per_day


@dataclass(frozen=True, slots=True)
class Rule:
    """One severity: what its windows (hours) have to burn, and who does what then."""

    severity: Severity
    long: float
    short: float
    burn: float  # of L_exp in the long window, in daily loss budgets; half of it, unshrunk, in the short one
    response: str


RULES: tuple[Rule, ...] = (  # the highest first
    Rule("page_fast", 1, 0.25, 14.4, "now, entry modules only"),
    Rule("page", 6, 1, 6, "now"),
    Rule("ticket", 72, 6, 1, "next working day"),
    Rule("watch", 168, 24, 0.1, "inbox only"),
)


def by_money(
    long: Mapping[Severity, Cost],
    short: Mapping[Severity, Cost],
    *,
    budget: float,
    entry: bool,
    fast: bool,
    most: Severity = "page_fast",
) -> Severity:
    """The highest severity whose long window burns enough and whose short one goes on losing half as much.

    L_exp(long) ≥ θ and L_point(short) ≥ θ/2, θ = burn × B/30 with B = `budget` for 30 days. A severity whose windows
    are not there asks for nothing. Page-fast only on an `entry` module with a refresh every 15 minutes (`fast`). Where
    `most` is the gravest that may be, each one decides by its own windows: a page's six hours make no ticket.
    """
    for rule in RULES:
        if SEVERITIES.index(rule.severity) > SEVERITIES.index(most):
            continue
        if rule.severity == "page_fast" and not (entry and fast):
            continue
        threshold = rule.burn * per_day(budget)
        now, still = long.get(rule.severity), short.get(rule.severity)
        if now is not None and still is not None and now.burn >= rule.burn and still.point >= threshold / 2:
            return rule.severity
    return "digest"


def least(*severities: Severity) -> Severity:
    """The lowest of them: what each of several limits still allows."""
    return min(severities, key=SEVERITIES.index)
