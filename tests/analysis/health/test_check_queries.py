"""sql/checks/*.sql on a handful of rows: every query finds what was planted, and the rules read its columns."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analysis.health.checks import CHECKS
from assignment.hashing import bucket

SQL = Path(__file__).parents[3] / "sql"
Value = str | int | bool | datetime | list[str] | list[int] | None
PARAMETERS: Mapping[str, Value] = {
    "experiment_key": "home_new",
    "phase": 1,
    "unit_type": "user",
    "modules": ["homepage"],
    "arms": ["control", "new"],
    "started_at": datetime(2026, 3, 2),
    "outcome_end": datetime(2026, 3, 16),
    "by_hash": 0,
    "as_of": datetime(2026, 3, 16),
    "unit_from": 0,
    "unit_to": 1_000_000,
    "covariate_days": 28,
    "split_salt": "home_new.1:split",
    "split_arms": ["control", "new"],
    "split_starts": [0, 5000],
    "split_ends": [5000, 10_000],
}


class Shop:
    """An empty warehouse that takes a few rows and runs a check."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for statement in (SQL / "schema.sql").read_text().split(";\n"):
            if "create table" in statement:
                self.connection.execute(statement)
        self.rows = 0

    def insert(self, table: str, **values: Value) -> None:
        """One row; what a table needs and the test does not care about is filled in."""
        self.rows += 1
        known = {name: kind for name, kind, *_ in self.connection.execute(f"describe {table}").fetchall()}
        filled = {
            "event_id": f"e{self.rows}", "load_id": "l1", "line": self.rows, "unit_type": "user",
            "unit_id": str(values.get("unit")), "assignment_reason": "split", "experiment_key": "home_new", "phase": 1,
            "module": "homepage" if table == "exposures" else None,
        } | values  # fmt: skip
        if "event_ts" in known and isinstance(ts := filled["event_ts"], datetime):
            filled["event_day"] = ts.date().isoformat()
        filled = {name: value for name, value in filled.items() if name in known}
        holes = ", ".join("?" for _ in filled)
        self.connection.execute(f"insert into {table} ({', '.join(filled)}) values ({holes})", list(filled.values()))

    def exposure(self, unit: int, variant: str | None, day: int = 2, second: int = 0, **more: Value) -> None:
        """A slate at noon of a day in March."""
        self.insert("exposures", unit=unit, variant=variant, event_ts=datetime(2026, 3, day, 12, 0, second), **more)

    def outcome(self, unit: int, name: str, day: int = 3, **more: Value) -> None:
        """An outcome at noon of a day in March."""
        self.insert("outcomes", unit=unit, event_name=name, event_ts=datetime(2026, 3, day, 12), **more)

    def check(self, name: str) -> list[dict[str, Value]]:
        """The rows of a check, after the first exposures of the rows so far."""
        self.connection.execute("drop table if exists first_exposures")
        first = (SQL / "first_exposures.sql").read_text()
        self.connection.execute(f"create table first_exposures as {first}", self._wanted(first))
        text = (SQL / "checks" / f"{name}.sql").read_text()
        found = self.connection.execute(text, self._wanted(text))
        columns = [column[0] for column in found.description]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    @staticmethod
    def _wanted(text: str) -> dict[str, Value]:
        return {name: value for name, value in PARAMETERS.items() if f"${name}" in text}


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.connection.close()


def test_every_check_has_its_file_its_grain_and_no_other() -> None:
    files = {path.stem: path.read_text() for path in (SQL / "checks").glob("*.sql")}
    assert set(files) == set(CHECKS)
    assert all(text.startswith("-- one row per ") for text in files.values())


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_runs_on_an_empty_warehouse(shop: Shop, name: str) -> None:
    assert all(row.get("rows_read", 0) == 0 for row in shop.check(name))


def test_sample_ratio_counts_analysed_units_overall_and_by_browser(shop: Shop) -> None:
    for unit, variant, browser in ((1, "control", "safari"), (2, "control", None), (3, "new", "safari")):
        shop.exposure(unit, variant, browser=browser)
    shop.exposure(4, "new", browser="safari")
    shop.exposure(4, "control", day=3)
    found = {(r["dimension"], r["value"], r["arm"]): r["units"] for r in shop.check("sample_ratio")}
    assert found == {
        ("overall", "all", "control"): 2,
        ("overall", "all", "new"): 1,
        ("browser", "safari", "control"): 1,
        ("browser", "(none)", "control"): 1,
        ("browser", "safari", "new"): 1,
    }


