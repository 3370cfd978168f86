"""From buckets to a severity: the worked examples once more, and what must hold whatever the numbers are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alerts.model import (
    ALL,
    LONG,
    SEVERITIES,
    SHORT,
    Arm,
    Baseline,
    Bucket,
    Cell,
    Comparison,
    Evaluation,
    Evidence,
    Kind,
    Look,
    LookArm,
    Metric,
    Severity,
    Sums,
    Traffic,
    Unit,
)
from analysis.alerts.weighing.conversion import REVENUE, Conversion
from analysis.alerts.weighing.evaluate import Inputs, evaluate
from analysis.alerts.weighing.money import shrunk
from analysis.alerts.weighing.stake import stake, unpriced
from analysis.inference.designs import critical_value
from experiments.errors import DefinitionError
from experiments.money import Money, Season

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONEY = Money.model_validate(
    {"loss_budget": "75000", "margin": "0.35", "entry_modules": ["homepage"], "every_minutes": 15, "pages": True}
)
LAUNCH = Comparison("launch", "holdout.main", 1, "served", "held_out")
EXPERIMENT = Comparison("experiment", "home_als_v2", 1, "served", "held_out")
FORECAST = Comparison("forecast", "site", 0, ALL, "")
SURE = Evidence("detector", 1e9, 100, "page_fast")
ONE_FOR_ONE: Mapping[Metric, Conversion] = {
    metric: Conversion(metric, 1.0, 0.0, 20) for metric in ("click", "add_to_cart", "order")
}
LONG_AGO = Baseline(AT - timedelta(days=30), "launch home_als_v2", 0.0, 1.0, 0.0, 112)


def _arm(sessions: int, done: int) -> Sums:
    """One session a unit, which does it once or not."""
    done = min(sessions, max(0, done))
    counted: Mapping[Metric, int] = dict.fromkeys(("click", "add_to_cart", "order", "revenue"), done)
    return Sums(sessions, sessions, sessions, counted, counted, counted)


@dataclass(frozen=True)
class Place:
    """A cell with even traffic, half of it in each arm, where `change` is lost in the watched one."""

    sessions: float  # a day
    rate: float  # of a session
    change: float
    basket: float = 80.0
    module: str = "homepage"

    def buckets(self, minutes: int, count: int, comparison: Comparison = LAUNCH) -> list[Bucket]:
        """Whole numbers whose running sums are as close to the truth as they can be."""
        half = self.sessions / 2 * minutes / 1440
        ends = [AT - timedelta(minutes=minutes * back) for back in reversed(range(count))]
        sessions = _whole(half, count)
        arms = {
            "served": _whole(half * self.rate * (1 + self.change), count),
            "held_out": _whole(half * self.rate, count),
        }
        return [
            Bucket(
                comparison, Cell(self.module), end, minutes, 0,
                {arm: _arm(sessions[k], done[k]) for arm, done in arms.items()},
            )
            for k, end in enumerate(ends)
        ]  # fmt: skip

    def traffic(self, conversion: float | None = None) -> Traffic:
        """What is forecast of it: `conversion` orders a session of `basket` each."""
        earned = (self.rate if conversion is None else conversion) * self.basket * 100
        watched = ((EXPERIMENT, 0.5), (LAUNCH, 1.0))  # the worked examples price every session after a launch
        return Traffic(Cell(self.module), AT, self.sessions, 1.0, {}, {}, earned, None, watched)

    def inputs(self, metric: Metric = "order", comparison: Comparison = LAUNCH, more: float = 1.0) -> Inputs:
        """Everything of it; the metric is done `more` times as often as there are orders."""
        here = replace(self, rate=self.rate * more)
        return Inputs(
            unit=Unit("money", 1, comparison, Cell(self.module), metric, AT),
            long=here.buckets(LONG, 28, comparison),
            short=here.buckets(SHORT, 4, comparison),
            traffic=self.traffic(),
            evidence=SURE,
            digits=2,
            baseline=LONG_AGO if comparison.kind == "launch" else None,
            conversion=ONE_FOR_ONE.get(metric, REVENUE),
            fast=True,
        )


def _whole(each: float, count: int) -> list[int]:
    return [late - early for early, late in pairwise(round(each * k) for k in range(count + 1))]


A = Place(1_500, 0.020, -0.05, 80, "pdp")
B = Place(3_000_000, 0.030, -0.02, 80)
C = Place(900_000, 0.024, -0.02, 72)
D = Place(40_000, 0.025, -0.08, 90, "email")


class TestTheWorkedExamples:
    @pytest.mark.parametrize(
        ("place", "severity"), [(A, "digest"), (B, "page"), (C, "ticket"), (D, "watch")], ids=["A", "B", "C", "D"]
    )
    def test_end_as_printed(self, place: Place, severity: Severity) -> None:
        found = evaluate(place.inputs(), MONEY)
        assert found.severity == found.by_money == severity
        assert found.effects["7d"].relative == pytest.approx(place.change, abs=0.003)
        assert not found.no_data

    def test_b_costs_what_is_printed(self) -> None:
        found = evaluate(B.inputs(), MONEY)
        assert found.now is not None
        assert found.now.burn == pytest.approx(16.9, abs=0.15)  # the arms' mean rate and the baseline's error: 0.1 less
        assert found.now.point == pytest.approx(5_040_000, rel=1e-9)
        assert found.stake.money == pytest.approx(252_000_000, rel=1e-9)
        assert set(found.effects) == {"15m", "1h", "6h", "1d", "3d", "7d"}

    def test_b_pages_fast_on_add_to_cart(self) -> None:
        given = B.inputs("add_to_cart", more=3.3)
        assert evaluate(given, MONEY).severity == "page_fast"
        assert evaluate(replace(given, fast=False), MONEY).severity == "page"
        assert evaluate(given, MONEY.model_copy(update={"every_minutes": 60})).severity == "page"
        assert evaluate(given, MONEY.model_copy(update={"entry_modules": ()})).severity == "page"

    def test_a_page_is_shown_in_its_own_window_and_a_digest_in_the_longest(self) -> None:
        for place, window in ((B, "6h"), (C, "3d"), (D, "7d"), (A, "7d")):
            found = evaluate(place.inputs(), MONEY)
            assert found.now is not None
            assert found.now.point == pytest.approx(-found.effects[window].relative * found.stake.money)


class TestWhyNot:
    def test_says_how_far_a_small_module_can_be_off(self) -> None:
        cell = Cell("pdp", "rugs")
        given = replace(A, module="pdp").inputs()
        given = replace(
            given,
            unit=replace(given.unit, cell=cell),
            traffic=replace(A.traffic(), cell=cell),
            long=[replace(bucket, cell=cell) for bucket in given.long],
            short=[replace(bucket, cell=cell) for bucket in given.short],
            baseline=None,
            currency="EUR",
            names={"pdp": "PDP"},
        )
        said = evaluate(given, MONEY).why_not
        parts = ("PDP", "looks 4.8% down", "1,500 sessions a day", "one week can be off by ±27%", "€40 a day")
        assert [part for part in parts if part not in said] == []

    def test_says_what_keeps_a_loss_from_waking(self) -> None:
        given = replace(B.inputs(), currency="EUR", names={"homepage": "Homepage"})
        assert evaluate(given, MONEY).why_not == ""
        held = evaluate(replace(given, held_by=("SH-02",)), MONEY).why_not
        assert "Homepage is held: SH-02 fails there" in held
        assert "%" not in held
        waiting = evaluate(replace(given, evidence=replace(SURE, waits_for="a baseline")), MONEY).why_not
        assert "waits for a baseline" in waiting
        assert "pages are switched on" in evaluate(given, MONEY.model_copy(update={"pages": False})).why_not
        small = evaluate(replace(D.inputs(), currency="EUR", names={"email": "Email"}), MONEY).why_not
        assert "Email looks 8% down" in small
        assert "to make a ticket" in small

    def test_is_left_out_where_nobody_says_the_currency(self) -> None:
        assert evaluate(A.inputs(), MONEY).why_not == ""


class TestEvidence:
    @pytest.mark.parametrize(
        "evidence", [Evidence("detector", 99, 100, "page_fast"), replace(SURE, waits_for="a gate")]
    )
    def test_without_it_nothing_is_asked(self, evidence: Evidence) -> None:
        found = evaluate(replace(B.inputs(), evidence=evidence), MONEY)
        assert (found.severity, found.by_money) == ("digest", "page")

    @pytest.mark.parametrize("most", SEVERITIES)
    def test_caps(self, most: Severity) -> None:
        found = evaluate(replace(B.inputs(), evidence=replace(SURE, most=most)), MONEY)
        assert found.severity == min(most, "page", key=SEVERITIES.index)
        assert found.by_money == "page"

    def test_nobody_is_woken_before_pages_are_switched_on(self) -> None:
        found = evaluate(B.inputs(), MONEY.model_copy(update={"pages": False}))
        assert (found.severity, found.by_money, found.evidence.most) == ("ticket", "page", "ticket")

    @pytest.mark.parametrize(
        ("place", "lost", "severity", "window"), [(B, -0.08, "ticket", "3d"), (C, -0.055, "watch", "7d")]
    )
    def test_where_no_page_may_be_a_tickets_windows_decide_and_are_told(
        self, place: Place, lost: float, severity: Severity, window: str
    ) -> None:
        """Lost in the last six hours only, of a week: their money is a page's, and not what a ticket or watch tells."""
        good, bad = replace(place, change=0.0), replace(place, change=lost)
        given = replace(
            place.inputs(),
            long=[*good.buckets(LONG, 28)[:-1], bad.buckets(LONG, 28)[-1]],
            short=bad.buckets(SHORT, 4),
            currency="EUR",
        )
        hourly = MONEY.model_copy(update={"every_minutes": 60})
        page = evaluate(given, hourly)
        assert (page.severity, page.by_money, page.asked) == ("page", "page", "page")
        for off in (
            evaluate(given, hourly.model_copy(update={"pages": False})),
            evaluate(replace(given, evidence=replace(SURE, kind="forecast", most="ticket")), hourly),
        ):
            assert (off.severity, off.by_money, off.asked, off.allowed) == (severity, "page", severity, severity)
            assert off.now is not None
            assert page.now is not None
            assert off.now.point == pytest.approx(-off.effects[window].relative * off.stake.money, rel=1e-12)
            assert off.now.expected < page.now.expected / 5
            assert off.if_shipped == off.now.expected
            assert off.now.at_least <= off.now.expected
            assert ("the money asks to page and it may make a ticket at most" in off.why_not) == (severity == "ticket")

    def test_what_was_kept_before_says_what_it_was_capped_at(self) -> None:
        old = replace(evaluate(B.inputs(), MONEY), asked=None, evidence=replace(SURE, most="ticket"))
        assert old.allowed == "ticket"
        assert replace(old, evidence=SURE).allowed == "page"

    def test_a_failing_signal_check_holds_it(self) -> None:
        found = evaluate(replace(B.inputs(), held_by=("SH-02",)), MONEY)
        assert (found.severity, found.by_money, found.held_by) == ("digest", "page", ("SH-02",))
        assert found.now is not None


