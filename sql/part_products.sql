-- one row per arm and cell of one decomposition level: non-zero units and products of facts among themselves
--
-- Squares do not add over cells, so a unit's cells are put together first.
with
    level_totals as (
        select
            t.unit,
            t.arm,
            c.cell,
            {facts}
        from cell_totals as t
        inner join level_cells as c
            on c.level = $level and c.source = t.source and c.module = t.module and c.category = t.category
        where t.unit >= $unit_from and t.unit < $unit_to
        group by t.unit, t.arm, c.cell
    )
select
    arm,
    cell,
    {sums}
    {products}
from level_totals
group by arm, cell
