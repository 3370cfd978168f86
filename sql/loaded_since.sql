-- one row: the newest load, the earliest row that the loads after $seq brought, and the newest of slates and of outcomes
--
-- Times are minutes since 1970. Rows at or after $before are not there yet.
with
    later as (
        select load_id
        from loads
        where seq > $seq
    ),
    brought as (
        select min(event_ts) as first_ts from exposures where load_id in (select load_id from later)
        union all
        select min(event_ts) as first_ts from outcomes where load_id in (select load_id from later)
        union all
        select min(valid_from) as first_ts from catalogue where load_id in (select load_id from later)
    )
select
    (select max(seq) from loads) as seq,
    (select max(load_id) from loads where seq = (select max(seq) from loads)) as load_id,
    (select max(load_id) from loads where seq = $seq) as load_id_then,
    (select date_diff('minute', timestamp '1970-01-01', min(first_ts)) from brought) as earliest,
    (select date_diff('minute', timestamp '1970-01-01', min(event_ts)) from exposures) as first_slate,
    (
        select date_diff('minute', timestamp '1970-01-01', max(event_ts))
        from exposures
        where event_ts < $before
    ) as newest_slate,
    (
        select date_diff('minute', timestamp '1970-01-01', max(event_ts))
        from outcomes
        where event_ts < $before
    ) as newest_outcome
