"""Every number of a count again, from raw rows, in plain Python: no SQL, no shared code, nothing clever.

Written from DATA 1 and 3, STATISTICS 1 to 3 and 8 and COUNTING, to be read beside them. Slow on purpose. It does not
merge rare values into '(other)': its logs have few.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from analysis.inference.moments import ArmMoments, CellKey, Moments, Pair, pair
from analysis.warehouse.base import CountRequest, Counts
from experiments.spec import SEEN_BEFORE, AtLeast, Bound, DistinctOf, FactColumn, Metric, Scalar, Slice, SumOf

Value = bool | int | str | date | datetime | None
Row = Mapping[str, Value]
Values = tuple[str, ...]
ANALYSED = ("split", "arm_disabled")
INTERACTIONS = ("view", "click", "add_to_cart", "open", "unsubscribe")
LEVELS: Mapping[str, tuple[str, ...]] = {
    "module": ("module",),
    "item_category": ("item_category",),
    "page_category": ("page_category",),
    "module_item_category": ("module", "item_category"),
    "module_page_category": ("module", "page_category"),
}
CATEGORIES = {"slates": "page_category", "interactions": "item_category", "order_lines": "item_category"}


@dataclass(frozen=True)
class Log:
    """Raw rows as they lie in the warehouse, enriched."""

    exposures: Sequence[Row]
    outcomes: Sequence[Row]
    sessions: Sequence[Row]


@dataclass(frozen=True)
class Unit:
    """One analysed unit: its first exposure, and its rows by source, all of them up to the end of outcomes."""

    key: int
    arm: str
    first_ts: datetime
    first_day: date
    covariate_end: date
    first: Row
    rows: Mapping[str, Sequence[Row]]
    returns: Mapping[str, Sequence["Taken"]]  # by the line's event_id
    owners: Mapping[str, str]
    columns: Mapping[str, tuple[FactColumn, bool]]  # every name → its fact, and whether in the covariate window
    known: dict[tuple[str, date | None], int]  # values already worked out


@dataclass(frozen=True)
class Taken:
    """What one refund or cancel took from one order line."""

    event_name: str
    days_after: int
    amount: int


def recount(log: Log, request: CountRequest) -> Counts:
    """What `Warehouse.count` must return for this log, to the last digit."""
    units, excluded = _exposed(log, request)
    cells: dict[CellKey, ArmMoments] = {}
    windows = {_window(metric, request) for metric in request.metrics} | {None}
    for window in windows:
        metrics = [metric for metric in request.metrics if _window(metric, request) == window]
        population = [unit for unit in units if _complete(unit, window, request)]
        cells[CellKey.overall(window)] = _arms(population, request, metrics, everything=window is None)
        for name, value_of in _context_slices(request).items():
            for values in {value_of(unit) for unit in units}:
                inside = [unit for unit in population if value_of(unit) == values]
                cells[CellKey("context", name, values, window)] = _arms(inside, request, metrics)
        for level, dimensions in LEVELS.items():
            covered = [metric for metric in metrics if set(dimensions) <= set(metric.native_dimensions())]
            for values in _part_values(units, request, dimensions) if covered else ():
                cells[CellKey("decomposition", level, values, window)] = {
                    arm: _part([u for u in population if u.arm == arm], request, covered, dimensions, values)
                    for arm in request.arms
                }
    before_cut = [_ts(row) for row in (*log.exposures, *log.outcomes) if _ts(row) < request.cut.as_of]
    first = {unit.key: unit.first_ts for unit in units}
    active = {
        row["event_day"]
        for row in (*log.exposures, *log.outcomes)
        if row["unit"] in first and first[_int(row["unit"])] <= _ts(row) < request.cut.outcome_end
    }
    return Counts(
        cells=cells,
        daily=_daily(units, request),
        units={arm: sum(unit.arm == arm for unit in units) for arm in request.arms},
        excluded=excluded,
        days_with_data=len(active),
        data_as_of=max(before_cut, default=None),
        loads=(),
    )


# --- who is analysed -------------------------------------------------------------------------------------


def _exposed(log: Log, request: CountRequest) -> tuple[list[Unit], dict[str, dict[str, int]]]:
    mine = [
        row
        for row in log.exposures
        if row["experiment_key"] == request.experiment_key
        and row["unit_type"] == request.unit_type
        and _ts(row) < request.cut.outcome_end
    ]
    analysed = [
        row
        for row in mine
        if row["phase"] == request.phase
        and row["assignment_reason"] in ANALYSED
        and row["variant"] in request.arms
        and _ts(row) >= request.started_at
    ]
    columns = _columns(request)
    units: list[Unit] = []
    excluded: dict[str, dict[str, int]] = {arm: {} for arm in request.arms}
    for key in sorted({_int(row["unit"]) for row in analysed}):
        rows = [row for row in analysed if row["unit"] == key]
        first = min(rows, key=lambda row: _first_order(row, request))
        arm = str(first["variant"])
        others = [
            row
            for row in mine
            if row["unit"] == key and row["assignment_reason"] in (*ANALYSED, "override") and not _here(row, request)
        ]
        earlier = any(_int(row["phase"]) < request.phase and row["assignment_reason"] in ANALYSED for row in others)
        reason = None
        if len({row["variant"] for row in rows}) > 1:
            reason = "two_arms"
        elif first["is_bot"]:
            reason = "bot"
        elif first["is_internal"]:
            reason = "internal"
        elif earlier:
            reason = "earlier_phase"
        if reason is not None:
            excluded[arm][reason] = excluded[arm].get(reason, 0) + 1
            continue
        first_day = _day(first)
        units.append(
            Unit(
                key=key,
                arm=arm,
                first_ts=_ts(first),
                first_day=first_day,
                covariate_end=min([first_day, *(_day(row) for row in others)]),
                first=first,
                rows=_sources(log, key, _ts(first), request),
                returns=_returns(log, key),
                owners=_owners(log, key, _ts(first), request),
                columns=columns,
                known={},
            )
        )
    return units, excluded


def _here(row: Row, request: CountRequest) -> bool:
    """Whether an exposure is this phase's own, under a variant of its definition."""
    own_phase = row["phase"] == request.phase and _ts(row) >= request.started_at
    return own_phase and row["assignment_reason"] != "override" and row["variant"] in request.arms


