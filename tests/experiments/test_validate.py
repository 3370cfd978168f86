"""A definition: every way it can be wrong, all of them at once, and what this version refuses by name."""

from pathlib import Path

import pytest

from experiments.catalogue import shipped_metrics
from experiments.errors import DefinitionError, NotFoundError, Problem
from experiments.loading import Document, parse_yaml
from experiments.shop import Shop
from experiments.validate import REFUSED_FOR_EXTERNAL, check_document, check_experiment, load_experiment, validate
from tests.helpers.definitions import GOOD, HOLDOUT, assigned, changed, written


def check(shop: Shop, text: str) -> list[Problem]:
    experiment, problems = check_experiment(written(shop, text), shipped_metrics())
    assert (experiment is None) == bool(problems)
    return problems


def test_a_right_definition_is_what_it_says(shop: Shop) -> None:
    experiment = load_experiment(written(shop), shop)
    assert experiment.control.key == "control"
    assert [variant.key for variant in experiment.treatments] == ["als_v2"]
    assert experiment.metrics.keys() == ("revenue_per_unit", "oos_shown_rate", "return_rate", "ctr", "aov")
    assert experiment.analysis.planned_units == 20_000
    assert experiment.assigned_by == "the e-mail tool"


def test_a_definition_may_name_the_shops_own_metrics(shop: Shop) -> None:
    shop.metrics_file.write_text(
        "metrics:\n  own_metric: {label: Own, kind: mean, numerator: {from: sessions, measure: rows},"
        " value_unit: count, direction: increase}\n"
    )
    experiment = load_experiment(written(shop, changed(("[ctr, aov]", "[ctr, own_metric]"))), shop)
    assert experiment.metrics.secondary == ("ctr", "own_metric")


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ('  - {key: als_v2, weight: "1", strategy: als}\n', "", "too_few_variants", "variants"),
        ("is_control: true", "is_control: false", "no_control", "variants"),
        ("strategy: als}", "strategy: als, is_control: true}", "several_controls", "variants[1].is_control"),
        ("key: als_v2, weight", "key: control, weight", "variant_twice", "variants[1].key"),
        ('als_v2, weight: "1"', 'als_v2, weight: "0.5"', "weight_precision", "variants[1].weight"),
        ('als_v2, weight: "1"', 'als_v2, weight: "one"', "weight_precision", "variants[1].weight"),
        ('als_v2, weight: "1"', 'als_v2, weight: "0"', "zero_weight", "variants[1].weight"),
        ('als_v2, weight: "1"', 'als_v2, weight: "-1"', "negative_weight", "variants[1].weight"),
        ('als_v2, weight: "1"', "als_v2, weight: 1", "wrong_type", "variants[1].weight"),
        ("strategy: als}", "strategy: als, params: {factors: 64}}", "refused_for_external", "variants[1].params"),
        ("[homepage]", "[homepage, homepage]", "module_twice", "modules[1]"),
        ("2026-12-29T09:00:00Z", "2026-12-01T09:00:00Z", "schedule_order", "schedule.end_at"),
        ("2026-12-29T09:00:00Z", "2026-12-01T10:00:00+02:00", "schedule_order", "schedule.end_at"),
        (", end_at: 2026-12-29T09:00:00Z}", "}\n#", "no_end", "schedule.end_at"),
        ("success: [revenue_per_unit]", "success: [revenue_per_unt]", "unknown_metric", "metrics.success[0]"),
        ("oos_shown_rate,", "oos_shown,", "unknown_metric", "metrics.guardrails[0]"),
        ("[ctr, aov]", "[ctr, aovv]", "unknown_metric", "metrics.secondary[1]"),
        ("[ctr, aov]", "[ctr, revenue_per_unit]", "metric_twice", "metrics.secondary[1]"),
        ("[ctr, aov]", "[ctr, ctr]", "metric_twice", "metrics.secondary[1]"),
        ("[oos_shown_rate,", "[sessions_per_unit,", "no_margin", "metrics.guardrails[0]"),
        ('margin: "0.20"', 'margin: "0.20", margin_abs: "1"', "two_margins", "metrics.guardrails[1]"),
        ("{relative:", "{money_per_1000_units:", "materiality", "analysis.materiality.revenue_per_unit"),
        ("slices: {money_per_1000_units:", "slices: {relative:", "materiality", "analysis.materiality.slices"),
        ("materiality: {revenue_per_unit:", "materiality: {ctr:", "materiality_role", "analysis.materiality.ctr"),
        ("materiality: {revenue_per_unit:", "materiality: {revnue:", "unknown_metric", "analysis.materiality.revnue"),
        ('{relative: "0.005"}', '{relative: "5"}', "out_of_range", "analysis.materiality.revenue_per_unit.relative"),
        ("planned_units: 20000", "returning: include", "not_in_this_version", "analysis.returning"),
        ("planned_units: 20000", "design: group_sequential", "not_in_this_version", "analysis.design"),
        ("planned_units: 20000", "looks: []", "not_in_this_version", "analysis.looks"),
        ("assignment: external", "assignment: elsewhere", "unknown_value", "assignment"),
        ("assignment: external\n", "", "missing_field", "assignment"),
        ("assignment: external", "assignment: external\ndesign: switchback", "not_in_this_version", "design"),
        ("assignment: external", "assignment: external\ndesign: interleaving", "not_in_this_version", "design"),
        ("unit_type: user", "unit_type: request", "not_in_this_version", "unit_type"),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(shop: Shop, old: str, new: str, code: str, path: str) -> None:
    text = changed((old, new))
    if code == "no_end":
        text = text.replace("analysis:\n", "analysis:\n  design: fixed\n")
    assert [(problem.code, problem.path) for problem in check(shop, text)] == [(code, path)]


