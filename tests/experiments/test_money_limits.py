"""What money.yml takes as an amount, a share and an address: what it takes can be weighed with and asked for."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analysis.alerts.weighing.money import per_day, shrunk
from experiments.loading import parse, parse_yaml
from experiments.money import Money
from tests.helpers.effort import scaled

SMALL, LARGE = "0." + "0" * 400 + "1", "9" * 400


def said(field: str, value: str) -> str:
    """What is wrong with one field; empty when nothing is."""
    document, problems = parse_yaml(f'schema_version: 1\n{field}: "{value}"\n')
    assert document is not None
    assert not problems
    return "\n".join(map(str, parse(Money, document)[1]))


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("loss_budget", SMALL, "greater than or equal to 0.01"),
        ("loss_budget", "0.009", "greater than or equal to 0.01"),
        ("loss_budget", "1000000000000001", "less than or equal to 1000000000000000"),
        ("loss_budget", LARGE, "a finite number"),
        ("spread", SMALL, "greater than or equal to 0.0001"),
        ("spread", "1", "less than 1"),
        ("margin", SMALL, "greater than or equal to 0.0001"),
    ],
)
def test_what_is_too_small_or_too_large_is_refused_with_its_value_and_the_limit(
    field: str, value: str, limit: str
) -> None:
    found = said(field, value)
    assert f"{field}: it should be {limit}, not '{value}'" in found


def test_limits_hold_for_each_module_too() -> None:
    for field in ("spreads", "margins"):
        document, _ = parse_yaml(f'schema_version: 1\n{field}: {{homepage: "{SMALL}"}}\n')
        assert document is not None
        [problem] = parse(Money, document)[1]
        assert problem.code == "out_of_range"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "75,000", "75.000,00", "1e3", ".nan", "", " 5"])
@pytest.mark.parametrize("field", ["loss_budget", "spread"])
def test_what_is_no_decimal_is_named(field: str, value: str) -> None:
    assert f"{field}: {value!r} is no decimal: write digits with a point" in said(field, value)


def test_a_number_beyond_all_floats_is_no_example_of_a_decimal() -> None:
    document, _ = parse_yaml("loss_budget: 1e999\n")
    assert document is not None
    [problem] = parse(Money, document)[1]
    assert "loss_budget: inf is no decimal: write digits with a point, in quotes" in str(problem)


decimals = st.builds(
    lambda whole, zeros, digits: f"{whole}.{'0' * zeros}{digits}",
    st.integers(0, 10**18), st.integers(0, 450), st.integers(0, 10**9),
)  # fmt: skip


@settings(max_examples=scaled(100, 1000))
@given(budget=decimals, spread=decimals, digits=st.integers(0, 4))
def test_whatever_is_taken_can_be_weighed_with(budget: str, spread: str, digits: int) -> None:
    try:
        money = Money(loss_budget=Decimal(budget), spread=Decimal(spread))
    except ValidationError:
        return
    minor = money.budget_minor(digits)
    assert minor is not None
    assert per_day(minor) > 0
    mean, sd = shrunk(-0.05, 0.01, money.spread_of("homepage"))
    assert -0.05 < mean < 0 < sd < 0.01


@pytest.mark.parametrize("field", ["ping_url", "app_url"])
@pytest.mark.parametrize(
    "url",
    ["https://a..b/", "http://xn--/", "http://.de/", f"http://{'a' * 64}.de/", "http://a:99999/", "http://:80/",
     "http://[::1/", "http://a\\x01b/", "http://", "ftp://a.de/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(field: str, url: str) -> None:
    assert "is not where the app is" in said(field, url) or "is no address to ask for" in said(field, url)


@pytest.mark.parametrize("field", ["ping_url", "app_url"])
@pytest.mark.parametrize(
    "url",
    ["https://checks.example.org/7c1e", "http://[::1]:80/x", "https://bücher.example/x", "http://localhost:9/",
     "http://xn--bcher-kva.example/", "http://under_score.example/", "http://example.org./", "http://10.0.0.7:8080/p"],
)  # fmt: skip
def test_an_address_is_taken(field: str, url: str) -> None:
    assert said(field, url) == ""
