"""Small logs full of what goes wrong: ties, contamination, phases, late clicks, refunds with and without an order."""

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from analysis.warehouse.loading.enrich import link_returns
from tests.helpers.recount import Log, Row, Value

START = datetime(2026, 3, 20)
ZONE = ZoneInfo("Europe/Berlin")  # the clocks change on 29 March 2026
EXPERIMENT = "demo"
ARMS = ("control", "treatment", "third")
MODULES = ("homepage", "cart")
_ELSEWHERE = ("pdp", "email")


def random_log(seed: int, *, units: int = 30, days: int = 24) -> Log:
    """Rows of up to `units` units around START, enriched as a load leaves them; times are in steps that make ties."""
    dice = random.Random(seed)
    exposures: list[Row] = []
    outcomes: list[Row] = []
    for unit in range(1, units + 1):
        arm = dice.choice(ARMS[: dice.choice((2, 2, 3))])
        for _ in range(dice.choice((0, 1, 2, 4, 7))):
            exposures.append(_exposure(dice, unit, arm, days, len(exposures)))
        for _ in range(dice.choice((0, 1, 3, 6))):
            outcomes.append(_interaction(dice, unit, days, len(outcomes)))
        for _ in range(dice.choice((0, 0, 1, 2, 4))):
            outcomes.extend(_order(dice, unit, days, len(outcomes)))
    dice.shuffle(exposures)
    dice.shuffle(outcomes)
    return Log(exposures, outcomes, in_sessions(exposures, outcomes))


def load(connection: duckdb.DuckDBPyConnection, log: Log) -> None:
    """Put the rows into the raw tables as they are, in their order."""
    for table, rows in (("exposures", log.exposures), ("outcomes", log.outcomes), ("sessions", log.sessions)):
        if rows:
            connection.register("given_rows", pa.Table.from_pylist([dict(row) for row in rows]))
            connection.execute(f"insert into {table} by name select * from given_rows")
            connection.unregister("given_rows")
    link_returns(connection)


def event_day(ts: datetime) -> date:
    """The business day in the shop's zone."""
    return ts.replace(tzinfo=UTC).astimezone(ZONE).date()