@pytest.mark.parametrize("field", sorted(REFUSED_FOR_EXTERNAL))
def test_what_only_truelifts_assignment_means_is_refused_with_the_reason(shop: Shop, field: str) -> None:
    (problem,) = check(shop, f"{GOOD}{field}: something\n")
    assert (problem.code, problem.path, problem.next_step) == ("refused_for_external", field, "remove it")
    assert "assigned by another system" in problem.message
    assert problem.line == len(GOOD.splitlines()) + 1


@pytest.mark.parametrize("weights", [("1", "1"), ("9", "1"), ("1", "12")])
def test_whole_number_ratios_are_weights(shop: Shop, weights: tuple[str, str]) -> None:
    text = GOOD.replace('control, weight: "1"', f'control, weight: "{weights[0]}"')
    text = text.replace('als_v2, weight: "1"', f'als_v2, weight: "{weights[1]}"')
    assert check(shop, text) == []


def test_what_came_as_json_without_lines_is_refused_alike() -> None:
    document, _ = parse_yaml(f"{GOOD}salt: abc.1\n".replace("strategy: als}", "strategy: als, params: {}}"))
    assert document is not None
    _, problems = check_document(Document(document.value, {}), shipped_metrics())
    assert [(problem.code, problem.path) for problem in problems] == [
        ("refused_for_external", "salt"),
        ("refused_for_external", "variants[1].params"),
    ]
    assert problems[0].line is None


def test_a_definition_of_the_handbook_that_truelift_would_assign_is_not_silently_read_as_another(shop: Shop) -> None:
    text = changed(("assignment: external", "assignment: external\nramp: []\nholdouts: []"))
    assert [problem.path for problem in check(shop, text)] == ["ramp", "holdouts"]


def test_all_problems_are_said_at_once_in_the_order_of_the_file(shop: Shop) -> None:
    problems = check(
        shop,
        """\
key: Home
name: Homepage
nam: x
owner: 5
assignment: external
salt: abc
modules: [homepage]
variants:
  - {key: control, weight: "0.5"}
  - {key: control, weight: "0"}
schedule: {start_at: 2026-12-30T09:00:00, end_at: 2026-12-29T09:00:00Z}
metrics:
  success: [revenue_per_unt]
  guardrails: [ctr, {metric: return_rate, margin: 0.1}]
  secondary: [return_rate]
analysis:
  design: group_sequential
  alpha: "0.9"
  materiality: {aov: {relative: "2"}}
""",
    )
    assert [(problem.line, problem.code) for problem in problems] == [
        (1, "key_format"),
        (3, "unknown_field"),
        (4, "wrong_type"),
        (6, "refused_for_external"),
        (8, "no_control"),
        (9, "weight_precision"),
        (10, "zero_weight"),
        (10, "variant_twice"),
        (11, "naive_time"),
        (13, "unknown_metric"),
        (14, "value"),
        (14, "no_margin"),
        (15, "metric_twice"),
        (17, "not_in_this_version"),
        (18, "out_of_range"),
        (19, "out_of_range"),
    ]


def test_a_refusal_names_the_thing_the_nearest_and_the_next_step(shop: Shop) -> None:
    path = written(shop, changed(("[revenue_per_unit]", "[revenue_per_unt]"), ("materiality: {rev", "# {rev")))
    with pytest.raises(DefinitionError) as raised:
        load_experiment(path, shop)
    assert str(raised.value) == (
        f"{path}: 1 problem\n"
        "  unknown_metric: line 15, metrics.success[0]: there is no metric revenue_per_unt "
        "(nearest: revenue_per_unit, net_revenue_per_unit, revenue_per_slate); `experiments/metrics.yml` lists the "
        "shipped ones; the shop's own are in its metrics.yml"
    )
    assert raised.value.exit_code == 2


