"""What every estimator must obey, whatever it estimates."""

import numpy as np
import pytest

from analysis.inference.estimators import ESTIMATORS, Estimator
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments, pair
from analysis.inference.result import Contrast, Undetermined
from tests.helpers.units import AOV, CONVERSION, REVENUE, Shop, moments_of

NAMES = ("revenue", "orders", "bought", "pre_revenue", "pre_orders", "seen")
PLANS = pytest.mark.parametrize("plan", [REVENUE, CONVERSION, AOV], ids=lambda p: p.key)
EVERY = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())


def arm(seed: int, n: int = 500, shop: Shop | None = None) -> Moments:
    return moments_of((shop or Shop()).units(np.random.default_rng(seed), (n,), NAMES))


def found(contrast: Contrast | Undetermined) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def refused(contrast: Contrast | Undetermined) -> str:
    assert isinstance(contrast, Undetermined)
    assert contrast.words
    return contrast.code


@EVERY
@PLANS
def test_swapping_arms_flips_the_sign_and_nothing_else(estimate: Estimator, plan: MetricPlan) -> None:
    there, back = found(estimate(arm(1), arm(2, 700), plan)), found(estimate(arm(2, 700), arm(1), plan))
    assert back.difference == pytest.approx(-there.difference, rel=1e-12)
    assert back.variance == pytest.approx(there.variance, rel=1e-12)
    assert back.v_cc == pytest.approx(there.v_tt, rel=1e-12)
    assert back.v_tt == pytest.approx(there.v_cc, rel=1e-12)
    assert back.v_tc == pytest.approx(there.v_tc, rel=1e-12)
    assert back.dof == pytest.approx(there.dof, rel=1e-12)


def rescaled(moments: Moments, factors: dict[str, int]) -> Moments:
    """Every unit's fact f times factors[f]."""
    f = {name: factors.get(name, 1) for name in moments.sums}
    return Moments(
        moments.n,
        {name: value * f[name] for name, value in moments.sums.items()},
        {(a, b): value * f[a] * f[b] for (a, b), value in moments.products.items()},
        moments.nonzero,
    )


@EVERY
@PLANS
def test_rescaling_the_outcome_rescales_the_estimate(estimate: Estimator, plan: MetricPlan) -> None:
    tenfold = {plan.numerator: 10}
    before = found(estimate(arm(1), arm(2), plan))
    after = found(estimate(rescaled(arm(1), tenfold), rescaled(arm(2), tenfold), plan))
    assert after.difference == pytest.approx(10 * before.difference, rel=1e-9)
    assert after.se == pytest.approx(10 * before.se, rel=1e-9)
    assert after.dof == pytest.approx(before.dof, rel=1e-9)


@EVERY
@PLANS
def test_the_unit_of_a_covariate_does_not_matter(estimate: Estimator, plan: MetricPlan) -> None:
    """Revenue in millionths of a cent beside a 0/1 covariate: on the raw scale `seen` would be dropped."""
    finer = {"pre_revenue": 10**6}
    before = found(estimate(arm(1), arm(2), plan))
    after = found(estimate(rescaled(arm(1), finer), rescaled(arm(2), finer), plan))
    assert after.rank == before.rank
    assert after.difference == pytest.approx(before.difference, rel=1e-9)
    assert after.se == pytest.approx(before.se, rel=1e-9)


@EVERY
def test_a_covariate_twice_is_a_covariate_once(estimate: Estimator) -> None:
    def twin(moments: Moments) -> Moments:
        copy = {"again": "pre_revenue"}
        every = (*moments.sums, *copy)
        origin = {name: copy.get(name, name) for name in every}
        return Moments(
            moments.n,
            {name: 3 * moments.sums[origin[name]] if name in copy else moments.sums[name] for name in every},
            {
                pair(a, b): (3 if a in copy else 1) * (3 if b in copy else 1) * moments.product(origin[a], origin[b])
                for a in every
                for b in every
            },
            {name: moments.nonzero[origin[name]] for name in every},
        )

    once = MetricPlan("r", "mean", "revenue", None, ("pre_revenue", "seen"), None)
    twice = MetricPlan("r", "mean", "revenue", None, ("pre_revenue", "again", "seen"), None)
    single = found(estimate(arm(1), arm(2), once))
    double = found(estimate(twin(arm(1)), twin(arm(2)), twice))
    assert double.rank == single.rank
    assert double.difference == pytest.approx(single.difference, rel=1e-9)
    assert double.se == pytest.approx(single.se, rel=1e-9)


@EVERY
def test_a_covariate_that_never_varies_changes_nothing(estimate: Estimator) -> None:
    new = Shop(active=0.6)
    rng = np.random.default_rng(4)
    arms = [{**new.units(rng, (400,), ("revenue",)), "seen": np.full(400, 10**14)} for _ in range(2)]
    control, treatment = map(moments_of, arms)
    with_it = found(estimate(control, treatment, MetricPlan("r", "mean", "revenue", None, ("seen",), None)))
    without = found(estimate(control, treatment, MetricPlan("r", "mean", "revenue", None, (), None)))
    assert with_it.rank == 0
    assert (with_it.difference, with_it.se, with_it.dof) == (without.difference, without.se, without.dof)


@EVERY
@PLANS
def test_without_covariates_all_estimators_are_one(estimate: Estimator, plan: MetricPlan) -> None:
    bare = MetricPlan(plan.key, plan.kind, plan.numerator, plan.denominator, (), None)
    assert found(estimate(arm(1), arm(2), bare)) == found(ESTIMATORS["unadjusted"](arm(1), arm(2), plan))


