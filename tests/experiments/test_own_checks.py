"""A definition that truelift assigns: every way it can be wrong, by itself and beside what else the shop has."""

import pytest

from experiments.catalogue import shipped_metrics
from experiments.errors import Problem
from experiments.layers import load_ground
from experiments.loading import parse, parse_yaml
from experiments.own_checks import Around, Neighbour
from experiments.shop import Shop
from experiments.spec import Assigned, Experiment
from experiments.validate import check_experiment, validate
from tests.helpers.definitions import ASSIGNED, HOLDOUT, assigned, changed, written


def declared(text: str) -> Assigned:
    document, _ = parse_yaml(text)
    assert document is not None
    made, problems = parse(Assigned, document)
    assert made is not None, problems
    return made


@pytest.fixture
def around(shop: Shop) -> Around:
    """Two neighbours: one on the homepage's other buckets, one on the product page that needs it."""
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    (shop.layers / "sessions.yml").write_text(
        "key: sessions\nsalt: layer.sessions\nunit_type: session\nmodules: [search]\n"
        "slots: [{flag_key: rec.search, module: search, default_strategy: random}]\n"
    )
    near = declared(assigned(("home_als_v3", "home_other"), ("[[0, 6000]]", "[[6000, 7000]]")))
    needing = declared(assigned(("home_als_v3", "needing"), ("[[0, 6000]]", "[[9000, 9500]]"),
        ("prerequisites: []", "prerequisites: [{experiment: home_als_v3, variants: [als_v2]}]")))  # fmt: skip
    over = declared(assigned(("home_als_v3", "over"), ("[[0, 6000]]", "[[0, 3000]]")))
    return Around(
        load_ground(shop),
        {
            "home_other": Neighbour("running", near),
            "needing": Neighbour("draft", needing),
            "over": Neighbour("stopped", over),
        },
        {"home_other.1": "experiment home_other", "layer.homepage": "layer homepage"},
    )


def check(shop: Shop, around: Around, text: str) -> list[Problem]:
    experiment, problems = check_experiment(written(shop, text), shipped_metrics(), around)
    assert (experiment is None) == bool(problems)
    return problems


def test_the_good_one_is_right_and_a_stopped_ones_buckets_are_free(shop: Shop, around: Around) -> None:
    assert check(shop, around, ASSIGNED) == []


