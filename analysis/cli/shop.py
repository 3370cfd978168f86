"""`truelift init`: a shop is a folder."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.hints import typed
from experiments.shop import MODULES, create


def init(
    shop: Annotated[Path, typer.Argument(help="The folder to make.")],
    currency: Annotated[str, typer.Option(help="ISO 4217; every amount is reported in it.")] = "EUR",
    time_zone: Annotated[str, typer.Option(help="IANA; a business day begins at its midnight.")] = "UTC",
    money_digits: Annotated[
        int | None, typer.Option(help="Digits kept of an amount, 0 to 4 (default: the currency's own).")
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option(help=f"A module that gets a layer; once for each (default: {', '.join(MODULES)})."),
    ] = None,
) -> None:
    """Make a shop: settings, an empty metric file with an example, slices, layers, a place for definitions."""
    modules = module or MODULES
    made = create(shop, modules=modules, currency=currency, time_zone=time_zone, money_digits=money_digits)
    typer.echo(
        f"{made.home} is a shop: {made.settings.currency} with {made.settings.digits} digits, {made.settings.time_zone}"
    )
    typer.echo("Next:")
    typer.echo(f"  export TRUELIFT_HOME={made.home}")
    typer.echo(f"  {typed('check LOGS --mapping MAPPING', None)}   # would these rows be accepted?")
    typer.echo(f"  write {made.definitions / 'NAME.yml'}, then: {typed('validate', None)}, register, start")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)
