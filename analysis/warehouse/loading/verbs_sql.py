"""Each verb of a mapping, and each type of a contract column, as a small SQL tree.

What converts returns a struct (value, fault): the value, or what is wrong with it, or neither for null.
Types are strict, as pydantic's are: text is text and a number is a number; only CSV, which has no types, is read
as what is wanted. `as:` and `money:` say otherwise.
"""

from collections.abc import Mapping
from decimal import Decimal

from sqlglot import exp

from analysis.warehouse.loading.mapping import Scalar, When
from analysis.warehouse.loading.paths import Typed, as_text
from analysis.warehouse.sql_build import NULL, Expr, all_of, any_of, call, case, literal, sql, text_list
from experiments.contracts import Closed, Column, Flag, Moment, Number, Text, Whole

NO_TEXT = sql("cast(null as varchar)")
_EPOCH_PLACES: Mapping[str, int] = {"epoch_s": 6, "epoch_ms": 3, "epoch_us": 0}
_JSON_NUMBERS = text_list(("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"))


def fine(value: Expr) -> Expr:
    """A value without a fault."""
    return sql("struct_pack(value := :v, fault := cast(null as varchar))", v=value)


def faulty_unless(value: Expr, source: Expr, fault: str) -> Expr:
    """`value`, and `fault` where the source has something of which no value was made."""
    return sql(
        "list_transform([:v], lambda made: struct_pack(value := made, "
        "fault := case when made is null and :x is not null then :f end))[1]",
        v=value, x=source, f=literal(fault),
    )  # fmt: skip


# --- when --------------------------------------------------------------------------------------------------------


def condition(value: Typed, when: When) -> tuple[Expr, Expr | None]:
    """Whether all of it holds (null counts as no), and whether a comparison of numbers could not be made."""
    holds: list[Expr] = []
    fault: Expr | None = None
    if when.eq is not None:
        holds.append(_equals(value, when.eq))
    if when.in_ is not None:
        holds.append(any_of([_equals(value, one) for one in when.in_]))
    if when.prefix is not None:
        holds.append(any_of([sql("starts_with(:x, :p)", x=as_text(value), p=literal(one)) for one in when.prefix]))
    if when.null is not None:
        holds.append(sql("(:x is null) = :n", x=value.tree, n=literal(when.null)))
    for bound, comparison in ((when.gt, ":x > :b"), (when.lt, ":x < :b")):
        if bound is not None:
            given = sql("try_cast(:t as double)", t=number_text(value))
            holds.append(sql(comparison, x=given, b=_double(bound)))
            fault = sql(":x is not null and :n is null", x=value.tree, n=given)
    return sql("coalesce(:c, false)", c=exp.paren(all_of(holds))), fault


def _equals(value: Typed, wanted: Scalar) -> Expr:
    if isinstance(wanted, bool):
        return sql("lower(:x) = :b", x=as_text(value), b=literal(str(wanted).lower()))
    if isinstance(wanted, int | float):
        return sql("try_cast(:x as double) = :b", x=as_text(value), b=_double(wanted))
    return sql(":x = :b", x=as_text(value), b=literal(wanted))


def _double(value: Decimal | float) -> Expr:
    return sql("cast(:v as double)", v=literal(str(value)))


# --- as, values, abs, numbers ------------------------------------------------------------------------------------


def converted(value: Typed, verb: str) -> tuple[Expr, str]:
    """One verb of `as`: (value, fault), and the form it has then."""
    text = as_text(value)
    match verb:
        case "integer":
            return call("load_whole", text), "whole"
        case "string":
            return faulty_unless(text, value.tree, "not_text"), "text"
        case _:
            return call("load_epoch", text, exp.Literal.number(_EPOCH_PLACES[verb])), "utc"


def looked_up(value: Typed, values: Mapping[str, Scalar]) -> tuple[Expr, str]:
    """`values`: what each text stands for; a text that is not listed is `unknown`."""
    kinds = {type(made) for made in values.values()}
    form = "flag" if kinds == {bool} else "whole" if kinds == {int} else "text"
    text = as_text(value)
    branches = [
        (sql(":t = :k", t=text, k=literal(key)), literal(made if form != "text" else str(made)))
        for key, made in values.items()
    ]
    return faulty_unless(case(*branches), value.tree, "unknown"), form


def absolute(made: Expr) -> Expr:
    """The size of a converted number."""
    return sql("list_transform([:m], lambda a: struct_pack(value := abs(a.value), fault := a.fault))[1]", m=made)


def number_text(value: Typed) -> Expr:
    """The decimal text of an amount: of a number, or of a text that says one; '' where it can be none."""
    match value.form:
        case "text" | "csv":
            return value.tree
        case "whole" | "number":
            return sql("cast(:x as varchar)", x=value.tree)
        case "json":
            return sql(
                "case when json_type(:x) in ('OBJECT', 'ARRAY', 'BOOLEAN') then '' "
                "else json_extract_string(:x, '$') end",
                x=value.tree,
            )
        case "other":
            return NO_TEXT
        case _:
            return sql("case when :x is not null then '' end", x=value.tree)