def test_missing_add_to_cart_counts_by_browser_and_day_from_before_the_start(shop: Shop) -> None:
    shop.insert("outcomes", unit=1, event_name="view", event_ts=datetime(2026, 2, 27, 12), browser="safari")
    for name in ("view", "view", "add_to_cart", "purchase"):
        shop.outcome(1, name, browser="safari")
    assert [tuple(row.values()) for row in shop.check("missing_add_to_cart")] == [
        ("safari", "2026-02-27", 1, 0, 0, False),
        ("safari", "2026-03-03", 2, 1, 1, True),
    ]


def test_catalogue_join_is_as_of_the_event_and_sees_another_spelling(shop: Shop) -> None:
    start, end = datetime(2026, 3, 1), datetime(2026, 3, 5)
    shop.insert("catalogue", item_id="A1", valid_from=start, valid_to=end)
    shop.insert("catalogue", item_id="B2", valid_from=start, valid_to=None)
    for item, day in (("A1", 3), ("A1", 6), ("00b2", 3), ("C3", 3)):
        shop.outcome(1, "view", day=day, item_id=item)
    assert shop.check("catalogue_join") == [
        {"event_name": "view", "items": 4, "found": 1, "found_normalised": 2, "catalogue_rows": 2}
    ]


def test_duplicates_are_within_two_seconds_and_by_arm(shop: Shop) -> None:
    for second in (0, 2, 10):
        shop.exposure(1, "new", second=second, session_id="s")
    shop.exposure(1, "new", second=11, session_id="other")
    shop.exposure(2, "control")
    found = {r["arm"]: (r["units"], r["slates"], r["semantic_duplicates"], r["units_with_duplicates"])
             for r in shop.check("duplicates")}  # fmt: skip
    assert found == {"new": (1, 4, 1, 1), "control": (1, 1, 0, 0)}


def test_two_arms_counts_units_in_the_arm_they_saw_first(shop: Shop) -> None:
    shop.exposure(1, "control")
    shop.exposure(2, "new", day=4)
    shop.exposure(2, "control", day=5)
    assert shop.check("two_arms") == [
        {"arm": "control", "units": 1, "units_in_two_arms": 0, "first_day": None},
        {"arm": "new", "units": 1, "units_in_two_arms": 1, "first_day": "2026-03-04"},
    ]


def test_order_of_events_finds_clicks_before_exposure_and_unexposed_orders(shop: Shop) -> None:
    shop.exposure(1, "new", day=4)
    shop.outcome(1, "click", day=3, module="homepage")
    shop.outcome(1, "click", day=5, module="homepage")
    shop.outcome(1, "click", day=3, module="email")
    shop.outcome(2, "purchase", day=5)
    shop.outcome(1, "purchase", day=5)
    assert [tuple(row.values()) for row in shop.check("order_of_events")] == [
        ("2026-03-03", 1, 1, 0, 0),
        ("2026-03-05", 1, 0, 2, 1),
    ]


def test_returns_match_by_unit_order_and_item(shop: Shop) -> None:
    shop.exposure(1, "new")
    shop.outcome(1, "purchase", order_id="o1", item_id="a")
    shop.outcome(1, "refund", day=4, order_id="o1", item_id="a")
    shop.outcome(1, "refund", day=4, order_id="o1", item_id="b")
    shop.outcome(2, "cancel", day=4, order_id="o1")
    assert shop.check("returns_unlinked") == [
        {"arm": "(none)", "returns": 1, "unlinked": 1},
        {"arm": "new", "returns": 2, "unlinked": 1},
    ]


def test_a_variant_nobody_registered_is_named_with_its_first_day(shop: Shop) -> None:
    shop.exposure(1, "new")
    shop.exposure(2, "newer", day=5)
    shop.exposure(3, None, day=6)
    shop.exposure(4, "qa", assignment_reason="override")
    assert [tuple(row.values()) for row in shop.check("unregistered_variant")] == [
        ("(none)", 1, 1, "2026-03-06"),
        ("newer", 1, 1, "2026-03-05"),
    ]


def test_margin_coverage_counts_lines_after_the_first_exposure(shop: Shop) -> None:
    shop.exposure(1, "new", day=4)
    shop.outcome(1, "purchase", day=3, margin=None)
    shop.outcome(1, "purchase", day=5, margin=100)
    shop.outcome(1, "purchase", day=5, margin=None)
    assert shop.check("margin_coverage") == [{"arm": "new", "lines": 2, "lines_with_margin": 1}]


