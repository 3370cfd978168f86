-- one row per reason (null when there is none): rows of all loads that broke the contract, a row with two reasons in both
with
    loaded as (
        select
            cast(coalesce(sum(emitted + rows_malformed), 0) as bigint) as rows_read,
        from loads
    ),
    refused as (
        select
            count(*) as rows_rejected,
        from rejected
    ),
    named as (
        select
            unnest(reasons) as reason,
        from rejected
    ),
    by_reason as (
        select
            reason,
            count(*) as rows,
        from named
        group by reason
    )
select
    b.reason,
    b.rows,
    r.rows_rejected,
    l.rows_read,
from loaded as l
cross join refused as r
left join by_reason as b on r.rows_rejected > 0
order by b.rows desc, b.reason
