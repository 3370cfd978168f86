"""Whole readouts from exact counts: the invariants of READOUT, and every part against plain arithmetic."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from decimal import Decimal

import pytest

from analysis import words
from analysis.assembly import Event, Inputs, assemble
from analysis.health.checks import CHECKS
from analysis.inference.moments import CellKey, Moments
from analysis.readout import Comparison, Interval, NotDetermined, Readout
from analysis.warehouse.base import CellValue, CheckRows, Counts
from experiments.errors import ReadoutError
from experiments.spec import ExperimentMetrics, Guardrail
from tests.helpers.counting import OOS, REVENUE, START, Truth, clean_checks, counts, definition, inputs, stop_event

LIFTED = Truth(lift={"new": 0.25})
SWINGS = (
    Truth(), LIFTED, Truth(lift={"new": -0.25}, days=5), Truth(lift={"new": 0.25}, stock={"new": 0.2}), Truth(days=3),
    Truth(days=28), Truth(days=10, lift={"new": 0.25}),
    Truth(arms=("control", "aa", "bb"), lift={"aa": 0.25, "bb": 0.05}),
)  # fmt: skip


def made(truth: Truth, **changes: object) -> Readout:
    return assemble(inputs(truth, **changes)).readout  # type: ignore[arg-type]


def row(readout: Readout, metric: str = "revenue_per_unit", arm: str = "new") -> Comparison:
    return next(c for c in readout.metric(metric).comparisons if c.arm == arm)


def interval(estimate: object) -> Interval:
    assert isinstance(estimate, Interval), estimate
    return estimate


def bounds(estimate: object) -> tuple[float, float]:
    found = interval(estimate)
    assert found.lo is not None
    assert found.hi is not None
    return found.lo, found.hi


def numbers(value: object) -> Iterator[float]:
    """Every number in a JSON value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


# --- invariants ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", SWINGS)
def test_the_last_point_of_the_band_is_the_row(truth: Truth) -> None:
    readout = made(truth)
    for arm in truth.arms[1:]:
        lift = interval(row(readout, arm=arm).relative)
        assert readout.series is not None
        band = readout.series["revenue_per_unit"][arm]
        assert band[-1] == (band[-1][0], lift.est, lift.lo, lift.hi)
        assert band[-1][0] == (START + timedelta(days=truth.days - 1)).date().isoformat()
        assert len(band) == truth.days


@pytest.mark.parametrize("truth", SWINGS)
def test_the_sentences_numbers_are_the_rows(truth: Truth) -> None:
    readout = made(truth)
    for each in readout.verdicts:
        printed = set(_figures(each.verdict.sentence))
        allowed = {"5%", str(truth.days), "1", "2", "3", "4", "5", "9", "16", "2026", "30"}
        for metric in readout.metrics or ():
            for c in metric.comparisons:
                if c.arm == each.arm:
                    for estimate, unit in ((c.relative, "lift"), (c.guardrail, "lift"), (c.money_per_day, "money")):
                        if isinstance(estimate, Interval):
                            allowed |= _shown(estimate, "money" if unit == "money" else "lift")
                    if isinstance(c.harm, Interval) and isinstance(c.relative, Interval):
                        least = abs(c.harm.hi if c.harm.lo is None and c.harm.hi is not None else c.harm.lo or 0.0)
                        both = words.figures(abs(c.relative.est), least, None, unit="lift", signs="minus")
                        allowed |= {both.est, both.lo or ""}
        assert printed <= allowed, each.verdict.sentence


def _figures(sentence: str) -> Iterator[str]:
    """Every number with its unit, without sign and punctuation."""
    for word in sentence.replace("(", " ").replace(")", " ").split():
        bare = word.strip(".,:;±").lstrip("+−")
        if any(letter.isdigit() for letter in bare):
            yield bare


def _shown(estimate: Interval, unit: words.ValueUnit) -> set[str]:
    ends = [estimate.lo, estimate.hi]
    shown = [words.figures(estimate.est, *ends, unit=unit)]
    if None not in ends:
        low, high = sorted(abs(end) for end in ends if end is not None)
        shown.append(words.figures(abs(estimate.est), low, high, unit=unit))
    return {text.lstrip("+−") for each in shown for text in (each.est, each.lo, each.hi) if text}