class TestNoData:
    def test_is_said(self) -> None:
        found = evaluate(replace(B.inputs(), long=[], short=[]), MONEY)
        assert found.no_data
        assert (found.severity, found.by_money, found.now) == ("digest", "digest", None)

    def test_of_the_newest_six_hours_is_no_data(self) -> None:
        """The last days still look bad, but nobody knows whether it goes on: neither an alert nor its end."""
        given = B.inputs()
        found = evaluate(replace(given, long=given.long[:-1]), MONEY)
        assert found.no_data
        assert (found.severity, found.now) == ("digest", None)
        assert found.effects["3d"].relative == pytest.approx(-0.02)

    def test_of_the_watched_arm_alone_is_no_data(self) -> None:
        given = B.inputs()
        newest = replace(given.long[-1], arms={"held_out": given.long[-1].arms["held_out"]})
        assert evaluate(replace(given, long=[*given.long[:-1], newest]), MONEY).no_data

    def test_without_quarter_hours_the_slower_severities_stand(self) -> None:
        found = evaluate(replace(B.inputs(), short=[]), MONEY)
        assert not found.no_data
        assert found.severity == "ticket"  # a page needs the last hour
        assert "1h" not in found.effects


class TestAnExperiment:
    def test_loses_now_what_its_watched_arm_loses(self) -> None:
        launched = evaluate(replace(B.inputs(), baseline=None), MONEY)
        found = evaluate(B.inputs(comparison=EXPERIMENT), MONEY)
        assert found.now is not None
        assert launched.now is not None
        assert found.now.expected == pytest.approx(launched.now.expected / 2, rel=1e-12)
        assert found.if_shipped == pytest.approx(launched.now.expected, rel=1e-12)
        assert found.stake.money == pytest.approx(launched.stake.money / 2, rel=1e-12)
        assert launched.if_shipped == launched.now.expected

    def test_is_sure_of_what_its_look_is_sure_of(self) -> None:
        given = B.inputs(comparison=EXPERIMENT)
        found = evaluate(replace(given, upper=-0.007), MONEY)
        assert found.now is not None
        assert found.now.at_least == pytest.approx(0.007 * found.stake.money)
        without = evaluate(given, MONEY)
        assert without.now is not None
        assert without.now.at_least == 0

    def test_is_never_surer_than_what_it_expects(self) -> None:
        """Sure of 5 % since it began, but it loses 2 % now: at least is what is lost now."""
        found = evaluate(replace(B.inputs(comparison=EXPERIMENT), upper=-0.05), MONEY)
        assert found.now is not None
        assert found.now.at_least == found.now.expected

    def test_pays_for_an_uncertain_conversion(self) -> None:
        """β = 0.8 ± 0.1 of add-to-cart: less money, with its error in the shrinking, and a surer loss less sure."""
        given = replace(
            B.inputs("add_to_cart", EXPERIMENT, more=3.3),
            conversion=Conversion("add_to_cart", 0.8, 0.1, 20),
            upper=-0.01,
        )
        found = evaluate(given, MONEY)
        assert found.now is not None
        seen = found.effects["1h"]
        assert found.by_money == "page"  # half the sessions, and 0.8 of the loss: too little for page_fast
        seen = found.effects["6h"]
        mean, _ = shrunk(0.8 * seen.relative, (0.8**2 * seen.se**2 + seen.relative**2 * 0.1**2) ** 0.5, 0.03)
        assert found.now.expected == pytest.approx(-mean * found.stake.money, rel=1e-12)
        assert found.now.at_least == pytest.approx((0.8 - 1.959964 * 0.1) * 0.01 * found.stake.money, rel=1e-6)

    def test_needs_the_conversion_of_its_metric(self) -> None:
        with pytest.raises(ValueError, match="conversion of revenue"):
            evaluate(replace(B.inputs("click"), conversion=REVENUE), MONEY)

    def test_knows_the_units_that_come_back(self) -> None:
        """Half of the look's units did it twice: σ² of a thing done is about 1.5 times that of single ones."""
        given = B.inputs(comparison=EXPERIMENT)
        arms = {arm: LookArm(10_000_000, {}, {"order": 300_000}, {"order": 450_000}) for arm in ("served", "held_out")}
        seen = evaluate(replace(given, look=Look(EXPERIMENT, Cell("homepage"), AT, 0, arms, 2e7)), MONEY).effects["6h"]
        plain = evaluate(given, MONEY).effects["6h"]
        assert (seen.se / plain.se) ** 2 == pytest.approx((1.5 - 0.03) / (1 - 0.0297), rel=1e-3)

    def test_is_believed_by_its_modules_own_past(self) -> None:
        calm = MONEY.model_copy(update={"spreads": {"homepage": Decimal("0.005")}})
        found = evaluate(B.inputs(comparison=EXPERIMENT), calm)
        assert found.now is not None
        seen = found.effects["3d" if found.by_money == "ticket" else "6h"]
        assert found.now.expected == pytest.approx(-shrunk(seen.relative, seen.se, 0.005)[0] * found.stake.money)


