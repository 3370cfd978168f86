"""The hash audit: what truelift itself assigned and logged is all right, and every way to be wrong has its class."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from analysis.warehouse.audit import CLASSES, AuditReport, audit_exposures
from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.spool import load_spool
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from assignment.hashing import bucket
from experiments.errors import DefinitionError
from tests.helpers import loads
from tests.helpers.bundles import BEGAN, NOW, Document, arm, bundle, experiment, holdout, layer

UNITS = 1500
ARMS = [arm("control", 0, 5000), arm("als", 5000, 8000), arm("slow", 8000, 10_000, disabled=True)]
STEPS = [{"at": BEGAN, "bp": 1000}, {"at": "2026-12-05T00:00:00Z", "bp": 4000}]

Connection = duckdb.DuckDBPyConnection


def home(**changed: object) -> Document:
    return experiment(
        variants=ARMS, traffic=STEPS, layer={"key": "homepage", "ranges": [[0, 4000], [5000, 7000]]},
        holdouts=["global"], overrides=[{"unit_id": "ü7", "variant": "als"}], **changed,
    )  # fmt: skip


BUNDLE = bundle(home(), holdouts=[holdout()])


def log(connection: Connection, folder: Path, document: Document, contexts: Sequence[Mapping[str, object]]) -> None:
    """Decide what each context gets, spool its exposure and load the spool."""
    compiled = compile_bundle(document)
    with Spool(folder) as spool:
        for number, context in enumerate(contexts):
            decision = evaluate(compiled, "rec.homepage", context, NOW)
            spool.append("exposure", exposure_row(compiled, decision, context, event_id=f"e{number}", at=NOW))
    assert load_spool(connection, folder, loads.EUROS, now=loads.NOW).accepted == len(contexts)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A warehouse with one exposure of each unit, decided, spooled and loaded; `kept` is a copy of them."""
    opened = open_memory()
    log(opened, tmp_path_factory.mktemp("spool"), BUNDLE, [{"targetingKey": f"ü{number}"} for number in range(UNITS)])
    opened.execute("create temp table kept as select * from exposures")
    yield opened
    opened.close()


@pytest.fixture
def connection(logged: Connection) -> Connection:
    logged.execute("delete from exposures")
    logged.execute("insert into exposures select * from kept")
    return logged


def audit(connection: Connection, *documents: Document) -> AuditReport:
    return audit_exposures(connection, documents or [BUNDLE], "home")


def wrong(report: AuditReport) -> dict[str, int]:
    return {name: count for name, count in report.counts.items() if count and name != "ok"}


def one(connection: Connection, reason: str) -> str:
    """The event of one exposure with that reason, of an arm that is served."""
    found = connection.execute(
        "select event_id from exposures where assignment_reason = ? order by event_id limit 1", [reason]
    ).fetchall()
    return str(found[0][0])


def change(connection: Connection, event_id: str, **to: object) -> None:
    assigned = ", ".join(f"{name} = ?" for name in to)
    connection.execute(f"update exposures set {assigned} where event_id = ?", [*to.values(), event_id])


def drawn(event_id: str) -> Mapping[str, object]:
    """What a row would say if the unit had been drawn into its arm at the logged traffic."""
    unit = event_id.replace("e", "ü")
    split = bucket("home.1:split", unit)
    return {
        "assignment_reason": "split",
        "split_bucket": split,
        "traffic_bucket": bucket("home.1:traffic", unit),
        "layer_bucket": bucket("layer.homepage:layer", unit),
        "traffic_bp": 4000,
        "variant": next(str(each["key"]) for each in ARMS if split < int(str(each["end"]))),
    }


def test_everything_truelift_logged_is_ok(connection: Connection) -> None:
    reasons = Counter(found for (found,) in connection.execute("select assignment_reason from exposures").fetchall())
    recomputed = ("split", "arm_disabled", "override", "holdout", "not_in_layer", "not_in_traffic")
    assert set(reasons) == set(recomputed)  # the log has them all
    report = audit(connection)
    assert report.counts == {name: UNITS if name == "ok" else 0 for name in CLASSES}
    assert report.is_ok
    assert (report.rows, report.not_recomputed) == ((), {})


