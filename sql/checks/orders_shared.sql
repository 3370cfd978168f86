-- one row per run: its orders, and those whose lines belong to more than one unit
with
    orders as (
        select
            order_id,
            count(distinct unit) as units,
        from outcomes
        where
            event_name = 'purchase'
            and unit_type = $unit_type
            and event_ts >= $started_at
            and event_ts < $outcome_end
        group by order_id
    )
select
    count(*) as orders,
    count(*) filter (where units > 1) as shared,
from orders
