-- one row per unit exposed in the experiment and phase; excluded_reason says why it is not analysed, null when it is
with
    unit_arms as (
        select
            unit,
            variant,
            min(event_ts) as first_ts,
        from exposures
        where
            experiment_key = $experiment_key
            and phase = $phase
            and unit_type = $unit_type
            and unit >= $unit_from
            and unit < $unit_to
            and event_ts >= $started_at
            and event_ts < $outcome_end
            and assignment_reason in ('split', 'arm_disabled')
        group by unit, variant
    ),
    firsts as (
        select
            unit,
            min(first_ts) as first_ts,
            count(*) as arms_seen,
        from unit_arms
        where list_contains($arms, variant)
        group by unit
    ),
    first_rows as (
        select
            f.unit,
            f.first_ts,
            f.arms_seen,
            e.event_day,
            e.variant,
            list_position($arms, e.variant) - 1 as arm,
            e.module,
            coalesce(e.page_category, '(none)') as page_category,
            coalesce(e.browser, '(none)') as browser,
            coalesce(e.platform, '(none)') as platform,
            coalesce(e.country, '(none)') as country,
            coalesce(e.app_version, '(none)') as app_version,
            coalesce(e.is_bot, false) as is_bot,
            coalesce(e.is_internal, false) as is_internal,
        from firsts as f
        inner join exposures as e on e.unit = f.unit and e.event_ts = f.first_ts
        where
            e.experiment_key = $experiment_key
            and e.phase = $phase
            and e.unit >= $unit_from
            and e.unit < $unit_to
            and e.assignment_reason in ('split', 'arm_disabled')
            and list_contains($arms, e.variant)
    ),
    tied_units as (
        select unit
        from first_rows
        group by unit
        having count(*) > 1
    ),
    -- of several rows at one time the first in this order is the unit's first exposure
    ranked_rows as (
        select
            unit,
            first_ts,
            arms_seen,
            event_day,
            variant,
            arm,
            module,
            page_category,
            browser,
            platform,
            country,
            app_version,
            is_bot,
            is_internal,
            row_number() over (
                partition by unit
                order by
                    coalesce(list_position($modules, module), 1000000),
                    module,
                    page_category,
                    arm,
                    browser,
                    platform,
                    country,
                    app_version,
                    is_bot desc,
                    is_internal desc
            ) as place,
        from first_rows
        where unit in (select unit from tied_units)
    ),
    chosen_rows as (
        select
            unit,
            first_ts,
            arms_seen,
            event_day,
            variant,
            arm,
            module,
            page_category,
            browser,
            platform,
            country,
            app_version,
            is_bot,
            is_internal,
        from first_rows
        where unit not in (select unit from tied_units)
        union all
        select
            unit,
            first_ts,
            arms_seen,
            event_day,
            variant,
            arm,
            module,
            page_category,
            browser,
            platform,
            country,
            app_version,
            is_bot,
            is_internal,
        from ranked_rows
        where place = 1
    ),
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
            and (phase <> $phase or event_ts < $started_at or assignment_reason = 'override')
            and assignment_reason in ('split', 'arm_disabled', 'override')
        group by unit
    )
select
    $experiment_key as experiment_key,
    cast($phase as integer) as phase,
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
        when r.arms_seen > 1 then 'two_arms'
        when r.is_bot then 'bot'
        when r.is_internal then 'internal'
        when o.in_earlier_phase = 1 then 'earlier_phase'
    end as excluded_reason,
from chosen_rows as r
left join other_exposures as o on o.unit = r.unit
order by r.unit