@pytest.mark.parametrize("truth", SWINGS)
def test_json_there_and_back_and_no_infinity(truth: Truth) -> None:
    readout = made(truth)
    assert Readout.from_json(readout.to_json()) == readout
    assert all(math.isfinite(number) for number in numbers(json.loads(readout.to_json())))


def test_parts_of_a_decomposition_add_up_to_the_adjusted_total_in_the_metric_and_in_money() -> None:
    readout = made(LIFTED)
    (grid,) = (part for part in readout.slices or () if part.key == "module_item_category")
    cells = [cell for cell in grid.cells if cell.metric == "revenue_per_unit"]
    assert len(cells) == 6
    total = row(readout)
    assert sum(interval(c.raw_absolute).est for c in cells) == pytest.approx(interval(total.absolute).est, rel=1e-9)
    assert sum(interval(c.money_per_day).est for c in cells) == pytest.approx(
        interval(total.money_per_day).est, rel=1e-9
    )
    assert sum(c.control_total or 0 for c in cells) == pytest.approx(
        total.control.n * (total.control.raw or 0), rel=1e-9
    )


def test_a_slices_sentence_counts_the_cells_of_every_arm() -> None:
    (one,) = (part for part in made(LIFTED).slices or () if part.key == "module_item_category")
    gains = sum(cell.flag == "gain" for cell in one.cells)
    assert one.words.startswith("Revenue per user: ")
    assert (f"{gains} gain" in one.words) == (gains > 0)
    two = Truth(arms=("control", "aa", "bb"), lift={"aa": 0.4}, units=6000)
    (devices,) = (part for part in made(two).slices or () if part.key == "device")
    assert devices.words.startswith("Revenue per user, aa: of 7 cells 7 gain. Revenue per user, bb: of 7 cells ")


def test_context_cells_partition_the_units() -> None:
    readout = made(LIFTED)
    (devices,) = (part for part in readout.slices or () if part.key == "device")
    for metric in readout.metrics or ():
        cells = [cell for cell in devices.cells if cell.metric == metric.key]
        assert sum(cell.units for cell in cells) == 6000


@pytest.mark.parametrize("truth", SWINGS)
def test_the_reading_agrees_with_its_range(truth: Truth) -> None:
    """p ≤ level exactly when the range at that level lies on one side of zero; gate open throughout."""
    for metric in made(truth).metrics or ():
        for c in metric.comparisons:
            lo, hi = bounds(c.absolute)
            assert c.gate
            if c.p_always_valid is not None and metric.role == "secondary":
                assert (c.p_always_valid < 0.05) == (lo * hi > 0)
            if metric.role == "success" and c.status == "better":
                assert lo > 0
            if c.status == "worse":
                assert hi < 0


# --- one id a set of inputs ------------------------------------------------------------------------------


def test_the_same_inputs_give_the_same_id_whenever_it_is_computed() -> None:
    first = made(LIFTED)
    later = made(LIFTED, now=START + timedelta(days=40))
    assert later.snapshot_id == first.snapshot_id
    assert later.model_copy(update={"published_at": first.published_at}) == first


@pytest.mark.parametrize("truth", [LIFTED, Truth(lift={"new": -0.25}, days=5)])
def test_a_second_run_that_finds_the_days_events_stored_gives_the_same_readout(truth: Truth) -> None:
    first = assemble(inputs(truth))
    assert first.new_events
    again = assemble(inputs(truth, events=first.new_events))
    assert again.new_events == ()
    assert again.readout == first.readout


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": counts(Truth(lift={"new": 0.25}, seed=6))},
        {"currency": "USD"},
        {"digits": 3},
        {"time_zone": "Europe/Berlin"},
        {"events": (stop_event("new", date(2026, 3, 5)),)},
        {"exploratory": frozenset({"conversion"})},
        {"check_rows": {name: CheckRows(name, ()) for name in CHECKS}},
    ],
)
def test_any_input_that_changes_the_readout_changes_the_id(changes: dict[str, object]) -> None:
    assert made(LIFTED, **changes).snapshot_id != made(LIFTED).snapshot_id


