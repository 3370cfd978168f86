"""The audit of a holdout: what the allocation logged is ok, beside other holdouts too; its edges are an hour wide."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pytest

from analysis.warehouse.audit import AuditReport
from analysis.warehouse.base import Asked
from analysis.warehouse.connection import open_memory
from analysis.warehouse.holdout_audit import audit_held_out
from analysis.warehouse.loading.spool import load_spool
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from assignment.hashing import bucket
from experiments.placement import Holdout
from tests.helpers import loads
from tests.helpers.bundles import NOW, bundle, experiment, holdout, layer

Connection = duckdb.DuckDBPyConnection
UNITS = 600
WRITTEN = {
    "global": holdout(buckets=[[0, 2000], [5000, 6000]], modules=["homepage", "pdp"]),
    "second": holdout(key="second", salt="holdout.second", buckets=[[0, 1000]], modules=["pdp"]),
    "by_session": holdout(key="by_session", salt="holdout.session", unit_type="session", buckets=[[0, 3000]],
                          modules=["pdp"]),
}  # fmt: skip
DOCUMENT = bundle(
    experiment(holdouts=["global"]), layers=[layer("homepage"), layer("pdp")], holdouts=list(WRITTEN.values())
)


def asked(**changed: object) -> Asked:
    """The holdouts above, `global` changed."""
    written = {**WRITTEN, "global": {**WRITTEN["global"], **changed}}
    return Asked(
        {
            key: Holdout.model_validate({k: v for k, v in each.items() if v is not None})
            for key, each in written.items()
        },
        {("home", 1): ("global",)},
    )


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """One exposure of each unit in a slot with an experiment, one in a slot without, in a session of its own."""
    connection, folder = open_memory(), tmp_path_factory.mktemp("spool")
    compiled = compile_bundle(DOCUMENT)
    with Spool(folder) as spool:
        for n in range(UNITS):
            for flag in ("rec.homepage", "rec.pdp"):
                context = {"user_id": f"u{n}", "session_id": f"s{n}"}
                decision = evaluate(compiled, flag, context, NOW)
                spool.append("exposure", exposure_row(compiled, decision, context, event_id=f"{flag}-{n}", at=NOW))
    assert load_spool(connection, folder, loads.EUROS, now=loads.NOW).accepted == 2 * UNITS
    connection.execute("create temp table kept as select * from exposures")
    yield connection
    connection.close()


@pytest.fixture
def connection(logged: Connection) -> Connection:
    logged.execute("delete from exposures")
    logged.execute("insert into exposures select * from kept")
    return logged


def wrong(report: AuditReport) -> dict[str, int]:
    return {name: count for name, count in report.counts.items() if count and name != "ok"}


def is_member(n: int) -> bool:
    place = bucket("holdout.global:holdout", f"u{n}")
    return place < 2000 or 5000 <= place < 6000


def test_what_was_logged_is_ok_under_every_holdout(connection: Connection) -> None:
    held = connection.execute("select count(*) from exposures where assignment_reason = 'holdout'").fetchall()[0][0]
    assert held > 2 * sum(map(is_member, range(UNITS))) > 100  # the other holdouts held some on the product page
    for key, exposures in (("global", 2 * UNITS), ("second", UNITS), ("by_session", UNITS)):
        report = audit_held_out(connection, asked(), key)
        assert (report.experiment_key, report.is_ok, report.counts["ok"]) == (f"holdout.{key}", True, exposures)
        assert (report.not_recomputed, report.rows) == ({}, ())


def test_another_share_or_salt_disagrees_with_the_log(connection: Connection) -> None:
    for changed in ({"buckets": [[0, 2000]]}, {"buckets": [[0, 7000]]}, {"salt": "holdout.other"}):
        assert set(wrong(audit_held_out(connection, asked(**changed), "global"))) == {"holdout_mismatch"}


def test_a_unit_that_another_holdout_may_hold_is_no_mismatch_of_this_one(connection: Connection) -> None:
    free = next(n for n in range(UNITS) if not is_member(n) and bucket("holdout.second:holdout", f"u{n}") < 1000)
    reason = "select assignment_reason from exposures where event_id = ?"
    assert connection.execute(reason, [f"rec.pdp-{free}"]).fetchall() == [("holdout",)]
    assert audit_held_out(connection, asked(), "global").is_ok
    connection.execute("update exposures set assignment_reason = 'holdout', variant = null where event_id = ?",
                       [f"rec.homepage-{free}"])  # fmt: skip
    report = audit_held_out(connection, asked(), "global")  # there only `global` is asked
    assert [(row["event_id"], row["class"]) for row in report.rows] == [(f"rec.homepage-{free}", "holdout_mismatch")]
    assert report.rows[0]["bucket_expected"] == bucket("holdout.global:holdout", f"u{free}")


def test_near_its_edges_both_answers_are_right(connection: Connection) -> None:
    held = connection.execute(
        "select count(*) from exposures where assignment_reason = 'holdout' and module = 'homepage'"
    ).fetchall()[0][0]

    def audited(**changed: datetime) -> dict[str, int]:
        return wrong(audit_held_out(connection, asked(modules=["homepage"], **changed), "global"))

    assert audited(end_at=NOW - timedelta(minutes=59)) == {}
    assert audited(end_at=NOW - timedelta(minutes=61)) == {"holdout_mismatch": held}
    assert audited(start_at=NOW + timedelta(minutes=1)) == {"holdout_mismatch": held}
    connection.execute("update exposures set assignment_reason = 'split' where module = 'homepage'")
    assert audited(start_at=NOW - timedelta(minutes=59)) == {}
    assert audited(start_at=NOW - timedelta(minutes=61)) == {"holdout_mismatch": held}


def test_a_session_that_was_not_logged_is_held_against_nobody(connection: Connection) -> None:
    held = "assignment_reason = 'holdout' and module = 'pdp'"
    connection.execute(f"update exposures set session_id = null where {held}")
    assert audit_held_out(connection, asked(), "by_session").is_ok
    inside = next(n for n in range(UNITS) if bucket("holdout.session:holdout", f"s{n}") < 3000)
    connection.execute("update exposures set session_id = ? where event_id = (select min(event_id) from exposures "
                       "where assignment_reason = 'none')", [f"s{inside}"])  # fmt: skip
    assert wrong(audit_held_out(connection, asked(), "by_session")) == {"holdout_mismatch": 1}


def test_rows_without_a_unit_are_named_and_nothing_is_left_behind(connection: Connection) -> None:
    connection.execute("update exposures set unit_id = '' where event_id = 'rec.pdp-3'")
    report = audit_held_out(connection, asked(), "global", limit=0)
    assert (wrong(report)["null_unit"], report.rows) == (1, ())
    left = connection.execute("select table_name from duckdb_tables() where table_name like 'audit%'").fetchall()
    assert left == []
