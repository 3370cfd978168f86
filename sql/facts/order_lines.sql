-- one row per purchased line of an analysed unit: post, pre or neither, with what came back of it
--
-- A line of which something came back has one row per maturity in use, each with what came back by then; of any other
-- line mature_days is null, for it is the same at every maturity.
select
    s.unit,
    s.event_ts,
    s.event_day,
    s.arm,
    s.first_ts,
    s.post,
    s.pre,
    s.ripe_before,
    s.mature_days,
    s.item_category,
    s.order_id,
    s.quantity,
    s.value,
    s.value - s.refunded - s.cancelled as net_value,
    s.margin,
    case
        when not s.is_returned and not s.is_cancelled then s.margin
        when s.value > 0 then cast(
            sign(s.margin) * (
                s.kept_margin // s.value
                + case
                    when 2 * (s.kept_margin % s.value) > s.value then 1
                    when 2 * (s.kept_margin % s.value) = s.value then (s.kept_margin // s.value) % 2
                    else 0
                end
            ) as bigint
        )
        else 0 * s.margin
    end as net_margin,
    s.discount,
    s.refunded as returned_value,
    s.is_returned,
    s.is_cancelled,
from (
    select
        l.unit,
        l.event_ts,
        l.event_day,
        e.arm,
        e.first_ts,
        l.event_ts >= e.first_ts as post,
        (
            l.event_day < e.any_phase_first_day
            and l.event_day >= e.any_phase_first_day - cast($covariate_days as integer)
        ) as pre,
        case when l.event_ts >= e.first_ts then cast($as_of_day as date) else e.any_phase_first_day end as ripe_before,
        r.mature_days,
        coalesce(l.item_category, '(none)') as item_category,
        l.order_id,
        l.quantity,
        l.value,
        l.margin,
        l.discount,
        coalesce(r.refunded, 0) as refunded,
        coalesce(r.cancelled, 0) as cancelled,
        coalesce(r.is_returned, false) as is_returned,
        coalesce(r.is_cancelled, false) as is_cancelled,
        case
            when r.mature_days is not null
                then cast(abs(l.margin) as hugeint) * (l.value - r.refunded - r.cancelled)
        end as kept_margin,
    from outcomes as l
    inner join first_exposures as e on e.unit = l.unit and e.excluded_reason is null
    left join (
        select
            event_id,
            mature_days,
            cast(sum(case when event_name = 'refund' and in_time then amount else 0 end) as bigint) as refunded,
            cast(sum(case when event_name = 'cancel' and in_time then amount else 0 end) as bigint) as cancelled,
            max(case when event_name = 'refund' and in_time then 1 else 0 end) = 1 as is_returned,
            max(case when event_name = 'cancel' and in_time then 1 else 0 end) = 1 as is_cancelled,
        from (
            select
                t.event_id,
                t.event_name,
                t.amount,
                d.mature_days,
                t.days_after <= d.mature_days as in_time,
            from returns as t
            cross join (select unnest($mature_days) as mature_days) as d
        ) as came_back
        group by event_id, mature_days
    ) as r on r.event_id = l.event_id
    where
        l.event_name = 'purchase'
        and l.unit >= $unit_from
        and l.unit < $unit_to
        and l.event_day >= $since_day
        and l.event_ts < $outcome_end
) as s