def _time(dice: random.Random, days: int) -> datetime:
    coarse = dice.choice((1, 3, 4, 96))  # of 96 quarters of an hour
    day = START + timedelta(days=dice.randint(-days // 2, days // 2))
    return day + timedelta(minutes=15 * (dice.randrange(96) // coarse * coarse))


_NOTHING: Mapping[str, Value] = dict.fromkeys(
    ("value", "margin", "quantity", "discount", "item_id", "order_id", "module", "item_category", "query",
     "item_out_of_stock", "dwell_ms")
)  # fmt: skip


def _base(dice: random.Random, kind: str, unit: int, number: int, ts: datetime) -> dict[str, Value]:
    return {
        **({} if kind == "e" else _NOTHING),
        "event_id": f"{kind}{dice.randrange(10**6):06d}-{number}",
        "event_ts": ts,
        "event_day": event_day(ts),
        "unit_type": "user",
        "unit_id": f"u{unit}",
        "unit": unit,
        "load_id": "l1",
        "line": number + 1,
    }


def _exposure(dice: random.Random, unit: int, arm: str, days: int, number: int) -> Row:
    ts = _time(dice, days)
    mine = dice.random() < 0.75
    reason = dice.choices(("split", "arm_disabled", "override", "not_in_traffic"), (20, 2, 1, 1))[0] if mine else "none"
    variant = None if reason in ("none", "not_in_traffic") else arm
    if variant is not None and dice.random() < 0.03:
        variant = dice.choice((*ARMS, "unknown"))
    known = dice.choice((None, 3, 6))
    return {
        **_base(dice, "e", unit, number, ts),
        "experiment_key": EXPERIMENT if mine else dice.choice((None, "another")),
        "phase": dice.choices((1, 2, 3), (1, 12, 1))[0] if mine else None,
        "module": dice.choice((*MODULES, *MODULES, *_ELSEWHERE)),
        "page_category": dice.choice((None, "decor", "kitchen")),
        "variant": variant,
        "assignment_reason": reason,
        "platform": dice.choice((None, "web", "ios")),
        "browser": dice.choice((None, "chrome", "safari")),
        "country": dice.choice(("DE", "AT")),
        "app_version": None,
        "is_bot": dice.choices((None, False, True), (5, 20, 1))[0],
        "is_internal": dice.choices((None, False, True), (5, 20, 1))[0],
        "fallback": dice.choice((None, False, True)),
        "latency_ms": dice.choice((None, dice.randrange(900))),
        "items_shown": 6,
        "items_stock_known": known,
        "items_out_of_stock": None if known is None else dice.randrange(known + 1),
        "clicked": dice.random() < 0.3,
        "cost_micros": dice.randrange(1000),
    }


def _interaction(dice: random.Random, unit: int, days: int, number: int) -> Row:
    name = dice.choice(("view", "click", "click", "click", "add_to_cart", "open", "unsubscribe"))
    return {
        **_base(dice, "i", unit, number, _time(dice, days)),
        "event_name": name,
        "module": dice.choice((None, *MODULES, *_ELSEWHERE)),
        "item_category": dice.choice((None, "decor", "kitchen", "garden")),
        "item_id": dice.choice((None, "a", "b")),
        "query": dice.choice((None, "sofa")),
        "item_out_of_stock": dice.choice((None, False, True)),
        "dwell_ms": dice.choice((None, dice.randrange(10_000))),
        "quantity": dice.choice((None, 1, 2)),
    }


def _order(dice: random.Random, unit: int, days: int, number: int) -> Iterable[Row]:
    ts = _time(dice, days)
    order = dice.choice((None, *(f"o{unit}-{i}" for i in range(4))))
    rows: list[dict[str, Value]] = []
    for _ in range(dice.choice((1, 1, 2, 3))):
        value = dice.choice((0, 1, 7, dice.randrange(20_000), 10**9))
        rows.append({
            **_base(dice, "p", unit, number + len(rows), ts + timedelta(minutes=dice.choice((0, 0, 15)))),
            "event_name": "purchase",
            "order_id": order,
            "item_id": dice.choice((None, "a", "b", "c")),
            "item_category": dice.choice((None, "decor", "kitchen", "garden")),
            "value": value,
            "margin": dice.choice((None, value // 3, -(value // 7) - 1)),
            "quantity": dice.choice((None, 1, 3)),
            "discount": dice.choice((None, 0, value // 10)),
        })  # fmt: skip
    for _ in range(dice.choice((0, 0, 1, 2, 3))):
        back = ts + timedelta(days=dice.choice((0, 1, 4, 13, 14, 15)), minutes=15 * dice.randrange(8))
        rows.append({
            **_base(dice, "r", unit, number + len(rows), back),
            "event_name": dice.choice(("refund", "refund", "cancel")),
            "order_id": dice.choice((order, order, order, "no such order", None)),
            "item_id": dice.choice((None, None, "a", "b")),
            "value": dice.choice((None, 1, 5, dice.randrange(20_000))),
        })  # fmt: skip
    return rows


def in_sessions(exposures: Iterable[Row], outcomes: Iterable[Row]) -> list[Row]:
    """Rows of a unit less than 30 minutes apart on one business day."""
    acted = [row for row in outcomes if row["event_name"] in ("view", "click", "add_to_cart", "purchase")]
    by_unit_day: dict[tuple[Value, Value], list[Row]] = {}
    for row in (*exposures, *acted):
        by_unit_day.setdefault((row["unit"], row["event_day"]), []).append(row)
    sessions: list[Row] = []
    for (unit, day), rows in sorted(by_unit_day.items(), key=lambda item: str(item[0])):
        rows.sort(key=lambda row: str(row["event_ts"]))
        groups: list[list[Row]] = []
        for row in rows:
            last = groups[-1][-1]["event_ts"] if groups else None
            now = row["event_ts"]
            assert isinstance(now, datetime)
            if isinstance(last, datetime) and now - last < timedelta(minutes=30):
                groups[-1].append(row)
            else:
                groups.append([row])
        for group in groups:
            names = {row.get("event_name") for row in group}
            sessions.append({
                "unit": unit,
                "session_ts": group[0]["event_ts"],
                "last_ts": group[-1]["event_ts"],
                "event_day": day,
                "entry_module": next((row["module"] for row in group if row.get("module")), "(none)"),
                "has_click": "click" in names,
                "has_add_to_cart": "add_to_cart" in names,
                "has_order": "purchase" in names,
            })  # fmt: skip
    return sessions
