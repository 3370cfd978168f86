"""`truelift init`: what it makes, says and refuses."""

import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from analysis.cli import definitions, shop
from experiments.errors import DefinitionError, UsageError
from experiments.shop import create, open_shop


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRUELIFT_")]:
        monkeypatch.delenv(name)


def run(*words: str | Path) -> Result:
    app = typer.Typer()
    shop.register(app)
    definitions.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_init_makes_a_shop_that_opens_and_says_what_comes_next(tmp_path: Path) -> None:
    result = run("init", tmp_path / "shop", "--currency", "GBP", "--time-zone", "Europe/London")
    assert result.exit_code == 0, result.output
    assert "is a shop: GBP with 2 digits, Europe/London" in result.output
    assert "truelift validate, register, start" in result.output
    assert open_shop(tmp_path / "shop").settings.currency == "GBP"


def test_init_refuses_a_wrong_setting_and_a_shop_that_is_there(tmp_path: Path) -> None:
    create(tmp_path / "shop")
    assert isinstance(run("init", tmp_path / "shop").exception, UsageError)
    error = run("init", tmp_path / "other", "--currency", "EURO", "--money-digits", "9").exception
    assert isinstance(error, DefinitionError)
    assert {problem.path for problem in error.problems} == {"currency", "money_digits"}
