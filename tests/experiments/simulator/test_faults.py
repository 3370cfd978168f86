"""Each planted fault: it changes what it says and nothing else, and the checks of its line of the table notice it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.health.checks import RULES
from analysis.readout import Readout
from experiments.errors import UsageError
from experiments.simulator.faults import FAULTS, planted
from experiments.simulator.generator import Logs, simulate
from experiments.simulator.plan import Plan, lifted
from tests.helpers.effort import scaled
from tests.helpers.simulated import CONTRACTS, Ground, halves
from tests.helpers.withheld import no_number_is_exported, no_number_is_on_a_page

SEEDS = scaled(1, 20)
BROWSER = "safari_mobile"
NEEDS_TRUELIFT = ("wrong_arm",)  # nobody can recompute what another system assigned
BUSY_ONLY = "SH-02"  # wants 500 views of a browser on a day
METRICS = ("add_to_cart_rate", "margin_per_unit", "ctr")
LABELS = (
    "Revenue per user",
    "Margin per user",
    "Share of sessions with something put in the cart",
    "Click-through rate",
)
Row = dict[str, object]


def plan(seed: int, units: int) -> Plan:
    """Three weeks of a busy small shop."""
    return Plan(
        seed=seed, units=units, plays=(lifted("home", "homepage", "new", {"decor": 0.3}),), history_days=14,
        run_days=8, after_days=0, visits_a_day=0.45,
    )  # fmt: skip


# --- what a fault changes ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Logs:
    known = Plan(
        seed=3, units=700, plays=(lifted("home", "homepage", "new"), lifted("page", "pdp", "new")), history_days=7,
        run_days=9, after_days=1, visits_a_day=0.3,
    )  # fmt: skip
    return simulate(known, halves(known, 3))


def rows(table: pa.Table) -> dict[str, Row]:
    """By event id."""
    return {str(row["event_id"]): row for row in table.to_pylist()}


@dataclass(frozen=True, slots=True)
class Change:
    """Between two versions of one log."""

    gone: list[Row]
    new: list[Row]
    columns: set[str]  # that differ in rows of the same id
    rows: list[tuple[Row, Row]]


def change(before: pa.Table, after: pa.Table) -> Change:
    old, new = rows(before), rows(after)
    pairs = [(old[key], new[key]) for key in old.keys() & new.keys() if old[key] != new[key]]
    columns = {name for a, b in pairs for name in a if a[name] != b[name]}
    return Change(
        [old[key] for key in old.keys() - new.keys()], [new[key] for key in new.keys() - old.keys()], columns, pairs
    )


@pytest.mark.parametrize("name", FAULTS)
def test_the_same_seed_plants_the_same_and_columns_stay(small: Logs, name: str) -> None:
    one, again = (planted(small, [name], seed=5) for _ in range(2))
    for table in CONTRACTS:
        assert getattr(one, table).equals(getattr(again, table))
        assert getattr(one, table).schema.equals(getattr(small, table).schema)
        times = getattr(one, table)["event_ts" if table != "catalogue" else "valid_from"].to_pylist()
        assert table == "catalogue" or times == sorted(times)
    assert any(not getattr(one, table).equals(getattr(small, table)) for table in CONTRACTS)
    assert one.truth is small.truth
    assert one.catalogue is small.catalogue


def test_lost_exposures(small: Logs) -> None:
    bad = planted(small, ["lost_exposures"], seed=5)
    lost = change(small.exposures, bad.exposures)
    assert bad.outcomes is small.outcomes
    assert not lost.new
    assert not lost.columns
    assert {(row["experiment_key"], row["variant"], row["browser"]) for row in lost.gone} == {("home", "new", BROWSER)}
    left = {
        row["unit_id"] for row in bad.exposures.to_pylist() if row["experiment_key"] == "home"
    }  # units are lost whole
    assert not left & {row["unit_id"] for row in lost.gone}
    assert len({row["unit_id"] for row in lost.gone}) > 20


def test_control_without_render(small: Logs) -> None:
    lost = change(small.exposures, planted(small, ["control_without_render"], seed=5).exposures)
    clicked = {row["request_id"] for row in small.outcomes.to_pylist() if row["event_name"] == "click"}
    assert {(row["experiment_key"], row["variant"]) for row in lost.gone} == {("home", "control")}
    assert not clicked & {row["request_id"] for row in lost.gone}
    assert not lost.new
    assert not lost.columns


@pytest.mark.parametrize("name", ["two_arms", "wrong_arm", "unregistered_variant"])
def test_only_variants_of_the_experiment_change(small: Logs, name: str) -> None:
    bad = planted(small, [name], seed=5)
    found = change(small.exposures, bad.exposures)
    assert bad.outcomes is small.outcomes
    assert found.columns == {"variant"}
    assert not found.gone
    assert not found.new
    assert {row["experiment_key"] for row, _ in found.rows} == {"home"}
    arms: dict[object, set[object]] = {}
    for row in bad.exposures.to_pylist():
        if row["experiment_key"] == "home":
            arms.setdefault(row["unit_id"], set()).add(row["variant"])
    several = Counter(len(each) for each in arms.values())
    moved = {row["unit_id"] for row, _ in found.rows}
    assert several[2] == (len(moved) if name == "two_arms" else 0)
    if name == "unregistered_variant":
        assert {row["variant"] for _, row in found.rows} == {"new_beta"}
    assert 0.01 < len(moved) / len(arms) < 0.1


def test_missing_add_to_cart(small: Logs) -> None:
    bad = planted(small, ["missing_add_to_cart"], seed=5)
    lost = change(small.outcomes, bad.outcomes)
    assert bad.exposures is small.exposures
    assert {(row["event_name"], row["browser"]) for row in lost.gone} == {("add_to_cart", BROWSER)}
    assert not lost.new
    assert not lost.columns


def test_duplicate_events(small: Logs) -> None:
    bad = planted(small, ["duplicate_events"], seed=5)
    for table in ("exposures", "outcomes"):
        before, after = getattr(small, table), getattr(bad, table)
        assert rows(before) == rows(after)
        assert 0.05 < len(after) / len(before) - 1 < 0.07


@pytest.mark.parametrize(("name", "column"), [("late_events", "received_ts"), ("clock_skew", "event_ts")])
def test_only_a_clock_changes(small: Logs, name: str, column: str) -> None:
    bad = planted(small, [name], seed=5)
    for table in ("exposures", "outcomes"):
        found = change(getattr(small, table), getattr(bad, table))
        assert found.columns == {column}
        assert not found.gone
        assert not found.new
        assert len({after[column] - before[column] for before, after in found.rows}) == 1  # type: ignore[operator]
        if name == "clock_skew":
            assert {row["browser"] for row, _ in found.rows} == {BROWSER}


def test_ids_that_do_not_join(small: Logs) -> None:
    found = change(small.outcomes, planted(small, ["ids_that_do_not_join"], seed=5).outcomes)
    assert found.columns == {"item_id"}
    assert all(str(before["item_id"]).upper() == after["item_id"] for before, after in found.rows)
    assert {row["browser"] for row, _ in found.rows} == {BROWSER}


def test_bots(small: Logs) -> None:
    bad = planted(small, ["bots"], seed=5)
    found = change(small.outcomes, bad.outcomes)
    assert bad.exposures is small.exposures
    assert not found.gone
    assert not found.columns
    pages = Counter((row["unit_id"], row["event_name"]) for row in found.new)
    assert set(pages.values()) == {520}
    known = {row["unit_id"] for row in small.exposures.to_pylist() if row["experiment_key"] == "home"}
    assert {unit for unit, _ in pages} <= known
    assert {event for _, event in pages} == {"view"}


def test_faults_add_up_and_strange_ones_are_refused(small: Logs) -> None:
    both = planted(small, ["lost_exposures", "bots"], seed=5)
    assert both.exposures.equals(planted(small, ["lost_exposures"], seed=5).exposures)
    assert len(both.outcomes) > len(small.outcomes)
    elsewhere = planted(small, ["wrong_arm"], seed=5, experiment="page")
    moved = change(small.exposures, elsewhere.exposures).rows
    assert {row["experiment_key"] for row, _ in moved} == {"page"}
    with pytest.raises(UsageError, match="nearest: two_arms"):
        planted(small, ["two_arm"], seed=5)
    with pytest.raises(UsageError, match="home, page"):
        planted(small, ["bots"], seed=5, experiment="cart")


# --- what notices it ---------------------------------------------------------------------------------------


def states(readout: Readout) -> dict[str, str]:
    return {check.id: check.state for check in readout.checks}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_fault_fails_its_check_and_nothing_outside_its_line(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a fault touches is loaded anew; the sound logs pass every check that has rows enough.

    What a fault withholds shows no number of a metric anywhere; pages are opened for the first seed.
    """
    small = plan(seed, 1_200)
    ground = Ground.made(tmp_path / "ground", small, metrics=METRICS)
    logs = simulate(small, halves(small, seed))
    (sound,) = ground.read(logs, tmp_path / "sound")
    assert {key for key, state in states(sound).items() if state in ("fail", "unknown")} <= {BUSY_ONLY}
    grounds: dict[tuple[str, ...], Ground] = {}
    for name, fault in FAULTS.items():
        if name in NEEDS_TRUELIFT or fault.check == BUSY_ONLY:
            continue
        bad = planted(logs, [name], seed=seed)
        touched = tuple(table for table in CONTRACTS if getattr(bad, table) is not getattr(logs, table))
        if touched not in grounds:
            rest = [table for table in CONTRACTS if table not in touched]
            grounds[touched] = ground.with_logs(logs, rest, tmp_path / "-".join(touched))
        (readout,) = grounds[touched].read(bad, tmp_path / name, load_only=touched)
        notices(name, readout)
        if readout.withheld:
            no_number_is_exported(readout, LABELS)
            if seed == 1:
                no_number_is_on_a_page(readout, tmp_path / name, LABELS, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_missing_add_to_carts_are_noticed_where_a_browser_has_views_enough(seed: int, tmp_path: Path) -> None:
    busy = plan(seed, 2_600)
    bad = planted(simulate(busy, halves(busy, seed)), ["missing_add_to_cart"], seed=seed)
    (readout,) = Ground.made(tmp_path / "ground", busy, metrics=METRICS).read(bad, tmp_path / "bad")
    notices("missing_add_to_cart", readout)


def notices(name: str, readout: Readout) -> None:
    """The fault's check fails, no other fails but those of its line, and it withholds what it should."""
    fault, found = FAULTS[name], states(readout)
    assert found[fault.check] == "fail", name
    assert {key for key, state in found.items() if state == "fail"} - {fault.check} <= set(fault.others), name
    assert readout.withheld == fault.withholds, name


def test_the_table_names_checks_that_there_are() -> None:
    assert {fault.check for fault in FAULTS.values()} >= {f"SH-{n:02d}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 11, 16)}
    assert len(RULES) >= 20
    for name, fault in FAULTS.items():
        assert fault.check not in fault.others, name


def test_the_guide_prints_the_table() -> None:
    said = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text("utf-8")
    table = said.partition("## The demo")[0]
    printed = [line for line in table.splitlines() if line.startswith("| `")]
    assert printed == [
        f"| `{name}` | {fault.what} | {fault.check} | {', '.join(fault.others) or '–'} | "
        f"{'withheld' if fault.withholds else 'published'} |"
        for name, fault in FAULTS.items()
    ]
