"""The whole thread, from log files to a published readout, in a shop of the test's own."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis import pipeline
from analysis.calendar import data_cut
from analysis.question import count_request
from analysis.readout import Readout
from analysis.warehouse import DEFAULT, WAREHOUSES
from analysis.warehouse.base import Counts
from analysis.warehouse.connection import open_connection
from analysis.warehouse.loading.load import LoadReport, ShopTerms, load_file
from analysis.warehouse.loading.reading import read_mapping
from experiments import lifecycle
from experiments.shop import Shop
from experiments.store import Store

DATA = Path(__file__).parents[3] / "shared" / "data"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def real_data(name: str) -> Path:
    """A folder or file of the outside data beside the project; the test skips where it is not."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the outside data are not here: no {path}")
    return path


@dataclass(frozen=True, slots=True)
class Thread:
    """A shop with its store, and the steps to a readout."""

    shop: Shop
    store: Store

    def load(self, file: Path, mapping: Path) -> LoadReport:
        """Load one file."""
        terms = ShopTerms.of(self.shop.settings)
        with open_connection(self.shop.warehouse_path) as connection:
            return load_file(connection, file, read_mapping(mapping), terms, now=NOW.replace(tzinfo=None))

    def start(self, definition: str) -> str:
        """Register and start a definition; its key."""
        path = self.shop.definitions / "definition.yml"
        path.write_text(definition, encoding="utf-8")
        known = lifecycle.register(self.store, self.shop, path, actor="test", reason="", now=NOW)
        lifecycle.start(self.store, self.shop, known.key, actor="test", reason="", now=NOW)
        return known.key

    def refresh(self, key: str, as_of: datetime, *, now: datetime = NOW) -> Readout:
        """Count, check, estimate and publish; before `now`'s own day it is a look back."""
        return pipeline.refresh(self.shop, self.store, key, now=now, as_of=as_of).readout

    def counts(self, key: str, as_of: datetime) -> Counts:
        """The exact counts a refresh starts from."""
        phase = self.store.phase(key)
        cut = data_cut(as_of, phase.experiment.schedule.end_at, self.shop.settings.zone)
        with WAREHOUSES[DEFAULT](self.shop.warehouse_path) as warehouse:
            return warehouse.count(count_request(phase, cut))
