-- one item and valid_from: what the catalogue says, counting this load; of several rows the later load's, then the later line

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
    from catalogue
    inner join loads
        on loads.load_id = catalogue.load_id
    where catalogue.item_id in (select item_id from asked)
    union all
    select
        item_id, valid_from, valid_to, category, margin, stock, (select coalesce(max(seq), 0) + 1 from loads) as seq, line,
    from new_catalogue
),

ranked as (
    select
        *,
        row_number() over (partition by item_id, valid_from order by seq desc, line desc) as place,
    from said
)

select item_id, valid_from, valid_to, category, margin, stock,
from ranked
where place = 1;
