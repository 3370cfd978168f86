"""The command line: one file a noun, errors to exit codes in one place. `truelift --help` lists the words."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NoReturn

import typer
from rich.console import Console

from analysis.cli.context import as_typed
from analysis.hints import program
from experiments.errors import TrueliftError

WORDS: Mapping[str, Mapping[str, str]] = {  # file → word → what it does, the first line of its docstring
    "shop": {
        "init": "Make a shop: settings, an empty metric file with an example, slices, layers, a place for definitions.",
    },
    "definitions": {
        "validate": "Check metrics, slices, money, layers, definitions; print every problem at once. Changes nothing.",
        "register": "Make a definition known to the store, as its next version; the same content changes nothing.",
        "start": "Freeze a draft with its metrics and slices, and let it run from its schedule's start_at.",
        "close-stop": "Close the stop of an arm after looking into it; its next refresh is read anew.",
    },
    "lifecycle": {
        "schedule": "Let a draft start by itself at its schedule's start_at; `ramp` brings the time.",
        "pause": "Let everybody meet the control until it is resumed; nobody's arm changes.",
        "resume": "Let what was paused or killed go on, every unit in the arm it had.",
        "kill": "Give everybody the control at once, whatever else is going on; `resume` lifts it.",
        "stop": "End an experiment with what was decided and why; also decides what its schedule ended.",
        "archive": "Put a stopped and decided experiment away.",
        "new-phase": "End the phase that runs and begin the next with another definition; units are drawn anew.",
        "disable": "Serve the control's recommender to an arm's units, which stay in their arm.",
        "enable": "Serve an arm's own recommender to its units again.",
        "traffic": "Let more units take part from now on; who takes part already goes on.",
        "add-ranges": "Give an experiment more buckets of its layer, where they are free.",
        "override": "Force a unit into an arm, or let it go; it is never analysed while forced.",
        "ramp": (
            "Do what is due: scheduled starts, ramp steps with green checks, ends; exit 1 and say why if one is held."
        ),
        "diff": "Print every field in which two versions of a definition differ, or the newest and a file.",
        "verify-audit": "Check the audit's chain, and count it against the store; exit 1 and say what is wrong.",
    },
    "assign": {
        "assign": "Say which arm a unit gets now, in a slot or in every slot of an experiment. It logs nothing.",
    },
    "logs": {
        "check": (
            "Say what a load would accept and reject, and why. Changes nothing; exit 2 when nothing would be accepted."
        ),
        "load": "Load log files, each whole or not at all; rejected rows are kept with every reason.",
        "schema": "Print the JSON Schema of a contract row, for whoever writes the logs.",
    },
    "tick": {
        "tick": (
            "Do all that is due, once: load the exposure log, refresh, ramp, measure, run the alerts. For a scheduler."
        ),
    },
    "alerts": {
        "alerts": "What loses money now: evaluate it on a timer, see it, and say what is done about it.",
    },
    "audit": {
        "audit": "Recompute every exposure from salt, ranges and traffic; exit 1 when log and definition disagree.",
    },
    "readouts": {
        "refresh": (
            "Recompute an experiment from its logs and publish the readout; the same inputs publish nothing new."
        ),
        "readout": "Print the published verdict with its reasons and numbers, or hand it on as JSON, CSV or HTML.",
    },
    "fit": {
        "fit": (
            "Fit the strategies that slots, arms and holdouts name on the shop's logs; a running service takes them up."
        ),
    },
    "serve": {
        "serve": (
            "Serve flags by OFREP, recommendations and the exposure log over HTTP. "
            "Ctrl+C finishes what is being answered."
        ),
    },
    "tokens": {
        "token": "Make, list or revoke the tokens of the HTTP service; a secret is shown once and never kept.",
    },
    "serve_app": {
        "app": "Open the app: waiting decisions, readouts, where it helps and hurts, the registry. Ctrl+C ends it.",
    },
    "simulate": {
        "simulate": (
            "Write the logs of a simulated shop, faults and all, with their mappings and the true lifts beside them."
        ),
    },
    "demo": {
        "demo": "Play four experiments of a simulated shop from assignment to verdicts, and say what the truth was.",
    },
}


def command_line(word: str | None) -> typer.Typer:
    """The commands of the file that has `word`; where none has it, every word by name and help: that loads nothing."""
    app = typer.Typer(
        help="What your recommenders really add: logs in, a verdict in plain words out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_nothing)  # a file with one word has words too
    for file, words in WORDS.items():
        if word in words:
            import_module(f"analysis.cli.{file}").register(app)
            return app
    for words in WORDS.values():
        for name, told in words.items():
            app.command(name, help=told)(_nothing)
    return app


def _nothing() -> None:
    pass


def main() -> None:
    """Run one command; exit 0 done, 1 failed, 2 what was given cannot be used, 5 the warehouse is busy."""
    try:
        command_line(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name=program())
    except TrueliftError as error:
        _say(as_typed(str(error)))
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
