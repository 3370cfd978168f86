"""docs/add-a-strategy.md: its file and its line make a strategy that keeps the whole contract."""

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments.recommenders.fitted import fit
from experiments.strategies import BUILT_IN, STRATEGIES, Param
from tests.experiments.recommenders import test_contract
from tests.experiments.recommenders.conftest import AS_OF, SmallShop

GUIDE = (Path(__file__).parents[3] / "docs" / "add-a-strategy.md").read_text(encoding="utf-8")
SUITE = {
    name: test
    for name, test in vars(test_contract).items()
    if name.startswith("test_") and "name" in inspect.signature(test).parameters
}


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's file among the others, and its line in the table."""
    [text] = re.findall(
        r"^```python\n(# experiments/recommenders/newest\.py\n.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE
    )
    module = ModuleType("experiments.recommenders.newest")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(text, module.__name__, "exec"), vars(module))
    [line] = re.findall(r'^    "newest": (\{.*\}),$', GUIDE, re.MULTILINE)
    declared: Mapping[str, Param] = eval(line, {"Param": Param})
    for table in (BUILT_IN, STRATEGIES):
        monkeypatch.setitem(table, "newest", declared)


@pytest.mark.usefixtures("newest")
@pytest.mark.parametrize("test", SUITE)
def test_the_guides_strategy_keeps_the_contract(test: str, small_shop: SmallShop, tmp_path: Path) -> None:
    fitted = {name: fit(name, small_shop.data, as_of=AS_OF, seed=5) for name in BUILT_IN}
    given = {"name": "newest", "small_shop": small_shop, "fitted": fitted, "tmp_path": tmp_path, "k": 4}
    check = SUITE[test]
    check(**{name: given[name] for name in inspect.signature(check).parameters})


@pytest.mark.usefixtures("newest")
def test_it_recommends_what_is_new(small_shop: SmallShop) -> None:
    later = AS_OF.replace(month=10)
    model = fit("newest", small_shop.data, as_of=later).model
    found = model.retrieve(small_shop.requests(n=1), 50)
    assert model.items.ids[found.items[0]].tolist() == ["rugs-new"]
    assert np.allclose(found.score, -29.0)
