"""The money of an early metric: learned from simulated pasts whose elasticity is known."""

import math
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.alerts.evidence.detector import deviation
from analysis.alerts.model import LONG, Bucket, Cell, Comparison, Effect, Look, LookArm, Sums
from analysis.alerts.weighing.conversion import (
    FEWEST,
    REVENUE,
    STEADY,
    Conversion,
    Pair,
    Unstable,
    earliest,
    in_money,
    learn,
    pair,
    upper_in_money,
)
from analysis.alerts.weighing.severity import RULES
from analysis.alerts.weighing.windows import returning, together
from tests.helpers.effort import scaled

CART = Conversion("add_to_cart", 0.8, 0.1, 20)
AT = datetime(2026, 11, 21, tzinfo=UTC)
Ints = NDArray[np.int64]


def _past(
    rng: np.random.Generator, changes: int, *, elasticity: float = 0.8, between: float = 0.0, moved: float = 0.05,
    error: float = 0.01, shared: float = 0.0,
) -> tuple[list[Pair], list[float]]:  # fmt: skip
    """Past changes, and how much revenue really changed in each: ω = `between`, errors correlated by `shared`."""
    truth = rng.normal(0, moved, changes)
    revenue = truth * rng.normal(elasticity, between, changes)
    off_x = rng.normal(size=changes)
    off_y = shared * off_x + math.sqrt(1 - shared**2) * rng.normal(size=changes)
    s_x, s_y = (e * rng.uniform(0.5, 1.5, changes) for e in (error, 2 * error))
    x, y = truth + s_x * off_x, revenue + s_y * off_y
    columns = zip(x, s_x, y, s_y, shared * s_x * s_y, strict=True)
    return [Pair(*map(float, row)) for row in columns], [float(r) for r in revenue]


class TestLearn:
    def test_an_exact_past_gives_the_exact_elasticity(self) -> None:
        past = [Pair(x, 1e-9, 0.7 * x, 1e-9) for x in (-0.05, -0.03, -0.01, 0.01, 0.02, 0.02, 0.03, 0.04, 0.05, 0.06)]
        found = learn("click", past)
        assert isinstance(found, Conversion)
        assert found.elasticity == pytest.approx(0.7, rel=1e-9)
        assert found.se == pytest.approx(0, abs=1e-6)
        assert (found.metric, found.changes) == ("click", 10)

    @pytest.mark.parametrize(("between", "shared"), [(0.0, 0.0), (0.0, 0.5), (0.1, 0.0)])
    def test_the_next_changes_revenue_is_inside_its_interval(self, between: float, shared: float) -> None:
        """Of the next change only the metric is seen; revenue's true change lies in β·r ± 1.96 s in 95 % of runs."""
        runs, rng = scaled(ci=600, full=6_000), np.random.default_rng(21)
        inside, slopes, stable = 0, [], 0
        for _ in range(runs):
            past, revenue = _past(rng, 31, moved=0.08, between=between, shared=shared)
            found = learn("add_to_cart", past[:30])
            if isinstance(found, Unstable):
                continue
            stable += 1
            money = in_money(Effect("add_to_cart", 6, past[30].metric, past[30].metric_se), found)
            inside += abs(money.relative - revenue[30]) <= 1.96 * money.se
            slopes.append(found.elasticity)
        assert stable > 0.8 * runs
        assert inside / stable == pytest.approx(0.95, abs=0.015 + 3.3 * math.sqrt(0.95 * 0.05 / stable))
        assert float(np.mean(slopes)) == pytest.approx(0.8, abs=0.02)

    def test_is_the_formula_written_out(self) -> None:
        """β and its error once more, in numpy from the docstring: moments, jackknife, ω² and Student's t."""
        past, _ = _past(np.random.default_rng(20), 14, moved=0.1, between=0.15, shared=0.5)
        x, sx, y, sy, cov, _ = np.array([astuple(each) for each in past]).T
        w = 1 / (sx**2 + sy**2)

        def slope(keep: NDArray[np.bool_]) -> float:
            top = w * (x * y - cov)
            return float(top[keep].sum() / (w * (x**2 - sx**2))[keep].sum())

        beta = slope(np.ones(14, dtype=np.bool_))
        without = np.array([slope(np.arange(14) != i) for i in range(14)])
        jackknife = 13 / 14 * float(((without - without.mean()) ** 2).sum())
        left = w * ((y - beta * x) ** 2 * 14 / 13 - sy**2 - beta**2 * sx**2 + 2 * beta * cov)
        omega = max(0.0, float(left.sum())) / float((w * (x**2 - sx**2)).sum())
        found = learn("click", past)
        assert isinstance(found, Conversion)
        assert omega > 0
        assert found.elasticity == pytest.approx(beta, rel=1e-12)
        student = 2.1603686564610127  # 13 degrees of freedom, 97.5 %
        assert found.se == pytest.approx(student / 1.959963984540054 * math.sqrt(jackknife + omega), rel=1e-9)

    def test_the_plain_slope_would_be_too_flat(self) -> None:
        """Where the metric's own errors are as large as its changes, the plain slope halves the elasticity."""
        past, _ = _past(np.random.default_rng(22), 4_000, moved=0.02, error=0.02)
        plain = sum(p.metric * p.revenue for p in past) / sum(p.metric**2 for p in past)
        assert plain < 0.5
        found = learn("click", past)
        assert isinstance(found, Conversion)
        assert found.elasticity == pytest.approx(0.8, abs=0.08)

    def test_a_swinging_elasticity_is_in_the_error(self) -> None:
        """ω is the error of the next change's β however many changes there were."""
        past, _ = _past(np.random.default_rng(23), 4_000, between=0.15)
        found = learn("click", past)
        assert isinstance(found, Conversion)
        assert found.se == pytest.approx(0.15, abs=0.02)

    def test_revenue_is_money(self) -> None:
        assert learn("revenue", []) == REVENUE
        effect = Effect("revenue", 6, -0.02, 0.013)
        assert in_money(effect, REVENUE) == effect


