-- one order that the load adds a line, a refund or a cancel to

create or replace temp table touched_orders as
select distinct unit_keys.unit, rows.order_id,
from new_outcomes as rows
inner join unit_keys
    on unit_keys.unit_type = rows.unit_type and unit_keys.unit_id = rows.unit_id
where rows.order_id is not null and rows.event_name in ('purchase', 'refund', 'cancel');
