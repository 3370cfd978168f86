-- one row per shown slot (slate) of an analysed unit: after its first exposure (post), in its covariate window (pre), or neither
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
    s.module,
    coalesce(s.page_category, '(none)') as page_category,
    s.items_shown,
    s.items_stock_known,
    s.items_out_of_stock,
    s.clicked,
    s.latency_ms,
    s.fallback as is_fallback,
    s.cost_micros,
from exposures as s
inner join first_exposures as e on e.unit = s.unit and e.excluded_reason is null
left join (select distinct unnest($modules) as module) as k on k.module = s.module
where
    s.unit >= $unit_from
    and s.unit < $unit_to
    and s.event_day >= $since_day
    and s.event_ts < $outcome_end
