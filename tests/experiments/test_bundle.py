"""The bundle: what stands in the store, in the form that every evaluator compiles."""

import json
from collections.abc import Iterator

import pytest

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.errors import DefinitionError
from experiments.shop import Shop
from experiments.store import Store
from tests.helpers.assigned_shop import FLAT, KEY, Desk
from tests.helpers.definitions import ASSIGNED, GOOD, INTERLEAVING, SWITCHBACK, layer_of

CONTEXT = {"targetingKey": "u1", "platform": "web"}


@pytest.fixture
def desk(shop: Shop) -> Iterator[Desk]:
    with Store.open("sqlite://") as store:
        yield Desk(store, shop)


def only(desk: Desk) -> dict[str, object]:
    experiments = bundle_document(desk.store, desk.shop)["experiments"]
    assert isinstance(experiments, list)
    (experiment,) = experiments
    assert isinstance(experiment, dict)
    return experiment


def test_an_empty_store_is_an_empty_bundle(desk: Desk) -> None:
    document = bundle_document(desk.store, desk.shop)
    assert document == {"schema": "bundle.v1", "config_version": 0, "layers": [], "holdouts": [], "experiments": []}
    compile_bundle(document)


def test_a_draft_as_it_is_registered(desk: Desk) -> None:
    desk.propose(ASSIGNED)
    document = bundle_document(desk.store, desk.shop)
    assert document["config_version"] == len(desk.store.audit())
    assert document["holdouts"] == [
        {
            "key": "global_h2", "salt": "holdout.global_h2", "unit_type": "user", "buckets": [[0, 500]],
            "modules": ["homepage", "pdp"], "strategy": "no_recommendations", "start_at": "2026-07-01T00:00:00Z",
            "end_at": None,
        }
    ]  # fmt: skip
    layers = document["layers"]
    assert isinstance(layers, list)
    assert [layer["key"] for layer in layers] == ["homepage"]
    assert layers[0]["slots"] == [{"flag_key": "rec.homepage", "module": "homepage", "default_strategy": "popularity"}]
    assert only(desk) == {
        "key": KEY, "state": "draft", "killed": False, "order": 1, "phase": 1, "started_at": None,
        "flag_keys": ["rec.homepage"], "modules": ["homepage"], "layer": {"key": "homepage", "ranges": [[0, 6000]]},
        "holdouts": ["global_h2"], "unit_type": "user", "salt": f"{KEY}.1", "hash_version": "md5-32/1",
        "variants": [
            {"key": "control", "is_control": True, "strategy": "popularity", "params": {"half_life_days": 14},
             "start": 0, "end": 5000, "disabled": False},
            {"key": "als_v2", "is_control": False, "strategy": "als", "params": {"factors": 64},
             "start": 5000, "end": 10_000, "disabled": False},
        ],
        "traffic": [],
        "schedule": {"start_at": "2026-12-01T09:00:00Z", "end_at": "2026-12-29T09:00:00Z"},
        "targeting": {"all": [{"attribute": "platform", "operator": "ONE_OF", "value": ["web", "ios"]}]},
        "prerequisites": [], "overrides": [{"unit_id": "qa-1", "variant": "als_v2"}], "trigger": "render",
    }  # fmt: skip
    assert json.loads(json.dumps(document)) == document
    compile_bundle(document)


def test_what_runs_has_its_frozen_arms_and_what_is_live(desk: Desk) -> None:
    desk.begin()
    lifecycle.raise_traffic(desk.store, KEY, "0.5", actor="a", reason="", now=desk.now(1))
    lifecycle.add_ranges(desk.store, KEY, [(6000, 8000)], actor="a", reason="", now=desk.now(2))
    lifecycle.disable_arm(desk.store, KEY, "als_v2", actor="a", reason="", now=desk.now(3))
    lifecycle.add_override(desk.store, KEY, "qa-2", "control", actor="a", reason="", now=desk.now(3))
    lifecycle.kill(desk.store, KEY, actor="a", reason="", now=desk.now(4))
    found = only(desk)
    assert (found["state"], found["killed"], found["started_at"]) == ("running", True, "2026-12-01T09:00:00Z")
    assert found["traffic"] == [
        {"at": "2026-12-01T09:00:00Z", "bp": 2500},
        {"at": "2026-12-01T10:00:00Z", "bp": 5000},
    ]
    assert found["layer"] == {"key": "homepage", "ranges": [[0, 6000], [6000, 8000]]}
    variants = found["variants"]
    assert isinstance(variants, list)
    assert [variant["disabled"] for variant in variants] == [False, True]
    assert found["overrides"] == [
        {"unit_id": "qa-1", "variant": "als_v2"},
        {"unit_id": "qa-2", "variant": "control"},
    ]
    bundle = compile_bundle(bundle_document(desk.store, desk.shop))
    assert evaluate(bundle, "rec.homepage", CONTEXT, desk.now(5)).assignment_reason == "killed"


