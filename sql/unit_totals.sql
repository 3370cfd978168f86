-- one row per analysed unit: arm, context cells, seen_before, every fact after first exposure and in the covariate window
with
    slate_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {slates}
        from slate_rows
        group by unit
    ),
    interaction_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {interactions}
        from interaction_rows
        group by unit
    ),
    line_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {order_lines}
        from order_line_rows
        group by unit
    ),
    order_flags as (
        select
            unit,
            event_day,
            order_id,
            {order_flags}
        from order_line_rows
        where order_id is not null
        group by unit, event_day, order_id
    ),
    order_totals as (
        select
            unit,
            {orders}
        from order_flags
        group by unit
    ),
    session_totals as (
        select
            unit,
            max(case when post then 0 else 1 end) as seen_before,
            {sessions}
        from session_rows
        group by unit
    ),
    tops as (
        select
            unit,
            {tops}
        from pre_period_tops
        where unit >= $unit_from and unit < $unit_to
        group by unit
    )
select
    e.unit,
    e.arm,
    e.first_ts,
    e.first_day,
    cast(
        greatest(
            coalesce(slate_totals.seen_before, 0),
            coalesce(interaction_totals.seen_before, 0),
            coalesce(line_totals.seen_before, 0),
            coalesce(session_totals.seen_before, 0)
        ) as bigint
    ) as seen_before,
    {facts}
from first_exposures as e
left join slate_totals on slate_totals.unit = e.unit
left join interaction_totals on interaction_totals.unit = e.unit
left join line_totals on line_totals.unit = e.unit
left join order_totals on order_totals.unit = e.unit
left join session_totals on session_totals.unit = e.unit
left join tops on tops.unit = e.unit
left join context_values as modules on modules.dimension = 'module' and modules.named = e.module
left join context_values as page_categories
    on page_categories.dimension = 'page_category' and page_categories.named = e.page_category
left join context_values as platforms on platforms.dimension = 'platform' and platforms.named = e.platform
left join context_values as browsers on browsers.dimension = 'browser' and browsers.named = e.browser
left join context_values as countries on countries.dimension = 'country' and countries.named = e.country
left join context_values as app_versions on app_versions.dimension = 'app_version' and app_versions.named = e.app_version
where
    e.experiment_key = $experiment_key
    and e.phase = $phase
    and e.excluded_reason is null
    and e.unit >= $unit_from
    and e.unit < $unit_to
