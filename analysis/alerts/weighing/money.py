"""What an effect costs a day: shrunk towards the module's history, times the money that flows through. ALERTS 1.

Money is in minor units a day and a loss is above 0. Relative changes and their standard errors are shares of 1.
"""

import math

from analysis.alerts.model import Cost, Effect, Stake

BUDGET_DAYS = 30


def shrunk(relative: float, se: float, spread: float) -> tuple[float, float]:
    """Mean and standard deviation of the change, once seen: μ = r̂κ²/(κ² + s²), σ² = s²κ²/(κ² + s²).

    `spread` is κ, the standard deviation of the prior N(0, κ²): how far the module's changes were from 0 in the
    past. Noise (s far above κ) gives 0, certainty (s = 0) gives r̂. ValueError for a spread that is not above 0.
    """
    if not 0 < spread < math.inf:
        raise ValueError(f"the historical spread is {spread}; it is a share above 0, as 0.03")
    if not 0 <= se < math.inf or not math.isfinite(relative):
        raise ValueError(f"a change of {relative} with standard error {se}: both are finite, the error 0 or more")
    weight = spread * spread / (spread * spread + se * se)
    return relative * weight, se * math.sqrt(weight)


def cost(effect: Effect, stake: Stake, *, spread: float, budget: float, upper: float | None) -> Cost:
    """What the effect costs a day, and how fast it burns the loss budget.

    `expected` and `at_least` as below, of `upper`, an upper bound of the relative change. Point −r̂·S, neither shrunk
    nor weighted by season. `budget` is the loss accepted in 30 days, in minor units: burn = L_exp/(B/30). ValueError
    where it is not above 0.
    """
    lost = expected(effect, stake, spread=spread)
    return Cost(lost, at_least(stake, upper), 0.0 - effect.relative * stake.money, lost / per_day(budget))


def expected(effect: Effect, stake: Stake, *, spread: float) -> float:
    """L_exp = ω·S·(−μ), signed: below 0 is a gain, near 0 is noise."""
    return 0.0 - stake.season * stake.money * shrunk(effect.relative, effect.se, spread)[0]


def at_least(stake: Stake, upper: float | None) -> float:
    """L_sure = S·max(0, −U), U an upper bound of the relative change (STATISTICS 4); 0 where there is none."""
    return 0.0 if upper is None else stake.money * max(0.0, -upper)


def per_day(budget: float) -> float:
    """The loss accepted a day, B/30. ValueError where the budget is not above 0."""
    if not 0 < budget < math.inf:
        raise ValueError(f"the loss budget is {budget} for {BUDGET_DAYS} days; it is money above 0")
    return budget / BUDGET_DAYS


def expected_se(sessions: float, conversion: float) -> float:
    """How far the relative change of two equal groups is off by chance: √(4(1 − p)/(n·p)), n sessions of both.

    p is the share of sessions with an order (or a click). One session a unit, so it is a lower bound where people
    return. ValueError without sessions or with a share outside (0, 1].
    """
    if not sessions > 0 or not 0 < conversion <= 1:
        raise ValueError(f"{sessions} sessions with a conversion of {conversion}: sessions above 0, a share in (0, 1]")
    return math.sqrt(4 * (1 - conversion) / (sessions * conversion))
