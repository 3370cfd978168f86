-- one slate with items, new or touched by a new catalogue row: how many have a known stock, and how many of those none left
-- In the order of the rows it updates: DuckDB updates in random order 70 times slower.

create or replace temp table slates_at_event as
with stocked as (
    select
        shown.row_id,
        shown.event_id,
        case when coalesce(shown.event_ts < item.valid_to, true) then item.stock end as stock,
    from shown_items as shown
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
