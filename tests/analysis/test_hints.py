"""A hint is what the reader would type: the program as it was called, and the shop where it has to be named."""

from pathlib import Path

import pytest

from analysis.hints import CALLED, as_typed, needed, typed


@pytest.fixture(autouse=True)
def _called_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (CALLED, "TRUELIFT_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_a_command_repeats_the_program_and_the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed("start my_test", None) == "truelift start my_test"
    monkeypatch.setenv(CALLED, "./run")
    assert typed("start my_test", None) == "./run start my_test"
    assert typed("start my_test", "my shop") == "./run start my_test --home 'my shop'"


@pytest.mark.parametrize("command", ["init /tmp/shop", "demo", "schema outcome", "app --home other"])
def test_home_is_added_only_where_a_command_takes_one_and_has_none(command: str) -> None:
    assert typed(command, "my-shop") == f"truelift {command}"


def test_commands_inside_a_text_are_as_typed_and_the_rest_stays() -> None:
    text = "made by another truelift; `truelift start a` starts it, `sql/a.sql` stays"
    assert as_typed(text, "b") == "made by another truelift; `truelift start a --home b` starts it, `sql/a.sql` stays"


def test_home_is_needed_where_it_is_not_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert needed(None) is None
    assert needed(Path("shop")) is None
    assert needed(Path("other")) == "other"
    monkeypatch.setenv("TRUELIFT_HOME", str(tmp_path / "other"))
    assert needed(Path("other")) is None
    assert needed(Path("shop")) == "shop"
