"""What every command shares: where the shop is, and who is asking."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="TRUELIFT_HOME", help="The shop's folder (default: TRUELIFT_HOME, else ./shop)."),
]


def actor() -> str:
    """The name written into the audit: the operating system's user."""
    return getpass.getuser()
