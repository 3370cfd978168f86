"""Settings come from the environment, every wrong one is named, and the guide has them all."""

import re
from pathlib import Path

import pytest

from assignment.service.settings import ServiceSettings
from experiments.errors import DefinitionError

GUIDE = Path(__file__).parents[3] / "docs/serving.md"


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELIFT_SERVE_CORS_ORIGINS", '["https://shop.example"]')
    monkeypatch.setenv("TRUELIFT_SERVE_DEADLINE_MS", "40")
    read = ServiceSettings.read()
    assert (read.cors_origins, read.deadline_ms, read.events) == (("https://shop.example",), 40, 1_000)


def test_every_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUELIFT_SERVE_DEADLINE_MS", "soon")
    monkeypatch.setenv("TRUELIFT_SERVE_EVENTS", "0")
    with pytest.raises(DefinitionError) as refused:
        ServiceSettings.read()
    assert {problem.path for problem in refused.value.problems} == {
        "TRUELIFT_SERVE_DEADLINE_MS",
        "TRUELIFT_SERVE_EVENTS",
    }


def test_the_guide_has_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", GUIDE.read_text("utf-8"), re.MULTILINE))
    fields = {name.upper(): field.default for name, field in ServiceSettings.model_fields.items() if name != "workers"}
    assert set(rows) == set(fields)
    for name, default in fields.items():
        said = rows[name].strip("`").replace("'", '"')
        shown = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
        assert said == (
            '["*"]' if isinstance(shown, tuple) else f"{shown:g}" if isinstance(shown, float) else str(shown)
        )