def _first_order(row: Row, request: CountRequest) -> tuple[object, ...]:
    module = str(row["module"])
    return (
        _ts(row),
        request.modules.index(module) if module in request.modules else 1_000_000,
        module,
        _text(row["page_category"]),
        request.arms.index(str(row["variant"])),
        *(_text(row[name]) for name in ("browser", "platform", "country", "app_version")),
        not row["is_bot"],
        not row["is_internal"],
    )


def _sources(log: Log, key: int, first_ts: datetime, request: CountRequest) -> dict[str, list[Row]]:
    end = request.cut.outcome_end
    shown = [row for row in log.exposures if row["unit"] == key and _ts(row) < end]
    done = [row for row in log.outcomes if row["unit"] == key and _ts(row) < end]
    return {
        "slates": [{**row, "is_fallback": row["fallback"]} for row in shown],
        "interactions": [row for row in done if row["event_name"] in INTERACTIONS],
        "order_lines": [row for row in done if row["event_name"] == "purchase"],
        "sessions": [
            {**row, "event_ts": _counts_from(row, first_ts), "module": row["entry_module"]}
            for row in log.sessions
            if row["unit"] == key and _time(row["session_ts"]) < end
        ],
    }


def _counts_from(session: Row, first_ts: datetime) -> datetime:
    """Its beginning; for the session that is under way at the first exposure, that."""
    begun, last = _time(session["session_ts"]), _time(session["last_ts"])
    return first_ts if begun < first_ts <= last else begun


