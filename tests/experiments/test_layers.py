"""Layers and holdouts: what init makes is right, and everything wrong in them is said at once, file by file."""

from pathlib import Path

import pytest

from experiments.errors import DefinitionError
from experiments.layers import Ground, load_ground, read_ground
from experiments.shop import Shop
from tests.helpers.definitions import HOLDOUT

LAYER = """\
key: both
salt: layer.both
modules: [stage, basket]
slots:
  - {flag_key: rec.stage, module: stage, default_strategy: popularity}
  - {flag_key: rec.basket, module: basket, default_strategy: no_recommendations}
"""


def write(shop: Shop, text: str, name: str = "both.yml") -> Path:
    path = shop.layers / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(shop: Shop, name: str) -> list[tuple[str, str]]:
    _, files = read_ground(shop)
    (found,) = [file.problems for file in files if file.path.name == name]
    return [(problem.code, problem.path) for problem in found]


def test_a_shop_without_layers_has_no_ground(shop: Shop) -> None:
    for path in shop.layers.iterdir():
        path.unlink()
    assert load_ground(shop) == Ground()


def test_a_layer_over_two_modules_and_a_holdout(shop: Shop) -> None:
    write(shop, LAYER)
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    ground, files = read_ground(shop)
    assert ground.modules["basket"].key == "both"
    assert ground.slots["rec.basket"][1].default_strategy == "no_recommendations"
    assert ground.holdouts["global_h2"].strategy == "no_recommendations"
    assert {file.path.name: file.summary for file in files}["both.yml"] == (
        "layer both: stage, basket; asked for by rec.stage, rec.basket"
    )
    assert files[-1].summary == "holdout global_h2: 500 of 10,000 buckets, without homepage, pdp"


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("key: both", "key: homepage", "key_reused", "key"),
        ("key: both", "key: Both", "key_format", "key"),
        ("layer.both", "layer-both", "key_format", "salt"),
        ("layer.both", "layer.pdp", "salt_collision", "salt"),
        ("[stage, basket]", "[stage, basket, pdp]", "module_twice", "modules[2]"),
        ("[stage, basket]", "[stage, basket, stage]", "module_twice", "modules[2]"),
        ("rec.basket", "rec.pdp", "flag_conflict", "slots[1].flag_key"),
        ("rec.basket", "rec.stage", "flag_conflict", "slots[1].flag_key"),
        ("rec.basket", "rec basket", "key_format", "slots[1].flag_key"),
        ("module: basket", "module: basked", "unknown_module", "slots[1].module"),
        ("no_recommendations", "popularty", "unknown_strategy", "slots[1].default_strategy"),
        ("salt: layer.both", "salt: layer.both\nsize: 3", "unknown_field", "size"),
        ("salt: layer.both", "salt: layer.both\nunit_type: visitor", "unknown_value", "unit_type"),
    ],
)
def test_what_is_wrong_in_a_layer_is_named_where_it_stands(
    shop: Shop, old: str, new: str, code: str, path: str
) -> None:
    assert old in LAYER
    write(shop, LAYER.replace(old, new), "zz.yml")
    assert problems(shop, "zz.yml") == [(code, path)]


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("[homepage, pdp]", "[homepage, pdb]", "unknown_module", "modules[1]"),
        ("holdout.global_h2", "layer.pdp", "salt_collision", "salt"),
        ("[[0, 500]]", "[[500, 0]]", "value", "buckets"),
        ("[[0, 500]]", "[[0, 500], [400, 600]]", "value", "buckets"),
        ("[[0, 500]]", "[[0, 10001]]", "out_of_range", "buckets[0][1]"),
        ("start_at: 2026-07-01T00:00:00Z", "start_at: 2026-07-01T00:00:00", "naive_time", "start_at"),
        ("key: global_h2", "key: global_h2\nstrategy: none_at_all", "unknown_strategy", "strategy"),
        ("key: global_h2", "key: global_h2\nstrategy: popularity", "comparator", "comparator"),
        ("key: global_h2", "key: global_h2\ncomparator: champion", "comparator", "comparator"),
        ("key: global_h2", f"key: {'k' * 56}", "key_format", "key"),
        ("key: global_h2", "key: global_h2\nmetrics: {success: [revenues]}", "unknown_metric", "metrics.success[0]"),
        (
            "key: global_h2",
            "key: global_h2\nmetrics: {success: [aov], guardrails: [ctr]}",
            "no_margin",
            "metrics.guardrails[0]",
        ),
    ],
)
def test_what_is_wrong_in_a_holdout_is_named_where_it_stands(
    shop: Shop, old: str, new: str, code: str, path: str
) -> None:
    assert old in HOLDOUT
    (shop.holdouts / "h.yml").write_text(HOLDOUT.replace(old, new))
    (found,) = problems(shop, "h.yml")
    assert found[0] == code
    assert path.startswith(found[1]) or found[1] == "(file)"


def test_all_problems_of_all_files_are_said_at_once(shop: Shop) -> None:
    write(shop, LAYER.replace("layer.both", "layer.pdp").replace("rec.basket", "rec.pdp"), "zz.yml")
    (shop.holdouts / "h.yml").write_text(HOLDOUT.replace("pdp", "pdb"))
    with pytest.raises(DefinitionError) as raised:
        load_ground(shop)
    assert [(p.code, p.path) for p in raised.value.problems] == [
        ("salt_collision", "zz.yml: salt"),
        ("flag_conflict", "zz.yml: slots[1].flag_key"),
        ("unknown_module", "h.yml: modules[1]"),
    ]
