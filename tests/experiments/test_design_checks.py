"""What the design of an experiment asks of its other fields, and what is refused."""

import pytest

from experiments.catalogue import shipped_metrics
from experiments.design_checks import WINDOWS
from experiments.designs import unread
from experiments.errors import Problem
from experiments.layers import load_ground
from experiments.loading import parse, parse_yaml
from experiments.own_checks import Around, Neighbour
from experiments.shop import Shop
from experiments.spec import DEFINITION, Assigned
from experiments.validate import check_experiment
from tests.helpers.definitions import ASSIGNED, INTERLEAVING, SWITCHBACK, layer_of, written


@pytest.fixture
def around(shop: Shop) -> Around:
    """A layer of cells and one of requests, with nobody on them."""
    (shop.layers / "delivery.yml").write_text(layer_of("delivery", "cluster_window"))
    (shop.layers / "search.yml").write_text(layer_of("search", "request"))
    return Around(load_ground(shop))


def declared(text: str) -> Assigned:
    document, _ = parse_yaml(text)
    assert document is not None
    made, problems = parse(Assigned, document)
    assert made is not None, problems
    return made


def check(shop: Shop, around: Around, text: str) -> list[Problem]:
    experiment, problems = check_experiment(written(shop, text), shipped_metrics(), around)
    assert (experiment is None) == bool(problems)
    return problems


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("text", [SWITCHBACK, INTERLEAVING, replaced(SWITCHBACK, ", burn_in_minutes: 30", "")])
def test_the_good_ones_are_right_and_stay_what_they_are_in_the_store(shop: Shop, around: Around, text: str) -> None:
    assert check(shop, around, text) == []
    made = declared(text)
    assert DEFINITION.validate_python(made.model_dump(mode="json", by_alias=True)) == made


def test_a_definition_without_windows_is_stored_as_before_there_were_any() -> None:
    assert "switchback" not in declared(replaced(ASSIGNED, "[global_h2]", "[]")).model_dump(mode="json")


CLOCK = "{cluster: city, window_minutes: 240, burn_in_minutes: 30}"
SECOND = '{key: als_v2, weight: "0.5", strategy: als}'
THIRD = f"{SECOND}\n  - {{key: third, weight: equal, strategy: random}}"


