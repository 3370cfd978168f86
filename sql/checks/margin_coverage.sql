-- one row per arm: order lines of analysed units after their first exposure, and those of them with a margin
select
    f.arm_key as arm,
    count(*) as lines,
    count(*) filter (where o.margin is not null) as lines_with_margin,
from outcomes as o
inner join first_exposures as f on f.unit = o.unit
where
    f.excluded_reason is null
    and o.event_name = 'purchase'
    and o.event_ts >= f.first_ts
    and o.event_ts < $outcome_end
group by f.arm_key
order by arm
