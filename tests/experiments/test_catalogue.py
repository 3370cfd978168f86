"""The metric catalogue and the slices: what is shipped, and every way a shop's own can be wrong."""

import json
from pathlib import Path

import pytest

from experiments.catalogue import load_metrics, load_slices, read_metrics, read_slices, shipped_metrics
from experiments.errors import DefinitionError, Problem
from experiments.shop import Shop
from experiments.spec import SOURCES

REVENUE_LIKE = {
    "revenue_per_unit",
    "net_revenue_per_unit",
    "margin_per_unit",
    "orders_per_unit",
    "conversion",
    "aov",
    "revenue_per_session",
    "revenue_per_slate",
}
MARGINS = {
    **dict.fromkeys(REVENUE_LIKE, "0.02"),
    **dict.fromkeys(("oos_shown_rate", "oos_click_rate", "discount_share"), "0.05"),
    **dict.fromkeys(("return_rate", "return_value_rate", "cancellation_rate"), "0.10"),
    **dict.fromkeys(("fallback_rate", "latency_per_slate"), "0.10"),
}
OTHERS = {
    "ctr",
    "add_to_cart_rate",
    "cart_abandonment_rate",
    "items_per_order",
    "repeat_purchase_rate",
    "sessions_per_unit",
}

METRIC = {
    "label": "Own",
    "kind": "mean",
    "numerator": {"from": "order_lines", "measure": {"sum": "value"}},
    "value_unit": "money",
    "direction": "increase",
}


def test_the_shipped_metrics_are_the_promised_ones_with_their_margins() -> None:
    shipped = shipped_metrics()
    assert set(shipped) == {*MARGINS, *OTHERS}
    margins = {key: str(metric.guardrail_margin) for key, metric in shipped.items() if metric.guardrail_margin}
    assert margins == MARGINS


def test_what_changes_with_returns_is_given_14_days_and_the_rest_is_not() -> None:
    late = {key for key, metric in shipped_metrics().items() if metric.mature_days == 14}
    assert late == {"net_revenue_per_unit", "return_rate", "return_value_rate", "cancellation_rate"}
    assert {metric.mature_days for metric in shipped_metrics().values()} == {0, 14}
    assert shipped_metrics()["repeat_purchase_rate"].window_days == 28


def test_guardrails_are_the_shipped_ones_with_that_hint_and_better_when_lower() -> None:
    guardrails = [metric for metric in shipped_metrics().values() if metric.role_hint == "guardrail"]
    assert len(guardrails) == 8
    assert {metric.direction for metric in guardrails} == {"decrease"}


def test_labels_are_words_and_their_placeholders_are_units() -> None:
    for key, metric in shipped_metrics().items():
        assert "_" not in metric.label.replace("{unit", ""), key
        assert metric.label[0].isupper()


def read(tmp_path: Path, entries: dict[str, object] | str) -> list[Problem]:
    path = tmp_path / "metrics.yml"
    path.write_text(entries if isinstance(entries, str) else json.dumps({"metrics": entries}))
    return read_metrics(path)[1]


def one(tmp_path: Path, **changes: object) -> list[Problem]:
    entry = {key: value for key, value in {**METRIC, **changes}.items() if value is not None}
    return read(tmp_path, {"own_metric": entry})


def lines(**fact: object) -> dict[str, object]:
    return {"from": "order_lines", "measure": "rows", **fact}


def test_a_right_metric_joins_the_shipped_ones(shop: Shop) -> None:
    shop.metrics_file.write_text(json.dumps({"schema_version": 1, "metrics": {"own_metric": METRIC}}))
    catalogue = load_metrics(shop)
    assert set(catalogue.metrics) == {*shipped_metrics(), "own_metric"}
    assert catalogue.metrics["own_metric"].key == "own_metric"


def test_a_fresh_shop_has_the_shipped_metrics_and_so_has_one_without_the_file(shop: Shop) -> None:
    assert load_metrics(shop).metrics == shipped_metrics()
    shop.metrics_file.unlink()
    assert load_metrics(shop).metrics == shipped_metrics()


