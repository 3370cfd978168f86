"""Simulated shops taken through the real load and refresh, as cheaply as that goes."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.pipeline import refresh
from analysis.readout import Readout
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import ShopTerms, load_file
from assignment.hashing import bucket
from experiments import lifecycle
from experiments.shop import Shop, create, open_shop
from experiments.simulator.generator import Assign, Logs
from experiments.simulator.plan import Plan
from experiments.store import Store
from tests.helpers.loads import same_names

NOW = datetime(2027, 3, 1, tzinfo=UTC)
CONTRACTS = {"catalogue": "catalogue", "exposures": "exposure", "outcomes": "outcome"}
DEFINITION = """\
schema_version: 1
key: {key}
name: {key}
owner: tests
hypothesis: known
assignment: external
assigned_by: the test's own hash
modules: [{module}]
unit_type: user
variants:
{variants}
schedule: {{start_at: {start:%Y-%m-%dT%H:%M:%SZ}, end_at: {end:%Y-%m-%dT%H:%M:%SZ}}}
metrics:
  success: [{success}]
  secondary: [{metrics}]
analysis:
  design: {design}
  planned_units: {units}
  materiality: {{{success}: {{relative: "0.005"}}}}
"""
METRICS = (
    "orders_per_unit", "conversion", "ctr", "aov", "add_to_cart_rate", "oos_shown_rate", "margin_per_unit",
    "discount_share", "items_per_order", "sessions_per_unit",
)  # fmt: skip


def halves(plan: Plan, seed: int) -> Assign:
    """Equal shares by a hash with a salt of its own for each seed."""
    arms = {play.key: list(play.arms) for play in plan.plays}

    def assign(experiment: str, unit: str) -> str:
        known = arms[experiment]
        return known[bucket(f"{experiment}.{seed}:split", unit) * len(known) // 10_000]

    return assign


@dataclass(frozen=True, slots=True)
class Ground:
    """A shop without logs whose experiments run: `read` copies it, loads logs and reads one."""

    home: Path
    plan: Plan

    @classmethod
    def made(
        cls,
        home: Path,
        plan: Plan,
        metrics: tuple[str, ...] = METRICS,
        *,
        plans: Sequence[Plan] = (),
        design: str = "always_valid",
        success: str = "revenue_per_unit",
    ) -> "Ground":
        """Register and start the experiments of the plan, and of further ones, in a new shop."""
        shop = create(home)
        with Store.open(shop.store_url) as store:
            for each in (plan, *plans):
                for play in each.plays:
                    path = shop.definitions / f"{play.key}.yml"
                    variants = [
                        f'  - {{key: {arm}, weight: "1"{", is_control: true" if arm == play.control else ""}}}'
                        for arm in play.arms
                    ]
                    text = DEFINITION.format(
                        key=play.key, module=play.module, variants="\n".join(variants), start=each.midnight(0),
                        end=each.midnight(each.run_days), metrics=", ".join(metrics), units=each.units, design=design,
                        success=success,
                    )  # fmt: skip
                    path.write_text(text, encoding="utf-8")
                    lifecycle.register(store, shop, path, actor="test", reason="", now=NOW)
                    lifecycle.start(store, shop, play.key, actor="test", reason="", now=NOW)
        return cls(home, plan)

    def with_logs(self, logs: Logs, names: Collection[str], home: Path) -> "Ground":
        """A copy of the shop at `home`, in which these of the logs are loaded."""
        shutil.copytree(self.home, home)
        load(open_shop(home), {name: getattr(logs, name) for name in CONTRACTS if name in names})
        return Ground(home, self.plan)

    def read(self, logs: Logs, home: Path, *, load_only: Collection[str] = tuple(CONTRACTS)) -> list[Readout]:
        """Every experiment, after the end of the log, in a copy of the shop at `home`."""
        shop = open_shop(self.with_logs(logs, load_only, home).home)
        as_of = self.plan.midnight(self.plan.run_days + self.plan.after_days)
        with Store.open(shop.store_url) as store:
            return [refresh(shop, store, play.key, now=NOW, as_of=as_of).readout for play in self.plan.plays]


def load(shop: Shop, tables: dict[str, pa.Table]) -> None:
    """Load tables in the shape of the contract."""
    with open_connection(shop.warehouse_path) as connection:
        for name, table in tables.items():
            path = shop.home / f"{name}.parquet"
            pq.write_table(table, path)
            report = load_file(
                connection, path, same_names(CONTRACTS[name]), ShopTerms.of(shop.settings),
                now=(NOW - timedelta(days=1)).replace(tzinfo=None),
            )  # fmt: skip
            assert report.accepted, name
