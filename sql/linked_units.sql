-- one row per unit of a person who met two arms under several ids; of several links of one id the first seen counts
with
    links as (
        select
            anonymous_id,
            user_id,
            row_number() over (partition by anonymous_id order by first_seen, user_id) as place,
        from identity
        where first_seen < $outcome_end
    ),
    people as (
        select
            f.unit,
            f.arm,
            f.excluded_reason,
            case
                when l.user_id is not null then l.user_id
                when u.unit_type = 'user' then u.unit_id
            end as person,
        from first_exposures as f
        inner join units as u on u.unit = f.unit
        left join links as l on l.anonymous_id = u.unit_id and l.place = 1
    ),
    crossed as (
        select person
        from people
        where person is not null
        group by person
        having min(arm) <> max(arm) or max(case when excluded_reason = 'two_arms' then 1 else 0 end) = 1
    )
select p.unit
from people as p
inner join crossed as c on c.person = p.person