def test_being_watched_changes_nothing_while_it_runs() -> None:
    assert made(LIFTED, watched=False).snapshot_id == made(LIFTED, watched=True).snapshot_id


# --- against plain arithmetic ----------------------------------------------------------------------------


def test_means_money_and_units_are_the_counts() -> None:
    given = inputs(LIFTED)
    readout = assemble(given).readout
    everyone = given.counts.cells[CellKey.overall()]
    fact = REVENUE.facts(None)[0].key
    c = row(readout)
    assert c.control.raw == everyone["control"].sums[fact] / 3000 / 100
    assert c.treatment.raw == everyone["new"].sums[fact] / 3000 / 100
    assert c.treatment.nonzero == everyone["new"].nonzero[fact]
    money = interval(c.money_per_day)
    assert money.est == pytest.approx(interval(c.absolute).est * 6000 / 14, rel=1e-12)
    assert money.basis is not None
    lo, hi = bounds(c.absolute)
    assert bounds(money) == pytest.approx((lo * 6000 / 14, hi * 6000 / 14), rel=1e-12)
    assert interval(c.relative).est == pytest.approx((c.treatment.mean or 0) / (c.control.mean or 1) - 1, rel=1e-12)


def test_only_money_per_unit_is_worth_money_a_day() -> None:
    readout = made(LIFTED)
    assert [m.key for m in readout.metrics or () if m.comparisons[0].money_per_day is not None] == ["revenue_per_unit"]


def test_three_digits_of_money_are_a_tenth_of_two() -> None:
    two, three = made(LIFTED), made(LIFTED, digits=3)
    assert interval(row(three).absolute).est == pytest.approx(interval(row(two).absolute).est / 10, rel=1e-12)
    assert interval(row(three).relative) == interval(row(two).relative)


def test_the_adjustment_says_what_it_gained() -> None:
    adjustment = row(made(LIFTED)).adjustment
    assert adjustment is not None
    assert adjustment.covariates == ("pre:revenue_per_unit", "seen_before")
    assert adjustment.variance_reduction is not None
    assert 0.05 < adjustment.variance_reduction < 0.3
    saved = round(14 * (1 / (1 - adjustment.variance_reduction) - 1))
    assert f"worth about {saved} day" in adjustment.words
    plain = {**inputs(LIFTED).phase.metrics, "revenue_per_unit": REVENUE.model_copy(update={"covariates": "none"})}
    without = made(LIFTED, phase=inputs(LIFTED).phase.model_copy(update={"metrics": plain}), catalogue=plain)
    assert row(without).adjustment is None
    assert (row(without).se or 0) > (row(made(LIFTED)).se or 0)


def test_days_are_full_business_days_and_the_mode_is_the_schedules() -> None:
    assert made(LIFTED).day.model_dump() == {
        "n": 14, "planned": 28, "started_on": "2026-03-02", "ends_on": "2026-03-29"
    }  # fmt: skip
    after = made(Truth(days=40, lift={"new": 0.25}))
    assert (after.mode, after.day.n) == ("finished", 28)


# --- roles, margins, maturity ----------------------------------------------------------------------------


def _asking(guardrail: Guardrail) -> Inputs:
    given = definition()
    metrics = ExperimentMetrics(success=("revenue_per_unit",), guardrails=(guardrail,), secondary=())
    return inputs(LIFTED, given.model_copy(update={"metrics": metrics}))


def test_a_margin_of_the_definition_wins_over_the_metrics_own() -> None:
    own = assemble(inputs(LIFTED)).readout.metric("oos_shown_rate")
    tighter = assemble(_asking(Guardrail(metric="oos_shown_rate", margin=Decimal("0.02")))).readout
    assert (own.margin, own.comparisons[0].status) == ("0.05", "cleared")
    assert (tighter.metric("oos_shown_rate").margin, row(tighter, "oos_shown_rate").status) == ("0.02", "not_clear")
    assert tighter.verdict.code == "HOLD"


