"""Each strategy against the same numbers, counted another way."""

from collections import defaultdict
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from experiments.recommenders.base import NOBODY, Floats, Index, Request, Requests
from experiments.recommenders.fitted import Fitted, fit
from experiments.recommenders.pipeline import Pipeline
from experiments.recommenders.training import WEIGHTS, TrainingData
from tests.experiments.recommenders.conftest import AS_OF, SmallShop, data


def decayed_lines(given: TrainingData, half_life_days: float) -> dict[str, float]:
    """Item id → Σ 2^(−age / half-life) over order lines before AS_OF, in plain Python."""
    sums: dict[str, float] = defaultdict(float)
    for line in given.orders.to_pylist():
        age = AS_OF - line["event_ts"]
        if age > timedelta():
            sums[line["item_id"]] += 0.5 ** (age / timedelta(days=half_life_days))
    return sums


def scores(each: Fitted, request: Request, n: int = 100) -> dict[str, float]:
    found = each.retrieve(Requests.of(request), n)
    names = each.model.items.ids
    return {str(names[code]): float(score) for code, score in zip(found.items[0], found.score[0], strict=True)
            if code >= 0}  # fmt: skip


@pytest.mark.parametrize("half_life_days", [0.5, 14.0])
def test_popularity_is_decayed_order_lines(small_shop: SmallShop, half_life_days: float) -> None:
    expected = decayed_lines(small_shop.data, half_life_days)
    each = fit("popularity", small_shop.data, as_of=AS_OF, params={"half_life_days": half_life_days})
    found = scores(each, Request("r", "homepage", 4, AS_OF))
    assert len(found) == 30
    assert found == pytest.approx({name: expected.get(name, 0.0) for name in found}, rel=1e-12)
    assert list(found) == sorted(found, key=lambda name: (-found[name], name))


def test_category_popularity_is_popularity_within_the_top_level(small_shop: SmallShop) -> None:
    expected = decayed_lines(small_shop.data, 14.0)
    each = fit("category_popularity", small_shop.data, as_of=AS_OF)
    page = Request("r", "pdp", 4, AS_OF, category="rugs/round/small", session_items=("decor-3",))
    found = scores(each, page)
    assert set(found) == {f"rugs-{number}" for number in range(10)}
    assert found == pytest.approx({name: expected.get(name, 0.0) for name in found}, rel=1e-12)
    seen = scores(each, Request("r", "homepage", 4, AS_OF, session_items=("rugs-1", "decor-3", "never-seen")))
    assert set(seen) == {f"decor-{number}" for number in range(10)}
    assert scores(each, Request("r", "homepage", 4, AS_OF, session_items=("never-seen",))) == {}
    assert scores(each, Request("r", "homepage", 4, AS_OF, category="no-such", session_items=("rugs-1",))) == {}
    assert each.explain(page, "rugs-2").words == "Popular in rugs"


# --- item_knn ------------------------------------------------------------------------------------------------------


def taste(given: TrainingData, window_days: int) -> tuple[Floats, Index, Index]:
    """(n_units, n_items) summed weights in the window before AS_OF, row by row of the logs."""
    since = AS_OF - timedelta(days=window_days)
    rows = [(row["unit_id"], row["item_id"], WEIGHTS.get(row["event_name"], 0.0), row["event_ts"])
            for row in given.interactions.to_pylist()]  # fmt: skip
    rows += [(row["unit_id"], row["item_id"], WEIGHTS["purchase"], row["event_ts"]) for row in given.orders.to_pylist()]
    known = given.until(AS_OF)
    made = np.zeros((len(known.units), len(known.items)))
    for unit, item, weight, at in rows:
        if since <= at < AS_OF and item is not None:
            made[known.units.code(unit), known.items.code(item)] += weight
    return made, known.units, known.items


def similarity(had: Floats, kind: str) -> Floats:
    """All pairs of items, dense; `items × units` as documents × terms, as in the papers."""
    counts, n_items = had.T, had.shape[1]
    idf = np.log(n_items) - np.log1p((counts > 0).sum(axis=0))
    if kind == "bm25":  # K1 = 1.2, B = 0.75
        length = counts.sum(axis=1, keepdims=True)
        average = length.mean()
        weighted = counts * 2.2 / (1.2 * (0.25 + 0.75 * length / average) + counts) * idf
        return weighted @ weighted.T  # type: ignore[no-any-return]
    weighted = np.sqrt(counts) * idf if kind == "tfidf" else counts
    norm = np.sqrt((weighted**2).sum(axis=1, keepdims=True))
    unit = np.divide(weighted, norm, out=np.zeros_like(weighted), where=norm > 0)
    cosine: Floats = unit @ unit.T
    return cosine