# --- the contract's types ----------------------------------------------------------------------------------------


def to_kind(part: Column, value: Typed, time_zone: str | None) -> Expr:
    """(value, fault) of a value as the contract column's type."""
    match part.kind:
        case Text() | Closed():
            return _to_text(value)
        case Whole():
            return _to_whole(value)
        case Number():
            return _to_number(value)
        case Flag():
            return _to_flag(value)
        case Moment():
            return _to_moment(value, literal(time_zone) if time_zone else NO_TEXT)
        case _:
            return _to_object(value)


def _to_text(value: Typed) -> Expr:
    match value.form:
        case "csv" | "text":
            return fine(sql("cast(:x as varchar)", x=value.tree))
        case "json":
            text = sql("case when json_type(:x) = 'VARCHAR' then json_extract_string(:x, '$') end", x=value.tree)
            return faulty_unless(text, value.tree, "not_text")
        case _:
            return faulty_unless(NO_TEXT, value.tree, "not_text")


def _to_whole(value: Typed) -> Expr:
    nothing = faulty_unless(sql("cast(null as hugeint)"), value.tree, "not_integer")
    match value.form:
        case "csv":
            return call("load_whole", value.tree)
        case "whole":
            return fine(sql("cast(:x as hugeint)", x=value.tree))
        case "json":  # 3 is whole, 3.0 is not, whatever its size
            text = sql("json_extract_string(:x, '$')", x=value.tree)
            whole = sql("list_contains(:k, json_type(:x)) and regexp_full_match(:t, '-?[0-9]+')",
                        k=_JSON_NUMBERS, x=value.tree, t=text)  # fmt: skip
            return case((whole, call("load_whole", text)), default=nothing)
        case _:
            return nothing


def _to_number(value: Typed) -> Expr:
    match value.form:
        case "csv" | "whole" | "number":
            made = sql("try_cast(:x as double)", x=value.tree)
        case "json":
            made = sql(
                "case when list_contains(:k, json_type(:x)) then try_cast(json_extract_string(:x, '$') as double) end",
                k=_JSON_NUMBERS, x=value.tree,
            )  # fmt: skip
        case _:
            made = sql("cast(null as double)")
    return faulty_unless(made, value.tree, "not_number")


def _to_flag(value: Typed) -> Expr:
    match value.form:
        case "flag":
            made = value.tree
        case "csv":
            made = sql(
                "case when lower(:x) in ('true', '1') then true when lower(:x) in ('false', '0') then false end",
                x=value.tree,
            )
        case "json":
            made = sql(
                "case when json_type(:x) = 'BOOLEAN' then json_extract_string(:x, '$') = 'true' end", x=value.tree
            )
        case _:
            made = sql("cast(null as boolean)")
    return faulty_unless(made, value.tree, "not_boolean")


def _to_moment(value: Typed, zone: Expr) -> Expr:
    nothing = faulty_unless(sql("cast(null as timestamp)"), value.tree, "not_time")
    match value.form:
        case "csv" | "text":
            return call("load_time", sql("cast(:x as varchar)", x=value.tree), zone)
        case "json":
            said = call("load_time", sql("json_extract_string(:x, '$')", x=value.tree), zone)
            return case((sql("json_type(:x) = 'VARCHAR'", x=value.tree), said), default=nothing)
        case "clock" | "day":
            return call("load_place", sql("cast(:x as timestamp)", x=value.tree), zone)
        case "instant":
            return fine(sql(":x at time zone 'UTC'", x=value.tree))
        case "utc":
            return fine(value.tree)
        case _:
            return nothing


def _to_object(value: Typed) -> Expr:
    match value.form:
        case "json":
            made = sql("case when json_type(:x) = 'OBJECT' then :x end", x=value.tree)
        case "csv" | "text":
            text = sql("try_cast(:x as json)", x=value.tree)
            made = sql("case when json_type(:j) = 'OBJECT' then :j end", j=text)
        case "struct" | "map":
            made = sql("to_json(:x)", x=value.tree)
        case _:
            made = sql("cast(null as json)")
    return faulty_unless(made, value.tree, "not_object")


def null_of(type_name: str) -> Expr:
    """A null of a DuckDB type."""
    return exp.Cast(this=NULL.copy(), to=exp.DataType.build(type_name, dialect="duckdb"))


def try_as(tree: Expr, type_name: str) -> Expr:
    """The value as a DuckDB type; null where it does not fit (its reason is already noted)."""
    return exp.TryCast(this=tree.copy(), to=exp.DataType.build(type_name, dialect="duckdb"))
