"""The SQL against a plain-Python recount of the same rows, to the last digit, and what must hold whatever the rows."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pytest

from analysis.inference.moments import CellKey, Moments, pair, total
from analysis.warehouse.base import CountRequest, Counts, DataCut
from analysis.warehouse.connection import open_memory
from analysis.warehouse.duckdb import DuckDBWarehouse
from experiments.catalogue import shipped_metrics
from experiments.errors import WarehouseError
from experiments.spec import SEEN_BEFORE, Metric, Slice
from tests.helpers.effort import scaled
from tests.helpers.random_log import ARMS, EXPERIMENT, MODULES, START, event_day, load, random_log
from tests.helpers.recount import Log, Row, Value, recount, without


def metric(key: str, **entry: object) -> Metric:
    given = {"label": key, "kind": "mean", "value_unit": "count", "direction": "increase", "key": key} | entry
    return Metric.model_validate(given)


OWN = (
    metric("events", numerator={"from": "interactions", "measure": {"distinct": "event_name"}}, scope="site"),
    metric("three_events", kind="proportion", numerator={
        "from": "interactions", "where": {"dwell_ms": {"gte": 10, "lt": 9000}},
        "measure": {"at_least": {"distinct": "event_name", "n": 3}}}),
    metric("net_margin", numerator={"from": "order_lines", "measure": {"sum": "net_margin"}}, mature_days=4),
    metric("clicked_share", kind="ratio", scope="site", window_days=3,
           numerator={"from": "slates", "measure": {"sum": "clicked"}},
           denominator={"from": "slates", "measure": "rows"}),
    metric("late_sessions", kind="ratio", mature_days=2, denominator={"from": "sessions", "measure": "rows"},
           numerator={"from": "sessions", "where": {"has_click": True}, "measure": "rows"}),
    metric("margin_by_slate", kind="ratio", numerator={"from": "order_lines", "measure": {"sum": "margin"}},
           denominator={"from": "slates", "measure": "rows"}, covariates=["events", "repeat_purchase_rate"]),
    metric("quantities", numerator={"from": "order_lines", "measure": {"distinct": "quantity"}}),
    metric("unadjusted", numerator={"from": "order_lines", "where": {"quantity": [1, 3]}, "measure": "rows"},
           covariates="none"),
)  # fmt: skip
METRICS: Mapping[str, Metric] = {**shipped_metrics(), **{m.key: m for m in OWN}}
FEW = ("revenue_per_unit", "ctr", "conversion", "return_value_rate", "orders_per_unit")
SLICES = (
    Slice.model_validate({"key": "device", "kind": "context", "column": "platform"}),
    Slice.model_validate({"key": "days", "kind": "context", "column": "browser"}),
    Slice.model_validate({"key": "bought_before", "kind": "context", "labels": {0: "New", 1: "Returning"},
                          "pre_period": {"from": "order_lines", "measure": "any"}}),
    Slice.model_validate({"key": "slots", "kind": "context", "pre_period": {"from": "slates", "measure": "rows"}}),
    Slice.model_validate({"key": "affinity", "kind": "context", "pre_period_top": {
        "from": "order_lines", "by": "item_category", "measure": {"sum": "value"}}}),
    Slice.model_validate({"key": "likes", "kind": "context", "pre_period_top": {
        "from": "interactions", "by": "item_category", "measure": "rows"}}),
)  # fmt: skip


def a_request(
    seed: int = 0, *, keys: Iterable[str] = tuple(METRICS), slices: tuple[Slice, ...] = SLICES
) -> CountRequest:
    """A request over everything; its cut, window and phase go round with the seed."""
    as_of_day = event_day(START).replace(day=(24, 30, 28)[seed % 3])  # 29 March has 23 hours
    as_of = datetime(2026, 3, as_of_day.day - 1, 22 if as_of_day.day > 29 else 23)
    ended = datetime(2026, 3, 22, 10, 30)
    metrics = tuple(METRICS[key] for key in keys)
    return CountRequest(
        experiment_key=EXPERIMENT,
        phase=(2, 2, 2, 1)[seed % 4],
        unit_type="user",
        modules=MODULES,
        arms=ARMS,
        started_at=datetime(2026, 3, 12),
        cut=DataCut(as_of, as_of_day, ended if seed % 5 == 2 else as_of),
        covariate_days=(10, 4, 28)[seed % 3],
        attribution_days=3,
        outcome_days=(None, None, 5)[seed % 3],
        metrics=metrics,
        covariate_metrics={m.key: _partners(m) for m in metrics},
        slices=slices,
        series=tuple(METRICS),
    )


def _partners(one: Metric) -> tuple[Metric, ...]:
    if one.covariates == "own":
        return (one,)
    return () if one.covariates == "none" else tuple(METRICS[key] for key in one.covariates)


def warehouse_with(log: Log, *, cursors: int = 2, range_units: int = 200_000, threads: int = 2) -> DuckDBWarehouse:
    connection = open_memory()
    connection.execute(f"set threads = {threads}")
    load(connection, log)
    return DuckDBWarehouse(connection, cursors=cursors, range_units=range_units)


def counted(
    log: Log, request: CountRequest, *, cursors: int = 2, range_units: int = 200_000, threads: int = 2
) -> Counts:
    with warehouse_with(log, cursors=cursors, range_units=range_units, threads=threads) as warehouse:
        return warehouse.count(request)


def differences(found: Counts, expected: Counts) -> list[str]:
    """What differs, in words short enough to read."""
    said: list[str] = []
    for name in ("units", "excluded", "days_with_data", "data_as_of"):
        if getattr(found, name) != getattr(expected, name):
            said.append(f"{name}: {getattr(found, name)} instead of {getattr(expected, name)}")
    for name in ("cells", "daily"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        said += [f"{name}: {key} only counted" for key in mine if key not in theirs]
        said += [f"{name}: {key} not counted" for key in theirs if key not in mine]
        for key in mine:
            for arm in theirs.get(key, ()):
                said += [f"{name} {key} {arm} {one}" for one in _unlike(mine[key][arm], theirs[key][arm])]
    return said


def _unlike(found: Moments, expected: Moments) -> list[str]:
    said = [f"n: {found.n} instead of {expected.n}"] if found.n != expected.n else []
    for part in ("sums", "products", "nonzero"):
        left, right = getattr(found, part), getattr(expected, part)
        said += [
            f"{part} {one}: {left.get(one)} instead of {right.get(one)}"
            for one in {**left, **right}
            if left.get(one) != right.get(one)
        ]
    return said


@pytest.mark.parametrize("seed", range(scaled(8, 400)))
def test_every_number_equals_a_plain_recount(seed: int) -> None:
    log, request = random_log(seed), a_request(seed)
    assert not differences(counted(log, request), recount(log, request))


def test_results_do_not_depend_on_threads_ranges_or_the_order_of_rows() -> None:
    log, request = random_log(25), a_request(0, keys=FEW)
    expected = counted(log, request)
    assert expected.units["control"] > 5
    for threads, cursors, range_units in ((1, 1, 200_000), (2, 2, 7), (4, 3, 5)):
        assert counted(log, request, threads=threads, cursors=cursors, range_units=range_units) == expected
    for seed in range(3):
        dice = random.Random(seed)
        shuffled = Log(*(dice.sample(list(rows), len(rows)) for rows in (log.exposures, log.outcomes, log.sessions)))
        assert counted(shuffled, request, range_units=20) == expected


def test_counting_again_changes_nothing_and_leaves_other_experiments_alone() -> None:
    log, request = random_log(25), a_request(0, keys=FEW)
    with warehouse_with(log) as warehouse:
        first = warehouse.count(request)
        other = warehouse.count(replace(request, experiment_key="another", phase=7))
        assert sum(other.units.values()) == 0
        assert warehouse.count(request) == first
        assert warehouse.check("sample_ratio", request).rows


def test_the_last_day_of_the_band_is_the_total() -> None:
    for seed in (0, 2, 4):  # seed 2: the experiment ended before the cut
        request = replace(a_request(seed), outcome_days=None)
        found = counted(random_log(seed + 60), request)
        last = found.daily[max(found.daily)]
        overall = found.cells[CellKey.overall()]
        for arm in request.arms:
            assert last[arm].n == overall[arm].n == found.units[arm]
            for part in ("sums", "products", "nonzero"):
                whole = getattr(overall[arm], part)
                assert getattr(last[arm], part) == {name: whole[name] for name in getattr(last[arm], part)}
        assert sum(found.units.values()) > 5


def test_parts_of_additive_facts_sum_to_the_whole_and_context_cells_to_all_units() -> None:
    request = a_request(1)
    found = counted(random_log(25), request)
    checked = 0
    for one in request.metrics:
        facts = one.facts(request.outcome_days)
        whole = found.cells[CellKey.overall(facts[0].window_days)]
        for level in one.native_dimensions():
            parts = [arms for key, arms in found.cells.items() if key.kind == "decomposition" and key.slice == level
                     and key.window_days == facts[0].window_days]  # fmt: skip
            for arm in request.arms:
                for fact in facts:
                    assert sum(part[arm].sums[fact.key] for part in parts) == whole[arm].sums[fact.key]
                    checked += whole[arm].sums[fact.key] != 0
                    if one.covariates != "none":
                        seen = pair(fact.key, SEEN_BEFORE)
                        assert sum(part[arm].products[seen] for part in parts) == whole[arm].products[seen]
    assert checked > 20
    for name in ("first_module", "first_page_category", "first_module_page_category", *(s.key for s in SLICES)):
        for window in {key.window_days for key in found.cells}:
            inside = [arms for key, arms in found.cells.items() if (key.slice, key.window_days) == (name, window)]
            for arm in request.arms:
                together = total(cell[arm] for cell in inside)
                whole_arm = found.cells[CellKey.overall(window)][arm]
                assert together.n == whole_arm.n
                assert together.sums == {key: whole_arm.sums[key] for key in together.sums}


def test_moments_of_two_halves_of_the_units_add_exactly() -> None:
    log, request = random_log(28), a_request(1, keys=FEW)
    left = counted(without(log, range(1, 16)), request).cells
    right = counted(without(log, range(16, 31)), request).cells
    whole = counted(log, request).cells
    assert set(whole) == set(left) | set(right)
    nothing = {arm: Moments(0) for arm in request.arms}
    for key, arms in whole.items():
        for arm in request.arms:
            halves = [cells.get(key, nothing)[arm] for cells in (left, right)]
            assert halves[0] + halves[1] == arms[arm] or key.kind == "decomposition"
            if key.kind == "decomposition":  # a half without the cell still has its units
                assert {f: halves[0].sums.get(f, 0) + halves[1].sums.get(f, 0) for f in arms[arm].sums} == arms[
                    arm
                ].sums


def an_exposure(unit: int, variant: str = "control", *, event_ts: datetime = START, **more: Value) -> Row:
    ts = event_ts
    given: Row = {
        "event_id": f"e{unit}-{variant}-{ts:%d%H%M%S}", "event_ts": ts, "event_day": event_day(ts), "unit": unit,
        "unit_type": "user", "unit_id": f"u{unit}", "experiment_key": EXPERIMENT, "phase": 2, "module": "homepage",
        "page_category": None, "variant": variant, "assignment_reason": "split", "platform": "web", "browser": None,
        "country": None, "app_version": None, "is_bot": None, "is_internal": None, "fallback": None, "latency_ms": None,
        "items_shown": 6, "items_stock_known": None, "items_out_of_stock": None, "clicked": False, "cost_micros": None,
        "load_id": "l1", "line": 1,
    }  # fmt: skip
    return {**given, **more}


def an_outcome(unit: int, event_name: str, *, after_days: float = 0, **more: Value) -> Row:
    ts = START + timedelta(days=after_days)
    given: Row = {
        "event_id": f"{event_name}{unit}-{after_days}-{more.get('item_id')}-{more.get('order_id')}", "event_ts": ts,
        "event_day": event_day(ts), "unit": unit, "unit_type": "user", "unit_id": f"u{unit}", "event_name": event_name,
        "value": None, "margin": None, "quantity": None, "discount": None, "item_id": None, "order_id": None,
        "module": None, "item_category": None, "query": None, "item_out_of_stock": None, "dwell_ms": None,
        "load_id": "l1", "line": 1,
    }  # fmt: skip
    return {**given, **more}


def overall(log: Log, *keys: str) -> Mapping[str, Moments]:
    return counted(log, a_request(1, keys=keys, slices=())).cells[CellKey.overall()]


def value_of(moments: Moments, key: str) -> int:
    """The sum of a metric's numerator."""
    return moments.sums[METRICS[key].facts(None)[0].key]


