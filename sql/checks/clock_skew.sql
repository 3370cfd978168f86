-- one row per browser: rows whose arrival is known, and those dated more than five minutes after it
with
    arrivals as (
        select
            browser,
            event_ts,
            received_ts,
        from exposures
        where
            unit_type = $unit_type
            and list_contains($modules, module)
            and event_ts >= $started_at
            and event_ts < $outcome_end
            and received_ts is not null
        union all
        select
            browser,
            event_ts,
            received_ts,
        from outcomes
        where
            unit_type = $unit_type
            and event_ts >= $started_at
            and event_ts < $outcome_end
            and received_ts is not null
    )
select
    coalesce(browser, '(none)') as browser,
    count(*) as arrivals,
    count(*) filter (where event_ts > received_ts + interval 5 minute) as ahead,
from arrivals
group by coalesce(browser, '(none)')
order by browser
