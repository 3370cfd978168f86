"""A small seeded shop that plays experiments with a known true lift, and writes its logs as a storefront would.

    world ─▶ pages ─▶ stage ─▶ play (arms) ─▶ rows ─▶ logs
      every draw, and      └─ once more for each arm ─▶ count ─▶ truth
      what each arm shows

There is no clock and no hidden randomness: the same plan and the same `assign` give the same rows, and the assignment
moves no draw. So with arms that are alike every `assign` gives the same outcomes, and the effect of an arm is counted,
not estimated: everybody is played in the control and then in the arm.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.errors import UsageError
from experiments.simulator import rows
from experiments.simulator.events import outcomes
from experiments.simulator.items import Integers
from experiments.simulator.plan import Plan, Play
from experiments.simulator.play import playing
from experiments.simulator.stage import stage
from experiments.simulator.truth import Truth, truth

Assign = Callable[[str, str], str]  # (experiment key, unit id) → arm key
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Logs:
    """Arrow tables in the shape of the contract, sorted by event_ts, and the truth by experiment key."""

    exposures: pa.Table
    outcomes: pa.Table
    catalogue: pa.Table
    truth: Mapping[str, Truth]


def simulate(plan: Plan, assign: Assign, *, say: Say = lambda _: None) -> Logs:
    """Play the plan. `assign` is asked once for each experiment and unit; UsageError for an arm nobody plays.

    `say` is told what comes next.
    """
    say("people, items, visits, baskets, and what each arm shows")
    ready = stage(plan)
    say("who is in which arm")
    arms = {play.key: [assign(play.key, rows.unit_id(unit)) for unit in range(plan.units)] for play in plan.plays}
    chosen = {play.key: codes(play, arms[play.key]) for play in plan.plays}
    say("what the arms make of it")
    played = playing(ready, chosen)
    known = {}
    for play in plan.plays:
        say(f"the truth of {play.key}")
        known[play.key] = truth(ready, chosen, play)
    say("rows")
    return Logs(
        exposures=rows.exposures(ready.world, played.slates, arms),
        outcomes=outcomes(ready.world, played),
        catalogue=rows.catalogue(plan, ready.world.shelf),
        truth=known,
    )


def codes(play: Play, arms: list[str]) -> Integers:
    """Which of the play's arms each unit is in, (n_units,). UsageError for an arm it does not have."""
    code = {arm: number for number, arm in enumerate(play.arms)}
    strange = sorted(set(arms) - set(code))
    if strange:
        raise UsageError(f"{play.key}: assigned to {', '.join(strange)}; it plays {', '.join(code)}")
    return np.array([code[arm] for arm in arms], dtype=np.int64)


def write(logs: Logs, folder: Path) -> Mapping[str, Path]:
    """Write exposures, outcomes and catalogue as Parquet and the truth as JSON; the paths by those names."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"catalogue": logs.catalogue, "exposures": logs.exposures, "outcomes": logs.outcomes}
    paths = {name: folder / f"{name}.parquet" for name in tables}
    for name, table in tables.items():
        pq.write_table(table, paths[name], compression="zstd")
    known = {key: each.to_json() for key, each in logs.truth.items()}
    paths["truth"] = folder / "truth.json"
    paths["truth"].write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return paths
