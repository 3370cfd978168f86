"""What a definition may become, before and while it runs."""

import pytest

from experiments import lifecycle
from experiments.errors import DefinitionError
from experiments.spec import Assigned
from tests.helpers.assigned_shop import FLAT, KEY, Desk
from tests.helpers.definitions import ASSIGNED, HOLDOUT


def codes(raised: pytest.ExceptionInfo[DefinitionError]) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in raised.value.problems]


def changed(*pairs: tuple[str, str]) -> str:
    text = FLAT
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_registering_keeps_the_salt_the_ground_and_one_audit_row_each(desk: Desk) -> None:
    known = desk.propose()
    assert isinstance(known.experiment, Assigned)
    assert known.experiment.salt == f"{KEY}.1"
    actions = [row.action for row in desk.store.audit()]
    assert actions == ["register_layer", "register_holdout", "register"]
    assert not desk.propose().changed
    assert len(desk.store.audit()) == 3


def test_what_a_definition_does_not_name_is_not_registered_with_it(desk: Desk) -> None:
    plain = changed(("holdouts: [global_h2]\n", ""))
    desk.propose(plain)
    assert (list(desk.store.ground().layers), list(desk.store.ground().holdouts)) == (["homepage"], [])
    desk.propose(changed((KEY, "second"), ("[[0, 6000]]", "[[6000, 7000]]")))
    assert list(desk.store.ground().holdouts) == ["global_h2"]


def test_a_module_that_moved_to_another_layer_is_refused_until_both_files_are_registered(desk: Desk) -> None:
    desk.register_ground()
    pdp, home = desk.shop.layers / "pdp.yml", desk.shop.layers / "homepage.yml"
    slot = "\n  - {flag_key: rec.pdp, module: pdp, default_strategy: popularity}\n"
    home.write_text(home.read_text(encoding="utf-8").replace("modules: [homepage]", "modules: [homepage, pdp]") + slot)
    pdp.unlink()
    with pytest.raises(DefinitionError) as raised:
        desk.propose()
    assert codes(raised) == [("module_twice", "layers/homepage.yml"), ("flag_conflict", "layers/homepage.yml")]
    assert "pdp is in layer pdp as that is registered; `truelift register layers/homepage.yml`" in str(raised.value)
    desk.register_ground()
    assert desk.propose().changed


def test_a_wrong_one_registers_nothing_not_even_its_ground(desk: Desk) -> None:
    with pytest.raises(DefinitionError, match="unknown_strategy"):
        desk.propose(changed(("strategy: als,", "strategy: asl,")))
    assert desk.store.audit() == []


def test_overlapping_buckets_are_refused_until_the_other_is_stopped(desk: Desk) -> None:
    desk.begin()
    other = changed((KEY, "second"), ("2026-12-29", "2027-02-28"))
    with pytest.raises(DefinitionError) as raised:
        desk.propose(other)
    assert codes(raised) == [("layer_overlap", "layer.ranges")]
    assert "belongs to home_als_v3 (running)" in str(raised.value)
    assert "free are [6000, 10000)" in str(raised.value)
    lifecycle.stop(desk.store, KEY, "ship", actor="a", reason="it pays", now=desk.now(24))
    assert desk.propose(other).state == "draft"


def test_a_default_salt_that_is_anothers_is_said_before_anything_is_stored(desk: Desk) -> None:
    desk.propose(changed(("unit_type: user", "unit_type: user\nsalt: second.1")))
    with pytest.raises(DefinitionError) as raised:
        desk.propose(changed((KEY, "second"), ("[[0, 6000]]", "[[6000, 7000]]")))
    assert codes(raised) == [("salt_collision", "salt")]


FROZEN = [
    ('als_v2, weight: "0.5"', 'als_v2, weight: "0.25"', "variants[1].weight"),
    ("strategy: als,", "strategy: bpr,", "variants[1].strategy"),
    ("factors: 64", "factors: 32", "variants[1].params.factors"),
    ("value: [web, ios]", "value: [web, app]", "targeting.all[0].value[1]"),
    ("[global_h2]", "[]", "holdouts"),
    ("2026-12-29", "2026-12-30", "schedule.end_at"),
    ("trigger: render", "trigger: serve", "exposure.trigger"),
    ("unit_type: user", "unit_type: user\nsalt: another.1", "salt"),
]


@pytest.mark.parametrize(("old", "new", "path"), FROZEN)
def test_what_a_phase_froze_needs_a_new_phase(desk: Desk, old: str, new: str, path: str) -> None:
    desk.begin()
    text = changed((old, new))
    if "0.25" in new:
        text = text.replace('control, weight: "0.5"', 'control, weight: "0.75"')
    with pytest.raises(DefinitionError) as raised:
        desk.propose(text, at=1)
    assert codes(raised)[-1] == ("immutable_field", path)
    assert "cannot change in phase 1 (running)" in str(raised.value)
    assert "start phase 2 with `truelift new-phase FILE`" in str(raised.value)
    assert desk.store.definition(KEY).version == 1


@pytest.mark.parametrize(("old", "new", "path"), FROZEN)
def test_a_draft_may_change_in_all_of_it(desk: Desk, old: str, new: str, path: str) -> None:
    assert path
    desk.propose()
    text = changed((old, new))
    if "0.25" in new:
        text = text.replace('control, weight: "0.5"', 'control, weight: "0.75"')
    assert desk.propose(text).version == 2


