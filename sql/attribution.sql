-- one row per analysed unit and time at which it bought something: the owner of those order lines, as a module's code
--
-- The owner is the module of the unit's last click at or after its first exposure and within attribution_days of the
-- line (of clicks at one time, the smallest code); '(search)' when that click has a query and no module, '(unknown)'
-- when it has neither, '(direct)' without such a click. It is accounting, never part of an effect.
with
    bought as (
        select distinct
            unit,
            event_ts,
            first_ts,
        from order_line_rows
        where post
    ),
    owners as (
        select
            named,
            code,
        from cell_values
        where dimension = 'module'
    ),
    clicks as (
        select
            c.unit,
            c.event_ts,
            epoch_us(c.event_ts) - epoch_us(b.first_ts) as age_us,
            coalesce(c.module, case when c.query is not null then '(search)' else '(unknown)' end) as owner,
        from outcomes as c
        inner join (select distinct unit, first_ts from bought) as b on b.unit = c.unit and c.event_ts >= b.first_ts
        where
            c.event_name = 'click'
            and c.unit >= $unit_from
            and c.unit < $unit_to
            and c.event_day >= $since_day
            and c.event_ts < $outcome_end
    ),
    timeline as (
        select
            unit,
            event_ts,
            epoch_us(event_ts) - epoch_us(first_ts) as age_us,
            cast(null as bigint) as click,
        from bought
        union all
        select
            c.unit,
            c.event_ts,
            c.age_us,
            c.age_us * 65536 + (65535 - o.code) as click,
        from clicks as c
        inner join owners as o on o.named = c.owner
    ),
    last_clicks as (
        select
            unit,
            event_ts,
            age_us,
            click is null as is_line,
            max(click) over (
                partition by unit
                order by event_ts
                range between unbounded preceding and current row
            ) as click,
        from timeline
    )
select
    unit,
    event_ts as bought_ts,
    cast(
        case
            when click // 65536 >= age_us - cast($attribution_days as bigint) * 86400000000 then 65535 - click % 65536
            else (select code from owners where named = '(direct)')
        end as integer
    ) as owner,
from last_clicks
where is_line
