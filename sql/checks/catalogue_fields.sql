-- one row per catalogue: the items on offer at the cut, and those with each field
with
    offered as (
        select
            item_id,
            price,
            margin,
            stock,
            category,
            variant_group,
            row_number() over (partition by item_id order by valid_from desc, load_id desc, line desc) as place,
            valid_to,
        from catalogue
        where valid_from <= $outcome_end
    )
select
    count(*) as items,
    count(price) as price,
    count(margin) as margin,
    count(stock) as stock,
    count(category) as category,
    count(variant_group) as variant_group,
from offered
where
    place = 1
    and coalesce(valid_to, timestamp '9999-12-31 00:00:00') > $outcome_end
