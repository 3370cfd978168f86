-- one row: the newest exposure and the newest outcome before the data cut
select
    (select max(event_ts) from exposures where event_ts < $as_of) as newest_exposure,
    (select max(event_ts) from outcomes where event_ts < $as_of) as newest_outcome,
