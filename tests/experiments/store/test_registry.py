"""What the store keeps, on every engine it runs on."""

import multiprocessing
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from experiments.catalogue import shipped_metrics
from experiments.errors import ConflictError, NotFoundError, TransitionError
from experiments.lifecycle import used
from experiments.loading import parse, parse_yaml
from experiments.spec import Experiment, Live, Phase
from experiments.store import Event, Snapshot, Store
from experiments.store.engine import connect
from tests.helpers.definitions import GOOD, changed

NOW = datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)


def experiment(source: str = GOOD) -> Experiment:
    document, _ = parse_yaml(source)
    assert document is not None
    made, problems = parse(Experiment, document)
    assert made is not None, problems
    return made


def save(store: Store, source: str = GOOD, *, expected: int = 0, now: datetime = NOW) -> int:
    made = experiment(source)
    metrics = used(made, shipped_metrics())
    saved = store.save_definition(made, metrics, expected_version=expected, actor="ann", reason="try", now=now)
    return saved.version


def phase() -> Phase:
    made = experiment()
    return Phase(
        number=1,
        experiment=made,
        metrics=used(made, shipped_metrics()),
        slices=(),
        started_at=made.schedule.start_at,
        planned_units=20_000,
    )


def snapshot(name: str, *, as_of: datetime = NOW, published_at: datetime = NOW, phase: int = 1) -> Snapshot:
    return Snapshot(name, "home_als_v2", phase, as_of, published_at, None, "readout.v1", "SHIP", name.encode(), b"m")


# --- definitions ----------------------------------------------------------------------------------------------


def test_a_definition_comes_back_as_it_went_in(store: Store) -> None:
    save(store)
    found = store.definition("home_als_v2")
    assert (found.version, found.state, found.registered_at) == (1, "draft", NOW)
    assert found.experiment == experiment()
    assert found.metrics == used(experiment(), shipped_metrics())
    assert not found.changed
    assert store.registered() == [found]


def test_the_same_content_is_the_same_version_and_writes_nothing(store: Store) -> None:
    save(store)
    again = store.save_definition(
        experiment(),
        used(experiment(), shipped_metrics()),
        expected_version=0,
        actor="bob",
        reason="again",
        now=NOW + timedelta(days=1),
    )
    assert (again.version, again.changed, again.registered_at) == (1, False, NOW)
    assert len(store.audit()) == 1


def test_a_change_is_the_next_version_and_the_audit_has_both(store: Store) -> None:
    save(store)
    assert save(store, changed(("more revenue", "much more")), expected=1) == 2
    first, second = store.audit("home_als_v2")
    assert first.before is None
    assert second.before == first.after
    assert second.after is not None
    assert "much more" in second.after
    assert (second.actor, second.action, second.reason, second.at) == ("ann", "register", "try", NOW)


def test_a_changed_metric_is_a_change_of_the_definition(store: Store) -> None:
    save(store)
    metrics = used(experiment(), shipped_metrics())
    metrics["ctr"] = metrics["ctr"].model_copy(update={"mature_days": 3})
    saved = store.save_definition(experiment(), metrics, expected_version=1, actor="a", reason="", now=NOW)
    assert saved.version == 2


def test_two_changes_of_one_version_conflict(store: Store) -> None:
    save(store)
    save(store, changed(("more revenue", "ann's")), expected=1)
    with pytest.raises(ConflictError, match="version 2 was registered meanwhile, this change was made from version 1"):
        save(store, changed(("more revenue", "bob's")), expected=1)
    assert store.definition("home_als_v2").experiment.hypothesis == "ann's"


def test_an_unknown_key_names_the_nearest(store: Store) -> None:
    save(store)
    with pytest.raises(NotFoundError, match=r"no experiment home_als_v3 .*nearest: home_als_v2"):
        store.definition("home_als_v3")
    assert store.find("home_als_v3") is None


def _register(url: str, word: str, start: float) -> None:
    time.sleep(max(0.0, start - time.time()))
    with Store.open(url) as store:
        for _ in range(20):
            found = store.find("home_als_v2")
            version = 0 if found is None else found.version
            try:
                save(store, changed(("more revenue", word)), expected=version)
            except ConflictError:
                continue
            return
    raise SystemExit(3)


