-- one row per arm and cell of one decomposition level: sums and products of what the arm's units did in the cell
--
-- Covariates are those of the whole unit, so that the adjusted parts add up (STATISTICS 3); n is the total's.
with
    level_totals as (
        select
            t.unit,
            c.cell,
            {facts}
        from cell_totals_post as t
        inner join level_cells as c
            on c.level = $level and c.source = t.source and c.module = t.module and c.category = t.category
        where t.unit >= $unit_from and t.unit < $unit_to and list_contains($sources, t.source)
        group by t.unit, c.cell
    )
select
    u.arm,
    l.cell,
    {sums}
    {products}
from level_totals as l
inner join unit_totals as u on u.unit = l.unit
where u.unit >= $unit_from and u.unit < $unit_to
group by u.arm, l.cell
