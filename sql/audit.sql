-- one row per exposure of the experiment that the hash can recompute; class says whether the log and the definition agree
with
    audited as (
        select
            event_id,
            event_ts,
            phase,
            unit_type,
            unit_id,
            user_id,
            session_id,
            device_id,
            variant,
            served_variant,
            strategy,
            coalesce(fallback, false) as fell_back,
            assignment_reason,
            hash_version,
            split_bucket,
            traffic_bucket,
            layer_bucket,
            traffic_bp,
            assignment_reason in ('split', 'arm_disabled', 'burn_in') as is_drawn,
            assignment_reason = 'interleaved' as is_interleaved,
            substr(unit_id, length(unit_id) - 20) as window_suffix,
        from exposures
        where
            experiment_key = $experiment_key
            and assignment_reason in (
                'split', 'arm_disabled', 'burn_in', 'interleaved', 'override', 'holdout', 'not_in_layer',
                'not_in_traffic'
            )
    ),
    -- an exposure meets every holdout of its phase, each by the id of the holdout's own unit type, null where it is not known
    met_holdouts as (
        select
            a.event_id,
            a.event_ts,
            h.phase,
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
        inner join audit_holdouts as h on h.phase = a.phase
    ),
    -- every id is hashed once a stage, however often it was exposed
    wanted as (
        select s.stage, s.phase, s.salt, u.unit_id
        from (select distinct phase, unit_id from audited) as u
        inner join audit_salts as s on s.phase = u.phase
        union all
        select 'holdout' as stage, phase, salt, held_id
        from (select distinct phase, salt, held_id from met_holdouts) as h
    ),
    digests as (
        select
            stage,
            phase,
            salt,
            unit_id,
            md5(salt || '-' || unit_id) as digest,
        from wanted
    ),
    -- the first four bytes of the digest, big-endian, modulo 10,000
    buckets as (
        select
            stage,
            phase,
            salt,
            unit_id,
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
    unit_buckets as (
        select
            phase,
            unit_id,
            max(case when stage = 'split' then bucket end) as split_expected,
            max(case when stage = 'traffic' then bucket end) as traffic_expected,
            max(case when stage = 'layer' then bucket end) as layer_expected,
        from buckets
        where stage <> 'holdout'
        group by phase, unit_id
    ),
    units_expected as (
        select
            u.phase,
            u.unit_id,
            u.split_expected,
            u.traffic_expected,
            u.layer_expected,
            arm.variant as variant_expected,
            own.first_bucket is not null as is_in_layer,
        from unit_buckets as u
        left join audit_arms as arm
            on arm.phase = u.phase and u.split_expected >= arm.first_bucket and u.split_expected < arm.end_bucket
        left join audit_layer_ranges as own
            on own.phase = u.phase and u.layer_expected >= own.first_bucket and u.layer_expected < own.end_bucket
    ),
    -- a decision may be an hour old when its slot is rendered, so near a holdout's edges both answers are right
    held as (
        select
            m.event_id,
            max(
                case
                    when r.holdout_key is null then 0
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
        left join buckets as b
            on b.stage = 'holdout' and b.phase = m.phase and b.salt = m.salt and b.unit_id = m.held_id
        left join audit_holdout_ranges as r
            on r.phase = m.phase
            and r.holdout_key = m.holdout_key
            and b.bucket >= r.first_bucket
            and b.bucket < r.end_bucket
        group by m.event_id
    ),
    recomputed as (
        select
            a.event_id,
            a.event_ts,
            a.phase,
            a.unit_type,
            a.unit_id,
            a.variant,
            coalesce(
                a.is_drawn
                and a.served_variant is not null
                and (
                    a.served_variant is distinct from case when known.is_control or a.assignment_reason <> 'arm_disabled'
                        then a.variant else control.variant end
                    and not (known.disabled and a.served_variant = control.variant)
                    or not a.fell_back and a.strategy is distinct from served.strategy
                ),
                false
            ) as is_served_otherwise,
            a.assignment_reason,
            a.split_bucket,
            a.traffic_bucket,
            a.layer_bucket,
            a.traffic_bp,
            a.is_drawn,
            a.is_interleaved,
            a.is_drawn or a.is_interleaved as is_let_in,
            p.design,
            p.phase is null or coalesce(a.hash_version <> p.hash_version, false) as is_unknown,
            coalesce(a.unit_id, '') = '' as has_no_id,
            a.unit_type <> p.unit_type as is_another_type,
            p.most_bp,
            u.split_expected,
            u.traffic_expected,
            u.layer_expected,
            u.variant_expected,
            known.variant is not null as is_an_arm,
            coalesce(a.event_ts >= w.start_at and a.event_ts < w.end_at, p.design <> 'switchback') as is_in_its_window,
            coalesce(a.event_ts < w.analysed_from, false) as is_burn_in,
            coalesce(u.is_in_layer, false) as is_in_layer,
            coalesce(h.must_be_held, 0) = 1 as must_be_held,
            coalesce(h.may_be_held, 0) = 1 as may_be_held,
        from audited as a
        left join audit_phases as p on p.phase = a.phase
        left join units_expected as u on u.phase = a.phase and u.unit_id = a.unit_id
        left join audit_arms as known on known.phase = a.phase and known.variant = a.variant
        left join audit_arms as served on served.phase = a.phase and served.variant = a.served_variant
        left join audit_arms as control on control.phase = a.phase and control.is_control
        left join held as h on h.event_id = a.event_id
        left join audit_windows as w on w.phase = a.phase and w.suffix = a.window_suffix
    )
select
    event_id,
    event_ts,
    phase,
    unit_type,
    unit_id,
    assignment_reason,
    variant,
    variant_expected,
    split_bucket,
    split_expected,
    traffic_bucket,
    traffic_expected,
    layer_bucket,
    layer_expected,
    traffic_bp,
    case
        when has_no_id then 'null_unit'
        when is_unknown then 'unknown_phase'
        when is_another_type then 'null_unit'
        when assignment_reason = 'override' then case when is_an_arm then 'ok' else 'variant_mismatch' end
        when not is_in_its_window then 'window_mismatch'
        when
            is_drawn
            and (
                split_bucket is distinct from split_expected
                or traffic_bucket is distinct from traffic_expected
                or layer_bucket is distinct from layer_expected
            )
            then 'bucket_mismatch'
        when
            is_interleaved
            and (traffic_bucket is distinct from traffic_expected or layer_bucket is distinct from layer_expected)
            then 'bucket_mismatch'
        when split_bucket <> split_expected or traffic_bucket <> traffic_expected or layer_bucket <> layer_expected
            then 'bucket_mismatch'
        when is_drawn and (assignment_reason = 'burn_in') <> is_burn_in then 'window_mismatch'
        when assignment_reason = 'holdout' and not may_be_held then 'holdout_mismatch'
        when assignment_reason <> 'holdout' and must_be_held then 'holdout_mismatch'
        when (is_let_in or assignment_reason = 'not_in_traffic') and not is_in_layer then 'outside_layer'
        when is_let_in and coalesce(traffic_expected >= traffic_bp or traffic_bp > most_bp, true) then 'outside_traffic'
        when assignment_reason = 'not_in_traffic' and traffic_expected < traffic_bp then 'outside_traffic'
        when is_drawn and variant is distinct from variant_expected then 'variant_mismatch'
        when not is_drawn and variant is not null then 'variant_mismatch'
        when is_interleaved and design <> 'interleaving' then 'variant_mismatch'
        when is_served_otherwise then 'served_mismatch'
        else 'ok'
    end as class,
from recomputed
