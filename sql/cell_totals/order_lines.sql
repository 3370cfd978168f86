-- one row per analysed unit, owner and item category with order lines after its first exposure: every additive fact
--
-- Where it has any: rows that cannot count for a fact are left out, and so are cells in which everything is 0.
select
    r.unit,
    r.arm,
    a.owner as module,
    c.code as category,
    {facts}
from order_line_rows as r
inner join attribution as a on a.unit = r.unit and a.bought_ts = r.event_ts
inner join cell_values as c on c.dimension = 'item_category' and c.named = r.item_category
where {counted}
group by r.unit, r.arm, a.owner, c.code
having {not_nothing}
