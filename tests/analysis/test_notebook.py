"""`from analysis import open_shop`: published readouts as values and as pandas frames."""

import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis import open_shop
from analysis.readout import Interval
from experiments.errors import NotFoundError
from tests.helpers.published import definition, shop
from tests.helpers.readouts import example


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    unread = definition(example("HOLD")).model_copy(update={"key": "not_read_yet"})
    return shop(tmp_path_factory.mktemp("shop") / "shop", [example("SHIP"), example("WITHHELD")], unread=[unread])


def test_a_frame_has_the_readouts_numbers(home: Path) -> None:
    frame = open_shop(home).readout("home_als_v2").to_frame()
    assert frame["snapshot_id"].unique().tolist() == [example("SHIP").snapshot_id]
    row = frame.query("section == 'metric' and key == 'revenue_per_unit' and measure == 'relative'").iloc[0]
    lift = example("SHIP").metric("revenue_per_unit").comparisons[0].relative
    assert isinstance(lift, Interval)
    assert (row["est"], row["lo"], row["hi"]) == (lift.est, lift.lo, lift.hi)
    assert frame["est"].dtype == "float64"


def test_the_readout_itself_is_there(home: Path) -> None:
    reading = open_shop(str(home)).readout("home_als_v2")
    assert reading.readout == example("SHIP")
    assert reading.sentence.startswith("Ship als_v2:")


def test_a_withheld_frame_has_no_number_of_a_metric(home: Path) -> None:
    frame = open_shop(home).readout("email_top_picks").to_frame()
    assert set(frame["section"]) == {"verdict", "arm", "check"}
    assert frame[["est", "lo", "hi"]].isna().all(axis=None)


def test_one_snapshot_by_its_id(home: Path) -> None:
    notebook = open_shop(home)
    wanted = example("SHIP").snapshot_id
    assert notebook.readout("home_als_v2", snapshot_id=wanted).readout.snapshot_id == wanted
    with pytest.raises(NotFoundError, match="is of home_als_v2, not of email_top_picks"):
        notebook.readout("email_top_picks", snapshot_id=wanted)


def test_what_is_not_there_names_the_next_step(home: Path) -> None:
    notebook = open_shop(home)
    assert set(notebook.keys()) == {"home_als_v2", "email_top_picks", "not_read_yet"}
    with pytest.raises(NotFoundError, match="truelift refresh not_read_yet"):
        notebook.readout("not_read_yet")
    with pytest.raises(NotFoundError, match="home_als_v2"):
        notebook.readout("home_als_v3")


def test_importing_analysis_stays_light() -> None:
    code = (
        "import sys, analysis; print(sorted({'pandas', 'duckdb', 'altair', 'numpy', 'sqlalchemy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'open_shops'"):
        _ = analysis.open_shops
