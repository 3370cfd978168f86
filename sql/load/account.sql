-- one load: what became of every source row of the file, and of every row emitted from them

create or replace temp table added as
select line, from new_exposures
union all
select line, from new_outcomes
union all
select line, from new_catalogue
union all
select line, from new_identity;

create or replace temp table emitting as
select line, from emitted_exposures
union all
select line, from emitted_outcomes
union all
select line, from emitted_catalogue
union all
select line, from emitted_identity;

create or replace temp table new_load as
select
    $load_id as load_id,
    (select coalesce(max(seq), 0) + 1 from loads) as seq,
    $file as file,
    $file_digest as file_digest,
    $mapping_name as mapping_name,
    $mapping_digest as mapping_digest,
    cast($loaded_at as timestamp) as loaded_at,
    (select count(*) from stage) + (select count(*) from stage_malformed) as rows_read,
    (select count(*) from stage_malformed) as rows_malformed,
    (select count(*) from stage where line not in (select line from emitting)) as rows_not_emitted,
    (select 'line ' || min(line) from stage where line not in (select line from emitting)) as not_emitted_example,
    (select count(*) from repeats) as rows_repeated,
    (select count(*) from repeats where line in (select line from added)) as rows_repeated_kept,
    (select count(*) from emitting) as emitted,
    (select count(*) from added) as accepted,
    (select count(*) from emitting) - (select count(*) from added) - (select count(*) from refused) as duplicates,
    (select count(*) - count(distinct event_id) from emitted_exposures where len(reasons) = 0)
    + (select count(*) - count(distinct event_id) from emitted_outcomes where len(reasons) = 0) as copies,
    (select count(*) from said_before) as said_before,
    (select count(*) from refused) + (select count(*) from stage_malformed) as rejected;

create or replace temp table new_rejected as
select
    $load_id as load_id,
    $file as file,
    line,
    emit,
    to_table,
    reasons,
    raw,
from refused_rows;
