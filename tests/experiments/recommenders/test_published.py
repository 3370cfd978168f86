"""What is published for a service: whole or not at all, taken up while it runs, and clear about what is not there."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from experiments.errors import NotFoundError, UsageError
from experiments.recommenders.base import Request
from experiments.recommenders.fitted import Fitted, fit
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.published import load_published, pointer, publish
from experiments.recommenders.recommended import Recommended
from experiments.recommenders.rules import RULES, Rule, shop_rules
from experiments.recommenders.serving import FittedStrategies, StrategyNotFittedError
from experiments.recommenders.training import TrainingData
from experiments.strategies import BUILT_IN
from tests.experiments.recommenders.conftest import AS_OF, SmallShop

Params = Mapping[str, object]


def publish_all(
    folder: Path, shop: SmallShop, *, days: int = 0, seed: int = 5
) -> tuple[dict[str, Fitted], tuple[str, ...]]:
    known: TrainingData = shop.data.until(AS_OF - timedelta(days=days))
    assert known.as_of is not None
    fitted = {name: fit(name, known, as_of=known.as_of, seed=seed) for name in BUILT_IN}
    return fitted, publish(folder, list(fitted.values()), known)


def lists(strategy: str, params: Params, _: Params) -> Sequence[str]:
    """What a file of lists would answer."""
    if "items" in params:
        return ["own"]
    if strategy == "als":
        return ["listed"]
    raise LookupError(f"{strategy} has no list")


def serving(folder: Path, most: int = 5, rules: Sequence[Rule] = RULES) -> FittedStrategies:
    return FittedStrategies(folder, lists, lambda: AS_OF, most=most, rules=rules)


def test_what_was_published_comes_back_and_again_writes_nothing(tmp_path: Path, small_shop: SmallShop) -> None:
    assert pointer(tmp_path) is None
    with pytest.raises(NotFoundError, match=r"it has no models\.json"):
        load_published(tmp_path, AS_OF)
    fitted, written = publish_all(tmp_path, small_shop)
    assert len(written) == len(BUILT_IN)
    back = load_published(tmp_path, AS_OF)
    assert (back.as_of, [each.version for each in back.models]) == (AS_OF, [each.version for each in fitted.values()])
    assert back.shelf.items.ids.tolist() == small_shop.data.until(AS_OF).items.ids.tolist()
    assert publish_all(tmp_path, small_shop)[1] == ()


def test_the_last_is_kept_for_who_still_reads_it(tmp_path: Path, small_shop: SmallShop) -> None:
    folders = [set(publish_all(tmp_path, small_shop, days=days)[1]) for days in (3, 2, 1)]
    there = {path.name for path in (tmp_path / "models").iterdir() if path.is_dir()}
    assert there == folders[1] | folders[2]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_what_cannot_be_read_is_named(tmp_path: Path, small_shop: SmallShop) -> None:
    publish_all(tmp_path, small_shop)
    text = (tmp_path / "models.json").read_text()
    (tmp_path / "models.json").write_text(text[:-20])
    with pytest.raises(UsageError, match=r"models\.json: .*fit anew"):
        load_published(tmp_path, AS_OF)
    (tmp_path / "models.json").write_text(text.replace("models.v1", "models.v9"))
    with pytest.raises(UsageError, match=r"schema models\.v9, not models\.v1"):
        load_published(tmp_path, AS_OF)
    (tmp_path / "models.json").write_text(text)
    next((tmp_path / "models").glob("catalogue-*")).unlink()
    with pytest.raises(NotFoundError, match=r"catalogue-.*missing"):
        load_published(tmp_path, AS_OF)
    with pytest.raises(UsageError, match="cut them"):
        publish(tmp_path, [], small_shop.data)


def test_a_service_answers_as_the_pipeline_does(tmp_path: Path, small_shop: SmallShop) -> None:
    fitted, _ = publish_all(tmp_path, small_shop)
    answer = serving(tmp_path)
    context = {
        "targetingKey": "u003", "session_items": ["decor-2", 7], "page_category": "decor", "request_id": "r-1",
    }  # fmt: skip
    request = Request("r-1", "", 5, AS_OF, "u003", ("decor-2",), "decor")
    for name in BUILT_IN:
        expected = Pipeline(fitted[name], ladder(fitted)).slate(request, small_shop.shelf)
        answered = answer(name, {"value": "shown to flags"}, context)
        assert list(answered) == [shown.item_id for shown in expected.items]
        assert isinstance(answered, Recommended)
        assert answered.version == fitted[name].version
    assert answer("item_knn", {}, context) != answer("item_knn", {}, context | {"user_id": "u004"})
    assert answer("random", {}, context) == answer("random", {}, context)
    drawn = {tuple(answer("random", {}, {})) for _ in range(20)}
    assert len(drawn) > 10
    assert len(answer("popularity", {}, {"session_items": "no list", "user_id": 7})) == 5


def test_the_shops_margin_floor_holds_items_back(tmp_path: Path, small_shop: SmallShop) -> None:
    publish_all(tmp_path, small_shop)
    shelf = small_shop.shelf
    shares = dict(zip(shelf.items.ids.tolist(), (shelf.margin / shelf.price).tolist(), strict=True))
    assert shop_rules(None) == RULES
    for floor in (None, 0.15):
        shown = serving(tmp_path, 30, shop_rules(floor))("popularity", {}, {})
        assert shown
        assert (min(shares[item] for item in shown) >= 0.15) == (floor is not None)


def test_what_is_not_fitted_comes_from_lists_or_is_refused(tmp_path: Path, small_shop: SmallShop) -> None:
    def asked(answer: FittedStrategies) -> None:
        assert answer("als", {"factors": 8}, {}) == ["listed"]
        assert answer("popularity", {"items": ["own"]}, {}) == ["own"]
        with pytest.raises(StrategyNotFittedError, match=r"popularity with \{'half_life_days': 3\} is not in .*fit"):
            answer("popularity", {"half_life_days": 3}, {})

    asked(serving(tmp_path))
    with pytest.raises(StrategyNotFittedError):
        serving(tmp_path)("popularity", {}, {})
    publish_all(tmp_path, small_shop)
    answer = serving(tmp_path)
    asked(answer)
    assert len(answer("popularity", {}, {})) == 5
    assert answer("popularity", {"half_life_days": 14}, {}) == answer("popularity", {}, {})


def test_a_newer_fit_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path, small_shop: SmallShop, caplog: pytest.LogCaptureFixture
) -> None:
    publish_all(tmp_path, small_shop, seed=5)
    answer, context = serving(tmp_path), {"request_id": "r-1"}
    before = answer("random", {}, context)
    publish_all(tmp_path, small_shop, seed=6)
    assert wait(lambda: answer("random", {}, context) != before)
    after = answer("random", {}, context)
    said = json.loads((tmp_path / "models.json").read_text())
    said["models"][0]["folder"] = "gone"
    with caplog.at_level(logging.ERROR, "truelift.service"):
        (tmp_path / "models.json").write_text(json.dumps(said))
        answer("random", {}, context)
        assert wait(lambda: bool(caplog.records))
    assert "stay as they are" in caplog.text
    assert answer("random", {}, context) == after


def wait(until: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        if until():
            return True
        time.sleep(0.01)
    return False
