-- one row per arm: units that came in the run and whom the split gives to it, and those of them that were exposed
with
    came as (
        select distinct
            s.unit,
        from sessions as s
        where s.last_ts >= $started_at and s.session_ts < $outcome_end
    ),
    digests as (
        select
            c.unit,
            md5($split_salt || '-' || u.unit_id) as digest,
        from came as c
        inner join units as u on u.unit = c.unit
        where u.unit_type = $unit_type
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
    arms as (
        select
            unnest($split_arms) as arm,
            unnest($split_starts) as first_bucket,
            unnest($split_ends) as end_bucket,
    )
select
    a.arm,
    count(*) as units,
    count(f.unit) as units_exposed,
from buckets as b
inner join arms as a on b.bucket >= a.first_bucket and b.bucket < a.end_bucket
left join first_exposures as f on f.unit = b.unit
group by a.arm
order by a.arm
