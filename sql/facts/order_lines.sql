-- one row per purchased line of any unit and per maturity: what came back of it within mature_days business days
with
    matured_returns as (
        select
            r.event_id,
            m.mature_days,
            cast(sum(case when r.event_name = 'refund' then r.amount else 0 end) as bigint) as refunded,
            cast(sum(case when r.event_name = 'cancel' then r.amount else 0 end) as bigint) as cancelled,
            max(case when r.event_name = 'refund' then 1 else 0 end) = 1 as is_returned,
            max(case when r.event_name = 'cancel' then 1 else 0 end) = 1 as is_cancelled,
        from returns as r
        inner join maturities as m on r.days_after <= m.mature_days
        group by r.event_id, m.mature_days
    ),
    lines as (
        select
            l.unit,
            l.event_ts,
            l.event_day,
            l.event_id,
            m.mature_days,
            coalesce(l.item_category, '(none)') as item_category,
            l.order_id,
            l.quantity,
            l.value,
            l.value - coalesce(r.refunded, 0) - coalesce(r.cancelled, 0) as net_value,
            l.margin,
            l.discount,
            coalesce(r.refunded, 0) as returned_value,
            coalesce(r.is_returned, false) as is_returned,
            coalesce(r.is_cancelled, false) as is_cancelled,
            cast(abs(l.margin) as hugeint) * (l.value - coalesce(r.refunded, 0) - coalesce(r.cancelled, 0)) as scaled,
        from outcomes as l
        cross join maturities as m
        left join matured_returns as r on r.event_id = l.event_id and r.mature_days = m.mature_days
        where l.event_name = 'purchase'
    )
select
    unit,
    event_ts,
    event_day,
    event_id,
    mature_days,
    item_category,
    order_id,
    quantity,
    value,
    net_value,
    margin,
    case
        when value > 0 then cast(
            sign(margin) * (
                scaled // value
                + case
                    when 2 * (scaled % value) > value then 1
                    when 2 * (scaled % value) = value then (scaled // value) % 2
                    else 0
                end
            ) as bigint
        )
        when is_returned or is_cancelled then case when margin is not null then 0 end
        else margin
    end as net_margin,
    discount,
    returned_value,
    is_returned,
    is_cancelled,
from lines
