import json
import math
import statistics
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assignment.hashing import bucket
from experiments.contracts import CONTRACTS
from experiments.errors import UsageError
from experiments.simulator.generator import Assign, Logs, simulate, write
from experiments.simulator.plan import CATEGORY_KEYS, Plan, Play, lifted

LIFTED = lifted("home_als", "homepage", "als", {"decor": 0.8, "bedding": -0.5}, click_lift=0.3)
SAME = lifted("pdp_aa", "pdp", "b")
START, END = datetime(2026, 9, 28), datetime(2026, 10, 26)


def assign(experiment: str, unit: str) -> str:
    other = {"home_als": "als", "pdp_aa": "b"}[experiment]
    return other if bucket(f"{experiment}.1:split", unit) < 5_000 else "control"


def everybody(arm: str) -> Assign:
    return lambda _experiment, _unit: arm


@pytest.fixture(scope="module")
def logs() -> Logs:
    return simulate(Plan(seed=1, units=4_000, plays=(LIFTED, SAME)), assign)


def ask(logs: Logs, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        for name in ("exposures", "outcomes", "catalogue"):
            connection.register(name, _naive(getattr(logs, name)))
        return connection.execute(query).fetchall()


def _naive(table: pa.Table) -> pa.Table:
    """Instants without their zone, as the queries write them."""
    kinds = [pa.field(f.name, pa.timestamp("us") if pa.types.is_timestamp(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(kinds))


def number(logs: Logs, query: str) -> float:
    value = ask(logs, query)[0][0]
    assert isinstance(value, int | float)
    return float(value)


def revenue(logs: Logs, category: str | None) -> float:
    """The analytic lift of revenue, of everything or of a category."""
    cut = (None, None) if category is None else ("item_category", category)
    lift = logs.truth["home_als"].of("revenue_per_unit", method="analytic", slice=cut[0], value=cut[1]).lift
    assert lift is not None
    return lift


def test_the_same_plan_gives_the_same_rows(logs: Logs) -> None:
    again = simulate(Plan(seed=1, units=4_000, plays=(LIFTED, SAME)), assign)
    other = simulate(Plan(seed=2, units=4_000, plays=(LIFTED, SAME)), assign)
    for name in ("exposures", "outcomes", "catalogue"):
        assert getattr(again, name).equals(getattr(logs, name))
        assert not getattr(other, name).equals(getattr(logs, name))
    assert again.truth == logs.truth


def test_without_a_lift_the_split_changes_nothing_but_the_label() -> None:
    plan = Plan(seed=5, units=800, plays=(SAME,))
    control, treated = (simulate(plan, everybody(arm)) for arm in ("control", "b"))
    assert control.outcomes.equals(treated.outcomes)
    assert control.exposures.drop_columns("variant").equals(treated.exposures.drop_columns("variant"))
    lifts = control.truth["pdp_aa"].lifts
    assert len(lifts) > 300
    assert all(each.control == each.treatment for each in lifts)
    assert {each.lift for each in lifts} <= {0.0, None}


def test_a_lift_makes_orders_and_a_negative_one_takes_them() -> None:
    plan = Plan(seed=5, units=1_500, plays=(lifted("home_als", "homepage", "als", {"decor": 1.0, "bedding": -1.0}),))
    none, all_of_them = (simulate(plan, everybody(arm)) for arm in ("control", "als"))
    orders = (
        "select distinct order_id from outcomes where event_name = 'purchase' and "
        "event_ts between '2026-09-28' and '2026-10-26'"
    )
    before, after = ({row[0] for row in ask(world, orders)} for world in (none, all_of_them))
    assert before - after, "bedding bought through the homepage is gone"
    assert after - before, "decor bought through the homepage is new"
    history = "select * from outcomes where event_name = 'purchase' and event_ts < '2026-09-28' order by all"
    strip = history.replace("*", "* exclude (event_id, request_id, received_ts)")
    assert ask(none, strip) == ask(all_of_them, strip), "nothing changes before the run"


@pytest.mark.slow
def test_arms_differ_by_the_written_truth() -> None:
    """Twelve shops: (observed − true) / standard error has mean 0 and variance 1, for revenue and for one category."""
    scores: dict[str, list[float]] = {"all": [], "decor": []}
    for seed in range(12):
        logs = simulate(Plan(seed=100 + seed, units=3_000, plays=(LIFTED,)), assign)
        for category, found in scores.items():
            found.append(_score(logs, category, revenue(logs, None if category == "all" else category)))
    for name, found in scores.items():
        assert abs(statistics.mean(found)) < 3.3 / math.sqrt(len(found)), name
        assert 0.3 < statistics.pstdev(found) < 1.8, name


def _score(logs: Logs, category: str, true: float) -> float:
    rows = ask(
        logs,
        f"""
        with first as (
            select unit_id, min(variant) as arm, min(event_ts) as ts from exposures
            where experiment_key = 'home_als' and not is_bot group by unit_id
        ),
        totals as (
            select arm, coalesce(sum(value) filter (event_name = 'purchase'
                and o.event_ts >= ts and o.event_ts < '2026-10-26'
                and ('{category}' = 'all' or item_id like '{category}%')), 0) as y
            from first left join outcomes o using (unit_id) group by unit_id, arm
        )
        select avg(y), var_samp(y) / count(*) from totals group by arm order by arm = 'als'
        """,
    )
    (control, noise_c), (treatment, noise_t) = [(float(str(mean)), float(str(noise))) for mean, noise in rows]
    lift = treatment / control - 1
    return (lift - true) / math.sqrt((noise_t + (1 + lift) ** 2 * noise_c) / control**2)


def test_the_injected_signs_are_in_the_truth(logs: Logs) -> None:
    assert 0.15 < revenue(logs, "decor") < 0.35
    assert -0.25 < revenue(logs, "bedding") < -0.08
    assert revenue(logs, None) > 0
    others = [revenue(logs, key) for key in CATEGORY_KEYS if key not in ("decor", "bedding")]
    assert all(0 < abs(lift) < 0.06 for lift in others), "only what was bought beside something else"
    assert logs.truth["pdp_aa"].of("orders_per_unit", method="analytic").lift == 0


@pytest.mark.parametrize("name", ["exposure", "outcome", "catalogue"])
def test_rows_keep_the_contract(logs: Logs, name: str) -> None:
    table: pa.Table = getattr(logs, name if name == "catalogue" else f"{name}s")
    model = CONTRACTS[name]
    assert set(table.column_names) <= set(model.model_fields)
    for row in table.slice(0, 100).to_pylist() + table.slice(table.num_rows - 100).to_pylist():
        model.model_validate(row)


def test_ids_are_unique_and_rows_in_order_of_time(logs: Logs) -> None:
    for table in (logs.exposures, logs.outcomes):
        assert len(set(table["event_id"].to_pylist())) == table.num_rows
        times = table["event_ts"].to_pylist()
        assert times == sorted(times)


def test_only_the_run_is_split_and_every_arm_is_logged(logs: Logs) -> None:
    rows = ask(
        logs,
        "select experiment_key, module, variant, count(*), min(event_ts), max(event_ts) from exposures "
        "where assignment_reason = 'split' group by all order by all",
    )
    assert [row[:3] for row in rows] == [
        ("home_als", "homepage", "als"),
        ("home_als", "homepage", "control"),
        ("pdp_aa", "pdp", "b"),
        ("pdp_aa", "pdp", "control"),
    ]
    for *_, first, last in rows:
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        assert START <= first <= last < END
    outside = """
        select count(*) filter (event_ts < '2026-09-28') > 0 and count(*) filter (event_ts >= '2026-10-26') > 0
            and bool_and(experiment_key is null and variant is null and phase is null)
        from exposures where assignment_reason = 'none' and not (event_ts >= '2026-09-28' and event_ts < '2026-10-26')
    """
    assert ask(logs, outside) == [(True,)]
    arms = "select count(distinct variant) from exposures where experiment_key = 'home_als' group by unit_id"
    assert {row[0] for row in ask(logs, arms)} == {1}


def test_people_keep_their_habits(logs: Logs) -> None:
    visits = """
        with visits as (
            select unit_id, count(distinct session_id) filter (event_ts < '2026-09-28') as before,
                count(distinct session_id) filter (event_ts between '2026-09-28' and '2026-10-26') as during
            from outcomes where event_name = 'view' group by unit_id
        )
        select corr(before, during) from visits
    """
    assert number(logs, visits) > 0.6
    bots = number(logs, "select count(distinct unit_id) from exposures where is_bot")
    assert 0 < bots < 40
    sold = "from outcomes semi join (from exposures where is_bot) using (unit_id) where event_name = 'purchase'"
    assert number(logs, f"select count(*) {sold}") == 0


def test_orders_have_lines_and_some_come_back_late(logs: Logs) -> None:
    lines, orders = ask(logs, "select count(*), count(distinct order_id) from outcomes where event_name = 'purchase'")[
        0
    ]
    assert isinstance(lines, int)
    assert isinstance(orders, int)
    assert 1.3 < lines / orders < 1.7
    waits = """
        select r.event_name, min(r.event_ts - p.event_ts), max(r.event_ts - p.event_ts), count(distinct r.event_id),
            max(r.value <= p.value or r.value is null)
        from outcomes r join outcomes p on p.order_id = r.order_id and p.event_name = 'purchase'
            and p.unit_id = r.unit_id and (r.item_id is null or p.item_id = r.item_id)
        where r.event_name in ('refund', 'cancel') group by 1 order by 1
    """
    (cancel, soon, next_day, cancels, _), (refund, later, latest, refunds, within) = ask(logs, waits)
    assert (cancel, refund, within) == ("cancel", "refund", True)
    assert number(logs, "select max(event_ts) < '2026-11-10' from outcomes") == 1
    seconds = [each.total_seconds() for each in (soon, next_day, later, latest) if hasattr(each, "total_seconds")]
    assert len(seconds) == 4
    assert 0 < seconds[0] <= seconds[1] < 86_400 < 2.9 * 86_400 < seconds[2] <= seconds[3] < 21 * 86_400
    assert isinstance(cancels, int)
    assert isinstance(refunds, int)
    assert 0.005 < cancels / orders < 0.04
    assert 0.02 < refunds / lines < 0.1


def test_some_items_are_out_of_stock_where_shown_but_never_sold(logs: Logs) -> None:
    shown = """
        with slots as (select event_ts, unnest(items).item_id as item_id from exposures)
        select avg((stock = 0)::int), count(*) = (select count(*) * 4 from exposures)
        from slots join catalogue c on c.item_id = slots.item_id
            and event_ts >= valid_from and (valid_to is null or event_ts < valid_to)
    """
    share, complete = ask(logs, shown)[0]
    assert complete is True
    assert isinstance(share, float)
    assert 0.005 < share < 0.05
    sold = """
        select count(*) from outcomes o join catalogue c on c.item_id = o.item_id and o.event_name = 'purchase'
            and o.event_ts - interval 5 minute >= valid_from
            and (valid_to is null or o.event_ts - interval 5 minute < valid_to)
        where stock = 0
    """
    assert number(logs, sold) == 0


def test_clicks_land_on_items_that_were_shown(logs: Logs) -> None:
    strangers = """
        select count(*), count(*) filter (not list_contains(list_transform(e.items, lambda i: i.item_id), o.item_id)
            or e.unit_id <> o.unit_id or e.event_ts > o.event_ts)
        from outcomes o join exposures e on e.request_id = o.request_id and o.event_name = 'click'
    """
    clicks, strange = ask(logs, strangers)[0]
    assert isinstance(clicks, int)
    assert clicks > 1_000
    assert strange == 0
    searches = "select count(*) from outcomes where event_name = 'click' and query is not null and module is null"
    assert number(logs, searches) > 0


def test_written_files_read_back(logs: Logs, tmp_path: Path) -> None:
    paths = write(logs, tmp_path / "logs")
    for name in ("exposures", "outcomes", "catalogue"):
        assert pq.read_table(paths[name]).equals(getattr(logs, name))
    truth = json.loads(paths["truth"].read_text("utf-8"))
    written = {
        (row["method"], row["metric"], *next(iter((row["slice"] or {"": ""}).items()))): row
        for row in truth["home_als"]["arms"]["als"]
    }
    assert len(written) == len(logs.truth["home_als"].lifts)
    assert written["analytic", "revenue_per_unit", "", ""]["lift"] == revenue(logs, None)
    assert written["analytic", "revenue_per_unit", "item_category", "decor"]["lift"] == revenue(logs, "decor")
    assert written["replayed", "ctr", "", ""]["difference"] == logs.truth["home_als"].of("ctr").difference
    assert truth["home_als"]["control"] == "control"


@pytest.mark.parametrize(
    ("plays", "said"),
    [
        ((LIFTED, lifted("other", "homepage", "b")), "share the module homepage"),
        ((LIFTED, lifted("home_als", "pdp", "b")), "share the key home_als"),
        ((lifted("x", "pdp", "b", {"toys": 0.1}),), "no category toys"),
        ((lifted("x", "pdp", "b", {"decor": 1.5}),), "between -1 and 1"),
        ((lifted("x", "pdp", "b", click_lift=9),), "click_lift of 9"),
        ((Play("x", "pdp", {"b": LIFTED.arms["als"]}),), "needs control and another"),
    ],
)
def test_plans_that_cannot_be_played_are_refused(plays: tuple[Play, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Plan(seed=1, plays=plays)


def test_every_fault_of_a_plan_is_said_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        Plan(seed=1, plays=(lifted("x", "pdp", "b", {"toys": 0.1, "decor": -2}),), units=0, visits_a_day=7)
    for said in ("toys", "-2", "units is 0", "visits_a_day is 7"):
        assert said in str(refused.value)


def test_an_arm_that_nobody_plays_is_refused() -> None:
    with pytest.raises(UsageError, match="home_als: assigned to bls; it plays control, als"):
        simulate(Plan(seed=1, units=50, plays=(LIFTED,)), everybody("bls"))


def test_the_dates_are_the_plans_own() -> None:
    plan = Plan(seed=3, units=300, plays=(SAME,), start=date(2025, 1, 6), history_days=7, run_days=14, after_days=0)
    logs = simulate(plan, assign)
    times = logs.exposures["event_ts"].to_pylist()
    assert datetime(2024, 12, 30, tzinfo=UTC) <= times[0]
    assert times[-1] < datetime(2025, 1, 20, tzinfo=UTC), "the last visit ends inside the run"
