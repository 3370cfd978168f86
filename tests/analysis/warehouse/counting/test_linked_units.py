"""People under several ids: who met two arms is marked, excluded and counted; of two links of an id the first wins."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import permutations
from pathlib import Path

import duckdb
import pytest

from analysis.warehouse.base import Counts, DataCut
from analysis.warehouse.connection import open_memory
from analysis.warehouse.duckdb import DuckDBWarehouse
from tests.helpers.loads import load, same_names, write_rows
from tests.helpers.requests import count_request, shipped

CONTROL, TREATMENT = "control", "treatment"
Link = tuple[str, str, str]  # anonymous id, user, first seen


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = open_memory()
    yield opened
    opened.close()


def counted(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    exposed: Sequence[tuple[str, str]],
    links: Sequence[Link],
    *,
    unit_type: str = "user",
    until: datetime = datetime(2026, 2, 1),
    range_units: int = 200_000,
) -> Counts:
    """What a count finds of (unit, arm) exposures and links."""
    rows = [
        {
            "event_id": f"e{number}", "event_ts": f"2026-01-05T10:00:{number:02}Z", "module": "homepage",
            "unit_type": unit_type, "unit_id": unit, "assignment_reason": "split", "experiment_key": "demo",
            "phase": 1, "variant": arm,
        }
        for number, (unit, arm) in enumerate(exposed)
    ]  # fmt: skip
    load(connection, write_rows(folder / "exposures.jsonl", rows), same_names("exposure"))
    for place, (anonymous, user, seen) in enumerate(links):
        row = {"anonymous_id": anonymous, "user_id": user, "first_seen": f"2026-01-{seen}T00:00:00Z"}
        load(connection, write_rows(folder / f"links{place}.jsonl", [row]), same_names("identity"))
    cut = DataCut(until, date(until.year, until.month, until.day), until)
    request = replace(count_request(shipped("ctr")), unit_type=unit_type, cut=cut)
    return DuckDBWarehouse(connection, range_units=range_units).count(request)


def test_without_links_every_id_is_a_unit(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = counted(connection, tmp_path, [("a", CONTROL), ("u", TREATMENT)], [])
    assert (found.units, found.excluded) == ({CONTROL: 1, TREATMENT: 1}, {CONTROL: {}, TREATMENT: {}})


@pytest.mark.parametrize("range_units", [1, 200_000])  # a person's ids may lie in ranges that are counted apart
def test_a_person_who_met_two_arms_is_excluded_under_every_id_and_counted(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, range_units: int
) -> None:
    exposed = [("a", CONTROL), ("u", TREATMENT), ("b", CONTROL), ("c", CONTROL), ("v", CONTROL), ("d", TREATMENT)]
    links = [("a", "u", "06"), ("b", "u", "07"), ("c", "v", "06")]
    found = counted(connection, tmp_path, exposed, links, range_units=range_units)
    assert found.units == {CONTROL: 2, TREATMENT: 1}  # c and v are one person, in one arm
    assert found.excluded == {CONTROL: {"two_arms": 2}, TREATMENT: {"two_arms": 1}}


def test_devices_of_one_user_met_two_arms_though_the_user_was_never_a_unit(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    exposed = [("phone", CONTROL), ("laptop", TREATMENT), ("tablet", TREATMENT), ("u", CONTROL)]
    links = [("phone", "u", "06"), ("laptop", "u", "06")]
    found = counted(connection, tmp_path, exposed, links, unit_type="device")
    assert found.units == {CONTROL: 1, TREATMENT: 1}  # a device called u is not the user u
    assert found.excluded == {CONTROL: {"two_arms": 1}, TREATMENT: {"two_arms": 1}}


def test_a_person_whose_one_id_met_two_arms_met_them_under_the_others_too(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    exposed = [("a", CONTROL), ("a", TREATMENT), ("u", CONTROL)]
    found = counted(connection, tmp_path, exposed, [("a", "u", "06")])
    assert found.units == {CONTROL: 0, TREATMENT: 0}
    assert found.excluded == {CONTROL: {"two_arms": 2}, TREATMENT: {}}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_several_links_the_first_seen_wins_in_whatever_order_they_come(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, order: tuple[int, ...]
) -> None:
    links = [("a", "v", "08"), ("a", "u", "06"), ("a", "w", "07")]
    exposed = [("a", CONTROL), ("u", CONTROL), ("v", TREATMENT), ("w", TREATMENT)]
    found = counted(connection, tmp_path, exposed, [links[place] for place in order])
    assert found.units == {CONTROL: 2, TREATMENT: 2}  # a is u, who was in one arm


def test_a_link_seen_after_the_cut_is_not_known_yet(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    exposed = [("a", CONTROL), ("u", TREATMENT)]
    found = counted(connection, tmp_path, exposed, [("a", "u", "20")], until=datetime(2026, 1, 20))
    assert found.units == {CONTROL: 1, TREATMENT: 1}
