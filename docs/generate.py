"""Rewrite the generated parts of the documents: the command list, the metrics, the sources. A test compares them.

Run it from the project's root: .venv/bin/python docs/generate.py
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
import typer.main

from analysis import cli
from experiments.catalogue import shipped_metrics
from experiments.spec import SOURCES

ROOT = Path(__file__).parents[1]
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> list[Path]:
    """Every Markdown file that readers meet."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def parts() -> Mapping[str, str]:
    """What stands between the marks, by name."""
    return {"commands": _commands(), "metrics": _metrics(), "sources": _sources()}


def regenerated(text: str) -> str:
    """A document with its generated parts as they should be. KeyError for a part nobody generates."""
    made = parts()
    return _PART.sub(lambda found: f"{found[1]}{made[found['name']]}{found[3]}", text)


def _commands() -> str:
    cli._register_all()
    group = typer.main.get_group(cli.app)
    rows = [(name, (command.help or "").splitlines()[0]) for name, command in group.commands.items()]
    return _table(("command", "what it does"), [(f"`{name}`", text) for name, text in rows])


def _metrics() -> str:
    rows = [
        (f"`{metric.key}`", metric.label, metric.kind, metric.value_unit, metric.direction, metric.role_hint)
        for metric in shipped_metrics().values()
    ]
    return _table(("key", "label", "kind", "unit", "good is", "meant as"), rows)


def _sources() -> str:
    rows = [(f"`{name}`", ", ".join(f"`{column}`" for column in columns)) for name, columns in SOURCES.items()]
    return _table(("source", "columns"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: rewritten")