RAMP = '  - {at: 2026-12-02T09:00:00Z, traffic: "0.25", require: [srm, guardrails]}'
SECOND = '{key: als_v2, weight: "0.5", strategy: als, params: {factors: 64}}'


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("key: home_als_v3", "key: Home", "key_format", "key"),
        ("[homepage]", "[homepage, homepge]", "unknown_module", "modules[1]"),
        ("[homepage]", "[homepage, pdp]", "module_not_in_layer", "modules[1]"),
        ("rec.homepage", "rec.homepge", "unknown_flag", "flag_key"),
        ("rec.homepage", "[rec.homepage, rec.pdp]", "flag_conflict", "flag_key[1]"),
        ("rec.homepage", "[rec.homepage, rec.homepage]", "flag_conflict", "flag_key[1]"),
        ("rec.homepage", "Rec Homepage", "key_format", "flag_key"),
        ("flag_key: rec.homepage\n", "", "missing_field", "flag_key"),
        ("key: homepage, ranges", "key: homepge, ranges", "unknown_layer", "layer.key"),
        ("[[0, 6000]]", "[[5000, 6500]]", "layer_overlap", "layer.ranges"),
        ("[[0, 6000]]", "[[8000, 9001]]", "layer_overlap", "layer.ranges"),
        ("[[0, 6000]]", "[[0, 6000], [5000, 5500]]", "value", "layer"),
        ("[[0, 6000]]", "[[0, 10001]]", "out_of_range", "layer.ranges[0][1]"),
        ("[global_h2]", "[global_h3]", "unknown_holdout", "holdouts[0]"),
        ("[global_h2]", "[global_h2, global_h2]", "holdout_twice", "holdouts[1]"),
        (SECOND, SECOND.replace("als,", "asl,"), "unknown_strategy", "variants[1].strategy"),
        (SECOND, SECOND.replace("strategy: als, ", ""), "missing_field", "variants[1].strategy"),
        (SECOND, SECOND.replace("factors", "factor"), "params_schema", "variants[1].params.factor"),
        (SECOND, SECOND.replace("64", '"64"'), "params_schema", "variants[1].params.factors"),
        (SECOND, SECOND.replace("64", "0"), "params_schema", "variants[1].params.factors"),
        (SECOND, SECOND.replace('"0.5"', '"0.4"'), "weights_sum", "variants"),
        (SECOND, SECOND.replace('"0.5"', '"0.6"'), "weights_sum", "variants"),
        (SECOND, SECOND.replace('"0.5"', '"0.50001"'), "weight_precision", "variants[1].weight"),
        (SECOND, SECOND.replace('"0.5"', '"0"'), "zero_weight", "variants[1].weight"),
        (SECOND, SECOND.replace('"0.5"', '"-0.5"'), "negative_weight", "variants[1].weight"),
        (SECOND, SECOND.replace('"0.5"', "0.5"), "wrong_type", "variants[1].weight"),
        (SECOND, SECOND.replace('"0.5"', "equal"), "weight_precision", "variants[1].weight"),
        ("is_control: true", "is_control: false", "no_control", "variants"),
        ('traffic: "0.25"\ntarg', 'traffic: "0.5"\ntarg', "ramp_end", "traffic"),
        ('traffic: "0.25"\ntarg', "traffic: 0.25\ntarg", "wrong_type", "traffic"),
        ('traffic: "0.25"\ntarg', 'traffic: "1.1"\ntarg', "out_of_range", "traffic"),
        ('traffic: "0.01"', 'traffic: "0.5"', "ramp_decreasing", "ramp[1].traffic"),
        ("{at: 2026-12-02", "{at: 2026-11-30", "schedule_order", "ramp[1].at"),
        ("{at: 2026-12-02", "{at: 2027-12-02", "schedule_order", "ramp[1].at"),
        ("[srm, guardrails]", "[srm, guardrail]", "unknown_value", "ramp[1].require[1]"),
        ('guardrails: [{metric: return_rate, margin: "0.20"}]', "guardrails: []", "ramp_require", "ramp[1].require"),
        ("end_at: 2026-12-29", "end_at: 2026-11-29", "schedule_order", "schedule.end_at"),
        ("ONE_OF", "IN", "targeting_type", "targeting.all[0].operator"),
        ("[web, ios]", "web", "targeting_type", "targeting.all[0].value"),
        ("ONE_OF, value: [web, ios]", "GT, value: web", "targeting_type", "targeting.all[0].value"),
        ("ONE_OF, value: [web, ios]", 'MATCHES, value: "(?=a)b"', "targeting_type", "targeting.all[0].value"),
        ("ONE_OF, value: [web, ios]", "EQ", "targeting_type", "targeting.all[0].value"),
        ("ONE_OF, value: [web, ios]", "IS_NULL, value: 1", "targeting_type", "targeting.all[0].value"),
        ("targeting: {all: [", "targeting: {al: [", "unknown_field", "targeting.al"),
        ("unit_id: qa-1, variant: als_v2", "unit_id: qa-1, variant: als", "unknown_variant", "overrides[0].variant"),
        ("[{unit_id: qa-1, variant: als_v2}]", "[{unit_id: a, variant: als_v2}, {unit_id: a, variant: control}]",
         "override_twice", "overrides[1].unit_id"),
        ("prerequisites: []", "prerequisites: [{experiment: nothing, variants: [a1]}]",
         "unknown_experiment", "prerequisites[0].experiment"),
        ("prerequisites: []", "prerequisites: [{experiment: home_other, variants: [third]}]",
         "unknown_variant", "prerequisites[0].variants[0]"),
        ("prerequisites: []", "prerequisites: [{experiment: home_als_v3, variants: [als_v2]}]",
         "prerequisite_cycle", "prerequisites[0].experiment"),
        ("prerequisites: []", "prerequisites: [{experiment: needing, variants: [als_v2]}]",
         "prerequisite_cycle", "prerequisites[0].experiment"),
        ("unit_type: user", "unit_type: user\nsalt: home_other.1", "salt_collision", "salt"),
        ("unit_type: user", "unit_type: user\nsalt: layer.homepage", "salt_collision", "salt"),
        ("unit_type: user", "unit_type: user\nsalt: home-1", "key_format", "salt"),
        ("unit_type: user", "unit_type: colour", "unknown_value", "unit_type"),
        ("unit_type: user", "unit_type: user\nhash_version: murmur", "unknown_value", "hash_version"),
        ("unit_type: user", "unit_type: user\ncolour: blue", "unknown_field", "colour"),
        ("trigger: render", "trigger: paint", "unknown_value", "exposure.trigger"),
        ("[revenue_per_unit]", "[revenue_per_unt]", "unknown_metric", "metrics.success[0]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_where_it_stands(
    shop: Shop, around: Around, old: str, new: str, code: str, path: str
) -> None:
    assert [(problem.code, problem.path) for problem in check(shop, around, assigned((old, new)))] == [(code, path)]