def test_a_file_that_is_no_definition_at_all(shop: Shop) -> None:
    assert [problem.code for problem in check(shop, "- a\n")] == ["wrong_type"]
    assert [problem.code for problem in check(shop, "")] == ["yaml"]
    with pytest.raises(NotFoundError):
        check_experiment(shop.definitions / "none.yml", shipped_metrics())


# --- validate: everything of a shop ---------------------------------------------------------------------------


def test_validate_looks_at_metrics_slices_and_each_definition(shop: Shop) -> None:
    good = written(shop)
    bad = written(shop, changed(("is_control: true", "is_control: false")), "bad.yml")
    metrics, slices, money, *layers, first, second = validate(shop, [good, bad])
    assert (money.path, money.problems) == (shop.money_file, ())
    assert [layer.summary for layer in layers][:1] == ["layer cart: cart; asked for by rec.cart"]
    assert (metrics.path, metrics.problems) == (shop.metrics_file, ())
    assert metrics.summary == "0 metrics beside 22 shipped ones"
    assert (slices.path, slices.summary) == (shop.slices_file, "7 slices")
    assert first.problems == ()
    assert first.summary == (
        "home_als_v2: control, als_v2; 1 success, 2 guardrail and 2 secondary metrics; always_valid from 2026-12-01"
    )
    assert [problem.code for problem in second.problems] == ["no_control"]


NEEDS = ("prerequisites: []", "prerequisites: [{experiment: cart_als, variants: [als_v2]}]")


def on_the_cart(*replacements: tuple[str, str]) -> str:
    """A definition beside the homepage's, on a layer of its own."""
    return assigned(
        ("key: home_als_v3", "key: cart_als"), ("modules: [homepage]", "modules: [cart]"), ("rec.homepage", "rec.cart"),
        ("{key: homepage", "{key: cart"), *replacements,
    )  # fmt: skip


def judged(shop: Shop, *paths: Path) -> dict[str, list[str]]:
    """The codes of each definition's problems, in whatever order the files are named: it makes no difference."""
    (shop.holdouts / "global_h2.yml").write_text(HOLDOUT)
    orders = [
        {
            one.path.name: [problem.code for problem in one.problems]
            for one in validate(shop, order)
            if one.path in paths
        }
        for order in (paths, paths[::-1])
    ]
    assert orders[0] == orders[1]
    return orders[0]


def test_a_prerequisite_may_stand_in_any_file_of_the_call(shop: Shop) -> None:
    home, cart = written(shop, assigned(NEEDS), "home.yml"), written(shop, on_the_cart(), "cart.yml")
    assert judged(shop, home, cart) == {"home.yml": [], "cart.yml": []}
    assert judged(shop, home) == {"home.yml": ["unknown_experiment"]}


def test_files_are_held_against_each_other_whatever_comes_first(shop: Shop) -> None:
    circle = ("prerequisites: []", "prerequisites: [{experiment: home_als_v3, variants: [als_v2]}]")
    home = written(shop, assigned(NEEDS), "home.yml")
    assert judged(shop, home, written(shop, on_the_cart(circle), "cart.yml")) == {
        "home.yml": ["prerequisite_cycle"], "cart.yml": ["prerequisite_cycle"],
    }  # fmt: skip
    same = written(
        shop, assigned(("key: home_als_v3", "key: other"), ("schedule:", "salt: x.1\nschedule:")), "same.yml"
    )
    assert judged(shop, written(shop, assigned(("schedule:", "salt: x.1\nschedule:")), "home.yml"), same) == {
        "home.yml": ["layer_overlap", "salt_collision"], "same.yml": ["layer_overlap", "salt_collision"],
    }  # fmt: skip


def test_what_is_wrong_with_another_file_is_said_there_only(shop: Shop) -> None:
    home = written(shop, assigned(NEEDS), "home.yml")
    cart = written(shop, on_the_cart(("holdouts: [global_h2]", "holdouts: [gone]")), "cart.yml")
    assert judged(shop, home, cart) == {"home.yml": [], "cart.yml": ["unknown_holdout"]}
    cart = written(shop, on_the_cart(("owner: recs-team", "owner: 5")), "cart.yml")
    assert judged(shop, home, cart) == {"home.yml": [], "cart.yml": ["wrong_type"]}


def test_a_metric_that_is_wrong_in_the_catalogue_is_not_also_called_unknown(shop: Shop) -> None:
    shop.metrics_file.write_text("metrics:\n  own_metric: {label: Own}\n")
    path = written(shop, changed(("[ctr, aov]", "[own_metric, nothing]")))
    metrics, *_, checked = validate(shop, [path])
    assert {problem.code for problem in metrics.problems} == {"missing_field"}
    assert [problem.value for problem in checked.problems] == ["nothing"]
    with pytest.raises(DefinitionError, match=r"metrics\.yml"):
        load_experiment(Path(path), shop)