class TestALaunch:
    def test_is_measured_from_its_baseline(self) -> None:
        """A module that brings 10 % keeps nobody awake, nor does it hide that 2 % of its sales are gone."""
        stood = replace(LONG_AGO, mean=0.10)
        steady = evaluate(replace(replace(B, change=0.10).inputs(), baseline=stood), MONEY)
        assert steady.severity == "digest"
        assert steady.now is not None
        assert steady.now.expected == pytest.approx(0, abs=1e-3 * steady.stake.money)
        fallen = evaluate(replace(replace(B, change=0.078).inputs(), baseline=stood), MONEY)
        assert fallen.severity == "page"
        assert fallen.effects["6h"].relative == pytest.approx(-0.02, abs=1e-4)

    @pytest.mark.parametrize("share", [0.98, 0.7, 0.1])
    def test_loses_what_is_served_and_not_what_is_held_out(self, share: float) -> None:
        """A holdout of 30 %, or of one module that a tenth of the site's sessions meet."""
        given = B.inputs()
        traffic = replace(B.traffic(), watched=((LAUNCH, share),))
        part, whole = evaluate(replace(given, traffic=traffic), MONEY), evaluate(given, MONEY)
        assert part.stake.money == pytest.approx(share * whole.stake.money, rel=1e-12)
        assert part.effects == whole.effects
        assert part.now is not None
        assert whole.now is not None
        assert part.now.burn <= share * whole.now.burn * (1 + 1e-12) or part.by_money != whole.by_money
        assert part.if_shipped == part.now.expected
        assert SEVERITIES.index(part.severity) <= SEVERITIES.index(whole.severity)

    def test_has_no_price_where_nobody_knows_how_many_are_served(self) -> None:
        """Unknown is not everybody."""
        unknown = replace(B.traffic(), watched=((EXPERIMENT, 0.5),))
        [problem] = unpriced(Cell("homepage"), LAUNCH, unknown, MONEY)
        assert problem.code == "no_share"
        assert "no session of its last day is known to have been in served of holdout.main" in str(problem)
        with pytest.raises(DefinitionError, match="served of holdout"):
            evaluate(replace(B.inputs(), traffic=unknown), MONEY)

    def test_is_as_noisy_as_its_baseline_was(self) -> None:
        calm, noisy = (
            evaluate(replace(B.inputs(), baseline=replace(LONG_AGO, factor=factor)), MONEY).effects["6h"]
            for factor in (1.0, 1.7)
        )
        assert noisy.se == pytest.approx(1.7 * calm.se, rel=1e-12)

    def test_does_not_reach_behind_the_change(self) -> None:
        """Changed a day ago, after six good days: what is lost since is not thinned by them."""
        good, bad = replace(B, change=0.0).buckets(LONG, 28), B.buckets(LONG, 28)
        baseline = replace(LONG_AGO, change_at=AT - timedelta(days=1))
        found = evaluate(replace(B.inputs(), long=[*good[:-4], *bad[-4:]], baseline=baseline), MONEY)
        assert found.effects["7d"].relative == pytest.approx(found.effects["1d"].relative, rel=1e-12)
        assert found.effects["7d"].relative == pytest.approx(-0.02, abs=1e-4)

    def test_has_no_data_before_its_first_six_hours(self) -> None:
        """Changed an hour ago: the last quarters of an hour alone do not make an alert, nor all clear."""
        given = replace(B.inputs(), baseline=replace(LONG_AGO, change_at=AT - timedelta(hours=1)))
        later = AT + timedelta(hours=1)
        short = [replace(bucket, end=bucket.end + timedelta(hours=1)) for bucket in given.short]
        long = [replace(bucket, end=bucket.end - timedelta(hours=1)) for bucket in given.long]
        found = evaluate(replace(given, unit=replace(given.unit, at=later), long=long, short=short), MONEY)
        assert "1h" in found.effects
        assert found.no_data

    def test_is_sure_of_what_its_windows_are_sure_of(self) -> None:
        """An hour of a week-old loss is sure of little; the week it is part of is sure of more."""
        found = evaluate(B.inputs(), MONEY)
        assert found.now is not None
        bounds = {name: each.relative + critical_value(1.0, 0.05, sides="one") * each.se
                  for name, each in found.effects.items()}  # fmt: skip
        assert bounds["6h"] > 0 > bounds["3d"] > bounds["7d"]
        assert found.now.at_least == pytest.approx(-bounds["7d"] * found.stake.money, rel=1e-12)
        good, bad = replace(B, change=0.0).buckets(LONG, 28), replace(B, change=-0.08).buckets(LONG, 28)
        new = evaluate(replace(B.inputs(), long=[*good[:-1], bad[-1]], fast=False), MONEY)
        seen = new.effects["6h"]
        assert new.now is not None
        bound = seen.relative + critical_value(1.0, 0.05, sides="one") * seen.se
        assert new.now.at_least == pytest.approx(-bound * new.stake.money, rel=1e-12)

    def test_is_rarely_sure_of_a_loss_that_is_none(self) -> None:
        """One in 60 at most, with all six windows looked at: here independent windows, the worst case."""
        assert 6 * (1 - NormalDist().cdf(critical_value(1.0, 0.05, sides="one"))) < 1 / 59


