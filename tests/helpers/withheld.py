"""What a withheld readout must not show, wherever it is shown: no number of a metric, in no form (DATA 6)."""

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from analysis.exports.csv import to_csv
from analysis.exports.html import to_html
from analysis.exports.terminal import for_a_person
from analysis.readout import Readout
from tests.analysis.pages.conftest import charts, said, visit

NUMBERS = {"metrics", "slices", "series", "questions"}  # what a body that is not withheld has


def no_number_is_exported(readout: Readout, labels: Iterable[str]) -> None:
    """Not in JSON, CSV, HTML, nor on the terminal; `labels` are the names of its metrics."""
    assert NUMBERS.isdisjoint(json.loads(readout.to_json()))
    rows = list(csv.DictReader(io.StringIO(to_csv(readout))))
    assert {row["section"] for row in rows} <= {"verdict", "arm", "check"}
    assert {row["est"] + row["lo"] + row["hi"] for row in rows} == {""}
    page = to_html(readout)
    assert "<svg" not in page
    terminal = Console(file=io.StringIO(), width=200, record=True)
    terminal.print(for_a_person(readout))
    for text in (page, terminal.export_text()):
        _has_no_number(text, labels)


def no_number_is_on_a_page(
    readout: Readout, home: Path, labels: Iterable[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on the pages of the shop at `home`."""
    monkeypatch.setenv("TRUELIFT_HOME", str(home))
    for page in ("readout", "where"):
        client = visit(page, {"experiment": readout.experiment.key})
        text = said(client)
        assert "withheld" in text.lower()
        assert not charts(client)
        assert not client.metric
        _has_no_number(text, labels)


def _has_no_number(text: str, labels: Iterable[str]) -> None:
    """No money, no signed figure, no metric's name but to say that it is not shown."""
    found = re.findall(rf"€|[+\u2212][0-9]|(?:{'|'.join(labels)})(?!: not shown).{{60}}", text, flags=re.IGNORECASE)
    assert not found, found
