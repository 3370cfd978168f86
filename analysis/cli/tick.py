"""`truelift tick`: one line for a scheduler."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from analysis.cli.context import Home, actor, as_typed
from experiments.shop import open_shop


def tick(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait while another process has the warehouse.")] = 60.0,
    home: Home = None,
) -> None:
    """Do all that is due, once: load the exposure log, refresh, ramp, measure, run the alerts. For a scheduler.

    A line for each stage; one that fails does not keep the others from it, except that nothing is counted while the
    log cannot be loaded. Exit 0 when all went well, also with alerts open or a step held; else the code that says what
    to do: 1 a failure worth a retry, 2 something to be mended, 5 the warehouse or another tick, 4 a notice not
    delivered, 3 data not ready, in this order when there are several.
    """
    from analysis import tick as work

    shop = open_shop(home)
    progress = Console(stderr=True, highlight=False, markup=False, emoji=False)
    given = work.Run(
        shop, datetime.now(UTC), actor(), wait_seconds=wait, say=lambda text: progress.print(text, style="dim")
    )
    codes = []
    for stage in work.run(given):
        typer.echo(as_typed(stage.line))
        codes.append(stage.exit_code)
    code = work.gravest(codes)
    if code:
        raise typer.Exit(code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tick)
