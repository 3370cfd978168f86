-- one slate whose clicked is new or changes
-- Only slates within 24 hours of a new row can change; to say so of them, clicks 24 and slates 48 hours around are read.
-- A click belongs to its unit's latest slate of the same module in the 24 hours up to it, of the same request where both say one.
-- In the order of the rows it updates: DuckDB updates in random order 70 times slower.

create or replace temp table slates_clicked as
with span as (
    select min(event_ts) as first_ts, max(event_ts) as last_ts,
    from (
        select event_ts from new_exposures
        union all
        select event_ts from new_outcomes where event_name = 'click'
    )
),

touched_units as (
    select unit_keys.unit, unit_keys.unit_type, unit_keys.unit_id,
    from unit_keys
    where exists (
        select 1
        from new_exposures
        where new_exposures.unit_type = unit_keys.unit_type and new_exposures.unit_id = unit_keys.unit_id
    )
    or exists (
        select 1
        from new_outcomes
        where new_outcomes.unit_type = unit_keys.unit_type
            and new_outcomes.unit_id = unit_keys.unit_id
            and new_outcomes.event_name = 'click'
    )
),

clicks as (
    select touched_units.unit, clicked.module, clicked.event_ts, clicked.event_id, clicked.request_id,
    from new_outcomes as clicked
    inner join touched_units
        on touched_units.unit_type = clicked.unit_type and touched_units.unit_id = clicked.unit_id
    where clicked.event_name = 'click'
    union all
    select unit, module, event_ts, event_id, request_id,
    from outcomes
    where event_name = 'click'
        and event_ts >= (select first_ts - to_hours(24) from span)
        and event_ts <= (select last_ts + to_hours(48) from span)
        and unit in (select unit from touched_units)
),

slates as (
    select
        null as row_id, touched_units.unit, shown.module, shown.event_ts, shown.event_id, shown.request_id,
        false as clicked,
    from new_exposures as shown
    inner join touched_units
        on touched_units.unit_type = shown.unit_type and touched_units.unit_id = shown.unit_id
    union all
    select rowid as row_id, unit, module, event_ts, event_id, request_id, clicked,
    from exposures
    where event_ts >= (select first_ts - to_hours(48) from span)
        and event_ts <= (select last_ts + to_hours(48) from span)
        and unit in (select unit from touched_units)
),

candidates as (
    select
        slates.event_id,
        row_number() over (partition by clicks.event_id order by slates.event_ts desc, slates.event_id desc) as place,
    from clicks
    inner join slates
        on slates.unit = clicks.unit
        and slates.module = clicks.module
        and slates.event_ts <= clicks.event_ts
        and slates.event_ts >= clicks.event_ts - to_hours(24)
        and coalesce(slates.request_id = clicks.request_id, true)
),

owners as (
    select distinct event_id,
    from candidates
    where place = 1
)

select
    slates.row_id,
    slates.event_id,
    owners.event_id is not null as clicked,
from slates
left join owners
    on owners.event_id = slates.event_id
where slates.clicked <> (owners.event_id is not null)
    and slates.event_ts >= (select first_ts - to_hours(24) from span)
    and slates.event_ts <= (select last_ts + to_hours(24) from span)
order by row_id;
