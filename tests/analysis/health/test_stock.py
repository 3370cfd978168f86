"""The stock of what was shown, and the fields of the catalogue: healthy, planted, absent."""

import pytest

from analysis.health.checks import evaluate
from tests.helpers.evidence import Row, check_of, evidence, held


def _shown(known: int, minutes: int | None = 90) -> list[Row]:
    return [{"module": "homepage", "items_shown": 10_000, "items_stock_known": known, "catalogue_minutes_old": minutes}]


@pytest.mark.parametrize(
    ("known", "minutes", "state"),
    [(10_000, 90, "pass"), (9_850, 90, "warn"), (9_400, 90, "fail"), (10_000, 400, "warn"), (10_000, 1500, "fail")],
)
def test_stock_that_is_unknown_or_old_holds_the_out_of_stock_metrics(known: int, minutes: int, state: str) -> None:
    health = evaluate(evidence(stock_known=_shown(known, minutes)))
    assert check_of(health, "SH-17").state == state
    if state == "fail":
        assert held(health, "SH-17") == frozenset({"oos_shown_rate"})
    else:
        assert "SH-17" not in {hold.check for hold in health.holds}


def test_the_worse_of_share_and_age_is_told() -> None:
    assert "hours old" in check_of(evaluate(evidence(stock_known=_shown(9_850, 1500))), "SH-17").sentence
    assert "was known" in check_of(evaluate(evidence(stock_known=_shown(9_400, 400))), "SH-17").sentence


def test_a_shop_without_a_catalogue_or_without_stock_has_nothing_to_check() -> None:
    for rows in (_shown(0, None), _shown(0)):
        assert check_of(evaluate(evidence(stock_known=rows)), "SH-17").state == "not_applicable"


def _fields(margin: int, groups: int = 0) -> list[Row]:
    return [{"items": 1000, "price": 1000, "margin": margin, "stock": 1000, "category": 1000, "variant_group": groups}]


@pytest.mark.parametrize(("margin", "state"), [(1000, "pass"), (985, "warn"), (900, "fail"), (0, "pass")])
def test_a_field_that_is_given_must_be_filled_and_one_that_is_not_is_not_missed(margin: int, state: str) -> None:
    health = evaluate(evidence(catalogue_fields=_fields(margin)))
    assert check_of(health, "SH-19").state == state
    assert "SH-19" not in {hold.check for hold in health.holds}
    assert "variant" not in check_of(health, "SH-19").sentence
