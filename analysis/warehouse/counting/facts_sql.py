"""Metrics to SQL: the fragments that fill the holes of sql/*.sql, built from validated declarations only.

The files of sql/ are static text. Where a statement needs the facts of a request it has a hole, `{facts}` for example,
and `fill` puts in the select items made here. A fragment is built with sqlglot from the names in
`experiments.spec.SOURCES`; values in `where` become escaped literals. Nothing a person wrote is pasted into SQL.

A statement names its sources by their grain (`slate_rows`, …). Views cannot take parameters, so `statement` puts the
text of facts/<source>.sql in front of it as a common table expression. Order lines are dear to work out and read by
several statements: they are a table that the count makes of a range's units first.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from sqlglot import exp

import sql
from experiments.errors import WarehouseError, nearest
from experiments.spec import SOURCES, AtLeast, Bound, DistinctOf, Fact, FactColumn, PrePeriodTop, Scalar, Source, SumOf

Era = Literal["post", "pre"]
ROWS: Mapping[Source, str] = {
    "slates": "slate_rows",
    "interactions": "interaction_rows",
    "order_lines": "order_line_rows",
    "sessions": "session_rows",
}
KEPT: Source = "order_lines"
# Without a fact of theirs, interactions are only asked whether a unit was seen before: sessions hold all but these.
_OUTSIDE_SESSIONS = "pre and (event_name = 'open' or event_name = 'unsubscribe')"
SOURCE_CODES: Mapping[Source, int] = {source: code for code, source in enumerate(ROWS)}
ORDER = "order_id"  # orders are counted per unit and business day, so they take a step of their own
SQL_FOLDER = Path(sql.__file__).parent
_HOLE = re.compile(r"\{([a-z_]+)\}")
_PARAMETER = re.compile(r"\$([a-z_]+)")


@cache
def statement(name: str) -> str:
    """The text of sql/<name>.sql, with the sources it names in front of it as common table expressions."""
    text = _read(name)
    views = ((source, rows) for source, rows in ROWS.items() if source != KEPT)
    named = [f"    {rows} as (\n{_read(f'facts/{source}')})" for source, rows in views if rows in text]
    if not named:
        return text
    front = "with\n" + ",\n".join(named)
    if re.search(r"^with$", text, flags=re.MULTILINE):
        return re.sub(r"^with$", lambda _: f"{front},", text, count=1, flags=re.MULTILINE)
    return re.sub(r"^select$", lambda _: f"{front}\nselect", text, count=1, flags=re.MULTILINE)


def fill(text: str, holes: Mapping[str, Sequence[str] | str]) -> str:
    """The text with each `{hole}` replaced by its select items, a comma after each, or by its one condition.

    KeyError on an unknown hole.
    """

    def filled(found: re.Match[str]) -> str:
        hole = holes[found.group(1)]
        return hole if isinstance(hole, str) else "\n    ".join(f"{item}," for item in hole)

    return _HOLE.sub(filled, text)


def parameters(text: str) -> frozenset[str]:
    """The named parameters a statement asks for."""
    return frozenset(_PARAMETER.findall(text))


def identifier(name: str) -> str:
    """The name itself when it is lower-case letters, digits and underscores; anything else is refused."""
    if re.fullmatch(r"[a-z_][a-z0-9_]{0,80}", name) is None:
        raise WarehouseError(f"{name!r} cannot name a column; use lower-case letters, digits and underscores")
    return name


def product(first: str, second: str, *, wide: bool) -> str:
    """The sum of a product; `wide` when a single product may leave 64 bits."""
    return f"sum(cast({first} as hugeint) * {second})" if wide else f"sum({first} * {second})"


def unit_total_holes(
    columns: Iterable[tuple[str, FactColumn, Era]], extras: Sequence[str], extra: Sequence[str]
) -> dict[str, list[str] | str]:
    """The holes of unit_totals.sql: what an era has of a unit, then which era a column of the unit table is.

    `extras` are counted by statements of their own, `extra` are more select items.
    """
    holes: dict[str, list[str]] = {name: [] for name in (*SOURCES, *(f"{name}_eras" for name in SOURCES), "facts")}
    items: set[str] = set()
    for name, column, era in columns:
        source = column.fact.source
        if source != "order_lines" or not counts_values(column.fact):
            if column.key not in items:
                items.add(column.key)
                holes[source].append(era_item(column))
            holes[f"{source}_eras"].append(era_total(column, era, name))
        holes["facts"].append(f"cast(coalesce({name}, 0) as bigint) as {identifier(name)}")
    holes["facts"].extend(extra)
    holes["extras"] = [f"max(case when name = '{identifier(name)}' then value end) as {name}" for name in extras]
    return {**holes, "interactions_used": "true" if holes["interactions"] else _OUTSIDE_SESSIONS}


def cell_total_holes(facts: Mapping[str, FactColumn]) -> dict[str, list[str] | str]:
    """The holes of cell_totals/*.sql: additive facts after first exposure, and which rows can count for any of them."""
    aggregates = {name: _value(column.fact, rows_of(column, "post")) for name, column in facts.items()}
    some = [exp.NEQ(this=value.copy(), expression=exp.convert(0)) for value in aggregates.values()]
    rows = [frozenset(part.sql(dialect="duckdb") for part in _parts(rows_of(c))) for c in facts.values()]
    widest = [one for one in dict.fromkeys(rows) if not any(other < one for other in rows)]
    return {
        "facts": [
            _named(exp.cast(exp.Coalesce(this=value, expressions=[exp.convert(0)]), "bigint"), name)
            for name, value in aggregates.items()
        ],
        "counted": " or ".join(f"({' and '.join(sorted(one))})" for one in widest),
        "not_nothing": exp.or_(*some).sql(dialect="duckdb"),
    }


def cell_totals_of(sources: Mapping[Source, Iterable[str]]) -> str:
    """The cells of one source, or of several put together, every fact 0 where it is another source's."""
    own = {source: tuple(names) for source, names in sources.items()}
    facts = [name for names in own.values() for name in names]
    branches = [
        ", ".join([
            f"select unit, arm, cast({SOURCE_CODES[source]} as tinyint) as source, module, category",
            *(f"{identifier(name) if name in names else 'cast(0 as bigint)'} as {name}" for name in facts),
        ]) + f" from cell_totals_{source}"
        for source, names in own.items()
    ]  # fmt: skip
    return " union all ".join(branches)


def amount(top: PrePeriodTop) -> str:
    """What a unit's categories are ranked by: the hole of pre_period_top.sql."""
    measure = top.measure
    value = exp.Sum(this=number(top.source, measure.sum)) if isinstance(measure, SumOf) else exp.Count(this=exp.Star())
    return _named(value, "amount")


def aggregate(column: FactColumn, era: Era, name: str) -> str:
    """One unit's value of a fact over the rows of its source, as an aggregate named `name`."""
    return _named(_value(column.fact, rows_of(column, era)), name)


def era_item(column: FactColumn) -> str:
    """What one era of a unit (of order lines: one of its orders) has of a fact, named as the fact after exposure."""
    if counts_orders(column.fact):
        return order_flag(column)
    rows = rows_of(column)
    match column.fact.measure:  # most rows are the fact's: choosing the value is quicker than choosing the rows
        case "rows":
            return _named(exp.Sum(this=_flag(rows)), column.key)
        case SumOf(sum=name):
            return _named(exp.Sum(this=exp.Case().when(rows, number(column.fact.source, name))), column.key)
    return _named(_value(column.fact, rows), column.key)


def era_total(column: FactColumn, era: Era, name: str) -> str:
    """One unit's value of a fact in one era, from `era_item`."""
    mine = exp.Case().when(exp.column(era), exp.column(column.key))
    if column.fact.binary and not counts_orders(column.fact):
        return _named(exp.Max(this=mine), name)
    return order_total(column, exp.Sum(this=mine), name)


def order_flag(column: FactColumn, name: str | None = None, rows: exp.Expr | None = None) -> str:
    """Whether one order (unit, business day, order_id) has a row of the fact (of these `rows`), 0 or 1."""
    is_order = exp.not_(exp.Is(this=exp.column(ORDER), expression=exp.null()))
    mine = rows_of(column) if rows is None else rows
    return _named(exp.Max(this=_flag(exp.and_(mine, is_order))), name or column.key)


def order_total(column: FactColumn, orders: exp.Expr, name: str) -> str:
    """The number of orders, or whether there are at least n."""
    match column.fact.measure:
        case AtLeast(at_least=count):
            return _named(_flag(exp.GTE(this=orders, expression=exp.convert(count.n))), name)
    return _named(orders, name)


def counts_orders(fact: Fact) -> bool:
    """Whether the fact counts orders, which are one per unit, business day and order_id."""
    return distinct_column(fact) == ORDER


def counts_values(fact: Fact) -> bool:
    """Whether the fact counts different values of a column that can be in several orders."""
    return distinct_column(fact) not in (None, ORDER)


def distinct_column(fact: Fact) -> str | None:
    """The column whose different values the fact counts."""
    match fact.measure:
        case DistinctOf(distinct=column):
            return column
        case AtLeast(at_least=count):
            return count.distinct
    return None


def rows_of(column: FactColumn, era: Era | None = None) -> exp.Expr:
    """The condition on a source's rows that are the fact's: maturity, window, scope, `where`, and the era if given."""
    mature = column.mature_days
    conditions: list[exp.Expr] = [] if era is None else [exp.column(era)]
    if mature:
        ripens = exp.Add(this=exp.column("event_day"), expression=exp.convert(mature))
        conditions.append(exp.LT(this=ripens, expression=exp.column("ripe_before")))
    if column.window_days is not None and era != "pre":
        conditions.extend(_in_window(column.window_days))
    if column.fact.source == "order_lines":
        known = exp.Coalesce(this=exp.column("mature_days"), expressions=[exp.convert(mature)])
        conditions.append(known.eq(mature))
    if column.scope == "module":
        conditions.append(exp.column("in_scope"))
    conditions.extend(_condition(column.fact.source, name, wanted) for name, wanted in column.fact.where.items())
    return exp.and_(*conditions) if conditions else exp.true()


def _parts(condition: exp.Expr) -> list[exp.Expr]:
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _in_window(days: int) -> tuple[exp.Expr, exp.Expr]:
    """Within `days` days of first exposure, by a unit that has had them all at the data cut."""
    length = exp.Interval(this=exp.Literal.string(str(days)), unit=exp.var("day"))
    window_end = exp.Add(this=exp.column("first_ts"), expression=length)
    outcome_end = exp.cast(exp.Placeholder(this="outcome_end"), "timestamp")
    return (
        exp.LT(this=exp.column("event_ts"), expression=window_end),
        exp.LTE(this=window_end.copy(), expression=outcome_end),
    )


def _value(fact: Fact, rows: exp.Expr) -> exp.Expr:
    match fact.measure:
        case "rows":
            return _filtered(exp.Count(this=exp.Star()), rows)
        case "any":
            return exp.Max(this=_flag(rows))
        case SumOf(sum=name):
            return _filtered(exp.Sum(this=number(fact.source, name)), rows)
        case DistinctOf(distinct=name):
            return _filtered(_distinct(fact.source, name), rows)
        case AtLeast(at_least=count):
            found = _filtered(_distinct(fact.source, count.distinct), rows)
            return _flag(exp.GTE(this=found, expression=exp.convert(count.n)))


def _condition(source: Source, name: str, wanted: Scalar | list[Scalar] | Bound) -> exp.Expr:
    column = exp.column(known(source, name))
    match wanted:
        case Bound():
            bounds = ((exp.GTE, wanted.gte), (exp.LTE, wanted.lte), (exp.GT, wanted.gt), (exp.LT, wanted.lt))
            given = [kind(this=column.copy(), expression=exp.convert(n)) for kind, n in bounds if n is not None]
            return exp.and_(*given) if given else exp.true()
        case list():
            return column.isin(*(exp.convert(value) for value in wanted))
        case _:
            return column.eq(exp.convert(wanted))


def number(source: Source, name: str) -> exp.Expr:
    """A column as a number: flags are 0 or 1."""
    column = exp.column(known(source, name))
    return exp.cast(column, "bigint") if SOURCES[source][name].kind == "flag" else column


def _distinct(source: Source, name: str) -> exp.Expr:
    return exp.Count(this=exp.Distinct(expressions=[exp.column(known(source, name))]))


def known(source: Source, name: str) -> str:
    """The name itself when the source has such a column."""
    if name not in SOURCES[source]:
        near = ", ".join(nearest(name, SOURCES[source]) or SOURCES[source])
        raise WarehouseError(f"{source} has no column {name!r} (nearest: {near}); mend the metric that asks for it")
    return name


def _filtered(aggregated: exp.Expr, rows: exp.Expr) -> exp.Expr:
    return exp.Filter(this=aggregated, expression=exp.Where(this=rows))


def _flag(condition: exp.Expr) -> exp.Expr:
    return exp.Case().when(condition, exp.convert(1)).else_(exp.convert(0))


def _named(value: exp.Expr, name: str) -> str:
    return f"{value.sql(dialect='duckdb')} as {identifier(name)}"


def _read(name: str) -> str:
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
