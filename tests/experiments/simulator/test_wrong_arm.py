"""Arms that truelift assigns in a simulated shop: the audit agrees with sound logs and finds what is logged wrong."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.pipeline import refresh
from analysis.readout import Readout
from assignment.allocation import evaluate
from assignment.bundle import Bundle, compile_bundle
from assignment.exposures import exposure_row
from experiments import lifecycle
from experiments.bundle import bundle_document
from experiments.shop import Shop, create
from experiments.simulator.faults import FAULTS, planted
from experiments.simulator.generator import Logs, simulate
from experiments.simulator.plan import Plan, lifted
from experiments.store import Store
from tests.helpers.effort import scaled
from tests.helpers.simulated import CONTRACTS, NOW, load

DEFINITION = """\
schema_version: 1
key: home
name: Home
owner: tests
assignment: truelift
modules: [homepage]
flag_key: rec.homepage
layer: {{key: homepage, ranges: [[0, 10000]]}}
unit_type: user
variants:
  - {{key: control, weight: "0.5", is_control: true, strategy: popularity}}
  - {{key: new, weight: "0.5", strategy: item_knn}}
traffic: "1"
schedule: {{start_at: {start:%Y-%m-%dT%H:%M:%SZ}, end_at: {end:%Y-%m-%dT%H:%M:%SZ}}}
metrics: {{success: [revenue_per_unit]}}
analysis: {{planned_units: 1000}}
"""
HASHED = {
    "split_bucket": pa.int64(), "traffic_bucket": pa.int64(), "layer_bucket": pa.int64(), "traffic_bp": pa.int64(),
    "hash_version": pa.string(), "config_version": pa.string(), "flag_key": pa.string(), "layer_key": pa.string(),
}  # fmt: skip


def plan(seed: int) -> Plan:
    return Plan(
        seed=seed, units=700, plays=(lifted("home", "homepage", "new"),), history_days=15, run_days=8, after_days=0,
        visits_a_day=0.4,
    )  # fmt: skip


def started(shop: Shop, store: Store, known: Plan) -> Bundle:
    """Register and start it at its time; what the service serves from then on."""
    begin = known.midnight(0)
    path = shop.definitions / "home.yml"
    path.write_text(DEFINITION.format(start=begin, end=known.midnight(known.run_days)), encoding="utf-8")
    lifecycle.register(store, shop, path, actor="test", reason="", now=begin - timedelta(hours=2))
    lifecycle.start(store, shop, "home", actor="test", reason="", now=begin)
    return compile_bundle(bundle_document(store, shop))


def played(known: Plan, bundle: Bundle) -> Logs:
    """The shop with arms by the assignment core, whose exposures say how they came about."""
    begin, rows = known.midnight(0), {}

    def assign(_experiment: str, unit: str) -> str:
        context = {"user_id": unit}
        decision = evaluate(bundle, "rec.homepage", context, begin)
        rows[unit] = exposure_row(bundle, decision, context, event_id="e", at=begin)
        return str(decision.variant)

    logs = simulate(known, assign)
    table = logs.exposures
    asked = [
        rows[unit] if key else {}
        for unit, key in zip(table["unit_id"].to_pylist(), table["experiment_key"].to_pylist(), strict=True)
    ]
    for name, kind in HASHED.items():
        table = table.append_column(name, pa.array([row.get(name) for row in asked], kind))
    return Logs(table, logs.outcomes, logs.catalogue, logs.truth)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, scaled(1, 20) + 1))
def test_a_wrong_arm_fails_the_audit_and_nothing_else(seed: int, tmp_path: Path) -> None:
    known = plan(seed)
    found: dict[str, Readout] = {}
    for name in ("sound", "wrong_arm"):
        shop = create(tmp_path / name)
        with Store.open(shop.store_url) as store:
            logs = played(known, started(shop, store, known))
            bad = planted(logs, [name], seed=seed) if name in FAULTS else logs
            load(shop, {table: getattr(bad, table) for table in CONTRACTS})
            found[name] = refresh(shop, store, "home", now=NOW, as_of=known.midnight(known.run_days)).readout
    states = {name: {check.id: check.state for check in readout.checks} for name, readout in found.items()}
    assert states["sound"]["SH-09"] == "pass"
    assert states["sound"]["SH-10"] == "pass"
    assert not [key for key, state in states["sound"].items() if state == "fail"]
    assert not found["sound"].withheld
    failed = {key for key, state in states["wrong_arm"].items() if state == "fail"}
    assert "SH-09" in failed
    assert failed <= {"SH-09", *FAULTS["wrong_arm"].others}
    assert found["wrong_arm"].withheld
