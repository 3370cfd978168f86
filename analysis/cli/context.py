"""What every command shares: where the shop is, who is asking, how long to wait, and how to say what comes next."""

from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis import hints
from analysis.people import actor as actor
from experiments.errors import UsageError

_home: ContextVar[Path | None] = ContextVar("home", default=None)


def _remember(home: Path | None) -> Path | None:
    _home.set(home)
    return home


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="TRUELIFT_HOME",
        help="The shop's folder (default: TRUELIFT_HOME, else ./shop).",
        callback=_remember,
    ),
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait while another process has the warehouse.")]


def instant(text: str, option: str = "--as-of") -> datetime:
    """What an option says: an ISO 8601 time, UTC where it does not say its zone; a date is its midnight. UsageError."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text}: not a time; write 2026-11-10, or 2026-11-10T06:00 (UTC)") from None


def hint(command: str) -> str:
    """A command as this person would type it: `hint("start my_test")`."""
    return hints.typed(command, hints.needed(_home.get()))


def as_typed(text: str) -> str:
    """A text with the commands in it as this person would type them."""
    return hints.as_typed(text, hints.needed(_home.get()))
