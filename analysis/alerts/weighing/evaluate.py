"""One unit of work: what money and evidence together say of one metric in one cell at one time. ALERTS 1–3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from analysis.alerts.model import (
    LONG,
    Baseline,
    Bucket,
    Cost,
    Effect,
    Evaluation,
    Evidence,
    Look,
    Severity,
    Stake,
    Traffic,
    Unit,
)
from analysis.alerts.weighing.conversion import REVENUE, Conversion, in_money, upper_in_money
from analysis.alerts.weighing.money import at_least, cost, expected
from analysis.alerts.weighing.severity import RULES, by_money, least
from analysis.alerts.weighing.stake import stake, unpriced, watched_share
from analysis.alerts.weighing.windows import HOURS, against_expected, effect, returning, since, within
from analysis.inference.designs import critical_value
from analysis.words.alerts import why_not
from experiments.errors import DefinitionError
from experiments.money import Money

SURE = 0.05  # error of "at least", one-sided


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that is known of one unit of work; `evidence` and `upper` are made before, by their own files."""

    unit: Unit
    long: Sequence[Bucket]  # of six hours: the last seven days up to `unit.at`, newest revisions
    short: Sequence[Bucket]  # of a quarter of an hour: the last six hours
    traffic: Traffic | None  # None: no forecast yet
    evidence: Evidence
    digits: int  # of an amount in the shop's currency
    look: Look | None = None  # of an experiment: how often its units come back
    upper: float | None = None  # of an experiment: upper bound of the metric's relative change
    baseline: Baseline | None = None  # of a launch or a forecast
    expected: Sequence[Traffic] = ()  # of a forecast: one for each bucket in `long`, at its end
    conversion: Conversion = REVENUE  # that of the unit's metric
    held_by: tuple[str, ...] = ()  # signal checks that fail here
    fast: bool = False  # the quarter hours are up to date
    on: date | None = None  # the shop's business day; left out, that of `unit.at` in UTC
    currency: str = ""  # of the sentence that says why nobody was alerted; without it there is none
    names: Mapping[str, str] = field(default_factory=dict)  # of modules, as the sentence calls them


def evaluate(given: Inputs, money: Money) -> Evaluation:
    """Price the change in every window, and give the highest severity that money and evidence agree on.

    Without enough evidence, under a failing signal check and without data it is digest; `by_money`, `held_by` and
    `no_data` say which. Pages only where the settings switched them on, else a ticket at most, which its own windows
    decide: `by_money` is what money alone asks for, `asked` what it asks for within what may be. `now` is what the
    watched arm's own sessions lose; `if_shipped` of an experiment what all would. DefinitionError, with every reason,
    where a loss has no price (`stake.unpriced`): that is unknown, and not healthy.
    """
    unit = given.unit
    budget = money.budget_minor(given.digits)
    wrong = unpriced(unit.cell, unit.comparison, given.traffic, money)
    share = None if given.traffic is None else watched_share(unit.comparison, given.traffic)
    if wrong or given.traffic is None or budget is None or share is None:
        raise DefinitionError("money.yml", wrong)
    if given.traffic.cell != unit.cell:
        raise ValueError(f"the traffic of {given.traffic.cell} for {unit.cell}")
    whole = stake(given.traffic, money, on=given.on or unit.at.date())
    here = replace(whole, sessions=whole.sessions * share)
    shipped = whole if unit.comparison.kind == "experiment" else here
    spread = money.spread_of(unit.cell.module)
    effects = _effects(given)
    revenue = {hours: in_money(found, given.conversion) for hours, found in effects.items()}
    costs = {hours: cost(found, here, spread=spread, budget=budget, upper=None) for hours, found in revenue.items()}
    no_data = not _has_data(given) or not any(rule.long in costs for rule in RULES)
    evidence = given.evidence
    if not money.pages:
        evidence = replace(evidence, most=least(evidence.most, "ticket"))
    asked, allowed = (
        "digest" if no_data else _asked(given, costs, money, budget, most) for most in ("page_fast", evidence.most)
    )
    shown = None if no_data else _window(allowed, costs)
    agreed = evidence.met and not given.held_by and not no_data
    found = Evaluation(
        unit=unit,
        severity=allowed if agreed else "digest",
        by_money=asked,
        stake=here,
        now=None if shown is None else _sure(given, revenue, costs[shown], here, shown),
        if_shipped=0.0 if shown is None else expected(revenue[shown], shipped, spread=spread),
        effects={name: effects[hours] for name, hours in HOURS.items() if hours in effects},
        evidence=evidence,
        held_by=given.held_by,
        no_data=no_data,
        asked=allowed,
    )
    return replace(found, why_not=_why_not(found, given, money))