def test_an_absolute_margin_is_read_and_drawn_in_the_metrics_unit() -> None:
    readout = assemble(_asking(Guardrail(metric="oos_shown_rate", margin_abs=Decimal("0.004")))).readout
    metric, c = readout.metric("oos_shown_rate"), row(readout, "oos_shown_rate")
    assert (metric.margin, metric.margin_abs, c.status) == (None, "0.004", "cleared")
    bound, difference = interval(c.guardrail), interval(c.absolute)
    assert bound.lo is None
    assert bound.est == difference.est
    assert difference.hi is not None
    assert bound.hi is not None
    assert bound.est < bound.hi < difference.hi
    tight = assemble(_asking(Guardrail(metric="oos_shown_rate", margin_abs=Decimal("0.0001")))).readout
    assert "may be worse than the 0.01 points you allowed" in tight.verdict.sentence


def test_a_guardrail_without_any_margin_is_refused_by_name() -> None:
    with pytest.raises(ReadoutError, match=r"home_new: guardrail conversion has no margin; give margin or margin_abs"):
        assemble(_asking(Guardrail(metric="conversion")))


def test_an_unripe_guardrail_has_no_number_and_the_day_it_will_have_one() -> None:
    readout = made(LIFTED, experiment=definition(guardrails=("oos_shown_rate", "return_value_rate")))
    c = row(readout, "return_value_rate")
    assert c.not_determined is not None
    assert (c.not_determined.code, c.not_determined.words) == ("unripe", "its first data mature on 17 March 2026")
    assert isinstance(c.relative, NotDetermined)
    assert (c.control.mean, c.control.raw, c.control.nonzero) == (None, None, None)
    assert readout.verdict.code == "HOLD"
    assert "mature on 17 March 2026" in readout.verdict.sentence
    assert not [cell for part in readout.slices or () for cell in part.cells if cell.metric == "return_value_rate"]
    ripe = made(Truth(days=21, lift={"new": 0.25}), experiment=definition(guardrails=("return_value_rate",)))
    assert ripe.metric("return_value_rate").mature_until == "2026-03-09T00:00:00Z"
    assert isinstance(row(ripe, "return_value_rate").relative, Interval)


def _without(fact: str, arms: Sequence[str]) -> Counts:
    """The small shop's counts with one fact never logged in some arms."""
    found = counts(LIFTED)

    def gone(moments: Moments) -> Moments:
        return Moments(
            moments.n,
            {**moments.sums, fact: 0},
            {both: 0 if fact in both else product for both, product in moments.products.items()},
            {**moments.nonzero, fact: 0},
        )

    overall = {arm: gone(m) if arm in arms else m for arm, m in found.cells[CellKey.overall()].items()}
    return replace(found, cells={**found.cells, CellKey.overall(): overall})


@pytest.mark.parametrize(
    ("arms", "told"),
    [(("control", "new"), "no stock level is logged"), (("new",), "no stock level is logged in new")],
)
def test_a_guardrail_whose_signal_is_not_logged_says_which(arms: tuple[str, ...], told: str) -> None:
    readout = made(LIFTED, counts=_without(OOS.facts(None)[1].key, arms))
    found = row(readout, "oos_shown_rate").not_determined
    assert found is not None
    assert (found.code, found.words) == ("zero_denominator", told)
    assert readout.verdict.code == "HOLD"
    assert readout.verdict.sentence.endswith(
        f"but we could not measure share of shown items that are out of stock: {told}."
    )


def test_a_metric_that_is_the_same_for_everyone_was_not_logged() -> None:
    fact = OOS.facts(None)[0].key
    readout = made(LIFTED, counts=_without(fact, ("control", "new")))
    found = row(readout, "oos_shown_rate").not_determined
    assert found is not None
    assert (found.code, found.words) == ("no_variation", "no out-of-stock item is logged")


def test_an_arm_nobody_saw_is_named() -> None:
    readout = made(Truth(units=30, short={"new": 1.0}))
    assert readout.verdict.code == "TOO_EARLY"
    assert readout.verdict.sentence.endswith("Meanwhile new has no exposures.")


