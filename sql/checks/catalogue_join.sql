-- one row per event name: rows that name an item, and those whose item is in the catalogue at their time
with
    named as (
        select
            event_name,
            item_id,
            ltrim(lower(trim(item_id)), '0') as normalised,
            event_ts,
        from outcomes
        where
            unit_type = $unit_type
            and event_ts >= $started_at
            and event_ts < $outcome_end
            and item_id is not null
    ),
    offered as (
        select
            item_id,
            ltrim(lower(trim(item_id)), '0') as normalised,
            valid_from,
            coalesce(valid_to, timestamp '9999-12-31 00:00:00') as valid_to,
        from catalogue
    ),
    judged as (
        select
            event_name,
            normalised,
            event_ts,
            exists (
                select 1
                from offered as c
                where c.item_id = n.item_id and c.valid_from <= n.event_ts and n.event_ts < c.valid_to
            ) as is_found,
        from named as n
    ),
    spelled_otherwise as (
        select
            m.event_name,
            count(*) as items,
        from judged as m
        where
            not m.is_found
            and exists (
                select 1
                from offered as c
                where c.normalised = m.normalised and c.valid_from <= m.event_ts and m.event_ts < c.valid_to
            )
        group by m.event_name
    ),
    counted as (
        select
            event_name,
            count(*) as items,
            count(*) filter (where is_found) as found,
        from judged
        group by event_name
    )
select
    t.event_name,
    t.items,
    t.found,
    t.found + coalesce(s.items, 0) as found_normalised,
    (select count(*) from catalogue) as catalogue_rows,
from counted as t
left join spelled_otherwise as s on s.event_name = t.event_name
order by t.event_name
