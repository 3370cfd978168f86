"""Warnings of power, overlap and holdouts: their numbers, where they come from, and what is not known."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scipy.stats import norm

from analysis.inference.moments import Moments, pair
from analysis.plan_warnings import advice, adviser
from analysis.readout import Reason
from experiments.catalogue import shipped_metrics
from experiments.layers import Ground
from experiments.loading import parse_yaml
from experiments.own_checks import Neighbour
from experiments.placement import Holdout
from experiments.shop import Settings, create
from experiments.spec import DEFINITION, Assigned, Experiment
from experiments.store import Store
from experiments.validate import Advice, check_document
from tests.helpers import past
from tests.helpers.definitions import assigned, changed

SETTINGS = Settings()
RETURNS = '{metric: return_rate, margin: "0.02"}'
FIXED = "planned_units: 100000\n  design: fixed"
STATES = ("draft", "scheduled", "running", "paused")
TEXT = changed(
    ('[oos_shown_rate, {metric: return_rate, margin: "0.20"}]', f"[{RETURNS}]"),
    ("planned_units: 20000", FIXED),
    ('materiality: {revenue_per_unit: {relative: "0.005"}, ', "materiality: {"),
)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def experiment(text: str = TEXT) -> Experiment:
    document, _ = parse_yaml(text)
    assert document is not None
    made, problems = check_document(document, shipped_metrics())
    assert made is not None, problems
    return made


def asked(store: Store | None, text: str = TEXT) -> Advice:
    return advice(experiment(text), shipped_metrics(), store, {}, SETTINGS)


def of_all_arms(k: float, power: float, margin: float = 0.02) -> float:
    """Units of two equal arms for a margin on a return rate of 8 %, where 3 % of units order one line each."""
    r = 1 + margin
    return 2 * (k + norm.ppf(power)) ** 2 * (1 + r * r) * 0.08 * 0.92 / 0.03 / (margin * 0.08) ** 2


def test_a_margin_that_the_planned_size_cannot_settle_is_said_with_units_and_days(store: Store) -> None:
    past.publish(store, past.run())
    needed = of_all_arms(norm.isf(0.05), 0.9)  # one success metric and one guardrail share 20 %
    days = math.ceil(needed / (2 * past.PER_ARM)) + 14  # and the last lines ripen
    found = asked(store)
    (warning,) = found.warnings
    assert (warning.code, warning.path, warning.value) == ("power", "metrics.guardrails[0]", 0.02)
    assert needed / 2 == pytest.approx(16.75e6, rel=1e-3)
    assert (days, math.ceil(days / 7)) == (493, 71)
    assert warning.message == (
        "return_rate with a margin of 2% needs 16,800,000 users an arm (about 71 weeks at the pace of home_als_v1); "
        "planned are 50,000 an arm, which settle 45%"
    )
    assert warning.next_step == "choose a wider margin, plan more units, or make it secondary"
    assert of_all_arms(norm.isf(0.05), 0.9, 0.45) / 2 == pytest.approx(50_000, rel=0.03)


def test_what_the_planned_size_settles_is_no_warning(store: Store) -> None:
    past.publish(store, past.run())
    needed = math.ceil(of_all_arms(norm.isf(0.05), 0.9) * 1.0001)
    assert asked(store, TEXT.replace("100000", str(needed))).warnings == ()
    assert len(asked(store, TEXT.replace("100000", str(int(needed * 0.999)))).warnings) == 1


def test_a_look_every_day_needs_more(store: Store) -> None:
    past.publish(store, past.run())
    (warning,) = asked(store, TEXT.replace("\n  design: fixed", "")).warnings
    needed = of_all_arms(2.7682, 0.9)  # the golden k of one-sided 0.05 at n = n*
    assert f"needs {math.ceil(needed / 2 / 1e5) * 1e5:,.0f} users an arm" in warning.message


def test_a_materiality_is_a_lift_to_be_told_from_nothing(store: Store) -> None:
    """Revenue: 10 % of units spend 30.00, so its variance is 9 times its squared mean."""
    past.publish(store, past.run())
    text = TEXT.replace("materiality: {", 'materiality: {revenue_per_unit: {relative: "0.01"}, ')
    first, second = asked(store, text).warnings
    needed = 2 * (norm.isf(0.025) + norm.ppf(0.9)) ** 2 * 9 / 0.01**2
    assert (first.path, second.path) == ("analysis.materiality.revenue_per_unit", "metrics.guardrails[0]")
    assert (
        f"revenue_per_unit with a materiality of 1% needs {math.ceil(needed * 2 / 2 / 1e4) * 1e4:,.0f} users an arm"
        in (first.message)
    )
    smallest = math.sqrt(2 * (norm.isf(0.025) + norm.ppf(0.9)) ** 2 * 9 / 50_000)
    assert first.message.endswith(f"which settle {smallest:.1%}")
    assert first.next_step == "choose a larger materiality, or plan more units"


def test_without_a_materiality_it_is_said_what_can_be_told(store: Store) -> None:
    past.publish(store, past.run())
    assert asked(store).notes == (
        "revenue_per_unit has no materiality; the planned 50,000 an arm settle a lift of 6.2% or more, by what "
        "home_als_v1 measured",
    )


def test_three_unequal_arms_are_counted_in_all_and_judged_by_the_smallest(store: Store) -> None:
    past.publish(store, past.run())
    arms = '  - {key: als_v2, weight: "1", strategy: als}\n'
    text = TEXT.replace(arms, arms.replace("1", "2").replace("als_v2", "big") + arms)
    (warning,) = asked(store, text).warnings
    assert "users in all" in warning.message
    assert "planned are 100,000 in all" in warning.message
    r = 1.02
    variance = (4 + 4 * r * r) * 0.08 * 0.92 / 0.03
    needed = (norm.isf(0.05) + norm.ppf(0.9)) ** 2 * variance / 0.0016**2
    assert f"needs {math.ceil(needed / 1e5) * 1e5:,.0f} users in all" in warning.message


def test_an_assumed_size_is_said_to_be_assumed(store: Store) -> None:
    past.publish(store, past.run())
    (warning,) = asked(store, TEXT.replace(FIXED, "min_days: 7")).warnings
    assert "; planned are 5,000 an arm, assumed, which settle " in warning.message


def test_units_are_those_of_the_arms_even_where_nobody_comes_any_more(store: Store) -> None:
    past.publish(store, past.run(), days=1)
    (warning,) = asked(store).warnings
    assert "about 71 weeks" in warning.message  # one day is a pace too
    with Store.open("sqlite://") as other:
        past.publish(other, past.run(), daily=False)
        (same,) = asked(other).warnings
    assert same.message == warning.message


# --- where the numbers come from -----------------------------------------------------------------------------------

NOTHING = "power is not assessed for revenue_per_unit and return_rate: no readout of users that fits is published yet"


def test_what_no_published_run_knows_is_not_assessed_and_never_passes(store: Store) -> None:
    assert asked(None) == Advice((), (NOTHING,))
    assert asked(store) == Advice((), (NOTHING,))
    past.publish(store, past.run(experiment=past.run().experiment.model_copy(update={"unit_type": "session"})))
    verdict = past.run().verdict.model_copy(update={"code": "WITHHELD"})
    past.publish(store, past.run("bare", verdict=verdict, metrics=None, slices=None, series=None, questions=None))
    every = past.control()
    past.publish(store, past.run("tiny"), replace(every, nonzero=dict.fromkeys(every.nonzero, 99)))
    assert asked(store) == Advice((), (NOTHING,))


def test_a_metric_that_was_not_determined_is_not_planned_by(store: Store) -> None:
    reading = past.run()
    unripe = {"not_determined": Reason(code="unripe", words="its lines are too young")}
    metrics = [
        metric.model_copy(update={"comparisons": tuple(each.model_copy(update=unripe) for each in metric.comparisons)})
        if metric.key == "return_rate"
        else metric
        for metric in reading.metrics or ()
    ]
    past.publish(store, reading.model_copy(update={"metrics": tuple(metrics)}))
    assert asked(store).notes[-1] == (
        "power is not assessed for return_rate: no readout of users that fits is published yet"
    )


def test_the_same_modules_come_before_the_newest_and_other_modules_are_named(store: Store) -> None:
    past.publish(store, past.run("cart_als", ("cart",)), as_of=datetime(2026, 11, 1, tzinfo=UTC))
    (warning,) = asked(store).warnings
    assert "at the pace of cart_als on cart)" in warning.message
    past.publish(store, past.run("home_als_v1"), as_of=datetime(2026, 9, 20, tzinfo=UTC))
    past.publish(store, past.run("home_als_v0"), as_of=datetime(2026, 9, 10, tzinfo=UTC))
    (warning,) = asked(store).warnings
    assert "at the pace of home_als_v1)" in warning.message


def test_what_counts_the_runs_own_slots_is_not_taken_from_other_modules(store: Store) -> None:
    out, shown = past.facts("oos_shown_rate")
    n = 100_000
    moments = Moments(
        n, {out: n // 10, shown: n * 2}, {pair(out, out): n // 10, pair(out, shown): n // 5, pair(shown, shown): n * 4},
        {out: n // 10, shown: n},
    )  # fmt: skip
    text = TEXT.replace(RETURNS, "oos_shown_rate")
    past.publish(store, past.run("cart_als", ("cart",)), moments)
    assert asked(store, text).warnings == ()
    assert "oos_shown_rate" in asked(store, text).notes[-1]
    past.publish(store, past.run("home_als"), moments)
    (warning,) = asked(store, text.replace("100000", "2000")).warnings
    assert warning.message.startswith("oos_shown_rate with a margin of 5% needs ")


def test_the_readouts_adjustment_is_planned_with(store: Store) -> None:
    """A covariate that explains three quarters of the noise saves three quarters of the units."""
    back, lines = past.facts("return_rate")
    (revenue,) = past.facts("revenue_per_unit")
    before = shipped_metrics()["revenue_per_unit"].facts(None)[0].pre_key
    moments, n = past.control(), past.UNITS
    y, yy = moments.sums[revenue], moments.product(revenue, revenue)
    x, xx = y, yy
    xy = round(y * x / n + math.sqrt(0.75) * (yy - y * y / n))
    seen = {"seen_before": 0}
    products = {pair("seen_before", name): 0 for name in (revenue, before, "seen_before")}
    adjusted = Moments(
        n, {**moments.sums, before: x, **seen},
        {**moments.products, pair(revenue, before): xy, pair(before, before): xx, **products},
        {**moments.nonzero, before: n // 10},
    )  # fmt: skip
    assert (back, lines) != (revenue, before)
    past.publish(store, past.run(), adjusted)
    (note,) = asked(store).notes
    smallest = math.sqrt(2 * (norm.isf(0.025) + norm.ppf(0.9)) ** 2 * 9 / 4 / 50_000)
    assert f"settle a lift of {smallest:.1%} or more" in note


# --- overlap ----------------------------------------------------------------------------------------------------------


def home(*replacements: tuple[str, str]) -> Experiment:
    """An experiment that truelift assigns."""
    document, _ = parse_yaml(assigned(*replacements))
    assert document is not None
    return DEFINITION.validate_json(json.dumps(document.value))


def cart(*replacements: tuple[str, str]) -> Experiment:
    """One on another layer."""
    return home(
        ("key: home_als_v3", "key: cart_als"), ("modules: [homepage]", "modules: [cart]"), ("rec.homepage", "rec.cart"),
        ("{key: homepage", "{key: cart"), *replacements,
    )  # fmt: skip


def overlaps(one: Experiment, other: Experiment, state: str = "running") -> Advice:
    found = advice(one, shipped_metrics(), None, {other.key: Neighbour(state, other)}, SETTINGS)
    return Advice(tuple(each for each in found.warnings if each.code == "overlap"), found.notes)


@pytest.mark.parametrize("state", STATES)
def test_another_layers_experiment_for_the_same_metric_is_named_with_its_dates(state: str) -> None:
    (warning,) = overlaps(home(), cart(), state).warnings
    assert (warning.code, warning.path, warning.value) == ("overlap", "schedule", "cart_als")
    assert warning.message == (
        f"cart_als ({state}, layer cart) meets the same units from 2026-12-01 to 2026-12-29, and both are decided by "
        "revenue_per_unit"
    )
    assert "worry when an arm of one changes what an arm of the other can do" in warning.next_step


MET = "start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z"
LATER = "start_at: 2026-12-29T09:00:00Z, end_at: 2027-01-20T09:00:00Z"


@pytest.mark.parametrize(
    "other",
    [
        cart((MET, LATER)),
        cart(("success: [revenue_per_unit]", "success: [orders_per_unit]")),
        cart(("unit_type: user", "unit_type: session")),
        cart(("prerequisites: []", "prerequisites: [{experiment: home_als_v3, variants: [als_v2]}]")),
        home(("key: home_als_v3", "key: other")),
        experiment(),
    ],
    ids=["later", "other metric", "other unit", "needs it", "same layer", "external"],
)  # fmt: skip
def test_what_does_not_meet_is_no_overlap(other: Experiment) -> None:
    assert overlaps(home(), other).warnings == ()
    assert overlaps(other, home()).warnings == ()


def test_what_is_stopped_meets_nobody_and_what_has_no_end_meets_everybody_later() -> None:
    assert overlaps(home(), cart(), "stopped").warnings == ()
    endless = cart((MET, "start_at: 2025-12-01T09:00:00Z"))
    assert "from 2025-12-01 without an end" in overlaps(home(), endless).warnings[0].message
    assert len(overlaps(endless, home()).warnings) == 1


def test_the_adviser_knows_the_shops_metrics_and_what_is_registered(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    with Store.open(shop.store_url) as store:
        past.publish(store, past.run())
        other = cart()
        assert isinstance(other, Assigned)
        store.save_definition(
            other.model_copy(update={"salt": "cart.1"}), {}, expected_version=0, actor="ann", reason="",
            now=datetime(2026, 11, 1, tzinfo=UTC),
        )  # fmt: skip
        found = adviser(store, shop)(home())
    assert [warning.code for warning in found.warnings] == ["power", "overlap"]


def test_a_registered_holdout_on_its_module_that_it_does_not_name_is_warned_of(store: Store) -> None:
    held = {"key": "everybody", "salt": "holdout.everybody", "buckets": ((0, 500),), "modules": ("homepage", "pdp")}
    begin = datetime(2026, 7, 1, tzinfo=UTC)

    def found(experiment: Experiment, **changed: object) -> list[tuple[str, str]]:
        ground = Ground({}, {"everybody": Holdout.model_validate({**held, "start_at": begin, **changed})})
        store.save_ground(ground, actor="test", reason="", now=begin)
        told = advice(experiment, shipped_metrics(), store, {}, SETTINGS).warnings
        return [(each.path, str(each)) for each in told if each.code == "holdout"]

    unnamed = home(("holdouts: [global_h2]", "holdouts: []"))
    ((path, said),) = found(unnamed)
    assert path == "holdouts"
    assert "everybody holds out 5% of users on homepage from 2026-07-01 without an end" in said
    assert said.endswith("write holdouts: [everybody]")
    assert found(home(("[global_h2]", "[everybody]"))) == []
    assert found(cart(("holdouts: [global_h2]", "holdouts: []"))) == []
    assert found(unnamed, end_at=datetime(2026, 8, 1, tzinfo=UTC)) == []  # over before it begins
    assert found(unnamed, unit_type="session") == []  # it could not name it
