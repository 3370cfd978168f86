-- one row per kind of event, browser and business day, from five weeks before the start: rows, and days from it to the cut
with
    kinds as (
        select
            'slot shown' as kind,
            browser,
            event_day,
        from exposures
        where
            unit_type = $unit_type
            and list_contains($modules, module)
            and event_ts >= $started_at - interval 35 day
            and event_ts < $outcome_end
        union all
        select
            event_name as kind,
            browser,
            event_day,
        from outcomes
        where
            unit_type = $unit_type
            and event_name in ('view', 'click', 'add_to_cart', 'purchase')
            and event_ts >= $started_at - interval 35 day
            and event_ts < $outcome_end
    )
select
    kind,
    coalesce(browser, '(none)') as browser,
    cast(event_day as varchar) as event_day,
    count(*) as events,
    date_diff('day', event_day, cast($outcome_end as date)) as days_before_end,
from kinds
group by kind, coalesce(browser, '(none)'), event_day
order by kind, browser, event_day
