from analysis.inference.metrics import plan
from analysis.warehouse.counting.layout import all_pairs, layout
from experiments.catalogue import shipped_metrics
from experiments.spec import SEEN_BEFORE
from tests.helpers.requests import count_request, shipped

METRICS = shipped_metrics()


def test_every_name_that_inference_plans_with_has_a_column() -> None:
    for outcome_days in (None, 7):
        found = layout(count_request(METRICS.values(), outcome_days=outcome_days))
        for metric, columns in zip(METRICS.values(), found.metrics, strict=True):
            planned = plan(metric, METRICS, outcome_days)
            assert columns.facts == planned.facts
            assert columns.covariates == planned.covariates
            assert columns.window_days == planned.window_days
            assert set(columns.names) <= set(found.column_of)


def test_facts_shared_by_metrics_are_one_column() -> None:
    found = layout(count_request(shipped("revenue_per_unit", "aov", "discount_share")))
    assert len(found.post) == 3  # value, orders, discount
    assert len(found.pre) == 3


def test_twins_that_differ_in_the_outcome_window_are_one_column_with_two_names() -> None:
    short = METRICS["conversion"].model_copy(update={"key": "conversion_7", "window_days": 7})
    found = layout(count_request((METRICS["conversion"], short)))
    assert len(found.post) == 2
    assert len(found.pre) == 1
    assert len([name for name in found.column_of if name.startswith("x_")]) == 2
    assert found.windows == (7,)


def test_levels_follow_the_sources_native_cells() -> None:
    found = layout(count_request(shipped("ctr", "revenue_per_unit", "add_to_cart_rate", "conversion")))
    levels = {metric.key: metric.levels for metric in found.metrics}
    assert levels["ctr"] == ("module", "page_category", "module_page_category")
    assert levels["revenue_per_unit"] == ("module", "item_category", "module_item_category")
    assert levels["add_to_cart_rate"] == ("module",)
    assert levels["conversion"] == ()  # 'any' does not add over cells


def test_a_series_is_only_kept_without_an_outcome_window() -> None:
    keys = ("ctr", "repeat_purchase_rate")
    assert [metric.key for metric in layout(count_request(shipped(*keys), series=keys)).series] == ["ctr"]


def test_pairs_are_unordered_and_complete() -> None:
    assert all_pairs(("b", "a", "b")) == (("b", "b"), ("a", "b"), ("a", "a"))
    ctr = layout(count_request(shipped("ctr"))).metrics[0]
    assert len(ctr.pairs) == 5 * 6 // 2
    assert len(ctr.part_pairs) == len(ctr.pairs) - 3 * 4 // 2
    assert (SEEN_BEFORE, SEEN_BEFORE) in ctr.pairs
