"""`truelift demo`: a simulated shop, from its logs to a verdict, and how close the verdict came to the truth."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from analysis import words
from analysis.cli.context import actor, hint
from analysis.readout import Interval

if TYPE_CHECKING:  # only the demo itself pays for what it imports
    from analysis.demo import Played

UNITS = 30_000


def demo(
    home: Annotated[Path, typer.Option(help="The folder of the demo's shop.")] = Path("demo-shop"),
    units: Annotated[int, typer.Option(min=1_000, max=200_000, help="How many shoppers to simulate.")] = UNITS,
) -> None:
    """Simulate a shop with a known lift, take its logs to a verdict, and say how close the verdict came."""
    from analysis.demo import play

    console = Console(highlight=False)
    began = perf_counter()
    played = play(home, units=units, now=datetime.now(UTC), by=actor(), console=console)
    for readout in played.readouts:
        console.print(f"\n[bold]{readout.experiment.name}[/bold] ({readout.experiment.key})")
        console.print(readout.verdict.sentence, markup=False)
    console.print()
    console.print(_compared(played))
    key = played.readouts[0].experiment.key
    console.print(f"\nAll of it took {perf_counter() - began:.0f} s. Now look at it:")
    console.print(f"  {hint(f'app --home {shlex.quote(str(home))}')}", markup=False)
    console.print(f"  {hint(f'readout {key} --home {shlex.quote(str(home))}')}", markup=False)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def _compared(played: "Played") -> Table:
    from analysis.demo import comparisons, covers

    table = Table("", "injected", "estimated", "between", "inside", title="What was injected, and what was found")
    for readout in played.readouts:
        table.add_section()
        table.add_row(f"[bold]{readout.experiment.key}[/bold]")
        if readout.withheld:
            table.add_row("withheld")
            continue
        for name, true, found in comparisons(readout, played.truth[readout.experiment.key]):
            if not isinstance(found, Interval):
                table.add_row(name, _percent(true), "not determined", "", "")
                continue
            shown = words.figures(found.est, found.lo, found.hi, unit="lift")
            table.add_row(name, _percent(true), shown.est, shown.span, "yes" if covers(found, true) else "no")
    return table


def _percent(share: float) -> str:
    return words.figures(share, share - 0.01, share + 0.01, unit="lift").est
