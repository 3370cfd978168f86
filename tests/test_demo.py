"""The demo: from a simulated shop's logs to verdicts that come close to what was injected."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from analysis import cli, demo
from analysis.cli.demo import UNITS as ALL_UNITS
from analysis.readout import Interval
from analysis.warehouse.connection import open_connection
from experiments.errors import UsageError
from experiments.shop import create
from experiments.store import Store
from tests.helpers.effort import scaled

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNITS = scaled(6_000, ALL_UNITS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo-shop"


@pytest.fixture(scope="module")
def played(home: Path) -> demo.Played:
    return demo.play(home, units=UNITS, now=NOW, by="test")


@pytest.mark.slow
def test_the_estimates_come_close_to_what_was_injected(played: demo.Played) -> None:
    found = [
        (name, true, estimate)
        for readout in played.readouts
        for name, true, estimate in demo.comparisons(readout, played.truth[readout.experiment.key])
    ]
    assert len(found) == 10, "two totals of each experiment, six categories of the first"
    assert all(isinstance(estimate, Interval) for _, _, estimate in found)
    outside = [(name, true, e) for name, true, e in found if isinstance(e, Interval) and not demo.covers(e, true)]
    assert not outside


@pytest.mark.slow
def test_the_a_a_test_finds_nothing(played: demo.Played) -> None:
    first, same = played.readouts
    assert (first.experiment.key, same.experiment.key) == ("home_als_v2", "pdp_aa")
    assert same.verdict.code in ("CANT_TELL", "NO_MATERIAL_EFFECT")
    assert "As it should be" in same.verdict.sentence
    assert first.verdict.code in (("SHIP", "HOLD") if UNITS == ALL_UNITS else ("SHIP", "HOLD", "CANT_TELL"))
    assert first.mode == same.mode == "finished"


@pytest.mark.slow
def test_no_check_fails(played: demo.Played) -> None:
    for readout in played.readouts:
        states = {check.id: check.state for check in readout.checks}
        assert "fail" not in states.values(), states
        assert {"SH-01", "SH-07", "SH-15"} <= set(states)


@pytest.mark.slow
def test_again_changes_nothing(played: demo.Played, home: Path) -> None:
    def state() -> tuple[object, ...]:
        with Store.open(played.shop.store_url) as store:
            published = [head.snapshot_id for key in ("home_als_v2", "pdp_aa") for head in store.snapshots(key)]
            audit = len(store.audit())
        with open_connection(played.shop.warehouse_path) as connection:
            tables = ("exposures", "outcomes", "catalogue", "rejected", "loads")
            rows = [connection.execute(f"select count(*) from {table}").fetchone() for table in tables]
        return published, audit, rows

    before = state()
    again = demo.play(home, units=UNITS, now=datetime(2026, 12, 1, tzinfo=UTC), by="test")
    assert [each.snapshot_id for each in again.readouts] == [each.snapshot_id for each in played.readouts]
    assert state() == before


@pytest.mark.slow
def test_the_command_says_the_verdicts_the_truth_and_what_next(
    played: demo.Played, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TRUELIFT_CALLED", "./run")
    monkeypatch.setattr(sys, "argv", ["truelift", "demo", "--home", str(home), "--units", str(UNITS)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().out
    unwrapped = re.sub(r"\s+", " ", said)
    for readout in played.readouts:
        assert re.sub(r"\s+", " ", readout.verdict.sentence) in unwrapped
    assert f"./run app --home {home}" in unwrapped
    assert "loaded before" in said
    assert "injected" in said
    assert "decor" in said


def test_it_does_not_touch_another_shop(tmp_path: Path) -> None:
    create(tmp_path / "shop")
    with pytest.raises(UsageError, match="not the demo's"):
        demo.play(tmp_path / "shop", units=1_000, now=NOW, by="test")


@pytest.mark.slow
def test_it_does_not_mix_two_sizes(played: demo.Played, home: Path) -> None:
    assert played.readouts
    with pytest.raises(UsageError, match="another demo"):
        demo.play(home, units=1_000, now=NOW, by="test", console=Console(quiet=True))
