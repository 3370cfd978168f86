-- one line of a segment that is no event: an unfinished last line, or one of no version we know

update stage_malformed
set reason = 'torn'
where line in (select end_line - 1 from segment_lines where is_torn);

insert into stage_malformed by name
select
    stage.line,
    cast(stage.raw as varchar) as raw,
    case when torn.line is not null then 'torn' else 'no_event' end as reason,
from stage
left join (select end_line - 1 as line from segment_lines where is_torn) as torn
    on torn.line = stage.line
where torn.line is not null
    or not list_contains(string_split($versions, ','), coalesce(json_extract_string(stage.raw, '$.schema_version'), ''));

delete from stage
where line in (select line from stage_malformed);
