-- scalar functions of a load; those that convert return (value, fault): a value, or why there is none, or neither for null
-- `list_transform([x], lambda v: ...)[1]` is "let v be x": without it DuckDB computes x again in every branch.

-- whether a text is a decimal number: plain or scientific, a point for the decimals, nothing else
create or replace temp macro load_is_number(t) as
    regexp_full_match(t, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?');

-- the number is mantissa / 10^places, exactly; the mantissa is null beyond 38 digits
create or replace temp macro load_decimal(t) as
    list_transform(
        [regexp_extract(t, '^([+-]?)([0-9]*)[.]?([0-9]*?)0*(?:[eE]([+-]?[0-9]+))?$', ['sign', 'whole', 'part', 'power'])],
        lambda n: struct_pack(
            mantissa := try_cast(replace(n.sign, '+', '') || n.whole || n.part as hugeint),
            places := length(n.part) - coalesce(try_cast(n.power as bigint), 0)
        )
    )[1];

-- 10^n for n in 0..38
create or replace temp macro load_power(n) as
    cast(rpad('1', cast(greatest(least(n, 38), 0) + 1 as integer), '0') as hugeint);

-- mantissa / 10^places to a whole number, half to even; null when it does not fit 38 digits
create or replace temp macro load_half_even(mantissa, places) as
    case
        when mantissa is null or places < -38 and mantissa <> 0 then null
        when mantissa = 0 or places > 38 then 0::hugeint
        when places = 0 then mantissa
        when places < 0 then try(mantissa * load_power(-places))
        else list_transform(
            [struct_pack(size := abs(mantissa), by := load_power(places))],
            lambda d: (case when mantissa < 0 then -1 else 1 end) * (
                d.size // d.by
                + case
                    when d.size % d.by > d.by - d.size % d.by then 1
                    when d.size % d.by = d.by - d.size % d.by then (d.size // d.by) % 2
                    else 0
                end
            )
        )[1]
    end;

-- amount × factor × rate in units of 10^-digits; the texts are decimal numbers, multiplied exactly, then rounded once
create or replace temp macro load_money(amount, factor, rate, digits) as
    case
        when amount is null then struct_pack(value := null::hugeint, fault := null::varchar)
        when load_is_number(amount) is not true or load_is_number(factor) is not true
            then struct_pack(value := null::hugeint, fault := 'not_number')
        else list_transform(
            [struct_pack(a := load_decimal(amount), f := load_decimal(factor), r := load_decimal(rate))],
            lambda n: list_transform(
                [struct_pack(
                    m := try(n.a.mantissa * n.f.mantissa * n.r.mantissa),
                    p := n.a.places + n.f.places + n.r.places - digits
                )],
                lambda x: list_transform(
                    [load_half_even(x.m, x.p)],
                    lambda v: struct_pack(value := v, fault := case when v is null then 'too_precise' end)
                )[1]
            )[1]
        )[1]
    end;

-- a whole number's text; 17850.0 is whole, 1.5 is not, and 10^30 stands for what is larger still
create or replace temp macro load_whole(t) as
    case
        when t is null then struct_pack(value := null::hugeint, fault := null::varchar)
        when load_is_number(t) is not true then struct_pack(value := null::hugeint, fault := 'not_integer')
        else list_transform(
            [load_decimal(t)],
            lambda n: struct_pack(
                value := case
                    when n.places <= 0 then coalesce(
                        load_half_even(n.mantissa, n.places),
                        (case when starts_with(t, '-') then -1 else 1 end) * load_power(30)
                    )
                end,
                fault := case when n.places > 0 then 'not_integer' end
            )
        )[1]
    end;

-- a local time of a zone as UTC; refused in the hour a clock skips, and in the hour it shows twice
create or replace temp macro load_place(local_ts, zone) as
    case
        when local_ts is null then struct_pack(value := null::timestamp, fault := null::varchar)
        when zone is null then struct_pack(value := null::timestamp, fault := 'no_zone')
        when zone = 'UTC' then struct_pack(value := local_ts, fault := null::varchar)
        -- the instant by the offset of the day before, and by that of the day after
        else list_transform(
            [struct_pack(
                before := (((local_ts - to_days(1)) at time zone zone) at time zone 'UTC') + to_days(1),
                later := (((local_ts + to_days(1)) at time zone zone) at time zone 'UTC') - to_days(1)
            )],
            lambda u: list_transform(
                [struct_pack(
                    before_fits := (u.before at time zone 'UTC') at time zone zone = local_ts,
                    later_fits := (u.later at time zone 'UTC') at time zone zone = local_ts
                )],
                lambda fit: case
                    when fit.before_fits and fit.later_fits and u.before <> u.later
                        then struct_pack(value := null::timestamp, fault := 'ambiguous')
                    when fit.before_fits then struct_pack(value := u.before, fault := null::varchar)
                    when fit.later_fits then struct_pack(value := u.later, fault := null::varchar)
                    else struct_pack(value := null::timestamp, fault := 'nonexistent')
                end
            )[1]
        )[1]
    end;

-- minutes east of UTC of a zone written Z, UTC, +hh, +hhmm or +hh:mm
create or replace temp macro load_offset(zone) as
    case
        when zone in ('Z', 'UTC') then 0
        else (case when starts_with(zone, '-') then -1 else 1 end) * (
            60 * cast(substr(zone, 2, 2) as bigint)
            + cast(case when length(zone) > 3 then right(zone, 2) else '0' end as bigint)
        )
    end;

-- an ISO 8601 text as UTC; without a zone of its own it is a local time of `zone` ($instant_pattern: the contract's)
create or replace temp macro load_time(t, zone) as
    case
        when t is null then struct_pack(value := null::timestamp, fault := null::varchar)
        else list_transform(
            [regexp_extract(t, $instant_pattern, ['day', 'minute', 'second', 'fraction', 'zone'])],
            lambda part: list_transform(
                [
                    try_cast(
                        part.day
                        || (case when part.minute = '' then ' 00:00' else ' ' || part.minute end)
                        || (case when part.second = '' then ':00' else ':' || part.second end)
                        as timestamp
                    ) + to_microseconds(cast(rpad(left(part.fraction, 6), 6, '0') as bigint))
                ],
                lambda clock: case
                    when clock is null then struct_pack(value := null::timestamp, fault := 'not_time')
                    when part.zone = '' then load_place(clock, zone)
                    else struct_pack(value := clock - to_minutes(load_offset(part.zone)), fault := null::varchar)
                end
            )[1]
        )[1]
    end;

-- seconds (places 6), milliseconds (3) or microseconds (0) since 1970 as UTC, to the microsecond, half to even
create or replace temp macro load_epoch(t, places) as
    case
        when t is null then struct_pack(value := null::timestamp, fault := null::varchar)
        when load_is_number(t) is not true then struct_pack(value := null::timestamp, fault := 'not_time')
        else list_transform(
            [load_decimal(t)],
            lambda n: list_transform(
                [load_half_even(n.mantissa, n.places - places)],
                lambda us: struct_pack(
                    value := case when abs(us) < 8000000000000000 then make_timestamp(cast(us as bigint)) end,
                    fault := case when coalesce(abs(us) >= 8000000000000000, true) then 'out_of_range' end
                )
            )[1]
        )[1]
    end;