def _why_not(found: Evaluation, given: Inputs, money: Money) -> str:
    """Why it is no more than it is; empty where it is all that money asks for, and at least a ticket."""
    if not given.currency or (found.severity == found.by_money and found.severity not in ("digest", "watch")):
        return ""
    return why_not(found, currency=given.currency, digits=given.digits, names=given.names, pages=money.pages)


def _effects(given: Inputs) -> Mapping[float, Effect]:
    """By hours of the window: the metric's change against the other arm or the forecast, since the baseline."""
    unit, baseline = given.unit, given.baseline
    if baseline is not None and baseline.is_of_nothing:
        return {}
    long, short = _after(given.long, baseline), _after(given.short, baseline)
    factor = 1.0 if baseline is None else baseline.factor
    if given.look is not None:
        factor = returning(given.look, long, unit.metric)
    effects = {}
    for hours in HOURS.values():
        if unit.comparison.kind == "forecast":
            found = against_expected(long, given.expected, unit.metric, hours=hours, at=unit.at, factor=factor)
        else:
            found = effect([*long, *short], unit.metric, hours=hours, at=unit.at, factor=factor)
        if found is not None:
            effects[hours] = found if baseline is None else since(found, baseline)
    return effects


def _asked(given: Inputs, costs: Mapping[float, Cost], money: Money, budget: float, most: Severity) -> Severity:
    """What money alone asks for, `most` at most, from the costs by hours of the window."""
    return by_money(
        {rule.severity: costs[rule.long] for rule in RULES if rule.long in costs},
        {rule.severity: costs[rule.short] for rule in RULES if rule.short in costs},
        budget=budget,
        entry=given.unit.cell.module in money.entry_modules,
        fast=given.fast and money.fast,
        most=most,
    )


def _after(buckets: Sequence[Bucket], baseline: Baseline | None) -> Sequence[Bucket]:
    """A window does not reach behind the change: what was before is the baseline."""
    return buckets if baseline is None else [bucket for bucket in buckets if bucket.end > baseline.change_at]


def _sure(given: Inputs, revenue: Mapping[float, Effect], now: Cost, stake: Stake, shown: float) -> Cost:
    """What is lost now with what is lost at least, which is never more.

    Of an experiment by the upper bound since it began; of a launch by the lowest one of the windows from `shown` on,
    each with the bound that a look at the planned size has (STATISTICS 4): of six looks at once one in 60 is wrong
    where nothing is lost. Of a forecast nothing is sure: it has no control.
    """
    uppers: list[float] = []
    if given.unit.comparison.kind == "experiment" and given.upper is not None:
        uppers = [upper_in_money(given.upper, given.conversion)]
    if given.unit.comparison.kind == "launch":
        bound = critical_value(1.0, SURE, sides="one")
        uppers = [found.relative + bound * found.se for hours, found in revenue.items() if hours >= shown]
    upper = min(uppers, default=None)
    return replace(now, at_least=min(at_least(stake, upper), max(0.0, now.expected)))


def _has_data(given: Inputs) -> bool:
    """Whether the watched arm had a session in the newest six hours; against a forecast none is a count too."""
    newest = within(_after(given.long, given.baseline), hours=LONG / 60, at=given.unit.at)
    comparison = given.unit.comparison
    arms = [bucket.arms[comparison.watched] for bucket in newest if comparison.watched in bucket.arms]
    return any(arm.sessions > 0 or comparison.kind == "forecast" for arm in arms)


def _window(asked: Severity, costs: Mapping[float, Cost]) -> float:
    """The long window whose cost is shown: the severity's own; of digest the longest that is known."""
    windows = {rule.severity: rule.long for rule in RULES}
    return windows.get(asked, max(hours for hours in windows.values() if hours in costs))