def _returns(log: Log, key: int) -> dict[str, list[Taken]]:
    mine = [row for row in log.outcomes if row["unit"] == key and row["order_id"] is not None]
    lines = sorted((r for r in mine if r["event_name"] == "purchase"), key=lambda r: (_ts(r), str(r["event_id"])))
    asked = sorted(
        (r for r in mine if r["event_name"] in ("refund", "cancel")), key=lambda r: (_ts(r), str(r["event_id"]))
    )
    left = {str(line["event_id"]): _int(line["value"] or 0) for line in lines}
    taken: dict[str, list[Taken]] = {str(line["event_id"]): [] for line in lines}
    for one in asked:
        wanted = None if one["value"] is None else _int(one["value"])
        for line in lines:
            if line["order_id"] != one["order_id"] or one["item_id"] not in (None, line["item_id"]):
                continue
            name = str(line["event_id"])
            amount = left[name] if wanted is None else min(left[name], wanted)
            free = not line["value"] and not taken[name] and (one["item_id"] is not None or one["value"] is None)
            if amount > 0 or free:
                taken[name].append(Taken(str(one["event_name"]), (_day(one) - _day(line)).days, amount))
            left[name] -= amount
            if wanted is not None:
                wanted -= amount
    return taken


def _owners(log: Log, key: int, first_ts: datetime, request: CountRequest) -> dict[str, str]:
    clicks = [
        row
        for row in log.outcomes
        if row["unit"] == key and row["event_name"] == "click" and first_ts <= _ts(row) < request.cut.outcome_end
    ]
    owners: dict[str, str] = {}
    for line in log.outcomes:
        if line["unit"] != key or line["event_name"] != "purchase":
            continue
        since = _ts(line) - timedelta(days=request.attribution_days)
        before = [click for click in clicks if since <= _ts(click) <= _ts(line)]
        last = [click for click in before if _ts(click) == max(_ts(one) for one in before)]
        named = [
            str(click["module"]) if click["module"] else "(search)" if click["query"] is not None else "(unknown)"
            for click in last
        ]
        special = ["(search)", "(direct)", "(unknown)"]
        owners[str(line["event_id"])] = min(
            named,
            key=lambda name: (
                request.modules.index(name) if name in request.modules else 1_000 + 1_000 * (name in special),
                special.index(name) if name in special else name,
            ),
            default="(direct)",
        )
    return owners


# --- what a unit did -------------------------------------------------------------------------------------


def _fact(
    unit: Unit, column: FactColumn, request: CountRequest, *, pre: bool = False, until: date | None = None
) -> int:
    """A unit's value of a fact: after first exposure (to the end of day `until`) or in its covariate window."""
    return _measured([row for row in _rows(unit, column, request, pre=pre) if _by(row, column, until)], column)


def _rows(unit: Unit, column: FactColumn, request: CountRequest, *, pre: bool = False) -> list[Row]:
    """The rows that count for a unit's fact."""
    mature = timedelta(days=column.mature_days)
    rows: list[Row] = []
    for given in unit.rows[column.fact.source]:
        row = _with_returns(unit, given, column)
        if pre:
            start = unit.covariate_end - timedelta(days=request.covariate_days)
            counts = start <= _day(row) < unit.covariate_end - mature
        else:
            counts = _ts(row) >= unit.first_ts and _day(row) + mature < request.cut.as_of_day
            if column.window_days is not None:
                counts = counts and _ts(row) < unit.first_ts + timedelta(days=column.window_days)
                counts = counts and _complete(unit, column.window_days, request)
        in_scope = column.scope == "site" or row["module"] in request.modules
        if counts and in_scope and all(_meets(row[name], wanted) for name, wanted in column.fact.where.items()):
            rows.append(row)
    return rows


def _by(row: Row, column: FactColumn, until: date | None) -> bool:
    return until is None or _day(row) + timedelta(days=column.mature_days) <= until


