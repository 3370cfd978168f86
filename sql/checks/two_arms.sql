-- one row per arm: units first exposed in it, and those of them that were seen in another arm too
select
    arm_key as arm,
    count(*) as units,
    count(*) filter (where excluded_reason = 'two_arms') as units_in_two_arms,
    cast(min(first_day) filter (where excluded_reason = 'two_arms') as varchar) as first_day,
from first_exposures
group by arm_key
order by arm
