"""Counting by a holdout's hash: every number against the plain recount of a log with the arms of Python's hash."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.warehouse.base import CountRequest, Counts, HeldOut
from analysis.warehouse.duckdb import DuckDBWarehouse
from assignment.hashing import bucket
from tests.analysis.warehouse.counting.test_counting import (
    a_request,
    an_exposure,
    an_outcome,
    counted,
    differences,
    value_of,
    warehouse_with,
)
from tests.helpers.effort import scaled
from tests.helpers.random_log import START, random_log
from tests.helpers.recount import Log, Row, recount

KEY, SALT, RANGES = "holdout.global", "holdout.global:holdout", ((0, 2000), (6000, 8000))
ARMS = ("holdout", "rest")


def by_hash(request: CountRequest) -> CountRequest:
    return replace(request, experiment_key=KEY, phase=1, arms=ARMS, held_out=HeldOut(SALT, RANGES))


def arm_of(unit_id: object) -> str:
    place = bucket(SALT, str(unit_id))
    return "holdout" if any(start <= place < end for start, end in RANGES) else "rest"


def counts_for(row: Row, request: CountRequest) -> bool:
    ts = row["event_ts"]
    inside = request.started_at <= ts < request.cut.outcome_end  # type: ignore[operator]
    return inside and row["module"] in request.modules and row["unit_type"] == request.unit_type


def written(log: Log, request: CountRequest) -> tuple[Log, Mapping[str, Mapping[str, int]]]:
    """The log as if an experiment had logged its split, without who was forced into an arm; these by arm."""
    mine = [row for row in log.exposures if counts_for(row, request)]
    forced = {row["unit_id"] for row in mine if row["assignment_reason"] == "override"}
    rows = [
        {**row, "experiment_key": KEY, "phase": 1, "assignment_reason": "split", "variant": arm_of(row["unit_id"])}
        if counts_for(row, request) and row["unit_id"] not in forced
        else row
        for row in log.exposures
    ]
    lost = {arm: sum(arm_of(unit) == arm for unit in forced) for arm in ARMS}
    return replace(log, exposures=rows), {arm: {"override": n} if n else {} for arm, n in lost.items()}


def expected(log: Log, request: CountRequest) -> Counts:
    as_split, forced = written(log, request)
    found = recount(as_split, replace(request, held_out=None))
    return replace(found, excluded={arm: {**reasons, **forced[arm]} for arm, reasons in found.excluded.items()})


@pytest.mark.parametrize("seed", range(scaled(2, 200)))
def test_every_number_equals_a_plain_recount(seed: int) -> None:
    log, request = random_log(seed + 500), by_hash(a_request(seed))
    found = counted(log, request, range_units=9)
    assert not differences(found, expected(log, request))
    assert min(found.units.values()) > 0


def test_every_reason_counts_but_an_override_and_other_modules_do_not() -> None:
    reasons = ("none", "holdout", "split", "not_in_layer", "not_in_traffic", "not_targeted", "not_running", "killed")
    rows = [
        an_exposure(n, variant="als", assignment_reason=reason, experiment_key=None if reason == "none" else "home")
        for n, reason in enumerate(reasons)
    ]
    elsewhere = [an_exposure(20, module="pdp"), an_exposure(21, unit_type="session"),
                 an_exposure(22, event_ts=START - timedelta(days=30))]  # fmt: skip
    forced = [an_exposure(23), an_exposure(23, assignment_reason="override", event_ts=START + timedelta(days=1))]
    found = counted(Log([*rows, *elsewhere, *forced], [], []), by_hash(a_request(1)))
    assert sum(found.units.values()) == len(reasons)
    assert found.units["holdout"] == sum(arm_of(f"u{n}") == "holdout" for n in range(len(reasons)))
    assert found.excluded[arm_of("u23")] == {"override": 1}


def test_a_unit_of_many_arms_and_experiments_is_in_one_and_only_from_its_first_exposure_on() -> None:
    rows = [
        an_exposure(1, variant=arm, experiment_key=key, event_ts=START + timedelta(hours=hour))
        for hour, (key, arm) in enumerate([("home", "als"), ("home", "control"), ("cart", "new"), (None, "x")])
    ]
    orders = [an_outcome(1, "purchase", after_days=days, value=700, order_id=f"o{days}") for days in (-1, 1)]
    found = counted(Log(rows, orders, []), by_hash(a_request(1, keys=("revenue_per_unit",), slices=())))
    arm = arm_of("u1")
    assert found.units == {**dict.fromkeys(ARMS, 0), arm: 1}
    assert value_of(next(iter(found.cells.values()))[arm], "revenue_per_unit") == 700


def test_repeated_slots_are_looked_for_in_its_modules_under_every_experiment() -> None:
    rows = [an_exposure(n, variant="a", experiment_key=key, event_ts=START + timedelta(seconds=after))
            for n in range(40) for after, key in ((0, "home"), (1, None))]  # fmt: skip
    request = by_hash(a_request(1, keys=("revenue_per_unit",), slices=()))
    rows = [{**row, "event_id": f"{row['event_id']}-{n}"} for n, row in enumerate(rows)]
    with warehouse_with(Log([*rows, an_exposure(50, module="pdp")], [], [])) as warehouse:
        warehouse.count(request)
        found = warehouse.check("duplicates", request).rows
    assert sum(int(row["units_with_duplicates"] or 0) for row in found) == 40
    assert {row["arm"] for row in found} == set(ARMS)


def test_who_logs_in_under_ids_of_both_arms_is_left_out() -> None:
    held = next(f"a{n}" for n in range(100) if arm_of(f"a{n}") == "holdout")
    free = next(f"a{n}" for n in range(100) if arm_of(f"a{n}") == "rest")
    rows = [an_exposure(1, unit_id=held), an_exposure(2, unit_id=free), an_exposure(3, unit_id="alone")]
    request = by_hash(a_request(1, keys=("revenue_per_unit",), slices=()))
    with warehouse_with(Log(rows, [], [])) as warehouse:
        _linked(warehouse, held, free)
        found = warehouse.count(request)
    assert found.excluded == {"holdout": {"two_arms": 1}, "rest": {"two_arms": 1}}
    assert sum(found.units.values()) == 1


def _linked(warehouse: DuckDBWarehouse, *ids: str) -> None:
    """Of units 1, 2, … with these ids, that they are one person."""
    for number, one in enumerate(ids, start=1):
        warehouse._connection.execute(
            "insert into units by name select ? as unit, 'user' as unit_type, ? as unit_id", [number, one]
        )
        warehouse._connection.execute(
            "insert into identity by name select ? as anonymous_id, 'person' as user_id, "
            "timestamp '2026-03-01' as first_seen, 'l1' as load_id, 1 as line", [one],
        )  # fmt: skip


def test_where_none_of_its_modules_was_shown_nothing_is_counted() -> None:
    request = replace(by_hash(a_request(1)), modules=("checkout",))
    with warehouse_with(random_log(25)) as warehouse:
        found = warehouse.count(request)
    assert sum(found.units.values()) == 0
