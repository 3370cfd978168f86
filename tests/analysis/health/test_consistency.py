"""SH-14: returns, clicks and orders against what they belong to."""

import pytest

from analysis.health.checks import evaluate
from tests.helpers.evidence import CLICKS, Row, check_of, evidence, held


def _clicks(missing: int, items: int = 9000) -> list[Row]:
    return [{"module": "homepage", "clicks": 1000, "not_shown": missing, "items_logged": items}]


@pytest.mark.parametrize(("missing", "state"), [(4, "pass"), (5, "warn"), (20, "fail")])
def test_clicks_on_what_was_not_shown_hold_the_metrics_of_clicks(missing: int, state: str) -> None:
    health = evaluate(evidence(clicks_not_shown=_clicks(missing)))
    assert check_of(health, "SH-14").state == state
    if state == "fail":
        assert held(health, "SH-14") == frozenset({CLICKS.key})
    else:
        assert "SH-14" not in {hold.check for hold in health.holds}


def test_a_log_without_items_says_nothing_of_clicks() -> None:
    assert check_of(evaluate(evidence(clicks_not_shown=_clicks(1000, items=0))), "SH-14").state == "not_applicable"


@pytest.mark.parametrize(("shared", "state"), [(2, "pass"), (5, "warn"), (30, "fail")])
def test_orders_of_several_units_hold_the_money(shared: int, state: str) -> None:
    health = evaluate(evidence(orders_shared=[{"orders": 1000, "shared": shared}], clicks_not_shown=_clicks(0)))
    assert check_of(health, "SH-14").state == state
    if state == "fail":
        assert "revenue_per_unit" in (held(health, "SH-14") or ())


def test_all_that_fails_is_told_and_held_together() -> None:
    both = evaluate(evidence(orders_shared=[{"orders": 1000, "shared": 30}], clicks_not_shown=_clicks(40)))
    assert {CLICKS.key, "revenue_per_unit"} <= (held(both, "SH-14") or frozenset())
    assert "3% of the orders" in check_of(both, "SH-14").sentence
    assert "4% of the clicks" in check_of(both, "SH-14").sentence
