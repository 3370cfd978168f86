"""What a check publishes beside its sentence: figures with their limits, each browser's state, what it withholds."""

import json
from dataclasses import replace

import pytest

from analysis.health.checks import Evidence, evaluate
from analysis.health.findings import SEVERITY
from analysis.health.thresholds import THRESHOLDS
from analysis.readout import Check, Judged, Withholds
from tests.helpers.evidence import Row, check_of, evidence
from tests.helpers.signals import carts, skewed

SHOPS = {
    "healthy": evidence(),
    "split off": evidence({"control": 10_000, "new": 9_000}),
    "split off, imported": replace(evidence({"control": 10_000, "new": 9_000}), finished_import=True),
    "carts missing": evidence(missing_add_to_cart=carts(0.0)),
    "carts fewer": evidence(missing_add_to_cart=carts(0.7)),
    "clocks": evidence(clock_skew=skewed(300)),
    "old catalogue": evidence(
        stock_known=[
            {"module": "home", "items_shown": 1000, "items_stock_known": 1000, "catalogue_minutes_old": 600}
        ],
        late_events=[
            {"log": "outcomes", "events": 900, "arrivals": 900, "minute_late": 9, "hour_late": 3, "day_late": 0}
        ],
    ),
}  # fmt: skip


def judged(check: Check, figure: str) -> Judged:
    return next(each for each in check.judged if each.figure == figure)


@pytest.mark.parametrize("shop", SHOPS)
def test_a_judged_figure_is_one_of_the_checks_and_never_worse_than_it(shop: str) -> None:
    for check in evaluate(SHOPS[shop]).checks:
        for each in check.judged:
            assert check.figures[each.figure] == each.value
            assert SEVERITY.index(each.state) <= SEVERITY.index(check.state)
            assert (each.warn, each.fail) != (None, None)
        if check.state in ("warn", "fail"):
            assert check.state in {each.state for each in check.judged}, check.id


def test_limits_are_those_of_the_table_and_none_stands_for_never() -> None:
    check = check_of(evaluate(SHOPS["old catalogue"]), "SH-17")
    known, age = judged(check, "known"), judged(check, "catalogue_hours_old")
    assert (check.state, known.state, age.state) == ("warn", "pass", "warn")
    assert (age.value, age.warn, age.fail, age.worse, age.unit) == (10.0, 6, 24, "above", "hours")
    assert (known.warn, known.fail, known.worse, known.unit) == (0.99, 0.95, "below", "share")
    late = judged(check_of(evaluate(SHOPS["old catalogue"]), "SH-05"), "late_hour")
    assert (late.warn, late.fail) == (THRESHOLDS["late_hour"].warn, None)
    day = judged(check_of(evaluate(SHOPS["old catalogue"]), "SH-05"), "late_day")
    assert (day.warn, day.fail) == (None, THRESHOLDS["late_day"].fail)


def test_a_split_is_judged_by_its_odds_or_at_one_look_by_chance() -> None:
    looked_at = {name: check_of(evaluate(SHOPS[name]), "SH-01") for name in ("split off", "split off, imported")}
    assert [each.unit for each in looked_at["split off"].judged] == ["odds"]
    assert [each.unit for each in looked_at["split off, imported"].judged] == ["chance"]


def test_the_worst_group_is_held_against_the_limits_of_one() -> None:
    rows: list[Row] = [
        {"dimension": "browser", "value": browser, "arm": arm, "units": units}
        for browser, by_arm in (("safari", (6_000, 5_280)), ("chrome", (40_000, 40_100)), ("tiny", (40, 20)))
        for arm, units in zip(("control", "new"), by_arm, strict=True)
    ]
    check = check_of(evaluate(evidence({"control": 46_040, "new": 45_400}, sample_ratio=rows)), "SH-01")
    worst = judged(check, "e_worst_group")
    (group,) = check.groups
    assert worst.value == group["e"] / 2  # type: ignore[operator]
    assert (worst.state, judged(check, "e").state) == ("fail", "pass")
    assert check.browsers == {"chrome": "pass", "safari": "fail", "tiny": "unknown"}


@pytest.mark.parametrize(
    ("query", "rows", "check", "states"),
    [
        ("missing_add_to_cart", carts(0.0), "SH-02", {"chrome": "pass", "opera": "unknown", "safari_mobile": "fail"}),
        ("missing_add_to_cart", carts(1.0), "SH-02", {"chrome": "pass", "opera": "unknown", "safari_mobile": "pass"}),
        ("clock_skew", skewed(300), "SH-06", {"chrome": "pass", "opera": "unknown", "safari_mobile": "fail"}),
    ],
)
def test_each_browser_has_its_own_state_and_too_few_rows_are_no_pass(
    query: str, rows: list[Row], check: str, states: dict[str, str]
) -> None:
    given = evidence()
    found = evaluate(replace(given, rows={**given.rows, query: replace(given.rows[query], rows=tuple(rows))}))
    assert check_of(found, check).browsers == states


def test_a_failing_check_tells_what_it_withholds_by_name() -> None:
    split = check_of(evaluate(SHOPS["split off"]), "SH-01")
    assert split.withholds == Withholds(everything=True)
    carts = check_of(evaluate(SHOPS["carts missing"]), "SH-02")
    assert carts.withholds == Withholds(everything=False, metrics=("Carts", "Carts"))
    rows: list[Row] = [
        {"event_name": "view", "items": 1000, "found": 900, "found_normalised": 900, "catalogue_rows": 9}
    ]
    catalogue = check_of(evaluate(evidence(catalogue_join=rows)), "SH-03")
    assert catalogue.withholds == Withholds(everything=False, dimensions=("item_category",))
    assert all(check.withholds is None for check in evaluate(SHOPS["healthy"]).checks)


def test_a_snapshot_published_before_there_were_limits_still_reads() -> None:
    def old(given: Evidence) -> Check:
        body = json.loads(check_of(evaluate(given), "SH-01").model_dump_json())
        kept = {name: value for name, value in body.items() if name not in Check.model_fields or name in BEFORE}
        return Check.model_validate(kept)

    check = old(SHOPS["split off"])
    assert (check.state, check.judged, check.browsers, check.withholds, check.more_sql) == ("fail", (), {}, None, ())


BEFORE = ("id", "label", "state", "blocking", "sentence", "figures", "groups", "sql", "since", "owner")
