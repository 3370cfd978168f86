-- one row per unit exposed in the experiment and phase; excluded_reason says why it is not analysed, null when it is
with
    arms as (
        select
            variant,
            list_position($arms, variant) - 1 as arm,
        from (select unnest($arms) as variant) as given
    ),
    firsts as (
        select
            e.unit,
            min(e.event_ts) as first_ts,
            min(a.arm) <> max(a.arm) as two_arms,
        from exposures as e
        inner join arms as a on a.variant = e.variant
        where
            e.experiment_key = $experiment_key
            and e.phase = $phase
            and e.unit_type = $unit_type
            and e.unit >= $unit_from
            and e.unit < $unit_to
            and e.event_ts >= $started_at
            and e.event_ts < $outcome_end
            and e.assignment_reason in ('split', 'arm_disabled')
        group by e.unit
    ),
    -- of several rows at one time the first in this order is the unit's first exposure
    ranked_rows as (
        select
            f.unit,
            f.first_ts,
            f.two_arms,
            e.event_day,
            e.variant,
            a.arm,
            e.module,
            coalesce(e.page_category, '(none)') as page_category,
            coalesce(e.browser, '(none)') as browser,
            coalesce(e.platform, '(none)') as platform,
            coalesce(e.country, '(none)') as country,
            coalesce(e.app_version, '(none)') as app_version,
            coalesce(e.is_bot, false) as is_bot,
            coalesce(e.is_internal, false) as is_internal,
            row_number() over (
                partition by f.unit
                order by
                    coalesce(list_position($modules, e.module), 1000000),
                    e.module,
                    coalesce(e.page_category, '(none)'),
                    a.arm,
                    coalesce(e.browser, '(none)'),
                    coalesce(e.platform, '(none)'),
                    coalesce(e.country, '(none)'),
                    coalesce(e.app_version, '(none)'),
                    coalesce(e.is_bot, false) desc,
                    coalesce(e.is_internal, false) desc
            ) as place,
        from firsts as f
        inner join exposures as e on e.unit = f.unit and e.event_ts = f.first_ts
        inner join arms as a on a.variant = e.variant
        where
            e.experiment_key = $experiment_key
            and e.phase = $phase
            and e.unit >= $unit_from
            and e.unit < $unit_to
            and e.assignment_reason in ('split', 'arm_disabled')
    ),
    -- whatever else the experiment showed ends the time before it: another phase, a variant nobody registered
    other_exposures as (
        select
            unit,
            min(event_day) as first_day,
            max(case when phase < $phase and assignment_reason <> 'override' then 1 else 0 end) as in_earlier_phase,
        from exposures
        where
            experiment_key = $experiment_key
            and unit_type = $unit_type
            and unit >= $unit_from
            and unit < $unit_to
            and event_ts < $outcome_end
            and (
                phase <> $phase
                or event_ts < $started_at
                or assignment_reason = 'override'
                or not list_contains($arms, coalesce(variant, '(none)'))
            )
            and assignment_reason in ('split', 'arm_disabled', 'override')
        group by unit
    )
select
    r.unit,
    cast(r.arm as tinyint) as arm,
    r.variant as arm_key,
    r.first_ts,
    r.event_day as first_day,
    least(r.event_day, coalesce(o.first_day, r.event_day)) as any_phase_first_day,
    r.module,
    r.page_category,
    r.browser,
    r.platform,
    r.country,
    r.app_version,
    case
        when r.two_arms then 'two_arms'
        when r.is_bot then 'bot'
        when r.is_internal then 'internal'
        when o.in_earlier_phase = 1 then 'earlier_phase'
    end as excluded_reason,
from ranked_rows as r
left join other_exposures as o on o.unit = r.unit
where r.place = 1