def test_a_unit_without_events_counts_as_zero() -> None:
    log = Log([an_exposure(1), an_exposure(2)], [an_outcome(1, "purchase", value=700, order_id="o")], [])
    control = overall(log, "revenue_per_unit")["control"]
    fact = METRICS["revenue_per_unit"].facts(None)[0].key
    assert (control.n, control.sums[fact], control.product(fact, fact), control.nonzero[fact]) == (2, 700, 490_000, 1)


def test_an_arm_that_saw_nobody_is_there_with_zero_units() -> None:
    found = counted(Log([an_exposure(1)], [], []), a_request(1))
    assert found.units == {"control": 1, "treatment": 0, "third": 0}
    for arms in found.cells.values():
        assert set(arms) == set(ARMS)
        assert arms["third"].n == 0
        assert set(arms["third"].sums) == set(arms["control"].sums)


def test_nobody_at_all_is_an_answer_too() -> None:
    found = counted(Log([], [], []), a_request(1))
    assert found.cells[CellKey.overall()]["control"].n == 0
    assert (found.units, found.daily, found.days_with_data, found.data_as_of) == (dict.fromkeys(ARMS, 0), {}, 0, None)


def test_an_unregistered_variant_is_not_analysed() -> None:
    found = counted(Log([an_exposure(1), an_exposure(2, "mystery")], [], []), a_request(1, keys=FEW))
    assert found.units == {"control": 1, "treatment": 0, "third": 0}
    assert not any(found.excluded.values())