def test_a_rejected_row_counts_under_each_of_its_reasons_and_once_in_all(shop: Shop) -> None:
    shop.connection.execute(
        "insert into loads by name select 'l1' as load_id, 1 as seq, 'f' as file, 'd' as file_digest, "
        "'m' as mapping_name, 'd' as mapping_digest, timestamp '2026-03-16' as loaded_at, "
        "10 as rows_read, 0 as rows_malformed, "
        "0 as rows_not_emitted, 0 as rows_repeated, 0 as rows_repeated_kept, 10 as emitted, 8 as accepted, "
        "0 as duplicates, 0 as copies, 0 as said_before, 2 as rejected"
    )
    for reasons in (["unit_missing"], ["unit_missing", "negative"]):
        shop.insert("rejected", file="f", reasons=reasons, raw="{}")
    assert [tuple(row.values()) for row in shop.check("rejected_rows")] == [
        ("unit_missing", 2, 2, 10),
        ("negative", 1, 2, 10),
    ]


def test_late_events_count_by_how_late_they_came(shop: Shop) -> None:
    noon = datetime(2026, 3, 2, 12)
    for hours in (0, 2, 30):
        shop.exposure(1, "new", received_ts=noon + timedelta(hours=hours))
    shop.exposure(2, "new")
    shop.exposure(3, "new", module="email", received_ts=noon + timedelta(days=9))
    assert [tuple(row.values()) for row in shop.check("late_events")] == [("exposures", 4, 3, 2, 2, 1)]


def test_clock_skew_counts_rows_dated_after_their_arrival_by_browser(shop: Shop) -> None:
    noon = datetime(2026, 3, 3, 12)
    for minutes, browser in ((-6, "safari"), (-4, "safari"), (1, "chrome"), (-90, None)):
        shop.outcome(1, "view", received_ts=noon + timedelta(minutes=minutes), browser=browser)
    shop.outcome(1, "view", browser="chrome")
    found = [tuple(row.values()) for row in shop.check("clock_skew")]
    assert found == [("(none)", 1, 1), ("chrome", 1, 0), ("safari", 2, 1)]


def test_volume_counts_by_kind_browser_and_day_from_five_weeks_before(shop: Shop) -> None:
    shop.exposure(1, "new", browser="safari")
    shop.outcome(1, "view", browser="safari")
    shop.outcome(1, "refund", browser="safari")
    for day in (datetime(2026, 1, 25, 12), datetime(2026, 1, 26, 12)):
        shop.insert("outcomes", unit=1, event_name="view", event_ts=day, browser="safari")
    assert [tuple(row.values()) for row in shop.check("volume")] == [
        ("slot shown", "safari", "2026-03-02", 1, 14),
        ("view", "safari", "2026-01-26", 1, 49),
        ("view", "safari", "2026-03-03", 1, 13),
    ]


def test_busy_units_are_looked_for_before_their_first_exposure(shop: Shop) -> None:
    for unit, day, count in ((1, 5, 500), (2, 5, 499), (3, 12, 600)):
        shop.exposure(unit, "new", day=10)
        shop.connection.execute(
            f"insert into outcomes by name select 'b' || {unit} || '-' || n as event_id, 'view' as event_name, "
            f"'user' as unit_type, '{unit}' as unit_id, {unit} as unit, timestamp '2026-03-{day:02d} 12:00:00' as "
            f"event_ts, date '2026-03-{day:02d}' as event_day, 'l1' as load_id, n as line from range({count}) as t(n)"
        )
    assert shop.check("busy_units") == [{"arm": "new", "units": 3, "busy_units": 1}]


def test_identity_counts_units_that_share_a_device(shop: Shop) -> None:
    for unit, device in ((1, "d1"), (1, "d2"), (2, "d1"), (3, "d3"), (4, None)):
        shop.exposure(unit, "new", device_id=device, browser="safari")
    assert [tuple(row.values()) for row in shop.check("identity")] == [("new", "safari", 4, 3, 1, 2)]


