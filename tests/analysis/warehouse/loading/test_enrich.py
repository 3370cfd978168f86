"""What a load computes: business days, stock, margin, category, clicks and sessions; the same in any order of files."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path

import duckdb
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.enrich import link_returns
from analysis.warehouse.loading.load import ShopTerms
from tests.helpers.effort import scaled
from tests.helpers.loads import EUROS, load, same_names, write_rows

Connection = duckdb.DuckDBPyConnection
Row = dict[str, object]


@pytest.fixture
def connection() -> Iterator[Connection]:
    opened = open_memory()
    yield opened
    opened.close()


def slate(
    name: str, at: str, *items: str, unit: str = "u1", module: str = "homepage", request: str | None = None
) -> Row:
    shown = [{"item_id": item} for item in items] if items else None
    return {
        "event_id": name, "event_ts": at, "module": module, "unit_type": "user", "unit_id": unit,
        "assignment_reason": "none", "items": shown, "request_id": request,
    }  # fmt: skip


def act(name: str, event: str, at: str, item: str | None = None, **more: object) -> Row:
    row: Row = {
        "event_id": name,
        "event_ts": at,
        "unit_type": "user",
        "unit_id": "u1",
        "event_name": event,
        "item_id": item,
    }
    if event == "purchase":
        row |= {"order_id": f"o-{name}", "value": 1000, "quantity": 1}
    return row | more


def item(name: str, since: str, **more: object) -> Row:
    return {"item_id": name, "valid_from": since, **more}


class Shop:
    """Loads rows, a file a call."""

    def __init__(self, connection: Connection, folder: Path, terms: ShopTerms = EUROS) -> None:
        self.connection, self.folder, self.terms, self.files = connection, folder, terms, 0

    def load(self, contract: str, *rows: Row) -> None:
        self.files += 1
        path = write_rows(self.folder / f"{self.files}.jsonl", rows)
        report = load(self.connection, path, same_names(contract), self.terms)
        assert report.rejected == 0, report.reasons

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self.connection.execute(query).fetchall()


@pytest.fixture
def shop(connection: Connection, tmp_path: Path) -> Shop:
    return Shop(connection, tmp_path)


# --- business day ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("Europe/Berlin", "2026-07-01T22:00:00Z", "2026-07-02"),
        ("Europe/Berlin", "2026-07-01T21:59:59.999999Z", "2026-07-01"),
        ("Europe/Berlin", "2026-12-31T23:00:00Z", "2027-01-01"),
        ("America/Los_Angeles", "2026-03-08T07:30:00Z", "2026-03-07"),  # the day the clocks go forward
        ("America/Los_Angeles", "2026-03-09T07:30:00Z", "2026-03-09"),
        ("Asia/Kathmandu", "2026-07-01T18:15:00Z", "2026-07-02"),
        ("UTC", "2026-07-01T23:59:59Z", "2026-07-01"),
    ],
)
def test_the_business_day_is_the_shops(connection: Connection, tmp_path: Path, zone: str, at: str, day: str) -> None:
    shop = Shop(connection, tmp_path, ShopTerms("EUR", 2, zone))
    shop.load("exposure", slate("e", at))
    shop.load("outcome", act("o", "view", at))
    assert shop.rows("select event_day::varchar from exposures union all select event_day::varchar from outcomes") == [
        (day,),
        (day,),
    ]


# --- catalogue at the time of the event --------------------------------------------------------------------------

SOFA = (
    item("sofa", "2026-11-01T00:00:00Z", stock=5, margin=100, category="living/sofas"),
    item("sofa", "2026-11-02T00:00:00Z", stock=0, margin=150, category="living/sofas"),
    item("sofa", "2026-11-03T00:00:00Z", stock=9, margin=-20, category="sale", valid_to="2026-11-04T00:00:00Z"),
)


def test_outcomes_get_stock_margin_and_category_as_they_were(shop: Shop) -> None:
    shop.load("catalogue", *SOFA)
    shop.load(
        "outcome",
        act("1", "view", "2026-10-31T23:59:59Z", "sofa", item_category="own"),  # before anything is known
        act("2", "view", "2026-11-01T00:00:00Z", "sofa", item_category="own"),
        act("3", "click", "2026-11-02T12:00:00Z", "sofa"),
        act("4", "purchase", "2026-11-02T12:00:00Z", "sofa", quantity=3),
        act("5", "purchase", "2026-11-02T12:00:00Z", "sofa", quantity=3, margin=7),
        act("6", "purchase", "2026-11-02T12:00:00Z", "sofa", quantity=None),
        act("7", "purchase", "2026-11-03T12:00:00Z", "sofa", quantity=2),
        act("8", "add_to_cart", "2026-11-04T00:00:00Z", "sofa"),  # from valid_to on nothing is known
        act("9", "refund", "2026-11-02T12:00:00Z", "sofa", value=5, quantity=1),
        act("a", "purchase", "2026-11-02T12:00:00Z", "lamp", item_category="light"),
        act("b", "purchase", "2026-11-02T12:00:00Z", None),
    )
    found = shop.rows("select event_id, item_out_of_stock, margin, item_category from outcomes order by event_id")
    assert found == [
        ("1", None, None, "own"),
        ("2", False, None, "living"),
        ("3", True, None, "living"),
        ("4", None, 450, "living"),
        ("5", None, 7, "living"),
        ("6", None, None, "living"),
        ("7", None, -40, "sale"),
        ("8", None, None, None),
        ("9", None, None, "living"),
        ("a", None, None, "light"),
        ("b", None, None, None),
    ]


def test_slates_count_items_shown_known_and_out_of_stock(shop: Shop) -> None:
    shop.load("catalogue", *SOFA, item("lamp", "2026-11-01T00:00:00Z", category="light"))
    shop.load(
        "exposure",
        slate("1", "2026-11-01T12:00:00Z", "sofa", "lamp", "rug"),
        slate("2", "2026-11-02T12:00:00Z", "sofa", "sofa", "lamp"),
        slate("3", "2026-11-04T12:00:00Z", "sofa"),
        slate("4", "2026-11-02T12:00:00Z"),
        {**slate("5", "2026-11-02T12:00:00Z"), "items": []},
    )
    found = shop.rows(
        "select event_id, items_shown, items_stock_known, items_out_of_stock from exposures order by event_id"
    )
    assert found == [("1", 3, 1, 0), ("2", 3, 2, 2), ("3", 1, 0, 0), ("4", None, None, None), ("5", 0, 0, 0)]


def test_a_correction_of_the_catalogue_reaches_back_to_its_time_and_no_further(shop: Shop) -> None:
    shop.load("catalogue", *SOFA)
    shop.load("exposure", *(slate(f"{day}", f"2026-11-0{day}T12:00:00Z", "sofa", "rug") for day in (1, 2, 3)))
    shop.load("outcome", *(act(f"{day}", "purchase", f"2026-11-0{day}T12:00:00Z", "sofa") for day in (1, 2, 3)))
    out = "select items_out_of_stock from exposures order by event_id"
    margins = "select margin from outcomes order by event_id"
    assert (shop.rows(out), shop.rows(margins)) == ([(0,), (1,), (0,)], [(100,), (150,), (-20,)])
    shop.load(
        "catalogue",
        item("sofa", "2026-11-02T00:00:00Z", stock=1, margin=120),
        item("rug", "2026-11-03T00:00:00Z", stock=0),
    )
    assert (shop.rows(out), shop.rows(margins)) == ([(0,), (0,), (1,)], [(100,), (120,), (-20,)])
    assert shop.rows("select items_stock_known from exposures order by event_id") == [(1,), (1,), (2,)]
    shop.load("catalogue", item("sofa", "2026-11-02T06:00:00Z", margin=1))  # a row between two others
    assert shop.rows(margins) == [(100,), (1,), (-20,)]
    shop.load("catalogue", item("rug", "2026-11-03T06:00:00Z", stock=2))  # says nothing of the sofas shown with it
    known = "select items_stock_known, items_out_of_stock from exposures order by event_id"
    assert shop.rows(known) == [(1, 0), (0, 0), (2, 0)]


def test_a_margin_too_large_for_money_is_none(shop: Shop) -> None:
    shop.load("catalogue", item("sofa", "2026-11-01T00:00:00Z", margin=10**12))
    rows = [
        act("1", "purchase", "2026-11-02T12:00:00Z", "sofa"),
        act("2", "purchase", "2026-11-02T12:00:00Z", "sofa", quantity=10**9),
    ]
    shop.load("outcome", *rows)
    assert shop.rows("select margin from outcomes order by event_id") == [(10**12,), (None,)]


# --- clicks ------------------------------------------------------------------------------------------------------


def test_a_click_belongs_to_the_latest_slate_of_its_module_within_a_day(shop: Shop) -> None:
    shop.load(
        "exposure",
        slate("1", "2026-11-01T10:00:00Z"),
        slate("2", "2026-11-01T11:00:00Z"),
        slate("3", "2026-11-01T11:30:00Z", module="pdp"),
        slate("4", "2026-11-01T11:30:00Z", unit="u2"),
        slate("5", "2026-11-03T11:00:00Z"),
        slate("6", "2026-11-05T12:00:00Z", request="r1"),
        slate("7", "2026-11-05T12:01:00Z", request="r2"),
    )
    clicked = "select event_id from exposures where clicked order by event_id"
    assert shop.rows(clicked) == []
    shop.load("outcome", act("a", "click", "2026-11-01T12:00:00Z", module="homepage"))
    assert shop.rows(clicked) == [("2",)]
    shop.load(
        "outcome",
        act("b", "click", "2026-11-01T12:00:00Z"),  # no module: no slate
        act("c", "view", "2026-11-01T11:45:00Z", module="pdp"),
        act("d", "click", "2026-11-04T11:00:00.000001Z", module="homepage"),  # a moment too late
        act("e", "click", "2026-11-05T12:05:00Z", module="homepage", request_id="r1"),
    )
    assert shop.rows(clicked) == [("2",), ("6",)]
    shop.load("outcome", act("f", "click", "2026-11-04T11:00:00Z", module="homepage"))
    assert shop.rows(clicked) == [("2",), ("5",), ("6",)]
    shop.load("exposure", slate("8", "2026-11-01T11:59:00Z"))  # a late slate takes its click from the earlier one
    assert shop.rows(clicked) == [("5",), ("6",), ("8",)]


# --- sessions ----------------------------------------------------------------------------------------------------


def test_sessions_end_after_thirty_minutes_and_at_midnight(shop: Shop) -> None:
    shop.load("exposure", slate("1", "2026-11-01T10:05:00Z"), slate("2", "2026-11-01T22:50:00Z", module="pdp"))
    shop.load(
        "outcome",
        act("a", "view", "2026-11-01T10:00:00Z"),
        act("b", "click", "2026-11-01T10:34:59Z"),
        act("c", "purchase", "2026-11-01T11:04:59Z"),  # thirty minutes: another session
        act("d", "add_to_cart", "2026-11-01T23:05:00Z"),  # past midnight in Berlin
        act("e", "refund", "2026-11-02T10:00:00Z", value=1),
        act("f", "open", "2026-11-02T10:00:00Z"),
    )
    columns = "(session_ts::varchar)[12:16], event_day::varchar, entry_module, has_click, has_add_to_cart, has_order"
    assert shop.rows(f"select {columns} from sessions order by session_ts") == [
        ("10:00", "2026-11-01", "homepage", True, False, False),
        ("11:04", "2026-11-01", "(none)", False, False, True),
        ("22:50", "2026-11-01", "pdp", False, False, False),
        ("23:05", "2026-11-02", "(none)", False, True, False),
    ]
    shop.load("outcome", act("g", "view", "2026-11-01T10:40:00Z", module="search"))  # joins the first two
    assert shop.rows(f"select {columns} from sessions order by session_ts")[:2] == [
        ("10:00", "2026-11-01", "homepage", True, False, True),
        ("22:50", "2026-11-01", "pdp", False, False, False),
    ]


# --- any order ---------------------------------------------------------------------------------------------------


def random_log(rng: random.Random) -> dict[str, list[Row]]:
    """A few units, days, items and modules, so that everything meets everything."""

    def at() -> str:
        moment = datetime(2026, 11, 1, 18) + timedelta(minutes=rng.randrange(0, 60 * 24 * 9, 7))
        return f"{moment.isoformat()}Z"

    items = [f"i{n}" for n in range(4)]
    units = ["u1", "u2"]
    modules = ["homepage", "pdp"]
    slates = [
        slate(f"e{n}", at(), *rng.sample(items, rng.randrange(3)), unit=rng.choice(units), module=rng.choice(modules),
              request=rng.choice([None, "r1", "r2"]))
        for n in range(80)
    ]  # fmt: skip
    acts = []
    for n in range(140):
        event = rng.choice(["view", "click", "click", "add_to_cart", "purchase", "open"])
        own: Row = {"margin": 5} if rng.random() < 0.2 else {}
        own |= {"module": rng.choice([*modules, None]), "request_id": rng.choice([None, "r1", "r2"])}
        who = rng.choice(units)
        acts.append(act(f"o{n}", event, at(), rng.choice([*items, None]), unit_id=who, item_category="own", **own))
    moments = sorted({(rng.choice(items), at()) for _ in range(16)})
    shelf = [
        item(
            name,
            since,
            stock=rng.choice([0, 3, None]),
            margin=rng.choice([1, 2, None]),
            category=rng.choice(["a/b", "c", None]),
        )
        for name, since in moments
    ]
    return {"exposure": slates, "outcome": acts, "catalogue": shelf}


TABLES = {
    "exposures": "select * exclude (unit, load_id, line) from exposures order by event_id",
    "outcomes": "select * exclude (unit, load_id, line) from outcomes order by event_id",
    "catalogue": "select * exclude (load_id, line) from catalogue order by item_id, valid_from",
    "sessions": "select units.unit_id, sessions.* exclude (unit) from sessions join units using (unit) order by all",
    "units": "select unit_type, unit_id from units order by all",
}


@pytest.mark.parametrize("seed", range(scaled(2, 60)))
def test_files_give_the_same_tables_in_any_order(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    log = random_log(rng)
    halves = []
    for contract, rows in log.items():  # by time, as files come, and crosswise
        when = "valid_from" if contract == "catalogue" else "event_ts"
        in_time = [rows[place] for _, place in sorted((str(row[when]), place) for place, row in enumerate(rows))]
        ordered = in_time if seed % 2 else rng.sample(rows, len(rows))
        halves += [(contract, ordered[: len(rows) // 2]), (contract, ordered[len(rows) // 2 :])]
    orders = [list(range(6)), *rng.sample(list(permutations(range(6))), 2)]
    seen = []
    for number, order in enumerate(orders):
        connection = open_memory()
        shop = Shop(connection, tmp_path / f"{number}")
        shop.folder.mkdir()
        for place in order:
            contract, rows = halves[place]
            shop.load(contract, *rng.sample(rows, len(rows)))
        seen.append({name: shop.rows(query) for name, query in TABLES.items()})
        connection.close()
    whole = open_memory()
    shop = Shop(whole, tmp_path)
    for contract, rows in log.items():
        shop.load(contract, *rows)
    expected = {name: shop.rows(query) for name, query in TABLES.items()}
    whole.close()
    assert len(expected["sessions"]) > 5
    assert any(clicked for *_, clicked, _ in expected["exposures"])
    for tables in seen:
        assert tables == expected


RETURNS = "select * from returns order by all"


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_what_came_back_of_an_order_is_the_same_in_any_order_of_files(order: tuple[int, ...], shop: Shop) -> None:
    bought = {"order_id": "o", "item_id": "i"}
    files = (
        [act("p1", "purchase", "2026-11-01T10:00:00Z", "i", order_id="o", value=1000)],
        [act("p2", "purchase", "2026-11-01T10:01:00Z", "i", order_id="o", value=500)],
        [act("r1", "refund", "2026-11-03T09:00:00Z", value=1200, **bought)],
        [act("r2", "refund", "2026-11-09T09:00:00Z", **bought), act("v", "view", "2026-11-09T09:00:00Z")],
    )
    for place in order:
        shop.load("outcome", *files[place])
    assert [row[2:] for row in shop.rows(RETURNS)] == [
        ("p1", "refund", 2, 1000),
        ("p2", "refund", 2, 200),
        ("p2", "refund", 8, 300),
    ]
    found = shop.rows(RETURNS)
    link_returns(shop.connection)
    assert shop.rows(RETURNS) == found