def _measured(rows: Sequence[Row], column: FactColumn) -> int:
    match column.fact.measure:
        case "rows":
            return len(rows)
        case "any":
            return int(len(rows) > 0)
        case SumOf(sum=name):
            return sum(_int(row[name]) for row in rows if row[name] is not None)
        case DistinctOf(distinct=name):
            return len(_distinct(rows, name))
        case AtLeast(at_least=count):
            return int(len(_distinct(rows, count.distinct)) >= count.n)
    raise AssertionError(column)


def _distinct(rows: Iterable[Row], name: str) -> set[object]:
    if name == "order_id":
        return {(row["event_day"], row["order_id"]) for row in rows if row["order_id"] is not None}
    return {row[name] for row in rows if row[name] is not None}


def _with_returns(unit: Unit, row: Row, column: FactColumn) -> Row:
    if column.fact.source != "order_lines":
        return row
    taken = [t for t in unit.returns.get(str(row["event_id"]), ()) if t.days_after <= column.mature_days]
    returned = sum(t.amount for t in taken if t.event_name == "refund")
    cancelled = sum(t.amount for t in taken if t.event_name == "cancel")
    value, margin = row["value"], row["margin"]
    net_value = None if value is None else _int(value) - returned - cancelled
    if margin is None:
        net_margin = None
    elif value and net_value is not None:
        net_margin = _half_even(_int(margin) * net_value, _int(value))
    else:
        net_margin = 0 if taken else _int(margin)
    return {
        **row,
        "net_value": net_value,
        "net_margin": net_margin,
        "returned_value": returned,
        "is_returned": any(t.event_name == "refund" for t in taken),
        "is_cancelled": any(t.event_name == "cancel" for t in taken),
    }


def _half_even(top: int, bottom: int) -> int:
    whole, rest = divmod(abs(top), bottom)
    if 2 * rest > bottom or (2 * rest == bottom and whole % 2 == 1):
        whole += 1
    return whole if top >= 0 else -whole


def _meets(value: Value, wanted: Scalar | list[Scalar] | Bound) -> bool:
    if value is None:
        return False
    if isinstance(wanted, Bound):
        number = _int(value)
        return (
            (wanted.gte is None or number >= wanted.gte)
            and (wanted.lte is None or number <= wanted.lte)
            and (wanted.gt is None or number > wanted.gt)
            and (wanted.lt is None or number < wanted.lt)
        )
    return value in wanted if isinstance(wanted, list) else value == wanted


def _seen(unit: Unit, request: CountRequest) -> int:
    start = unit.covariate_end - timedelta(days=request.covariate_days)
    return int(any(start <= _day(row) < unit.covariate_end for rows in unit.rows.values() for row in rows))


# --- moments ---------------------------------------------------------------------------------------------


def _arms(
    units: Sequence[Unit], request: CountRequest, metrics: Sequence[Metric], *, everything: bool = False
) -> ArmMoments:
    found: dict[str, Moments] = {}
    for arm in request.arms:
        mine = [unit for unit in units if unit.arm == arm]
        found[arm] = _moments(mine, request, metrics)
        if everything:  # all products among all covariates of all metrics
            names = {SEEN_BEFORE} | {name for metric in request.metrics for name in _covariates(metric, request)}
            table = [{name: _value(unit, name, request) for name in names} for unit in mine]
            pairs = {pair(a, b) for a in names for b in names}
            found[arm] = found[arm].overlay(_summed(table, len(mine), names, pairs, names))
    return found


def _moments(
    units: Sequence[Unit], request: CountRequest, metrics: Iterable[Metric], until: date | None = None
) -> Moments:
    names: set[str] = set()
    pairs: set[Pair] = set()
    facts: set[str] = set()
    for metric in metrics:
        own = {column.key for column in metric.facts(request.outcome_days)}
        used = own | _covariates(metric, request)
        facts |= own
        names |= used
        pairs |= {pair(a, b) for a in used for b in used}
    table = [{name: _value(unit, name, request, until) for name in names} for unit in units]
    return _summed(table, len(units), names, pairs, facts)