def test_an_unregistered_variant_ends_the_time_before_the_experiment() -> None:
    yesterday, earlier = START - timedelta(days=1), START - timedelta(days=3)
    seen = [an_exposure(unit, "mystery", event_ts=yesterday) for unit in (1, 2)]
    before = an_exposure(2, event_ts=earlier, experiment_key="another")
    log = Log(
        [*seen, before, an_exposure(1), an_exposure(2)], [an_outcome(1, "purchase", value=700, after_days=-1)], []
    )
    control = overall(log, "revenue_per_unit")["control"]
    fact = METRICS["revenue_per_unit"].facts(None)[0]
    assert (control.n, control.sums[SEEN_BEFORE], control.sums[fact.pre_key]) == (2, 1, 0)


def test_excluded_units_are_counted_under_the_arm_they_met_first() -> None:
    later = START + timedelta(hours=1)
    log = Log(
        [
            *(an_exposure(1, "treatment"), an_exposure(1, "control", event_ts=later)),
            *(an_exposure(2, is_bot=True), an_exposure(3, is_internal=True), an_exposure(3, event_ts=later)),
            *(an_exposure(4, phase=1, event_ts=START - timedelta(days=2)), an_exposure(4)),
            *(an_exposure(5, assignment_reason="override", event_ts=START - timedelta(days=2)), an_exposure(5)),
        ],
        [],
        [],
    )
    found = counted(log, a_request(1, keys=FEW))
    assert found.excluded == {
        "control": {"bot": 1, "internal": 1, "earlier_phase": 1}, "treatment": {"two_arms": 1}, "third": {},
    }  # fmt: skip
    assert found.units == {"control": 1, "treatment": 0, "third": 0}