class TestAForecast:
    def _inputs(self, share: float) -> Inputs:
        """A site of a million sessions a day that does `share` of what was expected."""
        ends = [AT - timedelta(hours=6 * k) for k in reversed(range(28))]
        done = round(7_500 * share)
        expected = [Traffic(Cell(), end, 1e6, 1.0, {"order": 7_500.0}, {"order": 150.0}, 240.0, None) for end in ends]
        return Inputs(
            unit=Unit("money", 1, FORECAST, Cell(), "order", AT),
            long=[Bucket(FORECAST, Cell(), end, LONG, 0, {ALL: _arm(250_000, done)}) for end in ends],
            short=[],
            traffic=expected[-1],
            evidence=Evidence("forecast", 500, 100, "ticket"),
            digits=2,
            expected=expected,
            conversion=ONE_FOR_ONE["order"],
        )

    def test_tickets_a_drop_and_is_sure_of_nothing(self) -> None:
        found = evaluate(self._inputs(0.9), MONEY)
        assert found.severity == "ticket"
        assert found.effects["6h"].relative == pytest.approx(-0.1)
        assert found.effects["6h"].se == pytest.approx(0.02)
        assert set(found.effects) == {"6h", "1d", "3d", "7d"}
        assert found.now is not None
        assert found.now.at_least == 0
        assert found.if_shipped == found.now.expected

    def test_is_measured_from_its_baseline_too(self) -> None:
        """A forecast that was 10 % too high all month, and twice as wrong as it said."""
        stood = replace(LONG_AGO, mean=-0.1, factor=2.0)
        found = evaluate(replace(self._inputs(0.9), baseline=stood), MONEY)
        assert found.severity == "digest"
        assert found.effects["6h"].relative == pytest.approx(0, abs=1e-12)
        assert found.effects["6h"].se == pytest.approx(0.02 * 2 / 0.9 * (1 + 1 / 112) ** 0.5)

    def test_keeps_quiet_where_all_is_as_expected(self) -> None:
        assert evaluate(self._inputs(1.0), MONEY).severity == "digest"

    def test_without_expectations_is_no_data(self) -> None:
        assert evaluate(replace(self._inputs(0.9), expected=()), MONEY).no_data


