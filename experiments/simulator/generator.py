"""A small seeded shop that plays experiments with a known true lift, and writes its logs as a storefront would.

Every visit carries one basket, drawn before anybody knows the arm. What an arm changes is only the chance that the
visit becomes an order: orders that come through the experiment's module are made `1 + lift` times as likely, by the
category the visitor came for. So the true effect on the visits that took place is a sum over both possible worlds,
not an estimate:

    lift(Y) = Σ_visits p(order | treated) Y(basket) / Σ_visits p(order | control) Y(basket) − 1

over the visits of exposed units from their first exposure to the end of the run. There is no clock and no hidden
randomness: the same plan and the same `assign` give the same rows, and with lifts of zero every `assign` gives the
same outcomes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.simulator import play, rows, world
from experiments.simulator.plan import Plan
from experiments.simulator.play import TrueEffect

Assign = Callable[[str, str], str]  # (experiment key, unit id) → arm key


@dataclass(frozen=True, slots=True)
class Logs:
    """Arrow tables in the shape of the contract, sorted by event_ts, and the truth by experiment key."""

    exposures: pa.Table
    outcomes: pa.Table
    catalogue: pa.Table
    truth: Mapping[str, TrueEffect]


def simulate(plan: Plan, assign: Assign) -> Logs:
    """Play the plan. `assign` is asked once for each experiment and unit."""
    rng = np.random.default_rng(plan.seed)
    folk = world.people(rng, plan)
    shelf = world.stock(rng, plan)
    came = world.visits(rng, plan, folk)
    basket = world.baskets(rng, folk, shelf, came)
    arms = {each.key: [assign(each.key, rows.unit_id(unit)) for unit in range(plan.units)] for each in plan.plays}
    treated = {each.key: np.array([arm == each.treatment for arm in arms[each.key]]) for each in plan.plays}
    ordered = play.orders(rng, plan, folk, came, treated)
    shown = play.slates(rng, plan, shelf, came, basket, ordered, treated)
    return Logs(
        exposures=rows.exposures(rng, plan, folk, came, shown, arms),
        outcomes=rows.outcomes(rng, plan, folk, came, basket, ordered, shown),
        catalogue=rows.catalogue(plan, shelf),
        truth={each.key: play.truth(each, plan, folk, came, basket, treated) for each in plan.plays},
    )


def write(logs: Logs, folder: Path) -> Mapping[str, Path]:
    """Write exposures, outcomes and catalogue as Parquet and the truth as JSON; the paths by those names."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"catalogue": logs.catalogue, "exposures": logs.exposures, "outcomes": logs.outcomes}
    paths = {name: folder / f"{name}.parquet" for name in tables}
    for name, table in tables.items():
        pq.write_table(table, paths[name], compression="zstd")
    truth = {key: asdict(effect) for key, effect in logs.truth.items()}
    paths["truth"] = folder / "truth.json"
    paths["truth"].write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return paths
