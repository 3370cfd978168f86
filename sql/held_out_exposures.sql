-- one row per unit exposed in a module of the holdout, in the arm its hash gives it; the columns of first_exposures
with
    arms as (
        select
            variant,
            list_position($arms, variant) - 1 as arm,
        from (select unnest($arms) as variant) as given
    ),
    ranges as (
        select
            unnest($holdout_starts) as first_bucket,
            unnest($holdout_ends) as end_bucket,
    ),
    firsts as (
        select
            unit,
            min(unit_id) as unit_id,
            min(event_ts) as first_ts,
            max(case when assignment_reason = 'override' then 1 else 0 end) as is_forced,
        from exposures
        where
            list_contains($modules, module)
            and unit_type = $unit_type
            and unit >= $unit_from
            and unit < $unit_to
            and event_ts >= $started_at
            and event_ts < $outcome_end
        group by unit
    ),
    digests as (
        select
            unit,
            md5($holdout_salt || '-' || unit_id) as digest,
        from firsts
    ),
    -- the first four bytes of the digest, big-endian, modulo 10,000
    buckets as (
        select
            unit,
            (
                (strpos('0123456789abcdef', substr(digest, 1, 1)) - 1) * 268435456
                + (strpos('0123456789abcdef', substr(digest, 2, 1)) - 1) * 16777216
                + (strpos('0123456789abcdef', substr(digest, 3, 1)) - 1) * 1048576
                + (strpos('0123456789abcdef', substr(digest, 4, 1)) - 1) * 65536
                + (strpos('0123456789abcdef', substr(digest, 5, 1)) - 1) * 4096
                + (strpos('0123456789abcdef', substr(digest, 6, 1)) - 1) * 256
                + (strpos('0123456789abcdef', substr(digest, 7, 1)) - 1) * 16
                + (strpos('0123456789abcdef', substr(digest, 8, 1)) - 1)
            ) % 10000 as bucket,
        from digests
    ),
    -- the first arm is who is held out, the second the rest
    units_arms as (
        select
            b.unit,
            case when r.first_bucket is null then 1 else 0 end as arm,
        from buckets as b
        left join ranges as r on b.bucket >= r.first_bucket and b.bucket < r.end_bucket
    ),
    -- of several rows at one time the first in this order is the unit's first exposure
    ranked_rows as (
        select
            f.unit,
            f.first_ts,
            f.is_forced,
            e.event_day,
            e.module,
            coalesce(e.page_category, '(none)') as page_category,
            coalesce(e.browser, '(none)') as browser,
            coalesce(e.platform, '(none)') as platform,
            coalesce(e.country, '(none)') as country,
            coalesce(e.app_version, '(none)') as app_version,
            coalesce(e.is_bot, false) as is_bot,
            coalesce(e.is_internal, false) as is_internal,
            row_number() over (
                partition by f.unit
                order by
                    list_position($modules, e.module),
                    coalesce(e.page_category, '(none)'),
                    coalesce(e.browser, '(none)'),
                    coalesce(e.platform, '(none)'),
                    coalesce(e.country, '(none)'),
                    coalesce(e.app_version, '(none)'),
                    coalesce(e.is_bot, false) desc,
                    coalesce(e.is_internal, false) desc
            ) as place,
        from firsts as f
        inner join exposures as e on e.unit = f.unit and e.event_ts = f.first_ts
        where
            list_contains($modules, e.module)
            and e.unit >= $unit_from
            and e.unit < $unit_to
    )
select
    r.unit,
    cast(a.arm as tinyint) as arm,
    a.variant as arm_key,
    r.first_ts,
    r.event_day as first_day,
    r.event_day as any_phase_first_day,
    r.module,
    r.page_category,
    r.browser,
    r.platform,
    r.country,
    r.app_version,
    case
        when r.is_forced = 1 then 'override'
        when r.is_bot then 'bot'
        when r.is_internal then 'internal'
    end as excluded_reason,
from ranked_rows as r
inner join units_arms as u on u.unit = r.unit
inner join arms as a on a.arm = u.arm
where r.place = 1