def test_a_click_must_be_on_an_item_the_unit_was_shown_there_within_a_day(shop: Shop) -> None:
    shop.exposure(1, "new", day=3)
    shop.connection.execute("update exposures set items = [{'item_id': 'a', 'position': 1}, {'item_id': 'b'}]")
    for unit, day, item, module in ((1, 3, "a", "homepage"), (1, 3, "c", "homepage"), (1, 5, "b", "homepage"),
                                    (2, 3, "a", "homepage"), (1, 3, "c", "email")):  # fmt: skip
        shop.outcome(unit, "click", day=day, item_id=item, module=module)
    assert shop.check("clicks_not_shown") == [{"module": "homepage", "clicks": 4, "not_shown": 3, "items_logged": 2}]


def test_an_order_of_two_units_is_shared(shop: Shop) -> None:
    for unit, order in ((1, "o1"), (1, "o1"), (2, "o2"), (3, "o2")):
        shop.outcome(unit, "purchase", order_id=order)
    assert shop.check("orders_shared") == [{"orders": 2, "shared": 1}]


def test_stock_known_tells_the_age_of_the_catalogue_at_the_newest_slot(shop: Shop) -> None:
    shop.exposure(1, "new", day=3, items_shown=4, items_stock_known=3)
    shop.exposure(1, "new", day=5, items_shown=4, items_stock_known=4)
    for when in (datetime(2026, 3, 5, 9, 30), datetime(2026, 3, 6)):
        shop.insert("catalogue", item_id="a", valid_from=when)
    assert [tuple(row.values()) for row in shop.check("stock_known")] == [("homepage", 8, 7, 150)]


def test_catalogue_fields_look_at_the_newest_row_of_each_item_on_offer(shop: Shop) -> None:
    start = datetime(2026, 3, 1)
    shop.insert("catalogue", item_id="a", valid_from=start, price=None)
    shop.insert("catalogue", item_id="a", valid_from=datetime(2026, 3, 4), price=10, stock=3)
    shop.insert("catalogue", item_id="b", valid_from=start, price=10, valid_to=datetime(2026, 3, 9))
    shop.insert("catalogue", item_id="c", valid_from=datetime(2026, 3, 20), price=10)
    assert [tuple(row.values()) for row in shop.check("catalogue_fields")] == [(1, 1, 0, 1, 0, 0)]


def test_spikes_are_days_on_which_one_unit_makes_half_of_an_item(shop: Shop) -> None:
    for day, unit, count in (
        (3, 1, 2),
        (4, 1, 4),
        (5, 1, 20),
        (5, 2, 20),
        (6, 1, 20),
        (6, 2, 21),
        (6, 3, 2),
        (7, 1, 19),
    ):
        for _ in range(count):
            shop.outcome(unit, "view", day=day, item_id="lamp")
    assert [tuple(row.values()) for row in shop.check("spikes")] == [("lamp", "2026-03-05", 40, 20, 2, 6, 20)]


def test_drift_holds_controls_last_week_against_all_of_the_weeks_before(shop: Shop) -> None:
    for unit, variant in ((1, "control"), (2, "new")):
        shop.insert("exposures", unit=unit, variant=None, experiment_key=None, assignment_reason="none",
                    event_ts=datetime(2026, 2, 20, 12), browser="safari")  # fmt: skip
        for day in (3, 10):
            shop.exposure(unit, variant, day=day, browser="chrome")
        shop.outcome(unit, "purchase", day=11, value=1500)
    found = {(r["what"], r["period"], r["value"]): r["n"] for r in shop.check("drift")}
    assert found[("browser", "before", "safari")] == 2
    assert found[("browser", "now", "chrome")] == 1
    assert found[("line_value", "now", "10 to 20")] == 1
    assert ("browser", "now", "safari") not in found


def test_visitors_are_in_the_arm_their_hash_gives_whether_exposed_or_not(shop: Shop) -> None:
    arms: dict[str, list[int]] = {"control": [], "new": []}
    for unit in range(1, 41):
        arms["control" if bucket("home_new.1:split", f"u{unit}") < 5000 else "new"].append(unit)
        shop.insert("units", unit=unit, unit_id=f"u{unit}")
        for start in (datetime(2026, 2, 20), datetime(2026, 3, 4)):
            shop.connection.execute(
                "insert into sessions select ?, ?, ?, ?, 'homepage', false, false, false",
                [unit, start, start, start.date()],
            )
    for unit in arms["control"][:7] + arms["new"][:3]:
        shop.exposure(unit, "control" if unit in arms["control"] else "new", unit_id=f"u{unit}")
    assert shop.check("met_the_module") == [
        {"arm": "control", "units": len(arms["control"]), "units_exposed": 7},
        {"arm": "new", "units": len(arms["new"]), "units_exposed": 3},
    ]
