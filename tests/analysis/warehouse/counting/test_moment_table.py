import numpy as np

from analysis.inference.moments import pair
from analysis.warehouse.counting.layout import layout
from analysis.warehouse.counting.moment_table import (
    Group,
    Vector,
    added,
    context_sums,
    covariate_sums,
    day_sums,
    entry_sums,
)
from experiments.spec import SEEN_BEFORE
from tests.helpers.requests import count_request, shipped

LAYOUT = layout(count_request(shipped("revenue_per_unit", "conversion"), series=("revenue_per_unit",)))
REVENUE, ORDERED = LAYOUT.metrics


def test_a_product_that_is_a_sum_already_is_not_asked_for() -> None:
    sums = context_sums(LAYOUT)
    (fact,), (twin, _) = ORDERED.facts, ORDERED.covariates
    assert sums.derived[fact, fact] == fact  # 0 or 1
    assert sums.derived[pair(SEEN_BEFORE, twin)] == twin  # 0 where the unit was not seen
    assert pair(fact, SEEN_BEFORE) in sums.products
    assert not set(sums.derived) & set(sums.products)


def test_a_group_is_read_under_the_names_of_its_metric() -> None:
    sums = context_sums(LAYOUT)
    group = np.array(range(100, 100 + sums.width), dtype=object)
    moments = sums.reading(LAYOUT, REVENUE.names, REVENUE.pairs).moments(group)
    fact = REVENUE.facts[0]
    assert moments.n == 100
    assert moments.sums[fact] == 101 + sums.sums.index(fact)
    assert moments.nonzero == {fact: 101 + len(sums.sums) + sums.nonzero.index(fact)}
    place = 101 + len(sums.sums) + len(sums.nonzero) + sums.products.index((fact, fact))
    assert moments.product(fact, fact) == place
    assert set(moments.products) == set(REVENUE.pairs)


def test_an_arm_that_saw_nobody_has_every_name_at_zero() -> None:
    reading = context_sums(LAYOUT).reading(LAYOUT, REVENUE.names, REVENUE.pairs)
    arms = reading.arms(("control", "treatment"), {})
    assert arms["control"] == arms["treatment"]
    assert arms["control"].n == 0
    assert set(arms["control"].sums.values()) == {0}


def test_groups_of_disjoint_units_add() -> None:
    def group(*numbers: int) -> Vector:
        return np.array(numbers, dtype=object)

    parts: list[dict[Group, Vector]] = [{(0, 0, 1): group(1, 2**80)}, {(0, 0, 1): group(2, 1), (1, 0, 1): group(5, 5)}]
    found = {key: vector.tolist() for key, vector in added(parts).items()}
    assert found == {(0, 0, 1): [3, 2**80 + 1], (1, 0, 1): [5, 5]}


def test_entries_and_days_together_are_all_that_a_series_needs() -> None:
    entered, grown = entry_sums(LAYOUT), day_sums(LAYOUT)
    have = {*entered.products, *entered.derived, *grown.products}
    assert have == set(LAYOUT.columns(REVENUE.pairs))


def test_all_covariates_have_all_products() -> None:
    sums, names = covariate_sums(LAYOUT), LAYOUT.covariates
    reading = sums.reading(LAYOUT, names, [pair(a, b) for a in names for b in names])
    moments = reading.moments(np.array([2, *([1] * (sums.width - 1))], dtype=object))
    assert moments.covariance(names).shape == (3, 3)
    assert set(moments.nonzero) == set(names)