def test_another_unit_than_the_layers_or_the_holdouts_is_refused(shop: Shop, around: Around) -> None:
    found = check(shop, around, assigned(("unit_type: user", "unit_type: session")))
    assert [(problem.code, problem.path) for problem in found] == [
        ("unit_mismatch_holdout", "holdouts[0]"),
        ("unit_mismatch_layer", "unit_type"),
    ]
    text = assigned(
        ("unit_type: user", "unit_type: session"), ("[homepage]", "[search]"), ("rec.homepage", "rec.search"),
        ("key: homepage", "key: sessions"), ("[global_h2]", "[]"),
    )  # fmt: skip
    assert check(shop, around, text) == []


def test_an_overlap_names_the_experiment_the_range_and_what_is_free(shop: Shop, around: Around) -> None:
    (problem,) = check(shop, around, assigned(("[[0, 6000]]", "[[5000, 6500]]")))
    assert problem.message == "[6000, 6500) of layer homepage belongs to home_other (running)"
    assert problem.next_step == "free are [0, 6000), [7000, 9000), [9500, 10000)"


def test_a_definition_does_not_overlap_with_its_own_former_version(shop: Shop, around: Around) -> None:
    text = assigned(("home_als_v3", "home_other"), ("[[0, 6000]]", "[[6500, 7500]]"))
    assert check(shop, around, text) == []


def test_an_experiment_assigned_elsewhere_cannot_be_a_prerequisite(shop: Shop, around: Around) -> None:
    document, _ = parse_yaml(changed())
    assert document is not None
    external, _ = parse(Experiment, document)
    assert external is not None
    known = Around(around.ground, {"home_als_v2": Neighbour("running", external)})
    text = assigned(("prerequisites: []", "prerequisites: [{experiment: home_als_v2, variants: [als_v2]}]"))
    (problem,) = check(shop, known, text)
    assert (problem.code, problem.message) == ("unknown_experiment", "home_als_v2 is assigned by another system")


def test_groups_of_conditions_are_looked_into(shop: Shop, around: Around) -> None:
    nested = (
        "{any: [{attribute: country, operator: EQ, value: DE}, {all: [{attribute: age, operator: LT, value: old}]}]}"
    )
    text = assigned(("{all: [{attribute: platform, operator: ONE_OF, value: [web, ios]}]}", nested))
    (problem,) = check(shop, around, text)
    assert (problem.code, problem.path) == ("targeting_type", "targeting.any[1].all[0].value")
    assert check(shop, around, text.replace("value: old", "value: 30")) == []


