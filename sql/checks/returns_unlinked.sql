-- one row per arm ('(none)': units not exposed): refunds and cancels, and those that match no order line of their unit
with
    returned as (
        select
            o.unit,
            o.order_id,
            o.item_id,
            coalesce(f.arm_key, '(none)') as arm,
        from outcomes as o
        left join first_exposures as f on f.unit = o.unit
        where
            o.unit_type = $unit_type
            and o.event_ts >= $started_at
            and o.event_ts < $as_of
            and o.event_name in ('refund', 'cancel')
    ),
    judged as (
        select
            arm,
            exists (
                select 1
                from outcomes as p
                where
                    p.event_name = 'purchase'
                    and p.unit = r.unit
                    and p.order_id = r.order_id
                    and (r.item_id is null or p.item_id = r.item_id)
            ) as is_linked,
        from returned as r
    )
select
    arm,
    count(*) as returns,
    count(*) filter (where not is_linked) as unlinked,
from judged
group by arm
order by arm
