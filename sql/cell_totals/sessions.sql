-- one row per analysed unit and entry module with sessions after its first exposure: every additive fact
select
    r.unit,
    r.arm,
    m.code as module,
    cast(0 as integer) as category,
    {facts}
from session_rows as r
inner join cell_values as m on m.dimension = 'module' and m.named = r.module
group by r.unit, r.arm, m.code
having max(case when r.post then 1 else 0 end) = 1