def test_all_problems_are_said_at_once_in_the_order_of_the_file(shop: Shop, around: Around) -> None:
    text = assigned(
        ("rec.homepage", "rec.homepge"), ("[[0, 6000]]", "[[5000, 6500]]"), ("[global_h2]", "[global]"),
        ("prerequisites: []", "prerequisites: [{experiment: nothing, variants: [a1]}]"),
        (SECOND, SECOND.replace("als,", "asl,").replace('"0.5"', '"0.4"')), ("ONE_OF", "IN"),
        ("unit_id: qa-1, variant: als_v2", "unit_id: qa-1, variant: als"), ('traffic: "0.01"', 'traffic: "0.5"'),
        ("trigger: render", "trigger: paint"),
    )  # fmt: skip
    assert [(problem.line, problem.code) for problem in check(shop, around, text)] == [
        (7, "unknown_flag"),
        (8, "layer_overlap"),
        (9, "unknown_holdout"),
        (11, "unknown_experiment"),
        (12, "weights_sum"),
        (14, "unknown_strategy"),
        (16, "targeting_type"),
        (17, "unknown_variant"),
        (20, "ramp_decreasing"),
        (22, "unknown_value"),
    ]


def test_one_arm_is_too_few_and_no_arm_can_be_forced_that_is_not_there(shop: Shop, around: Around) -> None:
    found = check(shop, around, assigned((f"  - {SECOND}\n", "")))
    assert [problem.code for problem in found] == ["too_few_variants", "unknown_variant"]


def test_every_experiment_whose_buckets_are_wanted_is_named(shop: Shop, around: Around) -> None:
    found = check(shop, around, assigned(("[[0, 6000]]", "[[0, 10000]]")))
    assert [(problem.code, problem.message.split(" belongs to ")[1]) for problem in found] == [
        ("layer_overlap", "home_other (running)"),
        ("layer_overlap", "needing (draft)"),
    ]


def test_two_files_that_want_the_same_buckets_are_seen_before_either_is_registered(shop: Shop) -> None:
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    first = written(shop, ASSIGNED, "first.yml")
    second = written(shop, assigned(("home_als_v3", "home_als_v4")), "second.yml")
    *_, one, other = validate(shop, [first, second])
    for checked in (one, other):  # whichever is named first
        assert [problem.code for problem in checked.problems] == ["layer_overlap"]


def test_a_strategy_that_is_unknown_lists_the_nearest(shop: Shop, around: Around) -> None:
    (problem,) = check(shop, around, assigned((SECOND, SECOND.replace("als,", "item_kn,"))))
    assert problem.nearest[0] == "item_knn"


def test_one_mistake_in_a_field_hides_none_beside_it(shop: Shop, around: Around) -> None:
    falling = RAMP.replace('"0.25"', '"0.001"').replace("[srm, guardrails]", "[smr]")
    found = check(shop, around, assigned((RAMP, falling), ("[[0, 6000]]", "[[500, 300], [a, 2]]")))
    assert {(problem.code, problem.path) for problem in found} >= {
        ("ramp_decreasing", "ramp[1].traffic"),
        ("unknown_value", "ramp[1].require[0]"),
        ("value", "layer.ranges[0]"),
        ("wrong_type", "layer.ranges[1][0]"),
    }


@pytest.mark.parametrize(("salt", "owner"), [("layer.homepage", "layer homepage"), ("holdout.h", "holdout global_h2")])
def test_validate_knows_the_salts_of_the_files_beside_it(shop: Shop, salt: str, owner: str) -> None:
    held = (shop.holdouts / "global_h2.yml").write_text(
        "\n".join("salt: holdout.h" if line.startswith("salt:") else line for line in HOLDOUT.splitlines())
    )
    assert held
    text = assigned(("key: home_als_v3\n", f"key: home_als_v3\nsalt: {salt}\n"))
    checked = validate(shop, [written(shop, text)])[-1]
    assert [(problem.code, owner in problem.message) for problem in checked.problems] == [("salt_collision", True)]
