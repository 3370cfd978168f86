"""What SQL needs of the contracts: the tables (sql/schema.sql) and, in bulk, the reason a value is refused.

`python -m analysis.warehouse.contract_sql` writes sql/schema.sql; a test compares the two.
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.contracts import (
    CONTRACTS,
    Closed,
    Flag,
    Json,
    Kind,
    Listed,
    Moment,
    Number,
    Text,
    Whole,
    columns,
)

SCHEMA_FILE = Path(__file__).parents[2] / "sql" / "schema.sql"

TABLES: Mapping[str, str] = {
    "exposure": "exposures",
    "outcome": "outcomes",
    "catalogue": "catalogue",
    "identity": "identity",
}

_GRAIN: Mapping[str, str] = {
    "exposure": "one rendered slot (slate)",
    "outcome": "one thing a unit did; a purchase is one order line",
    "catalogue": "one item from valid_from on; of rows with one valid_from the later load counts",
    "identity": "one link of an anonymous id to a user",
}

# What a load adds to a contract row: what it computes, and where the row came from.
_LINEAGE = ("load_id varchar not null", "line bigint not null")
COMPUTED: Mapping[str, tuple[str, ...]] = {
    "exposure": (
        "event_day date not null",
        "unit bigint not null",
        "items_shown bigint",
        "items_stock_known bigint",
        "items_out_of_stock bigint",
        "clicked boolean not null default false",
        "cost_micros bigint",
        *_LINEAGE,
    ),
    "outcome": (
        "event_day date not null",
        "unit bigint not null",
        "own_margin bigint",
        "own_item_category varchar",
        "original_value varchar",
        "item_out_of_stock boolean",
        *_LINEAGE,
    ),
    "catalogue": _LINEAGE,
    "identity": _LINEAGE,
}

_SIDE_TABLES = """\
-- one unit: its dense key, given in order of first appearance
create table if not exists units (
    unit bigint not null,
    unit_type varchar not null,
    unit_id varchar not null,
);

-- one loaded file under one mapping
create table if not exists loads (
    load_id varchar not null,
    seq bigint not null,
    file varchar not null,
    file_digest varchar not null,
    mapping_name varchar not null,
    mapping_digest varchar not null,
    loaded_at timestamp not null,
    rows_read bigint not null,
    rows_malformed bigint not null,
    rows_not_emitted bigint not null,
    rows_repeated bigint not null,
    rows_repeated_kept bigint not null,
    emitted bigint not null,
    accepted bigint not null,
    duplicates bigint not null,
    rejected bigint not null,
);

-- one row that broke the contract, with every reason; a source row that could not be read has no emit
create table if not exists rejected (
    load_id varchar not null,
    file varchar not null,
    line bigint not null,
    emit bigint,
    to_table varchar,
    reasons varchar[] not null,
    raw varchar not null,
);

-- one session of a unit: rows less than 30 minutes apart on one business day
create table if not exists sessions (
    unit bigint not null,
    session_ts timestamp not null,
    event_day date not null,
    entry_module varchar not null,
    has_click boolean not null,
    has_add_to_cart boolean not null,
    has_order boolean not null,
);
"""


def sql_type(kind: Kind) -> str:
    """The DuckDB type of a contract column."""
    match kind:
        case Text() | Closed():
            return "varchar"
        case Whole(most=most):
            return "integer" if most < 2**31 and kind.unit not in ("pieces", "minor units") else "bigint"
        case Number():
            return "double"
        case Flag():
            return "boolean"
        case Moment():
            return "timestamp"
        case Json():
            return "json"
        case Listed(model=model):
            fields = ", ".join(
                f"{column.name} {sql_type(column.kind)}" for column in columns(model) if column.name != "schema_version"
            )
            return f"struct({fields})[]"


def _table(name: str) -> str:
    lines = [f"{c.name} {sql_type(c.kind)}{' not null' if c.required else ''}" for c in columns(CONTRACTS[name])]
    body = "".join(f"    {line},\n" for line in (*lines, *COMPUTED[name]))
    return f"-- {_GRAIN[name]}\ncreate table if not exists {TABLES[name]} (\n{body});\n"


def schema_sql() -> str:
    """The text of sql/schema.sql."""
    head = "-- Generated from experiments/contracts.py by `python -m analysis.warehouse.contract_sql`; do not edit.\n"
    return "\n".join((head, *(_table(name) for name in CONTRACTS), _SIDE_TABLES))


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_sql(), encoding="utf-8")