def lines(*values: int, order: str = "o", after_days: float = 0.5) -> list[Row]:
    return [
        an_outcome(
            1, "purchase", after_days=after_days, value=value, margin=value // 2, order_id=order, item_id=f"i{n}"
        )
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("returns", "left", "returned"),
    [
        ([], 1000, 0),
        ([(1, {"value": 800})], 200, 2),  # 700 of the first line, 100 of the second
        ([(1, {"value": 800, "item_id": "i1"})], 700, 1),  # no more than the line it names
        ([(1, {"value": None})], 0, 2),
        ([(1, {"value": None, "item_id": "i0"})], 300, 1),
        ([(1, {"value": 5000})], 0, 2),
        ([(1, {"value": 100}), (1, {"value": 100})], 800, 1),
        ([(1, {"value": 100, "order_id": "another"})], 1000, 0),
        ([(1, {"value": 100, "order_id": None})], 1000, 0),
        ([(1, {"value": 100, "item_id": "i9"})], 1000, 0),
        ([(4.5, {"value": 100})], 900, 1),
        ([(5.5, {"value": 100})], 1000, 0),  # later than mature_days
    ],
)
def test_what_comes_back_fills_the_lines_of_its_order_in_turn(
    returns: list[tuple[float, dict[str, Value]]], left: int, returned: int
) -> None:
    matured = {
        "left": metric("left", numerator={"from": "order_lines", "measure": {"sum": "net_value"}}, mature_days=4),
        "sent": metric("sent", mature_days=4, numerator={
            "from": "order_lines", "where": {"is_returned": True}, "measure": "rows"}),
    }  # fmt: skip
    events = [
        an_outcome(1, "refund", after_days=days + n / 10, **{"order_id": "o", **given})
        for n, (days, given) in enumerate(returns)
    ]
    log = Log([an_exposure(1)], [*lines(700, 300), *events], [])
    request = replace(a_request(1, keys=()), metrics=tuple(matured.values()), slices=(), series=())
    control = counted(log, request).cells[CellKey.overall()]["control"]
    assert [control.sums[one.facts(None)[0].key] for one in matured.values()] == [left, returned]


