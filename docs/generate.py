"""Rewrite the generated parts of the documents: commands, metrics, sources, the contract. A test compares them.

Run it from the project's root: .venv/bin/python docs/generate.py
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.cli import WORDS
from analysis.warehouse.loading.reading import READY_FOLDER, ready_mappings
from experiments.catalogue import shipped_metrics
from experiments.contracts import CONTRACTS, Closed, Column, Flag, Kind, Listed, Moment, Number, Text, Whole, columns
from experiments.spec import SOURCES

ROOT = Path(__file__).parents[1]
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> list[Path]:
    """Every Markdown file that readers meet."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def parts() -> Mapping[str, str]:
    """What stands between the marks, by name."""
    contracts = {name: _contract(columns(model)) for name, model in CONTRACTS.items()}
    return {"commands": _commands(), "metrics": _metrics(), "sources": _sources(), "mappings": _mappings(), **contracts}


def regenerated(text: str) -> str:
    """A document with its generated parts as they should be. KeyError for a part nobody generates."""
    made = parts()
    return _PART.sub(lambda found: f"{found[1]}{made[found['name']]}{found[3]}", text)


def _commands() -> str:
    rows = [(f"`{name}`", told) for words in WORDS.values() for name, told in words.items()]
    return _table(("command", "what it does"), rows)


def _metrics() -> str:
    rows = [
        (f"`{metric.key}`", metric.label, metric.kind, metric.value_unit, metric.direction, metric.role_hint)
        for metric in shipped_metrics().values()
    ]
    return _table(("key", "label", "kind", "unit", "good is", "meant as"), rows)


def _sources() -> str:
    rows = [(f"`{name}`", ", ".join(f"`{column}`" for column in columns)) for name, columns in SOURCES.items()]
    return _table(("source", "columns"), rows)


def _mappings() -> str:
    rows = []
    for name in ready_mappings():
        first = (READY_FOLDER / f"{name}.yml").read_text(encoding="utf-8").splitlines()[0]
        rows.append((f"`{name}`", first.removeprefix("# ")))
    return _table(("name", "reads"), rows)


def _contract(given: Sequence[Column]) -> str:
    rows = [(f"`{column.name}`", _kind(column.kind), "yes" if column.required else "") for column in given]
    return _table(("column", "what it holds", "required"), rows)


def _kind(kind: Kind) -> str:
    match kind:
        case Text(longest=longest):
            return f"text, at most {longest} characters"
        case Whole(least=least, most=most, unit=unit):
            return f"whole number, {least:,} to {most:,} ({unit})"
        case Number(least=least, most=most):
            return f"number, {least:g} to {most:g}" if abs(least) < 1e300 else "number"
        case Flag():
            return "true or false"
        case Moment():
            return "time with a zone"
        case Closed(values=values):
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case Listed(model=model, most=most):
            fields = ", ".join(f"`{column.name}`" for column in columns(model))
            return f"list of at most {most:,} with {fields}"
        case _:
            return "JSON object"


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
