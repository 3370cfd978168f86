"""docs/operations.md: each scheduler can read its recipe and runs one line of ours; the codes are those we end with."""

import re
from contextvars import copy_context
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from analysis import cli
from analysis.alerts.job.report import CODES
from analysis.tick import GRAVEST
from experiments import errors
from experiments.money import EVERY
from tests.helpers.recipes import LANGUAGES, Recipe, minutes, recipe

TEXT = (Path(__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
RECIPES = [
    (found["text"].splitlines()[0].removeprefix("# "), recipe(found["language"], found["text"]))
    for found in FENCE.finditer(TEXT)
    if found["language"] in LANGUAGES or "\nkind:" in found["text"]
]
COMMANDS = [(name, one) for name, one in RECIPES if one.command]


def section(title: str) -> str:
    """What stands under a heading, of whatever depth."""
    return re.split(r"^#+ ", TEXT.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[int, str]:
    """A table whose first column is a number."""
    return {int(found[1]): found[2] for found in re.finditer(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)}


def test_there_is_one_for_each_scheduler() -> None:
    assert [name for name, _ in RECIPES] == [
        "/etc/cron.d/truelift", "/etc/systemd/system/truelift.service", "/etc/systemd/system/truelift.timer",
        "truelift-cronjob.yml", "dags/truelift.py",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "one"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_each_runs_one_line_that_the_command_line_knows(name: str, one: Recipe) -> None:
    word, *options = one.command
    assert word == "tick", name
    group = typer.main.get_command(cli.command_line(word))
    assert isinstance(group, TyperGroup)
    context = copy_context().run(group.commands[word].make_context, word, options)  # refuses what is no option
    assert "wait" in context.params
    with pytest.raises(Exception, match="No such option: --homes"):
        group.commands[word].make_context(word, ["--homes", "x"])


def test_all_run_once_an_hour_which_money_yml_may_say() -> None:
    fired = {frozenset(minutes(one.schedule)) for _, one in RECIPES if one.schedule}
    assert fired == {frozenset({5})}
    assert 60 // len(next(iter(fired))) in EVERY
    assert len(minutes("*/15 * * * *")) * 15 == 60


def test_a_recipe_that_no_scheduler_could_read_is_found() -> None:
    for broken in ("5 * * * truelift /x/run tick", "65 * * * * truelift /x/run tick", "5 * * * * truelift ./run tick"):
        with pytest.raises(AssertionError):
            minutes(recipe("cron", broken).schedule)


def test_the_codes_are_ours_and_in_our_order() -> None:
    told = rows(section("Exit codes"))
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert set(told) == raised | set(CODES)
    assert f"the first code in this order is the tick's: {', '.join(map(str, GRAVEST))}" in TEXT
    advised = rows(section("What to do about an exit code"))
    assert set(advised) == {0, *GRAVEST}


def test_only_what_may_go_well_the_next_time_is_tried_again() -> None:
    advised = rows(section("What to do about an exit code"))
    again = {code for code, words in advised.items() if "| tries again |" in words}
    assert again == {1}
    for name, one in RECIPES:
        assert not again & set(one.no_retry), name
