"""The table of ALERTS 4 from its printed inputs, and the laws of ALERTS 1."""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.alerts.model import SEVERITIES, Cost, Effect, Severity, Stake
from analysis.alerts.weighing.money import cost, expected_se, shrunk
from analysis.alerts.weighing.severity import RULES, Rule, by_money, least

MARGIN, BUDGET, SPREAD = 0.35, 75_000.0, 0.03
MINOR = 100  # the table is printed in whole units; the functions take minor ones


@dataclass(frozen=True)
class Example:
    """One column of the table: what is printed as its input, and what is printed as its result."""

    sessions: int
    conversion: float
    basket: float
    change: float
    stake: str
    loss: str
    revenue: str | None
    exact: str
    noise: tuple[float, str]  # hours of the window, percent
    burns: tuple[tuple[float, str], ...]  # hours of the window, burn
    outcome: Severity


TABLE = {
    "A low traffic": Example(
        1_500, 0.020, 80, -0.05, "840", "42", "120", "0.017",
        noise=(168, "13.7"), burns=((168, "0.0008"),), outcome="digest",
    ),
    "B peak homepage": Example(
        3_000_000, 0.030, 80, -0.02, "2520000", "50400", "144000", "20.2",
        noise=(6, "1.31"), burns=((6, "16.9"), (1, "9.4")), outcome="page",
    ),
    "C same, off-peak": Example(
        900_000, 0.024, 72, -0.02, "544320", "10886", None, "4.35",
        noise=(72, "0.78"), burns=((72, "4.08"),), outcome="ticket",
    ),
    "D email bedding": Example(
        40_000, 0.025, 90, -0.08, "31500", "2520", None, "1.008",
        noise=(72, "3.61"), burns=((72, "0.41"), (168, "0.62")), outcome="watch",
    ),
}  # fmt: skip


def _stake(example: Example, margin: float = MARGIN) -> Stake:
    return Stake(example.sessions, example.conversion * example.basket * MINOR, margin)


def _cost(example: Example, hours: float, *, more: float = 1.0, se: float | None = None) -> Cost:
    noise = expected_se(example.sessions * hours / 24, example.conversion * more) if se is None else se
    effect = Effect("order", hours, example.change, noise)
    return cost(effect, _stake(example), spread=SPREAD, budget=BUDGET * MINOR, upper=None)


def _severity(example: Example, *, more: float = 1.0, entry: bool = True, fast: bool = True) -> Severity:
    long = {rule.severity: _cost(example, rule.long, more=more) for rule in RULES}
    short = {rule.severity: _cost(example, rule.short, more=more) for rule in RULES}
    return by_money(long, short, budget=BUDGET * MINOR, entry=entry, fast=fast)


def _prints(value: float, said: str) -> None:
    """The value rounds to the printed figure, to its own digits."""
    assert Decimal(value).quantize(Decimal(said)) == Decimal(said), f"{value} is not printed as {said}"


def _by_hand(example: Example, hours: float, p: float) -> float:
    """Burn from L_exp, written out from ALERTS 1 and 4 in whole units, with nothing of ours."""
    n = example.sessions * hours / 24
    variance = 4 * (1 - p) / (n * p)
    mean = example.change * 0.03**2 / (0.03**2 + variance)
    money = example.sessions * example.conversion * example.basket * 0.35
    return money * -mean / (75_000 / 30)