def _part(
    units: Sequence[Unit], request: CountRequest, metrics: Iterable[Metric], dimensions: Values, values: Values
) -> Moments:
    pairs: set[Pair] = set()
    facts: dict[str, FactColumn] = {}
    covariates: set[str] = set()
    for metric in metrics:
        own = {column.key: column for column in metric.facts(request.outcome_days)}
        others = _covariates(metric, request)
        facts |= own
        covariates |= others
        pairs |= {pair(a, b) for a in own for b in {*own, *others}}

    def row(unit: Unit) -> dict[str, int]:
        counted: dict[str, int] = {}
        for key, column in facts.items():
            source = column.fact.source
            inside = [one for one in _rows(unit, column, request) if _cell(unit, one, source, dimensions) == values]
            counted[key] = _measured(inside, column)
        return counted | {name: _value(unit, name, request) for name in covariates}

    return _summed([row(unit) for unit in units], len(units), set(facts), pairs, set(facts))


def _summed(
    table: Sequence[Mapping[str, int]], n: int, names: Iterable[str], pairs: Iterable[Pair], nonzero: Iterable[str]
) -> Moments:
    return Moments(
        n,
        {name: sum(row[name] for row in table) for name in names},
        {(a, b): sum(row[a] * row[b] for row in table) for a, b in pairs},
        {name: sum(row[name] != 0 for row in table) for name in nonzero},
    )


def _daily(units: Sequence[Unit], request: CountRequest) -> dict[date, ArmMoments]:
    series = [m for m in request.metrics if m.key in request.series and _window(m, request) is None]
    daily: dict[date, ArmMoments] = {}
    day = min((unit.first_day for unit in units), default=request.cut.as_of_day)
    while day < request.cut.as_of_day:
        entered = [unit for unit in units if unit.first_day <= day]
        daily[day] = {
            arm: _moments([unit for unit in entered if unit.arm == arm], request, series, day) for arm in request.arms
        }
        day += timedelta(days=1)
    if request.cut.outcome_end < request.cut.as_of:  # over: the last day on which anything changed is the last
        days = sorted(daily)
        while len(days) > 1 and daily[days[-1]] == daily[days[-2]]:
            del daily[days.pop()]
    return daily


def _value(unit: Unit, name: str, request: CountRequest, until: date | None = None) -> int:
    if (name, until) not in unit.known:
        unit.known[name, until] = _worked_out(unit, name, request, until)
    return unit.known[name, until]


def _worked_out(unit: Unit, name: str, request: CountRequest, until: date | None) -> int:
    if name == SEEN_BEFORE:
        return _seen(unit, request)
    column, pre = unit.columns[name]
    return _fact(unit, column, request, pre=pre, until=until)


def _columns(request: CountRequest) -> dict[str, tuple[FactColumn, bool]]:
    found: dict[str, tuple[FactColumn, bool]] = {}
    for metric in (*request.metrics, *(m for partners in request.covariate_metrics.values() for m in partners)):
        for column in metric.facts(request.outcome_days):
            found |= {column.key: (column, False), column.pre_key: (column, True)}
    return found


def _covariates(metric: Metric, request: CountRequest) -> set[str]:
    partners = request.covariate_metrics.get(metric.key, ())
    names = {column.pre_key for partner in partners for column in partner.facts(request.outcome_days)}
    return names | {SEEN_BEFORE} if names else set()


def _window(metric: Metric, request: CountRequest) -> int | None:
    return metric.window_days if metric.window_days is not None else request.outcome_days


def _complete(unit: Unit, window: int | None, request: CountRequest) -> bool:
    return window is None or unit.first_ts + timedelta(days=window) <= request.cut.outcome_end


