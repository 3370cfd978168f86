-- the new rows in their tables, by business day and unit; what the load changed of earlier rows; sessions
-- Only writes: DuckDB 2.0 may not show a transaction the rows it has just written.

insert into units by name
select unit, unit_type, unit_id,
from unit_keys
where is_new
order by unit;

insert into exposures by name
select
    rows.* exclude (emit, element) replace (coalesce(rows.schema_version, 'exposure.v1') as schema_version),
    unit_keys.unit,
    len(rows.items) as items_shown,
    coalesce(slates_at_event.items_stock_known, case when rows.items is not null then 0 end) as items_stock_known,
    coalesce(slates_at_event.items_out_of_stock, case when rows.items is not null then 0 end) as items_out_of_stock,
    coalesce(slates_clicked.clicked, false) as clicked,
    $load_id as load_id,
from new_exposures as rows
inner join unit_keys
    on unit_keys.unit_type = rows.unit_type and unit_keys.unit_id = rows.unit_id
left join slates_at_event
    on slates_at_event.event_id = rows.event_id
left join slates_clicked
    on slates_clicked.event_id = rows.event_id
order by rows.event_day, unit_keys.unit, rows.event_ts, rows.event_id;

insert into outcomes by name
select
    rows.* exclude (emit, element, margin, item_category)
        replace (coalesce(rows.schema_version, 'outcome.v1') as schema_version),
    unit_keys.unit,
    case when at_event.event_id is not null then at_event.margin else rows.margin end as margin,
    case when at_event.event_id is not null then at_event.item_category else rows.item_category end as item_category,
    at_event.item_out_of_stock,
    rows.margin as own_margin,
    rows.item_category as own_item_category,
    $load_id as load_id,
from new_outcomes as rows
inner join unit_keys
    on unit_keys.unit_type = rows.unit_type and unit_keys.unit_id = rows.unit_id
left join outcomes_at_event as at_event
    on at_event.event_id = rows.event_id
order by rows.event_day, unit_keys.unit, rows.event_ts, rows.event_id;

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

update exposures
set
    items_stock_known = slates_at_event.items_stock_known,
    items_out_of_stock = slates_at_event.items_out_of_stock
from slates_at_event
where exposures.rowid = slates_at_event.row_id;

update exposures
set clicked = slates_clicked.clicked
from slates_clicked
where exposures.rowid = slates_clicked.row_id;

update outcomes
set
    item_out_of_stock = at_event.item_out_of_stock,
    margin = at_event.margin,
    item_category = at_event.item_category
from outcomes_at_event as at_event
where outcomes.rowid = at_event.row_id;

delete from sessions
using touched_days
where touched_days.unit = sessions.unit and touched_days.event_day = sessions.event_day;

insert into sessions by name
select *
from new_sessions
order by event_day, unit, session_ts;

delete from returns
using touched_orders
where touched_orders.unit = returns.unit and touched_orders.order_id = returns.order_id;

insert into returns by name
select *
from new_returns
order by unit, order_id;

insert into terms
select $currency, cast($money_digits as bigint), $time_zone,
from new_load
where accepted > 0
    and not exists (select 1 from terms);

insert into loads by name
select *
from new_load;

insert into rejected by name
select *
from new_rejected
order by line, emit;
