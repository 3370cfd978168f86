-- one row per module: clicks on an item, and those on one that the unit was not shown there within the day before
with
    clicks as (
        select
            event_id,
            unit,
            module,
            item_id,
            event_ts,
        from outcomes
        where
            event_name = 'click'
            and unit_type = $unit_type
            and list_contains($modules, module)
            and item_id is not null
            and event_ts >= $started_at
            and event_ts < $outcome_end
    ),
    slates as (
        select
            unit,
            module,
            event_ts,
            unnest(items) as item,
        from exposures
        where
            unit_type = $unit_type
            and list_contains($modules, module)
            and event_ts >= $started_at - interval 1 day
            and event_ts < $outcome_end
            and unit in (select unit from clicks)
    ),
    shown as (
        select
            unit,
            module,
            event_ts,
            item.item_id as item_id,
        from slates
    ),
    explained as (
        select distinct
            c.event_id,
        from clicks as c
        inner join shown as s on
            s.unit = c.unit
            and s.module = c.module
            and s.item_id = c.item_id
            and s.event_ts <= c.event_ts
            and s.event_ts >= c.event_ts - interval 1 day
    )
select
    c.module,
    count(*) as clicks,
    count(*) filter (where e.event_id is null) as not_shown,
    (select count(*) from shown) as items_logged,
from clicks as c
left join explained as e on e.event_id = c.event_id
group by c.module
order by c.module