@pytest.mark.parametrize("kind", ["cosine", "tfidf", "bm25"])
@pytest.mark.parametrize("window_days", [7, 90])
def test_item_knn_is_the_sum_of_similarities(kind: str, window_days: int) -> None:
    given = data(seed=9)
    had, units, items = taste(given, window_days)
    near = similarity(had, kind)
    np.fill_diagonal(near, 0.0)
    params = {"similarity": kind, "window_days": window_days, "neighbours": 100}
    each = fit("item_knn", given, as_of=AS_OF, params=params)
    for unit in units.ids.tolist():
        for session in ((), ("decor-1",), ("decor-1", "rugs-0")):
            wants = had[units.code(unit)].copy()
            for seen in session:
                wants[items.code(seen)] += WEIGHTS["purchase"]
            expected = np.where((wants > 0) | (wants @ near < 1e-12), 0.0, wants @ near)
            found = scores(each, Request("r", "homepage", 4, AS_OF, unit, session))
            assert set(found) == {str(items.ids[code]) for code in np.flatnonzero(expected)}
            for name, score in found.items():
                assert score == pytest.approx(expected[items.code(name)], rel=1e-9, abs=1e-9)


def test_item_knn_keeps_the_nearest_neighbours_only() -> None:
    given = data(seed=9)
    had, _, items = taste(given, 90)
    near = similarity(had, "cosine")
    np.fill_diagonal(near, 0.0)
    each = fit("item_knn", given, as_of=AS_OF, params={"neighbours": 3})
    for name in items.ids.tolist():
        found = scores(each, Request("r", "pdp", 4, AS_OF, None, (name,)))
        best = np.sort(near[items.code(name)])[::-1][:3]
        assert sorted(found.values(), reverse=True) == pytest.approx((4.0 * best[best > 0]).tolist(), rel=1e-9)


def test_item_knn_says_because_of_what(small_shop: SmallShop) -> None:
    each = fit("item_knn", small_shop.data, as_of=AS_OF)
    request = Request("r", "pdp", 4, AS_OF, None, ("decor-1",))
    slate = Pipeline(each).slate(request, small_shop.shelf)
    assert {shown.reason.words for shown in slate.items if shown.reason} == {"Goes with decor-1"}


def test_item_knn_outlives_units_that_had_everything() -> None:
    """An idf of 0 makes TF-IDF divide nothing by nothing: such an item is simply near to none."""
    at = pa.array([AS_OF - timedelta(days=1)] * 8, pa.timestamp("us", tz="UTC"))
    seen = pa.table(
        {
            "unit_id": ["a", "a", "a", "b", "b", "c", "c", "c"],
            "item_id": ["x", "y", "z", "x", "y", "x", "y", "z"],
            "event_ts": at,
            "event_name": ["view"] * 8,
        }
    )
    listed = pa.table({"item_id": ["w", "x", "y", "z"], "valid_from": at.slice(4)})
    given = TrainingData(seen, seen.slice(0, 0), listed)
    for kind in ("cosine", "tfidf", "bm25"):
        each = fit("item_knn", given, as_of=AS_OF, params={"similarity": kind})
        found = scores(each, Request("r", "pdp", 4, AS_OF, None, ("x",)))
        assert all(np.isfinite(score) and score > 0 for score in found.values())
        assert set(found) == ({"y", "z"} if kind == "cosine" else {"y"})


# --- random --------------------------------------------------------------------------------------------------------


def test_random_puts_every_item_at_every_place_equally_often(small_shop: SmallShop) -> None:
    """χ² of 30 items at each of five places, 29 degrees of freedom: 0.9999 of them below 66.2."""
    n = 30_000
    each = fit("random", small_shop.data, as_of=AS_OF, seed=3)
    requests = Requests(
        module="pdp", k=5, now=AS_OF, ids=[str(row) for row in range(n)], unit=np.full(n, -1), units=NOBODY,
        session=np.full((n, 0), -1), items=NOBODY, category=np.full(n, -1), categories=NOBODY,
    )  # fmt: skip
    found = each.retrieve(requests, 5).items
    for place in found.T:
        counts = np.bincount(place, minlength=30)
        assert ((counts - n / 30) ** 2 / (n / 30)).sum() < 66.2
    pairs = np.bincount(found[:, 0] * 30 + found[:, 1], minlength=900)
    expected = n / (30 * 29)
    off = np.where(np.eye(30, dtype=np.bool_).ravel(), 0.0, (pairs - expected) ** 2 / expected)
    assert pairs[::31].sum() == 0
    assert off.sum() < 1_030  # 869 degrees of freedom, 0.9999
