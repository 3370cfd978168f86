-- one row per arm: analysed units, and those with 500 rows or more on a business day before their first exposure
with
    happened as (
        select
            e.unit,
            e.event_day,
        from exposures as e
        inner join first_exposures as f on f.unit = e.unit
        where
            f.excluded_reason is null
            and e.event_day < f.any_phase_first_day
            and date_diff('day', e.event_day, f.any_phase_first_day) <= $covariate_days
        union all
        select
            o.unit,
            o.event_day,
        from outcomes as o
        inner join first_exposures as f on f.unit = o.unit
        where
            f.excluded_reason is null
            and o.event_day < f.any_phase_first_day
            and date_diff('day', o.event_day, f.any_phase_first_day) <= $covariate_days
    ),
    days as (
        select
            unit,
            event_day,
        from happened
        group by unit, event_day
        having count(*) >= 500
    ),
    busy as (
        select distinct
            unit,
        from days
    )
select
    f.arm_key as arm,
    count(*) as units,
    count(b.unit) as busy_units,
from first_exposures as f
left join busy as b on b.unit = f.unit
where f.excluded_reason is null
group by f.arm_key
order by arm
