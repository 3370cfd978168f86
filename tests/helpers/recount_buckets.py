"""Buckets and looks again, from raw rows, in plain Python: no SQL, no shared code, nothing clever. Slow on purpose."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tests.helpers.recount import Log, Row

Numbers = tuple[int, ...]
Found = dict[tuple[object, ...], Numbers]  # (kind, key, phase, end, module, category, arm) → as `Counted`
Looks = dict[tuple[object, ...], Numbers]  # (end, module, category, arm) → as `Looked`
HoldoutRow = tuple[str, str, Sequence[str], datetime, datetime, str, Sequence[tuple[int, int]]]
ACTS = ("click", "add_to_cart", "order", "revenue")


def bucket_end(at: datetime, minutes: int) -> datetime:
    """The end of the bucket an instant lies in."""
    midnight = datetime(at.year, at.month, at.day)
    return midnight + ((at - midnight) // timedelta(minutes=minutes) + 1) * timedelta(minutes=minutes)


def recount_buckets(
    log: Log,
    *,
    minutes: int,
    since: datetime,
    until: datetime,
    phases: Sequence[tuple[str, int, str, Sequence[str], datetime, datetime]] = (),
    holdouts: Sequence[HoldoutRow] = (),
) -> Found:
    """What sql/buckets.sql counts: phases are (key, phase, unit type, arms, start, end), holdouts have modules, and at
    the end their salt with its stage and their buckets."""
    found: dict[tuple[object, ...], dict[object, dict[str, int]]] = {}
    for visit in log.sessions:
        rows = [row for row in log.exposures if row["unit"] == visit["unit"] and _in(visit, row)]
        if not rows:
            continue
        first = min(
            rows, key=lambda r: (_ts(r), str(r["module"]), str(r["page_category"] or "(none)"), str(r["event_id"]))
        )
        if first["is_bot"] or first["is_internal"]:
            continue
        module, category = str(first["module"]), str(first["page_category"] or "(none)")
        acts = [(_ts(first), "session", 1)]
        mine = [row for row in log.outcomes if row["unit"] == visit["unit"]]
        for row in mine:
            if _in(visit, row) and _ts(row) >= _ts(first):
                acts += [(_ts(row), name, n) for name, n in _did(row, mine)]
        for kind, key, phase, arm in _subjects(first, phases, holdouts):
            for at, name, n in acts:
                if not since <= at < until:
                    continue
                for place in (("", ""), (module, ""), (module, category)):
                    who = found.setdefault((kind, key, phase, bucket_end(at, minutes), *place, arm), {})
                    own = who.setdefault(visit["unit"], {})
                    own[name] = own.get(name, 0) + n
    return {key: _numbers(list(units.values())) for key, units in found.items()}


def recount_looks(
    log: Log,
    ends: Iterable[datetime],
    *,
    key: str,
    phase: int,
    modules: Sequence[str],
    arms: Sequence[str],
    start: datetime,
    links: Sequence[tuple[str, str, datetime]] = (),
) -> Looks:
    """What is known of each unit's first exposure and of what it did since, at each end by itself.

    `links` are (id, whose it is, first seen). Units of a person who is known to have met two arms are none.
    """
    found: dict[tuple[object, ...], list[dict[str, int]]] = {}
    for end in ends:
        crossed = _crossed(log, end, key, phase, arms, start, links)
        for unit in sorted({int(str(row["unit"])) for row in log.exposures}):
            mine = [
                row for row in log.exposures
                if (row["unit"], row["experiment_key"], row["unit_type"]) == (unit, key, "user") and _ts(row) < end
                and row["assignment_reason"] in ("split", "arm_disabled")
            ]  # fmt: skip
            own = [row for row in mine if row["phase"] == phase and row["variant"] in arms and _ts(row) >= start]
            if (
                not own
                or unit in crossed
                or len({row["variant"] for row in own}) > 1
                or any(int(str(row["phase"])) < phase for row in mine)
            ):
                continue
            first = min(own, key=lambda row: _look_order(row, modules, arms))
            if first["is_bot"] or first["is_internal"]:
                continue
            did = [r for r in log.outcomes if r["unit"] == unit and _ts(first) <= _ts(r) < end]
            totals: dict[str, int] = {}
            for row in did:
                for name, n in _did(row, did):
                    totals[name] = totals.get(name, 0) + n
            module, category = str(first["module"]), str(first["page_category"] or "(none)")
            for place in (("", ""), (module, ""), (module, category)):
                found.setdefault((end, *place, first["variant"]), []).append(totals)
    return {
        where: (
            len(units),
            *(sum(each.get(name, 0) != 0 for each in units) for name in ACTS),
            *(sum(each.get(name, 0) for each in units) for name in ACTS),
            *(sum(each.get(name, 0) ** 2 for each in units) for name in ACTS),
        )
        for where, units in found.items()
    }


def _crossed(
    log: Log,
    end: datetime,
    key: str,
    phase: int,
    arms: Sequence[str],
    start: datetime,
    links: Sequence[tuple[str, str, datetime]],
) -> set[int]:
    """Units of whoever is known at that end to have met two arms."""
    whose: dict[str, str] = {}
    for each, person, seen in sorted(links, key=lambda link: (link[2], link[1])):
        if seen < end:
            whose.setdefault(each, person)
    met: dict[str, dict[int, set[object]]] = {}
    for row in log.exposures:
        own = (row["experiment_key"], row["phase"], row["unit_type"]) == (key, phase, "user")
        split = row["assignment_reason"] in ("split", "arm_disabled") and row["variant"] in arms
        if own and split and start <= _ts(row) < end:
            person = whose.get(str(row["unit_id"]), str(row["unit_id"]))
            met.setdefault(person, {}).setdefault(int(str(row["unit"])), set()).add(row["variant"])
    of_two = [units for units in met.values() if len(set().union(*units.values())) > 1]
    return {unit for units in of_two for unit in units}


def _look_order(row: Row, modules: Sequence[str], arms: Sequence[str]) -> tuple[object, ...]:
    module = str(row["module"])
    return (
        _ts(row), modules.index(module) if module in modules else 1_000_000, module,
        str(row["page_category"] or "(none)"),
        arms.index(str(row["variant"])),
        *(str(row[name] or "(none)") for name in ("browser", "platform", "country", "app_version")),
        not row["is_bot"], not row["is_internal"],
    )  # fmt: skip


def _subjects(
    first: Row,
    phases: Sequence[tuple[str, int, str, Sequence[str], datetime, datetime]],
    holdouts: Sequence[HoldoutRow],
) -> Iterable[tuple[str, str, int, str]]:
    yield "forecast", "site", 1, "all"
    for key, phase, unit_type, arms, start, end in phases:
        own = (first["experiment_key"], first["phase"], first["unit_type"]) == (key, phase, unit_type)
        if own and first["variant"] in arms and first["assignment_reason"] == "split" and start <= _ts(first) < end:
            yield "experiment", key, phase, str(first["variant"])
    for key, unit_type, modules, start, end, salt, ranges in holdouts:
        asked = first["unit_type"] == unit_type and first["module"] in modules and start <= _ts(first) < end
        if asked and first["assignment_reason"] != "override":
            if is_held(str(first["unit_id"]), salt, ranges):
                yield "launch", key, 1, "held_out"
            elif first["assignment_reason"] != "holdout":  # else another one holds him
                yield "launch", key, 1, "served"


def is_held(unit_id: str, salt: str, ranges: Sequence[tuple[int, int]]) -> bool:
    """By the first four bytes of the digest, of 10,000."""
    bucket = int(hashlib.md5(f"{salt}-{unit_id}".encode()).hexdigest()[:8], 16) % 10_000
    return any(first <= bucket < end for first, end in ranges)


def _did(row: Row, mine: Sequence[Row]) -> Iterable[tuple[str, int]]:
    name = row["event_name"]
    if name in ("click", "add_to_cart"):
        yield str(name), 1
    if name == "purchase":
        value, margin = int(str(row["value"] or 0)), row["margin"]
        same = [
            r for r in mine
            if r["event_name"] == "purchase" and r["order_id"] is not None
            and (r["order_id"], r["event_day"]) == (row["order_id"], row["event_day"])
        ]  # fmt: skip
        if same and row["event_id"] == min(same, key=lambda r: (_ts(r), str(r["event_id"])))["event_id"]:
            yield "order", 1
        yield "revenue", value
        yield "lines", 1
        if margin is not None:
            yield from (("margin", int(str(margin))), ("lines_known", 1), ("revenue_known", value))


def _numbers(units: Sequence[dict[str, int]]) -> Numbers:
    def total(*names: str) -> int:
        result = 0
        for unit in units:
            product = 1
            for name in names:
                product *= unit.get(name, 0)
            result += product
        return result

    return (
        len(units), total("session"), total("session", "session"), *(total(name) for name in ACTS),
        *(total(name, name) for name in ACTS), *(total("session", name) for name in ACTS),
        *(total(name) for name in ("margin", "lines", "lines_known", "revenue_known")),
    )  # fmt: skip


def _in(visit: Row, row: Row) -> bool:
    start, last = visit["session_ts"], visit["last_ts"]
    assert isinstance(start, datetime)
    assert isinstance(last, datetime)
    return start <= _ts(row) <= last and row["event_day"] == visit["event_day"]


def _ts(row: Row) -> datetime:
    value = row["event_ts"]
    assert isinstance(value, datetime)
    return value
