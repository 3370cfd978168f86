"""The mapping language: every verb on small rows, every mistake said at once, nothing a person wrote run as SQL."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.mapping import path_steps
from analysis.warehouse.loading.reading import parse_mapping, read_mapping
from experiments.errors import MappingError, NotFoundError, SourceError
from tests.helpers.loads import load, outcome, taken, why, write_lines, write_rows


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = open_memory()
    yield opened
    opened.close()


Connection = duckdb.DuckDBPyConnection


# --- columns and paths -------------------------------------------------------------------------------------------


def test_a_path_reads_fields_and_picks_from_key_value_lists() -> None:
    assert [(s.field, s.key) for s in path_steps("a.b c[key=x y].d")] == [
        ("a", None),
        ("b c", ("key", "x y")),
        ("d", None),
    ]
    for wrong in ("", "a.", ".a", "a..b", "a[b]", "a[k=v]x", "a]"):
        with pytest.raises(ValueError, match=re.escape(wrong) or "^$"):
            path_steps(wrong)


EVENTS: list[dict[str, object]] = [
    {
        "user": {"id": "a"},
        "params": [{"key": "q", "value": {"s": "sofa"}}, {"key": "q", "value": {"s": "no"}}],
        "a.b": "x",
    },
    {"user": {"id": None}, "params": []},
    {"user": None, "params": None, "a.b": None},
]


def test_paths_in_json_lines(connection: Connection, tmp_path: Path) -> None:
    mapping = outcome("user_id: {column: user.id}, query: {column: 'params[key=q].value.s'}, item_id: {column: a.b}")
    path = write_rows(tmp_path / "a.jsonl", [*EVENTS, {"user": 5, "params": "none"}])
    report = load(connection, path, mapping)
    assert report.rejected == 0
    assert taken(connection, "user_id") == ["a", None, None, None]
    assert taken(connection, "query") == ["sofa", None, None, None]


def test_paths_in_parquet_and_columns_whose_name_has_dots(connection: Connection, tmp_path: Path) -> None:
    table = pa.table(
        {
            "user": [{"id": "a"}, {"id": None}, None],
            "params": [row["params"] for row in EVENTS],
            "a.b": ["x", None, None],
            "tags": pa.array([[("q", "red")], [], None], pa.map_(pa.string(), pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    columns = "user_id: {column: user.id}, query: {column: 'params[key=q].value.s'}, item_id: {column: a.b}"
    load(connection, tmp_path / "a.parquet", outcome(columns + ", module: {column: 'tags[key=q]'}"))
    assert taken(connection, "user_id") == ["a", None, None]
    assert taken(connection, "query") == ["sofa", None, None]
    assert taken(connection, "item_id") == ["x", None, None]
    assert taken(connection, "module") == ["red", None, None]


def test_a_column_that_is_not_there_is_named_with_its_nearest(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["customer_id,amount", "a,1"])
    with pytest.raises(MappingError) as caught:
        load(connection, path, outcome("user_id: {column: custmer_id}, item_id: {column: sku}"))
    said = str(caught.value)
    assert caught.value.exit_code == 2
    assert "a.csv has no column 'custmer_id' (nearest: customer_id); its columns: customer_id, amount" in said
    assert "a.csv has no column 'sku'" in said  # both at once
    assert said.count("its columns") == 1
    assert connection.execute("select count(*) from loads").fetchall() == [(0,)]


def test_a_struct_without_the_field_is_named_too(connection: Connection, tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [{"id": "a"}], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(MappingError, match=r"has no column 'ident'.*(\n.*)*asked of a column without fields"):
        load(connection, tmp_path / "a.parquet", outcome("user_id: {column: user.ident}, item_id: {column: n.x}"))


# --- types -------------------------------------------------------------------------------------------------------


def test_integer_ids_are_refused_unless_the_mapping_makes_them_text(connection: Connection, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, None]}), tmp_path / "a.parquet")
    shape = (
        "unit_type: user\nemit: [{{to: outcome, set: {{event_name: view, event_ts: 2026-11-01T10:00:00Z}}, "
        "columns: {{unit_id: {}}}}}]"
    )
    report = load(connection, tmp_path / "a.parquet", shape.format("{column: id}"))
    assert (report.accepted, dict(report.reasons)) == (0, {"unit_not_text": 1, "unit_missing": 1})
    report = load(connection, tmp_path / "a.parquet", shape.format("{column: id, as: string}"))
    assert (report.accepted, dict(report.reasons)) == (1, {"unit_missing": 1})
    assert taken(connection, "unit_id") == ["1"]
    csv = load(connection, write_lines(tmp_path / "a.csv", ["id,x", "007,"]), shape.format("{column: id}"))
    assert csv.accepted == 1  # in CSV everything is text
    assert connection.execute("select unit_id from units order by unit").fetchall() == [("1",), ("007",)]


def test_as_converts_in_order(connection: Connection, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": 17850.0},
        {"id": "12"},
        {"id": 1.5},
        {"id": "x"},
        {"id": 1e30},
        {"id": True},
    ]
    load(connection, write_rows(tmp_path / "a.jsonl", rows), outcome("user_id: {column: id, as: [integer, string]}"))
    assert taken(connection, "user_id") == ["17850", "12", str(10**30)]
    assert why(connection) == [(3, ["user_id_not_integer"]), (4, ["user_id_not_integer"]), (6, ["user_id_not_integer"])]


def test_epochs_are_utc(connection: Connection, tmp_path: Path) -> None:
    mapping = """
