-- one row: business days on which an analysed unit was exposed or acted, and the newest event before the data cut
with
    units as (
        select
            unit,
            first_ts,
            first_day,
        from first_exposures
        where experiment_key = $experiment_key and phase = $phase and excluded_reason is null
    ),
    entry_days as (
        select distinct first_day as event_day
        from units
    ),
    -- a day on which a unit entered needs no search
    acted_days as (
        select distinct o.event_day
        from outcomes as o
        inner join units as u on u.unit = o.unit and o.event_ts >= u.first_ts
        where o.event_ts < $outcome_end and o.event_day not in (select event_day from entry_days)
    ),
    shown_days as (
        select distinct s.event_day
        from exposures as s
        inner join units as u on u.unit = s.unit and s.event_ts >= u.first_ts
        where s.event_ts < $outcome_end and s.event_day not in (select event_day from entry_days)
    ),
    active_days as (
        select event_day from entry_days
        union
        select event_day from acted_days
        union
        select event_day from shown_days
    )
select
    (select count(*) from active_days) as days,
    (select max(event_ts) from exposures where event_ts < $as_of) as newest_exposure,
    (select max(event_ts) from outcomes where event_ts < $as_of) as newest_outcome,
