-- one contract row to be added: emitted without a reason, the first of its event_id, not loaded before

create or replace temp macro load_accepted(emitted, loaded, zone) as table
with accepted as (
    select line, emit, element, event_id,
    from query_table(emitted)
    where len(reasons) = 0
),

later_copies as (
    select line, emit, element,
    from accepted
    qualify row_number() over (partition by event_id order by line, emit, element) > 1
)

select
    * exclude (reasons),
    cast((event_ts at time zone 'UTC') at time zone zone as date) as event_day,
from query_table(emitted) as rows
where len(reasons) = 0
    and not exists (
        select 1
        from later_copies
        where later_copies.line = rows.line
            and later_copies.emit = rows.emit
            and later_copies.element is not distinct from rows.element
    )
    and not exists (select 1 from query_table(loaded) as earlier where earlier.event_id = rows.event_id);

create or replace temp table new_exposures as
select *
from load_accepted('emitted_exposures', 'exposures', $zone);

create or replace temp table new_outcomes as
select *
from load_accepted('emitted_outcomes', 'outcomes', $zone);

-- lines of an order share unit and business day; the order is what its first line says, a loaded line before a new one
create or replace temp table inconsistent_lines as
with lines as (
    select order_id, unit_type, unit_id, event_day, event_ts, event_id, 1 as is_new,
    from new_outcomes
    where event_name = 'purchase'
    union all
    select order_id, unit_type, unit_id, event_day, event_ts, event_id, 0 as is_new,
    from outcomes
    where event_name = 'purchase'
        and order_id in (select order_id from new_outcomes where event_name = 'purchase')
),

mixed as (
    select order_id,
    from lines
    group by order_id
    having min(unit_type) <> max(unit_type) or min(unit_id) <> max(unit_id) or min(event_day) <> max(event_day)
),

ranked as (
    select
        lines.*,
        row_number() over (partition by order_id order by is_new, event_ts, event_id) as place,
    from lines
    where order_id in (select order_id from mixed)
)

select lines.event_id,
from ranked as lines
inner join ranked as head
    on head.order_id = lines.order_id and head.place = 1
where lines.is_new = 1
    and (lines.unit_type <> head.unit_type or lines.unit_id <> head.unit_id or lines.event_day <> head.event_day);

-- under event_ids that only name a file and its line: rows that say what another file said already, as a newer dump of
-- the same log does. As many are left out as are there; the same row once more than before is news.
create or replace temp table said_before as
with known_outcomes as (
    select unit_type, unit_id, event_name, event_ts, order_id, item_id, value, quantity, module, query, count(*) as copies,
    from outcomes
    where $own_event_ids = 'no'
        and event_ts >= (select min(event_ts) from new_outcomes)
        and event_ts <= (select max(event_ts) from new_outcomes)
    group by all
),

numbered_outcomes as (
    select
        *,
        row_number() over (
            partition by unit_type, unit_id, event_name, event_ts, order_id, item_id, value, quantity, module, query
            order by line, emit, element
        ) as copy,
    from new_outcomes
    where $own_event_ids = 'no'
),

known_exposures as (
    select unit_type, unit_id, experiment_key, phase, module, variant, event_ts, request_id, count(*) as copies,
    from exposures
    where $own_event_ids = 'no'
        and event_ts >= (select min(event_ts) from new_exposures)
        and event_ts <= (select max(event_ts) from new_exposures)
    group by all
),

numbered_exposures as (
    select
        *,
        row_number() over (
            partition by unit_type, unit_id, experiment_key, phase, module, variant, event_ts, request_id
            order by line, emit, element
        ) as copy,
    from new_exposures
    where $own_event_ids = 'no'
)

select rows.line, rows.emit, 'outcomes' as to_table, rows.event_id,
from numbered_outcomes as rows
inner join known_outcomes as known
    on known.unit_type = rows.unit_type
    and known.unit_id = rows.unit_id
    and known.event_name = rows.event_name
    and known.event_ts = rows.event_ts
    and known.order_id is not distinct from rows.order_id
    and known.item_id is not distinct from rows.item_id
    and known.value is not distinct from rows.value
    and known.quantity is not distinct from rows.quantity
    and known.module is not distinct from rows.module
    and known.query is not distinct from rows.query
    and rows.copy <= known.copies
where rows.event_id not in (select event_id from inconsistent_lines)
union all
select rows.line, rows.emit, 'exposures' as to_table, rows.event_id,
from numbered_exposures as rows
inner join known_exposures as known
    on known.unit_type = rows.unit_type
    and known.unit_id = rows.unit_id
    and known.experiment_key is not distinct from rows.experiment_key
    and known.phase is not distinct from rows.phase
    and known.module = rows.module
    and known.variant is not distinct from rows.variant
    and known.event_ts = rows.event_ts
    and known.request_id is not distinct from rows.request_id
    and rows.copy <= known.copies;

