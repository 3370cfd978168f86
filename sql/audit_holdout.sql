-- one row per exposure at which the holdout was asked; class says whether the log and the holdouts' hashes agree
with
    places as (
        select
            event_id,
            event_ts,
            phase,
            unit_type,
            unit_id,
            user_id,
            session_id,
            device_id,
            assignment_reason,
            coalesce(experiment_key, '') as place_key,
            coalesce(phase, 0) as place_phase,
            case when experiment_key is null then module else '' end as place_module,
        from exposures
        where
            assignment_reason in (
                'split', 'arm_disabled', 'burn_in', 'interleaved', 'holdout', 'not_in_layer', 'not_in_traffic', 'none'
            )
    ),
    audited as (
        select
            p.event_id,
            p.event_ts,
            p.phase,
            p.unit_type,
            p.unit_id,
            p.user_id,
            p.session_id,
            p.device_id,
            p.assignment_reason,
            p.place_key,
            p.place_phase,
            p.place_module,
        from places as p
        inner join audit_places as own
            on own.place_key = p.place_key and own.place_phase = p.place_phase and own.place_module = p.place_module
        where own.holdout_key = $holdout_key
    ),
    -- every holdout that may have held the unit there, each by the id of its own unit type, null where it is not known
    met_holdouts as (
        select
            a.event_id,
            a.event_ts,
            h.holdout_key,
            h.salt,
            h.start_at,
            h.end_at,
            case
                when h.unit_type = a.unit_type then a.unit_id
                when h.unit_type = 'user' then a.user_id
                when h.unit_type = 'session' then a.session_id
                when h.unit_type = 'device' then a.device_id
            end as held_id,
        from audited as a
        inner join audit_places as there
            on there.place_key = a.place_key
            and there.place_phase = a.place_phase
            and there.place_module = a.place_module
        inner join audit_holdouts as h on h.holdout_key = there.holdout_key
    ),
    digests as (
        select
            salt,
            held_id,
            md5(salt || '-' || held_id) as digest,
        from (select distinct salt, held_id from met_holdouts) as wanted
    ),
    -- the first four bytes of the digest, big-endian, modulo 10,000
    buckets as (
        select
            salt,
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
    ),
    -- a decision may be an hour old when its slot is rendered, so near a holdout's edges both answers are right
    held as (
        select
            m.event_id,
            max(case when m.holdout_key = $holdout_key then b.bucket end) as bucket_expected,
            max(
                case
                    when m.holdout_key <> $holdout_key or r.holdout_key is null then 0
                    when m.event_ts >= m.start_at + interval '1' hour and m.event_ts < m.end_at then 1
                    else 0
                end
            ) as must_be_held,
            max(
                case
                    when m.held_id is null then 1
                    when r.holdout_key is null then 0
                    when m.event_ts >= m.start_at and m.event_ts < m.end_at + interval '1' hour then 1
                    else 0
                end
            ) as may_be_held,
        from met_holdouts as m
        left join buckets as b on b.salt = m.salt and b.held_id = m.held_id
        left join audit_holdout_ranges as r
            on r.holdout_key = m.holdout_key and b.bucket >= r.first_bucket and b.bucket < r.end_bucket
        group by m.event_id
    )
select
    a.event_id,
    a.event_ts,
    nullif(a.place_key, '') as experiment_key,
    a.phase,
    a.unit_type,
    a.unit_id,
    a.assignment_reason,
    h.bucket_expected,
    case
        when coalesce(a.unit_id, '') = '' then 'null_unit'
        when a.assignment_reason = 'holdout' and h.may_be_held = 0 then 'holdout_mismatch'
        when a.assignment_reason <> 'holdout' and h.must_be_held = 1 then 'holdout_mismatch'
        else 'ok'
    end as class,
from audited as a
inner join held as h on h.event_id = a.event_id