class TestThePrice:
    def test_the_settings_margin_wins(self) -> None:
        traffic = replace(B.traffic(), margin_share=0.2)
        assert stake(traffic, MONEY, on=AT.date()).margin == 0.35
        assert stake(traffic, MONEY.model_copy(update={"margin": None}), on=AT.date()).margin == 0.2

    def test_the_season_weighs_on_the_business_day(self) -> None:
        peak = Season.model_validate(
            {"name": "peak", "first": "2026-11-22", "last": "2026-11-23", "weight": "2", "owner": "ann",
             "expires": "2027-01-31"}
        )  # fmt: skip
        money = MONEY.model_copy(update={"seasons": (peak,)})
        plain = evaluate(B.inputs(), money)
        weighed = evaluate(replace(B.inputs(), on=date(2026, 11, 22), fast=False), money)
        assert plain.now is not None
        assert weighed.now is not None
        assert weighed.now.expected == pytest.approx(2 * plain.now.expected)
        assert weighed.stake.season == 2

    def test_says_at_once_all_that_is_missing(self) -> None:
        cell, nothing = Cell("pdp", "rugs"), Money()
        assert [problem.code for problem in unpriced(cell, EXPERIMENT, None, nothing)] == [
            "no_budget",
            "no_margin",
            "no_traffic",
        ]
        given = B.inputs(comparison=replace(EXPERIMENT, phase=2))
        assert given.traffic is not None
        unknown = unpriced(Cell("homepage"), given.unit.comparison, given.traffic, nothing)
        assert [problem.code for problem in unknown] == ["no_budget", "no_margin", "no_share"]
        with pytest.raises(DefinitionError, match=r"money\.yml: 3 problems") as refused:
            evaluate(given, nothing)
        assert refused.value.problems == unknown
        assert all(problem.next_step for problem in unknown)
        assert unpriced(Cell("homepage"), LAUNCH, given.traffic, MONEY) == ()

    def test_no_forecast_is_not_healthy(self) -> None:
        with pytest.raises(DefinitionError, match="no forecast of its traffic"):
            evaluate(replace(B.inputs(), traffic=None), MONEY)

    def test_refuses_another_cells_traffic(self) -> None:
        with pytest.raises(ValueError, match="the traffic of"):
            evaluate(replace(B.inputs(), traffic=A.traffic()), MONEY)