create or replace temp table refused as
select line, emit, 'exposures' as to_table, reasons, from emitted_exposures where len(reasons) > 0
union all
select line, emit, 'outcomes' as to_table, reasons, from emitted_outcomes where len(reasons) > 0
union all
select line, emit, 'catalogue' as to_table, reasons, from emitted_catalogue where len(reasons) > 0
union all
select line, emit, 'identity' as to_table, reasons, from emitted_identity where len(reasons) > 0
union all
select line, emit, 'outcomes' as to_table, ['order_inconsistent'] as reasons,
from new_outcomes
where event_id in (select event_id from inconsistent_lines);

delete from new_outcomes where event_id in (select event_id from said_before where to_table = 'outcomes');
delete from new_exposures where event_id in (select event_id from said_before where to_table = 'exposures');
delete from new_outcomes where event_id in (select event_id from inconsistent_lines);

-- a catalogue row of a file is new unless it says, alone in its file, what already counts of files for its item and
-- valid_from; a row of the exposure log is new unless the log has brought the same before
create or replace temp table new_catalogue as
with said as (
    select
        * exclude (reasons, element),
        count(*) over (partition by item_id, valid_from) as versions,
    from emitted_catalogue
    where len(reasons) = 0 and $from_log = 'no'
    qualify row_number() over (
        partition by item_id, valid_from, category, brand, variant_group, price, margin, stock, valid_to, ship_days
        order by line desc, emit desc, element desc
    ) = 1
),

counting as (
    select catalogue.*,
    from catalogue
    inner join loads
        on loads.load_id = catalogue.load_id
    where catalogue.load_id not in (select load_id from loaded_segments)
    qualify row_number() over (partition by item_id, valid_from order by loads.seq desc, catalogue.line desc) = 1
),

logged as (
    select * exclude (reasons, element),
    from emitted_catalogue
    where len(reasons) = 0 and $from_log = 'yes'
    qualify row_number() over (
        partition by item_id, valid_from, category, brand, variant_group, price, margin, stock, valid_to, ship_days
        order by line, emit, element
    ) = 1
)

select said.* exclude (versions),
from said
left join counting
    on counting.item_id = said.item_id and counting.valid_from = said.valid_from
where counting.item_id is null
    or said.versions > 1
    or (said.category, said.brand, said.variant_group, said.price, said.margin, said.stock, said.valid_to, said.ship_days)
        is distinct from
        (counting.category, counting.brand, counting.variant_group, counting.price, counting.margin, counting.stock,
        counting.valid_to, counting.ship_days)
union all by name
select logged.*,
from logged
where not exists (
    select 1
    from catalogue as earlier
    where earlier.item_id = logged.item_id
        and earlier.valid_from = logged.valid_from
        and earlier.load_id in (select load_id from loaded_segments)
        and earlier.category is not distinct from logged.category
        and earlier.brand is not distinct from logged.brand
        and earlier.variant_group is not distinct from logged.variant_group
        and earlier.price is not distinct from logged.price
        and earlier.margin is not distinct from logged.margin
        and earlier.stock is not distinct from logged.stock
        and earlier.valid_to is not distinct from logged.valid_to
        and earlier.ship_days is not distinct from logged.ship_days
);

create or replace temp table new_identity as
select * exclude (reasons, element),
from emitted_identity
where len(reasons) = 0
    and not exists (
        select 1
        from identity
        where identity.anonymous_id = emitted_identity.anonymous_id
            and identity.user_id = emitted_identity.user_id
            and identity.first_seen = emitted_identity.first_seen
    )
qualify row_number() over (partition by anonymous_id, user_id, first_seen order by line, emit, element) = 1;

-- the dense key of every unit in the file: its own, or the next ones in order of first appearance
create or replace temp table unit_keys as
with seen as (
    select unit_type, unit_id, line, from new_exposures
    union all
    select unit_type, unit_id, line, from new_outcomes
),

named as (
    select unit_type, unit_id, min(line) as first_line,
    from seen
    group by unit_type, unit_id
)

select
    named.unit_type,
    named.unit_id,
    coalesce(
        units.unit,
        (select coalesce(max(unit), 0) from units)
        + row_number() over (partition by units.unit is null order by named.first_line, named.unit_type, named.unit_id)
    ) as unit,
    units.unit is null as is_new,
from named
left join units
    on units.unit_type = named.unit_type and units.unit_id = named.unit_id;
