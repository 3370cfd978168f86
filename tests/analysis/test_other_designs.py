"""A switchback and an interleaving in a shop: served, logged, loaded, audited; and no readout is made of either."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection as Connection

from analysis import pipeline
from analysis.warehouse.audit import audit_exposures
from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.spool import load_spool
from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.event_log import Spool
from assignment.exposures import exposure_row
from experiments.errors import UsageError
from experiments.shop import create
from experiments.store import Store
from tests.helpers import loads
from tests.helpers.assigned_shop import Desk
from tests.helpers.bundles import NOW, Document, bundle, experiment, holdout, layer
from tests.helpers.definitions import INTERLEAVING, SWITCHBACK, layer_of

DAY = 24.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    shop = create(tmp_path / "shop", currency="EUR", time_zone="Europe/Berlin")
    (shop.layers / "delivery.yml").write_text(layer_of("delivery", "cluster_window"))
    (shop.layers / "search.yml").write_text(layer_of("search", "request"))
    with Store.open("sqlite://") as store:
        yield Desk(store, shop)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SWITCHBACK, r"city_prices: its units are of type cluster_window: whole windows .*assign users or sessions"),
        (INTERLEAVING, r"rank_duel: .* which of two rankers is preferred, never what either adds.*test the winner"),
        (INTERLEAVING.replace("design: interleaving\n", ""), r"rank_duel: its units are of type request: .* narrow"),
    ],
    ids=["switchback", "interleaving", "requests"],
)
def test_no_lift_is_computed_where_it_would_be_wrong(desk: Desk, text: str, said: str) -> None:
    key = desk.begin(text).experiment.key
    with pytest.raises(UsageError, match=said):
        pipeline.refresh(desk.shop, desk.store, key, now=desk.now(3 * DAY))
    assert not any(known.is_read for known in desk.store.registered())
    assert not desk.shop.warehouse_path.exists()  # refused before anything was counted


WINDOWS = {"cluster": "city", "window_minutes": 60, "burn_in_minutes": 10}
CELLS = bundle(
    experiment(
        unit_type="cluster_window", design="switchback", trigger="serve", switchback=WINDOWS, overrides=[
            {"unit_id": "qa|2026-12-10T12:00:00Z", "variant": "als"}
        ],
        layer={"key": "homepage", "ranges": [[0, 8_000]]}, traffic=[{"at": "2026-12-01T00:00:00Z", "bp": 7_500}],
    ),
    layers=[layer("homepage", "cluster_window")],
)  # fmt: skip
DUEL = bundle(
    experiment(
        unit_type="request", design="interleaving", trigger="serve",
        layer={"key": "homepage", "ranges": [[0, 8_000]]}, traffic=[{"at": "2026-12-01T00:00:00Z", "bp": 7_500}],
    ),
    layers=[layer("homepage", "request")],
)  # fmt: skip


def loaded(folder: Path, document: Document, asked: Iterable[tuple[Mapping[str, object], datetime]]) -> Connection:
    """A warehouse with the exposure of each context at its moment."""
    made, connection = compile_bundle(document), open_memory()
    count = 0
    with Spool(folder) as spool:
        for context, at in asked:
            decision = evaluate(made, "rec.homepage", context, at)
            row = exposure_row(made, decision, context, event_id=f"e{count}", at=at)
            row |= {"strategy": decision.strategy}
            spool.append("exposure", row)
            count += 1
    assert load_spool(connection, folder, loads.EUROS, now=loads.NOW).accepted == count
    return connection


def cells(folder: Path) -> Connection:
    moments = [NOW + timedelta(minutes=7 * number, microseconds=number) for number in range(300)]
    contexts = [{"city": city} for city in ("berlin", "são paulo", "a|b", "qa")]
    return loaded(folder, CELLS, [(context, at) for at in moments for context in contexts])


def classes(connection: Connection, document: Document) -> dict[str, int]:
    report = audit_exposures(connection, [document], "home")
    return {name: count for name, count in report.counts.items() if count and name != "ok"}


def test_sql_recomputes_what_python_said_of_cells(tmp_path: Path) -> None:
    with cells(tmp_path) as connection:
        found = connection.execute("select assignment_reason, count(*) from exposures group by all").fetchall()
        assert {"split", "burn_in", "override", "not_in_layer", "not_in_traffic"} <= {reason for reason, _ in found}
        report = audit_exposures(connection, [CELLS], "home")
        assert report.is_ok, report.rows[:3]
        assert report.counts["ok"] == 1_200


@pytest.mark.parametrize(
    ("reason", "change", "wrong"),
    [
        ("split", "unit_id = replace(unit_id, '2026-12-1', '2026-11-1')", "window_mismatch"),
        ("split", "event_ts = event_ts + interval '1' hour", "window_mismatch"),
        ("burn_in", "assignment_reason = 'split'", "window_mismatch"),
        ("split", "assignment_reason = 'burn_in'", "window_mismatch"),
        ("burn_in", "variant = case variant when 'als' then 'control' else 'als' end", "variant_mismatch"),
        ("burn_in", "split_bucket = null", "bucket_mismatch"),
        ("split", "assignment_reason = 'interleaved', variant = null, split_bucket = null", "variant_mismatch"),
        ("not_in_traffic", "event_ts = event_ts - interval '1' hour", "window_mismatch"),
        ("not_in_layer", "unit_type = 'user'", "null_unit"),
    ],
)
def test_a_cell_that_was_changed_afterwards_is_found(tmp_path: Path, reason: str, change: str, wrong: str) -> None:
    with cells(tmp_path) as connection:
        connection.execute(
            f"update exposures set {change} where event_id = "
            "(select min(event_id) from exposures where assignment_reason = ?)",
            [reason],
        )
        assert classes(connection, CELLS) == {wrong: 1}


def test_a_visitor_is_held_out_of_a_cell_by_their_own_id(tmp_path: Path) -> None:
    document = CELLS | {"holdouts": [holdout(buckets=[[0, 5_000]])]}
    written = document["experiments"]
    assert isinstance(written, list)
    document["experiments"] = [{**written[0], "holdouts": ["global"]}]
    late = NOW + timedelta(minutes=30)
    asked = [({"city": f"city-{number}", "user_id": f"u{number % 40}"}, late) for number in range(200)]
    with loaded(tmp_path, document, asked) as connection:
        held = connection.execute(
            "select count(distinct user_id), count(distinct unit_type) from exposures "
            "where assignment_reason = 'holdout'"
        ).fetchall()
        assert 5 < held[0][0] < 35
        assert held[0][1] == 1
        assert audit_exposures(connection, [document], "home").counts["ok"] == 200
        connection.execute("update exposures set user_id = 'u' || (cast(substr(user_id, 2) as integer) + 100)")
        assert set(classes(connection, document)) == {"holdout_mismatch"}


def requests(folder: Path) -> Connection:
    return loaded(folder, DUEL, [({"request_id": f"r{number}"}, NOW) for number in range(400)])


def test_sql_recomputes_what_python_said_of_requests(tmp_path: Path) -> None:
    with requests(tmp_path) as connection:
        found = dict(connection.execute("select assignment_reason, count(*) from exposures group by all").fetchall())
        assert set(found) == {"interleaved", "not_in_layer", "not_in_traffic"}
        assert audit_exposures(connection, [DUEL], "home").counts["ok"] == 400
        analysed = "select count(*) from exposures where assignment_reason in ('split', 'arm_disabled')"
        assert connection.execute(analysed).fetchall() == [(0,)]  # no statement of a readout counts one


@pytest.mark.parametrize(
    ("reason", "change", "wrong"),
    [
        ("interleaved", "layer_bucket = null", "bucket_mismatch"),
        ("interleaved", "traffic_bucket = 9999", "bucket_mismatch"),
        ("interleaved", "variant = 'als'", "variant_mismatch"),
        ("interleaved", "traffic_bp = 0", "outside_traffic"),
        ("not_in_layer", "assignment_reason = 'interleaved', traffic_bucket = 0, traffic_bp = 7500", "bucket_mismatch"),
    ],
)
def test_a_request_that_was_changed_afterwards_is_found(tmp_path: Path, reason: str, change: str, wrong: str) -> None:
    with requests(tmp_path) as connection:
        first = "(select min(event_id) from exposures where assignment_reason = ?)"
        connection.execute(f"update exposures set {change} where event_id = {first}", [reason])
        assert classes(connection, DUEL) == {wrong: 1}


def test_an_arm_in_an_interleaving_is_a_mismatch(tmp_path: Path) -> None:
    """The same rows under another document: an A/B test of requests was served where an interleaving is defined."""
    plain = bundle(
        experiment(unit_type="request", layer={"key": "homepage", "ranges": [[0, 8_000]]},
                   traffic=[{"at": "2026-12-01T00:00:00Z", "bp": 7_500}]),
        layers=[layer("homepage", "request")],
    )  # fmt: skip
    with loaded(tmp_path, plain, [({"request_id": f"r{number}"}, NOW) for number in range(100)]) as connection:
        assert classes(connection, plain) == {}
        drawn = connection.execute("select count(*) from exposures where assignment_reason = 'split'").fetchall()
        assert classes(connection, DUEL) == {"variant_mismatch": drawn[0][0]}
