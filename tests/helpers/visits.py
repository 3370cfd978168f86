"""A small shop's log by visits: slates and what follows, slots of the week that differ, an experiment and a holdout.

When which rows are loaded is up to the test: they go into the warehouse by time, each part as a load of its own.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from experiments.layers import Ground
from experiments.loading import parse_yaml
from experiments.placement import Holdout
from experiments.shop import Shop, create
from experiments.spec import DEFINITION, Phase
from experiments.store import Store
from tests.helpers.definitions import GOOD
from tests.helpers.random_log import in_sessions
from tests.helpers.recount import Log, Row, Value
from tests.helpers.recount_buckets import is_held

START = datetime(2026, 3, 2)  # a Monday, naive UTC
KEY, ARMS = "home_als_v2", ("control", "als_v2")
PHASE_START, PHASE_END = datetime(2026, 3, 20, 9, tzinfo=UTC), datetime(2026, 4, 3, 15, 20, tzinfo=UTC)
HOLDOUT = Holdout(key="h2", salt="holdout.h2", buckets=((0, 1500),), modules=("homepage", "pdp"), start_at=PHASE_START)
_COUNTS = (
    "rows_read", "rows_malformed", "rows_not_emitted", "rows_repeated", "rows_repeated_kept", "emitted", "accepted",
    "duplicates", "copies", "said_before", "rejected",
)  # fmt: skip


def a_shop(home: Path, store: Store) -> Shop:
    """A shop in UTC whose store knows a running phase and a holdout."""
    shop = create(home, modules=("homepage", "pdp"), currency="EUR", time_zone="UTC")
    document, _ = parse_yaml(GOOD)
    assert document is not None
    experiment = DEFINITION.validate_python(document.value)
    schedule = experiment.schedule.model_copy(update={"start_at": PHASE_START, "end_at": PHASE_END})
    experiment = experiment.model_copy(update={"schedule": schedule})
    phase = Phase(number=1, experiment=experiment, metrics={}, slices=(), started_at=PHASE_START, planned_units=20_000)
    store.save_definition(experiment, {}, expected_version=0, actor="ann", reason="try", now=PHASE_START)
    store.save_phase(KEY, phase, expected_version=1, actor="ann", reason="try", now=PHASE_START)
    store.save_ground(Ground({}, {"h2": HOLDOUT}), actor="ann", reason="try", now=PHASE_START)
    return shop


def a_log(seed: int, *, days: int, units: int = 60, busy: float = 3.0) -> Log:
    """`busy` visits in six hours on average, more in the evening and on weekends; rows in order of time."""
    dice = random.Random(seed)
    exposures: list[Row] = []
    outcomes: list[Row] = []
    for slot in range(days * 4):
        begins = START + slot * timedelta(hours=6)
        mean = busy * (0.4, 0.9, 1.2, 1.5)[slot % 4] * (1.3 if begins.weekday() > 4 else 0.9)
        for _ in range(_poisson(dice, mean)):
            _visit(
                dice, exposures, outcomes, 1 + dice.randrange(units), begins + timedelta(minutes=dice.randrange(360))
            )
    exposures.sort(key=lambda row: str(row["event_ts"]))
    outcomes.sort(key=lambda row: str(row["event_ts"]))
    return Log(exposures, outcomes, in_sessions(exposures, outcomes))


def feed(connection: duckdb.DuckDBPyConnection, log: Log, wanted: Callable[[Row], bool], number: int) -> None:
    """The rows that are wanted come in as load `number`; sessions are what all rows that are there make of them."""
    for table, rows in (("exposures", log.exposures), ("outcomes", log.outcomes)):
        given = [{**row, "load_id": f"l{number}"} for row in rows if wanted(row)]
        if given:
            connection.register("given_rows", pa.Table.from_pylist(given))
            connection.execute(f"insert into {table} by name select * from given_rows")
            connection.unregister("given_rows")
    there = {
        str(name)
        for (name,) in connection.execute(
            "select event_id from exposures union all select event_id from outcomes"
        ).fetchall()
    }
    known = ([row for row in rows if row["event_id"] in there] for rows in (log.exposures, log.outcomes))
    connection.execute("delete from sessions")
    connection.register("given_rows", pa.Table.from_pylist([dict(row) for row in in_sessions(*known)]))
    connection.execute("insert into sessions by name select * from given_rows")
    connection.unregister("given_rows")
    zeros = ", ".join(f"0 as {name}" for name in _COUNTS)
    connection.execute(
        f"insert into loads by name select 'l{number}' as load_id, {number} as seq, 'f' as file, 'd' as file_digest, "
        f"'m' as mapping_name, 'd' as mapping_digest, timestamp '2026-03-01' as loaded_at, {zeros}"
    )


def time_of(row: Row) -> datetime:
    """When it happened, naive UTC."""
    value = row["event_ts"]
    assert isinstance(value, datetime)
    return value


def _visit(dice: random.Random, exposures: list[Row], outcomes: list[Row], unit: int, at: datetime) -> None:
    module = dice.choice(("homepage", "homepage", "pdp"))
    mine = module == "homepage" and PHASE_START.replace(tzinfo=None) <= at < PHASE_END.replace(tzinfo=None)
    held = is_held(f"u{unit}", "holdout.h2:holdout", HOLDOUT.buckets)
    arm = ARMS[unit % 2]
    base: dict[str, Value] = {"unit_type": "user", "unit_id": f"u{unit}", "unit": unit, "line": 1}
    for n in range(dice.choice((1, 1, 2))):
        shown = at + timedelta(minutes=12 * n)
        exposures.append({
            **base, "event_id": f"e{len(exposures)}", "event_ts": shown, "event_day": shown.date(),
            "module": module, "page_category": dice.choice((None, "decor", "kitchen")),
            "experiment_key": KEY if mine and not held else None, "phase": 1 if mine and not held else None,
            "variant": arm if mine and not held else None,
            "assignment_reason": "holdout" if held else "split" if mine else "none",
            "clicked": False, "browser": "chrome", "platform": None, "country": None, "app_version": None,
            "is_bot": unit == 13, "is_internal": None,
        })  # fmt: skip
    for name, chance in (("click", 0.7), ("click", 0.3), ("add_to_cart", 0.35), ("purchase", 0.2)):
        if dice.random() < chance:
            done = at + timedelta(minutes=dice.choice((-5, 1, 9, 20)))
            value = dice.randrange(500, 9_000)
            bought: dict[str, Value] = {
                "order_id": f"o{len(outcomes)}",
                "value": value,
                "margin": value // 3,
                "quantity": 1,
            }
            outcomes.append({
                **base, "event_id": f"i{len(outcomes)}", "event_ts": done, "event_day": done.date(),
                "event_name": name, "module": None,
                **(bought if name == "purchase" else dict.fromkeys(bought)),
            })  # fmt: skip


def _poisson(dice: random.Random, mean: float) -> int:
    """By waiting times: the standard library has none."""
    number, waited = -1, 0.0
    while waited < mean:
        waited += dice.expovariate(1.0)
        number += 1
    return number
