"""What every strategy has to keep, whatever it recommends: one suite over all that are built in."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from experiments.errors import DefinitionError, NotFoundError, UsageError
from experiments.recommenders.base import Index, Request, Requests
from experiments.recommenders.fitted import Fitted, fit, load
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.slates import Slates
from experiments.recommenders.training import TrainingData
from experiments.strategies import BUILT_IN, STRATEGIES
from tests.experiments.recommenders.conftest import AS_OF, SmallShop, later

ROOT = Path(__file__).parents[3]
each_strategy = pytest.mark.parametrize("name", BUILT_IN)


@pytest.fixture(scope="module")
def fitted(small_shop: SmallShop) -> dict[str, Fitted]:
    return {name: fit(name, small_shop.data, as_of=AS_OF, seed=5) for name in BUILT_IN}


def slates(each: Fitted, shop: SmallShop, requests: Requests | None = None) -> Slates:
    return Pipeline(each).slates(shop.requests() if requests is None else requests, shop.shelf)


def same(one: Slates, other: Slates) -> bool:
    """Equal to the last bit, but for the names of what made them."""
    columns = ("items", "score", "propensity", "source", "cause", "removed_row", "removed_item", "removed_rule")
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in ("score", "propensity"))
               for name in columns)  # fmt: skip


@each_strategy
def test_it_never_sees_what_comes_after_as_of(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    known = small_shop.data.until(AS_OF)
    for data in (known, later(small_shop.data)):
        again = fit(name, data, as_of=AS_OF, seed=5)
        assert again.version == fitted[name].version
        assert same(slates(again, small_shop), slates(fitted[name], small_shop))
    assert fitted[name].model.items.code("from-the-future") == -1


@each_strategy
def test_it_does_see_what_comes_just_before_as_of(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    one = timedelta(microseconds=1)
    line = {"unit_id": "u000", "item_id": "rugs-9", "event_ts": AS_OF - one}
    orders = pa.concat_tables([small_shop.data.orders, pa.Table.from_pylist([line], small_shop.data.orders.schema)])
    assert fit(name, replace(small_shop.data, orders=orders), as_of=AS_OF, seed=5).version != fitted[name].version


@each_strategy
def test_the_same_data_give_the_same_slates(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    data = small_shop.data
    turned = [
        table.take(np.random.default_rng(8).permutation(len(table)))
        for table in (data.interactions, data.orders, data.catalogue)
    ]
    again = fit(name, TrainingData(*turned), as_of=AS_OF, seed=5)
    assert again.version == fitted[name].version
    assert same(slates(again, small_shop), slates(fitted[name], small_shop))


@each_strategy
def test_version_tells_seed_parameters_and_moment_apart(name: str, small_shop: SmallShop) -> None:
    data = small_shop.data
    made = [
        fit(name, data, as_of=AS_OF, seed=5),
        fit(name, data, as_of=AS_OF, seed=6),
        fit(name, data, as_of=AS_OF - timedelta(days=1), seed=5),
        *(fit(name, data, as_of=AS_OF, seed=5, params={param: 7}) for param, kind in STRATEGIES[name].items()
          if kind.kind is not str),
    ]  # fmt: skip
    assert len({each.version for each in made}) == len(made)
    elsewhere = AS_OF.astimezone(tz=None)
    assert fit(name, data, as_of=elsewhere, seed=5).version == made[0].version


@each_strategy
def test_it_comes_back_from_a_folder(
    name: str, small_shop: SmallShop, fitted: dict[str, Fitted], tmp_path: Path
) -> None:
    fitted[name].save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert replace(back, model=fitted[name].model) == fitted[name]
    assert same(slates(back, small_shop), slates(fitted[name], small_shop))
    request = Request("r", "pdp", 4, AS_OF, "u003", ("decor-2",), "decor")
    for item in fitted[name].model.items.ids.tolist():
        assert back.explain(request, item) == fitted[name].explain(request, item)
    with pytest.raises(FileExistsError):
        fitted[name].save(tmp_path / "model")


@each_strategy
@pytest.mark.parametrize("k", [1, 4, 40])
def test_slates_keep_to_the_allowed_set_and_to_k(
    name: str, k: int, small_shop: SmallShop, fitted: dict[str, Fitted]
) -> None:
    whole = small_shop.shelf
    listed = whole.listed & (np.arange(len(whole.items)) % 3 != 1)
    requests = small_shop.requests(k=k)
    made = Pipeline(fitted[name], ladder(fitted)).slates(requests, replace(whole, listed=listed))
    assert made.items.shape == (len(requests), k)
    shown = made.items[made.items >= 0]
    assert listed[shown].all()
    assert (whole.stock[shown] != 0).all()
    for row in range(len(requests)):
        mine = [code for code in made.items[row].tolist() if code >= 0]
        assert len(set(mine)) == len(mine)
        assert (made.items[row, len(mine) :] == -1).all()
        assert not set(whole.items.ids[mine]) & set(
            requests.items.ids[requests.session[row][requests.session[row] >= 0]]
        )
    assert (name == "no_recommendations") == (not len(shown))


@each_strategy
def test_one_by_one_is_the_same_as_all_at_once(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    requests, pipeline = small_shop.requests(n=60), Pipeline(fitted[name], ladder(fitted))
    together = pipeline.slates(requests, small_shop.shelf)
    for row in range(len(requests)):
        session = requests.session[row]
        unit, category = int(requests.unit[row]), int(requests.category[row])
        alone = pipeline.slate(
            Request(
                request_id=requests.ids[row],
                module="homepage",
                k=requests.k,
                now=AS_OF,
                unit_id=None if unit < 0 else str(requests.units.ids[unit]),
                session_items=tuple(requests.items.ids[session[session >= 0]].tolist()),
                category=None if category < 0 else str(requests.categories.ids[category]),
            ),
            small_shop.shelf,
        )
        expected = together.one(row)
        assert replace(alone, items=tuple(replace(shown, reason=None) for shown in alone.items)) == expected
        assert all(shown.reason is not None and shown.reason.words for shown in alone.items)


@each_strategy
def test_fewer_candidates_are_the_first_of_more(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    requests, model = small_shop.requests(), fitted[name].model
    whole = model.retrieve(requests, len(model.items))
    for n in range(1, len(model.items)):
        some = model.retrieve(requests, n)
        assert np.array_equal(some.items, whole.items[:, :n])
        assert np.array_equal(some.score, whole.score[:, :n], equal_nan=True)
    known = [row[row >= 0].tolist() for row in whole.items]
    assert all(len(set(row)) == len(row) for row in known)
    filled = whole.items >= 0
    assert (filled[:, 1:] <= filled[:, :-1]).all()
    assert np.array_equal(np.isnan(whole.score), ~filled)


@each_strategy
def test_scores_do_not_rise_and_equal_ones_go_by_id(
    name: str, small_shop: SmallShop, fitted: dict[str, Fitted]
) -> None:
    found = fitted[name].model.retrieve(small_shop.requests(), 30)
    before, after = found.score[:, :-1].astype(np.float32), found.score[:, 1:].astype(np.float32)
    assert not (after > before).any()
    equal = after == before
    assert (found.items[:, 1:][equal] > found.items[:, :-1][equal]).all()


@each_strategy
def test_it_can_be_fitted_on_nothing(name: str, small_shop: SmallShop) -> None:
    early = fit(name, small_shop.data, as_of=datetime(2020, 1, 1, tzinfo=UTC), seed=5)
    assert early.report.interactions == early.report.orders == early.report.items == 0
    made = slates(early, small_shop)
    assert (made.items == -1).all()
    only_catalogue = replace(small_shop.data, interactions=small_shop.data.interactions.slice(0, 0),
                             orders=small_shop.data.orders.slice(0, 0))  # fmt: skip
    quiet = fit(name, only_catalogue, as_of=AS_OF, seed=5)
    assert len(quiet.model.items) in (0, 30)
    slates(quiet, small_shop)


@each_strategy
def test_strangers_are_answered(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    stranger = Request("r", "homepage", 4, AS_OF, "nobody-knows", ("no-such-item",), "no-such-category")
    made = Pipeline(fitted[name], ladder(fitted)).slate(stranger, small_shop.shelf)
    assert len(made.items) == (0 if name == "no_recommendations" else 4)


@each_strategy
def test_no_requests_and_an_empty_shelf(name: str, small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    assert len(slates(fitted[name], small_shop, small_shop.requests(n=0))) == 0
    empty = small_shop.shelf
    empty = replace(empty, items=Index.of([]), **{
        name: getattr(empty, name)[:0] for name in ("listed", "price", "margin", "stock", "group")
    })  # fmt: skip
    assert (Pipeline(fitted[name]).slates(small_shop.requests(), empty).items == -1).all()


def test_only_random_follows_the_seed(small_shop: SmallShop, fitted: dict[str, Fitted]) -> None:
    moved = [
        name
        for name in BUILT_IN
        if not same(
            slates(fit(name, small_shop.data, as_of=AS_OF, seed=6), small_shop), slates(fitted[name], small_shop)
        )
    ]
    assert moved == ["random"]


def test_what_is_built_in_is_in_the_table_and_has_defaults() -> None:
    assert set(BUILT_IN) <= set(STRATEGIES)
    for name in BUILT_IN:
        for param, known in STRATEGIES[name].items():
            assert known.default is not None, f"{name}.{param}"
            assert isinstance(known.default, known.kind)
            assert known.low is None or known.high is None or known.low <= float(known.default) <= known.high
            assert not known.choices or known.default in known.choices
    files = {path.stem for path in (ROOT / "experiments" / "recommenders").glob("*.py")}
    assert set(BUILT_IN) <= files


def test_wrong_names_and_parameters_are_refused(small_shop: SmallShop) -> None:
    with pytest.raises(DefinitionError, match=r"popularty.*nearest: popularity"):
        fit("popularty", small_shop.data, as_of=AS_OF)
    with pytest.raises(UsageError, match="als: a known name, but not built in; choose one of no_rec"):
        fit("als", small_shop.data, as_of=AS_OF)
    with pytest.raises(DefinitionError) as refused:
        fit("item_knn", small_shop.data, as_of=AS_OF, params={"neighbors": 3, "similarity": "euclid", "window_days": 0})
    assert len(refused.value.problems) == 3
    with pytest.raises(UsageError, match="no time zone"):
        fit("popularity", small_shop.data, as_of=datetime(2026, 9, 28))
    with pytest.raises(UsageError, match="orders have no unit_id, item_id"):
        TrainingData(small_shop.data.interactions, pa.table({"event_ts": []}), small_shop.data.catalogue)


def test_a_folder_that_is_no_model_is_refused(fitted: dict[str, Fitted], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"model\.json"):
        load(tmp_path)
    folder = tmp_path / "model"
    fitted["popularity"].save(folder)
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(UsageError, match="format 2, this version reads 1"):
        load(folder)
    (folder / "model.json").write_text(text)
    (folder / "arrays.npz").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(UsageError, match="fit it anew"):
        load(folder)


def test_a_definition_that_names_strategies_imports_none_of_them() -> None:
    """Start-up matters: validating a definition must not wait for what fits a model."""
    program = "import sys, experiments.validate, experiments.own_checks, experiments.strategies; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = [name for name in done.stdout.split() if name.startswith(("implicit", "scipy", "experiments.recommenders"))]
    assert heavy == []


@pytest.mark.parametrize("module", ["experiments.recommenders.serving", "experiments.recommenders.item_knn"])
def test_answering_imports_no_library_of_fitting(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert [name for name in done.stdout.split() if name.startswith(("implicit", "scipy"))] == []
