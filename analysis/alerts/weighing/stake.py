"""How much money flows through a cell: the forecast of its sessions and what they earn, kept as margin. ALERTS 1."""

from collections.abc import Iterator
from datetime import date

from analysis.alerts.model import Cell, Comparison, Stake, Traffic
from experiments.errors import Problem
from experiments.money import Money


def stake(traffic: Traffic, money: Money, *, on: date) -> Stake:
    """Of all sessions of the cell in the 24 hours after `traffic.at`, minor units a day; `on` is the business day.

    The margin is that of the settings, else what the order lines had. ValueError without either: ask `unpriced` first.
    """
    margin = _margin(traffic.cell, traffic, money)
    if margin is None:
        raise ValueError(f"no margin is known of {_place(traffic.cell)}; set margin in money.yml")
    return Stake(traffic.sessions, traffic.revenue_per_session, margin, money.season_weight(on))


def watched_share(comparison: Comparison, traffic: Traffic) -> float | None:
    """The share of the cell's sessions that lose now: those in the watched arm, all of them for a forecast.

    Whoever is held out loses nothing, nor do modules that a holdout does not cover. None where no session of the last
    day is known to have been in the arm.
    """
    return 1.0 if comparison.kind == "forecast" else dict(traffic.watched).get(comparison)


def unpriced(cell: Cell, comparison: Comparison, traffic: Traffic | None, money: Money) -> tuple[Problem, ...]:
    """Why a loss there cannot be said in money; empty when it can. What is not priced is unknown, never healthy."""
    return tuple(_unpriced(cell, comparison, traffic, money))


def _unpriced(cell: Cell, comparison: Comparison, traffic: Traffic | None, money: Money) -> Iterator[Problem]:
    place = _place(cell)
    if money.loss_budget is None:
        step = 'write what may be lost to regressions in 30 days, as loss_budget: "75000"'
        yield Problem("no_budget", "loss_budget", None, "is not set, so no loss is large or small", next_step=step)
    if _margin(cell, traffic, money) is None:
        message = f"neither the settings nor the order lines say what is kept of a sale on {place}"
        step = 'write the contribution margin, as margin: "0.35", or log it with the order lines'
        yield Problem("no_margin", "margin", None, message, next_step=step)
    if traffic is None:
        step = "it is made once the cell has a history of traffic; run a refresh"
        yield Problem("no_traffic", place, None, "no forecast of its traffic is published", next_step=step)
    elif watched_share(comparison, traffic) is None:
        message = f"no session of its last day is known to have been in {comparison.watched} of {comparison.key}"
        yield Problem(
            "no_share", place, comparison.watched, message, next_step="it is known once there are some; run a refresh"
        )


def _margin(cell: Cell, traffic: Traffic | None, money: Money) -> float | None:
    set_ = money.margin_of(cell)
    return set_ if set_ is not None or traffic is None else traffic.margin_share


def _place(cell: Cell) -> str:
    return " ".join(part for part in (cell.module or "the site", cell.category, cell.device) if part)