unit_type: user
emit:
  - to: outcome
    when: {s: {"null": false}}
    set: {event_name: view, unit_id: u}
    columns: {event_ts: {column: s, as: epoch_s}}
  - to: outcome
    when: {ms: {"null": false}}
    set: {event_name: view, unit_id: u}
    columns: {event_ts: {column: ms, as: epoch_ms}}
  - to: outcome
    when: {us: {"null": false}}
    set: {event_name: view, unit_id: u}
    columns: {event_ts: {column: us, as: epoch_us}}
"""
    rows: list[dict[str, object]] = [
        {"s": 1793527200.25}, {"ms": "1793527200250"}, {"us": 1793527200250000}, {"s": 1793527200250}, {"s": "soon"},
    ]  # fmt: skip
    load(connection, write_rows(tmp_path / "a.jsonl", rows), mapping)
    assert taken(connection, "event_ts") == [datetime(2026, 11, 1, 10, 0, 0, 250000)] * 3
    assert why(connection) == [(4, ["event_ts_out_of_range"]), (5, ["event_ts_not_time"])]


def test_times_of_a_zone_and_the_hours_a_clock_skips_or_repeats(connection: Connection, tmp_path: Path) -> None:
    times = [
        "2026-07-01 10:00",
        "2026-07-01T10:00:00Z",
        "2026-03-29 02:30:00",  # skipped
        "2026-10-25T02:30:00",  # shown twice
        "2026-10-25T02:30:00+02:00",  # but not when the zone is said
        "2026-10-25 03:00:00.1234567",
        "2026-12-24",
    ]
    path = write_lines(tmp_path / "a.csv", ["t,x", *(f"{time}," for time in times)])
    shape = (
        "unit_type: user\n{}emit: [{{to: outcome, set: {{event_name: view, unit_id: u}}, "
        "columns: {{event_ts: {{column: t}}}}}}]"
    )
    load(connection, path, shape.format("time_zone: Europe/Berlin\n"))
    assert taken(connection, "event_ts") == [
        datetime(2026, 7, 1, 8),
        datetime(2026, 7, 1, 10),
        datetime(2026, 10, 25, 0, 30),
        datetime(2026, 10, 25, 2, 0, 0, 123456),
        datetime(2026, 12, 23, 23),
    ]
    assert why(connection) == [(4, ["event_ts_nonexistent"]), (5, ["event_ts_ambiguous"])]
    with pytest.raises(SourceError, match=r"line 2 has a time without a zone \(event_ts\).*time_zone: Europe/Berlin"):
        load(open_memory(), path, shape.format(""))


def test_parquet_times_with_and_without_a_zone(connection: Connection, tmp_path: Path) -> None:
    at = datetime(2026, 7, 1, 10)
    naive, aware = pa.array([at], pa.timestamp("ns")), pa.array([at], pa.timestamp("ms", "America/New_York"))
    pq.write_table(pa.table({"naive": naive, "aware": aware, "day": pa.array([at.date()])}), tmp_path / "a.parquet")
    mapping = """
