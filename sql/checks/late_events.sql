-- one row per log: its rows, those whose arrival is known, and those that came over a minute, an hour and a day late
with
    arrivals as (
        select
            'exposures' as log,
            event_ts,
            received_ts,
        from exposures
        where
            unit_type = $unit_type
            and list_contains($modules, module)
            and event_ts >= $started_at
            and event_ts < $outcome_end
        union all
        select
            'outcomes' as log,
            event_ts,
            received_ts,
        from outcomes
        where
            unit_type = $unit_type
            and event_ts >= $started_at
            and event_ts < $outcome_end
    )
select
    log,
    count(*) as events,
    count(received_ts) as arrivals,
    count(*) filter (where received_ts > event_ts + interval 1 minute) as minute_late,
    count(*) filter (where received_ts > event_ts + interval 1 hour) as hour_late,
    count(*) filter (where received_ts > event_ts + interval 1 day) as day_late,
from arrivals
group by log
order by log