@pytest.mark.parametrize(
    ("reason", "to", "said"),
    [
        ("split", {"split_bucket": 9999}, "bucket_mismatch"),
        ("split", {"traffic_bucket": None}, "bucket_mismatch"),
        ("arm_disabled", {"layer_bucket": 0}, "bucket_mismatch"),
        ("not_in_traffic", {"traffic_bucket": 9999}, "bucket_mismatch"),
        ("not_in_layer", {"layer_bucket": 4500}, "bucket_mismatch"),
        ("split", {"unit_id": "ü3"}, "bucket_mismatch"),
        ("split", {"unit_id": ""}, "null_unit"),
        ("split", {"unit_type": "session"}, "null_unit"),
        ("split", {"phase": 2}, "unknown_phase"),
        ("holdout", {"phase": None}, "unknown_phase"),
        ("split", {"hash_version": "md5-64/1"}, "unknown_phase"),
        ("split", {"variant": "slow"}, "variant_mismatch"),
        ("arm_disabled", {"variant": "control"}, "variant_mismatch"),
        ("not_in_layer", {"variant": "als"}, "variant_mismatch"),
        ("override", {"variant": "gone"}, "variant_mismatch"),
        ("split", {"assignment_reason": "holdout", "variant": None}, "holdout_mismatch"),
        ("split", {"served_variant": "slow"}, "served_mismatch"),
        ("split", {"strategy": "random"}, "served_mismatch"),
        ("arm_disabled", {"served_variant": "slow"}, "served_mismatch"),
        ("split", {"traffic_bp": 1}, "outside_traffic"),
        ("split", {"traffic_bp": 4001}, "outside_traffic"),  # never that high
        ("split", {"traffic_bp": None}, "outside_traffic"),
        ("split", {"assignment_reason": "not_in_traffic", "variant": None}, "outside_traffic"),
    ],
)
def test_a_row_that_is_wrong_gets_its_class(
    connection: Connection, reason: str, to: Mapping[str, object], said: str
) -> None:
    event_id = one(connection, reason)
    change(connection, event_id, **to)
    report = audit(connection)
    assert wrong(report) == {said: 1}
    assert not report.is_ok
    assert [(row["event_id"], row["class"]) for row in report.rows] == [(event_id, said)]


@pytest.mark.parametrize(
    ("reason", "said"),
    [("holdout", "holdout_mismatch"), ("not_in_layer", "outside_layer"), ("not_in_traffic", "outside_traffic")],
)
def test_a_unit_that_should_not_be_in_an_arm_is_found(connection: Connection, reason: str, said: str) -> None:
    event_id = one(connection, reason)
    change(connection, event_id, **drawn(event_id))
    assert wrong(audit(connection)) == {said: 1}


def test_rows_show_what_was_expected_and_no_more_than_asked(connection: Connection) -> None:
    for event_id in ("e1", "e2", "e3"):
        change(connection, event_id, layer_bucket=9_998)
    report = audit_exposures(connection, [BUNDLE], "home", limit=2)
    assert report.counts["bucket_mismatch"] == 3
    assert [row["event_id"] for row in report.rows] == ["e1", "e2"]
    assert report.rows[0]["layer_expected"] == bucket("layer.homepage:layer", "ü1")
    assert report.rows[0]["layer_bucket"] == 9_998


@pytest.mark.parametrize(
    "document",
    [
        bundle(home(salt="home.2"), holdouts=[holdout()]),
        bundle(home(), holdouts=[holdout(salt="other")]),
        bundle(home() | {"variants": [arm("control", 0, 4000), arm("als", 4000, 10_000)]}, holdouts=[holdout()]),
        bundle(home() | {"layer": {"key": "homepage", "ranges": [[0, 3000]]}}, holdouts=[holdout()]),
    ],
    ids=["salt", "holdout", "weights", "layer"],
)
def test_against_another_definition_the_log_is_wrong(connection: Connection, document: Document) -> None:
    report = audit(connection, document)
    assert not report.is_ok
    assert sum(report.counts.values()) == UNITS