def test_a_metric_added_later_is_exploratory() -> None:
    readout = made(LIFTED, exploratory=frozenset({"conversion"}))
    assert [m.registered for m in readout.metrics or ()] == [True, True, False]


# --- designs ---------------------------------------------------------------------------------------------


def test_a_fixed_design_shows_no_p_and_always_valid_ranges_before_its_end() -> None:
    early, always = made(LIFTED, experiment=definition(design="fixed")), made(LIFTED)
    assert (early.verdict.code, early.verdict.next_reading) == ("TOO_EARLY", "2026-03-30")
    assert row(early).p_always_valid is None
    assert row(early).p_fixed is None
    assert interval(row(early).relative) == interval(row(always).relative)


def test_a_fixed_design_is_read_once_at_its_end_by_students_t() -> None:
    done = Truth(days=28, lift={"new": 0.25})
    fixed, always = made(done, experiment=definition(design="fixed")), made(done)
    assert (fixed.verdict.code, fixed.design.critical_value) == ("SHIP", None)
    c = row(fixed)
    lo, hi = bounds(c.absolute)
    assert c.se is not None
    assert (hi - lo) / 2 / c.se == pytest.approx(1.9606, abs=2e-3)
    assert c.p_fixed is not None
    assert c.p_fixed < 0.001
    assert c.p_always_valid is None
    wide = bounds(row(always).absolute)
    assert (hi - lo) * 1.4 < wide[1] - wide[0] < (hi - lo) * 1.7  # the price of looking every day


def test_holm_widens_the_ranges_of_two_arms() -> None:
    two = Truth(arms=("control", "aa", "bb"))
    c = row(made(two), arm="aa")
    lo, hi = bounds(c.absolute)
    assert c.se is not None
    one = row(made(Truth()))
    low, high = bounds(one.absolute)
    assert (hi - lo) / c.se > (high - low) / (one.se or 1)


# --- what is withheld ------------------------------------------------------------------------------------


Row = dict[str, CellValue]
BLOCKED: dict[str, Row] = {
    "unregistered_variant": {"variant": "newer", "slates": 12, "units": 3, "first_day": "2026-03-05"}
}
MISSING_MARGIN: dict[str, Row] = {"margin_coverage": {"arm": "new", "lines": 1000, "lines_with_margin": 500}}
GAP: dict[str, Row] = {
    "catalogue_join": {
        "event_name": "view", "items": 1000, "found": 900, "found_normalised": 900, "catalogue_rows": 9
    }
}  # fmt: skip


def _failing(rows: dict[str, Row]) -> dict[str, CheckRows]:
    return {**clean_checks(LIFTED), **{name: CheckRows(name, (found,)) for name, found in rows.items()}}


def test_a_withheld_readout_keeps_arms_and_checks_and_has_nothing_else() -> None:
    readout = made(LIFTED, check_rows=_failing(BLOCKED))
    body = json.loads(readout.to_json())
    assert readout.verdict.code == "WITHHELD"
    assert {each.verdict.code for each in readout.verdicts} == {"WITHHELD"}
    assert not {"metrics", "slices", "series", "questions"} & set(body)
    assert [arm["units"] for arm in body["arms"]] == [3000, 3000]
    assert "“newer” (12 rows)" in readout.verdict.sentence


def test_a_withheld_readout_carries_no_number_of_a_metric_and_stores_no_event() -> None:
    """What the open readout says in numbers appears nowhere in the withheld one."""
    blocked = assemble(inputs(LIFTED, check_rows=_failing(BLOCKED)))
    assert blocked.new_events == ()
    shown = json.loads(made(LIFTED).to_json())
    secret = {n for part in ("metrics", "slices", "series") for n in numbers(shown[part]) if isinstance(n, float)}
    secret -= {0.0, 1.0} | {
        float(n) for n in numbers({k: v for k, v in shown.items() if k not in ("metrics", "slices", "series")})
    }
    assert len(secret) > 200
    assert not secret & {float(n) for n in numbers(json.loads(blocked.readout.to_json()))}


