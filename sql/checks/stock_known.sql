-- one row per module: items shown, those whose stock was known, and the minutes from the newest catalogue row to the newest slot
with
    shown as (
        select
            module,
            sum(items_shown) as items_shown,
            sum(items_stock_known) as items_stock_known,
            max(event_ts) as newest_ts,
        from exposures
        where
            unit_type = $unit_type
            and list_contains($modules, module)
            and event_ts >= $started_at
            and event_ts < $outcome_end
        group by module
    ),
    updates as (
        select
            s.module,
            max(c.valid_from) as newest_update,
        from shown as s
        inner join catalogue as c on c.valid_from <= s.newest_ts
        group by s.module
    )
select
    s.module,
    cast(coalesce(s.items_shown, 0) as bigint) as items_shown,
    cast(coalesce(s.items_stock_known, 0) as bigint) as items_stock_known,
    date_diff('minute', u.newest_update, s.newest_ts) as catalogue_minutes_old,
from shown as s
left join updates as u on u.module = s.module
order by s.module
