-- one row per native dimension of a source and value in it: the rows of all units that have it
with
    source_values as (
        select 'module' as dimension, module as named, count(*) as rows_with from exposures group by module
        union all
        select 'module' as dimension, coalesce(module, '(none)') as named, count(*) as rows_with
        from outcomes group by module
        union all
        select 'module' as dimension, entry_module as named, count(*) as rows_with from sessions group by entry_module
        union all
        select 'page_category' as dimension, coalesce(page_category, '(none)') as named, count(*) as rows_with
        from exposures group by page_category
        union all
        select 'item_category' as dimension, coalesce(item_category, '(none)') as named, count(*) as rows_with
        from outcomes group by item_category
    )
select
    dimension,
    named,
    sum(rows_with) as rows_with,
from source_values
group by dimension, named
