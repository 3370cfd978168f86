-- one item and valid_from: what the catalogue says, counting this load; of several rows the later load's, then the later line
-- A row of a file says everything, also that something is unknown. A row of the exposure log says what changed: what it
-- leaves out stays as the rows before it said.

create or replace temp table touched_items as
select item_id, min(valid_from) as since_ts,
from new_catalogue
group by item_id;

-- one item of a slate: all of those that are new, and of those that showed a touched item since
create or replace temp table shown_items as
with earlier as (
    select rowid as row_id, event_id, event_ts, unnest(items).item_id as item_id,
    from exposures
    where event_ts >= (select min(since_ts) from touched_items)
),

touched as (
    select distinct earlier.row_id,
    from earlier
    inner join touched_items
        on touched_items.item_id = earlier.item_id and earlier.event_ts >= touched_items.since_ts
)

select null as row_id, event_id, event_ts, unnest(items).item_id as item_id,
from new_exposures
union all
select earlier.row_id, earlier.event_id, earlier.event_ts, earlier.item_id,
from earlier
inner join touched
    on touched.row_id = earlier.row_id;

create or replace temp table catalogue_counting as
with asked as (
    select item_id from shown_items
    union
    select item_id from touched_items
    union
    select item_id from new_outcomes where item_id is not null
),

said as (
    select
        catalogue.item_id, catalogue.valid_from, catalogue.valid_to, catalogue.category, catalogue.margin,
        catalogue.stock, loads.seq, catalogue.line,
        catalogue.load_id in (select load_id from loaded_segments) as from_log,
    from catalogue
    inner join loads
        on loads.load_id = catalogue.load_id
    where catalogue.item_id in (select item_id from asked)
    union all
    select
        item_id, valid_from, valid_to, category, margin, stock, (select coalesce(max(seq), 0) + 1 from loads) as seq, line,
        $from_log = 'yes' as from_log,
    from new_catalogue
),

known as (
    select
        item_id, valid_from, valid_to,
        last_value(
            case when not from_log or category is not null then struct_pack(said := category) end ignore nulls
        ) over so_far as category,
        last_value(
            case when not from_log or margin is not null then struct_pack(said := margin) end ignore nulls
        ) over so_far as margin,
        last_value(
            case when not from_log or stock is not null then struct_pack(said := stock) end ignore nulls
        ) over so_far as stock,
        row_number() over (partition by item_id, valid_from order by seq desc, line desc) as place,
    from said
    window so_far as (partition by item_id order by valid_from, seq, line)
)

select item_id, valid_from, valid_to, category.said as category, margin.said as margin, stock.said as stock,
from known
where place = 1;
