-- one row per analysed unit: arm, context cells, seen_before, every fact after first exposure and in the covariate window
with
    exposed as (
        select
            unit,
            arm,
            first_ts,
            first_day,
            any_phase_first_day as covariate_end,
            any_phase_first_day - cast($covariate_days as integer) as covariate_start,
            module,
            page_category,
            platform,
            browser,
            country,
            app_version,
        from first_exposures
        where
            experiment_key = $experiment_key
            and phase = $phase
            and excluded_reason is null
            and unit >= $unit_from
            and unit < $unit_to
    ),
    slate_rows as (
        select
            s.*,
            s.event_ts >= e.first_ts as post,
            e.first_ts,
            e.covariate_end,
            list_contains($modules, s.module) as in_scope,
        from source_slates as s
        inner join exposed as e on e.unit = s.unit
        where
            s.unit >= $unit_from
            and s.unit < $unit_to
            and s.event_day >= $since_day
            and s.event_ts < $outcome_end
            and (s.event_ts >= e.first_ts or (s.event_day >= e.covariate_start and s.event_day < e.covariate_end))
    ),
    slate_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {slates}
        from slate_rows
        group by unit
    ),
    interaction_rows as (
        select
            s.*,
            s.event_ts >= e.first_ts as post,
            e.first_ts,
            e.covariate_end,
            list_contains($modules, s.module) as in_scope,
        from source_interactions as s
        inner join exposed as e on e.unit = s.unit
        where
            s.unit >= $unit_from
            and s.unit < $unit_to
            and s.event_day >= $since_day
            and s.event_ts < $outcome_end
            and (s.event_ts >= e.first_ts or (s.event_day >= e.covariate_start and s.event_day < e.covariate_end))
    ),
    interaction_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {interactions}
        from interaction_rows
        group by unit
    ),
    line_rows as (
        select
            s.*,
            s.event_ts >= e.first_ts as post,
            e.first_ts,
            e.covariate_end,
        from source_order_lines as s
        inner join exposed as e on e.unit = s.unit
        where
            s.unit >= $unit_from
            and s.unit < $unit_to
            and s.event_day >= $since_day
            and s.event_ts < $outcome_end
            and (s.event_ts >= e.first_ts or (s.event_day >= e.covariate_start and s.event_day < e.covariate_end))
    ),
    line_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {order_lines}
        from line_rows
        group by unit
    ),
    order_rows as (
        select
            unit,
            event_day,
            order_id,
            {order_flags}
        from line_rows
        where order_id is not null
        group by unit, event_day, order_id
    ),
    order_totals as (
        select
            unit,
            {orders}
        from order_rows
        group by unit
    ),
    session_rows as (
        select
            s.*,
            s.event_ts >= e.first_ts as post,
            e.first_ts,
            e.covariate_end,
        from source_sessions as s
        inner join exposed as e on e.unit = s.unit
        where
            s.unit >= $unit_from
            and s.unit < $unit_to
            and s.event_day >= $since_day
            and s.event_ts < $outcome_end
            and (s.event_ts >= e.first_ts or (s.event_day >= e.covariate_start and s.event_day < e.covariate_end))
    ),
    session_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {sessions}
        from session_rows
        group by unit
    )
select
    e.unit,
    e.arm,
    e.first_ts,
    e.first_day,
    cast(greatest(
        coalesce(slate_totals.seen_before, 0),
        coalesce(interaction_totals.seen_before, 0),
        coalesce(line_totals.seen_before, 0),
        coalesce(session_totals.seen_before, 0)
    ) as bigint) as seen_before,
    {facts}
from exposed as e
left join slate_totals on slate_totals.unit = e.unit
left join interaction_totals on interaction_totals.unit = e.unit
left join line_totals on line_totals.unit = e.unit
left join order_totals on order_totals.unit = e.unit
left join session_totals on session_totals.unit = e.unit
left join context_values as modules on modules.dimension = 'module' and modules.value = e.module
left join context_values as page_categories
    on page_categories.dimension = 'page_category' and page_categories.value = e.page_category
left join context_values as platforms on platforms.dimension = 'platform' and platforms.value = e.platform
left join context_values as browsers on browsers.dimension = 'browser' and browsers.value = e.browser
left join context_values as countries on countries.dimension = 'country' and countries.value = e.country
left join context_values as app_versions on app_versions.dimension = 'app_version' and app_versions.value = e.app_version
