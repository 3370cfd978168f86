-- one row per member of a holdout, experiment and reason: what it met in the holdout's modules while that was in force
with
    met as (
        select
            e.event_id,
            e.experiment_key,
            e.assignment_reason,
            h.salt,
            case
                when h.unit_type = e.unit_type then e.unit_id
                when h.unit_type = 'user' then e.user_id
                when h.unit_type = 'session' then e.session_id
                when h.unit_type = 'device' then e.device_id
            end as held_id,
            -- without a strategy in the log the reason tells
            case
                when coalesce(e.strategy, '') <> '' then case when e.strategy = h.strategy then 0 else 1 end
                when e.assignment_reason = 'holdout' then 0
                else 1
            end as met_else,
        from exposures as e
        cross join audit_holdouts as h
        where
            h.holdout_key = $holdout_key
            and list_contains($modules, e.module)
            -- a decision may be an hour old when its slot is rendered
            and e.event_ts >= h.start_at + interval '1' hour
            and e.event_ts < h.end_at
    ),
    -- who was forced into an arm is never analysed
    forced as (select distinct held_id from met where assignment_reason = 'override'),
    digests as (
        select
            m.held_id,
            md5(m.salt || '-' || m.held_id) as digest,
        from (select distinct salt, held_id from met where coalesce(held_id, '') <> '') as m
        left join forced as f on f.held_id = m.held_id
        where f.held_id is null
    ),
    -- the first four bytes of the digest, big-endian, modulo 10,000
    buckets as (
        select
            held_id,
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
    )
select
    m.held_id,
    m.experiment_key,
    m.assignment_reason,
    m.met_else,
    count(*) as exposures,
from met as m
inner join buckets as b on b.held_id = m.held_id
inner join audit_holdout_ranges as r
    on r.holdout_key = $holdout_key and b.bucket >= r.first_bucket and b.bucket < r.end_bucket
group by m.held_id, m.experiment_key, m.assignment_reason, m.met_else
