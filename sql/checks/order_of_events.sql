-- one row per business day: clicks on the modules before the unit's first exposure, and order lines of units never exposed
with
    happened as (
        select
            o.event_day,
            o.event_name,
            o.event_ts,
            f.first_ts,
        from outcomes as o
        left join first_exposures as f on f.unit = o.unit
        where
            o.unit_type = $unit_type
            and o.event_ts >= $started_at
            and o.event_ts < $outcome_end
            and (o.event_name = 'purchase' or (o.event_name = 'click' and list_contains($modules, o.module)))
    )
select
    cast(event_day as varchar) as event_day,
    count(*) filter (where event_name = 'click' and first_ts is not null) as clicks,
    count(*) filter (where event_name = 'click' and event_ts < first_ts) as clicks_before_exposure,
    count(*) filter (where event_name = 'purchase') as purchases,
    count(*) filter (where event_name = 'purchase' and first_ts is null) as purchases_unexposed,
from happened
group by event_day
order by event_day
