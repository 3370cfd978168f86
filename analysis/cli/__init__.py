"""The command line: one file a noun, errors to exit codes in one place. `truelift --help` lists the words."""

import sys
from typing import NoReturn

import typer
from rich.console import Console

from experiments.errors import TrueliftError

app = typer.Typer(
    name="truelift",
    help="What your recommenders really add: logs in, a verdict in plain words out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _register_all() -> None:
    from analysis.cli import definitions, demo, logs, readouts, serve_app, shop

    for noun in (shop, definitions, logs, readouts, serve_app, demo):
        noun.register(app)


def main() -> None:
    """Run one command; exit 0 done, 1 failed, 2 what was given cannot be used, 5 the warehouse is busy."""
    _register_all()
    try:
        app(prog_name="truelift")
    except TrueliftError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe left: not our failure
        sys.stderr.close()
        sys.exit(141)
    except KeyboardInterrupt:
        _interrupted()
    except RuntimeError as error:  # what DuckDB makes of Ctrl+C in the middle of a statement
        if "interrupt" not in str(error).lower():
            raise
        _interrupted()
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        _say(f"{named}{error.strerror or error}; nothing half-done was kept: make room or choose another place")
        sys.exit(1)


def _interrupted() -> NoReturn:
    _say("Interrupted; nothing half-done was kept.")
    sys.exit(130)


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style="red", markup=False)


if __name__ == "__main__":
    main()