def test_the_commented_example_of_a_fresh_shop_is_right_when_uncommented(shop: Shop, tmp_path: Path) -> None:
    text = shop.metrics_file.read_text()
    example = [
        line[2:] for line in text.splitlines() if line.startswith("# ") and ("  " in line or "big_orders" in line)
    ]
    body = "\n".join(
        f"  {line}" for line in example[example.index("big_orders_per_unit:") :] if not line.startswith("It")
    )
    assert read(tmp_path, text.replace("metrics: {}", f"metrics:\n{body}")) == []


def test_a_wrong_file_is_refused_with_every_problem(shop: Shop) -> None:
    shop.metrics_file.write_text(json.dumps({"metrics": {"ctr": METRIC, "x1": {**METRIC, "kind": "ratio"}}}))
    with pytest.raises(DefinitionError) as raised:
        load_metrics(shop)
    assert [problem.code for problem in raised.value.problems] == ["key_shipped", "no_denominator"]
    assert str(shop.metrics_file) in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"direction": None}, "missing_field", "direction"),
        ({"direction": "up"}, "unknown_value", "direction"),
        ({"lable": "x"}, "unknown_field", "lable"),
        ({"key": "own_metric"}, "unknown_field", "key"),
        ({"kind": "quantile"}, "not_in_this_version", "kind"),
        ({"kind": "ratio"}, "no_denominator", "denominator"),
        ({"denominator": lines()}, "denominator", "denominator"),
        ({"kind": "proportion", "value_unit": "share"}, "not_binary", "numerator.measure"),
        ({"value_unit": "count"}, "value_unit", "value_unit"),
        ({"numerator": lines(measure={"sum": "vaule"})}, "unknown_column", "numerator.measure.sum"),
        ({"numerator": lines(measure={"sum": "is_returned"})}, "column_kind", "numerator.measure.sum"),
        ({"numerator": lines(measure={"sum": "order_id"})}, "column_kind", "numerator.measure.sum"),
        ({"numerator": lines(measure={"distinct": "quantity"})}, "column_kind", "numerator.measure.distinct"),
        (
            {"numerator": lines(measure={"at_least": {"distinct": "value", "n": 2}})},
            "column_kind",
            "numerator.measure.at_least.distinct",
        ),
        ({"numerator": lines(where={"vaule": 1})}, "unknown_column", "numerator.where.vaule"),
        ({"numerator": lines(where={"is_returned": 1})}, "where_value", "numerator.where.is_returned"),
        ({"numerator": lines(where={"is_returned": "yes"})}, "where_value", "numerator.where.is_returned"),
        ({"numerator": lines(where={"is_returned": {"gt": 0}})}, "where_value", "numerator.where.is_returned"),
        ({"numerator": lines(where={"order_id": 17})}, "where_value", "numerator.where.order_id"),
        ({"numerator": lines(where={"quantity": "3"})}, "where_value", "numerator.where.quantity"),
        ({"numerator": lines(where={"quantity": True})}, "where_value", "numerator.where.quantity"),
        ({"numerator": lines(where={"quantity": []})}, "where_value", "numerator.where.quantity"),
        ({"numerator": lines(where={"quantity": {}})}, "where_value", "numerator.where.quantity"),
        ({"numerator": lines(where={"quantity": {"gt": 3, "lt": 4}})}, "where_value", "numerator.where.quantity"),
        (
            {"numerator": {"from": "interactions", "where": {"event_name": "clik"}, "measure": "rows"}},
            "where_value",
            "numerator.where.event_name",
        ),
        ({"numerator": lines(measure={"sum": "net_value"})}, "needs_mature_days", "mature_days"),
        ({"numerator": lines(where={"is_cancelled": False}, measure="any")}, "needs_mature_days", "mature_days"),
        (
            {"numerator": {"from": "sessions", "measure": "rows"}, "value_unit": "count", "mature_days": 14},
            "mature_days",
            "mature_days",
        ),
        (
            {
                "kind": "ratio",
                "numerator": lines(measure={"sum": "net_value"}),
                "denominator": {"from": "sessions", "measure": "rows"},
                "mature_days": 14,
            },
            "mixed_maturity",
            "mature_days",
        ),
        ({"covariates": ["revenue_per_unt"]}, "unknown_metric", "covariates[0]"),
        ({"covariates": "all"}, "unknown_value", "covariates"),
        ({"guardrail_margin": 0.05}, "value", "guardrail_margin"),
        ({"guardrail_margin": "0.05", "guardrail_margin_abs": "1"}, "two_margins", "guardrail_margin_abs"),
        ({"label": "Spend per {user}"}, "label", "label"),
        ({"window_days": 0}, "out_of_range", "window_days"),
    ],
)
def test_what_cannot_be_counted_is_refused_where_it_stands(
    tmp_path: Path, changes: dict[str, object], code: str, path: str
) -> None:
    problems = [(problem.code, problem.path) for problem in one(tmp_path, **changes)]
    assert (code, f"metrics.own_metric.{path}") in problems


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"covariates": ["revenue_per_unit", "own_metric"]},
        {"covariates": "none", "guardrail_margin_abs": "1.5"},
        {"numerator": lines(where={"is_returned": [True, False]}), "value_unit": "count", "mature_days": 7},
        {"numerator": lines(where={"quantity": {"gt": 3, "lt": 5}}), "value_unit": "count"},
        {"numerator": {"from": "slates", "measure": {"sum": "cost_micros"}}},
        {"numerator": lines(measure="any"), "kind": "proportion", "value_unit": "share"},
        {"kind": "ratio", "denominator": lines(measure={"sum": "discount"}), "value_unit": "share"},
    ],
)
def test_what_can_be_counted_is_accepted(tmp_path: Path, changes: dict[str, object]) -> None:
    assert one(tmp_path, **changes) == []


