-- one row per shown slot (slate) of any unit, whatever experiment it was logged for
select
    unit,
    event_ts,
    event_day,
    module,
    coalesce(page_category, '(none)') as page_category,
    items_shown,
    items_stock_known,
    items_out_of_stock,
    clicked,
    latency_ms,
    fallback as is_fallback,
    cost_micros,
from exposures
