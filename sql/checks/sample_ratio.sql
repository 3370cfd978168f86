-- one row per dimension (overall, browser), value and arm: the analysed units, by where they were first exposed
with
    analysed as (
        select
            arm_key,
            browser,
        from first_exposures
        where excluded_reason is null
    ),
    everyone as (
        select
            'overall' as dimension,
            'all' as value,
            arm_key as arm,
            count(*) as units,
        from analysed
        group by arm_key
    ),
    browsers as (
        select
            'browser' as dimension,
            browser as value,
            arm_key as arm,
            count(*) as units,
        from analysed
        group by browser, arm_key
    )
select
    dimension,
    value,
    arm,
    units,
from everyone
union all
select
    dimension,
    value,
    arm,
    units,
from browsers
order by dimension, value, arm