# --- whatever the numbers are -----------------------------------------------------------------------------------

KINDS: tuple[Kind, ...] = ("experiment", "launch")
places = st.builds(
    Place,
    sessions=st.floats(500, 5_000_000),
    rate=st.floats(0.005, 0.3),
    change=st.floats(-0.6, 0.3),
    basket=st.floats(1, 500),
    module=st.sampled_from(["homepage", "pdp"]),
)
evidences = st.builds(
    Evidence,
    kind=st.just("detector"),
    value=st.floats(0, 1e6),
    needed=st.floats(1, 1e5),
    most=st.sampled_from(SEVERITIES),
    waits_for=st.sampled_from(["", "a baseline"]),
)


def _given(place: Place, kind: Kind, evidence: Evidence = SURE) -> Inputs:
    return replace(place.inputs(comparison=LAUNCH if kind == "launch" else EXPERIMENT), evidence=evidence)


def _milder(buckets: Sequence[Bucket], gained: float) -> list[Bucket]:
    """The same, with more done in the watched arm of each bucket."""

    def arms(bucket: Bucket) -> Mapping[Arm, Sums]:
        arm = bucket.arms["served"]
        done = arm.totals["order"]
        return {**bucket.arms, "served": _arm(arm.sessions, done + round(gained * (done + 1)))}

    return [replace(bucket, arms=arms(bucket)) for bucket in buckets]


