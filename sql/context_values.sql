-- one row per dimension of the first exposure that slices take and value in it: the analysed units that have it
with
    analysed as (
        select
            module,
            page_category,
            platform,
            browser,
            country,
            app_version,
        from first_exposures
        where excluded_reason is null
    )
select 'module' as dimension, module as named, count(*) as units from analysed group by module
union all
select 'page_category' as dimension, page_category as named, count(*) as units from analysed group by page_category
union all
select 'platform' as dimension, platform as named, count(*) as units
from analysed
where list_contains($dimensions, 'platform')
group by platform
union all
select 'browser' as dimension, browser as named, count(*) as units
from analysed
where list_contains($dimensions, 'browser')
group by browser
union all
select 'country' as dimension, country as named, count(*) as units
from analysed
where list_contains($dimensions, 'country')
group by country
union all
select 'app_version' as dimension, app_version as named, count(*) as units
from analysed
where list_contains($dimensions, 'app_version')
group by app_version