def test_margin_is_kept_in_proportion_half_even() -> None:
    one = metric("kept", numerator={"from": "order_lines", "measure": {"sum": "net_margin"}}, mature_days=1)
    request = replace(a_request(1, keys=()), metrics=(one,), slices=(), series=())
    for margin, value, refund, kept in ((5, 10, 5, 2), (7, 10, 5, 4), (-5, 10, 5, -2), (5, 10, 4, 3), (1, 3, 1, 1)):
        sold = an_outcome(1, "purchase", after_days=0.5, value=value, margin=margin, order_id="o")
        back = an_outcome(1, "refund", after_days=0.6, value=refund, order_id="o")
        control = counted(Log([an_exposure(1)], [sold, back], []), request).cells[CellKey.overall()]["control"]
        assert control.sums[one.facts(None)[0].key] == kept


def test_a_line_counts_when_it_is_ripe_and_the_unit_stays_in_n() -> None:
    request = a_request(1, keys=("return_value_rate",), slices=())  # the cut is at the start of 30 March
    fact = METRICS["return_value_rate"].facts(None)[1].key
    for day, counts in ((15, 700), (16, 0)):
        bought = START.replace(day=day, hour=9)
        sold = {**lines(700)[0], "event_ts": bought, "event_day": event_day(bought)}
        exposed = an_exposure(1, event_ts=START.replace(day=13))
        control = counted(Log([exposed], [sold], []), request).cells[CellKey.overall()]["control"]
        assert (control.n, control.sums[fact]) == (1, counts)


@pytest.mark.parametrize(
    ("clicks", "owner"),
    [
        ([], "(direct)"),
        ([(0.1, {"module": "cart"})], "cart"),
        ([(0.1, {"module": "cart"}), (0.2, {"module": "pdp"})], "pdp"),
        ([(0.1, {"module": "pdp"}), (0.1, {"module": "cart", "item_id": "x"})], "cart"),
        ([(0.6, {"module": "cart"})], "(direct)"),  # after the line
        ([(-0.1, {"module": "cart"})], "(direct)"),  # before the first exposure
        ([(0.2, {"module": None, "query": "sofa"})], "(search)"),
        ([(0.2, {"module": None})], "(unknown)"),
    ],
)
def test_the_last_click_owns_an_order_line(clicks: list[tuple[float, dict[str, Value]]], owner: str) -> None:
    events = [an_outcome(1, "click", after_days=days, **given) for days, given in clicks]
    log = Log([an_exposure(1)], [*lines(700), *events], [])
    found = counted(log, a_request(1, keys=("revenue_per_unit",), slices=())).cells
    fact = METRICS["revenue_per_unit"].facts(None)[0].key
    assert [key.values for key, arms in found.items() if key.slice == "module" and arms["control"].sums[fact]] == [
        (owner,)
    ]


