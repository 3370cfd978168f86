-- one row per analysed unit with order lines: how many different values of a column they have
select
    $name as name,
    unit,
    {facts}
from order_line_rows
group by unit