def test_processes_that_register_at_once_make_one_chain(store_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = time.time() + 2.5
    words = ["one", "two", "three"]
    processes = [context.Process(target=_register, args=(store_url, word, start)) for word in words]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Store.open(store_url) as store:
        assert store.definition("home_als_v2").version == 3
        assert [row.number for row in store.audit()] == [1, 2, 3]
        assert store.verify_audit() == ()


# --- phases ---------------------------------------------------------------------------------------------------


def test_a_phase_comes_back_as_it_was_frozen(store: Store) -> None:
    save(store)
    store.save_phase("home_als_v2", phase(), expected_version=1, actor="ann", reason="go", now=NOW)
    assert store.phase("home_als_v2") == phase()
    assert store.phase("home_als_v2", 1) == phase()
    assert store.phases() == {"home_als_v2": ((phase(), Live()),)}
    assert store.definition("home_als_v2").state == "running"
    last = store.audit()[-1]
    assert (last.action, last.reason, last.before) == ("start", "go", '{"state":"draft"}')


def test_only_a_draft_starts_and_only_at_the_version_that_was_seen(store: Store) -> None:
    save(store)
    with pytest.raises(ConflictError, match="version 1 was registered meanwhile"):
        store.save_phase("home_als_v2", phase(), expected_version=0, actor="a", reason="", now=NOW)
    store.save_phase("home_als_v2", phase(), expected_version=1, actor="a", reason="", now=NOW)
    with pytest.raises(TransitionError, match="is running: only a draft can be started"):
        store.save_phase("home_als_v2", phase(), expected_version=1, actor="a", reason="", now=NOW)


def test_a_phase_that_is_not_there_says_what_to_do(store: Store) -> None:
    save(store)
    with pytest.raises(NotFoundError, match=r"home_als_v2 \(draft\) has no phase yet; `truelift start home_als_v2`"):
        store.phase("home_als_v2")
    store.save_phase("home_als_v2", phase(), expected_version=1, actor="a", reason="", now=NOW)
    with pytest.raises(NotFoundError, match="no phase 2; leave the number out"):
        store.phase("home_als_v2", 2)
    with pytest.raises(NotFoundError, match="no experiment nothing is registered"):
        store.phase("nothing")


# --- audit ----------------------------------------------------------------------------------------------------


def test_the_audit_cannot_be_changed_in_passing_and_shows_what_was_forced(store_url: str) -> None:
    with Store.open(store_url) as store:
        save(store)
        save(store, changed(("more revenue", "other")), expected=1)
        assert store.verify_audit() == ()
    engine = connect(store_url)
    forge = text("update audit set actor = 'eve' where number = 1")
    for statement in (forge, text("delete from audit where number = 1")):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(statement)
    sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        connection.execute(text("drop trigger audit_no_update" if sqlite else "drop trigger audit_no_change on audit"))
        connection.execute(forge)
    engine.dispose()
    with Store.open(store_url) as store:
        assert store.verify_audit() == ("audit row 1 (register home_als_v2) was changed after it was written",)


def test_a_row_deleted_by_force_shows(store_url: str) -> None:
    with Store.open(store_url) as store:
        save(store)
        save(store, changed(("more revenue", "other")), expected=1)
    engine = connect(store_url)
    with engine.begin() as connection:
        sqlite = engine.dialect.name == "sqlite"
        connection.execute(text("drop trigger audit_no_delete" if sqlite else "drop trigger audit_no_change on audit"))
        connection.execute(text("delete from audit where number = 1"))
    engine.dispose()
    with Store.open(store_url) as store:
        assert store.verify_audit() == (
            "audit row 1 is missing: row 2 comes next",
            "experiment home_als_v2: the store counts 2 changes, the audit tells of 1: rows were cut off or taken out; "
            "its newest row is 2",
        )


# --- snapshots ------------------------------------------------------------------------------------------------


def test_publishing_is_insert_or_nothing(store: Store) -> None:
    assert store.publish(snapshot("a"))
    assert not store.publish(snapshot("a", published_at=NOW + timedelta(hours=1)))
    assert store.snapshot("a") == snapshot("a")
    assert store.latest("home_als_v2") == snapshot("a")


def test_the_latest_is_the_newest_reading_of_the_largest_cut(store: Store) -> None:
    day = timedelta(days=1)
    store.publish(snapshot("today", as_of=NOW, published_at=NOW))
    store.publish(snapshot("yesterday again", as_of=NOW - day, published_at=NOW + day))  # a late correction
    assert _id(store) == "today"
    store.publish(snapshot("today again", as_of=NOW, published_at=NOW + day))
    assert _id(store) == "today again"
    assert store.snapshot("today again").supersedes == "today"
    assert store.snapshot("yesterday again").supersedes is None
    assert [head.snapshot_id for head in store.snapshots("home_als_v2")][-1] == "today"


def test_phases_are_read_apart_and_the_newest_first(store: Store) -> None:
    store.publish(snapshot("first", as_of=NOW + timedelta(days=9)))
    store.publish(snapshot("second", phase=2))
    assert _id(store) == "second"
    assert _id(store, 1) == "first"
    assert _id(store, 3) is None
    assert [head.snapshot_id for head in store.snapshots("home_als_v2", 2)] == ["second"]


def test_instants_keep_their_moment_and_come_out_in_utc(store: Store) -> None:
    here = datetime(2026, 7, 1, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    store.publish(snapshot("a", as_of=here, published_at=here))
    found = store.snapshot("a")
    assert found.as_of == here
    assert found.as_of.tzinfo is UTC
    assert found.as_of.isoformat() == "2026-07-01T00:30:00.000001+00:00"


def test_naive_instants_are_refused(store: Store) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="has no time zone"):
        store.publish(snapshot("a", as_of=naive))
    assert store.latest("home_als_v2") is None


def test_nothing_published_is_none_and_an_unknown_id_is_named(store: Store) -> None:
    assert store.latest("home_als_v2") is None
    store.publish(snapshot("8c1f0000aaaabbbb"))
    with pytest.raises(NotFoundError, match="no snapshot 8c1f0000aaaabbbc; nearest: 8c1f0000aaaabbbb"):
        store.snapshot("8c1f0000aaaabbbc")


def _id(store: Store, phase: int | None = None) -> str | None:
    found = store.latest("home_als_v2", phase)
    return None if found is None else found.snapshot_id


def test_pruning_keeps_each_business_days_last_and_a_week_of_everything(store: Store) -> None:
    zone = timezone(timedelta(hours=1))  # Berlin in November

    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 11, day, hour, tzinfo=zone)

    store.publish(snapshot("old morning", as_of=at(1, 0), published_at=at(1, 9)))
    store.publish(snapshot("old evening", as_of=at(1, 0), published_at=at(1, 23)))
    store.publish(snapshot("after midnight", as_of=at(1, 0), published_at=at(2, 0)))  # 23:00 UTC of the 1st
    store.publish(snapshot("new morning", as_of=at(18, 0), published_at=at(18, 9)))
    store.publish(snapshot("new evening", as_of=at(18, 0), published_at=at(18, 23)))
    assert store.prune(at(20, 9), "Europe/Berlin") == 1
    left = {head.snapshot_id for head in store.snapshots("home_als_v2")}
    assert left == {"old evening", "after midnight", "new morning", "new evening"}
    assert store.snapshot("old evening").moments == b"m"
    assert store.prune(at(20, 9), "Europe/Berlin") == 0
    assert store.prune(at(30, 9), "Europe/Berlin") == 1
    assert {head.snapshot_id for head in store.snapshots("home_als_v2")} == left - {"new morning"}


def test_pruning_keeps_every_cut_of_a_history_computed_on_one_day(store: Store) -> None:
    for day in range(1, 6):
        store.publish(snapshot(f"cut {day}", as_of=NOW - timedelta(days=40 - day), published_at=NOW))
    assert store.prune(NOW + timedelta(days=30), "UTC") == 0
    assert len(store.snapshots("home_als_v2")) == 5


# --- events ---------------------------------------------------------------------------------------------------


def test_an_event_is_remembered_once_a_day(store: Store) -> None:
    first = Event("home_als_v2", 1, "first_crossing", "revenue_per_unit", "als_v2", NOW, NOW, '{"lo":0.1}')
    later = Event("home_als_v2", 1, "first_crossing", "revenue_per_unit", "als_v2", NOW, NOW + timedelta(hours=1))
    stop = Event("home_als_v2", 1, "stop", "", "", NOW - timedelta(days=1), NOW)
    assert store.record_event(first)
    assert not store.record_event(later)
    assert store.record_event(stop)
    assert store.events("home_als_v2", 1) == [stop, first]
    assert store.events("home_als_v2", 2) == []
