-- one row per view, click, add_to_cart, open or unsubscribe of an analysed unit: post, pre or neither
--
-- The event names are a closed set; leaving three out is three times as fast as asking for five.
select
    s.unit,
    s.event_ts,
    s.event_day,
    e.arm,
    e.first_ts,
    s.event_ts >= e.first_ts as post,
    (
        s.event_day < e.any_phase_first_day
        and s.event_day >= e.any_phase_first_day - cast($covariate_days as integer)
    ) as pre,
    case when s.event_ts >= e.first_ts then cast($as_of_day as date) else e.any_phase_first_day end as ripe_before,
    k.module is not null as in_scope,
    coalesce(s.module, '(none)') as module,
    coalesce(s.item_category, '(none)') as item_category,
    s.event_name,
    s.item_out_of_stock,
    s.dwell_ms,
    s.quantity,
from outcomes as s
inner join first_exposures as e on e.unit = s.unit and e.excluded_reason is null
left join (select distinct unnest($modules) as module) as k on k.module = s.module
where
    s.event_name <> 'purchase'
    and s.event_name <> 'refund'
    and s.event_name <> 'cancel'
    and s.unit >= $unit_from
    and s.unit < $unit_to
    and s.event_day >= $since_day
    and s.event_ts < $outcome_end
