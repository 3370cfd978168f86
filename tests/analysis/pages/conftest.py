"""The app as a test client sees it, on a shop whose store holds the given readouts."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analysis.pages import components
from analysis.readout import Readout
from experiments.spec import Experiment
from tests.helpers import published

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 12, 16, 9, tzinfo=UTC)


class OpenPage(Protocol):
    def __call__(
        self,
        page: str,
        readouts: Iterable[Readout],
        *,
        unread: Iterable[Experiment] = (),
        address: Mapping[str, str] | None = None,
    ) -> AppTest: ...


@pytest.fixture
def open_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """Run a page on a shop of the given readouts, at 9 o'clock on 16 December 2026."""
    monkeypatch.setattr(components, "now", lambda: NOW)
    st.cache_data.clear()  # examples share snapshot ids, real readings never do

    def open_it(
        page: str,
        readouts: Iterable[Readout],
        *,
        unread: Iterable[Experiment] = (),
        address: Mapping[str, str] | None = None,
    ) -> AppTest:
        monkeypatch.setenv("TRUELIFT_HOME", str(published.shop(tmp_path / "shop", readouts, unread=unread)))
        return visit(page, address)

    return open_it


def visit(page: str, address: Mapping[str, str] | None = None) -> AppTest:
    """The page after one run; its script must not have failed."""
    client = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    client.switch_page(str(ROOT / "analysis" / "pages" / f"{page}.py"))
    for name, value in (address or {}).items():
        client.query_params[name] = value
    client.run()
    assert not client.exception, [problem.value for problem in client.exception]
    return client


def said(client: AppTest) -> str:
    """Everything the page says, in order of kind, without markup and style sheets."""
    kinds = (client.title, client.subheader, client.markdown, client.caption, client.info, client.code, client.html)
    texts = [plain(str(element.value)) for kind in kinds for element in kind]
    texts += [" ".join(card) for card in cards(client)]
    bare = [unescape(re.sub(r"<[^>]+>", " ", text)) for text in texts if not text.startswith("<style>")]
    return re.sub(r"\s+", " ", " ".join(bare))


def cards(client: AppTest) -> list[tuple[str, str, str]]:
    """Label, value and detail of each card."""
    return [(plain(card.label), plain(str(card.value)), plain(str(card.delta))) for card in client.metric]


def plain(text: str) -> str:
    """What Markdown shows of an escaped text, without the joiners that keep a sign on its number's line."""
    return re.sub(r"\\(.)\u2060", r"\1", text).replace("\u2060", "")


@dataclass(frozen=True)
class Drawn:
    """A chart on the page: its accessible name and its data rows."""

    name: str
    rows: tuple[dict[str, object], ...]


def charts(client: AppTest) -> list[Drawn]:
    """The charts on the page, in order."""
    found = []
    for element in client.get("vega_lite_chart"):
        tables = [pa.ipc.open_stream(dataset.data.data).read_all().to_pylist() for dataset in element.proto.datasets]
        rows = tuple(row for table in tables for row in table if len(row) > 2)
        found.append(Drawn(str(json.loads(element.proto.spec)["description"]), rows))
    return found
