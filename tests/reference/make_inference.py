"""Make inference.json: what scipy, statsmodels and tea-tasting say of units.csv, from raw arrays.

Run `python tests/reference/make_inference.py`. `units.csv` was drawn once (seed below) and is kept.
Which outside formula equals ours, and why, is in docs/methods.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats
import statsmodels.api as sm
import tea_tasting as tt
from numpy.typing import NDArray
from statsmodels.multivariate.manova import MANOVA
from statsmodels.stats.multivariate import test_mvmean_2indep as two_means

HERE = Path(__file__).parent
Floats = NDArray[np.float64]


def draw() -> pd.DataFrame:
    """1,100 units in two unequal arms: zero-inflated orders, lognormal baskets, a pre-period."""
    rng = np.random.default_rng(20261120)
    arm = np.repeat(["control", "treatment"], [600, 500])
    rate = (rng.random(1100) < 0.7) * rng.gamma(1.5, 1.0, 1100)
    orders, before = rng.poisson(rate * np.where(arm == "treatment", 1.1, 1)), rng.poisson(rate)
    revenue = np.round(orders * 3000 * np.exp(rng.standard_normal(1100) - 0.5)).astype(int)
    pre_revenue = np.round(before * 3000 * np.exp(rng.standard_normal(1100) - 0.5)).astype(int)
    return pd.DataFrame(
        {
            "arm": arm,
            "sessions": 1 + rng.poisson(1 + rate),
            "orders": orders,
            "bought": (orders > 0).astype(int),
            "revenue": revenue,
            "pre_orders": before,
            "pre_revenue": pre_revenue,
            "seen": (before > 0).astype(int),
        }
    )


def results(units: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Every figure by name; differences are treatment minus control."""
    control, treatment = (units[units["arm"] == arm] for arm in ("control", "treatment"))
    said: dict[str, dict[str, float]] = {}
    for fact in ("sessions", "revenue", "bought"):
        test = scipy.stats.ttest_ind(treatment[fact], control[fact], equal_var=False)
        ols = sm.OLS(units[fact], sm.add_constant(1.0 * (units["arm"] == "treatment"))).fit(cov_type="HC2")
        said[f"welch_{fact}"] = {
            "difference": float(ols.params.iloc[1]),
            "se": float(ols.bse.iloc[1]),
            "z": float(test.statistic),
            "p": float(test.pvalue),
            "dof": float(test.df),
        }
    ratios = [
        sm.WLS(a["revenue"] / a["orders"].clip(lower=1), np.ones(len(a)), weights=a["orders"])
        for a in (control, treatment)
    ]
    fits = [model.fit(cov_type="HC1") for model in ratios]
    said["ratio_aov"] = {
        "control": float(fits[0].params.iloc[0]),
        "treatment": float(fits[1].params.iloc[0]),
        "difference": float(fits[1].params.iloc[0] - fits[0].params.iloc[0]),
        "se": float(np.hypot(fits[0].bse.iloc[0], fits[1].bse.iloc[0])),
    }
    said["lin_revenue"] = lin(units, units["revenue"].to_numpy(float), ["pre_revenue", "seen"])
    said["lin_aov"] = lin(units, linearised(units), ["pre_revenue", "pre_orders", "seen"])
    tea = tt.Mean("revenue", "pre_revenue", use_t=False, equal_var=False, confidence_level=0.95)
    cuped = tt.Experiment({"revenue": tea}, variant="arm").analyze(units, control="control")["revenue"]._asdict()
    half = (cuped["effect_size_ci_upper"] - cuped["effect_size_ci_lower"]) / 2
    said["cuped_revenue"] = {
        "control": cuped["control"],
        "treatment": cuped["treatment"],
        "difference": cuped["effect_size"],
        "se": half / float(scipy.stats.norm.isf(0.025)),
        "p_normal": cuped["pvalue"],
    }
    before = ["pre_orders", "pre_revenue", "seen"]
    said["hotelling_two_arms"] = {"t2": float(two_means(control[before], treatment[before]).t2)}
    three = units.assign(third=np.arange(len(units)) % 3)
    trace = MANOVA.from_formula(" + ".join(before) + " ~ C(third)", three).mv_test()
    lawley = trace.results["C(third)"]["stat"].loc["Hotelling-Lawley trace", "Value"]
    said["hotelling_three_arms"] = {"t2": float(lawley) * (len(units) - 3)}
    said["chi_square"] = {"p": float(scipy.stats.chisquare([600, 500]).pvalue)}
    return said


def linearised(units: pd.DataFrame) -> Floats:
    """m_a + (revenue - m_a orders)/mean_a(orders): its mean is the arm's ratio, its variance the delta method's."""
    ell = np.zeros(len(units))
    for arm in ("control", "treatment"):
        rows = (units["arm"] == arm).to_numpy()
        num, den = units.loc[rows, "revenue"].to_numpy(float), units.loc[rows, "orders"].to_numpy(float)
        m = num.sum() / den.sum()
        ell[rows] = m + (num - m * den) / den.mean()
    return ell


def lin(units: pd.DataFrame, y: Floats, covariates: list[str]) -> dict[str, float]:
    """Point estimate of the interacted regression; the variance from one regression per arm.

    Centred at the arm's own mean, the classical squared standard error of that regression's constant
    is e_a/n_a with e_a = RSS/(n - 1 - p). What x̄ adds to the difference is (θ_t - θ_c)' S (θ_t - θ_c)/N.
    """
    treated = (units["arm"] == "treatment").to_numpy(float)
    x = units[covariates].to_numpy(float)
    centred = x - x.mean(axis=0)
    design = np.column_stack([np.ones(len(x)), treated, centred, centred * treated[:, None]])
    whole = sm.OLS(y, design).fit()
    slopes, constants, within = [], [], np.zeros((len(covariates), len(covariates)))
    for side in (0.0, 1.0):
        own = x[treated == side]
        fit = sm.OLS(y[treated == side], sm.add_constant(own - own.mean(axis=0))).fit()
        slopes.append(fit.params[1:])
        constants.append(fit.bse[0] ** 2)
        within += (own - own.mean(axis=0)).T @ (own - own.mean(axis=0))
    gap = slopes[1] - slopes[0]
    variance = sum(constants) + gap @ within @ gap / (len(x) - 2) / len(x)
    return {
        "difference": float(whole.params[1]),
        "control": float(whole.params[0]),
        "se": float(np.sqrt(variance)),
        "se_hc2": float(whole.get_robustcov_results("HC2").bse[1]),
    }


if __name__ == "__main__":
    draw().to_csv(HERE / "units.csv", index=False)
    text = json.dumps(results(pd.read_csv(HERE / "units.csv")), indent=2)
    (HERE / "inference.json").write_text(text + "\n")
