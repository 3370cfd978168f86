-- one row per browser and business day, from two weeks before the start: views, add-to-carts and order lines of all units
select
    coalesce(browser, '(none)') as browser,
    cast(event_day as varchar) as event_day,
    count(*) filter (where event_name = 'view') as views,
    count(*) filter (where event_name = 'add_to_cart') as add_to_carts,
    count(*) filter (where event_name = 'purchase') as purchases,
    max(event_ts) >= $started_at as in_run,
from outcomes
where
    unit_type = $unit_type
    and event_ts >= $started_at - interval 14 day
    and event_ts < $outcome_end
    and event_name in ('view', 'add_to_cart', 'purchase')
group by coalesce(browser, '(none)'), event_day
order by browser, event_day
