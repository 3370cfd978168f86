-- one row per arm: slates of analysed units that repeat another of the same unit, module, slot and session within 2 seconds
with
    shown as (
        select
            f.arm_key,
            e.unit,
            e.event_ts,
            lag(e.event_ts, 1, timestamp '1900-01-01 00:00:00') over (
                partition by e.unit, e.module, e.flag_key, e.session_id
                order by e.event_ts, e.event_id
            ) as previous_ts,
        from exposures as e
        inner join first_exposures as f on f.unit = e.unit
        where
            f.excluded_reason is null
            and (
                (e.experiment_key = $experiment_key and e.phase = $phase)
                or ($by_hash = 1 and list_contains($modules, e.module))
            )
            and e.event_ts >= $started_at
            and e.event_ts < $outcome_end
    ),
    repeated as (
        select
            arm_key,
            unit,
            count(*) as slates,
            count(*) filter (where event_ts <= previous_ts + interval 2 second) as semantic_duplicates,
        from shown
        group by arm_key, unit
    ),
    loaded as (
        select
            cast(coalesce(sum(copies), 0) as bigint) as id_duplicates,
            cast(coalesce(sum(accepted + duplicates), 0) as bigint) as rows_read,
        from loads
    )
select
    r.arm_key as arm,
    count(*) as units,
    cast(sum(r.slates) as bigint) as slates,
    cast(sum(r.semantic_duplicates) as bigint) as semantic_duplicates,
    count(*) filter (where r.semantic_duplicates > 0) as units_with_duplicates,
    l.id_duplicates,
    l.rows_read,
from repeated as r
cross join loaded as l
group by r.arm_key, l.id_duplicates, l.rows_read
order by arm
