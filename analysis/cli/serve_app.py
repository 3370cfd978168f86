"""`truelift app`: the pages in a browser, on this machine, telling nobody that they run."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import analysis
from analysis import hints
from analysis.cli.context import Home
from analysis.cli.listening import refuse_taken
from experiments.shop import open_shop

APP = Path(analysis.__file__).parents[1] / "app.py"
# What the app must have wherever it is started from; .streamlit/config.toml says the same for `streamlit run app.py`.
OPTIONS = {
    "browser.gatherUsageStats": "false",
    "server.headless": "true",
    "server.showEmailPrompt": "false",
    "server.fileWatcherType": "none",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "theme.base": "light",
    "theme.primaryColor": "#0072B2",
    "theme.backgroundColor": "#FFFFFF",
    "theme.secondaryBackgroundColor": "#F6F6F4",
    "theme.textColor": "#262730",
    "theme.linkColor": "#0B5C8E",
}


def register(app: typer.Typer) -> None:
    """Add `truelift app`."""
    app.command("app")(serve)


def command(port: int, address: str) -> list[str]:
    """The process that serves the pages."""
    options = OPTIONS | {"server.port": str(port), "server.address": address}
    return [sys.executable, "-m", "streamlit", "run", str(APP), *(f"--{key}={value}" for key, value in options.items())]


def serve(
    home: Home = None,
    port: Annotated[int, typer.Option(help="Where to listen.", min=1, max=65535)] = 8501,
    address: Annotated[str, typer.Option(help="Which address to listen on; there is no login.")] = "localhost",
) -> None:
    """Open the app: waiting decisions, readouts, where it helps and hurts, the registry. Ctrl+C ends it."""
    shop = open_shop(home)
    refuse_taken(port, address)
    os.environ[hints.TYPED_HOME] = hints.needed(home) or ""
    os.environ["TRUELIFT_HOME"] = str(shop.home.resolve())
    typer.echo(f"truelift: {shop.home} at http://{address}:{port}", err=True)
    sys.stdout.flush()
    os.execv(sys.executable, command(port, address))
