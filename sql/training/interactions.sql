-- one row per view, click or add_to_cart of an item, before $until
select
    unit_id,
    item_id,
    event_ts,
    event_name,
from outcomes
where
    event_ts < $until
    and item_id is not null
    and event_name in ('view', 'click', 'add_to_cart')