unit_type: user
time_zone: Europe/Berlin
emit:
  - to: outcome
    set: {event_name: view, unit_id: u}
    columns: {event_ts: {column: naive}, received_ts: {column: aware}}
  - {to: outcome, set: {event_name: view, unit_id: u}, columns: {event_ts: {column: day}}}
"""
    load(connection, tmp_path / "a.parquet", mapping)
    assert taken(connection, "event_ts") == [datetime(2026, 7, 1, 8), datetime(2026, 6, 30, 22)]
    assert taken(connection, "received_ts") == [at, None]


# --- values, when, set, row numbers ------------------------------------------------------------------------------


def test_values_translate_and_refuse_what_is_not_listed(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["b,x", "Chrome,", "yes,", ",", "Netscape,"])
    load(connection, path, outcome("browser: {column: b, values: {Chrome: chrome, yes: other}}"))
    assert taken(connection, "browser") == ["chrome", "other", None]  # yes is a word, not true
    assert why(connection) == [(5, ["browser_unknown"])]


@pytest.mark.parametrize(
    ("when", "lines"),
    [
        ("n: 1", [1, 2]),
        ("n: {eq: 1}", [1, 2]),
        ('n: "1"', [1]),
        ("n: {gt: 1}", [3]),
        ("n: {lt: 2}", [1, 2]),
        ("n: {gt: 1, lt: 2.6}", [3]),
        ("n: {in: [1, 2.5]}", [1, 2, 3]),
        ("s: {prefix: C}", [1, 3]),
        ("s: {prefix: [C, d]}", [1, 2, 3]),
        ("s: {null: true}", [4, 5]),
        ("s: {null: false}", [1, 2, 3]),
        ("n: 1, s: dx", [2]),
        ("f: true", [1, 3]),
    ],
)
def test_when(connection: Connection, tmp_path: Path, when: str, lines: list[int]) -> None:
    path = write_lines(tmp_path / "a.csv", ["n,s,f", "1,C1,true", "1.0,dx,false", "2.5,C,TRUE", ",,", "x,,"])
    mapping = outcome("user_id: {row_number: '%d'}").replace("    set:", f"    when: {{{when}}}\n    set:")
    report = load(connection, path, mapping)
    assert [int(str(value)) for value in taken(connection, "user_id")] == lines
    # a comparison that cannot be made is a reason to reject a row, not to pass it over
    refused = [(6, ["when_not_number"])] if "gt" in when or "lt" in when else []
    assert why(connection) == refused
    assert report.rows_not_emitted == 5 - len(lines) - len(refused)


def test_set_gives_constants_and_row_numbers(connection: Connection, tmp_path: Path) -> None:
    mapping = """
unit_type: device
time_zone: Europe/Berlin
emit:
  - to: exposure
    set: {event_ts: 2026-11-01 12:00, module: email, assignment_reason: split, experiment_key: x1, phase: 2,
          is_bot: false, unit_id: {row_number: "c%04d"}, variant: control}
"""
    load(connection, write_lines(tmp_path / "a.csv", ["a,b", "1,2", "3"]), mapping)
    found = connection.execute("select unit_id, unit_type, phase, is_bot, event_ts::varchar from exposures").fetchall()
    assert found == [("c0001", "device", 2, False, "2026-11-01 11:00:00")]


# --- each --------------------------------------------------------------------------------------------------------

ORDER = """
unit_type: user
emit:
  - to: outcome
    each: lines
    set: {event_name: purchase, event_ts: 2026-11-01T10:00:00Z}
    columns:
      unit_id: {column: buyer}
      order_id: {column: id}
      item_id: {each: sku}
      value: {each: price, times: {each: n}, money: EUR}
