-- one row per analysed unit, module and page category with slates after its first exposure: every additive fact
--
-- Where it has any: rows that cannot count for a fact are left out, and so are cells in which everything is 0.
select
    r.unit,
    r.arm,
    m.code as module,
    c.code as category,
    {facts}
from slate_rows as r
inner join cell_values as m on m.dimension = 'module' and m.named = r.module
inner join cell_values as c on c.dimension = 'page_category' and c.named = r.page_category
where {counted}
group by r.unit, r.arm, m.code, c.code
having {not_nothing}
