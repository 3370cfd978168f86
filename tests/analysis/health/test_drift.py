"""Drift: the two measures against scipy and closed forms, and the check on hand-made rows."""

import math

import pytest
from scipy.spatial.distance import jensenshannon

from analysis.health.checks import evaluate
from analysis.health.drift import shift
from tests.helpers.evidence import Row, check_of, evidence


def test_the_measures_are_the_published_ones() -> None:
    found = shift("browser", "homepage", {"safari": (600, 300), "chrome": (400, 700)})
    p, q = (600.5 / 1001, 400.5 / 1001), (300.5 / 1001, 700.5 / 1001)
    assert found.psi == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)), rel=1e-12)
    assert found.js == pytest.approx(jensenshannon(p, q, base=2) ** 2, rel=1e-12)
    assert (found.before, found.now) == (1000, 1000)


def test_they_are_zero_for_equal_shares_and_the_same_both_ways() -> None:
    assert shift("a", "m", {"x": (50, 50), "y": (10, 10)}).psi == 0
    one, other = shift("a", "m", {"x": (900, 90), "y": (3, 41)}), shift("a", "m", {"x": (90, 900), "y": (41, 3)})
    assert one.psi == pytest.approx(other.psi, rel=1e-12)
    assert one.js == pytest.approx(other.js, rel=1e-12)
    assert 0 < one.js < 1


def _rows(before: int, now: int, total: int = 1000) -> list[Row]:
    return [
        {"what": "fallback", "module": "homepage", "period": period, "value": value, "n": n}
        for period, yes in (("before", before), ("now", now))
        for value, n in (("yes", yes), ("no", total - yes))
    ]


@pytest.mark.parametrize(("now", "state"), [(20, "pass"), (60, "pass"), (120, "warn")])
def test_a_distribution_that_moved_is_named_and_withholds_nothing(now: int, state: str) -> None:
    health = evaluate(evidence(drift=_rows(20, now)))
    found = check_of(health, "drift")
    assert found.state == state
    assert found.groups[0]["distribution"] == "fallback"
    assert "drift" not in {hold.check for hold in health.holds}
    if state == "warn":
        assert "filled by the fallback on homepage moved" in found.sentence


def test_too_few_rows_on_either_side_are_unknown() -> None:
    assert check_of(evaluate(evidence(drift=_rows(2, 40, total=400))), "drift").state == "unknown"
    assert check_of(evaluate(evidence(drift=[])), "drift").state == "unknown"
