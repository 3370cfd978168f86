"""The holes of moments_daily.sql: a fact as what each day adds to a unit's running total, and what that total means.

Rows and sums add. Whether a unit did something, or did it n times, is read off its running count; a value that is
counted once counts on the day it is first seen.
"""

from collections.abc import Iterable, Mapping

from sqlglot import exp

from analysis.warehouse.counting import facts_sql
from analysis.warehouse.counting.facts_sql import identifier, rows_of
from analysis.warehouse.counting.moment_table import Sums
from experiments.spec import SOURCES, AtLeast, Fact, FactColumn, SumOf

_BRANCHES: Mapping[str, str] = {
    "slates": "slate_days",
    "interactions": "interaction_days",
    "order_lines": "line_days",
    "orders": "order_days",
    "sessions": "session_days",
}


def holes(facts: Mapping[str, FactColumn], sums: Sums) -> dict[str, list[str] | str]:
    """Every hole of moments_daily.sql for these facts."""
    found: dict[str, list[str]] = {name: [] for name in (*SOURCES, *(f"first_{name}" for name in SOURCES))}
    found |= {"order_flags": [], "orders": []}
    branch_of: dict[str, str] = {}
    for name, column in facts.items():
        source = column.fact.source
        branch_of[name] = "orders" if facts_sql.counts_orders(column.fact) else source
        if branch_of[name] == "orders":
            found["order_flags"].append(facts_sql.order_flag(column, name, _rows(column)))
            found["orders"].append(f"sum({identifier(name)}) as {name}")
            continue
        once = facts_sql.distinct_column(column.fact)
        if once is not None:
            found[f"first_{source}"].append(_first_day(column, once, name))
        found[source].append(_increment(column, once, name))
    found["increments"] = [f"cast(sum({name}) as bigint) as {name}" for name in facts]
    found["running"] = [
        item for name in facts for item in (name, f"cast(sum({name}) over so_far as bigint) as total_{name}")
    ]
    covariates = sorted({name for both in sums.products for name in both} - set(facts))
    found["facts"] = [
        *(f"{_meant(column.fact, f'r.total_{name}')} as new_{name}" for name, column in facts.items()),
        *(f"{_meant(column.fact, f'(r.total_{name} - r.{name})')} as old_{name}" for name, column in facts.items()),
        *(f"u.{name}" for name in covariates),
    ]
    found["sums"] = [
        *(f"sum(new_{name} - old_{name})" for name in sums.sums),
        *(f"sum(cast(new_{name} <> 0 as integer) - cast(old_{name} <> 0 as integer))" for name in sums.nonzero),
    ]
    found["products"] = [_grown(a, b, facts) for a, b in sums.products]
    return {**found, "increments_of": _increments(facts, branch_of)}


def _increments(facts: Iterable[str], branch_of: Mapping[str, str]) -> str:
    """The days of the branches in use put together, every fact 0 where it is another branch's."""

    def columns(branch: str) -> str:
        return ", ".join(f"cast({name if branch_of[name] == branch else 0} as bigint) as {name}" for name in facts)

    used = {branch: days for branch, days in _BRANCHES.items() if branch in branch_of.values()}
    return " union all ".join(f"select unit, day, {columns(branch)} from {days}" for branch, days in used.items())


def _grown(first: str, second: str, facts: Mapping[str, FactColumn]) -> str:
    """What a day adds to a sum of products, in 128 bits: it is taken before the largest totals are known."""
    if first in facts and second in facts:
        new, old = (f"cast({when}_{first} as hugeint) * {when}_{second}" for when in ("new", "old"))
        return f"sum({new} - {old})"
    fact, covariate = (first, second) if first in facts else (second, first)
    return f"sum(cast(new_{fact} - old_{fact} as hugeint) * {covariate})"


def _meant(fact: Fact, total: str) -> str:
    match fact.measure:
        case "any":
            return f"cast({total} > 0 as bigint)"
        case AtLeast(at_least=count):
            return f"cast({total} >= {int(count.n)} as bigint)"
    return total


def _first_day(column: FactColumn, once: str, name: str) -> str:
    day = exp.Case().when(_rows(column), exp.column("event_day") + exp.column("ripe_days"))
    partition = [exp.column("unit"), exp.column(facts_sql.known(column.fact.source, once))]
    window = exp.Window(this=exp.Min(this=day), partition_by=partition)
    return f"{window.sql(dialect='duckdb')} as first_{identifier(name)}"


def _increment(column: FactColumn, once: str | None, name: str) -> str:
    rows = _rows(column)
    value: exp.Expr = exp.Count(this=exp.Star())
    if once is not None:
        value = exp.Count(this=exp.Distinct(expressions=[exp.column(facts_sql.known(column.fact.source, once))]))
        rows = exp.and_(rows, exp.column("day").eq(exp.column(f"first_{name}")))
    match column.fact.measure:
        case SumOf(sum=summed):
            value = exp.Sum(this=facts_sql.number(column.fact.source, summed))
    filtered = exp.Filter(this=value, expression=exp.Where(this=rows))
    return f"coalesce({filtered.sql(dialect='duckdb')}, 0) as {identifier(name)}"


def _rows(column: FactColumn) -> exp.Expr:
    """Rows come once per maturity of the series here, whatever the source."""
    return exp.and_(rows_of(column, "post"), exp.column("ripe_days").eq(column.mature_days))
