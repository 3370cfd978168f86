-- one row per analysed unit and entry module with sessions after its first exposure: every additive fact
--
-- Where it has any: rows that cannot count for a fact are left out, and so are cells in which everything is 0.
select
    r.unit,
    r.arm,
    m.code as module,
    cast(0 as integer) as category,
    {facts}
from session_rows as r
inner join cell_values as m on m.dimension = 'module' and m.named = r.module
where {counted}
group by r.unit, r.arm, m.code
having {not_nothing}
