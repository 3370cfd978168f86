-- one row per business day on which an analysed unit was exposed or acted, from its first exposure on
with
    units as (
        select
            unit,
            first_ts,
        from first_exposures
        where excluded_reason is null
    )
select o.event_day
from outcomes as o
inner join units as u on u.unit = o.unit and o.event_ts >= u.first_ts
where o.event_ts < $outcome_end
union
select s.event_day
from exposures as s
inner join units as u on u.unit = s.unit and s.event_ts >= u.first_ts
where s.event_ts < $outcome_end
