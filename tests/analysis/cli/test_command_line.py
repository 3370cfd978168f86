"""The command line as a whole: what it lists, what listing costs, how it is called, and how it ends."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import cli
from tests.helpers.published import shop
from tests.helpers.readouts import example

ROOT = Path(__file__).parents[3]
EVERY = [word for words in cli.WORDS.values() for word in words]


def test_each_word_is_told_as_its_docstring_or_its_help_begins() -> None:
    for words in cli.WORDS.values():
        registered = cli.command_line(next(iter(words)))
        told = {}
        for group in registered.registered_groups:
            assert group.typer_instance is not None
            told[str(group.name)] = str(group.typer_instance.info.help)
        for command in registered.registered_commands:
            assert command.callback is not None
            told[command.name or command.callback.__name__] = (inspect.getdoc(command.callback) or "").splitlines()[0]
        assert told == dict(words)


def test_help_lists_every_word_and_loads_nothing_heavy() -> None:
    heavy = ("altair", "duckdb", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sqlalchemy", "streamlit")
    script = (
        "import sys; from analysis import cli; sys.argv = ['truelift', '--help']\n"
        "try: cli.main()\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(word in done.stdout for word in EVERY)
    assert done.stderr.strip() == "[]"


def ended(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], called: str = "./run"
) -> tuple[int, str]:
    """Exit code, and what was said on both streams with its line breaks as spaces."""
    monkeypatch.setattr(sys, "argv", ["truelift", *words])
    monkeypatch.setenv("TRUELIFT_CALLED", called)
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    return int(str(stopped.value.code or 0)), " ".join((said.out + said.err).split())


def test_a_hint_repeats_the_program_and_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRUELIFT_HOME", raising=False)
    home = str(shop(tmp_path / "a", [example("SHIP")]))
    code, said = ended(["refresh", "--home", home], monkeypatch, capsys)
    assert (code, f"`./run start KEY --home {home}`" in said) == (2, True)
    code, said = ended(["readout", "nothing", "--home", str(tmp_path)], monkeypatch, capsys, called="")
    assert (code, f"`truelift init {tmp_path}`" in said) == (2, True)
    monkeypatch.setenv("TRUELIFT_HOME", home)
    code, said = ended(["refresh"], monkeypatch, capsys)
    assert (code, "`./run start KEY`" in said) == (2, True)


def test_an_unknown_word_names_the_nearest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(["refres"], monkeypatch, capsys)
    assert (code, "Did you mean 'refresh'?" in said) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["refresh", "--wait", "-5"],
        ["load", "a.csv", "--mapping", "m.yml", "--wait", "-1"],
        ["refresh", "a", "--phase", "0"],
        ["readout", "a", "--phase", "-1"],
        ["demo", "--units", "-1"],
    ],
)
def test_a_number_out_of_range_is_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ended(words, monkeypatch, capsys)
    assert code == 2
    assert "Invalid value" in said


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(shop(tmp_path / "shop", [example("SHIP")]))
    asked = ["readout", "home_als_v2", "--home", home, "--html"]
    nowhere = tmp_path / "nodir" / "a.html"
    code, said = ended([*asked, str(nowhere)], monkeypatch, capsys)
    assert (code, f"{nowhere}: there is no folder {nowhere.parent}; make it" in said) == (2, True)
    code, said = ended([*asked, str(tmp_path)], monkeypatch, capsys)
    assert (code, f"{tmp_path}: is a folder, not a file" in said) == (2, True)
    code, said = ended([*asked, "/dev/full"], monkeypatch, capsys)
    assert (code, "No space left on device; nothing half-done was kept" in said) == (1, True)
