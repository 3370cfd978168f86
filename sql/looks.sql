-- one row per arm, cell of the first exposure and bucket of time: what the bucket adds to the sums over units since the start
--
-- The units and cells are those of first_exposures.sql, but a unit leaves when it is known why it is not analysed: at its
-- first exposure in another arm, or in an earlier phase, and as in linked_units.sql when it is known that its person met
-- two arms under several ids. What a bucket adds, summed up to an instant, is what was known then.
with
    arms as (
        select
            variant,
            list_position($arms, variant) - 1 as arm,
        from (select unnest($arms) as variant) as given
    ),
    own_exposures as (
        select
            e.unit,
            e.event_ts,
            a.arm,
        from exposures as e
        inner join arms as a on a.variant = e.variant
        where
            e.experiment_key = $experiment_key
            and e.phase = $phase
            and e.unit_type = $unit_type
            and e.event_ts >= $started_at
            and e.event_ts < $until
            and e.assignment_reason in ('split', 'arm_disabled')
    ),
    units as (
        select
            unit,
            min(event_ts) as first_ts,
            min(arm) <> max(arm) as two_arms,
        from own_exposures
        group by unit
    ),
    -- of several rows at one time the first in this order is the unit's first exposure
    ranked_rows as (
        select
            u.unit,
            u.first_ts,
            u.two_arms,
            a.arm,
            a.variant,
            e.unit_id,
            e.module,
            coalesce(e.page_category, '(none)') as page_category,
            coalesce(e.is_bot, false) or coalesce(e.is_internal, false) as is_nobody,
            row_number() over (
                partition by u.unit
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
        from units as u
        inner join exposures as e on e.unit = u.unit and e.event_ts = u.first_ts
        inner join arms as a on a.variant = e.variant
        where
            e.experiment_key = $experiment_key
            and e.phase = $phase
            and e.unit_type = $unit_type
            and e.assignment_reason in ('split', 'arm_disabled')
    ),
    first_rows as (
        select
            unit,
            unit_id,
            first_ts,
            two_arms,
            arm,
            variant,
            coalesce(nullif(module, ''), '(none)') as module,
            coalesce(nullif(page_category, ''), '(none)') as category,
            is_nobody,
        from ranked_rows
        where place = 1
    ),
    firsts as (
        select
            unit,
            first_ts,
            variant,
            module,
            category,
        from first_rows
        where not is_nobody
    ),
    switches as (
        select
            o.unit,
            min(o.event_ts) as event_ts,
        from own_exposures as o
        inner join first_rows as f on f.unit = o.unit
        where f.two_arms and o.arm <> f.arm
        group by o.unit
    ),
    -- of several links of one id the first seen counts
    links as (
        select
            anonymous_id,
            user_id,
            first_seen,
            row_number() over (partition by anonymous_id order by first_seen, user_id) as place,
        from identity
        where first_seen < $until
    ),
    -- since when a unit is known to be whose
    people as (
        select
            f.unit,
            f.arm,
            l.user_id as person,
            greatest(f.first_ts, l.first_seen) as since,
        from first_rows as f
        inner join links as l on l.anonymous_id = f.unit_id
        where l.place = 1
        union all
        select
            unit,
            arm,
            unit_id as person,
            first_ts as since,
        from first_rows
        where $unit_type = 'user' and unit_id in (select user_id from links where place = 1)
    ),
    arms_met as (
        select
            person,
            min(since) as since,
            row_number() over (partition by person order by min(since), arm) as place,
        from people
        group by person, arm
    ),
    two_arms_met as (
        select
            person,
            since,
        from arms_met
        where place = 2
        union all
        select
            p.person,
            greatest(p.since, s.event_ts) as since,
        from people as p
        inner join switches as s on s.unit = p.unit
    ),
    crossed as (
        select
            person,
            min(since) as since,
        from two_arms_met
        group by person
    ),
    reasons_to_leave as (
        select
            unit,
            event_ts,
        from switches
        union all
        select
            p.unit,
            greatest(p.since, c.since) as event_ts,
        from people as p
        inner join crossed as c on c.person = p.person
        union all
        select
            unit,
            event_ts,
        from exposures
        where
            experiment_key = $experiment_key
            and unit_type = $unit_type
            and phase < $phase
            and event_ts < $until
            and assignment_reason in ('split', 'arm_disabled')
    ),
    leaving as (
        select
            unit,
            date_diff('minute', timestamp '1970-01-01', min(event_ts)) // $minutes as left_in,
        from reasons_to_leave
        group by unit
    ),
    members as (
        select
            f.unit,
            f.first_ts,
            f.variant,
            f.module,
            f.category,
            date_diff('minute', timestamp '1970-01-01', f.first_ts) // $minutes as entered_in,
            l.left_in,
        from firsts as f
        left join leaving as l on l.unit = f.unit
        where coalesce(l.left_in > date_diff('minute', timestamp '1970-01-01', f.first_ts) // $minutes, true)
    ),
    -- the first line of an order on a business day stands for it
    acts as (
        select
            o.unit,
            date_diff('minute', timestamp '1970-01-01', o.event_ts) // $minutes as bucket,
            case when o.event_name = 'click' then 1 else 0 end as clicks,
            case when o.event_name = 'add_to_cart' then 1 else 0 end as adds,
            0 as orders,
            0 as revenue,
        from outcomes as o
        inner join members as m on m.unit = o.unit and o.event_ts >= m.first_ts
        where
            (o.event_name = 'click' or o.event_name = 'add_to_cart')
            and o.event_ts >= $started_at
            and o.event_ts < $until
            and coalesce(date_diff('minute', timestamp '1970-01-01', o.event_ts) // $minutes < m.left_in, true)
        union all
        select
            o.unit,
            date_diff('minute', timestamp '1970-01-01', o.event_ts) // $minutes as bucket,
            0 as clicks,
            0 as adds,
            case
                when o.order_id is not null and row_number() over (
                    partition by o.unit, o.event_day, o.order_id
                    order by o.event_ts, o.event_id
                ) = 1 then 1
                else 0
            end as orders,
            coalesce(o.value, 0) as revenue,
        from outcomes as o
        inner join members as m on m.unit = o.unit and o.event_ts >= m.first_ts
        where
            o.event_name = 'purchase'
            and o.event_ts >= $started_at
            and o.event_ts < $until
            and coalesce(date_diff('minute', timestamp '1970-01-01', o.event_ts) // $minutes < m.left_in, true)
    ),
    done as (
        select
            unit,
            bucket,
            0 as comes,
            clicks,
            adds,
            orders,
            revenue,
        from acts
        union all
        select
            unit,
            entered_in as bucket,
            1 as comes,
            0 as clicks,
            0 as adds,
            0 as orders,
            0 as revenue,
        from members
        union all
        select
            m.unit,
            m.left_in as bucket,
            -1 as comes,
            -coalesce(sum(a.clicks), 0) as clicks,
            -coalesce(sum(a.adds), 0) as adds,
            -coalesce(sum(a.orders), 0) as orders,
            -coalesce(sum(a.revenue), 0) as revenue,
        from members as m
        left join acts as a on a.unit = m.unit
        where m.left_in is not null
        group by m.unit, m.left_in
    ),
    changes as (
        select
            unit,
            bucket,
            sum(comes) as comes,
            cast(sum(clicks) as bigint) as clicks,
            cast(sum(adds) as bigint) as adds,
            cast(sum(orders) as bigint) as orders,
            cast(sum(revenue) as hugeint) as revenue,
        from done
        group by unit, bucket
    ),
    running as (
        select
            unit,
            bucket,
            comes,
            clicks,
            adds,
            orders,
            revenue,
            cast(sum(clicks) over until_here as bigint) as clicks_now,
            cast(sum(adds) over until_here as bigint) as adds_now,
            cast(sum(orders) over until_here as bigint) as orders_now,
            cast(sum(revenue) over until_here as hugeint) as revenue_now,
        from changes
        window until_here as (partition by unit order by bucket rows between unbounded preceding and current row)
    )
select
    m.variant as arm,
    m.module,
    m.category,
    r.bucket,
    sum(r.comes) as units,
    sum(
        case when r.clicks_now <> 0 then 1 else 0 end
        - case when r.clicks_now <> r.clicks then 1 else 0 end
    ) as clicks_nonzero,
    sum(
        case when r.adds_now <> 0 then 1 else 0 end
        - case when r.adds_now <> r.adds then 1 else 0 end
    ) as adds_nonzero,
    sum(
        case when r.orders_now <> 0 then 1 else 0 end
        - case when r.orders_now <> r.orders then 1 else 0 end
    ) as orders_nonzero,
    sum(
        case when r.revenue_now <> 0 then 1 else 0 end
        - case when r.revenue_now <> r.revenue then 1 else 0 end
    ) as revenue_nonzero,
    sum(r.clicks) as clicks,
    sum(r.adds) as adds,
    sum(r.orders) as orders,
    sum(r.revenue) as revenue,
    sum(r.clicks * (2 * r.clicks_now - r.clicks)) as clicks_squared,
    sum(r.adds * (2 * r.adds_now - r.adds)) as adds_squared,
    sum(r.orders * (2 * r.orders_now - r.orders)) as orders_squared,
    sum(r.revenue * (2 * r.revenue_now - r.revenue)) as revenue_squared,
from running as r
inner join members as m on m.unit = r.unit
group by m.variant, m.module, m.category, r.bucket