def test_every_change_of_state_makes_another_version_that_compiles(desk: Desk) -> None:
    versions = []
    for change in (
        lambda: desk.propose(),
        lambda: lifecycle.start(desk.store, desk.shop, KEY, actor="a", reason="", now=desk.now(0)),
        lambda: lifecycle.pause(desk.store, KEY, actor="a", reason="", now=desk.now(1)),
        lambda: lifecycle.stop(desk.store, KEY, "ship", actor="a", reason="it pays", now=desk.now(2)),
        lambda: lifecycle.archive(desk.store, KEY, actor="a", reason="", now=desk.now(3)),
    ):
        change()
        versions.append(compile_bundle(bundle_document(desk.store, desk.shop)).config_version)
    assert versions == sorted(set(versions))


def test_a_new_phase_takes_the_place_of_the_one_before(desk: Desk) -> None:
    desk.begin()
    text = FLAT.replace("start_at: 2026-12-01T09", "start_at: 2026-12-03T00").replace("factors: 64", "factors: 32")
    path = desk.shop.definitions / "two.yml"
    path.write_text(text)
    lifecycle.new_phase(desk.store, desk.shop, path, actor="a", reason="", now=desk.now(48))
    found = only(desk)
    assert (found["phase"], found["salt"], found["started_at"]) == (2, f"{KEY}.2", "2026-12-03T09:00:00Z")
    variants = found["variants"]
    assert isinstance(variants, list)
    assert variants[1]["params"] == {"factors": 32}


def test_what_another_system_assigns_is_not_in_it(desk: Desk) -> None:
    desk.propose(GOOD)
    assert bundle_document(desk.store, desk.shop)["experiments"] == []


def test_what_is_over_and_has_lost_its_layer_does_not_keep_the_bundle_from_compiling(desk: Desk) -> None:
    desk.begin()
    lifecycle.stop(desk.store, KEY, "ship", actor="a", reason="it pays", now=desk.now(2))
    (desk.shop.holdouts / "global_h2.yml").unlink()
    lifecycle.register_ground(desk.store, desk.shop, actor="a", reason="", now=desk.now(3))
    assert (only(desk)["state"], only(desk)["holdouts"]) == ("stopped", [])
    compile_bundle(bundle_document(desk.store, desk.shop))
    (desk.shop.layers / "homepage.yml").unlink()
    lifecycle.register_ground(desk.store, desk.shop, actor="a", reason="", now=desk.now(3))
    document = bundle_document(desk.store, desk.shop)
    assert document["experiments"] == []
    compile_bundle(document)


def test_two_stopped_ones_on_the_same_buckets_compile(desk: Desk) -> None:
    desk.begin()
    lifecycle.stop(desk.store, KEY, "ship", actor="a", reason="it pays", now=desk.now(2))
    desk.propose(FLAT.replace(KEY, "second"))
    lifecycle.start(desk.store, desk.shop, "second", actor="a", reason="", now=desk.now(3))
    bundle = compile_bundle(bundle_document(desk.store, desk.shop))
    contexts = [{**CONTEXT, "targetingKey": f"u{number}"} for number in range(50)]
    asked = {evaluate(bundle, "rec.homepage", each, desk.now(5)).experiment_key for each in contexts}
    assert asked == {"second"}


def test_of_two_changes_at_one_instant_the_last_counts(desk: Desk) -> None:
    desk.begin()
    for share in ("0.5", "0.75"):
        lifecycle.raise_traffic(desk.store, KEY, share, actor="ann", reason="more", now=desk.now(5))
    assert only(desk)["traffic"] == [
        {"at": "2026-12-01T09:00:00Z", "bp": 2500},
        {"at": "2026-12-01T14:00:00Z", "bp": 7500},
    ]
    compile_bundle(bundle_document(desk.store, desk.shop))


@pytest.mark.parametrize("text", [SWITCHBACK, INTERLEAVING], ids=["switchback", "interleaving"])
def test_other_designs_are_served_as_they_are_defined(desk: Desk, text: str) -> None:
    (desk.shop.layers / "delivery.yml").write_text(layer_of("delivery", "cluster_window"))
    (desk.shop.layers / "search.yml").write_text(layer_of("search", "request"))
    desk.begin()
    plain = bundle_document(desk.store, desk.shop)["experiments"]
    key = desk.begin(text).experiment.key
    document = bundle_document(desk.store, desk.shop)
    experiments = document["experiments"]
    assert isinstance(experiments, list)
    assert isinstance(plain, list)
    assert {"design", "switchback"} & set(plain[0]) == set()  # an older reader still reads it
    written = next(entry for entry in experiments if entry["key"] == key)
    plan = compile_bundle(document).plans[key]
    assert written["design"] == plan.design
    assert written.get("switchback") == (
        {"cluster": "city", "window_minutes": 240, "burn_in_minutes": 30} if plan.clock is not None else None
    )
    context = {"city": "berlin", "request_id": "r1"}
    decision = evaluate(compile_bundle(document), plan.flag_keys[0], context, desk.now(5))
    assert decision.assignment_reason == ("split" if plan.clock is not None else "interleaved")


def test_the_windows_of_a_phase_that_runs_stay_what_they_are(desk: Desk) -> None:
    (desk.shop.layers / "delivery.yml").write_text(layer_of("delivery", "cluster_window"))
    desk.begin(SWITCHBACK)
    with pytest.raises(DefinitionError, match="switchback cannot change in phase 1"):
        desk.propose(SWITCHBACK.replace("minutes: 240", "minutes: 120"), at=2)
