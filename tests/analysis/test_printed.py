"""A metric's row in words, whoever prints it."""

import pytest

from analysis import printed
from analysis.readout import Comparison, Interval, MetricReadout, NotDetermined, Reason
from tests.helpers.readouts import example


def row(name: str, key: str) -> tuple[MetricReadout, Comparison]:
    metric = example(name).metric(key)
    return metric, metric.comparisons[0]


def test_a_reason_is_not_said_twice() -> None:
    withheld = example("WITHHELD").verdict
    assert withheld.because[0].words in withheld.sentence
    assert printed.reasons(withheld) == ()
    assert printed.reasons(example("TOO_EARLY").verdict) == ("3 of 7 full days.",)


def test_a_change_has_its_range_or_its_reason() -> None:
    assert printed.change(Interval(est=0.02, lo=-0.01, hi=0.05), "lift", "EUR") == "+2.0% (−1.0% to +5.0%)"
    assert printed.change(Interval(est=0.02, lo=-0.01, hi=0.05), "points", "EUR").endswith("to +5.0 points)")
    missing = NotDetermined(not_determined=Reason(code="unripe", words="its first data mature tomorrow"))
    assert printed.change(missing, "lift", "EUR") == "its first data mature tomorrow"
    assert printed.also(missing, "money", "EUR") == printed.change(None, "money", "EUR") == ""


def test_the_reading_of_a_guardrail_names_its_bound_and_its_limit() -> None:
    assert printed.reading(*row("SHIP", "return_rate"), "EUR") == "● Inside its limit (at most +4.2%, limit 10%)"
    assert printed.reading(*row("SHIP", "revenue_per_unit"), "EUR") == "▲ Better"
    assert printed.reading(*row("TOO_EARLY", "return_rate"), "EUR") == "not determined"


def test_bounds_are_explained_only_where_one_is_printed() -> None:
    assert printed.judges_limits(example("SHIP"))
    without = [metric for metric in example("SHIP").metrics or () if metric.role != "guardrail"]
    assert not printed.judges_limits(example("SHIP", metrics=tuple(without)))
    assert not printed.judges_limits(example("WITHHELD"))


@pytest.mark.parametrize(
    ("currency", "told"), [("EUR", "at most +€0.050, limit €0.10"), ("GBP", "at most +£0.050, limit £0.10")]
)
def test_an_absolute_limit_is_in_the_metrics_unit(currency: str, told: str) -> None:
    metric, comparison = row("SHIP", "return_rate")
    bound = comparison.model_copy(update={"guardrail": Interval(est=0.02, lo=None, hi=0.05)})
    asked = metric.model_copy(update={"margin": None, "margin_abs": "0.10", "value_unit": "money"})
    assert told in printed.reading(asked, bound, currency)
    shares = metric.model_copy(update={"margin": None, "margin_abs": "0.10"})
    assert "at most +5.0 points, limit 10 points" in printed.reading(shares, bound, currency)
