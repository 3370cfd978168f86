-- one row per analysed unit with rows of the source in its covariate window: the item category with the largest amount
with
    category_rows as (
        select
            'order_lines' as source,
            unit,
            item_category,
            quantity,
            value,
            net_value,
            margin,
            net_margin,
            discount,
            returned_value,
            is_returned,
            is_cancelled,
            cast(null as boolean) as item_out_of_stock,
            cast(null as bigint) as dwell_ms,
        from order_line_rows
        where pre and coalesce(mature_days, 0) = 0
        union all
        select
            'interactions' as source,
            unit,
            item_category,
            quantity,
            cast(null as bigint) as value,
            cast(null as bigint) as net_value,
            cast(null as bigint) as margin,
            cast(null as bigint) as net_margin,
            cast(null as bigint) as discount,
            cast(null as bigint) as returned_value,
            cast(null as boolean) as is_returned,
            cast(null as boolean) as is_cancelled,
            item_out_of_stock,
            dwell_ms,
        from interaction_rows
        where pre
    ),
    amounts as (
        select
            unit,
            item_category,
            {facts}
        from category_rows
        where source = $source and item_category <> '(none)'
        group by unit, item_category
    ),
    ranked as (
        select
            unit,
            item_category,
            row_number() over (partition by unit order by coalesce(amount, 0) desc, item_category) as place,
        from amounts
    )
select
    $name as name,
    r.unit,
    v.kept as value,
from ranked as r
inner join cell_values as v on v.dimension = 'item_category' and v.named = r.item_category
where r.place = 1
