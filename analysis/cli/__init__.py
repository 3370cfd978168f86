"""The command line: one file a noun, errors to exit codes in one place. `truelift --help` lists the words."""

import sys

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
        app()
    except TrueliftError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), style="red", markup=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe left: not our failure
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
