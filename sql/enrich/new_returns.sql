-- one order line and refund or cancel that takes something from it, of every order that the load touches
--
-- The refunds and cancels of an order are worked in time order. Each fills the order's lines (those of its item, when it
-- names one) in time order, up to what is left of each; without a value it takes all that is left. A line of value 0 is
-- taken once, by the first that names its item or gives no value. What a later refund takes never changes what an earlier
-- one took, so a cut in time or in days is a filter on this table.

create or replace temp table new_returns as
with recursive
    order_rows as (
        select unit, order_id, event_ts, event_id, event_day, event_name, item_id, value,
        from outcomes
        where event_name in ('purchase', 'refund', 'cancel')
            and unit in (select unit from touched_orders)
        union all
        select
            unit_keys.unit, rows.order_id, rows.event_ts, rows.event_id, rows.event_day, rows.event_name, rows.item_id,
            rows.value,
        from new_outcomes as rows
        inner join unit_keys
            on unit_keys.unit_type = rows.unit_type and unit_keys.unit_id = rows.unit_id
    ),
    returned_orders as (
        select
            r.unit,
            r.order_id,
            r.event_ts,
            r.event_id,
            r.event_day,
            r.event_name,
            r.item_id,
            r.value,
            row_number() over (partition by r.unit, r.order_id order by r.event_ts, r.event_id) as step,
        from order_rows as r
        inner join touched_orders as t on t.unit = r.unit and t.order_id = r.order_id
        where r.event_name in ('refund', 'cancel')
    ),
    affected_orders as (
        select distinct
            unit,
            order_id,
        from returned_orders
    ),
    bought as (
        select
            l.unit,
            l.order_id,
            l.event_id,
            l.event_day,
            l.item_id,
            coalesce(l.value, 0) as value,
            row_number() over (partition by l.unit, l.order_id order by l.event_ts, l.event_id) as place,
        from order_rows as l
        inner join affected_orders as a on a.unit = l.unit and a.order_id = l.order_id
        where l.event_name = 'purchase'
    ),
    worked as (
        select
            unit,
            order_id,
            event_id,
            event_day,
            item_id,
            value,
            place,
            cast(0 as bigint) as step,
            value as remaining,
            false as touched,
            cast(null as varchar) as event_name,
            cast(null as date) as return_day,
            cast(null as bigint) as amount,
        from bought
        union all
        select
            unit,
            order_id,
            event_id,
            event_day,
            item_id,
            value,
            place,
            step,
            remaining - taken as remaining,
            touched or took as touched,
            event_name,
            return_day,
            case when took then taken end as amount,
        from (
            select
                *,
                taken > 0 or (matches and value = 0 and not touched and takes_free) as took,
            from (
                select
                    *,
                    asked_item is not null or asked is null as takes_free,
                    case
                        when not matches then 0
                        when asked is null then remaining
                        else greatest(
                            0,
                            least(
                                remaining,
                                asked - coalesce(
                                    sum(case when matches then remaining else 0 end) over (
                                        partition by unit, order_id
                                        order by place
                                        rows between unbounded preceding and 1 preceding
                                    ),
                                    0
                                )
                            )
                        )
                    end as taken,
                from (
                    select
                        w.unit,
                        w.order_id,
                        w.event_id,
                        w.event_day,
                        w.item_id,
                        w.value,
                        w.place,
                        r.step,
                        w.remaining,
                        w.touched,
                        r.event_name,
                        r.event_day as return_day,
                        r.value as asked,
                        r.item_id as asked_item,
                        r.item_id is null or coalesce(r.item_id = w.item_id, false) as matches,
                    from worked as w
                    inner join returned_orders as r
                        on r.unit = w.unit and r.order_id = w.order_id and r.step = w.step + 1
                ) as asked_lines
            ) as taken_lines
        ) as worked_lines
    )
select
    unit,
    order_id,
    event_id,
    event_name,
    date_diff('day', event_day, return_day) as days_after,
    cast(amount as bigint) as amount,
from worked
where amount is not null;
