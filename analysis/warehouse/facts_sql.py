"""Metrics to SQL: the fragments that fill the holes of sql/*.sql, built from validated declarations only.

The SQL files are static text. Where a file needs the facts of a request it has a hole, `{facts}` for example, and
`fill` puts into it the select items made here. A fragment is built with sqlglot from the names in
`experiments.spec.SOURCES`, never from text a person wrote: values in `where` become escaped literals.

Rows of a source carry `post` (at or after the unit's first exposure; else in its covariate window), `first_ts`,
`covariate_end` and, where the source knows a module, `in_scope`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal, cast

from sqlglot import exp

import sql
from experiments.errors import WarehouseError, nearest
from experiments.spec import (
    SOURCES,
    AtLeast,
    Bound,
    DistinctOf,
    Fact,
    FactColumn,
    Scalar,
    Source,
    SumOf,
)

Era = Literal["post", "pre"]
SQL_FOLDER = Path(sql.__file__).parent
ORDER = "order_id"  # orders are counted per unit and business day, so they have a step of their own
_HOLE = re.compile(r"\{([a-z_]+)\}")
_PARAMETER = re.compile(r"\$([a-z_]+)")


def statement(name: str) -> str:
    """The text of sql/<name>.sql."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def fill(text: str, holes: Mapping[str, Sequence[str]]) -> str:
    """The text with each `{hole}` replaced by its select items, a comma after each; KeyError on an unknown hole."""
    return _HOLE.sub(lambda found: "".join(f"{item},\n    " for item in holes[found.group(1)]).rstrip(), text)


def parameters(text: str) -> frozenset[str]:
    """The named parameters a statement asks for."""
    return frozenset(_PARAMETER.findall(text))


def aggregate(column: FactColumn, era: Era) -> str:
    """One unit's value of a fact over the rows of its source, as an aggregate: `… as f_0123456789ab`."""
    return _named(_value(column.fact, rows_of(column, era)), name_of(column, era))


def order_flag(column: FactColumn, era: Era) -> str:
    """Whether one order (unit, business day, order_id) has a row of the fact, 0 or 1."""
    return _named(exp.func("max", _flag(rows_of(column, era))), name_of(column, era))


def order_total(column: FactColumn, era: Era) -> str:
    """One unit's orders from the flags of its orders: their number, or whether there are at least n."""
    name = name_of(column, era)
    found = exp.func("sum", exp.column(name))
    match column.fact.measure:
        case AtLeast(at_least=count):
            return _named(_flag(exp.GTE(this=found, expression=exp.convert(count.n))), name)
        case _:
            return _named(found, name)


def counts_orders(fact: Fact) -> bool:
    """Whether the fact counts orders, which takes the step of `order_flag` and `order_total`."""
    match fact.measure:
        case DistinctOf(distinct=column):
            return column == ORDER
        case AtLeast(at_least=count):
            return count.distinct == ORDER
    return False


def name_of(column: FactColumn, era: Era) -> str:
    """The column of the unit table: `f_…` after first exposure, `x_…` in the covariate window."""
    return column.key if era == "post" else column.pre_key


def rows_of(column: FactColumn, era: Era) -> exp.Expression:
    """The condition on a source's rows that belong to the fact in the era (COUNTING, plan of the eras)."""
    mature = column.mature_days
    conditions: list[exp.Expression] = []
    if era == "post":
        conditions.append(exp.column("post"))
        if mature:
            conditions.append(
                exp.LT(
                    this=_day_after("event_day", mature), expression=exp.cast(exp.Placeholder(this="as_of_day"), "date")
                )
            )
        if column.window_days is not None:
            window_end = exp.Add(this=exp.column("first_ts"), expression=_days(column.window_days))
            outcome_end = exp.cast(exp.Placeholder(this="outcome_end"), "timestamp")
            conditions.append(exp.LT(this=exp.column("event_ts"), expression=window_end))
            conditions.append(exp.LTE(this=window_end.copy(), expression=outcome_end))
    else:
        conditions.append(exp.not_(exp.column("post")))
        if mature:
            conditions.append(exp.LT(this=_day_after("event_day", mature), expression=exp.column("covariate_end")))
    if column.fact.source == "order_lines":
        conditions.append(exp.column("mature_days").eq(mature))
    if column.scope == "module":
        conditions.append(exp.column("in_scope"))
    conditions.extend(_condition(column.fact.source, name, wanted) for name, wanted in column.fact.where.items())
    return exp.and_(*conditions)


def literal(value: date | datetime | int | str) -> str:
    """An escaped SQL literal."""
    return exp.convert(value).sql(dialect="duckdb")


def _value(fact: Fact, rows: exp.Expression) -> exp.Expression:
    match fact.measure:
        case "rows":
            return _filtered(exp.Count(this=exp.Star()), rows)
        case "any":
            return exp.func("max", _flag(rows))
        case SumOf(sum=name):
            return _filtered(exp.Sum(this=_number(fact.source, name)), rows)
        case DistinctOf(distinct=name):
            return _filtered(_distinct(fact.source, name), rows)
        case AtLeast(at_least=count):
            found = _filtered(_distinct(fact.source, count.distinct), rows)
            return _flag(exp.GTE(this=found, expression=exp.convert(count.n)))


def _condition(source: Source, name: str, wanted: Scalar | list[Scalar] | Bound) -> exp.Expression:
    column = exp.column(_known(source, name))
    match wanted:
        case Bound():
            given = {
                exp.GTE: wanted.gte, exp.LTE: wanted.lte, exp.GT: wanted.gt, exp.LT: wanted.lt,
            }  # fmt: skip
            return exp.and_(
                *(kind(this=column.copy(), expression=exp.convert(n)) for kind, n in given.items() if n is not None)
            )
        case list():
            return column.isin(*(exp.convert(value) for value in wanted))
        case _:
            return column.eq(exp.convert(wanted))


def _number(source: Source, name: str) -> exp.Expression:
    column = exp.column(_known(source, name))
    return exp.cast(column, "bigint") if SOURCES[source][name].kind == "flag" else column


def _distinct(source: Source, name: str) -> exp.Count:
    return exp.Count(this=exp.Distinct(expressions=[exp.column(_known(source, name))]))


def _known(source: Source, name: str) -> str:
    if name not in SOURCES[source]:
        near = ", ".join(nearest(name, SOURCES[source])) or ", ".join(SOURCES[source])
        raise WarehouseError(f"{source} has no column {name!r} (nearest: {near}); mend the metric that asks for it")
    return name


def _filtered(aggregated: exp.Expression, rows: exp.Expression) -> exp.Expression:
    return exp.Filter(this=aggregated, expression=exp.Where(this=rows))


def _flag(condition: exp.Expression) -> exp.Expression:
    return exp.Case().when(condition, exp.convert(1)).else_(exp.convert(0))


def _day_after(name: str, days: int) -> exp.Expression:
    return exp.Add(this=exp.column(name), expression=exp.convert(days))


def _days(days: int) -> exp.Expression:
    return exp.Interval(this=exp.Literal.string(str(days)), unit=exp.var("day"))


def _named(value: exp.Expression, name: str) -> str:
    return f"{value.sql(dialect='duckdb')} as {cast(str, identifier(name))}"


def identifier(name: str) -> str:
    """The name itself when it is lower-case letters, digits and underscores; anything else is refused."""
    if re.fullmatch(r"[a-z_][a-z0-9_]{0,80}", name) is None:
        raise WarehouseError(f"{name!r} cannot name a column; use lower-case letters, digits and underscores")
    return name
