"""The verdict table of READOUT, row by row, in its order."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import product

import pytest

from analysis import words
from analysis.readout import Verdict
from analysis.verdict import BEST_FIRST, ArmCase, Hold, Latch, Reading, Run, arm_verdict, overall, withheld

UP = Reading(
    metric="revenue_per_unit", role="success", label="Revenue per user",
    change=words.Change("Revenue per user", "lift", (0.0199, 0.0026, 0.0374), "EUR", money=(4100, 540, 7700)),
    status="better", gate=True, better=True, immaterial=False, harmed=False, strength=0.0199, materiality="0.5%",
)  # fmt: skip
UNCLEAR = replace(
    UP, change=words.Change("Revenue per user", "lift", (0.004, -0.011, 0.019), "EUR"), status="not_clear",
    better=False, strength=0.004, more_days=9,
)  # fmt: skip
SMALL = replace(
    UNCLEAR, change=words.Change("Revenue per user", "lift", (0.001, -0.003, 0.004), "EUR"), immaterial=True,
    status="no_material_effect",
)  # fmt: skip
DOWN = replace(
    UNCLEAR, status="worse", harmed=True,
    change=words.Change(
        "Revenue per user", "lift", (-0.03, -0.05, -0.01), "EUR", least=0.012, money=(-4100, -7700, -540)
    ),
)  # fmt: skip
CLEARED = Reading(
    metric="return_rate", role="guardrail", label="Share of order lines sent back",
    change=words.Change("Share of order lines sent back", "lift", (-0.01, -0.04, 0.02), "EUR"), status="cleared",
    gate=True, better=False, immaterial=False, harmed=False, strength=0.01, allowed="10%",
    limit=words.figures(-0.01, -0.04, 0.02, unit="lift"),
)  # fmt: skip
OPEN = replace(CLEARED, status="not_clear", limit=words.figures(0.04, -0.03, 0.11, unit="lift"), more_days=6)
BREACHED = replace(
    CLEARED, status="breached", harmed=True,
    change=words.Change("Share of order lines sent back", "lift", (0.2, 0.13, 0.27), "EUR", least=0.14),
)  # fmt: skip
UNMEASURED = replace(
    CLEARED, change=None, limit=None, status="not_clear", gate=False, cause="its first data mature on 16 December 2026"
)
RUN = Run(
    design="always_valid", first_day=date(2026, 12, 1), full_days=14, end_reading=date(2026, 12, 29), finished=False,
    min_days=7, min_units=1000, unit_type="user", same_strategy=False,
)  # fmt: skip
FINISHED = replace(RUN, full_days=28, finished=True)
FIXED = replace(RUN, design="fixed")


def case(*readings: Reading, units: int = 50_000, latch: Latch | None = None, several: bool = False) -> ArmCase:
    return ArmCase("als_v2", units, readings, latch, several)


def rules(verdict: Verdict) -> list[str]:
    return [because.rule for because in verdict.because]


# --- one row of the table each ---------------------------------------------------------------------------


def test_ship_when_a_success_metric_is_up_and_every_guardrail_is_cleared() -> None:
    found = arm_verdict(case(UP, CLEARED, CLEARED), RUN)
    assert found.code == "SHIP"
    assert found.sentence == (
        "Ship als_v2: revenue per user is up 2.0% (between 0.3% and 3.7%), worth about €4,100 a day "
        "(between €500 and €7,700). Both guardrails are inside their limits."
    )
    assert rules(found) == ["success_up", "guardrail_cleared", "guardrail_cleared"]


def test_hold_when_a_guardrail_is_not_cleared_yet() -> None:
    found = arm_verdict(case(UP, CLEARED, OPEN), RUN)
    assert found.code == "HOLD"
    assert "may be worse than the 10% you allowed (−3.0% to +11.0%). 6 more days would settle it." in found.sentence
    assert rules(found)[-1] == "guardrail_not_cleared"


def test_hold_says_when_this_run_cannot_settle_it() -> None:
    assert arm_verdict(case(UP, replace(OPEN, more_days=None)), RUN).sentence.endswith(
        "It cannot be settled in this run."
    )
    # after the end only what still ripens has more days
    assert arm_verdict(case(UP, OPEN), FINISHED).sentence.endswith("6 more days would settle it.")


def test_hold_names_the_cause_when_a_guardrail_could_not_be_measured() -> None:
    found = arm_verdict(case(UP, UNMEASURED), RUN)
    assert found.code == "HOLD"
    assert found.sentence.endswith(
        "but we could not measure share of order lines sent back: its first data mature on 16 December 2026."
    )


def test_hold_names_every_guardrail_that_could_not_be_measured() -> None:
    slow = replace(UNMEASURED, metric="latency", label="Average time to fill a slot", cause="no latency is logged")
    found = arm_verdict(case(UP, CLEARED, slow, UNMEASURED), RUN)
    assert found.sentence.endswith(
        "but we could not measure average time to fill a slot (no latency is logged) and share of order lines sent "
        "back (its first data mature on 16 December 2026)."
    )
    both = arm_verdict(case(UP, slow, OPEN), RUN)
    assert "may be worse than the 10% you allowed" in both.sentence
    assert both.sentence.endswith("We could not measure average time to fill a slot: no latency is logged.")


def test_a_guardrail_below_its_gate_is_not_measured_however_it_looks() -> None:
    found = arm_verdict(case(UP, replace(CLEARED, gate=False)), RUN)
    assert (found.code, rules(found)[-1]) == ("HOLD", "guardrail_not_measured")


@pytest.mark.parametrize("run", [RUN, FINISHED, FIXED, replace(RUN, full_days=1), replace(RUN, full_days=9)])
def test_stop_on_any_day_of_any_design(run: Run) -> None:
    found = arm_verdict(case(DOWN, CLEARED), run)
    assert found.code == "STOP"
    assert found.sentence == "Stop: revenue per user is worse by 3.0% (at least 1.2%), about €4,100 a day."
    assert found.next_reading is None


def test_stop_when_a_guardrail_is_breached_although_success_is_up() -> None:
    found = arm_verdict(case(UP, BREACHED), RUN)
    assert found.code == "STOP"
    assert "worse by 20.0% (at least 14.0%), and you allowed 10%." in found.sentence


def test_harm_below_the_gate_is_not_read() -> None:
    assert arm_verdict(case(replace(DOWN, gate=False), CLEARED), RUN).code == "TOO_EARLY"


def test_a_stop_latches_until_a_person_closes_it() -> None:
    latch = Latch("als_v2", "revenue_per_unit", date(2026, 12, 5))
    found = arm_verdict(case(UP, CLEARED, latch=latch), RUN)
    assert found.code == "STOP"
    assert found.sentence == (
        "Stop: revenue per user was worse on 5 December 2026, and the stop stands until a person closes it; "
        "today it spans +0.3% to +3.7%."
    )
    again = arm_verdict(case(DOWN, CLEARED, latch=latch), RUN)
    assert again.sentence.startswith("Stop: revenue per user is worse by")
    assert rules(again) == ["harm", "latched"]


@pytest.mark.parametrize(
    ("given", "run", "rule"),
    [
        (case(replace(UP, gate=False), CLEARED), RUN, "gate"),
        (case(UP, CLEARED), replace(RUN, full_days=6), "min_days"),
        (case(UP, CLEARED, units=999), RUN, "min_units_per_arm"),
        (case(UP, CLEARED), FIXED, "planned_end"),
    ],
)
def test_too_early_for_each_of_its_reasons(given: ArmCase, run: Run, rule: str) -> None:
    found = arm_verdict(given, run)
    assert (found.code, rules(found)) == ("TOO_EARLY", [rule])
    assert "We are watching for harm meanwhile: none found." in found.sentence


def test_the_first_reading_is_dated() -> None:
    early = replace(RUN, full_days=3)
    assert arm_verdict(case(UP), early).next_reading == "2026-12-08"
    assert "First reading on 8 December 2026." in arm_verdict(case(UP), early).sentence
    assert arm_verdict(case(UP), FIXED).next_reading == "2026-12-29"
    ten = replace(early, min_days=10)  # whole weeks, so the second Tuesday
    assert arm_verdict(case(UP), ten).next_reading == "2026-12-15"
    short = replace(early, end_reading=date(2026, 12, 6), min_days=5)
    assert arm_verdict(case(UP), short).next_reading == "2026-12-06"


def test_no_material_effect_when_every_success_range_is_inside_its_materiality() -> None:
    found = arm_verdict(case(SMALL, CLEARED), RUN)
    assert found.code == "NO_MATERIAL_EFFECT"
    assert found.sentence == (
        "No material effect: between −0.30% and +0.40% on revenue per user; you said only 0.5% or more matters."
    )
    assert arm_verdict(case(SMALL, replace(UNCLEAR, metric="aov"), CLEARED), RUN).code == "CANT_TELL"


def test_no_material_effect_comes_before_ship() -> None:
    assert arm_verdict(case(replace(SMALL, better=True), CLEARED), RUN).code == "NO_MATERIAL_EFFECT"


def test_cant_tell_says_the_range_and_what_it_would_take() -> None:
    found = arm_verdict(case(UNCLEAR, CLEARED), RUN)
    assert found.code == "CANT_TELL"
    assert found.sentence == "Can't tell yet: anywhere from −1.1% to +1.9% on revenue per user. 9 more days for ±0.5%."


def test_at_the_end_it_says_so() -> None:
    found = arm_verdict(case(UNCLEAR, CLEARED), FINISHED)
    assert found.sentence == (
        "We ran it as planned and still can't tell: anywhere from −1.1% to +1.9% on revenue per user."
    )
    assert found.next_reading is None


def test_a_finished_run_that_never_had_enough_says_what_was_missing() -> None:
    found = arm_verdict(case(UP, CLEARED, units=812), FINISHED)
    assert found.code == "CANT_TELL"
    assert found.sentence == "We ran it as planned and still can't tell: 812 of the 1,000 users each arm needs."


def test_an_arm_without_exposures_is_said_outright() -> None:
    nobody = replace(case(UP, CLEARED, units=0), empty=("als_v2",))
    found = arm_verdict(nobody, FINISHED)
    assert (found.code, found.sentence) == ("CANT_TELL", "Can't tell: als_v2 has no exposures.")
    running = arm_verdict(replace(nobody, empty=("control", "als_v2")), RUN)
    assert (running.code, rules(running)[0]) == ("TOO_EARLY", "no_exposures")
    assert running.sentence.endswith("Meanwhile control and als_v2 have no exposures.")


def test_days_without_data_are_said_outright() -> None:
    found = arm_verdict(case(UP, CLEARED, units=1), replace(FINISHED, silent_days=27))
    assert found.sentence == "Can't tell: 1 of the 1,000 users each arm needs and 27 of the 28 days have no data."
    assert "no data" not in arm_verdict(case(UP, CLEARED), replace(FINISHED, silent_days=27)).sentence  # enough units


def test_what_was_never_logged_is_why_nothing_can_be_told() -> None:
    none = replace(UP, change=None, gate=False, better=False, cause="no order is logged")
    found = arm_verdict(case(none, CLEARED), FINISHED)
    assert found.sentence == (
        "We ran it as planned and still can't tell: revenue per user could not be measured: no order is logged."
    )


# --- when benefit is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "code"), [(7, "SHIP"), (8, "CANT_TELL"), (13, "CANT_TELL"), (14, "SHIP"), (21, "SHIP")]
)
def test_benefit_is_read_in_whole_weeks(day: int, code: str) -> None:
    assert arm_verdict(case(UP, CLEARED), replace(RUN, full_days=day)).code == code


@pytest.mark.parametrize("reading", [UP, SMALL])
@pytest.mark.parametrize("guardrail", [CLEARED, OPEN])
def test_between_readings_the_next_one_is_named(reading: Reading, guardrail: Reading) -> None:
    found = arm_verdict(case(reading, guardrail), replace(RUN, full_days=10))
    assert (found.code, found.next_reading) == ("CANT_TELL", "2026-12-15")
    assert "next reading on 15 December 2026" in found.sentence


def test_a_finished_run_is_read_whatever_the_weekday() -> None:
    odd = replace(FINISHED, full_days=25)
    assert arm_verdict(case(UP, CLEARED), odd).code == "SHIP"
    assert arm_verdict(case(UP, CLEARED), replace(odd, design="fixed")).code == "SHIP"


def test_the_next_reading_is_never_past_where_the_log_ends_early() -> None:
    late = replace(RUN, full_days=3, min_days=7, end_reading=None)
    assert late.next_reading == RUN.first_day + timedelta(days=7)
    for days in (7, 12, 13):
        today = RUN.first_day + timedelta(days=days)
        assert replace(late, today=today).next_reading == RUN.first_day + timedelta(days=14)


def test_the_next_reading_is_never_after_the_planned_end() -> None:
    late = replace(RUN, full_days=24, end_reading=date(2026, 12, 27))
    assert late.next_reading == date(2026, 12, 27)


# --- several arms, A/A, withheld -------------------------------------------------------------------------


def test_the_experiment_shows_stop_if_any_arm_has_it_else_the_best_arm() -> None:
    cases = {
        "SHIP": case(UP, CLEARED, several=True), "HOLD": case(UP, OPEN, several=True),
        "CANT_TELL": case(UNCLEAR, CLEARED, several=True), "STOP": case(DOWN, CLEARED, several=True),
        "NO_MATERIAL_EFFECT": case(SMALL, CLEARED, several=True), "TOO_EARLY": case(UP, units=5, several=True),
    }  # fmt: skip
    order: list[str] = ["STOP", *BEST_FIRST]
    for first, second in product(cases, cases):
        pair = [cases[first], cases[second]]
        found = overall(pair, [arm_verdict(each, RUN) for each in pair])
        assert found.code == min((first, second), key=order.index)


def test_of_two_arms_to_ship_the_better_one_speaks_and_is_named() -> None:
    better = replace(UP, strength=0.05)
    cases = [case(UP, CLEARED, several=True), replace(case(better, CLEARED, several=True), arm="other")]
    found = overall(cases, [arm_verdict(each, RUN) for each in cases])
    assert (found.arm, found.sentence.split(":")[0]) == ("other", "Ship other")


def test_sentences_name_the_arm_where_there_are_several() -> None:
    for readings in ((UP, OPEN), (DOWN,), (UNCLEAR,), (SMALL,)):
        assert "als_v2" in arm_verdict(case(*readings, several=True), RUN).sentence
        assert "als_v2" not in arm_verdict(case(*readings), RUN).sentence


def test_an_aa_test_without_a_difference_is_as_it_should_be() -> None:
    aa = replace(RUN, same_strategy=True)
    assert arm_verdict(case(UNCLEAR, CLEARED), aa).sentence.startswith("As it should be: no difference found")
    assert arm_verdict(case(SMALL, CLEARED), aa).code == "NO_MATERIAL_EFFECT"
    assert arm_verdict(case(SMALL, CLEARED), aa).sentence.startswith("As it should be: no difference found")
    assert arm_verdict(case(UNCLEAR), replace(FINISHED, same_strategy=True)).sentence.startswith("As it should be")


def test_an_aa_test_with_a_difference_is_held_never_shipped() -> None:
    found = arm_verdict(case(UP, CLEARED), replace(RUN, same_strategy=True))
    assert (found.code, rules(found)[-1]) == ("HOLD", "same_strategy")
    assert "every arm runs the same strategy" in found.sentence
    worse = arm_verdict(case(replace(DOWN, harmed=False)), replace(RUN, same_strategy=True))
    assert "As it should be" not in worse.sentence


def test_a_blocking_check_withholds_with_cause_owner_and_fix() -> None:
    found = withheld([Hold("SH-01", "the split is off", "data team", "find the lost exposures")], ["revenue_per_unit"])
    assert found is not None
    assert found.sentence == (
        "Results withheld: the split is off. Any lift could be an artefact. The data team must find the lost exposures."
    )
    assert (found.owner, found.fix, found.because[0].check) == ("data team", "find the lost exposures", "SH-01")


def test_a_check_that_holds_some_metrics_withholds_only_when_a_success_metric_is_among_them() -> None:
    hold = Hold("SH-02", "carts are missing", "web team", "repair it", frozenset({"add_to_cart_rate"}))
    assert withheld([hold], ["revenue_per_unit"]) is None
    assert withheld([hold], ["revenue_per_unit", "add_to_cart_rate"]) is not None
    assert withheld([replace(hold, metrics=frozenset(), dimensions=frozenset({"item_category"}))], ["ctr"]) is None


def test_a_first_crossing_stays_dated_beside_todays_range() -> None:
    crossed = replace(UNCLEAR, first_crossing=date(2026, 12, 9))
    found = arm_verdict(case(crossed), RUN)
    assert found.because[-1].words == (
        "the range of revenue per user cleared zero on 9 December 2026; today it spans −1.1% to +1.9%"
    )


@pytest.mark.parametrize("success", [UP, UNCLEAR, SMALL, DOWN, replace(UP, change=None, gate=False, better=False)])
@pytest.mark.parametrize("guardrail", [CLEARED, OPEN, BREACHED, UNMEASURED])
@pytest.mark.parametrize("run", [RUN, FINISHED, FIXED, replace(RUN, full_days=2), replace(RUN, full_days=9)])
def test_every_sentence_ends_and_uses_words_for_readers(success: Reading, guardrail: Reading, run: Run) -> None:
    found = arm_verdict(case(success, guardrail), run)
    said = " ".join([found.sentence, *(because.words for because in found.because)])
    assert found.sentence.endswith(".")
    assert ".." not in said
    assert "-" not in said.replace("als_v2", "").replace("out-of-stock", "")  # minus is U+2212
    assert not [word for word in words.NOT_FOR_READERS if word in said.lower()]


def test_hold_when_another_success_metric_is_worse_though_not_surely_enough_to_stop() -> None:
    down = replace(
        UNCLEAR, metric="conversion", label="Share of users who order", status="worse",
        change=words.Change("Share of users who order", "lift", (-0.05, -0.09, -0.004), "EUR"),
    )  # fmt: skip
    found = arm_verdict(case(UP, down, CLEARED), RUN)
    assert found.code == "HOLD"
    assert "up 2.0%" in found.sentence
    assert "but share of users who order is down 5.0% (between 0.4% and 9.0%)" in found.sentence
    assert rules(found)[-1] == "success_worse"


def test_a_guardrail_that_looks_breached_is_named_while_nothing_can_be_told() -> None:
    looks = replace(
        CLEARED, status="breached", harmed=False, limit=words.figures(0.2, 0.11, 0.29, unit="lift"),
    )  # fmt: skip
    found = arm_verdict(case(UNCLEAR, looks), RUN)
    assert found.code == "CANT_TELL"
    assert found.sentence.endswith(
        "Meanwhile share of order lines sent back looks worse than the 10% you allowed (+11.0% to +29.0%)."
    )


def test_a_running_a_a_test_with_a_wide_range_is_not_called_as_it_should_be() -> None:
    wide = replace(UNCLEAR, change=words.Change("Revenue per user", "lift", (0.3, -0.14, 1.07), "EUR"))
    assert arm_verdict(case(wide), replace(RUN, same_strategy=True)).sentence.startswith("Can't tell yet")
    assert "As it should be" in arm_verdict(case(UNCLEAR), replace(FINISHED, same_strategy=True)).sentence
