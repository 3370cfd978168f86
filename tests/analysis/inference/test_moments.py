import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.inference.moments import CellKey, Moments, pair, total
from tests.helpers.units import moments_of

# unit totals up to 1e14, STATISTICS 1: their squares do not fit 64 bits
unit = st.tuples(st.integers(-(10**14), 10**14), st.integers(0, 10**6))
units = st.lists(unit, min_size=0, max_size=12)


def of(rows: list[tuple[int, int]]) -> Moments:
    columns = {name: [row[i] for row in rows] for i, name in enumerate("ab")}
    return Moments(
        len(rows),
        {name: sum(values) for name, values in columns.items()},
        {pair(a, b): sum(x * y for x, y in zip(columns[a], columns[b], strict=True)) for a in "ab" for b in "ab"},
        {name: sum(v != 0 for v in values) for name, values in columns.items()},
    )


@given(first=units, second=units)
def test_moments_of_halves_add_to_the_whole_exactly(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    assert of(first) + of(second) == of(first + second)
    assert of(first + second) - of(second) == of(first)
    assert total([of(first), of(second), of([])]) == of(first + second)


@given(rows=st.lists(unit, min_size=2, max_size=12), shift=st.integers(-(10**13), 10**13))
def test_a_covariance_loses_nothing_to_a_large_common_part(rows: list[tuple[int, int]], shift: int) -> None:
    moved = [(a + shift, b) for a, b in rows]
    np.testing.assert_allclose(of(rows).covariance("ab"), of(moved).covariance("ab"), rtol=1e-15)


def test_means_and_covariance_are_those_of_the_units() -> None:
    values = np.random.default_rng(5).integers(-50, 9000, (3, 40))
    moments = moments_of(dict(zip("xyz", values, strict=True)))
    np.testing.assert_allclose(moments.means("zx"), values[[2, 0]].mean(axis=1), rtol=1e-15)
    np.testing.assert_allclose(moments.covariance("xyz"), np.cov(values), rtol=1e-12)
    assert moments.covariance(()).shape == (0, 0)


def test_a_fact_that_one_side_lacks_counts_as_zero_there() -> None:
    empty = Moments(3)
    assert (empty + moments_of({"x": np.array([2, 0])})).sums == {"x": 2}
    assert (empty + moments_of({"x": np.array([2, 0])})).n == 5


def test_a_product_that_was_not_counted_is_an_error_not_a_zero() -> None:
    with pytest.raises(KeyError):
        Moments(2, {"x": 1, "y": 1}, {("x", "x"): 1}).product("x", "y")


def test_overlay_keeps_the_totals_units_and_covariates() -> None:
    rng = np.random.default_rng(3)
    whole = moments_of({"rev": rng.integers(0, 9, 50), "pre": rng.integers(0, 9, 50)})
    part = Moments(12, {"rev": 7}, {pair("rev", "rev"): 21, pair("rev", "pre"): 30}, {"rev": 4})
    laid = whole.overlay(part)
    assert (laid.n, laid.sums["rev"], laid.nonzero["rev"]) == (50, 7, 4)
    assert laid.product("pre", "rev") == 30
    assert laid.sums["pre"] == whole.sums["pre"]
    assert laid.product("pre", "pre") == whole.product("pre", "pre")


def test_the_overall_cell_names_its_population_only() -> None:
    assert CellKey.overall() == CellKey("context", "", (), None)
    assert CellKey.overall(7) != CellKey.overall()
