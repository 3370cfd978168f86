"""`truelift simulate`: a shop's logs with their mappings, and what is true of them."""

import shlex
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from analysis import words
from analysis.cli.context import hint
from assignment.hashing import bucket

if TYPE_CHECKING:  # only the command itself pays for what it imports
    from experiments.simulator.generator import Assign
    from experiments.simulator.plan import Plan

LOGS = ("catalogue", "exposures", "outcomes")


def simulate(
    out: Annotated[Path, typer.Option(help="The folder to write; made if missing.")],
    units: Annotated[int | None, typer.Option(help="How many shoppers (default: the plan's, 24,000).")] = None,
    days: Annotated[int | None, typer.Option(help="Days of the run (default: the plan's, 28).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every draw (default: the plan's, 1).")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Plant a fault in the logs; once for each.")] = None,
    plan: Annotated[Path | None, typer.Option(help="A YAML file with experiments, arms and dates.")] = None,
) -> None:
    """Write the logs of a simulated shop, faults and all, with their mappings and the true lifts beside them."""
    from experiments.simulator.faults import planted
    from experiments.simulator.generator import simulate as played
    from experiments.simulator.generator import write
    from experiments.simulator.plan_file import DEFAULT, plan_of, read_plan

    console, began = Console(highlight=False), perf_counter()
    known = plan_of(DEFAULT if plan is None else read_plan(plan), units=units, run_days=days, seed=seed)
    with console.status("…") as status:
        logs = played(known, by_hash(known), say=lambda next_: status.update(f"{next_} …"))
        for name in fault or []:
            status.update(f"{name} …")
            logs = planted(logs, [name], seed=known.seed)
        status.update("files …")
        write(logs, out)
        for name in LOGS:
            (out / f"{name}.mapping.yml").write_text(_mapping(name), encoding="utf-8")
    for name in LOGS:
        size = (out / f"{name}.parquet").stat().st_size / 1_000_000
        rows = words.whole(getattr(logs, name).num_rows)
        console.print(f"{out / name}.parquet: {rows} rows, {size:.1f} MB", markup=False, soft_wrap=True)
    lifts = sum(len(each.lifts) for each in logs.truth.values())
    console.print(f"{out / 'truth.json'}: {words.whole(lifts)} true lifts", markup=False, soft_wrap=True)
    console.print(f"It took {perf_counter() - began:.0f} s. To load it into a shop, of each file:")
    logs_file, mapping = (shlex.quote(str(out / f"exposures.{end}")) for end in ("parquet", "mapping.yml"))
    console.print(f"  {hint(f'load {logs_file} --mapping {mapping}')}", markup=False, soft_wrap=True)


def by_hash(plan: "Plan") -> "Assign":
    """Equal shares of the units to the arms of each experiment, by the public hash."""
    arms = {play.key: list(play.arms) for play in plan.plays}

    def assign(experiment: str, unit: str) -> str:
        known = arms[experiment]
        return known[bucket(f"{experiment}.1:split", unit) * len(known) // 10_000]

    return assign


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def _mapping(name: str) -> str:
    return (files("experiments") / "simulator" / "demo" / f"{name}.mapping.yml").read_text(encoding="utf-8")
