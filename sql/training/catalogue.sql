-- one row per item and valid_from before $until: what the catalogue says; of several rows the later load's, then the later line
--
-- A row of a file says everything, also that something is unknown. A row of the exposure log says what changed: what it
-- leaves out stays as the rows before it said.
with
    said as (
        select
            c.item_id,
            c.valid_from,
            c.valid_to,
            c.category,
            c.brand,
            c.variant_group,
            c.price,
            c.margin,
            c.stock,
            s.load_id is not null as from_log,
            l.seq,
            c.line,
        from catalogue as c
        inner join loads as l on l.load_id = c.load_id
        left join (select distinct load_id from loaded_segments) as s on s.load_id = c.load_id
        where c.valid_from < $until
    ),
    known as (
        select
            item_id,
            valid_from,
            valid_to,
            last_value(
                case when not from_log or category is not null then struct_pack(said := category) end ignore nulls
            ) over so_far as category,
            last_value(
                case when not from_log or brand is not null then struct_pack(said := brand) end ignore nulls
            ) over so_far as brand,
            last_value(
                case when not from_log or variant_group is not null then struct_pack(said := variant_group) end ignore nulls
            ) over so_far as variant_group,
            last_value(
                case when not from_log or price is not null then struct_pack(said := price) end ignore nulls
            ) over so_far as price,
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
select
    item_id,
    valid_from,
    valid_to,
    category.said as category,
    brand.said as brand,
    variant_group.said as variant_group,
    price.said as price,
    margin.said as margin,
    stock.said as stock,
from known
where place = 1
