-- one slate with items, new or touched by a new catalogue row: how many have a known stock, and how many of those none left
-- In the order of the rows it updates: DuckDB updates in random order 70 times slower.

create or replace temp table slates_at_event as
with shown as (
    select null as row_id, event_id, event_ts, unnest(items).item_id as item_id,
    from new_exposures
    union all
    select
        rowid as row_id, event_id, event_ts, unnest(items).item_id as item_id,
    from exposures
    where event_ts >= (select min(since_ts) from touched_items)
        and rowid in (
            select earlier.row_id
            from (
                select rowid as row_id, event_ts, unnest(items).item_id as item_id,
                from exposures
                where event_ts >= (select min(since_ts) from touched_items)
            ) as earlier
            inner join touched_items
                on touched_items.item_id = earlier.item_id and earlier.event_ts >= touched_items.since_ts
        )
),

stocked as (
    select
        shown.row_id,
        shown.event_id,
        case when coalesce(shown.event_ts < item.valid_to, true) then item.stock end as stock,
    from shown
    asof left join catalogue_counting as item
        on item.item_id = shown.item_id and shown.event_ts >= item.valid_from
)

select
    row_id,
    event_id,
    count(stock) as items_stock_known,
    count(*) filter (where stock <= 0) as items_out_of_stock,
from stocked
group by row_id, event_id
order by row_id;