"""


def test_each_emits_one_row_per_element(connection: Connection, tmp_path: Path) -> None:
    orders: list[dict[str, object]] = [
        {
            "id": "A",
            "buyer": "u1",
            "lines": [{"sku": "i1", "price": "1.10", "n": 3}, {"sku": "i2", "price": 2, "n": 1}],
        },
        {"id": "B", "buyer": "u2", "lines": []},
        {"id": "C", "buyer": "u3"},
        {"id": "D", "buyer": "u4", "lines": {"sku": "i1"}},
        {"id": "E", "buyer": "u5", "lines": [{"sku": 7, "price": "?", "n": 1}]},
    ]
    report = load(connection, write_rows(tmp_path / "a.jsonl", orders), ORDER)
    found = connection.execute("select line, item_id, value, event_id[17:] from outcomes order by event_id").fetchall()
    assert found == [(1, "i1", 330, "-1-0-purchase-1"), (1, "i2", 200, "-1-0-purchase-2")]
    assert report.rows_not_emitted == 2
    assert [(line, sorted(found)) for line, found in why(connection)] == [
        (4, ["each_not_list", "value_missing"]),
        (5, ["item_id_not_text", "value_not_number"]),
    ]


def test_each_of_a_parquet_list(connection: Connection, tmp_path: Path) -> None:
    lines = [[{"sku": "i1", "price": 1.1, "n": 3}, {"sku": "i2", "price": 2.0, "n": 1}], None, []]
    pq.write_table(pa.table({"id": ["A", "B", "C"], "buyer": ["u"] * 3, "lines": lines}), tmp_path / "a.parquet")
    load(connection, tmp_path / "a.parquet", ORDER)
    assert connection.execute("select item_id, value from outcomes order by event_id").fetchall() == [
        ("i1", 330),
        ("i2", 200),
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_items_are_taken_field_by_field_or_as_bare_ids(connection: Connection, tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, object]] = [
        {"shown": [{"sku": "i1", "rank": 1}, {"sku": "i2", "rank": 2}], "ids": ["i3", "i4"]}
    ]
    path = tmp_path / f"a.{kind}"
    write_rows(path, rows) if kind == "jsonl" else pq.write_table(pa.Table.from_pylist(rows), path)
    shape = """
unit_type: user
emit:
  - to: exposure
    set: {event_ts: 2026-11-01T10:00:00Z, module: homepage, assignment_reason: none, unit_id: u}
    columns: {items: {column: shown, columns: {item_id: {each: sku}, position: {each: rank}}}}
  - to: exposure
    set: {event_ts: 2026-11-01T10:00:00Z, module: pdp, assignment_reason: none, unit_id: u}
    columns: {items: {column: ids, columns: {item_id: {each: .}}}}
