import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TypedDict

import pytest

from assignment.allocation import evaluate
from assignment.bundle import compile_bundle
from assignment.hashing import bucket
from assignment.switchback import cluster_window, in_burn_in, window_start
from experiments.errors import UsageError
from tests.helpers.bundles import NOW, arm, bundle, experiment, layer


class Case(TypedDict):
    cluster: str
    window_start: str
    unit_id: str
    bucket: int
    variant: str


FILE = json.loads((Path(__file__).parents[2] / "assignment/vectors/switchback.json").read_text("utf-8"))
CASES: list[Case] = FILE["cases"]
WINDOW = timedelta(minutes=FILE["window_minutes"])
HALF_HOUR = timedelta(minutes=30)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_the_golden_file_is_whole() -> None:
    assert len(CASES) == 24


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=17, microseconds=3), WINDOW - timedelta.resolution])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["unit_id"])
def test_a_cell_equals_the_golden_vector(case: Case, late: timedelta) -> None:
    unit_id = cluster_window(case["cluster"], datetime.fromisoformat(case["window_start"]) + late, WINDOW)
    assert unit_id == case["unit_id"]
    assert bucket(FILE["salt"], unit_id) == case["bucket"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["unit_id"])
def test_an_experiment_on_cells_splits_as_the_golden_vector(case: Case) -> None:
    cells = layer("homepage", "cluster_window")
    one = experiment(
        unit_type="cluster_window",
        salt=FILE["salt"].removesuffix(":switchback"),
        variants=[arm("control", 0, 5_000), arm("treatment", 5_000, 10_000)],
    )
    context = {"cluster_window_id": case["unit_id"], "targetingKey": "somebody"}
    decision = evaluate(compile_bundle(bundle(one, layers=[cells])), "rec.homepage", context, NOW)
    assert (decision.split_bucket, decision.variant) == (case["bucket"], case["variant"])


def test_a_person_is_never_taken_for_a_cell() -> None:
    one = experiment(unit_type="cluster_window")
    made = compile_bundle(bundle(one, layers=[layer("homepage", "cluster_window")]))
    assert evaluate(made, "rec.homepage", {"targetingKey": "somebody"}, NOW).error == "TARGETING_KEY_MISSING"


def test_windows_are_the_same_whatever_the_zone() -> None:
    berlin = timezone(timedelta(hours=1))
    assert window_start(datetime(2026, 11, 20, 13, 29, tzinfo=berlin), HALF_HOUR) == NOON
    assert (
        window_start(datetime(1969, 12, 31, 23, 59, tzinfo=UTC), HALF_HOUR).isoformat() == "1969-12-31T23:30:00+00:00"
    )


@pytest.mark.parametrize(
    ("minutes", "dropped"), [(0, True), (4, True), (5, False), (29, False), (30, True), (36, False)]
)
def test_the_start_of_a_window_is_dropped(minutes: int, dropped: bool) -> None:
    assert in_burn_in(NOON + timedelta(minutes=minutes), HALF_HOUR, timedelta(minutes=5)) is dropped


def test_without_a_burn_in_nothing_is_dropped() -> None:
    assert not in_burn_in(NOON, HALF_HOUR, timedelta(0))


@pytest.mark.parametrize(
    ("window", "burn_in"),
    [
        (timedelta(0), timedelta(0)),
        (timedelta(minutes=-1), timedelta(0)),
        (timedelta(milliseconds=1500), timedelta(0)),
        (HALF_HOUR, HALF_HOUR),
        (HALF_HOUR, timedelta(seconds=-1)),
    ],
)
def test_windows_that_cannot_be_are_refused(window: timedelta, burn_in: timedelta) -> None:
    with pytest.raises(UsageError):
        in_burn_in(NOON, window, burn_in)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="time zone"):
        window_start(datetime(2026, 11, 20), HALF_HOUR)


def test_a_cluster_that_cannot_be_hashed_is_refused() -> None:
    with pytest.raises(UsageError, match="white space"):
        cluster_window(" zone", NOON, HALF_HOUR)
