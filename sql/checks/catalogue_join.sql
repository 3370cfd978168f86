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
            exists (
                select 1
                from offered as c
                where c.item_id = n.item_id and c.valid_from <= n.event_ts and n.event_ts < c.valid_to
            ) as is_found,
            exists (
                select 1
                from offered as c
                where c.normalised = n.normalised and c.valid_from <= n.event_ts and n.event_ts < c.valid_to
            ) as is_found_normalised,
        from named as n
    )
select
    event_name,
    count(*) as items,
    count(*) filter (where is_found) as found,
    count(*) filter (where is_found_normalised) as found_normalised,
    (select count(*) from catalogue) as catalogue_rows,
from judged
group by event_name
order by event_name