"""
    load(connection, path, shape)
    found = connection.execute("select module, items, items_shown from exposures order by module").fetchall()
    blank = {"score": None, "propensity": None, "source": None}
    assert found == [
        ("homepage", [{"item_id": "i1", "position": 1, **blank}, {"item_id": "i2", "position": 2, **blank}], 2),
        ("pdp", [{"item_id": "i3", "position": None, **blank}, {"item_id": "i4", "position": None, **blank}], 2),
    ]


# --- event ids ---------------------------------------------------------------------------------------------------


def test_event_ids_come_from_the_file_or_from_the_row(connection: Connection, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"id": "m1", "n": 7}, {"id": "m1", "n": 8}, {"id": None, "n": 9}])
    report = load(connection, path, outcome("", "event_id: {from: [id, n]}"))
    assert taken(connection, "event_id") == ["m1-7", "m1-8"]
    assert why(connection) == [(3, ["event_id_missing"])]
    report = load(connection, path, outcome("user_id: {column: id}", "event_id: {from: [id]}"))
    assert (report.accepted, report.duplicates) == (1, 1)
    with open_memory() as empty:
        assert load(empty, path, outcome("")).accepted == 3
        ids = empty.execute("select event_id from outcomes order by line").fetchall()
    assert [name[16:] for (name,) in ids] == ["-1-0-view", "-2-0-view", "-3-0-view"]


def test_an_event_id_made_of_nothing_but_null_texts_is_missing(connection: Connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.csv", ["id,v", "null,none", "null,b", "m1,none"])
    load(connection, path, outcome("", "event_id: {from: [id, v, emit_index]}"))
    assert why(connection) == [(2, ["event_id_missing"])]
    assert taken(connection, "event_id") == ["null-b-0", "m1-none-0"]


# --- texts that mean null ----------------------------------------------------------------------------------------


def test_a_text_that_stands_for_no_id_is_refused_and_kept(connection: Connection, tmp_path: Path) -> None:
    mapping = "unit_type: user\nemit: [{to: outcome, columns: same_names}]"
    lines = [f"e{n},2026-11-01T10:00:00Z,view,{who}" for n, who in enumerate(("a", "NULL", "undefined", "Nullmann"))]
    report = load(
        connection, write_lines(tmp_path / "a.csv", ["event_id,event_ts,event_name,unit_id", *lines]), mapping
    )
    assert (report.accepted, report.rejected, dict(report.reasons)) == (2, 2, {"unit_missing": 2})
    assert connection.execute("select unit_id from units order by unit").fetchall() == [("a",), ("Nullmann",)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_mapping_says_which_texts_mean_null(connection: Connection, tmp_path: Path, kind: str) -> None:
    given, path = ["a", "NULL", "-", ""], tmp_path / f"a.{kind}"
    match kind:
        case "csv":
            write_lines(path, ["id", "a", "NULL", "-", '""'])
        case "jsonl":
            write_rows(path, [{"id": text} for text in given])
        case _:
            pq.write_table(pa.table({"id": given}), path)
    mapping = "file: {nulls: ['NULL', '-', '']}\n" + outcome("user_id: {column: id}")
    assert load(connection, path, mapping).rejected == 0
    assert taken(connection, "user_id") == ["a", None, None, None]


# --- same names --------------------------------------------------------------------------------------------------


def test_same_names_of_a_typed_file_must_be_the_contracts(connection: Connection, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"unit_id": ["a"], "evnt_ts": ["2026-11-01T10:00:00Z"], "event_name": ["view"]}),
        tmp_path / "a.parquet",
    )
    with pytest.raises(MappingError) as caught:
        load(connection, tmp_path / "a.parquet", "unit_type: user\nemit: [{to: outcome, columns: same_names}]")
    assert "outcome has no column evnt_ts (nearest: event_ts" in str(caught.value)
    assert "a.parquet has no column event_ts (nearest: evnt_ts" in str(caught.value)


# --- mistakes in the file ----------------------------------------------------------------------------------------


def problems(text: str) -> dict[str, str]:
    """Code and message by path."""
    with pytest.raises(MappingError) as caught:
        parse_mapping(text, "my.yml")
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("my.yml: ")
    return {found.path: f"{found.code}: {found}" for found in caught.value.problems}


def test_every_unknown_key_is_named_at_once_with_its_line_and_the_nearest() -> None:
    found = problems("""
file: {fromat: csv}
time_zon: UTC
emit:
  - to: outcomes
    columns: {value: {column: a, mony: USD}}
  - {to: exposure, wen: {a: 1}, set: {unit_id: {row_numbr: x}}}
""")
    assert set(found) >= {
        "file.fromat", "time_zon", "emit[0].to", "emit[0].columns.value.mony", "emit[1].wen",
        "emit[1].set.unit_id.row_numbr",
    }  # fmt: skip
    assert "line 2" in found["file.fromat"]
    assert "(nearest: format)" in found["file.fromat"]
    assert "(nearest: outcome)" in found["emit[0].to"]
    assert "(nearest: money)" in found["emit[0].columns.value.mony"]


def test_columns_verbs_and_constants_must_fit_the_contract() -> None:
    found = problems("""
time_zone: Europe/Berln
unit_type: houshold
rates: {usd: {2026-01-01: "0.9"}, USD: {2026-01-01: "0"}}
emit:
  - to: outcome
    when: {"a..b": 1}
    set: {event_ts: 2026-01-01, event_name: purchse, qantity: 1, item_id: 5}
    columns:
      unit_id: {column: u, money: EUR}
      item_id: {column: i}
      order_id: {each: o}
      margin: {column: m, money: EURO}
      browser: {column: b, times: x}
      received_ts: {column: r, values: {a: x, b: 1}}
      query: {column: q, as: epoch_s}
  - to: exposure
    columns: {items: {column: i, columns: {sku: {each: s}, position: {column: p}}}, unit_id: {row_number: "%s"}}
