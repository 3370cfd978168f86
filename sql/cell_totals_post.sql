-- one row per analysed unit, source, module and category with rows after first exposure: every additive fact of it
--
-- source is 0 slates, 1 interactions, 2 order lines, 3 sessions; category is the page's for slates, else the item's.
with
    modules as (
        select
            named,
            code,
        from cell_values
        where dimension = 'module'
    ),
    page_categories as (
        select
            named,
            code,
        from cell_values
        where dimension = 'page_category'
    ),
    item_categories as (
        select
            named,
            code,
        from cell_values
        where dimension = 'item_category'
    )
select
    r.unit,
    cast(0 as tinyint) as source,
    m.code as module,
    c.code as category,
    {slates}
from slate_rows as r
inner join modules as m on m.named = r.module
inner join page_categories as c on c.named = r.page_category
where r.post and list_contains($sources, 'slates')
group by r.unit, m.code, c.code
union all
select
    r.unit,
    cast(1 as tinyint) as source,
    m.code as module,
    c.code as category,
    {interactions}
from interaction_rows as r
inner join modules as m on m.named = r.module
inner join item_categories as c on c.named = r.item_category
where r.post and list_contains($sources, 'interactions')
group by r.unit, m.code, c.code
union all
select
    r.unit,
    cast(2 as tinyint) as source,
    a.owner as module,
    c.code as category,
    {order_lines}
from order_line_rows as r
inner join attribution as a on a.unit = r.unit and a.event_ts = r.event_ts
inner join item_categories as c on c.named = r.item_category
where r.post and list_contains($sources, 'order_lines')
group by r.unit, a.owner, c.code
union all
select
    r.unit,
    cast(3 as tinyint) as source,
    m.code as module,
    cast(0 as integer) as category,
    {sessions}
from session_rows as r
inner join modules as m on m.named = r.module
where r.post and list_contains($sources, 'sessions')
group by r.unit, m.code
