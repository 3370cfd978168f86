-- one row per view, click, add_to_cart, open or unsubscribe of any unit
select
    unit,
    event_ts,
    event_day,
    coalesce(module, '(none)') as module,
    coalesce(item_category, '(none)') as item_category,
    event_name,
    item_out_of_stock,
    dwell_ms,
    quantity,
from outcomes
where event_name in ('view', 'click', 'add_to_cart', 'open', 'unsubscribe')
