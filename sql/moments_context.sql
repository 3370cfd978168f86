-- one row per arm, completed outcome windows and context cell: units, sums and products over the units in it
with
    units as (
        select
            {facts}
        from unit_totals
        where unit >= $unit_from and unit < $unit_to
    )
select
    arm,
    complete,
    cell,
    count(*) as n,
    {sums}
    {products}
from units
group by arm, complete, cell
