-- one row per session of an analysed unit: post, pre or neither
--
-- The session under way at the first exposure counts from there on: a page is often viewed before its slot is shown, and
-- without that session its order would stand in a numerator and not in the denominator.
select
    s.unit,
    greatest(s.session_ts, case when s.last_ts >= e.first_ts then e.first_ts else s.session_ts end) as event_ts,
    s.event_day,
    e.arm,
    e.first_ts,
    s.last_ts >= e.first_ts as post,
    (
        s.event_day < e.any_phase_first_day
        and s.event_day >= e.any_phase_first_day - cast($covariate_days as integer)
    ) as pre,
    case when s.last_ts >= e.first_ts then cast($as_of_day as date) else e.any_phase_first_day end as ripe_before,
    s.entry_module as module,
    s.has_click,
    s.has_add_to_cart,
    s.has_order,
from sessions as s
inner join first_exposures as e on e.unit = s.unit and e.excluded_reason is null
where
    s.unit >= $unit_from
    and s.unit < $unit_to
    and s.event_day >= $since_day
    and s.session_ts < $outcome_end