def test_a_column_of_another_source_says_where_it_is(tmp_path: Path) -> None:
    (problem,) = one(tmp_path, numerator=lines(where={"clicked": True}), value_unit="count")
    assert problem.next_step == "clicked is a column of slates"


def test_an_unknown_column_names_the_nearest_and_its_line(tmp_path: Path) -> None:
    text = """\
metrics:
  spend:
    label: Spend
    kind: mean
    numerator:
      from: order_lines
      measure: {sum: vaule}
    value_unit: money
    direction: increase
"""
    (problem,) = read(tmp_path, text)
    assert problem.nearest[0] == "value"
    assert problem.line == 7


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    problems = read(
        tmp_path,
        {
            "ctr": METRIC,
            "Bad-Key": METRIC,
            "slices": METRIC,
            "not_one": 3,
            "many_things": {
                "label": "{x}",
                "kind": "ratio",
                "numerator": lines(where={"quantity": {"gt": 1.5}, "is_returned": "no"}, measure={"sum": "order_id"}),
                "value_unit": "euro",
                "covariates": ["nothing_like_it"],
                "guardrail_margin": 0.1,
            },
        },
    )
    assert sorted((problem.path.removeprefix("metrics."), problem.code) for problem in problems) == [
        ("Bad-Key", "key_format"),
        ("ctr", "key_shipped"),
        ("many_things.direction", "missing_field"),
        ("many_things.guardrail_margin", "value"),
        ("many_things.numerator.measure.sum", "column_kind"),
        ("many_things.numerator.where.is_returned", "where_value"),
        ("many_things.numerator.where.quantity.gt", "wrong_type"),
        ("many_things.value_unit", "unknown_value"),
        ("not_one", "wrong_type"),
        ("slices", "key_reserved"),
    ]


def test_the_file_itself_is_checked(tmp_path: Path) -> None:
    assert [p.code for p in read(tmp_path, "schema_version: 2\nmetrics: {}\n")] == ["unknown_value"]
    assert [p.code for p in read(tmp_path, "metricz: {}\n")] == ["missing_field", "unknown_field"]
    assert [p.code for p in read(tmp_path, "- a\n")] == ["wrong_type"]
    assert "duplicate_key" in [p.code for p in read(tmp_path, "metrics:\n  a1: {kind: mean, kind: mean}\n")]