class TestUnstable:
    def test_too_few_changes(self) -> None:
        past, _ = _past(np.random.default_rng(24), FEWEST - 1)
        assert learn("click", past) == Unstable("click", f"{FEWEST - 1} past changes; {FEWEST} are needed")

    @pytest.mark.parametrize(
        ("moved", "elasticity", "between", "why"),
        [
            (0.0, 0.8, 0.0, "no more than chance"),  # nothing but noise, which is alike in both
            (0.05, 0.0, 0.0, "is allowed"),  # clicks that buy nothing
            (0.05, -0.8, 0.0, "is allowed"),  # clicks that cost sales
            (0.05, 0.8, 0.8, "is allowed"),  # now so, now so
        ],
    )
    def test_such_pasts_are_refused(self, moved: float, elasticity: float, between: float, why: str) -> None:
        runs, rng = scaled(ci=200, full=2_000), np.random.default_rng(25)
        found = [
            learn("click", _past(rng, 30, moved=moved, elasticity=elasticity, between=between, shared=0.6)[0])
            for _ in range(runs)
        ]
        refused = [each for each in found if isinstance(each, Unstable)]
        assert len(refused) >= 0.97 * runs
        assert sum(why in each.why for each in refused) > 0.9 * len(refused)

    def test_says_the_figures(self) -> None:
        past = [
            Pair(x, 1e-6, y * x, 1e-6) for x, y in zip([0.01, -0.02, 0.03, -0.04, 0.05] * 2, range(10), strict=True)
        ]
        found = learn("click", past)
        assert isinstance(found, Unstable)
        assert "in 10 past changes" in found.why
        assert "percent of revenue" in found.why

    def test_what_is_stable_moves_an_alert_by_one_step_at_most(self) -> None:
        step = min(high.burn / low.burn for high, low in pairwise(RULES))
        assert step > 1 + 1.96 * STEADY
        assert step > 1 / (1 - 1.96 * STEADY)

    @pytest.mark.parametrize("se", [0.0, -1.0, math.nan, math.inf])
    def test_refuses_a_past_without_errors(self, se: float) -> None:
        with pytest.raises(ValueError, match="standard error above 0"):
            learn("click", [Pair(0.1, se, 0.1, 0.1)] * FEWEST)


