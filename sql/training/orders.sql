-- one row per order line with an item, before $until
select
    unit_id,
    item_id,
    event_ts,
from outcomes
where
    event_ts < $until
    and item_id is not null
    and event_name = 'purchase'
