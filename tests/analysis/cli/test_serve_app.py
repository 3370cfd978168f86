"""`truelift app` starts the pages on the right shop; that they answer is shown in tests/test_browser.py."""

import os
import socket
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analysis.cli import serve_app
from experiments.errors import NotFoundError, UsageError
from tests.helpers import published

ROOT = Path(__file__).parents[3]


class StartedError(Exception):
    """Instead of becoming another program."""


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    def become(path: str, arguments: list[str]) -> None:
        raise StartedError(path, arguments)

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setenv("TRUELIFT_HOME", "")
    monkeypatch.setenv("TRUELIFT_TYPED_HOME", "")
    app = typer.Typer()
    app.callback()(lambda: None)
    serve_app.register(app)
    return app


def test_serves_the_named_shop_without_usage_statistics(cli: typer.Typer, tmp_path: Path) -> None:
    home = published.shop(tmp_path / "shop")
    done = CliRunner().invoke(cli, ["app", "--home", str(home), "--port", "8700"])
    assert isinstance(done.exception, StartedError)
    path, arguments = done.exception.args
    assert path == sys.executable
    assert arguments[1:4] == ["-m", "streamlit", "run"]
    assert Path(arguments[4]) == ROOT / "app.py"
    assert {"--browser.gatherUsageStats=false", "--server.port=8700", "--server.address=localhost"} <= set(arguments)
    assert os.environ["TRUELIFT_HOME"] == str(home)
    assert os.environ["TRUELIFT_TYPED_HOME"] == str(home)  # what its hints name
    assert "http://localhost:8700" in done.stderr


def test_missing_shop_is_an_error_before_anything_starts(cli: typer.Typer, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["app", "--home", str(tmp_path / "nowhere")])
    assert isinstance(done.exception, NotFoundError)
    assert "truelift init" in str(done.exception)


def test_a_port_that_is_taken_is_refused_before_its_address_is_printed(cli: typer.Typer, tmp_path: Path) -> None:
    home = published.shop(tmp_path / "shop")
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(cli, ["app", "--home", str(home), "--port", str(port)])
    assert isinstance(done.exception, UsageError)
    assert f"localhost:{port} cannot be listened on (Address already in use); choose another --port" in str(
        done.exception
    )
    assert done.stderr == ""


def test_port_out_of_range_is_usage(cli: typer.Typer, tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["app", "--home", str(tmp_path), "--port", "0"]).exit_code == 2


def test_config_file_says_the_same_as_the_command() -> None:
    given = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    flat = {
        f"{part}.{name}": str(value).lower() if isinstance(value, bool) else value
        for part, values in given.items()
        for name, value in values.items()
    }
    assert flat == serve_app.OPTIONS | {"server.address": "localhost"}
