-- the new rows in their tables, by business day and unit, with their load and line

insert into units
with seen as (
    select unit_type, unit_id, line, emit, from new_exposures
    union all
    select unit_type, unit_id, line, emit, from new_outcomes
),

fresh as (
    select seen.unit_type, seen.unit_id, min(seen.line) as first_line,
    from seen
    left join units
        on units.unit_type = seen.unit_type and units.unit_id = seen.unit_id
    where units.unit is null
    group by seen.unit_type, seen.unit_id
)

select
    (select coalesce(max(unit), 0) from units) + row_number() over (order by first_line, unit_type, unit_id) as unit,
    unit_type,
    unit_id,
from fresh;

insert into exposures by name
select
    rows.* exclude (emit, element) replace (coalesce(rows.schema_version, 'exposure.v1') as schema_version),
    units.unit,
    len(rows.items) as items_shown,
    case when rows.items is not null then 0 end as items_stock_known,
    case when rows.items is not null then 0 end as items_out_of_stock,
    $load_id as load_id,
from new_exposures as rows
inner join units
    on units.unit_type = rows.unit_type and units.unit_id = rows.unit_id
order by rows.event_day, units.unit, rows.event_ts, rows.event_id;

insert into outcomes by name
select
    rows.* exclude (emit, element) replace (coalesce(rows.schema_version, 'outcome.v1') as schema_version),
    units.unit,
    rows.margin as own_margin,
    rows.item_category as own_item_category,
    $load_id as load_id,
from new_outcomes as rows
inner join units
    on units.unit_type = rows.unit_type and units.unit_id = rows.unit_id
order by rows.event_day, units.unit, rows.event_ts, rows.event_id;

insert into catalogue by name
select
    * exclude (emit) replace (coalesce(schema_version, 'catalogue.v1') as schema_version),
    $load_id as load_id,
from new_catalogue
order by item_id, valid_from;

insert into identity by name
select
    * exclude (emit) replace (coalesce(schema_version, 'identity.v1') as schema_version),
    $load_id as load_id,
from new_identity
order by anonymous_id, first_seen, user_id;
