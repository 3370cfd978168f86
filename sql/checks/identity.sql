-- one row per arm and browser: analysed units, those with an id of another kind, with several, and with one that others have
with
    seen as (
        select distinct
            e.unit,
            case when $unit_type = 'user' then e.device_id else e.user_id end as other_id,
        from exposures as e
        inner join first_exposures as f on f.unit = e.unit
        where
            f.excluded_reason is null
            and list_contains($modules, e.module)
            and e.event_ts >= $started_at
            and e.event_ts < $outcome_end
            and case when $unit_type = 'user' then e.device_id else e.user_id end is not null
    ),
    holders as (
        select
            other_id,
            count(*) as units,
        from seen
        group by other_id
    ),
    linked as (
        select
            s.unit,
            count(*) as other_ids,
            max(h.units) as most_holders,
        from seen as s
        inner join holders as h on h.other_id = s.other_id
        group by s.unit
    )
select
    f.arm_key as arm,
    coalesce(f.browser, '(none)') as browser,
    count(*) as units,
    count(l.unit) as units_linked,
    count(*) filter (where l.other_ids > 1) as units_with_several,
    count(*) filter (where l.most_holders > 1) as units_sharing,
from first_exposures as f
left join linked as l on l.unit = f.unit
where f.excluded_reason is null
group by f.arm_key, coalesce(f.browser, '(none)')
order by arm, browser
