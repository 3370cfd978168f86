"""`truelift fit`: learn what the shop's arms recommend, and publish it for `truelift serve`."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from analysis.cli.context import Home, Wait, instant
from experiments.shop import open_shop
from experiments.store import Store


def fit(
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="Learn from what came before this instant (UTC; default: now).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.", min=0)] = 0,
    wait: Wait = 0.0,
    home: Home = None,
) -> None:
    """Fit the strategies that slots, arms and holdouts name on the shop's logs; a running service takes them up."""
    from analysis.fitting import fit_shop

    shop = open_shop(home)
    moment = datetime.now(UTC) if as_of is None else instant(as_of)
    with Store.open(shop.store_url) as store:
        made = fit_shop(shop, store, as_of=moment, seed=seed, wait_seconds=wait)
    report = made.fitted[0].report
    out = Console(highlight=False, soft_wrap=True, markup=False)
    out.print(
        f"As of {moment:%Y-%m-%d %H:%M} UTC: {report.interactions:,} interactions, {report.orders:,} order lines, "
        f"{report.catalogue:,} catalogue rows"
    )
    table = Table("strategy", "version", "items", "parameters", "named by", box=None, header_style="bold")
    for want, fitted in zip(made.wanted, made.fitted, strict=True):
        params = ", ".join(f"{name} {value}" for name, value in want.params.items())
        table.add_row(want.strategy, fitted.version, f"{fitted.report.items:,}", params, ", ".join(want.named_by))
    out.print(table)
    for name, named_by in made.elsewhere.items():
        out.print(
            f"{name} is not built in ({', '.join(named_by)}): {shop.published / 'lists.json'} has to say its items"
        )
    out.print(f"{len(made.written)} new in {shop.published / 'models'}")
    if not report.interactions + report.orders:
        out.print("No event names an item before then: every item counts the same.")


def register(app: typer.Typer) -> None:
    """Add `truelift fit`."""
    app.command("fit")(fit)
