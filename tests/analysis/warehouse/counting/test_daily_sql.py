from analysis.warehouse.counting.daily_sql import holes
from analysis.warehouse.counting.layout import layout
from analysis.warehouse.counting.moment_table import day_sums
from experiments.spec import Metric
from tests.helpers.requests import count_request, shipped


def wanted(*metrics: Metric) -> dict[str, list[str] | str]:
    found = layout(count_request(metrics, series=tuple(metric.key for metric in metrics)))
    return holes(dict(found.post), day_sums(found))


def test_a_square_grows_by_new_less_old() -> None:
    found = wanted(*shipped("revenue_per_unit"))
    (name,) = (item.rsplit(" as ", 1)[1] for item in found["increments"])
    assert found["facts"][:2] == [f"r.total_{name} as new_{name}", f"(r.total_{name} - r.{name}) as old_{name}"]
    new, old = (f"cast({when}_{name} as hugeint) * {when}_{name}" for when in ("new", "old"))
    assert f"sum({new} - {old})" in found["products"]
    assert f"sum(cast(new_{name} - old_{name} as hugeint) * seen_before)" in found["products"]


def test_whether_a_unit_did_something_is_read_off_its_running_count() -> None:
    found = wanted(*shipped("conversion"))
    assert found["facts"][0].startswith("cast(r.total_f_")
    assert "> 0 as bigint) as new_f_" in found["facts"][0]


def test_orders_add_over_days_and_other_values_count_on_their_first() -> None:
    found = wanted(*shipped("orders_per_unit"))
    assert len(found["orders"]) == len(found["order_flags"]) == 1
    assert found["first_order_lines"] == []
    events = Metric.model_validate({
        "key": "events", "label": "Events", "kind": "mean", "value_unit": "count", "direction": "increase",
        "numerator": {"from": "interactions", "measure": {"distinct": "event_name"}},
    })  # fmt: skip
    found = wanted(events)
    assert "OVER (PARTITION BY unit, event_name) as first_f_" in found["first_interactions"][0]
    assert "day = first_f_" in found["interactions"][0]


def test_every_branch_has_every_fact_and_zero_where_it_is_anothers() -> None:
    found = wanted(*shipped("revenue_per_session"))
    value, sessions = (item.rsplit(" as ", 1)[1] for item in found["increments"])
    assert found["increments_of"] == (
        f"select unit, day, cast({value} as bigint) as {value}, cast(0 as bigint) as {sessions} from line_days"
        " union all "
        f"select unit, day, cast(0 as bigint) as {value}, cast({sessions} as bigint) as {sessions} from session_days"
    )
