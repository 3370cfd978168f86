-- one row per arm and business day: what the day added to the overall sums and products of the series' metrics
--
-- A row counts on its business day, an order line's matured amounts mature_days later. The square of a unit's running
-- total grows by new² − old², so only days on which a unit did something are touched.
with
    slate_steps as (
        select
            r.*,
            d.ripe_days,
            r.event_day + d.ripe_days as day,
            {first_slates}
        from slate_rows as r
        cross join (select unnest($series_mature_days) as ripe_days) as d
        where
            r.post
            and r.event_day + d.ripe_days < cast($as_of_day as date)
    ),
    slate_days as (
        select
            unit,
            day,
            {slates}
        from slate_steps
        group by unit, day
    ),
    interaction_steps as (
        select
            r.*,
            d.ripe_days,
            r.event_day + d.ripe_days as day,
            {first_interactions}
        from interaction_rows as r
        cross join (select unnest($series_mature_days) as ripe_days) as d
        where
            r.post
            and r.event_day + d.ripe_days < cast($as_of_day as date)
    ),
    interaction_days as (
        select
            unit,
            day,
            {interactions}
        from interaction_steps
        group by unit, day
    ),
    line_steps as (
        select
            r.*,
            d.ripe_days,
            r.event_day + d.ripe_days as day,
            {first_order_lines}
        from order_line_rows as r
        cross join (select unnest($series_mature_days) as ripe_days) as d
        where
            r.post
            and coalesce(r.mature_days, d.ripe_days) = d.ripe_days
            and r.event_day + d.ripe_days < cast($as_of_day as date)
    ),
    line_days as (
        select
            unit,
            day,
            {order_lines}
        from line_steps
        group by unit, day
    ),
    session_steps as (
        select
            r.*,
            d.ripe_days,
            r.event_day + d.ripe_days as day,
            {first_sessions}
        from session_rows as r
        cross join (select unnest($series_mature_days) as ripe_days) as d
        where
            r.post
            and r.event_day + d.ripe_days < cast($as_of_day as date)
    ),
    session_days as (
        select
            unit,
            day,
            {sessions}
        from session_steps
        group by unit, day
    ),
    order_flags as (
        select
            unit,
            day,
            event_day,
            order_id,
            {order_flags}
        from line_steps
        where order_id is not null
        group by unit, day, event_day, order_id
    ),
    order_days as (
        select
            unit,
            day,
            {orders}
        from order_flags
        group by unit, day
    ),
    increments as (
        {increments_of}
    ),
    unit_days as (
        select
            unit,
            day,
            {increments}
        from increments
        group by unit, day
    ),
    running as (
        select
            unit,
            day,
            {running}
        from unit_days
        window so_far as (partition by unit order by day rows between unbounded preceding and current row)
    ),
    steps as (
        select
            u.arm,
            r.day,
            {facts}
        from running as r
        inner join unit_totals as u on u.unit = r.unit
        where u.unit >= $unit_from and u.unit < $unit_to
    )
select
    arm,
    day,
    {sums}
    {products}
from steps
group by arm, day