def test_every_column_that_matures_is_guarded(tmp_path: Path) -> None:
    for column, known in SOURCES["order_lines"].items():
        if known.kind == "money":
            codes = [problem.code for problem in one(tmp_path, numerator=lines(measure={"sum": column}))]
            assert codes == (["needs_mature_days"] if known.matures else []), column


# --- slices ---------------------------------------------------------------------------------------------------


def test_a_fresh_shop_has_the_usual_slices(shop: Shop) -> None:
    assert [(declared.key, declared.kind) for declared in load_slices(shop)] == [
        ("device", "context"),
        ("browser", "context"),
        ("bought_before", "context"),
        ("affinity", "context"),
        ("item_category", "decomposition"),
        ("module", "decomposition"),
        ("position", "descriptive"),
    ]
    assert load_slices(shop)[2].labels == {0: "New", 1: "Returning"}


def test_a_shop_without_slices_has_none(shop: Shop) -> None:
    shop.slices_file.write_text("# none\n")
    assert load_slices(shop) == ()
    shop.slices_file.unlink()
    assert load_slices(shop) == ()


TOP = "{key: d1, kind: context, pre_period_top: {from: order_lines, by: item_category, measure: {sum: COLUMN}}}"
ANY = "{from: order_lines, measure: any}"


@pytest.mark.parametrize(
    ("entry", "code", "path"),
    [
        ("{key: device, kind: context, column: platfrm}", "unknown_value", "[1].column"),
        ("{key: device, kind: context}", "value", "[1]"),
        ("{key: device, kind: context, column: platform, dimension: item_category}", "value", "[1]"),
        ("{key: device, kind: decomposition, column: platform}", "value", "[1]"),
        ("{key: device, kind: context, column: position}", "value", "[1]"),
        ("{key: taken, kind: context, column: platform}", "key_twice", "[1].key"),
        ("{key: first_module, kind: context, column: platform}", "key_built_in", "[1].key"),
        ("{key: D, kind: context, column: platform}", "key_format", "[1].key"),
        ("{key: device, kind: context, column: platform, labels: {0: x}}", "labels", "[1].labels"),
        (
            "{key: d1, kind: context, pre_period: {from: order_lines, measure: {sum: value}}}",
            "too_many_values",
            "[1].pre_period.measure",
        ),
        (
            "{key: d1, kind: context, pre_period: {from: order_lines, where: {valu: 1}, measure: any}}",
            "unknown_column",
            "[1].pre_period.where.valu",
        ),
        (
            "{key: d1, kind: context, pre_period: {from: order_lines, where: {is_returned: true}, measure: any}}",
            "needs_mature_days",
            "[1].pre_period",
        ),
        (
            TOP.replace("COLUMN", "vale"),
            "unknown_column",
            "[1].pre_period_top.measure.sum",
        ),
        (
            TOP.replace("COLUMN", "net_value"),
            "needs_mature_days",
            "[1].pre_period_top",
        ),
        (f"{{key: d1, kind: context, pre_period: {ANY}, labels: {{a: x}}}}", "wrong_type", "[1].labels.a"),
    ],
)
def test_a_slice_that_cannot_be_cut_is_refused(tmp_path: Path, entry: str, code: str, path: str) -> None:
    file = tmp_path / "slices.yml"
    file.write_text(f"- {{key: taken, kind: context, column: browser}}\n- {entry}\n")
    slices, problems = read_slices(file)
    assert (code, path) in [(problem.code, problem.path) for problem in problems]
    assert [declared.key for declared in slices] == ["taken"]
    assert all(problem.line == 2 for problem in problems)


def test_a_small_count_before_the_first_exposure_is_a_slice(tmp_path: Path) -> None:
    file = tmp_path / "slices.yml"
    file.write_text(
        "- {key: orders_before, kind: context, pre_period: {from: order_lines, measure: {distinct: order_id}}}\n"
    )
    assert read_slices(file)[1] == []


def test_slices_are_a_list(shop: Shop) -> None:
    shop.slices_file.write_text("device: {kind: context}\n")
    with pytest.raises(DefinitionError, match="begin each slice with -"):
        load_slices(shop)
