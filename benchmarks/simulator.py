"""How long a simulated shop takes: 100,000 shoppers for 56 days, two experiments with their truth, written as Parquet.

    python -m benchmarks.simulator            # or another number of shoppers

Prints what each step took (wall and CPU seconds), rows, the size of the files and the most memory of the process.
"""

import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeVar

from analysis.cli.simulate import by_hash
from experiments.simulator import rows
from experiments.simulator.events import outcomes
from experiments.simulator.generator import Logs, codes, write
from experiments.simulator.plan_file import DEFAULT, plan_of
from experiments.simulator.play import playing
from experiments.simulator.stage import stage
from experiments.simulator.truth import truth

Result = TypeVar("Result")


def main(units: int) -> None:
    """Measure and print."""
    plan, began, worked = plan_of(DEFAULT, units=units, after_days=0), perf_counter(), process_time()
    print(f"{plan.units:,} shoppers, {plan.days} days, {len(plan.plays)} experiments")
    ready = step("stage", lambda: stage(plan))
    assign = by_hash(plan)
    arms = step(
        "arms", lambda: {p.key: [assign(p.key, rows.unit_id(unit)) for unit in range(units)] for p in plan.plays}
    )
    chosen = {play.key: codes(play, arms[play.key]) for play in plan.plays}
    played = step("play", lambda: playing(ready, chosen))
    known = step("truth", lambda: {p.key: truth(ready, chosen, p) for p in plan.plays})
    shown = step("exposures", lambda: rows.exposures(ready.world, played.slates, arms))
    happened = step("outcomes", lambda: outcomes(ready.world, played))
    logs = Logs(shown, happened, rows.catalogue(plan, ready.world.shelf), known)
    with tempfile.TemporaryDirectory() as folder:
        paths = step("files", lambda: write(logs, Path(folder)))
        size = sum(path.stat().st_size for path in paths.values()) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    print(f"{'all of it':<12}{perf_counter() - began:8.1f} s wall{process_time() - worked:8.1f} s CPU")
    print(f"{len(shown):,} slots, {len(happened):,} outcomes, {size:.0f} MB of files, {peak:.1f} GB of memory at most")


def step(name: str, work: Callable[[], Result]) -> Result:
    """Do it and print what it took."""
    began, worked = perf_counter(), process_time()
    result = work()
    print(f"{name:<12}{perf_counter() - began:8.1f} s wall{process_time() - worked:8.1f} s CPU", flush=True)
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
