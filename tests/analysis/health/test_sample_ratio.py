import json
import math
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from analysis.health.sample_ratio import chi_square_p, evidence
from tests.helpers.effort import scaled

SAID = json.loads((Path(__file__).parents[2] / "reference" / "inference.json").read_text())


def test_hillstrom_was_split_as_planned() -> None:
    counts = (21_306, 21_307, 21_387)
    assert round(chi_square_p(counts, (1, 1, 1)), 3) == 0.904
    assert evidence(counts, (1, 1, 1)) < 1


def test_chi_square_is_scipys() -> None:
    assert chi_square_p((600, 500), (Decimal("0.5"), Decimal("0.5"))) == pytest.approx(
        SAID["chi_square"]["p"], rel=1e-9
    )


@pytest.mark.parametrize("weights", [(1, 1), (Fraction(1, 10), Fraction(9, 10)), (Decimal("0.3"), Decimal("0.7"))])
def test_evidence_averages_exactly_one_under_the_plan(weights: tuple[Fraction | Decimal | int, ...]) -> None:
    n, share = 40, float(Fraction(weights[0]) / sum(Fraction(w) for w in weights))
    chance = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    mean = sum(p * evidence((k, n - k), weights) for k, p in enumerate(chance))
    assert mean == pytest.approx(1, rel=1e-9)


def test_one_more_unit_leaves_the_expected_evidence_where_it_was() -> None:
    """A martingale, unit by unit, so it may be looked at every day."""
    weights = (Decimal("0.2"), Decimal("0.3"), Decimal("0.5"))
    for counts in product((0, 5, 60), repeat=3):
        ahead = [tuple(c + (i == arm) for i, c in enumerate(counts)) for arm in range(3)]
        expected = sum(float(w) * evidence(later, weights) for w, later in zip(weights, ahead, strict=True))
        assert expected == pytest.approx(evidence(counts, weights), rel=1e-9)


def beta_binomial(counts: tuple[int, int], share: float, c: float) -> float:
    """One Bayes factor, written with log-gamma for two arms."""
    shares = (share, 1 - share)
    drawn = math.lgamma(c) - math.lgamma(c + sum(counts))
    drawn += sum(math.lgamma(c * p + k) - math.lgamma(c * p) for p, k in zip(shares, counts, strict=True))
    return math.exp(drawn - sum(k * math.log(p) for p, k in zip(shares, counts, strict=True)))


def test_it_is_the_mean_of_four_beta_binomial_factors() -> None:
    counts = (130, 170)
    by_hand = sum(beta_binomial(counts, 0.4, c) for c in (30, 300, 3_000, 30_000)) / 4
    assert evidence(counts, (Decimal("0.4"), Decimal("0.6"))) == pytest.approx(by_hand, rel=1e-9)


def test_a_loss_of_twelve_percent_is_found_on_a_large_browser() -> None:
    rng = np.random.default_rng(8)
    kept = [(int(rng.binomial(10_000, 0.5)), int(rng.binomial(10_000, 0.44))) for _ in range(200)]
    assert sum(evidence(counts, (1, 1)) >= 1000 for counts in kept) >= 196


def test_a_gross_loss_is_found_on_a_small_browser_where_one_concentration_is_blind() -> None:
    counts = (400, 280)
    assert beta_binomial(counts, 0.5, 10_000) < 100
    assert evidence(counts, (1, 1)) >= 1000


def test_healthy_runs_looked_at_daily_are_not_withheld() -> None:
    runs = scaled(250, 2000)
    rng = np.random.default_rng(9)
    control = rng.binomial(500, 0.5, (runs, 28)).cumsum(axis=1)
    units = 500 * np.arange(1, 29)
    false = sum(
        any(evidence((int(c), int(n - c)), (1, 1)) >= 100 for c, n in zip(row, units, strict=True)) for row in control
    )
    assert false <= binom.ppf(0.999, runs, 0.01)


def test_nobody_seen_is_no_evidence() -> None:
    assert evidence((0, 0, 0), (1, 2, 3)) == 1.0
    assert chi_square_p((0, 0), (1, 1)) == 1.0


def test_overwhelming_evidence_stays_a_number() -> None:
    assert math.isfinite(evidence((10**7, 1), (1, 1)))
    assert evidence((10**7, 1), (1, 1)) > 1e290


@pytest.mark.parametrize(
    ("counts", "weights"),
    [((5,), (1,)), ((5, 5), (1, 1, 1)), ((5, 5), (1, 0)), ((5, -1), (1, 1))],
)
def test_counts_and_weights_must_make_sense(counts: tuple[int, ...], weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="weights"):
        evidence(counts, weights)