class TestUse:
    def test_earliest(self) -> None:
        click, order = (replace(CART, metric=metric) for metric in ("click", "order"))
        assert earliest([order, CART]) == CART
        assert earliest([REVENUE, order, click, CART]) == click
        assert earliest([Unstable("click", "9 past changes; 10 are needed"), order]) == order
        assert earliest([]) == REVENUE

    def test_in_money_carries_both_errors(self) -> None:
        found = in_money(Effect("add_to_cart", 1, -0.03, 0.02), CART)
        assert found.relative == pytest.approx(-0.024)
        assert found.se == pytest.approx(math.sqrt(0.8**2 * 0.02**2 + 0.03**2 * 0.1**2))

    def test_refuses_another_metrics_conversion(self) -> None:
        with pytest.raises(ValueError, match="conversion of add_to_cart"):
            in_money(Effect("click", 1, -0.03, 0.02), CART)

    @given(st.floats(-0.5, 0.5))
    def test_an_upper_bound_stays_one(self, upper: float) -> None:
        """For every elasticity in its 95 % interval, and every change up to the bound, revenue's change is below."""
        bound = upper_in_money(upper, CART)
        for elasticity in np.linspace(0.8 - 0.1959, 0.8 + 0.1959, 9):
            assert float(elasticity) * upper <= bound + 1e-12

    def test_an_elasticity_that_may_be_0_makes_no_loss_certain(self) -> None:
        assert upper_in_money(-0.2, replace(CART, se=0.5)) == 0.0


# --- pairs from buckets -----------------------------------------------------------------------------------------


def _arm(rng: np.random.Generator, kept: float) -> Sums:
    """2,000 single sessions, 10 % of them with something in the cart, half of those with an order of 40."""
    carts = int(rng.binomial(2_000, 0.1 * kept))
    orders = int(rng.binomial(carts, 0.5))
    return Sums(
        2_000, 2_000, 2_000,
        {"add_to_cart": carts, "revenue": 40 * orders},
        {"add_to_cart": carts, "revenue": 1_600 * orders},
        {"add_to_cart": carts, "revenue": 40 * orders},
    )  # fmt: skip


def _change(rng: np.random.Generator, kept: float, days: int = 14) -> list[Bucket]:
    comparison = Comparison("experiment", "e", 1, "new", "old")
    return [
        Bucket(
            comparison, Cell("pdp"), AT + timedelta(minutes=LONG * k), LONG, 0,
            {"new": _arm(rng, kept), "old": _arm(rng, 1.0)},
        )
        for k in range(1, 4 * days + 1)
    ]  # fmt: skip


def _correlation(rows: list[tuple[float, float]]) -> float:
    return float(np.corrcoef(np.array(rows).T)[0, 1])


class TestPairs:
    def test_measures_the_two_on_different_days(self) -> None:
        """Days apart their errors are nothing to each other; on the same days they go together."""
        runs, rng = scaled(ci=300, full=3_000), np.random.default_rng(26)
        apart, together_ = [], []
        for _ in range(runs):
            buckets = _change(rng, 1.0)
            found = pair(buckets, "add_to_cart")
            assert found is not None
            apart.append((found.metric / found.metric_se, found.revenue / found.revenue_se))
            all_days = together(buckets)
            cart, revenue = deviation(all_days, "add_to_cart"), deviation(all_days, "revenue")
            assert cart is not None
            assert revenue is not None
            together_.append((cart.relative / cart.se, revenue.relative / revenue.se))
        assert _correlation(apart) == pytest.approx(0, abs=3.3 / math.sqrt(runs))
        assert _correlation(together_) > 0.5

    def test_splits_whole_days(self) -> None:
        """The bucket that ends at midnight belongs to the day before."""
        buckets = _change(np.random.default_rng(27), 0.9, days=2)
        first, second = deviation(together(buckets[:4]), "add_to_cart"), deviation(together(buckets[4:]), "revenue")
        if AT.toordinal() % 2:
            first, second = deviation(together(buckets[4:]), "add_to_cart"), deviation(together(buckets[:4]), "revenue")
        assert first is not None
        assert second is not None
        assert pair(buckets, "add_to_cart") == Pair(first.relative, first.se, second.relative, second.se)

    def test_learns_what_is_true_of_the_shop(self) -> None:
        """Where a tenth of the carts is lost a tenth of the revenue is: β = 1."""
        rng = np.random.default_rng(28)
        found = learn(
            "add_to_cart",
            [p for kept in rng.uniform(0.8, 1.2, 20) if (p := pair(_change(rng, float(kept)), "add_to_cart"))],
        )
        assert isinstance(found, Conversion)
        assert found.elasticity == pytest.approx(1, abs=2.5 * found.se)
        assert found.se < 0.2

    def test_none_without_both(self) -> None:
        buckets = _change(np.random.default_rng(29), 1.0, days=1)
        assert pair(buckets, "add_to_cart") is None
        assert pair([], "add_to_cart") is None
        assert pair(_change(np.random.default_rng(30), 1.0, days=2), "click") is None


