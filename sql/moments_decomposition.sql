-- one row per arm and finest cell of a source: sums of its facts, alone and times the covariates of the whole unit
--
-- These add over cells, so that coarser levels are sums of finer ones. Products of facts among themselves are in it
-- where no two (module, category) share a cell; else, and for coarser levels, they come from part_products.
select
    t.arm,
    c.cell,
    {sums}
    {products}
from cell_totals as t
inner join finest_cells as c on c.source = t.source and c.module = t.module and c.category = t.category
inner join unit_totals as u on u.unit = t.unit
where t.unit >= $unit_from and t.unit < $unit_to and u.unit >= $unit_from and u.unit < $unit_to
group by t.arm, c.cell
