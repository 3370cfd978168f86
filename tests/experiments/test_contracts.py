"""The contracts: both validators, pydantic's and the derived SQL, refuse the same rows for the same reasons."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.warehouse.connection import open_memory
from analysis.warehouse.contract_sql import SCHEMA_FILE, schema_sql, sql_type
from experiments.contracts import (
    CONTRACTS,
    NULL_TEXTS,
    Closed,
    Flag,
    Json,
    Listed,
    Moment,
    Number,
    Text,
    Whole,
    columns,
    reasons,
)
from tests.helpers.effort import scaled
from tests.helpers.loads import bulk_reasons

GOOD: dict[str, dict[str, object]] = {
    "exposure": {
        "event_id": "e1",
        "event_ts": "2026-11-01T10:00:00Z",
        "module": "homepage",
        "unit_type": "user",
        "unit_id": "u1",
        "assignment_reason": "split",
        "experiment_key": "home_als_v2",
        "phase": 1,
        "variant": "control",
        "items": [{"item_id": "i1", "position": 1, "score": 0.5}, {"item_id": "i2"}],
        "latency_ms": 12,
        "is_bot": False,
        "browser": "in_app_webview",
    },
    "outcome": {
        "event_id": "o1",
        "event_ts": "2026-11-01 11:00:00.123456+01:00",
        "unit_type": "user",
        "unit_id": "u1",
        "event_name": "purchase",
        "value": 1999,
        "margin": -5,
        "quantity": 1,
        "currency": "EUR",
        "order_id": "A-1",
        "item_id": "i1",
        "query": " red sofa ",
        "properties": {"coupon": None, "tags": [1, 2]},
        "schema_version": "outcome.v1",
    },
    "catalogue": {
        "item_id": "i1",
        "category": "living/sofas",
        "price": 1999,
        "margin": -10,
        "stock": -2,
        "valid_from": "2026-10-01T00:00:00Z",
        "valid_to": "2026-12-01T00:00:00Z",
    },
    "identity": {"anonymous_id": "a1", "user_id": "u1", "first_seen": "2026-10-01T00:00:00.5Z"},
}

# contract, what is changed of the good row (absent: ...), the reasons
BAD: list[tuple[str, dict[str, object], set[str]]] = [
    ("exposure", {}, set()),
    ("outcome", {}, set()),
    ("catalogue", {}, set()),
    ("identity", {}, set()),
    ("exposure", {"unit_id": ...}, {"unit_missing"}),
    ("exposure", {"unit_id": None}, {"unit_missing"}),
    ("exposure", {"unit_id": "Nullmann", "variant": "none"}, set()),
    ("exposure", {"items": [{"item_id": "null"}], "device_id": "nan"}, {"items_item_id_missing", "device_id_missing"}),
    ("outcome", {"event_id": "None", "order_id": "(null)"}, {"event_id_missing", "order_id_missing"}),
    ("exposure", {"unit_id": 17}, {"unit_not_text"}),
    ("exposure", {"unit_id": ""}, {"unit_empty"}),
    ("exposure", {"unit_id": " u1"}, {"unit_bad_characters"}),
    ("exposure", {"unit_id": "u1\u00a0"}, {"unit_bad_characters"}),
    ("exposure", {"unit_id": "u\u0007x"}, {"unit_bad_characters"}),
    ("exposure", {"unit_id": "u\u0000x"}, {"unit_bad_characters"}),
    ("exposure", {"unit_id": "u1\n"}, {"unit_bad_characters"}),
    ("exposure", {"unit_id": "ü" * 256}, set()),
    ("exposure", {"unit_id": "ü" * 257}, {"unit_too_long"}),
    ("exposure", {"unit_type": "household"}, {"unit_type_unknown"}),
    ("exposure", {"unit_type": 3}, {"unit_type_not_text"}),
    ("exposure", {"assignment_reason": "spilt"}, {"assignment_reason_unknown"}),
    ("exposure", {"variant": None}, {"variant_missing"}),
    ("exposure", {"variant": None, "assignment_reason": "not_in_traffic"}, set()),
    ("exposure", {"variant": None, "phase": ..., "unit_id": 3}, {"variant_missing", "phase_missing", "unit_not_text"}),
    ("exposure", {"phase": 0}, {"phase_too_small"}),
    ("exposure", {"phase": 1.0}, {"phase_not_integer"}),
    ("exposure", {"phase": "1"}, {"phase_not_integer"}),
    ("exposure", {"phase": True}, {"phase_not_integer"}),
    (
        "exposure",
        {"hash_version": "md5-32/1", "traffic_bp": 2500},
        {"split_bucket_missing", "traffic_bucket_missing", "layer_bucket_missing", "config_version_missing"},
    ),
    ("exposure", {"hash_version": "md5"}, {
        "hash_version_unknown", "split_bucket_missing", "traffic_bucket_missing", "layer_bucket_missing",
        "traffic_bp_missing", "config_version_missing",
    }),
    ("exposure", {"traffic_bp": 10001}, {"traffic_bp_too_large"}),
    ("exposure", {"split_bucket": -1}, {"split_bucket_negative"}),
    ("exposure", {"browser": "Chrome"}, {"browser_unknown"}),
    ("exposure", {"is_bot": "false"}, {"is_bot_not_boolean"}),
    ("exposure", {"latency_ms": 10**40}, {"latency_ms_too_large"}),
    ("exposure", {"items": []}, set()),
    ("exposure", {"items": "i1,i2"}, {"items_not_list"}),
    ("exposure", {"items": {"item_id": "i1"}}, {"items_not_list"}),
    ("exposure", {"items": ["i1"]}, {"items_not_object"}),
    ("exposure", {"items": [None]}, {"items_not_object"}),
    ("exposure", {"items": [{"item_id": 1}, {"position": 0}, {"item_id": "a", "propensity": 1.5}]}, {
        "items_item_id_not_text", "items_item_id_missing", "items_position_too_small", "items_propensity_too_large",
    }),
    ("exposure", {"items": [{"item_id": "a", "rank": 1}]}, {"unknown_field"}),
    ("exposure", {"items": [{"item_id": "a", "score": "high"}]}, {"items_score_not_number"}),
    ("exposure", {"items": [{"item_id": "i"}] * 1001}, {"items_too_long"}),
    ("exposure", {"event_ts": "2026-11-01T10:00:00"}, {"event_ts_no_zone"}),
    ("exposure", {"event_ts": "2026-02-30T10:00:00Z"}, {"event_ts_not_time"}),
    ("exposure", {"event_ts": "2026-11-01T24:00:00Z"}, {"event_ts_not_time"}),
    ("exposure", {"event_ts": 1793527200}, {"event_ts_not_time"}),
    ("exposure", {"event_ts": "1969-12-31T23:59:59Z"}, {"event_ts_out_of_range"}),
    ("exposure", {"event_ts": "2200-01-01T00:30:00+01:00"}, set()),
    ("exposure", {"event_ts": "2200-01-01T00:00:00Z"}, {"event_ts_out_of_range"}),
    ("exposure", {"event_ts": "2026-11-01T10:00:00.123456789 -0530"}, set()),
    ("exposure", {"received_ts": "yesterday"}, {"received_ts_not_time"}),
    ("exposure", {"shop": "eu"}, {"unknown_field"}),
    ("exposure", {"schema_version": "exposure.v2"}, {"schema_version_unknown"}),
    ("outcome", {"value": -1}, {"value_negative"}),
    ("outcome", {"value": 10**12 + 1}, {"value_too_large"}),
    ("outcome", {"value": 19.99}, {"value_not_integer"}),
    ("outcome", {"margin": -(10**12) - 1}, {"margin_too_small"}),
    ("outcome", {"value": None, "order_id": None}, {"value_missing", "order_id_missing"}),
    ("outcome", {"value": "12", "order_id": 5}, {"value_not_integer", "order_id_not_text"}),
    ("outcome", {"value": None, "order_id": None, "event_name": "refund"}, set()),
    ("outcome", {"event_name": "buy", "value": None}, {"event_name_unknown"}),
    ("outcome", {"currency": "eur"}, {"currency_unknown"}),
    ("outcome", {"query": ""}, set()),
    ("outcome", {"query": "x" * 4097}, {"query_too_long"}),
    ("outcome", {"properties": "{}"}, {"properties_not_object"}),
    ("outcome", {"properties": [1]}, {"properties_not_object"}),
    ("outcome", {"unit_id": None, "value": -3, "event_ts": 1}, {"unit_missing", "value_negative", "event_ts_not_time"}),
    ("catalogue", {"valid_to": "2026-10-01T00:00:00Z"}, {"valid_to_not_after_valid_from"}),
    ("catalogue", {"valid_to": "2026-10-01T01:00:00+01:00"}, {"valid_to_not_after_valid_from"}),
    ("catalogue", {"valid_to": "soon", "valid_from": None}, {"valid_to_not_time", "valid_from_missing"}),
    ("catalogue", {"price": -1, "stock": 10**10}, {"price_negative", "stock_too_large"}),
    ("identity", {"user_id": None, "anonymous_id": 4}, {"user_id_missing", "anonymous_id_not_text"}),
]  # fmt: skip


BAD += [("exposure", {"unit_id": text}, {"unit_missing"}) for text in NULL_TEXTS]


def changed(contract: str, change: dict[str, object]) -> str:
    row = {**GOOD[contract], **change}
    return json.dumps({name: value for name, value in row.items() if value is not ...}, ensure_ascii=False)


@pytest.mark.parametrize("contract", list(CONTRACTS))
def test_both_validators_give_the_reasons_written_down(contract: str, tmp_path: Path) -> None:
    cases = [(changed(contract, change), expected) for name, change, expected in BAD if name == contract]
    lines = [line for line, _ in cases]
    in_bulk = bulk_reasons(tmp_path / "rows.jsonl", contract, lines)
    for (line, expected), bulk in zip(cases, in_bulk, strict=True):
        assert reasons(CONTRACTS[contract], line) == expected, line
        assert bulk == expected, line


def test_what_is_no_json_object_is_malformed_for_both(tmp_path: Path) -> None:
    lines = ["[1]", '{"event_id": ', '"text"', "null", '{"event_id": "\\ud800"}']
    assert all(reasons(CONTRACTS["outcome"], line) == {"malformed"} for line in lines)
    assert bulk_reasons(tmp_path / "rows.jsonl", "outcome", lines) == [frozenset({"malformed"})] * len(lines)


def scalars() -> st.SearchStrategy[object]:
    small = st.integers(-(10**13), 10**13)
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
        [
            "user",
            "purchase",
            "split",
            "md5-32/1",
            "EUR",
            "null",
            "2026-11-01",
            "2026-11-01T10:00:00Z",
            "2026-06-31 10:00Z",
            " x",
        ]
    )
    finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
    return st.none() | st.booleans() | small | finite | texts


def values() -> st.SearchStrategy[object]:
    item = st.dictionaries(
        st.sampled_from(["item_id", "position", "propensity", "source", "rank"]), scalars(), max_size=3
    )
    return scalars() | st.lists(item | scalars(), max_size=3) | st.dictionaries(st.text("ab", max_size=2), scalars())


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, list[str]]:
    contract = draw(st.sampled_from(sorted(CONTRACTS)))
    names = [*CONTRACTS[contract].model_fields, "surprise"]
    changes = draw(
        st.lists(st.dictionaries(st.sampled_from(names), values() | st.just(...), max_size=5), min_size=10, max_size=60)
    )
    return contract, [changed(contract, change) for change in changes]


@settings(max_examples=scaled(12, 400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows())
def test_both_validators_agree_on_anything(tmp_path: Path, drawn: tuple[str, list[str]]) -> None:
    contract, lines = drawn
    singly = [reasons(CONTRACTS[contract], line) for line in lines]
    in_bulk = bulk_reasons(tmp_path / "rows.jsonl", contract, lines)
    different = [
        (line, one, all_) for line, one, all_ in zip(lines, singly, in_bulk, strict=True) if _own(one) != _own(all_)
    ]
    assert different == []


def _own(found: frozenset[str]) -> frozenset[str]:
    """Without what only the shop knows: that its currency is the euro."""
    return found - {"currency_unknown"}


def test_the_schema_file_is_the_one_the_contracts_say() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_sql()


def test_the_tables_have_every_contract_column_with_its_type_and_nullability() -> None:
    tables = {"exposure": "exposures", "outcome": "outcomes", "catalogue": "catalogue", "identity": "identity"}
    connection = open_memory()
    for contract, table in tables.items():
        made = {name: (kind, null) for name, kind, null, *_ in connection.execute(f"describe {table}").fetchall()}
        for column in columns(CONTRACTS[contract]):
            kind, null = made[column.name]
            assert kind.replace('"', "").lower() == sql_type(column.kind).replace('"', "")
            assert (null == "NO") == column.required, column.name
    connection.close()


# What JSON Schema cannot say: that 1.0 is not whole, days of the calendar, ranges of times, one time after another.
UNSAID = ("_not_integer", "_not_time", "_out_of_range", "_not_after_valid_from")


@pytest.mark.parametrize("contract", list(CONTRACTS))
def test_the_json_schema_for_producers_refuses_what_the_contract_refuses(contract: str) -> None:
    schema = jsonschema.Draft202012Validator(CONTRACTS[contract].model_json_schema())
    for change, expected in [(change, expected) for name, change, expected in BAD if name == contract]:
        line = changed(contract, change)
        if not expected:
            schema.validate(json.loads(line))
        elif not all(reason.endswith(UNSAID) for reason in expected) and "\\n" not in line:  # re's $ allows a last \n
            assert not schema.is_valid(json.loads(line)), line


def test_every_column_has_a_kind_that_sql_and_pydantic_share() -> None:
    kinds = Text | Whole | Number | Flag | Moment | Closed | Json | Listed
    assert all(isinstance(column.kind, kinds) for model in CONTRACTS.values() for column in columns(model))