def _returning(rng: np.random.Generator, units: int, days: int) -> tuple[list[Bucket], Look]:
    """Nothing changed: units with a taste of their own come every other day, click, and buy one click in ten."""
    arms = {arm: _taste(rng, units, days) for arm in ("new", "old")}
    comparison = Comparison("experiment", "e", 1, "new", "old")
    buckets = [
        Bucket(
            comparison, Cell("pdp"), AT + timedelta(days=d, hours=6), LONG, 0,
            {arm: _counted(*(column[:, d] for column in drawn)) for arm, drawn in arms.items()},
        )
        for d in range(days)
    ]  # fmt: skip
    once = {arm: _counted(*(column.sum(axis=1) for column in drawn)) for arm, drawn in arms.items()}
    looks = {arm: LookArm(sums.units, {}, sums.totals, sums.squares) for arm, sums in once.items()}
    return buckets, Look(comparison, Cell("pdp"), AT + timedelta(days=days), 0, looks, 2 * units)


def _taste(rng: np.random.Generator, units: int, days: int) -> tuple[Ints, Ints, Ints]:
    """Sessions, clicks and revenue, shape (units, days)."""
    n = np.asarray((rng.random((units, days)) < 0.5) * (1 + rng.poisson(0.5, (units, days))), dtype=np.int64)
    clicks = np.asarray(rng.binomial(n, rng.beta(0.5, 2.0, (units, 1))), dtype=np.int64)
    orders = np.asarray(rng.binomial(clicks, rng.beta(1.0, 9.0, (units, 1))), dtype=np.int64)
    return n, clicks, 40 * orders


def _counted(n: Ints, clicks: Ints, revenue: Ints) -> Sums:
    n, clicks, revenue = n[n > 0], clicks[n > 0], revenue[n > 0]
    return Sums(
        len(n), int(n.sum()), int((n * n).sum()),
        {"click": int(clicks.sum()), "revenue": int(revenue.sum())},
        {"click": int((clicks**2).sum()), "revenue": int((revenue**2).sum())},
        {"click": int((n * clicks).sum()), "revenue": int((n * revenue).sum())},
    )  # fmt: skip


class TestVisitorsWhoComeBack:
    def test_are_no_change_when_the_look_knows_them(self) -> None:
        """They are on all days, so that days apart still move together; with the look it is in the errors."""
        runs, rng = scaled(ci=240, full=2_400), np.random.default_rng(31)
        drawn = [_returning(rng, 400, 28) for _ in range(runs)]
        known = [found for buckets, look in drawn if (found := pair(buckets, "click", look))]
        blind = [found for buckets, _ in drawn if (found := pair(buckets, "click"))]
        assert len(known) == len(blind) == runs
        assert np.mean([(p.metric / p.metric_se) ** 2 for p in known]) == pytest.approx(1, abs=0.1 + 4.7 / runs**0.5)
        assert np.mean([(p.metric / p.metric_se) ** 2 for p in blind]) > 2
        together_ = float(np.mean([p.metric * p.revenue for p in known]))
        assert 0 < together_ < np.mean([p.covariance + p.covariance_off for p in known])
        buckets, look = drawn[0]
        all_days = deviation(together(buckets), "click")
        assert all_days is not None
        stays = all_days.se**2 * (returning(look, buckets, "click") ** 2 - 1)  # what averaging over days leaves
        assert known[0].metric_se ** 2 - blind[0].metric_se ** 2 == pytest.approx(stays, rel=0.1)
        histories = [known[at : at + 30] for at in range(0, runs, 30)]
        assert all(isinstance(learn("click", history), Unstable) for history in histories)

    def test_a_covariance_nobody_knows_is_in_the_error(self) -> None:
        past, _ = _past(np.random.default_rng(32), 40, moved=0.08)
        sure = learn("click", past)
        unsure = learn("click", [replace(each, covariance_off=each.metric_se * each.revenue_se) for each in past])
        assert isinstance(sure, Conversion)
        assert isinstance(unsure, Conversion)
        assert unsure.elasticity == sure.elasticity
        assert unsure.se > sure.se
