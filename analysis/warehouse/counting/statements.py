"""The statements of one request: the static files of sql/ with their holes filled. Pure text.

`wide` says which products may leave 64 bits and are taken in 128.
"""

from collections.abc import Callable, Sequence

from analysis.warehouse.counting import daily_sql, facts_sql
from analysis.warehouse.counting.facts_sql import Era
from analysis.warehouse.counting.layout import Layout
from analysis.warehouse.counting.moment_table import Sums
from analysis.warehouse.counting.parts import LevelPart, SourcePart
from analysis.warehouse.counting.slices import ContextSlice
from experiments.spec import FactColumn, PrePeriodTop, Source

Wide = Callable[[str, str], bool]


def unit_columns(layout: Layout, slices: Sequence[ContextSlice]) -> list[tuple[str, FactColumn, Era]]:
    """The fact columns of the unit table: after first exposure, then in the covariate window."""
    pre = {**layout.pre, **{item.pre_period.pre_key: item.pre_period for item in slices if item.pre_period}}
    columns: list[tuple[str, FactColumn, Era]] = [(name, fact, "post") for name, fact in layout.post.items()]
    return [*columns, *((name, fact, "pre") for name, fact in pre.items())]


def unit_totals(layout: Layout, slices: Sequence[ContextSlice]) -> str:
    """One row per analysed unit."""
    complete = " + ".join(
        f"case when e.first_ts + interval '{int(days)}' day <= $outcome_end then 1 else 0 end"
        for days in layout.windows
    )
    extra = [f"cast({complete or '0'} as tinyint) as complete", *(item.item for item in slices)]
    extras = [*(name for name, _, _ in counted_apart(layout, slices)), *(item.column for item in slices if item.top)]
    holes = facts_sql.unit_total_holes(unit_columns(layout, slices), extras, extra)
    return facts_sql.fill(facts_sql.statement("unit_totals"), holes)


def counted_apart(layout: Layout, slices: Sequence[ContextSlice]) -> list[tuple[str, FactColumn, Era]]:
    """Facts that count different values over several orders: each takes a statement of its own."""
    return [
        (name, column, era)
        for name, column, era in unit_columns(layout, slices)
        if column.fact.source == "order_lines" and facts_sql.counts_values(column.fact)
    ]


def distinct_values(column: FactColumn, era: Era) -> str:
    """One row per unit: how many different values, or whether there are enough."""
    return facts_sql.fill(
        facts_sql.statement("distinct_values"), {"facts": [facts_sql.aggregate(column, era, "value")]}
    )


def pre_period_top(top: PrePeriodTop) -> str:
    """One row per unit: the item category with the largest amount before."""
    return facts_sql.fill(facts_sql.statement("pre_period_top"), {"facts": [facts_sql.amount(top)]})


def cell_totals(layout: Layout, source: Source, facts: Sequence[str]) -> str:
    """One row per unit and native cell of a source."""
    holes = facts_sql.cell_total_holes({name: layout.post[name] for name in facts})
    return facts_sql.fill(facts_sql.statement(f"cell_totals/{source}"), holes)


def context(sums: Sums, complete: str, cell: str, wide: Wide) -> str:
    """Sums and products of the unit table by arm, complete windows and cell."""
    return facts_sql.fill(
        facts_sql.statement("moments_context"),
        {
            "facts": ["arm", complete, f"{cell} as cell", *sums.sums],
            "sums": [*(f"sum({name})" for name in sums.sums), *map(_nonzero, sums.nonzero)],
            "products": [facts_sql.product(*both, wide=wide(*both)) for both in sums.products],
        },
    )


def source_part(part: SourcePart, wide: Wide) -> str:
    """Sums of one source's facts in its finest cells, and their products with covariates."""
    facts = set(part.sums.sums)
    of = {name: f"{'t' if name in facts else 'u'}.{name}" for both in part.sums.products for name in both}
    return facts_sql.fill(
        facts_sql.statement("moments_decomposition"),
        {
            "sums": [
                *(f"sum(t.{name})" for name in part.sums.sums),
                *(_nonzero(f"t.{name}") for name in part.sums.nonzero),
            ],
            "products": [facts_sql.product(of[a], of[b], wide=wide(a, b)) for a, b in part.sums.products],
        },
    )


def level_part(part: LevelPart, wide: Wide) -> str:
    """Products of facts among themselves in one level's cells."""
    return facts_sql.fill(
        facts_sql.statement("part_products"),
        {
            "facts": [f"cast(sum(t.{name}) as bigint) as {name}" for names in part.facts.values() for name in names],
            "sums": [_nonzero(name) for name in part.sums.nonzero],
            "products": [facts_sql.product(*both, wide=wide(*both)) for both in part.sums.products],
        },
    )


def days(layout: Layout, sums: Sums) -> str:
    """What each business day adds to the series' moments."""
    facts = {name: layout.post[name] for name in sums.sums}
    return facts_sql.fill(facts_sql.statement("moments_daily"), daily_sql.holes(facts, sums))


def _nonzero(name: str) -> str:
    return f"count(*) filter (where {name} <> 0)"