def test_a_check_that_holds_a_secondary_metric_takes_that_metrics_numbers_only() -> None:
    given = definition(secondary=("margin_per_unit",))
    readout = made(LIFTED, experiment=given, check_rows=_failing(MISSING_MARGIN))
    c = row(readout, "margin_per_unit")
    assert c.not_determined is not None
    assert c.not_determined.code == "held_by_check"
    assert "only 50% of the order lines have a margin (SH-19)" in c.not_determined.words
    assert (c.control.mean, c.control.raw, c.se, c.adjustment, c.p_always_valid) == (None, None, None, None, None)
    assert isinstance(row(readout).relative, Interval)
    assert not [cell for part in readout.slices or () for cell in part.cells if cell.metric == "margin_per_unit"]
    assert any("Margin per user: not shown" in warning for warning in readout.warnings)
    success = definition(success=("margin_per_unit",), secondary=())
    assert made(LIFTED, experiment=success, check_rows=_failing(MISSING_MARGIN)).withheld


def test_a_broken_catalogue_join_empties_the_category_views_and_says_why() -> None:
    readout = made(LIFTED, check_rows=_failing(GAP))
    assert readout.verdict.code == "SHIP"
    grid = next(part for part in readout.slices or () if part.key == "module_item_category")
    devices = next(part for part in readout.slices or () if part.key == "device")
    assert grid.cells == ()
    assert grid.words == "Not shown: only 90% of the logged items are in the catalogue of their time."
    assert devices.cells


def test_covariates_that_differ_before_block() -> None:
    """The treatment got the units that bought more before: found without a single check query."""
    base = counts(Truth(units=6000))
    other = counts(Truth(units=6000, seed=9))
    rich = {key: {**arms, "new": _richer(other.cells[key]["new"])} for key, arms in base.cells.items()}
    readout = made(Truth(units=6000), counts=replace(base, cells=rich, daily={}))
    assert readout.verdict.code == "WITHHELD"
    assert readout.verdict.because[0].check == "SH-15"
    (check,) = [check for check in readout.checks if check.id == "SH-15"]
    assert {"measure": "revenue per unit"} in check.groups
    assert not [value for group in check.groups for value in group.values() if not isinstance(value, str)]


def _richer(m: Moments) -> Moments:
    """Every unit bought twice as much before: covariates times two."""
    pre = {REVENUE.facts(None)[0].pre_key}
    power = {key: sum(name in pre for name in key) for key in m.products}
    return replace(
        m,
        sums={key: v * (2 if key in pre else 1) for key, v in m.sums.items()},
        products={key: v * 2 ** power[key] for key, v in m.products.items()},
    )


# --- events and latches ----------------------------------------------------------------------------------


def test_a_stop_of_an_earlier_day_latches_until_it_is_closed() -> None:
    stop = stop_event("new", date(2026, 3, 5))
    latched = made(LIFTED, events=(stop,))
    assert latched.verdict.code == "STOP"
    assert "the stop stands until a person closes it" in latched.verdict.sentence
    closed = made(LIFTED, events=(stop, Event("stop_closed", "new", "", date(2026, 3, 6))))
    assert closed.verdict.code == "SHIP"
    again = made(
        LIFTED, events=(stop, Event("stop_closed", "new", "", date(2026, 3, 6)), stop_event("new", date(2026, 3, 9)))
    )
    assert again.verdict.code == "STOP"
    other = Truth(arms=("control", "aa", "bb"), lift={"aa": 0.25})
    assert made(other, events=(stop_event("bb", date(2026, 3, 5)),)).verdicts[0].verdict.code == "SHIP"


def test_a_crossing_is_stored_once_and_dated_by_the_first_day_of_the_band_beyond_zero() -> None:
    first = assemble(inputs(Truth(days=13, lift={"new": 0.25})))
    assert first.new_events == (Event("first_crossing", "new", "revenue_per_unit", date(2026, 3, 7)),)
    assert _beyond_zero(first.readout)[0] == "2026-03-07"
    second = assemble(inputs(LIFTED, events=first.new_events))
    assert second.new_events == ()
    assert any("cleared zero on 7 March 2026" in because.words for because in second.readout.verdict.because)