@pytest.mark.parametrize("name", ["lin", "pooled"])
def test_adjusting_by_the_past_narrows_the_interval(name: str) -> None:
    steady = Shop(sigma=0.3, orders=6.0)
    c = found(ESTIMATORS[name](arm(1, 2000, steady), arm(2, 2000, steady), REVENUE))
    assert c.variance_reduction > 0.5
    assert c.v_raw == pytest.approx(
        found(ESTIMATORS["unadjusted"](arm(1, 2000, steady), arm(2, 2000, steady), REVENUE)).variance
    )


@pytest.mark.parametrize("plan", [REVENUE, CONVERSION], ids=lambda p: p.key)
def test_parts_under_the_totals_covariates_sum_to_the_total_adjusted_too(plan: MetricPlan) -> None:
    """STATISTICS 3: Σ of adjusted parts = adjusted total to 1e-9, for every additive fact of a decomposition."""
    rng = np.random.default_rng(9)
    fact = plan.numerator
    control, treatment = (Shop(more_orders=m).units(rng, (800,), NAMES) for m in (1.0, 1.1))

    def parts(units: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]) -> list[Moments]:
        """The fact split over three owners at random, as decomposition moments: own facts and their cross products."""
        owner = rng.integers(0, 3, 800)
        made = []
        for part in range(3):
            own = {**units, fact: np.where(owner == part, units[fact], 0)}
            full = moments_of(own)
            made.append(
                Moments(
                    int((owner == part).sum()),
                    {fact: full.sums[fact]},
                    {key: value for key, value in full.products.items() if fact in key},
                    {fact: full.nonzero[fact]},
                )
            )
        return made

    whole_c, whole_t = moments_of(control), moments_of(treatment)
    laid = [(whole_c.overlay(c), whole_t.overlay(t)) for c, t in zip(parts(control), parts(treatment), strict=True)]
    for name in ("lin", "unadjusted"):
        estimate = ESTIMATORS[name]
        overall = found(estimate(whole_c, whole_t, plan))
        each = [found(estimate(c, t, plan)) for c, t in laid]
        for figure in ("mean_c", "mean_t", "difference", "raw_t"):
            assert sum(getattr(c, figure) for c in each) == pytest.approx(getattr(overall, figure), rel=1e-9)


@EVERY
def test_one_unit_is_too_few(estimate: Estimator) -> None:
    assert refused(estimate(arm(1, 1), arm(2), REVENUE)) == "too_few_units"
    assert refused(estimate(arm(1), Moments(0), REVENUE)) == "too_few_units"


def test_more_covariates_than_units_is_too_few() -> None:
    rng = np.random.default_rng(2)
    small = moments_of({name: rng.integers(0, 50, 3) for name in ("revenue", "pre_revenue", "seen")})
    assert refused(ESTIMATORS["lin"](small, arm(2), REVENUE)) == "too_few_units"


@EVERY
def test_a_zero_denominator_is_not_determined(estimate: Estimator) -> None:
    assert refused(estimate(arm(1), arm(2, shop=Shop(active=0.0)), AOV)) == "zero_denominator"


@EVERY
def test_nothing_that_varies_is_not_an_interval_of_zero_width(estimate: Estimator) -> None:
    idle = Shop(active=0.0)
    assert refused(estimate(arm(1, shop=idle), arm(2, shop=idle), REVENUE)) == "no_variation"


def test_an_outcome_that_is_its_own_covariate_leaves_nothing_to_measure_by() -> None:
    itself = MetricPlan("r", "mean", "revenue", None, ("revenue",), None)
    assert refused(ESTIMATORS["lin"](arm(1), arm(2), itself)) == "no_variation"


class TestUnequalArms:
    """STATISTICS 4: more than 2:1 and fewer than 1,000 non-zero units in the smaller."""

    calm, wild = Shop(sigma=0.2), Shop(sigma=1.5)

    @EVERY
    def test_the_small_arm_borrows_the_larger_ones_variance(self, estimate: Estimator) -> None:
        c = found(estimate(arm(1, 1500, self.wild), arm(2, 300, self.calm), REVENUE))
        alone = found(estimate(arm(3, 300, self.wild), arm(2, 300, self.calm), REVENUE))
        assert c.floored
        assert not alone.floored
        assert c.v_tt > 3 * alone.v_tt

    def test_whichever_arm_is_small(self) -> None:
        c = found(ESTIMATORS["lin"](arm(1, 300, self.calm), arm(2, 1500, self.wild), REVENUE))
        assert c.floored
        assert c.v_cc > c.v_tt

    def test_a_floor_below_the_arms_own_variance_does_nothing(self) -> None:
        c = found(ESTIMATORS["unadjusted"](arm(1, 1500, self.calm), arm(2, 300, self.wild), REVENUE))
        assert not c.floored
        assert c.v_tt == pytest.approx(float(arm(2, 300, self.wild).covariance(["revenue"])[0, 0]) / 300)

    @pytest.mark.parametrize(("large", "small"), [(600, 300), (9000, 3800)])
    def test_two_to_one_or_a_thousand_non_zero_units_need_no_floor(self, large: int, small: int) -> None:
        c = found(ESTIMATORS["unadjusted"](arm(1, large, self.wild), arm(2, small, self.calm), REVENUE))
        assert not c.floored
