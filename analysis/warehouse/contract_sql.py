"""What SQL needs of the contracts: the tables (sql/schema.sql) and, in bulk, the reason a value is refused.

`python -m analysis.warehouse.contract_sql` writes sql/schema.sql; a test compares the two.
"""

from collections.abc import Mapping

from sqlglot import exp

from analysis.warehouse.sql_build import NULL, Expr, all_of, any_of, case, literal, sql, text_list
from analysis.warehouse.sql_files import SQL_FOLDER
from experiments.contracts import (
    CONTRACTS,
    EARLIEST,
    LATEST,
    After,
    Closed,
    Flag,
    Json,
    Kind,
    Listed,
    Moment,
    Number,
    RequiredWhen,
    Row,
    Text,
    Whole,
    columns,
)

_NO_TEXT = sql("cast(null as varchar)")
SCHEMA_FILE = SQL_FOLDER / "schema.sql"

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

-- one row, from the first load that added any: the shop's settings its amounts and business days hang on
create table if not exists terms (
    currency varchar not null,
    money_digits bigint not null,
    time_zone varchar not null,
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
    not_emitted_example varchar,
    rows_repeated bigint not null,
    rows_repeated_kept bigint not null,
    emitted bigint not null,
    accepted bigint not null,
    duplicates bigint not null,
    copies bigint not null,
    said_before bigint not null,
    rejected bigint not null,
);

-- one segment of the exposure log: the load it came in with, and which line of that load is its first
create table if not exists loaded_segments (
    segment varchar not null,
    file_digest varchar not null,
    load_id varchar not null,
    first_line bigint not null,
    loaded_at timestamp not null,
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
    last_ts timestamp not null,
    event_day date not null,
    entry_module varchar not null,
    has_click boolean not null,
    has_add_to_cart boolean not null,
    has_order boolean not null,
);

-- one order line and refund or cancel that takes something from it
create table if not exists returns (
    unit bigint not null,
    order_id varchar not null,
    event_id varchar not null,
    event_name varchar not null,
    days_after bigint not null,
    amount bigint not null,
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


def bounds_fault(kind: Kind, value: Expr) -> list[tuple[Expr, Expr]]:
    """(condition, fault) for what the contract refuses of a value of its type, in the order pydantic finds them."""
    match kind:
        case Text(pattern=pattern, mismatch=mismatch, longest=longest, may_be_empty=may_be_empty, nulls=nulls):
            none = [(sql("list_contains(:l, :v)", l=text_list(nulls), v=value), literal("missing"))] if nulls else []
            empty = [] if may_be_empty else [(sql(":v = ''", v=value), literal("empty"))]
            long = sql("length(:v) > :n", v=value, n=exp.Literal.number(longest))
            unlike = sql("not regexp_full_match(:v, :p)", v=value, p=literal(pattern))
            return [*none, *empty, (long, literal("too_long")), (unlike, literal(mismatch))]
        case Closed(values=values):
            return [(sql("not list_contains(:l, :v)", l=text_list(values), v=value), literal("unknown"))]
        case Whole(least=least, most=most):
            below, above = sql(":v < :n", v=value, n=literal(least)), sql(":v > :n", v=value, n=literal(most))
            return [(below, literal("negative" if least == 0 else "too_small")), (above, literal("too_large"))]
        case Number(least=low, most=high):
            odd = sql("not isfinite(:v)", v=value)
            below = sql(":v < cast(:n as double)", v=value, n=literal(repr(low)))
            above = sql(":v > cast(:n as double)", v=value, n=literal(repr(high)))
            return [(odd, literal("not_number")), (below, literal("negative" if low == 0 else "too_small")),
                    (above, literal("too_large"))]  # fmt: skip
        case Moment():
            first, end = (literal(edge.replace(tzinfo=None).isoformat(sep=" ")) for edge in (EARLIEST, LATEST))
            outside = sql("not (:v >= cast(:a as timestamp) and :v < cast(:b as timestamp))", v=value, a=first, b=end)
            return [(outside, literal("out_of_range"))]
        case Listed(most=most):
            return [(sql("len(:v) > :n", v=value, n=exp.Literal.number(most)), literal("too_long"))]
        case _:
            return []


def rule_reasons(model: type[Row], values: Mapping[str, Expr], faults: Mapping[str, Expr]) -> list[Expr]:
    """The reasons of the contract's rules over several columns, each a text or null; what is not given is null."""
    subjects = {column.name: column.subject for column in columns(model)}
    made: list[Expr] = []
    missing: dict[str, list[Expr]] = {}
    for rule in model.rules:
        match rule:
            case RequiredWhen(given, required):
                condition = all_of([_is_one_of(values.get(name, NULL), allowed) for name, allowed in given.items()])
                for name in required:
                    missing.setdefault(name, []).append(condition)
            case After(earlier, later):
                wrong = sql(":l <= :e", l=values.get(later, NULL), e=values.get(earlier, NULL))
                made.append(case((wrong, literal(f"{later}_not_after_{earlier}")), default=_NO_TEXT))
    for name, conditions in missing.items():
        unsaid = sql(":v is null and :f is null", v=values.get(name, NULL), f=faults.get(name, NULL))
        absent = exp.and_(unsaid, any_of(conditions))
        made.append(case((absent, literal(f"{subjects[name]}_missing")), default=_NO_TEXT))
    return made


def _is_one_of(value: Expr, allowed: tuple[str, ...]) -> Expr:
    if not allowed:
        return sql(":v is not null", v=value)
    return sql("coalesce(list_contains(:l, :v), false)", l=text_list(allowed), v=value)


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
