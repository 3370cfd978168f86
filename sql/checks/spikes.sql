-- one row per item and business day of the run on which one unit gave it 20 interactions and half of all: its days before, too
with
    interactions as (
        select
            item_id,
            event_day,
            unit,
            count(*) as n,
        from outcomes
        where
            unit_type = $unit_type
            and event_name in ('view', 'click', 'add_to_cart')
            and item_id is not null
            and event_ts >= $started_at - interval 28 day
            and event_ts < $outcome_end
        group by item_id, event_day, unit
    ),
    days as (
        select
            item_id,
            event_day,
            cast(sum(n) as bigint) as interactions,
            max(n) as most_of_a_unit,
        from interactions
        group by item_id, event_day
    ),
    bursts as (
        select
            item_id,
            event_day,
            interactions,
            most_of_a_unit,
        from days
        where
            most_of_a_unit >= 20
            and 2 * most_of_a_unit >= interactions
            and event_day >= cast($started_at as date)
    )
select
    b.item_id,
    cast(b.event_day as varchar) as event_day,
    b.interactions,
    b.most_of_a_unit,
    count(d.event_day) as days_before,
    cast(coalesce(sum(d.interactions), 0) as bigint) as interactions_before,
    cast(coalesce(sum(d.interactions * d.interactions), 0) as bigint) as squares_before,
from bursts as b
left join days as d on d.item_id = b.item_id and d.event_day < b.event_day
group by b.item_id, b.event_day, b.interactions, b.most_of_a_unit
order by b.item_id, event_day
