-- one row: the newest load after $seq that is a file, not a part of the exposure log, and brought a row of before $before
with
    files as (
        select seq, load_id
        from loads
        where seq > $seq
            and load_id not in (select load_id from loaded_segments)
    ),
    brought as (
        select load_id, event_ts as moment from exposures where load_id in (select load_id from files)
        union all
        select load_id, event_ts as moment from outcomes where load_id in (select load_id from files)
        union all
        select load_id, valid_from as moment from catalogue where load_id in (select load_id from files)
        union all
        select load_id, first_seen as moment from identity where load_id in (select load_id from files)
    )
select max(seq) as seq
from files
where load_id in (select load_id from brought where moment < $before)