def test_near_the_edges_of_a_holdout_both_answers_are_right(connection: Connection) -> None:
    def since(**before: float) -> Document:
        start_at = (NOW - timedelta(**before)).isoformat().replace("+00:00", "Z")
        return bundle(home(), holdouts=[holdout(start_at=start_at)])

    def until(**before: float) -> Document:
        end_at = (NOW - timedelta(**before)).isoformat().replace("+00:00", "Z")
        return bundle(home(), holdouts=[holdout(end_at=end_at)])

    held = connection.execute("select count(*) from exposures where assignment_reason = 'holdout'").fetchall()[0][0]
    assert audit(connection, since(minutes=59)).is_ok
    assert audit(connection, until(minutes=59)).is_ok
    assert wrong(audit(connection, until(minutes=61))) == {"holdout_mismatch": held}
    assert wrong(audit(connection, since(minutes=-1))) == {"holdout_mismatch": held}
    member = connection.execute(  # a member of the holdout that would else have been drawn
        "select event_id from exposures where assignment_reason = 'holdout' order by layer_bucket limit 1"
    ).fetchall()[0][0]
    change(connection, member, **drawn(member), event_ts=NOW.replace(tzinfo=None))
    assert "holdout_mismatch" not in wrong(audit(connection, since(minutes=59)))
    assert wrong(audit(connection, since(minutes=61))) == {"holdout_mismatch": 1}


def test_a_holdout_of_another_unit_type_is_recomputed_from_the_id_that_was_logged(connection: Connection) -> None:
    document = bundle(home(), holdouts=[holdout(unit_type="session", buckets=[[0, 5000]])])
    held, split = one(connection, "holdout"), one(connection, "split")
    assert audit(connection, document).is_ok  # no session was logged: nothing to hold against a row
    inside = next(f"s{n}" for n in range(100) if bucket("holdout.global:holdout", f"s{n}") < 5000)
    outside = next(f"s{n}" for n in range(100) if bucket("holdout.global:holdout", f"s{n}") >= 5000)
    change(connection, held, session_id=inside)
    change(connection, split, session_id=outside)
    assert audit(connection, document).is_ok
    change(connection, held, session_id=outside)
    change(connection, split, session_id=inside)
    assert wrong(audit(connection, document)) == {"holdout_mismatch": 2}


def test_windows_of_a_switchback_are_recomputed_by_their_own_stage(tmp_path: Path) -> None:
    switchback = experiment(unit_type="cluster_window")
    document = bundle(switchback, layers=[layer("homepage", "cluster_window")])
    connection = open_memory()
    log(connection, tmp_path, document, [
        {"cluster_window_id": f"berlin|2026-12-{day:02}T{hour:02}:00:00Z"} for day in (8, 9) for hour in range(24)
    ])  # fmt: skip
    report = audit(connection, document)
    assert report.counts["ok"] == 48
    assert report.is_ok
    connection.close()


def test_older_phases_are_recomputed_from_older_documents(connection: Connection) -> None:
    newer = bundle(home(phase=2, salt="home.2"), holdouts=[holdout()])
    assert wrong(audit(connection, newer)) == {"unknown_phase": UNITS}
    assert audit(connection, newer, BUNDLE).is_ok
    assert not audit(connection, bundle(home(salt="home.9"), holdouts=[holdout()]), BUNDLE).is_ok  # the first counts


def test_what_attributes_decided_is_counted_and_not_recomputed(connection: Connection) -> None:
    change(connection, "e1", assignment_reason="not_targeted", variant=None)
    change(connection, "e2", assignment_reason="killed", variant=None)
    change(connection, "e3", experiment_key="another")
    report = audit(connection)
    assert report.not_recomputed == {"killed": 1, "not_targeted": 1}
    assert sum(report.counts.values()) == UNITS - 3
    assert report.is_ok


def test_a_malformed_bundle_is_refused_and_nothing_is_left_behind(connection: Connection) -> None:
    with pytest.raises(DefinitionError):
        audit(connection, bundle(home(), holdouts=[]))
    audit(connection)
    left = connection.execute("select table_name from duckdb_tables() where table_name like 'audit%'").fetchall()
    assert left == []
