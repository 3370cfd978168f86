-- one row per analysed unit, module and page category with slates after its first exposure: every additive fact
select
    r.unit,
    r.arm,
    m.code as module,
    c.code as category,
    {facts}
from slate_rows as r
inner join cell_values as m on m.dimension = 'module' and m.named = r.module
inner join cell_values as c on c.dimension = 'page_category' and c.named = r.page_category
group by r.unit, r.arm, m.code, c.code
having max(case when r.post then 1 else 0 end) = 1