def _beyond_zero(readout: Readout) -> list[str]:
    assert readout.series is not None
    band = readout.series["revenue_per_unit"]["new"]
    return [day for day, _, lo, hi in band if lo is not None and hi is not None and lo * hi > 0]


def test_a_crossing_between_two_refreshes_is_dated_although_it_is_over_today() -> None:
    """The page's band shows it, so the page's sentence names it."""
    given = inputs(Truth())
    early = counts(Truth(lift={"new": 0.5})).daily
    until = date(2026, 3, 10)
    daily = {day: (early if day <= until else given.counts.daily)[day] for day in given.counts.daily}
    found = assemble(replace(given, counts=replace(given.counts, daily=daily)))
    (event,) = found.new_events
    assert event.day.isoformat() == _beyond_zero(found.readout)[0] < until.isoformat()
    assert _beyond_zero(found.readout)[-1] == until.isoformat()
    assert any("cleared zero" in because.words for because in found.readout.verdict.because)


def test_no_crossing_is_dated_before_a_hundred_units_of_each_arm_did_anything() -> None:
    found = assemble(inputs(Truth(units=1500, days=14, lift={"new": 3.0}), definition(min_units_per_arm=10)))
    days, fact = sorted(inputs(Truth(units=1500, lift={"new": 3.0})).counts.daily.items()), REVENUE.facts(None)[0].key
    open_on = next(day for day, arms in days if min(m.nonzero[fact] for m in arms.values()) >= 100)
    (event,) = found.new_events
    assert _beyond_zero(found.readout)[0] < open_on.isoformat() == event.day.isoformat()


def test_a_finished_import_is_dated_by_its_own_last_day_not_by_the_day_it_was_read() -> None:
    given = inputs(Truth(days=400, lift={"new": 0.4}))
    long_ago = assemble(replace(given, counts=replace(given.counts, daily={})))
    assert long_ago.new_events == (Event("first_crossing", "new", "revenue_per_unit", date(2026, 3, 29)),)
    harmed = assemble(inputs(Truth(days=400, lift={"new": -0.4})))
    stop = next(event for event in harmed.new_events if event.kind == "stop")
    assert stop.day == date(2027, 4, 5)
    ripened = replace(inputs(Truth(days=401)), events=(stop,))
    assert assemble(ripened).readout.verdict.code == "STOP"


# --- little data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 40])
def test_few_units_are_too_early_never_an_error(size: int) -> None:
    readout = made(Truth(units=max(size, 1), days=14), experiment=definition())
    if size == 0:
        base = inputs(Truth(units=1))
        empty = {key: {arm: Moments(0) for arm in arms} for key, arms in base.counts.cells.items()}
        none = replace(base.counts, cells=empty, daily={}, units={"control": 0, "new": 0}, days_with_data=0)
        readout = assemble(replace(base, counts=none)).readout
    assert readout.verdict.code == "TOO_EARLY"
    assert {"gate", "min_units_per_arm" if size else "no_exposures"} <= {
        because.rule for because in readout.verdict.because
    }
    assert Readout.from_json(readout.to_json()) == readout


def test_an_arm_without_units_is_a_sample_ratio_failure() -> None:
    base = inputs(LIFTED)
    empty = {key: {**arms, "new": Moments(0)} for key, arms in base.counts.cells.items()}
    lost = replace(base.counts, cells=empty, daily={}, units={"control": 3000, "new": 0})
    readout = assemble(replace(base, counts=lost)).readout
    assert (readout.verdict.code, readout.verdict.because[0].check) == ("WITHHELD", "SH-01")


def test_planned_units_nobody_planned_are_said_to_be_assumed() -> None:
    readout = made(LIFTED, experiment=definition(planned_units=None))
    assert readout.design.planned_units_assumed
    assert any("10,000 are assumed" in warning for warning in readout.warnings)


def test_as_of_and_data_as_of_are_utc() -> None:
    readout = made(LIFTED)
    assert (readout.as_of, readout.data_as_of) == ("2026-03-16T00:00:00Z", "2026-03-15T23:41:00Z")
    assert readout.published_at == (START + timedelta(days=14, hours=4)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
