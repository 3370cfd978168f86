-- one item and valid_from: what the catalogue says, counting this load; of several rows the later load's, then the later line

create or replace temp table touched_items as
select item_id, min(valid_from) as since_ts,
from new_catalogue
group by item_id;

create or replace temp table catalogue_counting as
with asked as (
    select item_id from touched_items
    union
    select item_id from new_outcomes where item_id is not null
    union
    select unnest(items).item_id from new_exposures
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