def _rank(found: Evaluation) -> int:
    return SEVERITIES.index(found.severity)


class TestLaws:
    @settings(max_examples=60, deadline=None)
    @given(places, st.sampled_from(KINDS), st.floats(0, 1))
    def test_severity_does_not_rise_when_the_loss_shrinks(self, place: Place, kind: Kind, gained: float) -> None:
        given = _given(place, kind)
        milder = replace(given, long=_milder(given.long, gained), short=_milder(given.short, gained))
        assert _rank(evaluate(milder, MONEY)) <= _rank(evaluate(given, MONEY))

    @settings(max_examples=60, deadline=None)
    @given(places, st.sampled_from(KINDS), st.floats(0, 1))
    def test_nor_when_less_money_is_at_stake(self, place: Place, kind: Kind, share: float) -> None:
        given = _given(place, kind)
        assert given.traffic is not None
        poorer = replace(given.traffic, revenue_per_session=share * given.traffic.revenue_per_session)
        assert _rank(evaluate(replace(given, traffic=poorer), MONEY)) <= _rank(evaluate(given, MONEY))

    @settings(max_examples=60, deadline=None)
    @given(places, st.sampled_from(KINDS), evidences, st.booleans(), st.booleans(), st.booleans())
    def test_evidence_and_health_are_both_required(
        self, place: Place, kind: Kind, evidence: Evidence, held: bool, pages: bool, quiet: bool
    ) -> None:
        given = replace(_given(place, kind, evidence), held_by=("SH-01",) if held else ())
        if quiet:
            given = replace(given, long=given.long[:-1])
        found = evaluate(given, MONEY.model_copy(update={"pages": pages}))
        if not evidence.met or held or quiet:
            assert found.severity == "digest"
        assert _rank(found) <= SEVERITIES.index(found.by_money)
        assert _rank(found) <= SEVERITIES.index(evidence.most)
        assert pages or _rank(found) <= SEVERITIES.index("ticket")
        assert found.held_by == given.held_by
        assert (found.now is None) == found.no_data
        assert quiet <= found.no_data

    @settings(max_examples=60, deadline=None)
    @given(places, st.sampled_from(KINDS))
    def test_a_gain_asks_for_nothing(self, place: Place, kind: Kind) -> None:
        found = evaluate(_given(replace(place, change=abs(place.change) + 0.05), kind), MONEY)
        if all(seen.relative >= 0 for seen in found.effects.values()):
            assert found.severity == found.by_money == "digest"
            assert found.now is None or found.now.expected <= 0

    @settings(max_examples=60, deadline=None)
    @given(places, st.sampled_from(KINDS))
    def test_what_is_sure_is_expected_and_now_is_part_of_the_whole(self, place: Place, kind: Kind) -> None:
        found = evaluate(replace(_given(place, kind), upper=-0.02), MONEY)
        if found.now is None:
            return
        assert 0 <= found.now.at_least <= max(0.0, found.now.expected)
        assert found.if_shipped == pytest.approx(found.now.expected * (2 if kind == "experiment" else 1), rel=1e-9)
