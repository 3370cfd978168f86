"""What the store keeps for truelift's own assignment: changes by revision, ground, salts, tokens; on each engine."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from experiments.errors import ConflictError, NotFoundError
from experiments.layers import Ground
from experiments.loading import parse, parse_yaml
from experiments.placement import Holdout, Layer, Slot, TrafficStep
from experiments.spec import Assigned, Experiment, Live, Phase
from experiments.store import Decision, Registered, State, Store, Token, engine
from tests.helpers.definitions import ASSIGNED, GOOD, assigned

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
LAYER = Layer(
    key="homepage",
    salt="layer.homepage",
    modules=("homepage",),
    slots=(Slot(flag_key="rec.homepage", module="homepage", default_strategy="popularity"),),
)
HOLDOUT = Holdout(key="h2", salt="holdout.h2", buckets=((0, 500),), modules=("homepage",), start_at=NOW)
TOKEN = Token("t1", "shop", "ab" * 32, ("evaluate", "read"), NOW, NOW + timedelta(days=30), None)


def own(text: str = ASSIGNED) -> Assigned:
    document, _ = parse_yaml(text)
    assert document is not None
    made, problems = parse(Assigned, document)
    assert made is not None, problems
    return made


def save(store: Store, experiment: Experiment, expected: int = 0) -> None:
    store.save_definition(experiment, {}, expected_version=expected, actor="ann", reason="try", now=NOW)


def begin(store: Store, experiment: Experiment, live: Live | None = None) -> Phase:
    phase = Phase(number=1, experiment=experiment, metrics={}, slices=(), started_at=NOW, planned_units=10)
    key = experiment.key
    store.save_phase(key, phase, expected_version=1, actor="ann", reason="go", now=NOW, live=live)
    return phase


def test_an_assigned_definition_comes_back_with_its_order_and_revision(store: Store) -> None:
    save(store, own())
    save(store, own(assigned(("home_als_v3", "second"), ("[[0, 6000]]", "[[6000, 7000]]"))))
    first, second = store.registered()
    assert isinstance(first.experiment, Assigned)
    assert (first.order, second.order) == (1, 2)
    assert store.version("home_als_v3", 1) == own()
    with pytest.raises(NotFoundError, match="no version 2; its versions are 1 to 1"):
        store.version("home_als_v3", 2)


def test_a_change_is_made_once_from_the_revision_that_was_seen(store: Store) -> None:
    save(store, own())
    begin(store, own(), Live(traffic=(TrafficStep(at=NOW, bp=100),)))
    seen = store.definition("home_als_v3").revision
    grown = Live(traffic=(TrafficStep(at=NOW, bp=100), TrafficStep(at=NOW + timedelta(days=1), bp=500)))
    changed = store.change(
        "home_als_v3", action="traffic", expected_revision=seen, actor="ann", reason="more", now=NOW, live=(1, grown)
    )
    assert changed.revision == seen + 1
    assert store.live("home_als_v3", 1) == grown
    with pytest.raises(ConflictError, match=f"revision {seen + 1}, this change was made from {seen}"):
        store.change(
            "home_als_v3", action="pause", expected_revision=seen, actor="ben", reason="", now=NOW, state="paused"
        )
    killed = store.change(
        "home_als_v3", action="kill", expected_revision=None, actor="ben", reason="now", now=NOW, killed=True
    )
    assert (killed.killed, killed.state) == (True, "running")
    last = store.audit()[-1]
    assert (last.action, last.before, last.after) == ("kill", '{"killed":false}', '{"killed":true}')
    assert store.verify_audit() == ()


@pytest.mark.parametrize(
    ("state", "decided", "read"),
    [("draft", False, False), ("scheduled", False, False), ("running", False, True), ("paused", False, True),
     ("stopped", False, True), ("stopped", True, False), ("archived", True, False)],
)  # fmt: skip
def test_who_still_waits_for_a_readout(state: State, decided: bool, read: bool) -> None:
    decision = Decision("ship", "it pays", NOW) if decided else None
    assert Registered("k", 1, state, own(), NOW, "d", {}, decision=decision).is_read is read


def test_nobody_waits_for_a_readout_that_is_never_made() -> None:
    duel = own().model_copy(update={"design": "interleaving", "unit_type": "request"})
    assert not Registered("k", 1, "running", duel, NOW, "d", {}).is_read


def test_a_decision_is_kept(store: Store) -> None:
    save(store, own())
    decision = Decision("ship", "it pays", NOW)
    store.change(
        "home_als_v3", action="stop", expected_revision=None, actor="ann", reason="it pays", now=NOW,
        state="stopped", decision=decision,
    )  # fmt: skip
    assert store.definition("home_als_v3").decision == decision


def test_buckets_that_became_anothers_meanwhile_are_refused_in_the_store_itself(store: Store) -> None:
    save(store, own())
    with pytest.raises(ConflictError, match=r"\[5000, 6000\) of layer homepage belongs to home_als_v3"):
        save(store, own(assigned(("home_als_v3", "second"), ("[[0, 6000]]", "[[5000, 7000]]"))))
    assert [known.key for known in store.registered()] == ["home_als_v3"]


def test_a_salt_is_its_owners_for_ever(store: Store) -> None:
    save(store, own().model_copy(update={"salt": "home.1"}))
    other = own(assigned(("home_als_v3", "second"), ("[[0, 6000]]", "[[6000, 7000]]")))
    with pytest.raises(ConflictError, match=r"experiment second: salt home\.1 is the salt of experiment home_als_v3"):
        save(store, other.model_copy(update={"salt": "home.1"}))
    save(store, own().model_copy(update={"salt": "home.2"}), expected=1)
    with pytest.raises(ConflictError, match="for ever"):
        save(store, other.model_copy(update={"salt": "home.1"}))
    assert store.salts() == {"home.1": "experiment home_als_v3", "home.2": "experiment home_als_v3"}
    wrong = Ground({"homepage": LAYER.model_copy(update={"salt": "home.1"})})
    with pytest.raises(ConflictError, match=r"layer homepage: salt home\.1"):
        store.save_ground(wrong, actor="ann", reason="", now=NOW)
    assert store.ground() == Ground()


def test_ground_is_replaced_together_with_an_audit_row_for_each_change(store: Store) -> None:
    ground = Ground({"homepage": LAYER}, {"h2": HOLDOUT})
    said = store.save_ground(ground, actor="ann", reason="first", now=NOW)
    assert said == ("layer homepage", "holdout h2")
    assert store.ground() == ground
    assert store.save_ground(ground, actor="ann", reason="again", now=NOW) == ()
    assert store.save_ground(Ground({"homepage": LAYER}), actor="ann", reason="over", now=NOW) == ("holdout h2",)
    assert [row.action for row in store.audit()] == ["register_layer", "register_holdout", "remove_holdout"]
    assert store.audit()[-1].after is None
    assert store.verify_audit() == ()
    assert store.salts()["holdout.h2"] == "holdout h2"


def test_what_stands_is_seen_at_one_moment(store: Store) -> None:
    assert store.standing().config_version == store.config_version() == 0
    store.save_ground(Ground({"homepage": LAYER}), actor="ann", reason="", now=NOW)
    save(store, own())
    save(store, own(assigned(("home_als_v3", "second"), ("[[0, 6000]]", "[[6000, 7000]]"))))
    live = Live(traffic=(TrafficStep(at=NOW, bp=100),), disabled=("als_v2",))
    phase = begin(store, own(), live)
    standing = store.standing()
    assert standing.config_version == store.config_version() == 4
    assert [each.registered.key for each in standing.experiments] == ["home_als_v3", "second"]
    first, second = standing.experiments
    assert (first.phase, first.live) == (phase, live)
    assert (second.phase, second.live) == (None, Live())
    assert standing.ground == store.ground()


def test_tokens_are_kept_and_revoked_once(store: Store) -> None:
    store.add_token(TOKEN, actor="ann", reason="the shop")
    assert store.tokens() == [TOKEN]
    with pytest.raises(ConflictError, match="named shop already"):
        store.add_token(replace(TOKEN, token_id="t2", digest="cd" * 32), actor="ann", reason="")
    gone = store.revoke_token("t1", actor="ben", reason="left", now=NOW + timedelta(days=1))
    assert gone.revoked_at == NOW + timedelta(days=1)
    assert store.revoke_token("t1", actor="ben", reason="left", now=NOW + timedelta(days=2)) == gone
    store.add_token(replace(TOKEN, token_id="t2", digest="cd" * 32), actor="ann", reason="")
    assert [token.token_id for token in store.tokens()] == ["t1", "t2"]
    with pytest.raises(NotFoundError, match="no token t3"):
        store.revoke_token("t3", actor="ben", reason="", now=NOW)
    assert [row.action for row in store.audit()] == ["create_token", "revoke_token", "create_token"]
    assert "ab" * 32 not in json.dumps([row.after for row in store.audit()])


@pytest.mark.parametrize(
    ("now", "valid"), [(NOW, True), (NOW + timedelta(days=30), False), (NOW + timedelta(days=40), False)]
)
def test_a_token_is_valid_until_it_expires(now: datetime, valid: bool) -> None:
    assert TOKEN.valid(now) is valid
    assert not replace(TOKEN, revoked_at=NOW).valid(NOW)


def test_a_store_of_the_version_before_keeps_what_it_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    old = create_engine(url)
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("insert into experiments values ('home_als_v2', 1, 'running')"))
        document, _ = parse_yaml(GOOD)
        assert document is not None
        experiment, _ = parse(Experiment, document)
        assert experiment is not None
        at = "2026-12-01 09:00:00.000000"
        phase = Phase(number=1, experiment=experiment, metrics={}, slices=(), started_at=NOW, planned_units=10)
        given = {"body": experiment.model_dump_json(by_alias=True), "phase": phase.model_dump_json(by_alias=True)}
        connection.execute(
            text(f"insert into definitions values ('home_als_v2', 1, 'd', :body, '{{}}', '{at}')"), given
        )
        connection.execute(text(f"insert into phases values ('home_als_v2', 1, 1, '{at}', '{at}', :phase)"), given)
    old.dispose()
    with Store.open(url) as store:
        (known,) = store.registered()
        assert (known.experiment, known.state, known.revision, known.killed) == (experiment, "running", 0, False)
        assert store.phase("home_als_v2") == phase
        assert store.live("home_als_v2", 1) == Live()
