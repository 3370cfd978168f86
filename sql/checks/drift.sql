-- one row per distribution, module, period and value: rows in the 28 days before the start, and control's in the last 7 days
with
    slots as (
        select
            case when e.event_ts < $started_at then 'before' else 'now' end as period,
            e.module,
            e.page_category,
            e.browser,
            e.clicked,
            e.fallback,
        from exposures as e
        left join first_exposures as f on f.unit = e.unit
        where
            e.unit_type = $unit_type
            and list_contains($modules, e.module)
            and e.event_ts >= $started_at - interval 28 day
            and e.event_ts < $outcome_end
            and (
                e.event_ts < $started_at
                or (
                    e.event_ts >= $outcome_end - interval 7 day
                    and f.excluded_reason is null
                    and list_position($arms, f.arm_key) = 1
                )
            )
    ),
    happened as (
        select
            case when o.event_ts < $started_at then 'before' else 'now' end as period,
            o.event_name,
            o.item_category,
            o.value,
        from outcomes as o
        left join first_exposures as f on f.unit = o.unit
        where
            o.unit_type = $unit_type
            and o.event_name in ('view', 'purchase')
            and o.event_ts >= $started_at - interval 28 day
            and o.event_ts < $outcome_end
            and (
                o.event_ts < $started_at
                or (
                    o.event_ts >= $outcome_end - interval 7 day
                    and f.excluded_reason is null
                    and list_position($arms, f.arm_key) = 1
                )
            )
    ),
    valued as (
        select 'page_category' as what, module, period, coalesce(page_category, '(none)') as value from slots
        union all
        select 'browser' as what, module, period, coalesce(browser, '(none)') as value from slots
        union all
        select 'clicked' as what, module, period, case when clicked then 'yes' else 'no' end as value from slots
        union all
        select 'fallback' as what, module, period, case when fallback then 'yes' else 'no' end as value
        from slots
        where fallback is not null
        union all
        select 'viewed_category' as what, '(site)' as module, period, coalesce(item_category, '(none)') as value
        from happened
        where event_name = 'view'
        union all
        select
            'line_value' as what,
            '(site)' as module,
            period,
            case
                when value < 1000 then 'under 10'
                when value < 2000 then '10 to 20'
                when value < 5000 then '20 to 50'
                when value < 10000 then '50 to 100'
                when value < 20000 then '100 to 200'
                else '200 and more'
            end as value,
        from happened
        where event_name = 'purchase' and value is not null
    )
select
    what,
    module,
    period,
    value,
    count(*) as n,
from valued
group by what, module, period, value
order by what, module, value, period