@pytest.mark.parametrize("example", TABLE.values(), ids=TABLE.keys())
class TestTheTable:
    def test_stake(self, example: Example) -> None:
        _prints(_stake(example).money / MINOR, example.stake)

    def test_loss_if_real(self, example: Example) -> None:
        certain = _cost(example, 24, se=0.0)
        _prints(certain.point / MINOR, example.loss)
        _prints(certain.expected / MINOR, example.loss)
        if example.revenue is not None:
            effect = Effect("order", 24, example.change, 0.0)
            of_revenue = cost(effect, _stake(example, margin=1.0), spread=SPREAD, budget=BUDGET * MINOR, upper=None)
            _prints(of_revenue.point / MINOR, example.revenue)

    def test_burn_if_known_exactly(self, example: Example) -> None:
        burn = _cost(example, 24, se=0.0).burn
        _prints(burn, example.exact)
        assert burn == pytest.approx(
            example.sessions * example.conversion * example.basket * 0.35 * -example.change / 2_500, rel=1e-12
        )

    def test_standard_error_in_the_window(self, example: Example) -> None:
        hours, said = example.noise
        _prints(100 * expected_se(example.sessions * hours / 24, example.conversion), said)

    def test_burn_from_the_shrunk_cost(self, example: Example) -> None:
        for hours, said in example.burns:
            burn = _cost(example, hours).burn
            _prints(burn, said)
            assert burn == pytest.approx(_by_hand(example, hours, example.conversion), rel=1e-12)

    def test_outcome(self, example: Example) -> None:
        assert _severity(example) == example.outcome

    def test_the_other_windows_do_not_ask_for_more(self, example: Example) -> None:
        """The outcome is the table's for want of burn in every higher long window, not for want of a short one."""
        higher = [rule for rule in RULES if SEVERITIES.index(rule.severity) > SEVERITIES.index(example.outcome)]
        assert all(_cost(example, rule.long).burn < rule.burn for rule in higher)


def test_the_peak_homepage_pages_fast_on_add_to_cart() -> None:
    example = TABLE["B peak homepage"]
    burn = _cost(example, 1, more=3.3).burn
    _prints(burn, "15.2")
    assert burn == pytest.approx(_by_hand(example, 1, 0.030 * 3.3), rel=1e-12)
    assert _severity(example, more=3.3) == "page_fast"
    assert _severity(example, more=3.3, entry=False) == "page"
    assert _severity(example, more=3.3, fast=False) == "page"


def test_one_week_of_the_small_module_is_off_by_27_percent() -> None:
    _prints(100 * NormalDist().inv_cdf(0.975) * expected_se(7 * 1_500, 0.02), "27")


class TestSeverity:
    def test_a_loss_that_is_over_wakes_nobody(self) -> None:
        long = {rule.severity: _cost(TABLE["B peak homepage"], rule.long) for rule in RULES}
        over = {rule.severity: replace(cost, point=0.0) for rule, cost in zip(RULES, long.values(), strict=True)}
        assert by_money(long, over, budget=BUDGET * MINOR, entry=True, fast=True) == "digest"

    @pytest.mark.parametrize("rule", RULES, ids=[rule.severity for rule in RULES])
    def test_both_bounds_are_kept_to_the_last_penny(self, rule: Rule) -> None:
        threshold = rule.burn * BUDGET / 30
        enough = {rule.severity: Cost(threshold, 0, threshold, rule.burn)}
        half = {rule.severity: Cost(0, 0, threshold / 2, 0)}
        assert by_money(enough, half, budget=BUDGET, entry=True, fast=True) == rule.severity
        less = {rule.severity: replace(enough[rule.severity], burn=rule.burn * (1 - 1e-9))}
        assert by_money(less, half, budget=BUDGET, entry=True, fast=True) == "digest"
        slower = {rule.severity: replace(half[rule.severity], point=threshold / 2 * (1 - 1e-9))}
        assert by_money(enough, slower, budget=BUDGET, entry=True, fast=True) == "digest"

    def test_windows_that_are_not_there_ask_for_nothing(self) -> None:
        long = {rule.severity: _cost(TABLE["B peak homepage"], rule.long) for rule in RULES}
        short: dict[Severity, Cost] = {"ticket": _cost(TABLE["B peak homepage"], 6)}
        assert by_money(long, short, budget=BUDGET * MINOR, entry=True, fast=True) == "ticket"
        assert by_money({}, {}, budget=BUDGET * MINOR, entry=True, fast=True) == "digest"

    def test_the_rules_are_the_table(self) -> None:
        """ALERTS 2: hours of the long and the short window, and the burn."""
        assert [(rule.severity, rule.long, rule.short, rule.burn) for rule in RULES] == [
            ("page_fast", 1, 15 / 60, 14.4),
            ("page", 6, 1, 6),
            ("ticket", 3 * 24, 6, 1),
            ("watch", 7 * 24, 24, 0.1),
        ]

    def test_least(self) -> None:
        assert least("page", "ticket", "page_fast") == "ticket"