def test_money_beyond_64_bits_is_counted_exactly() -> None:
    great = 4_000_000_000_001
    sold = [an_outcome(unit, "purchase", after_days=0.5, value=great, order_id="o") for unit in (1, 2)]
    control = overall(Log([an_exposure(1), an_exposure(2)], sold, []), "revenue_per_unit")["control"]
    fact = METRICS["revenue_per_unit"].facts(None)[0].key
    assert control.product(fact, fact) == 2 * great * great > 2**63


def test_numbers_that_cannot_be_counted_exactly_are_refused_by_the_metrics_name() -> None:
    sold = [an_outcome(unit, "purchase", after_days=0.5, value=9 * 10**18, order_id="o") for unit in (1, 2, 3)]
    log = Log([an_exposure(unit) for unit in (1, 2, 3)], sold, [])
    with pytest.raises(WarehouseError, match="revenue_per_unit"):
        overall(log, "revenue_per_unit")
    with pytest.raises(WarehouseError, match="demo phase 2"):  # a single unit's total leaves 64 bits
        overall(Log([an_exposure(1)], [*sold[:1], {**sold[1], "unit": 1}], []), "revenue_per_unit")


def renamed(log: Log, column: str, names: Mapping[object, str]) -> Log:
    def of(rows: Iterable[Row]) -> list[Row]:
        return [{**row, column: names.get(row[column], row[column])} if column in row else row for row in rows]

    return Log(of(log.exposures), of(log.outcomes), log.sessions)


def test_rare_values_become_other_and_nothing_is_lost() -> None:
    log, dice = random_log(25, units=120), random.Random(1)
    many = [f"{n:02d}" for n in range(40)]
    log = Log(
        [{**row, "platform": dice.choice(many), "page_category": dice.choice(many)} for row in log.exposures],
        [{**row, "item_category": dice.choice(many)} for row in log.outcomes],
        log.sessions,
    )
    request = a_request(1, keys=FEW, slices=(SLICES[0],))
    found = counted(log, request, range_units=70).cells
    for name, column in (
        ("item_category", "item_category"),
        ("page_category", "page_category"),
        ("device", "platform"),
    ):
        kept = {key.values[0] for key in found if key.slice == name}
        assert len(kept) == 25
        assert "(other)" in kept
        expected = recount(renamed(log, column, {value: "(other)" for value in many if value not in kept}), request)
        for key, arms in expected.cells.items():
            if key.slice == name:
                assert found[key] == arms
    fact = METRICS["ctr"].facts(None)[1].key
    for arm in request.arms:
        cells = [arms[arm] for key, arms in found.items() if key.slice == "module_page_category"]
        assert sum(cell.sums[fact] for cell in cells) == found[CellKey.overall()][arm].sums[fact]


def test_a_count_that_is_cut_off_leaves_no_state_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    log, request = random_log(25), a_request(0, keys=FEW, slices=())
    with warehouse_with(log) as warehouse:
        first = warehouse.count(request)
        assert len(warehouse.check("two_arms", request).rows) == 2

        def full(*_: object) -> None:
            raise duckdb.IOException("IO Error: No space left on device")

        monkeypatch.setattr("analysis.warehouse.counting.counting.Counter._moments", full)
        with pytest.raises(WarehouseError, match=r"No space left.*free space"):
            warehouse.count(request)
        with pytest.raises(WarehouseError, match="count it first"):
            warehouse.check("two_arms", request)
        monkeypatch.undo()
        assert warehouse.count(request) == first
