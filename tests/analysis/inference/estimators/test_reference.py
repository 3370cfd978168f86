"""The same numbers from scipy, statsmodels and tea-tasting, from raw arrays; tests/reference/make_inference.py."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from analysis.inference.designs import student_p
from analysis.inference.effects import fieller
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.metrics import MetricPlan
from analysis.inference.moments import Moments
from analysis.inference.result import Bounds, Contrast
from tests.helpers.units import AOV, moments_of

REFERENCE = Path(__file__).parents[3] / "reference"
SAID: dict[str, dict[str, float]] = json.loads((REFERENCE / "inference.json").read_text())
UNITS = pd.read_csv(REFERENCE / "units.csv")


def exactly(figure: float) -> object:
    """Whatever equals `figure` to 1e-9 of itself."""
    return pytest.approx(figure, rel=1e-9)


def arm(key: str) -> Moments:
    rows = UNITS[UNITS["arm"] == key].drop(columns="arm")
    return moments_of({str(name): rows[name].to_numpy() for name in rows})


CONTROL, TREATMENT = arm("control"), arm("treatment")


def ours(estimator: str, plan: MetricPlan) -> Contrast:
    found = ESTIMATORS[estimator](CONTROL, TREATMENT, plan)
    assert isinstance(found, Contrast)
    return found


def mean_of(fact: str, *covariates: str) -> MetricPlan:
    return MetricPlan(fact, "mean", fact, None, covariates, None)


@pytest.mark.parametrize("fact", ["sessions", "revenue", "bought"])
def test_unadjusted_is_welch_and_hc2(fact: str) -> None:
    said, c = SAID[f"welch_{fact}"], ours("unadjusted", mean_of(fact))
    assert c.difference == exactly(said["difference"])
    assert c.se == exactly(said["se"])
    assert c.z == exactly(said["z"])
    assert student_p(c.z, said["dof"], sides="two") == exactly(said["p"])


def test_degrees_of_freedom_are_welchs_where_every_unit_is_non_zero() -> None:
    c = ours("unadjusted", mean_of("sessions"))
    assert c.dof == exactly(SAID["welch_sessions"]["dof"])
    assert student_p(c.z, c.dof, sides="two") == exactly(SAID["welch_sessions"]["p"])


def test_degrees_of_freedom_count_only_units_with_something_to_say() -> None:
    c, said = ours("unadjusted", mean_of("revenue")), SAID["welch_revenue"]
    parts = [float(a.covariance(["revenue"])[0, 0]) / a.n for a in (CONTROL, TREATMENT)]
    busy = [a.nonzero["revenue"] - 1 for a in (CONTROL, TREATMENT)]
    by_hand = sum(parts) ** 2 / (parts[0] ** 2 / busy[0] + parts[1] ** 2 / busy[1])
    assert c.dof == exactly(by_hand)
    assert c.dof < said["dof"]


def test_a_ratio_is_weighted_least_squares_with_hc1() -> None:
    said, c = SAID["ratio_aov"], ours("unadjusted", AOV)
    assert c.mean_c == exactly(said["control"])
    assert c.mean_t == exactly(said["treatment"])
    assert c.difference == exactly(said["difference"])
    assert c.se == exactly(said["se"])


def test_a_ratio_is_the_delta_method_by_hand() -> None:
    variance = 0.0
    for key in ("control", "treatment"):
        rows = UNITS[UNITS["arm"] == key]
        r, o = rows["revenue"].to_numpy(float), rows["orders"].to_numpy(float)
        m, cov = r.sum() / o.sum(), np.cov(r, o)
        variance += (cov[0, 0] - 2 * m * cov[0, 1] + m**2 * cov[1, 1]) / o.mean() ** 2 / len(rows)
    assert ours("unadjusted", AOV).variance == exactly(variance)


@pytest.mark.parametrize(
    ("name", "plan"),
    [("lin_revenue", mean_of("revenue", "pre_revenue", "seen")), ("lin_aov", AOV)],
)
def test_lin_is_the_interacted_regression(name: str, plan: MetricPlan) -> None:
    said, c = SAID[name], ours("lin", plan)
    assert c.difference == exactly(said["difference"])
    assert c.mean_c == exactly(said["control"])
    assert c.se == exactly(said["se"])
    assert c.se == pytest.approx(said["se_hc2"], rel=0.02)  # the sandwich differs at order 1/n


def test_pooled_is_tea_tastings_cuped() -> None:
    said, c = SAID["cuped_revenue"], ours("pooled", mean_of("revenue", "pre_revenue"))
    assert c.mean_c == exactly(said["control"])
    assert c.mean_t == exactly(said["treatment"])
    assert c.difference == exactly(said["difference"])
    assert c.se == exactly(said["se"])
    assert 2 * float(ndtr(-abs(c.z))) == exactly(said["p_normal"])


def test_hillstrom_from_its_published_moments() -> None:
    """64,000 customers, visits of an e-mail test: counts of the data set, figures computed from its rows."""
    arms = {"none": (21_306, 2_262), "mens": (21_307, 3_894), "womens": (21_387, 3_238)}
    moments = {key: Moments(n, {"v": s}, {("v", "v"): s}, {"v": s}) for key, (n, s) in arms.items()}
    plan = MetricPlan("visit", "proportion", "v", None, (), None)
    for key, difference, se in (("mens", 0.076590, 0.003386), ("womens", 0.045233, 0.003234)):
        c = ESTIMATORS["unadjusted"](moments["none"], moments[key], plan)
        assert isinstance(c, Contrast)
        assert round(c.difference, 6) == difference
        assert round(c.se, 6) == se
        lift = fieller(c, 1.96)
        assert isinstance(lift, Bounds)
        assert lift.lo is not None
        assert lift.lo > 0


@pytest.mark.slow
def test_the_reference_is_what_its_script_says_today() -> None:
    from tests.reference.make_inference import draw, results

    pd.testing.assert_frame_equal(draw(), UNITS, check_dtype=False)
    fresh = results(UNITS)
    assert fresh.keys() == SAID.keys()
    for name, figures in SAID.items():
        assert fresh[name] == pytest.approx(figures, rel=1e-9)
