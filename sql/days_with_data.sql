-- one row: business days on which an analysed unit was exposed or acted, and the newest event before the data cut
with
    active_days as (
        select distinct o.event_day
        from outcomes as o
        inner join first_exposures as f
            on
                f.unit = o.unit
                and f.experiment_key = $experiment_key
                and f.phase = $phase
                and f.excluded_reason is null
                and o.event_ts >= f.first_ts
        where o.event_ts < $outcome_end
        union
        select distinct s.event_day
        from exposures as s
        inner join first_exposures as f
            on
                f.unit = s.unit
                and f.experiment_key = $experiment_key
                and f.phase = $phase
                and f.excluded_reason is null
                and s.event_ts >= f.first_ts
        where s.event_ts < $outcome_end
    )
select
    (select count(*) from active_days) as days,
    (select max(event_ts) from exposures where event_ts < $as_of) as newest_exposure,
    (select max(event_ts) from outcomes where event_ts < $as_of) as newest_outcome,