changes = st.floats(-0.9, 0.9)
errors = st.floats(1e-4, 2.0)
spreads = st.floats(1e-3, 0.5)


class TestLaws:
    @given(changes, errors, spreads)
    def test_shrinking_is_the_posterior_of_two_normals(self, relative: float, se: float, spread: float) -> None:
        mean, deviation = shrunk(relative, se, spread)
        precision = 1 / spread**2 + 1 / se**2
        assert mean == pytest.approx(relative / se**2 / precision, rel=1e-9, abs=1e-15)
        assert deviation == pytest.approx(precision**-0.5, rel=1e-9)

    def test_noise_costs_nothing_and_certainty_everything(self) -> None:
        assert shrunk(-0.4, 1e6, 0.03)[0] == pytest.approx(0, abs=1e-12)
        assert shrunk(-0.4, 0.0, 0.03) == (-0.4, 0.0)

    @given(changes, errors, st.floats(0.1, 5))
    def test_the_season_weighs_what_is_expected_and_nothing_else(self, r: float, se: float, season: float) -> None:
        stake = Stake(1_000, 300, 0.35)
        plain = cost(Effect("order", 6, r, se), stake, spread=0.03, budget=1e6, upper=-0.01)
        weighted = cost(Effect("order", 6, r, se), replace(stake, season=season), spread=0.03, budget=1e6, upper=-0.01)
        assert weighted.expected == pytest.approx(season * plain.expected, rel=1e-12)
        assert weighted.burn == pytest.approx(season * plain.burn, rel=1e-12)
        assert (weighted.at_least, weighted.point) == (plain.at_least, plain.point)

    def test_at_least_is_read_off_the_upper_bound(self) -> None:
        stake = Stake(1_000, 200, 0.5)  # 100,000 a day
        effect = Effect("order", 6, -0.05, 0.01)
        by_upper = {u: cost(effect, stake, spread=0.03, budget=1e6, upper=u).at_least for u in (None, 0.01, -0.02)}
        assert by_upper == {None: 0.0, 0.01: 0.0, -0.02: 2_000.0}


class TestRefuses:
    @pytest.mark.parametrize("spread", [0.0, -0.03, math.nan, math.inf])
    def test_a_spread(self, spread: float) -> None:
        with pytest.raises(ValueError, match="above 0"):
            shrunk(-0.02, 0.01, spread)

    @pytest.mark.parametrize(("relative", "se"), [(math.nan, 0.1), (-0.1, math.nan), (-0.1, -1.0), (-0.1, math.inf)])
    def test_an_effect_that_is_none(self, relative: float, se: float) -> None:
        with pytest.raises(ValueError, match="finite"):
            shrunk(relative, se, 0.03)

    @pytest.mark.parametrize("budget", [0.0, -1.0, math.nan, math.inf])
    def test_a_budget(self, budget: float) -> None:
        with pytest.raises(ValueError, match="loss budget"):
            cost(Effect("order", 6, -0.1, 0.1), Stake(1, 1, 1), spread=0.03, budget=budget, upper=None)

    @pytest.mark.parametrize(("sessions", "conversion"), [(0, 0.1), (10, 0), (10, 1.1), (math.nan, 0.1)])
    def test_noise_of_nothing(self, sessions: float, conversion: float) -> None:
        with pytest.raises(ValueError, match="sessions above 0"):
            expected_se(sessions, conversion)
