"""Commands as they are typed here: `./run refresh KEY --home demo-shop` where errors say `truelift refresh KEY`."""

import os
import re
import shlex
from pathlib import Path

CALLED = "TRUELIFT_CALLED"  # how the program was called; the script `run` says it
TYPED_HOME = "TRUELIFT_TYPED_HOME"  # the --home the app was opened with, where it is not the default
WITHOUT_HOME = ("init", "schema", "demo")
_COMMAND = re.compile(r"`truelift ([^`]+)`")


def program() -> str:
    """What is typed to call truelift."""
    return os.environ.get(CALLED) or "truelift"


def typed(command: str, home: str | None) -> str:
    """A command with its program, and with --home where `home` names one."""
    asks = home is not None and "--home" not in command and command.split()[0] not in WITHOUT_HOME
    return f"{program()} {command} --home {shlex.quote(str(home))}" if asks else f"{program()} {command}"


def as_typed(text: str, home: str | None) -> str:
    """A text whose `truelift …` in backticks are as typed."""
    return _COMMAND.sub(lambda found: f"`{typed(found[1], home)}`", text)


def app_home() -> str | None:
    """What --home has to name in a hint of the app."""
    return os.environ.get(TYPED_HOME) or None


def needed(home: Path | None) -> str | None:
    """What --home has to name; None where a command finds the shop without it."""
    default = Path(os.environ.get("TRUELIFT_HOME") or "shop")
    return None if home is None or home.absolute() == default.absolute() else str(home)
