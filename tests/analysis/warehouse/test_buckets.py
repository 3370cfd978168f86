"""Buckets and looks against a plain-Python recount, to the last digit; and that no row after a bucket changes it."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import duckdb
import pytest

from analysis.warehouse import buckets
from analysis.warehouse.base import HeldOut
from analysis.warehouse.buckets import Cells, LookCells, Subject, Watched, WatchedHoldout, WatchedPhase
from analysis.warehouse.connection import open_memory
from analysis.warehouse.duckdb import DuckDBWarehouse
from tests.analysis.warehouse.counting.test_counting import a_request
from tests.helpers.effort import scaled
from tests.helpers.random_log import ARMS, EXPERIMENT, MODULES, START, event_day, in_sessions, load, random_log
from tests.helpers.recount import Log, Row, Value
from tests.helpers.recount_buckets import Found, Looks, bucket_end, is_held, recount_buckets, recount_looks

SINCE, UNTIL = datetime(2026, 3, 14), datetime(2026, 3, 31)
PHASE_START, PHASE_END = datetime(2026, 3, 15, 7, 30), datetime(2026, 3, 29, 13, 10)


def aware(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC)


PHASE = WatchedPhase(EXPERIMENT, 2, "user", MODULES, ARMS, aware(PHASE_START), aware(PHASE_END))
HOLDOUTS = (
    WatchedHoldout("h2", "user", ("homepage", "pdp"), HeldOut("h2:holdout", ((0, 2500),)), aware(PHASE_START), None),
    WatchedHoldout(
        "pdp_only", "user", ("pdp",), HeldOut("other:holdout", ((0, 500), (6000, 8000))), aware(PHASE_START), None
    ),
)
WATCHED = Watched((PHASE,), HOLDOUTS, forecast=True)


def held(log: Log) -> Log:
    """The log as two holdouts leave it, one of them of one module: the reason does not say which of them it was."""
    rows: list[Row] = []
    for row in log.exposures:
        covered = (each.held_out for each in HOLDOUTS if row["module"] in each.modules)
        is_in_one = any(is_held(str(row["unit_id"]), each.salt, each.buckets) for each in covered)
        takes = is_in_one and row["assignment_reason"] == "none"
        rows.append({**row, "assignment_reason": "holdout"} if takes else row)
    return replace(log, exposures=rows)


def visited(seed: int, *, units: int = 40) -> Log:
    """A random log in which more is done: what a unit does comes three times, mostly soon after one of its slates."""
    dice = random.Random(seed)
    log = held(random_log(seed, units=units))
    shown: dict[object, list[Row]] = {}
    for row in log.exposures:
        shown.setdefault(row["unit"], []).append(row)
    outcomes: list[Row] = []
    for row in log.outcomes:
        for copy in ("", "-b", "-c"):
            moved: dict[str, Value] = {**row, "event_id": f"{row['event_id']}{copy}"}
            if row["unit"] in shown and dice.random() < 0.8:
                at = time_of(dice.choice(shown[row["unit"]])) + timedelta(minutes=dice.choice((0, 5, 25)))
                moved |= {"event_ts": at, "event_day": event_day(at)}
            outcomes.append(moved)
    return Log(log.exposures, outcomes, in_sessions(log.exposures, outcomes))


def counted(
    log: Log, minutes: int, since: datetime = SINCE, until: datetime = UNTIL, watched: Watched = WATCHED
) -> Found:
    with open_memory() as connection:
        load(connection, log)
        found = buckets.buckets(
            DuckDBWarehouse(connection), watched, minutes=minutes, since=aware(since), until=aware(until)
        )
    return flat(found)


def flat(found: Mapping[Subject, Mapping[datetime, Cells]]) -> Found:
    return {
        (*subject, end.replace(tzinfo=None), *place, arm): tuple(numbers)
        for subject, by_end in found.items()
        for end, cells in by_end.items()
        for place, arms in cells.items()
        for arm, numbers in arms.items()
    }


def brute(log: Log, minutes: int, since: datetime = SINCE, until: datetime = UNTIL) -> Found:
    return recount_buckets(
        log, minutes=minutes, since=since, until=until,
        phases=[(EXPERIMENT, 2, "user", ARMS, PHASE_START, PHASE_END)],
        holdouts=[
            (each.key, "user", each.modules, PHASE_START, UNTIL, each.held_out.salt, each.held_out.buckets)
            for each in HOLDOUTS
        ],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(scaled(12, 120)))
def test_buckets_equal_the_recount(seed: int) -> None:
    log = visited(seed)
    minutes = (360, 15)[seed % 2]
    expected = brute(log, minutes)
    assert counted(log, minutes) == expected


def test_the_logs_hold_all_that_is_counted() -> None:
    """Of every subject every number is there somewhere: else an equality would prove nothing of it."""
    found = [item for seed in range(6) for item in brute(visited(seed), 360).items()]
    for kind in ("forecast", "experiment", "launch"):
        largest = [max(column) for column in zip(*(numbers for key, numbers in found if key[0] == kind), strict=True)]
        assert min(largest) > 0, (kind, largest)


def test_two_holdouts_of_one_module_are_told_apart() -> None:
    """Whoever only the other one holds out is in no arm of this one: he is not served."""
    arms: dict[str, dict[str, int]] = {}
    left_out = 0
    for seed in range(6):
        log = visited(seed)
        for (kind, key, *_, module, category, arm), numbers in counted(log, 360).items():
            if kind == "launch" and (module, category) == ("pdp", ""):
                of = arms.setdefault(str(key), {})
                of[str(arm)] = of.get(str(arm), 0) + numbers[1]
        alone = counted(log, 360, watched=Watched((), HOLDOUTS[:1]))
        both = {key: numbers for key, numbers in counted(log, 360).items() if key[1] == "h2"}
        assert alone == both
        left_out += sum(
            row["module"] == "pdp" and row["assignment_reason"] == "holdout"
            and not is_held(str(row["unit_id"]), "h2:holdout", ((0, 2500),)) for row in log.exposures
        )  # fmt: skip
    assert set(arms) == {"h2", "pdp_only"}
    assert all(set(each) == {"held_out", "served"} for each in arms.values())
    assert arms["h2"] != arms["pdp_only"]
    assert left_out > 0


@pytest.mark.parametrize("minutes", [360, 15])
def test_no_row_after_a_bucket_changes_it_and_parts_of_a_span_add_up_to_it(minutes: int) -> None:
    """Counted day by day, each with the rows there are by then, it is what it is when counted at once."""
    log = visited(7, units=60)
    by_days: Found = {}
    day = SINCE
    while day < UNTIL:
        end = min(day + timedelta(hours=30), UNTIL)
        by_days |= counted(before(log, end), minutes, day, end)
        day = end
    assert by_days == counted(log, minutes)


def before(log: Log, end: datetime) -> Log:
    """What a load that stops at that instant leaves: sessions reach as far as their rows."""
    exposures = [row for row in log.exposures if time_of(row) < end]
    outcomes = [row for row in log.outcomes if time_of(row) < end]
    return Log(exposures, outcomes, in_sessions(exposures, outcomes))


def time_of(row: Row) -> datetime:
    value = row["event_ts"]
    assert isinstance(value, datetime)
    return value


def look_cells(found: Mapping[datetime, LookCells]) -> Looks:
    return {
        (end.replace(tzinfo=None), *place, arm): tuple(numbers)
        for end, cells in found.items()
        for place, arms in cells.items()
        for arm, numbers in arms.items()
        if any(numbers)
    }


@pytest.mark.parametrize("seed", range(scaled(6, 60)))
def test_looks_equal_a_recount_at_each_end_by_itself(seed: int) -> None:
    """Also of units that leave: their rows go out again, squares and all."""
    log = visited(seed)
    phase = replace(PHASE, ends_at=None)
    with open_memory() as connection:
        load(connection, log)
        found = buckets.looks(DuckDBWarehouse(connection), phase, minutes=360, until=aware(UNTIL))
    ends = [end.replace(tzinfo=None) for end in found]
    expected = recount_looks(
        log, ends, key=EXPERIMENT, phase=phase.phase, modules=MODULES, arms=ARMS, start=PHASE_START
    )
    assert look_cells(found) == expected
    assert ends == [min(ends) + i * timedelta(hours=6) for i in range(len(ends))]
    assert ends[-1] == UNTIL


Links = list[tuple[str, str, datetime]]


def links_of(seed: int) -> Links:
    """Half of the units belong to one of few persons, one of which is a unit itself; some to a second one later."""
    dice = random.Random(seed)
    found: Links = []
    for unit in range(21, 41):
        for _ in range(dice.choice((0, 1, 1, 2))):
            seen = START + timedelta(hours=dice.randrange(-240, 240))
            found.append((f"u{unit}", dice.choice(("p1", "p2", "p3", "p4", "p5", "u1", "u2")), seen))
    return found


def know(connection: duckdb.DuckDBPyConnection, links: Links) -> None:
    connection.execute("insert into units by name select distinct unit, unit_type, unit_id from exposures")
    for anonymous_id, user_id, seen in links:
        connection.execute(
            "insert into identity by name select ? as anonymous_id, ? as user_id, ? as first_seen, "
            "'l1' as load_id, 1 as line", [anonymous_id, user_id, seen],
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(scaled(4, 40)))
def test_whose_units_met_two_arms_leave_the_looks_when_it_is_known(seed: int) -> None:
    """Against a recount at each end by itself; without the links there are more."""
    log, links, phase = visited(seed), links_of(seed), replace(PHASE, ends_at=None)
    with open_memory() as connection:
        load(connection, log)
        without = buckets.looks(DuckDBWarehouse(connection), phase, minutes=360, until=aware(UNTIL))
        know(connection, links)
        found = buckets.looks(DuckDBWarehouse(connection), phase, minutes=360, until=aware(UNTIL))
    ends = [end.replace(tzinfo=None) for end in found]
    assert look_cells(found) == recount_looks(
        log, ends, key=EXPERIMENT, phase=phase.phase, modules=MODULES, arms=ARMS, start=PHASE_START, links=links
    )
    last = max(found)
    assert sum(each.units for each in found[last][("", "")].values()) < sum(
        each.units for each in without[last][("", "")].values()
    )


@pytest.mark.parametrize("seed", range(scaled(6, 60)))
def test_a_look_has_as_many_units_as_the_readout_of_the_same_moment(seed: int) -> None:
    request = a_request(seed, keys=("revenue_per_unit",), slices=())
    request = replace(request, phase=2, cut=replace(request.cut, outcome_end=request.cut.as_of))
    phase = replace(PHASE, starts_at=aware(request.started_at), ends_at=None)
    with open_memory() as connection:
        load(connection, visited(seed))
        know(connection, links_of(seed))
        warehouse = DuckDBWarehouse(connection)
        readout = warehouse.count(request)
        end = aware(request.cut.outcome_end)
        look = buckets.looks(warehouse, phase, minutes=60, until=end)[end][("", "")]
    assert {arm: look[arm].units for arm in ARMS if arm in look} == {a: n for a, n in readout.units.items() if n}
    assert sum(each.get("two_arms", 0) for each in readout.excluded.values()) > 0


def test_units_that_turn_out_to_be_in_two_arms_leave_the_looks() -> None:
    """Over some logs somebody leaves: else the recount above would prove nothing of it."""
    left = 0
    for seed in range(6):
        log = visited(seed)
        with open_memory() as connection:
            load(connection, log)
            found = buckets.looks(DuckDBWarehouse(connection), PHASE, minutes=360, until=aware(UNTIL))
        units = [sum(numbers.units for numbers in cells[("", "")].values()) for cells in found.values()]
        left += sum(later < earlier for earlier, later in pairwise(units))
    assert left > 3


def test_whole_buckets_end_at_multiples_of_their_length() -> None:
    at = datetime(2026, 3, 29, 13, 14, 59, tzinfo=UTC)
    assert buckets.whole_until(at, 360) == datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert buckets.whole_until(at, 15) == datetime(2026, 3, 29, 13, tzinfo=UTC)
    assert buckets.whole_until(datetime(2026, 3, 29, 12, tzinfo=UTC), 360) == datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert bucket_end(START, 360) == START + timedelta(hours=6)  # half-open: what begins at an end is the next one's


def test_what_came_since_a_load_is_told_by_its_earliest_row() -> None:
    log = visited(3)
    with open_memory() as connection:
        warehouse = DuckDBWarehouse(connection)
        assert buckets.loaded_since(warehouse, 0, before=aware(UNTIL)) == (0, "", "", None, None, None)
        load(connection, log)
        connection.execute("update outcomes set load_id = 'l2' where event_ts >= '2026-03-20'")
        connection.execute("insert into loads by name select 'l' || i as load_id, i as seq, 'f' as file, "
            "'d' as file_digest, 'm' as mapping_name, 'd' as mapping_digest, now() as loaded_at, "
            + ", ".join(f"0 as {name}" for name in (
                "rows_read", "rows_malformed", "rows_not_emitted", "rows_repeated", "rows_repeated_kept", "emitted",
                "accepted", "duplicates", "copies", "said_before", "rejected"))
            + " from range(1, 3) as r(i)")  # fmt: skip
        first = min(time_of(row) for row in log.exposures)
        second = min(time_of(row) for row in log.outcomes if time_of(row) >= datetime(2026, 3, 20))
        found = buckets.loaded_since(warehouse, 1, before=aware(UNTIL))
        assert (found.seq, found.load_id, found.load_id_then) == (2, "l2", "l1")
        assert (found.earliest, found.first_slate) == (aware(second), aware(first))
        newest = [max(time_of(row) for row in rows if time_of(row) < UNTIL) for rows in (log.exposures, log.outcomes)]
        assert found.complete_until == aware(min(newest))
        assert buckets.loaded_since(warehouse, 2, before=aware(UNTIL)).earliest is None
