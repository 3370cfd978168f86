"""Whoever acts has a name, or is asked for one."""

import getpass

import pytest

from analysis.people import actor
from experiments.errors import UsageError


def test_it_is_the_name_of_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "mara")
    assert actor() == "mara"


@pytest.mark.parametrize("error", [KeyError("uid not found: 1000"), OSError("no username set")])
def test_without_one_nothing_is_signed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    with pytest.raises(UsageError, match="set the variable USER"):
        actor()