""")
    expected = {
        "time_zone": "nearest: Europe/Berlin",
        "unit_type": "constant",
        "rates.usd": "no ISO 4217",
        "rates.USD.2026-01-01": "no rate",
        "emit[0].when.a..b": "not a path",
        "emit[0].set.event_ts": "no time zone",
        "emit[0].set.event_name": "nearest: purchase",
        "emit[0].set.qantity": "nearest: quantity",
        "emit[0].set.item_id": "valid string",
        "emit[0].columns.unit_id.money": "not money",
        "emit[0].columns.item_id": "in set too",
        "emit[0].columns.order_id.each": "no list element",
        "emit[0].columns.browser": "times",
        "emit[0].columns.received_ts.values": "several types",
        "emit[0].columns.query.as": "not a time",
    }
    shapes = {"emit[0].columns.margin.money": "no currency code", "emit[1].columns.unit_id": "no row number"}
    assert {path: text for path, text in (expected | shapes).items() if text not in found.get(path, "")} == {}
    needed = {"event_ts", "module", "assignment_reason", "items.columns.item_id"}
    assert {f"emit[1].columns.{name}" for name in needed} <= set(found)


def test_what_a_purchase_needs_is_known_before_the_file_is_read() -> None:
    found = problems("""
unit_type: user
emit: [{to: outcome, set: {event_name: purchase, event_ts: 2026-01-01T00:00:00Z}, columns: {unit_id: {column: u}}}]
""")
    assert set(found) == {"emit[0].columns.order_id", "emit[0].columns.value"}


def test_keys_twice_and_no_yaml() -> None:
    assert "written twice" in problems("emit: []\nemit: []")["emit"]
    assert "yaml" in next(iter(problems("emit: [").values()))


def test_a_folder_is_no_mapping_and_its_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "orders.mapping.yml").touch()
    with pytest.raises(NotFoundError, match=r"is a folder, not a mapping file; .* there: orders\.mapping\.yml\)"):
        read_mapping(tmp_path)


def test_a_mapping_that_is_not_there_names_the_ready_ones() -> None:
    with pytest.raises(NotFoundError, match=r"segmnt: neither a mapping file nor a ready mapping \(nearest: segment\)"):
        read_mapping("segmnt")


def test_nothing_a_person_wrote_runs_as_sql(connection: Connection, tmp_path: Path) -> None:
    evil = "x'); drop table outcomes; --"
    row: Mapping[str, object] = {evil: evil, 'a"b': 'c"d', "$.x[*]": "e"}
    mapping = json.dumps({
        "unit_type": "user",
        "emit": [{
            "to": "outcome",
            "when": {evil: {"in": [evil], "prefix": "x'"}},
            "set": {"event_name": "view", "event_ts": "2026-11-01T10:00:00Z", "unit_id": evil},
            "columns": {"item_id": {"column": evil, "values": {evil: evil}}, "user_id": {"column": 'a"b'},
                        "device_id": {"row_number": "'; drop table loads; --%d"}},
        }],
        "event_id": {"from": [evil, "line"]},
    })  # fmt: skip
    report = load(connection, write_rows(tmp_path / "a.jsonl", [row]), mapping)
    assert report.accepted == 1
    found = connection.execute("select unit_id, item_id, user_id, device_id, event_id from outcomes").fetchall()
    assert found == [(evil, evil, 'c"d', "'; drop table loads; --1", f"{evil}-1")]


def test_equal_mappings_have_equal_digests_whatever_the_file_is_called() -> None:
    one, two = (parse_mapping(outcome("user_id: {column: u}"), name) for name in ("a.yml", "b.yml"))
    other = parse_mapping(outcome("user_id: {column: v}"), "a.yml")
    assert one.digest() == two.digest() != other.digest()
    assert (one.name, two.name) == ("a.yml", "b.yml")