def test_texts_overrides_more_traffic_and_more_buckets_may_change_while_running(desk: Desk) -> None:
    desk.begin()
    text = changed(
        ("name: Homepage ALS v3", "name: Other"), ("unit_id: qa-1", "unit_id: qa-2"),
        ('traffic: "0.25"', 'traffic: "0.5"'), ("[[0, 6000]]", "[[0, 6000], [7000, 8000]]"),
    )  # fmt: skip
    known = desk.propose(text, at=5)
    assert (known.version, known.changed) == (2, True)
    live = desk.store.live(KEY, 1)
    assert [(at.at, at.bp) for at in live.traffic] == [(desk.now(0), 2500), (desk.now(5), 5000)]
    assert [(at.at, at.ranges) for at in live.layer] == [
        (desk.now(0), ((0, 6000),)),
        (desk.now(5), ((0, 6000), (7000, 8000))),
    ]
    shown = lifecycle.amended(desk.store.phase(KEY), known).experiment
    assert isinstance(shown, Assigned)
    assert shown.overrides[0].unit_id == "qa-2"
    assert shown.layer.ranges == ((0, 6000), (7000, 8000))


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ('traffic: "0.25"', 'traffic: "0.2"', "traffic_decreasing", "traffic"),
        ("[[0, 6000]]", "[[0, 5000]]", "immutable_field", "layer.ranges"),
        ("[[0, 6000]]", "[[1, 6001]]", "immutable_field", "layer.ranges"),
    ],
)
def test_nobody_who_takes_part_is_put_out(desk: Desk, old: str, new: str, code: str, path: str) -> None:
    desk.begin()
    with pytest.raises(DefinitionError) as raised:
        desk.propose(changed((old, new)), at=1)
    assert codes(raised) == [(code, path)]


def test_an_old_file_does_not_take_back_traffic_that_a_command_gave(desk: Desk) -> None:
    desk.begin()
    lifecycle.raise_traffic(desk.store, KEY, "0.5", actor="a", reason="", now=desk.now(1))
    assert desk.propose(changed(("name: Homepage ALS v3", "name: Other")), at=2).version == 2
    assert desk.store.live(KEY, 1).traffic_bp == 5000
    with pytest.raises(DefinitionError, match=r"would fall from 0\.5 to 0\.4"):
        desk.propose(changed(('traffic: "0.25"', 'traffic: "0.4"')), at=3)


def test_a_later_ramp_step_may_change_while_running(desk: Desk) -> None:
    desk.begin(ASSIGNED)
    assert desk.store.live(KEY, 1).traffic_bp == 0
    text = ASSIGNED.replace('traffic: "0.25"', 'traffic: "0.5"')
    assert desk.propose(text, at=1).version == 2
    assert desk.store.live(KEY, 1).traffic_bp == 0


def test_the_ground_under_an_experiment_stays(desk: Desk) -> None:
    desk.register_ground()
    desk.begin()
    layer = desk.shop.layers / "homepage.yml"
    text = layer.read_text()
    layer.write_text(text.replace("layer.homepage", "layer.home"))
    with pytest.raises(DefinitionError) as raised:
        lifecycle.register_ground(desk.store, desk.shop, actor="a", reason="", now=desk.now(1))
    assert codes(raised) == [("immutable_field", "layers/homepage.yml: salt")]
    layer.unlink()
    (desk.shop.holdouts / "global_h2.yml").write_text(HOLDOUT.replace("500", "600").replace("homepage, ", ""))
    with pytest.raises(DefinitionError) as raised:
        lifecycle.register_ground(desk.store, desk.shop, actor="a", reason="", now=desk.now(1))
    assert codes(raised) == [
        ("immutable_field", "layers/homepage.yml"),
        ("immutable_field", "holdouts/global_h2.yml"),
    ]
    layer.write_text(text.replace("popularity", "random"))
    (desk.shop.holdouts / "global_h2.yml").write_text(HOLDOUT + "end_at: 2027-01-01T00:00:00Z\n")
    done = lifecycle.register_ground(desk.store, desk.shop, actor="a", reason="", now=desk.now(1))
    assert done == ("layer homepage", "holdout global_h2")
    assert desk.store.ground().slots["rec.homepage"][1].default_strategy == "random"


def test_ground_nobody_stands_on_may_go_and_its_salt_stays_taken(desk: Desk) -> None:
    desk.register_ground()
    desk.propose()
    (desk.shop.layers / "cart.yml").unlink()
    assert lifecycle.register_ground(desk.store, desk.shop, actor="a", reason="", now=desk.now(1)) == ("layer cart",)
    assert desk.store.salts()["layer.cart"] == "layer cart"


def test_differences_name_every_field_with_both_values(desk: Desk) -> None:
    one = desk.propose().experiment
    other = desk.propose(changed(("factors: 64", "factors: 32"), ("owner: recs-team", "owner: others"))).experiment
    assert sorted(lifecycle.differences(one, other)) == [
        (("owner",), "recs-team", "others"),
        (("variants", 1, "params", "factors"), 64, 32),
    ]
