"""The audit beside the store: whatever is cut off, taken out or about nothing is told, on every engine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from experiments import lifecycle
from experiments.shop import create
from experiments.store import Event, Store, Token
from experiments.store.cross_check import Subjects, disagreements
from experiments.store.engine import connect
from tests.helpers.assigned_shop import FLAT, KEY, Desk
from tests.helpers.definitions import written

NOTHING = Subjects((), (), (), ())


def played(url: str, home: Path, *more: Callable[[Desk], object]) -> int:
    """An experiment that was registered, started and moved about, with all that an audit tells of; its rows."""
    with Store.open(url) as store:
        desk = Desk(store, create(home / "shop", currency="EUR"))
        desk.register_ground()
        desk.begin(FLAT)
        store.change(
            KEY, action="pause", expected_revision=None, actor="ann", reason="why", now=desk.now(1), state="paused"
        )
        for do in more:
            do(desk)
        assert store.verify_audit() == ()
        return len(store.audit())


def forced(url: str, statement: str) -> tuple[str, ...]:
    """What is said after a statement that the triggers refuse was forced."""
    engine = connect(url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for trigger in ("audit_no_update", "audit_no_delete"):
                connection.execute(text(f"drop trigger {trigger}"))
        else:
            connection.execute(text("drop trigger audit_no_change on audit"))
        connection.execute(text(statement))
    engine.dispose()
    with Store.open(url) as store:
        return store.verify_audit()


def tail(url: str) -> tuple[str, ...]:
    return forced(url, "delete from audit where number = (select max(number) from audit)")


def test_a_cut_tail_shows(store_url: str, tmp_path: Path) -> None:
    count = played(store_url, tmp_path)
    assert tail(store_url) == (
        f"experiment {KEY}: the store counts 3 changes, the audit tells of 2: rows were cut off or taken out; its "
        f"newest row is {count - 1}",
    )


def close(desk: Desk) -> None:
    event = Event(KEY, 1, "stop_closed", "", "als_v2", desk.now(2), desk.now(2))
    assert desk.store.record_event(event, actor="ann", reason="looked")


def token(desk: Desk) -> None:
    made = Token("t1", "page", "0" * 64, ("evaluate",), desk.now(2), None, None)
    desk.store.add_token(made, actor="ann", reason="")


def revoke(desk: Desk) -> None:
    desk.store.revoke_token("t1", actor="ann", reason="", now=desk.now(3))


def another_layer(desk: Desk) -> None:
    (desk.shop.layers / "more.yml").write_text(
        "key: more\nsalt: layer.more\nmodules: [more]\n"
        "slots: [{flag_key: rec.more, module: more, default_strategy: popularity}]\n"
    )
    desk.register_ground()


def without_it(desk: Desk) -> None:
    (desk.shop.layers / "more.yml").unlink()
    desk.register_ground()


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ([close], f"closed stops of {KEY}: the store counts 1 change, the audit tells of 0"),
        ([token], "token t1: the store counts 1 change, the audit tells of 0"),
        ([token, revoke], "token t1: the store counts 2 changes, the audit tells of 1"),
        ([another_layer], "layer more: the store counts 1 change, the audit tells of 0"),
        ([another_layer, without_it], "(register_layer more): there is no layer more in the store"),
    ],
)
def test_a_cut_tail_shows_whatever_it_told_of(tmp_path: Path, done: list[Callable[[Desk], object]], said: str) -> None:
    url = f"sqlite:///{tmp_path / 'r.sqlite'}"
    played(url, tmp_path, *done)
    [sentence] = tail(url)
    assert said in sentence


def test_a_missing_middle_is_counted_too(store_url: str, tmp_path: Path) -> None:
    played(store_url, tmp_path)
    told = forced(store_url, "delete from audit where action = 'start'")
    assert any("is missing" in sentence for sentence in told)
    assert any(f"experiment {KEY}: the store counts 3 changes, the audit tells of 2" in one for one in told)


def test_a_row_about_what_is_not_there_and_a_store_put_back_show(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.sqlite'}"
    played(url, tmp_path)
    [sentence] = forced(url, f"update experiments set revision = revision - 1 where key = '{KEY}'")
    assert f"experiment {KEY}: the store counts 2 changes, the audit tells of 3: the store was put back" in sentence
    with Store.open(url) as store:
        rows = store.audit()
    told = disagreements(rows, NOTHING)
    newest = rows[-1].number
    assert f"audit row {newest} (pause {KEY}): there is no experiment {KEY} in the store" in told
    assert disagreements([], NOTHING) == ()


def test_a_phase_with_another_definition_counts_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.sqlite'}"

    def next_phase(desk: Desk) -> None:
        path = written(desk.shop, FLAT.replace('"0.25"', '"0.5"').replace("2026-12-01T09", "2026-12-03T09"))
        lifecycle.new_phase(desk.store, desk.shop, path, actor="ann", reason="", now=desk.now(48))
        assert desk.store.definition(KEY).revision == 4  # two with one row

    played(url, tmp_path, next_phase)