@pytest.mark.parametrize(
    ("text", "old", "new", "code", "path"),
    [
        (SWITCHBACK, "unit_type: cluster_window", "unit_type: user", "unit_mismatch_design", "unit_type"),
        (SWITCHBACK, f"switchback: {CLOCK}\n", "", "missing_field", "switchback"),
        (SWITCHBACK, "cluster: city, ", "", "missing_field", "switchback.cluster"),
        (SWITCHBACK, "cluster: city", "cluster: ''", "empty", "switchback.cluster"),
        (SWITCHBACK, "cluster: city", "clusters: city", "missing_field", "switchback.cluster"),
        (SWITCHBACK, "minutes: 240", "minutes: 250", "window_length", "switchback.window_minutes"),
        (SWITCHBACK, "minutes: 240", "minutes: 0", "out_of_range", "switchback.window_minutes"),
        (SWITCHBACK, "minutes: 240", "minutes: 2880", "out_of_range", "switchback.window_minutes"),
        (SWITCHBACK, "minutes: 240", "minutes: 1.5", "wrong_type", "switchback.window_minutes"),
        (SWITCHBACK, "in_minutes: 30", "in_minutes: 240", "burn_in", "switchback.burn_in_minutes"),
        (SWITCHBACK, "in_minutes: 30", "in_minutes: -1", "out_of_range", "switchback.burn_in_minutes"),
        (SWITCHBACK, "exposure: {trigger: serve}\n", "", "exposure_trigger", "exposure"),
        (SWITCHBACK, "trigger: serve", "trigger: render", "exposure_trigger", "exposure.trigger"),
        (SWITCHBACK, "design: switchback", "design: swichback", "unknown_value", "design"),
        (INTERLEAVING, "unit_type: request", "unit_type: session", "unit_mismatch_design", "unit_type"),
        (INTERLEAVING, "trigger: serve", "trigger: render", "exposure_trigger", "exposure.trigger"),
        (INTERLEAVING, "unit_type: request", f"unit_type: request\nswitchback: {CLOCK}", "refused_for_design",
         "switchback"),
        (INTERLEAVING, "strategy: als", "strategy: no_recommendations", "no_ranking", "variants[1].strategy"),
        (INTERLEAVING, "is_control: true", "is_control: false", "no_control", "variants"),
        (INTERLEAVING, f"  - {SECOND}\n", "", "too_few_variants", "variants"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_design_is_named_where_it_stands(
    shop: Shop, around: Around, text: str, old: str, new: str, code: str, path: str
) -> None:
    found = [(problem.code, problem.path) for problem in check(shop, around, replaced(text, old, new))]
    assert (code, path) in found
    assert {code for code, _ in found} <= {code, "unit_mismatch_layer", "unknown_field"}


def test_teams_have_equal_weights_and_are_two(shop: Shop, around: Around) -> None:
    unequal = replaced(replaced(INTERLEAVING, SECOND, SECOND.replace("0.5", "0.4")), '"0.5"', '"0.6"')
    assert [(problem.code, problem.path) for problem in check(shop, around, unequal)] == [
        ("unequal_teams", "variants[0].weight"),
        ("unequal_teams", "variants[1].weight"),
    ]
    three = replaced(INTERLEAVING, f"  - {SECOND}", f"  - {THIRD}").replace('"0.5"', "equal")
    assert [(problem.code, problem.path) for problem in check(shop, around, three)] == [
        ("too_many_variants", "variants")
    ]
    assert check(shop, around, INTERLEAVING.replace('"0.5"', "equal")) == []


def test_a_window_that_does_not_divide_a_day_names_those_that_do(shop: Shop, around: Around) -> None:
    [problem] = check(shop, around, replaced(SWITCHBACK, "minutes: 240", "minutes: 250"))
    assert problem.nearest == ("180", "240", "288")
    assert problem.next_step == "write 180, 240 or 288"
    assert all(24 * 60 % minutes == 0 for minutes in WINDOWS)
    for minutes in (15, 60, 1440):
        good = replaced(replaced(SWITCHBACK, "minutes: 240", f"minutes: {minutes}"), "in_minutes: 30", "in_minutes: 5")
        assert check(shop, around, good) == []


def test_a_person_cannot_be_a_cell_nor_the_other_way_round(shop: Shop, around: Around) -> None:
    cells = replaced(replaced(SWITCHBACK, "design: switchback\n", ""), f"switchback: {CLOCK}\n", "")
    assert [problem.code for problem in check(shop, around, cells)] == ["unit_mismatch_design"]
    requests = replaced(INTERLEAVING, "design: interleaving\n", "")
    assert check(shop, around, requests) == []  # an A/B test of requests is served and logged


def test_a_layer_of_cells_has_one_kind_of_cell(shop: Shop, around: Around) -> None:
    half = replaced(SWITCHBACK, "[[0, 10000]]", "[[0, 5000]]")
    there = replaced(replaced(SWITCHBACK, "city_prices", "other_cells"), "[[0, 10000]]", "[[5000, 10000]]")
    for change in (("cluster: city", "cluster: zone"), ("window_minutes: 240", "window_minutes: 60")):
        for state in ("running", "draft", "stopped"):
            wanted = [] if state == "stopped" else ["switchback_mismatch"]
            beside = Around(around.ground, {"other_cells": Neighbour(state, declared(replaced(there, *change)))})
            assert [problem.code for problem in check(shop, beside, half)] == wanted
    same = declared(replaced(there, "in_minutes: 30", "in_minutes: 10"))
    assert check(shop, Around(around.ground, {"other_cells": Neighbour("running", same)}), half) == []


def test_a_step_that_needs_a_readout_is_refused_where_there_is_none(shop: Shop, around: Around) -> None:
    ramp = 'ramp:\n  - {at: 2026-12-02T09:00:00Z, traffic: "0.5", require: [srm]}\nschedule:'
    for text in (SWITCHBACK, INTERLEAVING):
        found = check(shop, around, replaced(text, "schedule:", ramp))
        assert [(problem.code, problem.path) for problem in found] == [("ramp_require", "ramp[0].require")]


def test_nobody_can_be_asked_to_have_an_arm_of_an_interleaving(shop: Shop, around: Around) -> None:
    requests = replaced(replaced(INTERLEAVING, "design: interleaving\n", ""), "rank_duel", "request_test")
    needs = "prerequisites: [{experiment: rank_duel, variants: [als_v2]}]\nvariants:"
    beside = Around(around.ground, {"rank_duel": Neighbour("stopped", declared(INTERLEAVING))})
    found = check(shop, beside, replaced(requests, "variants:", needs))
    assert [(problem.code, problem.path) for problem in found] == [
        ("prerequisite_design", "prerequisites[0].experiment")
    ]


def test_another_systems_clusters_are_not_read(shop: Shop, around: Around) -> None:
    text = replaced(SWITCHBACK, "assignment: truelift", "assignment: external")
    codes = {(problem.code, problem.path) for problem in check(shop, around, text)}
    assert {("not_in_this_version", "design"), ("not_in_this_version", "unit_type")} <= codes


@pytest.mark.parametrize(
    ("design", "unit_type", "said"),
    [
        ("ab", "user", None),
        ("ab", "session", None),
        ("ab", "request", "hang together"),
        ("switchback", "cluster_window", "whole windows"),
        ("interleaving", "request", "never what either adds"),
    ],
)
def test_what_no_readout_is_made_of_says_why(design: str, unit_type: str, said: str | None) -> None:
    why = unread(design, unit_type)
    assert why is None if said is None else said in str(why)
