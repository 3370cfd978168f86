-- one row per analysed unit: arm, context cells, seen_before, every fact after first exposure and in the covariate window
with
    slate_eras as (
        select
            unit,
            post,
            pre,
            {slates}
        from slate_rows
        group by unit, post, pre
    ),
    slate_totals as (
        select
            unit,
            max(case when pre then 1 else 0 end) as seen_before,
            {slates_eras}
        from slate_eras
        group by unit
    ),
    interaction_eras as (
        select
            unit,
            post,
            pre,
            {interactions}
        from interaction_rows
        where {interactions_used}
        group by unit, post, pre
    ),
    interaction_totals as (
        select
            unit,
            max(case when pre then 1 else 0 end) as seen_before,
            {interactions_eras}
        from interaction_eras
        group by unit
    ),
    order_eras as (
        select
            unit,
            post,
            pre,
            {order_lines}
        from order_line_rows
        group by unit, post, pre, event_day, order_id
    ),
    line_totals as (
        select
            unit,
            max(case when pre then 1 else 0 end) as seen_before,
            {order_lines_eras}
        from order_eras
        group by unit
    ),
    session_eras as (
        select
            unit,
            post,
            pre,
            {sessions}
        from session_rows
        group by unit, post, pre
    ),
    session_totals as (
        select
            unit,
            max(case when pre then 1 else 0 end) as seen_before,
            {sessions_eras}
        from session_eras
        group by unit
    ),
    extras as (
        select
            unit,
            {extras}
        from unit_extras
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
left join session_totals on session_totals.unit = e.unit
left join extras on extras.unit = e.unit
left join context_values as modules on modules.dimension = 'module' and modules.named = e.module
left join context_values as page_categories
    on page_categories.dimension = 'page_category' and page_categories.named = e.page_category
left join context_values as platforms on platforms.dimension = 'platform' and platforms.named = e.platform
left join context_values as browsers on browsers.dimension = 'browser' and browsers.named = e.browser
left join context_values as countries on countries.dimension = 'country' and countries.named = e.country
left join context_values as app_versions on app_versions.dimension = 'app_version' and app_versions.named = e.app_version
where
    e.excluded_reason is null
    and e.unit >= $unit_from
    and e.unit < $unit_to
