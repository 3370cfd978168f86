"""Each check on hand-made rows: healthy, planted fault, too little data; and what a failure withholds."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from analysis import words
from analysis.health.checks import RULES, evaluate
from analysis.health.split import audit
from analysis.health.thresholds import THRESHOLDS
from analysis.inference.moments import CellKey, Moments
from analysis.inference.result import Undetermined
from tests.helpers.evidence import ALIKE, Row, assigned, check_of, evidence, held


def test_a_healthy_shop_holds_nothing_and_every_rule_speaks_once() -> None:
    health = evaluate(evidence(margin_coverage=[{"arm": "new", "lines": 500, "lines_with_margin": 500}]))
    assert health.holds == ()
    assert {check.state for check in health.checks} <= {"pass", "unknown", "not_applicable"}
    assert len({check.id for check in health.checks}) == len(RULES)


def test_no_sentence_uses_a_word_that_is_not_for_readers() -> None:
    said = " ".join(check.sentence for check in evaluate(evidence()).checks)
    assert not [word for word in words.NOT_FOR_READERS if word in said.lower()]


def test_a_query_that_was_not_run_is_unknown_never_a_pass() -> None:
    health = evaluate(replace(evidence(), rows={}))
    assert {check_of(health, key).state for key in ("SH-02", "SH-03", "SH-04", "SH-07", "SH-08", "SH-16")} == {
        "unknown"
    }


# --- SH-01 -----------------------------------------------------------------------------------------------


def test_a_lost_share_of_one_arm_withholds_everything_and_says_how_much() -> None:
    health = evaluate(evidence({"control": 10_000, "new": 9_000}))
    assert check_of(health, "SH-01").state == "fail"
    assert held(health, "SH-01") is None
    assert "new has 47.4% of the units where 50% were planned" in health.holds[0].cause


def test_a_loss_in_safari_alone_is_found_where_the_whole_looks_fine() -> None:
    rows: list[Row] = []
    for browser, control, new in (("safari", 6_000, 5_280), ("chrome", 40_000, 40_100), ("tiny", 40, 20)):
        rows += [
            {"dimension": "browser", "value": browser, "arm": "control", "units": control},
            {"dimension": "browser", "value": browser, "arm": "new", "units": new},
        ]
    health = evaluate(evidence({"control": 46_040, "new": 45_400}, sample_ratio=rows))
    check = check_of(health, "SH-01")
    assert check.state == "fail"
    assert [group["group"] for group in check.groups] == ["Browser: Safari"]
    assert check.figures["groups"] == 2  # the browser of 60 units is not tested


def test_a_slice_of_one_value_does_not_repeat_the_whole() -> None:
    given = evidence({"control": 2_000, "new": 1_500})
    both = {"control": Moments(2_000), "new": Moments(1_500)}
    cells = {
        CellKey("context", "first_module", ("homepage",), None): both,
        CellKey("context", "first_module_page_category", ("homepage", "(none)"), None): both,
        CellKey("context", "device", ("tv",), None): {"control": Moments(1_200), "new": Moments(800)},
    }
    check = check_of(evaluate(replace(given, counts=replace(given.counts, cells=cells))), "SH-01")
    assert [group["group"] for group in check.groups] == ["all units", "Device: Tv"]
    alone = {"control": Moments(200), "new": Moments(20)}
    cells = {CellKey("context", "first_module_page_category", ("homepage", "(none)"), None): alone}
    calm = evidence({"control": 20_000, "new": 20_000})
    check = check_of(evaluate(replace(calm, counts=replace(calm.counts, cells=cells))), "SH-01")
    assert check.sentence.startswith(
        "In the group module × page category of the first exposure: Homepage × None given, control has 90.9% of the "
    )


def test_a_context_slice_is_a_group_too_but_parts_and_windows_are_not() -> None:
    given = evidence({"control": 20_000, "new": 20_000})
    uneven = {"control": Moments(2_000), "new": Moments(1_500)}
    cells = {
        CellKey("context", "device", ("tv",), None): uneven,
        CellKey("context", "device", ("tv",), 7): uneven,
        CellKey("decomposition", "module", ("cart",), None): uneven,
    }
    check = check_of(evaluate(replace(given, counts=replace(given.counts, cells=cells))), "SH-01")
    assert [group["group"] for group in check.groups] == ["Device: Tv"]
    assert check.figures["groups"] == 1


def test_a_difference_below_a_tenth_of_a_point_is_no_warning_however_many_units() -> None:
    assert check_of(evaluate(evidence({"control": 50_080_000, "new": 49_920_000})), "SH-01").state == "pass"
    assert check_of(evaluate(evidence({"control": 50_300_000, "new": 49_700_000})), "SH-01").state == "fail"


def test_fewer_than_100_units_are_unknown() -> None:
    assert check_of(evaluate(evidence({"control": 60, "new": 10})), "SH-01").state == "unknown"


def test_the_evidence_is_the_largest_of_all_days_and_dates_the_first() -> None:
    given = evidence({"control": 10_400, "new": 10_000})
    days = {
        date(2026, 3, 2): {"control": Moments(1_000), "new": Moments(1_000)},
        date(2026, 3, 3): {"control": Moments(4_000), "new": Moments(3_000)},
        date(2026, 3, 4): {"control": Moments(10_400), "new": Moments(10_000)},
    }
    calm = check_of(evaluate(given), "SH-01")
    check = check_of(evaluate(replace(given, counts=replace(given.counts, daily=days))), "SH-01")
    assert calm.state != "fail"
    assert (check.state, check.since) == ("fail", "2026-03-03")


def test_a_finished_import_is_judged_by_chi_square() -> None:
    hillstrom = evidence({"control": 21_306, "new": 21_387})
    check = check_of(evaluate(replace(hillstrom, finished_import=True)), "SH-01")
    assert (check.state, check.figures["judged_by"]) == ("pass", "chi_square")
    # p = 0.0003: fails a single look, where the always-valid evidence (e = 60) would not even warn
    off = replace(evidence({"control": 5_180, "new": 4_820}), finished_import=True)
    assert check_of(evaluate(off), "SH-01").state == "fail"
    assert check_of(evaluate(replace(off, finished_import=False)), "SH-01").state == "pass"


def test_weights_are_the_definitions() -> None:
    given = evidence({"control": 2_000, "new": 1_000})
    uneven = tuple(v.model_copy(update={"weight": "2" if v.is_control else "1"}) for v in given.experiment.variants)
    two_to_one = given.experiment.model_copy(update={"variants": uneven})
    assert check_of(evaluate(given), "SH-01").state == "fail"
    assert check_of(evaluate(replace(given, experiment=two_to_one)), "SH-01").state == "pass"


# --- SH-02 -----------------------------------------------------------------------------------------------


def _browser_days(drop: float, others: float = 1.0) -> list[Row]:
    """Two browsers over ten days, 2,000 views and 10 % carts a day; on the last day safari × drop, others × others."""
    return [
        {
            "browser": browser, "event_day": (date(2026, 3, 1) + timedelta(days=n)).isoformat(), "views": 2_000,
            "add_to_carts": round(200 * (factor if n == 9 else 1)), "purchases": 50, "in_run": n >= 2,
        }
        for browser, factor in (("chrome", others), ("safari", drop))
        for n in range(10)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("drop", "state"), [(1.0, "pass"), (0.85, "pass"), (0.55, "warn"), (0.3, "fail"), (0.0, "fail")]
)
def test_carts_that_vanish_in_one_browser_hold_the_metrics_that_count_them(drop: float, state: str) -> None:
    health = evaluate(evidence(missing_add_to_cart=_browser_days(drop)))
    check = check_of(health, "SH-02")
    assert check.state == state
    if state == "fail":
        assert held(health, "SH-02") == frozenset({"add_to_cart_rate", "cart_events"})
        assert check.since == "2026-03-10"
        assert "on Safari fell by" in health.holds[0].cause
    else:
        assert health.holds == ()


def test_a_bad_day_of_every_browser_is_not_a_missing_event() -> None:
    assert check_of(evaluate(evidence(missing_add_to_cart=_browser_days(0.4, others=0.4))), "SH-02").state == "pass"


def test_days_before_the_start_are_a_baseline_only() -> None:
    early = [{**row, "in_run": False} for row in _browser_days(0.0)]
    assert check_of(evaluate(evidence(missing_add_to_cart=early)), "SH-02").state == "unknown"


def test_a_browser_that_never_logged_a_cart_but_has_orders_fails() -> None:
    rows = [{**row, "add_to_carts": 0} if row["browser"] == "safari" else row for row in _browser_days(1.0)]
    health = evaluate(evidence(missing_add_to_cart=rows))
    assert "no add-to-cart is logged on Safari, which has 500 orders" in health.holds[0].cause
    no_orders = [{**row, "purchases": 0} for row in rows]
    assert check_of(evaluate(evidence(missing_add_to_cart=no_orders)), "SH-02").state == "pass"


def test_a_small_browser_is_not_judged() -> None:
    rows = [{**row, "views": 400, "add_to_carts": 1} for row in _browser_days(0.0)]
    assert check_of(evaluate(evidence(missing_add_to_cart=rows)), "SH-02").state == "unknown"


# --- the others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "normalised", "state"),
    [(1000, 1000, "pass"), (990, 990, "warn"), (970, 970, "fail"), (985, 999, "fail"), (996, 1000, "pass")],
)
def test_items_the_catalogue_does_not_know_hold_the_category_views(found: int, normalised: int, state: str) -> None:
    rows: list[Row] = [
        {"event_name": "view", "items": 1000, "found": found, "found_normalised": normalised, "catalogue_rows": 9}
    ]
    health = evaluate(evidence(catalogue_join=rows))
    assert check_of(health, "SH-03").state == state
    if state == "fail":
        (hold,) = health.holds
        assert (hold.metrics, hold.dimensions) == (frozenset(), frozenset({"item_category"}))


def test_a_shop_without_a_catalogue_has_no_join_to_check() -> None:
    rows: list[Row] = [{"event_name": "view", "items": 500, "found": 0, "found_normalised": 0, "catalogue_rows": 0}]
    assert check_of(evaluate(evidence(catalogue_join=rows)), "SH-03").state == "not_applicable"


def _duplicates(control: int, new: int, by_id: int = 0) -> list[Row]:
    return [
        {"arm": arm, "units": 3_000, "slates": 10_000, "semantic_duplicates": 2 * faulty,
         "units_with_duplicates": faulty, "id_duplicates": by_id, "rows_read": 50_000}
        for arm, faulty in (("control", control), ("new", new))
    ]  # fmt: skip


def test_duplicates_are_deduped_and_block_only_when_one_arm_has_more() -> None:
    assert check_of(evaluate(evidence(duplicates=_duplicates(20, 22))), "SH-04").state == "pass"
    assert check_of(evaluate(evidence(duplicates=_duplicates(20, 22, by_id=500))), "SH-04").state == "warn"
    equal = evaluate(evidence(duplicates=_duplicates(400, 410)))
    assert (check_of(equal, "SH-04").state, equal.holds) == ("fail", ())
    unequal = evaluate(evidence(duplicates=_duplicates(20, 120)))
    assert held(unequal, "SH-04") is None
    assert "0.67% in control and 4% in new" in unequal.holds[0].cause


@pytest.mark.parametrize(
    ("control", "new", "state"), [(3, 3, "pass"), (12, 12, "warn"), (40, 40, "fail"), (0, 40, "fail")]
)
def test_units_in_two_arms_block_when_many_or_unequal(control: int, new: int, state: str) -> None:
    rows: list[Row] = [
        {"arm": arm, "units": 3_000, "units_in_two_arms": n, "first_day": "2026-03-04"}
        for arm, n in (("control", control), ("new", new))
    ]
    health = evaluate(evidence(two_arms=rows))
    assert check_of(health, "SH-07").state == state
    assert (state == "fail") == any(hold.check == "SH-07" and hold.metrics is None for hold in health.holds)


def test_clicks_before_any_exposure_fail_and_never_withhold() -> None:
    row: Row = {"event_day": "2026-03-03", "clicks": 1000, "clicks_before_exposure": 4, "purchases": 500,
                "purchases_unexposed": 400}  # fmt: skip
    assert check_of(evaluate(evidence(order_of_events=[row])), "SH-08").state == "pass"
    health = evaluate(evidence(order_of_events=[{**row, "clicks_before_exposure": 6}]))
    assert (check_of(health, "SH-08").state, health.holds) == ("fail", ())


def test_purchases_of_nobody_exposed_are_ids_that_do_not_match() -> None:
    row: Row = {"event_day": "2026-03-03", "clicks": 0, "clicks_before_exposure": 0, "purchases": 500,
                "purchases_unexposed": 500}  # fmt: skip
    check = check_of(evaluate(evidence(order_of_events=[row])), "SH-08")
    assert check.state == "fail"
    assert "all of the purchases" in check.sentence


def test_a_growing_share_of_orders_without_exposure_warns() -> None:
    def days(last: int) -> list[Row]:
        return [
            {"event_day": f"2026-03-{n + 2:02}", "clicks": 0, "clicks_before_exposure": 0, "purchases": 1_000,
             "purchases_unexposed": last if n >= 7 else 300} for n in range(14)
        ]  # fmt: skip

    assert check_of(evaluate(evidence(order_of_events=days(310))), "SH-08").state == "pass"
    assert check_of(evaluate(evidence(order_of_events=days(450))), "SH-08").state == "warn"


def test_the_audit_names_who_assigned() -> None:
    check = check_of(evaluate(evidence()), "SH-09")
    assert (check.state, check.sentence) == ("not_applicable", "Not applicable: assigned by the shop.")


@pytest.mark.parametrize(
    ("ok", "wrong", "state", "said"),
    [
        (5_000, 0, "pass", "All 5,000 exposures are in the arm that the definition gives."),
        (5_000, 1, "warn", "1 exposure is not what the definition gives (0.02%)"),
        (5_000, 60, "fail", "60 exposures are not what the definition gives (1.2%)"),
        (0, 0, "unknown", "exposures"),
    ],
)
def test_an_assignment_of_our_own_is_recomputed(ok: int, wrong: int, state: str, said: str) -> None:
    rows: list[Row] = [{"class": "ok", "exposures": ok}, {"class": "variant_mismatch", "exposures": wrong}]
    found = audit(replace(evidence(hash_audit=rows), experiment=assigned()))
    assert found.check.state == state
    assert said in found.check.sentence
    assert (found.hold is not None) is (state == "fail")


def test_an_assignment_of_our_own_that_nobody_recomputed_is_unknown() -> None:
    assert audit(replace(evidence(), experiment=assigned())).check.state == "unknown"


@pytest.mark.parametrize(("p", "state"), [(0.2, "pass"), (0.005, "warn"), (0.0002, "fail")])
def test_arms_that_differed_before_block(p: float, state: str) -> None:
    health = evaluate(replace(evidence(), pre_period=replace(ALIKE, p=p, e=1 / p)))
    assert check_of(health, "SH-15").state == state
    assert (state == "fail") == (health.holds != ())


def test_what_differed_before_is_named_without_a_number() -> None:
    gaps = {"control": {"x_1": 0.01, "x_2": -0.2}, "new": {"x_1": -0.01, "x_2": 0.2}}
    differ = replace(ALIKE, p=0.0002, e=5000.0, covariates=("x_1", "x_2"), differences=gaps)
    names = {"x_1": "pre:aov/denominator", "x_2": "pre:revenue_per_unit"}
    check = check_of(evaluate(replace(evidence(), pre_period=differ, covariate_names=names)), "SH-15")
    assert check.groups == ({"measure": "revenue per unit"}, {"measure": "aov, denominator"})
    assert set(check.figures) == {"p", "e", "covariates"}


def test_no_covariates_is_unknown_with_its_reason() -> None:
    given = replace(evidence(), pre_period=Undetermined("too_few_covariates", "nothing from before"))
    assert check_of(evaluate(given), "SH-15").sentence == "Unknown: nothing from before."


def test_an_unregistered_variant_blocks_and_is_named() -> None:
    health = evaluate(
        evidence(unregistered_variant=[{"variant": "newer", "slates": 1200, "units": 300, "first_day": "2026-03-05"}])
    )
    assert check_of(health, "SH-16").since == "2026-03-05"
    assert held(health, "SH-16") is None
    assert "a variant the definition does not: “newer” (1,200 rows)" in health.holds[0].cause


def test_an_unregistered_variant_is_the_first_cause() -> None:
    given = evidence(unregistered_variant=[{"variant": "newer", "slates": 9, "units": 3, "first_day": "2026-03-05"}])
    health = evaluate(replace(given, pre_period=replace(ALIKE, p=0.0002, e=5000.0)))
    assert [hold.check for hold in health.holds] == ["SH-16", "SH-15"]


@pytest.mark.parametrize(("known", "state"), [(1000, "pass"), (985, "warn"), (970, "fail")])
def test_missing_margins_hold_margin_metrics_only(known: int, state: str) -> None:
    health = evaluate(evidence(margin_coverage=[{"arm": "new", "lines": 1000, "lines_with_margin": known}]))
    assert check_of(health, "SH-19").state == state
    if state == "fail":
        assert held(health, "SH-19") == frozenset({"margin_per_unit"})


def test_nothing_at_all_is_none_and_not_only_0_percent() -> None:
    bare = evaluate(evidence(margin_coverage=[{"arm": "new", "lines": 1000, "lines_with_margin": 0}]))
    assert check_of(bare, "SH-19").sentence == "None of the order lines have a margin."


def test_returns_without_an_order_are_counted_and_never_withhold() -> None:
    rows: list[Row] = [{"arm": "new", "returns": 200, "unlinked": 200}]
    health = evaluate(evidence(returns_unlinked=rows))
    assert (check_of(health, "SH-14").state, health.holds) == ("warn", ())
    assert "200 of 200 refunds" in check_of(health, "SH-14").sentence


def test_rejected_rows_are_shown_by_reason() -> None:
    rows: list[Row] = [
        {"reason": "unit_missing", "rows": 1500, "rows_rejected": 1500, "rows_read": 50_000},
        {"reason": "negative", "rows": 2, "rows_rejected": 1500, "rows_read": 50_000},
    ]
    check = check_of(evaluate(evidence(rejected_rows=rows)), "contract")
    assert check.state == "fail"
    assert "1,500 rows (3%)" in check.sentence
    assert "unit_missing, negative" in check.sentence


def test_a_limit_belongs_to_the_worse_side() -> None:
    drop = THRESHOLDS["catalogue_join"]
    assert [drop.state(0.999), drop.state(0.995), drop.state(0.98), drop.state(0.979)] == [
        "pass",
        "pass",
        "warn",
        "fail",
    ]
    above = THRESHOLDS["duplicates"]
    assert [above.state(0.0049), above.state(0.005), above.state(0.02)] == ["pass", "warn", "fail"]


def test_units_split_again_at_random_are_equal_faults_in_unequal_arms() -> None:
    rows: list[Row] = [
        {"arm": arm, "units": n, "units_in_two_arms": 45, "first_day": "2026-03-04"}
        for arm, n in (("control", 90_000), ("new", 10_000))
    ]
    health = evaluate(evidence({"control": 90_000, "new": 10_000}, two_arms=rows))
    assert check_of(health, "SH-07").state == "pass"
    rows[1]["units_in_two_arms"] = 0
    assert check_of(evaluate(evidence(two_arms=rows)), "SH-07").state == "fail"


def test_no_group_tells_what_an_arm_did_because_groups_stay_when_results_are_withheld() -> None:
    health = evaluate(
        evidence(
            returns_unlinked=[{"arm": arm, "returns": n, "unlinked": n} for arm, n in (("control", 300), ("new", 480))],
            margin_coverage=[
                {"arm": arm, "lines": n, "lines_with_margin": 0} for arm, n in (("control", 4_000), ("new", 4_800))
            ],
            duplicates=_duplicates(400, 410),
        )
    )
    shown = [group for key in ("SH-14", "SH-19", "SH-04") for group in check_of(health, key).groups]
    assert shown
    by_arm = [name for group in shown if "arm" in group for name in group]
    assert set(by_arm) <= {"arm", "units", "units_with_duplicates", "rows_read", "id_duplicates"}
