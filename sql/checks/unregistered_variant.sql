-- one row per variant that the logs name in the experiment and phase and the definition does not: its slates and units
select
    coalesce(variant, '(none)') as variant,
    count(*) as slates,
    count(distinct unit) as units,
    cast(min(event_day) as varchar) as first_day,
from exposures
where
    experiment_key = $experiment_key
    and phase = $phase
    and unit_type = $unit_type
    and event_ts >= $started_at
    and event_ts < $outcome_end
    and assignment_reason in ('split', 'arm_disabled')
    and not list_contains($arms, coalesce(variant, '(none)'))
group by coalesce(variant, '(none)')
order by variant
