-- one row per arm of a comparison, cell of a level and bucket of time: units, their sessions, what they did, sums of products
--
-- A session belongs to the cell and the arm of its first slate, and begins there: what it did before is not counted, so
-- that a bucket hangs on no row after its end. It counts in the bucket in which it begins, what is done in that of its own
-- time. An order is counted once, at the first of its lines on a business day. The whole site has module and category '',
-- a whole module category ''. Arms are told by the number that who asks gave them; everybody together is number 0.
-- Who is held out is told by his hash, as in held_out_exposures.sql: the log does not say by which of two holdouts. What
-- another holdout keeps from what is served is in no arm.
with
    experiment_arms as (
        select
            unnest(cast($experiment_numbers as integer[])) as number,
            unnest(cast($experiment_keys as varchar[])) as key,
            unnest(cast($experiment_phases as integer[])) as phase,
            unnest(cast($experiment_unit_types as varchar[])) as unit_type,
            unnest(cast($experiment_arms as varchar[])) as arm,
            unnest(cast($experiment_starts as timestamp[])) as starts_at,
            unnest(cast($experiment_ends as timestamp[])) as ends_at,
    ),
    holdout_modules as (
        select
            unnest(cast($holdout_numbers as integer[])) as number,  -- of who is held out; the next is who is served
            unnest(cast($holdout_unit_types as varchar[])) as unit_type,
            unnest(cast($holdout_modules as varchar[])) as module,
            unnest(cast($holdout_salts as varchar[])) as salt,
            unnest(cast($holdout_starts as timestamp[])) as starts_at,
            unnest(cast($holdout_ends as timestamp[])) as ends_at,
    ),
    holdout_ranges as (
        select
            unnest(cast($range_numbers as integer[])) as number,
            unnest(cast($range_starts as integer[])) as first_bucket,
            unnest(cast($range_ends as integer[])) as end_bucket,
    ),
    begun as (
        select
            s.unit,
            s.event_day,
            s.session_ts,
            max(s.last_ts) as last_ts,
            min(e.event_ts) as begins_at,
        from sessions as s
        inner join exposures as e
            on e.unit = s.unit
            and e.event_day = s.event_day
            and e.event_ts >= s.session_ts
            and e.event_ts <= s.last_ts
        where
            s.event_day >= $since_day
            and s.last_ts >= $since
            and s.session_ts < $until
            and e.event_day >= $since_day
            and e.event_ts < $until
        group by s.unit, s.event_day, s.session_ts
    ),
    first_slates as (
        select
            b.unit,
            b.event_day,
            b.session_ts,
            b.last_ts,
            b.begins_at,
            coalesce(nullif(e.module, ''), '(none)') as module,
            coalesce(nullif(e.page_category, ''), '(none)') as category,
            e.unit_type,
            e.unit_id,
            e.experiment_key,
            e.phase,
            e.variant,
            e.assignment_reason,
            coalesce(e.is_bot, false) or coalesce(e.is_internal, false) as is_nobody,
            row_number() over (
                partition by b.unit, b.begins_at
                order by e.module, coalesce(e.page_category, '(none)'), e.event_id
            ) as place,
        from begun as b
        inner join exposures as e
            on e.unit = b.unit
            and e.event_day = b.event_day
            and e.event_ts = b.begins_at
        where e.event_day >= $since_day and e.event_ts < $until
    ),
    visits as (
        select
            unit,
            event_day,
            session_ts,
            last_ts,
            begins_at,
            module,
            category,
            unit_type,
            unit_id,
            experiment_key,
            phase,
            variant,
            assignment_reason,
        from first_slates
        where place = 1 and not is_nobody
    ),
    digests as (
        select distinct
            h.number,
            v.unit,
            md5(h.salt || '-' || v.unit_id) as digest,
        from visits as v
        inner join holdout_modules as h on h.module = v.module and h.unit_type = v.unit_type
    ),
    -- the first four bytes of the digest, big-endian, modulo 10,000
    hashed as (
        select
            number,
            unit,
            (
                (strpos('0123456789abcdef', substr(digest, 1, 1)) - 1) * 268435456
                + (strpos('0123456789abcdef', substr(digest, 2, 1)) - 1) * 16777216
                + (strpos('0123456789abcdef', substr(digest, 3, 1)) - 1) * 1048576
                + (strpos('0123456789abcdef', substr(digest, 4, 1)) - 1) * 65536
                + (strpos('0123456789abcdef', substr(digest, 5, 1)) - 1) * 4096
                + (strpos('0123456789abcdef', substr(digest, 6, 1)) - 1) * 256
                + (strpos('0123456789abcdef', substr(digest, 7, 1)) - 1) * 16
                + (strpos('0123456789abcdef', substr(digest, 8, 1)) - 1)
            ) % 10000 as bucket,
        from digests
    ),
    held as (
        select
            u.number,
            u.unit,
        from hashed as u
        inner join holdout_ranges as r
            on r.number = u.number
            and u.bucket >= r.first_bucket
            and u.bucket < r.end_bucket
    ),
    members as (
        select
            0 as number,
            unit,
            session_ts,
            module,
            category,
        from visits
        where $forecast = 1
        union all
        select
            a.number,
            v.unit,
            v.session_ts,
            v.module,
            v.category,
        from visits as v
        inner join experiment_arms as a
            on a.key = v.experiment_key
            and a.phase = v.phase
            and a.unit_type = v.unit_type
            and a.arm = v.variant
            and v.begins_at >= a.starts_at
            and v.begins_at < a.ends_at
        where v.assignment_reason = 'split'
        union all
        select
            case when u.unit is not null then h.number else h.number + 1 end as number,
            v.unit,
            v.session_ts,
            v.module,
            v.category,
        from visits as v
        inner join holdout_modules as h
            on h.module = v.module
            and h.unit_type = v.unit_type
            and v.begins_at >= h.starts_at
            and v.begins_at < h.ends_at
        left join held as u on u.number = h.number and u.unit = v.unit
        where
            v.assignment_reason <> 'override'
            and (u.unit is not null or v.assignment_reason <> 'holdout')
    ),
    -- the first line of an order on a business day stands for it
    acts as (
        select
            unit,
            event_day,
            event_ts,
            case when event_name = 'click' then 1 else 0 end as clicks,
            case when event_name = 'add_to_cart' then 1 else 0 end as adds,
            0 as orders,
            0 as revenue,
            0 as margin,
            0 as lines,
            0 as lines_known,
            0 as revenue_known,
        from outcomes
        where
            (event_name = 'click' or event_name = 'add_to_cart')
            and event_day >= $since_day
            and event_ts < $until
        union all
        select
            unit,
            event_day,
            event_ts,
            0 as clicks,
            0 as adds,
            case
                when order_id is not null and row_number() over (
                    partition by unit, event_day, order_id
                    order by event_ts, event_id
                ) = 1 then 1
                else 0
            end as orders,
            coalesce(value, 0) as revenue,
            coalesce(margin, 0) as margin,
            1 as lines,
            case when margin is not null then 1 else 0 end as lines_known,
            case when margin is not null then coalesce(value, 0) else 0 end as revenue_known,
        from outcomes
        where
            event_name = 'purchase'
            and event_day >= $since_day
            and event_ts < $until
    ),
    visit_rows as (
        select
            unit,
            session_ts,
            date_diff('minute', timestamp '1970-01-01', begins_at) // $minutes as bucket,
            1 as sessions,
            0 as clicks,
            0 as adds,
            0 as orders,
            0 as revenue,
            0 as margin,
            0 as lines,
            0 as lines_known,
            0 as revenue_known,
        from visits
        where begins_at >= $since
        union all
        select
            v.unit,
            v.session_ts,
            date_diff('minute', timestamp '1970-01-01', a.event_ts) // $minutes as bucket,
            0 as sessions,
            a.clicks,
            a.adds,
            a.orders,
            a.revenue,
            a.margin,
            a.lines,
            a.lines_known,
            a.revenue_known,
        from acts as a
        inner join visits as v
            on v.unit = a.unit
            and v.event_day = a.event_day
            and a.event_ts >= v.begins_at
            and a.event_ts <= v.last_ts
        where a.event_ts >= $since
    ),
    visit_totals as (
        select
            unit,
            session_ts,
            bucket,
            cast(sum(sessions) as bigint) as sessions,
            cast(sum(clicks) as bigint) as clicks,
            cast(sum(adds) as bigint) as adds,
            cast(sum(orders) as bigint) as orders,
            cast(sum(revenue) as bigint) as revenue,
            cast(sum(margin) as bigint) as margin,
            cast(sum(lines) as bigint) as lines,
            cast(sum(lines_known) as bigint) as lines_known,
            cast(sum(revenue_known) as bigint) as revenue_known,
        from visit_rows
        group by unit, session_ts, bucket
    ),
    unit_totals as (
        select
            m.number,
            m.module,
            m.category,
            t.bucket,
            t.unit,
            cast(sum(t.sessions) as bigint) as sessions,
            cast(sum(t.clicks) as bigint) as clicks,
            cast(sum(t.adds) as bigint) as adds,
            cast(sum(t.orders) as bigint) as orders,
            cast(sum(t.revenue) as hugeint) as revenue,
            sum(t.margin) as margin,
            sum(t.lines) as lines,
            sum(t.lines_known) as lines_known,
            sum(t.revenue_known) as revenue_known,
        from visit_totals as t
        inner join members as m on m.unit = t.unit and m.session_ts = t.session_ts
        group by m.number, m.module, m.category, t.bucket, t.unit
    ),
    finest_sums as (
        select
            number,
            module,
            category,
            bucket,
            count(*) as units,
            sum(sessions) as sessions,
            sum(sessions * sessions) as sessions_squared,
            sum(clicks) as clicks,
            sum(adds) as adds,
            sum(orders) as orders,
            sum(revenue) as revenue,
            sum(clicks * clicks) as clicks_squared,
            sum(adds * adds) as adds_squared,
            sum(orders * orders) as orders_squared,
            sum(revenue * revenue) as revenue_squared,
            sum(sessions * clicks) as sessions_clicks,
            sum(sessions * adds) as sessions_adds,
            sum(sessions * orders) as sessions_orders,
            sum(sessions * revenue) as sessions_revenue,
            sum(margin) as margin,
            sum(lines) as lines,
            sum(lines_known) as lines_known,
            sum(revenue_known) as revenue_known,
        from unit_totals
        group by number, module, category, bucket
    ),
    -- a unit in several cells of one bucket is one unit of the site, and its products there are those of its sums
    several as (
        select
            number,
            bucket,
            unit,
        from unit_totals
        group by number, bucket, unit
        having count(*) > 1
    ),
    several_parts as (
        select
            t.number,
            case when l.level = 0 then '' else t.module end as module,
            t.bucket,
            t.unit,
            t.sessions,
            t.clicks,
            t.adds,
            t.orders,
            t.revenue,
        from unit_totals as t
        inner join several as s
            on s.number = t.number
            and s.bucket = t.bucket
            and s.unit = t.unit
        cross join (select unnest([0, 1]) as level) as l
    ),
    several_totals as (
        select
            number,
            module,
            bucket,
            unit,
            count(*) as parts,
            sum(sessions) as sessions,
            sum(clicks) as clicks,
            sum(adds) as adds,
            sum(orders) as orders,
            sum(revenue) as revenue,
            sum(sessions * sessions) as sessions_squared,
            sum(clicks * clicks) as clicks_squared,
            sum(adds * adds) as adds_squared,
            sum(orders * orders) as orders_squared,
            sum(revenue * revenue) as revenue_squared,
            sum(sessions * clicks) as sessions_clicks,
            sum(sessions * adds) as sessions_adds,
            sum(sessions * orders) as sessions_orders,
            sum(sessions * revenue) as sessions_revenue,
        from several_parts
        group by number, module, bucket, unit
    ),
    levels as (
        select
            f.number,
            case when l.level = 0 then '' else f.module end as module,
            case when l.level = 2 then f.category else '' end as category,
            f.bucket,
            f.units,
            f.sessions,
            f.sessions_squared,
            f.clicks,
            f.adds,
            f.orders,
            f.revenue,
            f.clicks_squared,
            f.adds_squared,
            f.orders_squared,
            f.revenue_squared,
            f.sessions_clicks,
            f.sessions_adds,
            f.sessions_orders,
            f.sessions_revenue,
            f.margin,
            f.lines,
            f.lines_known,
            f.revenue_known,
        from finest_sums as f
        cross join (select unnest([0, 1, 2]) as level) as l
        union all
        select
            number,
            module,
            '' as category,
            bucket,
            1 - parts as units,
            0 as sessions,
            sessions * sessions - sessions_squared as sessions_squared,
            0 as clicks,
            0 as adds,
            0 as orders,
            0 as revenue,
            clicks * clicks - clicks_squared as clicks_squared,
            adds * adds - adds_squared as adds_squared,
            orders * orders - orders_squared as orders_squared,
            revenue * revenue - revenue_squared as revenue_squared,
            sessions * clicks - sessions_clicks as sessions_clicks,
            sessions * adds - sessions_adds as sessions_adds,
            sessions * orders - sessions_orders as sessions_orders,
            sessions * revenue - sessions_revenue as sessions_revenue,
            0 as margin,
            0 as lines,
            0 as lines_known,
            0 as revenue_known,
        from several_totals
    )
select
    number,
    module,
    category,
    bucket,
    sum(units) as units,
    sum(sessions) as sessions,
    sum(sessions_squared) as sessions_squared,
    sum(clicks) as clicks,
    sum(adds) as adds,
    sum(orders) as orders,
    sum(revenue) as revenue,
    sum(clicks_squared) as clicks_squared,
    sum(adds_squared) as adds_squared,
    sum(orders_squared) as orders_squared,
    sum(revenue_squared) as revenue_squared,
    sum(sessions_clicks) as sessions_clicks,
    sum(sessions_adds) as sessions_adds,
    sum(sessions_orders) as sessions_orders,
    sum(sessions_revenue) as sessions_revenue,
    sum(margin) as margin,
    sum(lines) as lines,
    sum(lines_known) as lines_known,
    sum(revenue_known) as revenue_known,
from levels
group by number, module, category, bucket
