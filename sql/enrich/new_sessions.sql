-- one session of a unit and business day that the load adds to: its rows less than 30 minutes apart

create or replace temp table touched_days as
select unit_keys.unit, added.event_day,
from (
    select unit_type, unit_id, event_day, from new_exposures
    union
    select unit_type, unit_id, event_day, from new_outcomes
) as added
inner join unit_keys
    on unit_keys.unit_type = added.unit_type and unit_keys.unit_id = added.unit_id;

create or replace temp table new_sessions as
with acts as (
    select unit, event_day, event_ts, module, event_name, event_id,
    from outcomes
    where event_day between (select min(event_day) from touched_days) and (select max(event_day) from touched_days)
        and unit in (select unit from touched_days)
    union all
    select unit_keys.unit, rows.event_day, rows.event_ts, rows.module, rows.event_name, rows.event_id,
    from new_outcomes as rows
    inner join unit_keys
        on unit_keys.unit_type = rows.unit_type and unit_keys.unit_id = rows.unit_id
),

slates as (
    select unit, event_day, event_ts, module, event_id,
    from exposures
    where event_day between (select min(event_day) from touched_days) and (select max(event_day) from touched_days)
        and unit in (select unit from touched_days)
    union all
    select unit_keys.unit, rows.event_day, rows.event_ts, rows.module, rows.event_id,
    from new_exposures as rows
    inner join unit_keys
        on unit_keys.unit_type = rows.unit_type and unit_keys.unit_id = rows.unit_id
),

timeline as (
    select unit, event_day, event_ts, module, '' as event_name, 0 as kind, event_id, from slates
    union all
    select unit, event_day, event_ts, module, event_name, 1 as kind, event_id,
    from acts
    where event_name in ('view', 'click', 'add_to_cart', 'purchase')
),

gaps as (
    select
        timeline.*,
        case
            when timeline.event_ts - lag(timeline.event_ts, 1, timeline.event_ts) over day_rows >= to_minutes(30) then 1
            else 0
        end as begins,
    from timeline
    inner join touched_days
        on touched_days.unit = timeline.unit and touched_days.event_day = timeline.event_day
    window day_rows as (
        partition by timeline.unit, timeline.event_day
        order by timeline.event_ts, timeline.kind, timeline.event_id
    )
),

numbered as (
    select
        *,
        sum(begins) over (
            partition by unit, event_day
            order by event_ts, kind, event_id
            rows between unbounded preceding and current row
        ) as place,
    from gaps
)

select
    unit,
    min(event_ts) as session_ts,
    max(event_ts) as last_ts,
    event_day,
    coalesce(
        arg_min(module, struct_pack(at := event_ts, kind := kind, id := event_id)) filter (where module is not null),
        '(none)'
    ) as entry_module,
    bool_or(event_name = 'click') as has_click,
    bool_or(event_name = 'add_to_cart') as has_add_to_cart,
    bool_or(event_name = 'purchase') as has_order,
from numbered
group by unit, event_day, place;