# --- cells -----------------------------------------------------------------------------------------------


def _context_slices(request: CountRequest) -> dict[str, Callable[[Unit], Values]]:
    found: dict[str, Callable[[Unit], Values]] = {
        "first_module": lambda unit: (str(unit.first["module"]),),
        "first_page_category": lambda unit: (_text(unit.first["page_category"]),),
        "first_module_page_category": lambda unit: (str(unit.first["module"]), _text(unit.first["page_category"])),
    }
    for declared in request.slices:
        if declared.kind == "context":
            found[declared.key] = _declared(declared, request)
    return found


def _declared(declared: Slice, request: CountRequest) -> Callable[[Unit], Values]:
    if declared.column is not None:
        column = declared.column
        return lambda unit: (_text(unit.first[column]),)
    if declared.pre_period is not None:
        fact = FactColumn(declared.pre_period, "site", None, 0)

        def before(unit: Unit) -> Values:
            value = _fact(unit, fact, request, pre=True)
            return (declared.labels.get(value, str(value)) if 0 <= value < 24 else "(other)",)

        return before
    top = declared.pre_period_top
    assert top is not None

    def affinity(unit: Unit) -> Values:
        start = unit.covariate_end - timedelta(days=request.covariate_days)
        amounts: dict[str, int] = {}
        for row in unit.rows[top.source]:
            if row["item_category"] is not None and start <= _day(row) < unit.covariate_end:
                amount = 1 if top.measure == "rows" else row[top.measure.sum]
                amounts[str(row["item_category"])] = amounts.get(str(row["item_category"]), 0) + _int(amount or 0)
        return (min(amounts, key=lambda name: (-amounts[name], name), default="(none)"),)

    return affinity


def _part_values(units: Sequence[Unit], request: CountRequest, dimensions: Values) -> set[Values]:
    """The cells in which some unit has anything of a fact that has parts."""
    facts = {
        column.key: column
        for metric in request.metrics
        if metric.native_dimensions()
        for column in metric.facts(request.outcome_days)
    }
    found: set[Values] = set()
    for unit in units:
        for column in facts.values():
            parts: dict[Values, list[Row]] = {}
            for row in _rows(unit, column, request):
                values = _cell(unit, row, column.fact.source, tuple(LEVELS["module_item_category"]))
                values = values or _cell(unit, row, column.fact.source, tuple(LEVELS["module_page_category"]))
                values = values or _cell(unit, row, column.fact.source, ("module",))
                assert values is not None
                parts.setdefault(values, []).append(row)
            for rows in parts.values():
                named = _cell(unit, rows[0], column.fact.source, dimensions)
                if named is not None and _measured(rows, column) != 0:
                    found.add(named)
    return found


def _cell(unit: Unit, row: Row, source: str, dimensions: Values) -> Values | None:
    found: list[str] = []
    for dimension in dimensions:
        if dimension == "module":
            found.append(unit.owners[str(row["event_id"])] if source == "order_lines" else _text(row["module"]))
        elif CATEGORIES.get(source) == dimension:
            found.append(_text(row[dimension]))
        else:
            return None
    return tuple(found)


def without(log: Log, units: Iterable[int]) -> Log:
    """The log without some units."""
    gone = set(units)
    return replace(
        log,
        exposures=[row for row in log.exposures if row["unit"] not in gone],
        outcomes=[row for row in log.outcomes if row["unit"] not in gone],
        sessions=[row for row in log.sessions if row["unit"] not in gone],
    )


def _ts(row: Row) -> datetime:
    return _time(row["event_ts"])


def _time(value: Value) -> datetime:
    assert isinstance(value, datetime)
    return value


def _day(row: Row) -> date:
    value = row["event_day"]
    assert isinstance(value, date)
    return value


def _int(value: Value) -> int:
    assert isinstance(value, int)
    return int(value)


def _text(value: Value) -> str:
    return "(none)" if value is None else str(value)
