"""`truelift demo`: a simulated shop with four experiments, from assignment to verdicts, beside what is true of them."""

import shlex
from collections.abc import Iterator
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
    from analysis.demo.play import Played


def demo(
    home: Annotated[Path, typer.Option(help="The folder of the demo's shop.")] = Path("demo-shop"),
    units: Annotated[int, typer.Option(min=1_000, max=200_000, help="How many shoppers to simulate.")] = 40_000,
    regression: Annotated[
        bool, typer.Option("--regression", help="Let the homepage's new arm lose orders: the alerts' own demo.")
    ] = False,
) -> None:
    """Play four experiments of a simulated shop from assignment to verdicts, and say what the truth was."""
    from analysis.demo.play import play
    from analysis.demo.shop import stories
    from analysis.demo.steps import Steps

    console = Console(highlight=False)
    began = perf_counter()
    told = stories(regression=regression)
    played = play(home, units=units, now=datetime.now(UTC), by=actor(), regression=regression, step=Steps(console))
    shop = shlex.quote(str(home))
    for story, readout in zip(told, played.readouts, strict=True):
        console.print(f"\n[bold]{readout.experiment.name}[/bold] ({story.key})")
        console.print(readout.verdict.sentence, markup=False)
        console.print(f"In truth: {story.told}", markup=False, style="dim")
        console.print(f"Look at {story.page}: /{story.look}", markup=False, style="dim", soft_wrap=True)
    console.print()
    console.print(_compared(played))
    console.print(f"\nAll of it took {perf_counter() - began:.0f} s. Now look at it, then decide:")
    first = told[0].key
    incidents = () if played.watched is None else (f"alerts list --home {shop}", f"alerts digest --home {shop}")
    for command in (
        *incidents,
        f"app --home {shop}",
        f"readout {first} --home {shop}",
        f"audit {first} --home {shop}",
        f'stop {first} --decision ship --reason "…" --home {shop}',
    ):
        console.print(f"  {hint(command)}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def _compared(played: "Played") -> Table:
    table = Table("", "true", "estimated", "between", "inside", title="What is true, and what was found")
    for readout in played.readouts:
        table.add_section()
        table.add_row(f"[bold]{readout.experiment.key}[/bold]")
        for row in _rows(played, readout.experiment.key):
            table.add_row(*row)
    return table


def _rows(played: "Played", key: str) -> Iterator[tuple[str, ...]]:
    from analysis.demo.report import comparisons

    readout = next(each for each in played.readouts if each.experiment.key == key)
    for each in comparisons(readout, played.truth[key]):
        if each.found is None:
            yield each.what, _percent(each.true), "withheld"
        elif not isinstance(each.found, Interval):
            yield each.what, _percent(each.true), "not determined"
        else:
            shown = words.figures(each.found.est, each.found.lo, each.found.hi, unit="lift")
            yield each.what, _percent(each.true), shown.est, shown.span, "yes" if each.inside else "no"


def _percent(share: float) -> str:
    return words.figures(share, share - 0.01, share + 0.01, unit="lift").est
