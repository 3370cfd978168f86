"""Windows against a recount by unit, and against a shop whose truth is known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.alerts.model import (
    ALL,
    LONG,
    METRICS,
    SHORT,
    Arm,
    Baseline,
    Bucket,
    Cell,
    Comparison,
    Effect,
    Look,
    LookArm,
    Sums,
    Traffic,
)
from analysis.alerts.weighing.money import expected_se
from analysis.alerts.weighing.windows import HOURS, against_expected, effect, returning, since, together, within
from tests.helpers.effort import scaled

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
EXPERIMENT = Comparison("experiment", "home_als_v2", 1, "als", "control")
CELL = Cell("homepage")
Ints = NDArray[np.int64]


def _sums(y: Ints, n: Ints) -> Sums:
    """Of one arm in one bucket: y and n by unit, shape (units,); a unit without a session did not come."""
    y, n = y[n > 0], n[n > 0]
    return Sums(
        units=len(n),
        sessions=int(n.sum()),
        sessions_squared=int((n * n).sum()),
        totals={"order": int(y.sum())},
        squares={"order": int((y * y).sum())},
        products={"order": int((n * y).sum())},
    )


def _bucket(arms: Mapping[Arm, Sums], *, end: datetime = AT, minutes: int = LONG) -> Bucket:
    return Bucket(EXPERIMENT, CELL, end, minutes, 0, arms)


def _row(sessions: int, orders: int) -> Sums:
    """One session a unit."""
    return Sums(sessions, sessions, sessions, {"order": orders}, {"order": orders}, {"order": orders})


class TestAWindow:
    def test_is_the_ratio_by_units_and_its_clustered_error(self) -> None:
        """Recounted by hand from the units: R of both arms, Σ(y − R n)² over units, 1/N_t + 1/N_c."""
        y = {"als": np.array([1, 0, 2, 0, 1]), "control": np.array([2, 1, 0, 1])}
        n = {"als": np.array([3, 1, 4, 2, 2]), "control": np.array([4, 2, 1, 1])}
        found = effect([_bucket({arm: _sums(y[arm], n[arm]) for arm in y})], "order", hours=6, at=AT)
        assert found is not None
        assert found.relative == pytest.approx((4 / 12) / (4 / 8) - 1, rel=1e-14)
        rate = 8 / 20
        residual = sum(float((y[arm][i] - rate * n[arm][i]) ** 2) for arm in y for i in range(len(y[arm])))
        assert found.se == pytest.approx(math.sqrt(residual / 20 * (1 / 12 + 1 / 8)) / rate, rel=1e-12)
        assert (found.metric, found.hours) == ("order", 6)

    def test_of_single_sessions_is_the_printed_formula(self) -> None:
        """ALERTS 4: s = √(4(1 − p)/(n·p)) of two equal groups."""
        found = effect([_bucket({"als": _row(50_000, 1_500), "control": _row(50_000, 1_500)})], "order", hours=6, at=AT)
        assert found is not None
        assert found.se == pytest.approx(expected_se(100_000, 0.03), rel=1e-12)

    @pytest.mark.parametrize(("hours", "minutes", "buckets"), [(0.25, 15, 1), (1, 15, 4), (6, 360, 1), (168, 360, 28)])
    def test_takes_whole_buckets_of_its_own_length(self, hours: float, minutes: int, buckets: int) -> None:
        both = [
            _bucket({"als": _row(100, 10), "control": _row(100, 10)}, end=AT - timedelta(minutes=k * m), minutes=m)
            for m in (LONG, SHORT)
            for k in range(-1, 40)
        ]
        inside = within(both, hours=hours, at=AT)
        assert len(inside) == buckets
        assert {bucket.minutes for bucket in inside} == {minutes}
        assert max(bucket.end for bucket in inside) == AT

    def test_between_two_ends_takes_as_many(self) -> None:
        every = [_bucket({}, end=AT - timedelta(hours=6 * k)) for k in range(40)]
        assert len(within(every, hours=72, at=AT + timedelta(hours=5, minutes=45))) == 12

    @pytest.mark.parametrize(
        ("past", "missing", "minutes", "first"),
        [(2.0, (), SHORT, -3.75), (0.0, (), LONG, 0.0), (2.0, (-1.0,), LONG, 0.0), (5.75, (), SHORT, 0.0)],
    )
    def test_of_six_hours_between_two_ends_is_of_their_quarters_where_all_are_there(
        self, past: float, missing: tuple[float, ...], minutes: int, first: float
    ) -> None:
        """So that a loss of two hours is in its price, and not only from the next end on."""
        now, arms = AT + timedelta(hours=past), {"als": _row(100, 10), "control": _row(100, 10)}
        quarters = [AT + timedelta(hours=k / 4) for k in range(-48, 24)]
        every = [
            *(_bucket(arms, end=AT - timedelta(hours=6 * k)) for k in range(8)),
            *(
                _bucket(arms, end=end, minutes=SHORT)
                for end in quarters
                if end <= now and end not in [AT + timedelta(hours=k) for k in missing]
            ),
        ]
        inside = within(every, hours=6, at=now)
        assert {bucket.minutes for bucket in inside} == {minutes}
        assert sum(bucket.minutes for bucket in inside) == LONG
        assert min(bucket.end for bucket in inside) == AT + timedelta(hours=first)

    def test_sums_its_buckets(self) -> None:
        rng = np.random.default_rng(1)
        ends = [AT - timedelta(hours=6 * k) for k in range(12)]
        units = {(end, arm): (rng.poisson(0.3, 50), rng.poisson(1.0, 50)) for end in ends for arm in ("als", "control")}
        parts = [_bucket({arm: _sums(*units[end, arm]) for arm in ("als", "control")}, end=end) for end in ends]
        stacked = {
            arm: _sums(*(np.concatenate([units[end, arm][i] for end in ends]) for i in (0, 1)))
            for arm in ("als", "control")
        }
        one = effect([_bucket(stacked)], "order", hours=6, at=AT)
        several = effect(parts, "order", hours=72, at=AT)
        assert one is not None
        assert several == replace(one, hours=72)
        assert effect(list(reversed(parts)), "order", hours=72, at=AT) == several
        doubled = effect(parts, "order", hours=72, at=AT, factor=2.0)
        assert doubled is not None
        assert doubled.se == pytest.approx(2 * one.se, rel=1e-12)

    def test_an_arm_that_sold_nothing_is_not_certain(self) -> None:
        found = effect([_bucket({"als": _row(100, 0), "control": _row(100, 3)})], "order", hours=6, at=AT)
        assert found is not None
        assert found.relative == -1
        assert found.se > 0.5

    @pytest.mark.parametrize(
        "arms",
        [
            {},
            {"als": _row(100, 3)},
            {"control": _row(100, 3)},
            {"als": _row(100, 3), "control": _row(100, 0)},
            {"als": _row(0, 0), "control": _row(100, 3)},
        ],
    )
    def test_without_data_in_an_arm_is_none(self, arms: Mapping[Arm, Sums]) -> None:
        assert effect([_bucket(arms)], "order", hours=6, at=AT) is None
        assert effect([], "order", hours=6, at=AT) is None

    def test_refuses_two_cells_and_a_bucket_twice(self) -> None:
        one = _bucket({"als": _row(9, 3), "control": _row(9, 3)})
        with pytest.raises(ValueError, match="more than one cell"):
            effect([one, replace(one, cell=Cell("pdp"))], "order", hours=6, at=AT)
        with pytest.raises(ValueError, match="newest revision"):
            effect([one, replace(one, revision=1)], "order", hours=6, at=AT)

    def test_every_window_has_its_name(self) -> None:
        assert [HOURS[name] for name in ("15m", "1h", "6h", "1d", "3d", "7d")] == [0.25, 1, 6, 24, 72, 168]


class TestAForecast:
    SITE = Comparison("forecast", "site", 0, ALL, "")

    def _bucket(self, orders: int, end: datetime = AT) -> Bucket:
        return Bucket(self.SITE, Cell(), end, LONG, 0, {ALL: _row(1_000, orders)})

    def _traffic(self, orders: float, se: float, at: datetime = AT) -> Traffic:
        return Traffic(Cell(), at, 4_000, 100, {"order": orders}, {"order": se}, 200, 0.4)

    def test_is_what_was_done_over_what_was_expected(self) -> None:
        ends = [AT - timedelta(hours=6 * k) for k in range(4)]
        buckets = [self._bucket(90 - k, end) for k, end in enumerate(ends)]
        expected = [self._traffic(100, 10, end) for end in ends]
        found = against_expected(buckets, expected, "order", hours=24, at=AT)
        assert found is not None
        assert found.relative == pytest.approx((90 + 89 + 88 + 87) / 400 - 1)
        assert found.se == pytest.approx(0.1)  # wrong together, not √4 times better

    def test_leaves_out_what_it_has_no_expectation_for(self) -> None:
        buckets = [self._bucket(90), self._bucket(0, AT - timedelta(hours=6))]
        found = against_expected(buckets, [self._traffic(100, 10)], "order", hours=24, at=AT)
        assert found is not None
        assert found.relative == pytest.approx(-0.1)

    def test_is_none_without_one(self) -> None:
        assert against_expected([self._bucket(90)], [], "order", hours=6, at=AT) is None
        assert against_expected([], [self._traffic(100, 10)], "order", hours=6, at=AT) is None
        assert against_expected([self._bucket(90)], [self._traffic(0, 10)], "order", hours=6, at=AT) is None
        assert against_expected([self._bucket(90)], [self._traffic(100, 10)], "order", hours=1, at=AT) is None


class TestSinceTheBaseline:
    def test_is_what_is_left_of_it(self) -> None:
        """A module that brought 10 % over the holdout brings 7.8 %: two percent of its sales are gone."""
        stood = Baseline(AT, "launch home_als_v2", 0.10, 1.0, 0.0, 112)
        found = since(Effect("order", 6, 0.078, 0.011), stood)
        assert found.relative == pytest.approx(-0.02)
        assert found.se == pytest.approx(0.01 * math.sqrt(1 + 1 / 112))
        longer = since(Effect("order", 168, 0.078, 0.011), stood)
        assert longer.se == pytest.approx(0.01 * math.sqrt(1 + 28 / 112))

    def test_refuses_a_baseline_of_nothing(self) -> None:
        with pytest.raises(ValueError, match="more than −1"):
            since(Effect("order", 6, -1, 0.1), Baseline(AT, "first_buckets", -1.0, 1.0, 0.0, 112))


# --- a shop whose truth is known --------------------------------------------------------------------------------


class _Shop:
    """Units with their own rates, who have several sessions in a bucket and come back in later ones."""

    def __init__(self, seed: int, *, units: int, buckets: int, comes: float, sessions: float, lost: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.units, self.buckets, self.comes, self.sessions, self.lost = units, buckets, comes, sessions, lost

    def draw(self) -> tuple[list[Bucket], Look]:
        ends = [AT - timedelta(minutes=LONG * k) for k in reversed(range(self.buckets))]
        drawn = {"als": self._arm(1 - self.lost), "control": self._arm(1.0)}
        counted = [
            _bucket({arm: _sums(y[:, b], n[:, b]) for arm, (y, n) in drawn.items()}, end=end)
            for b, end in enumerate(ends)
        ]
        arms = {arm: self._once(y.sum(axis=1)[n.sum(axis=1) > 0]) for arm, (y, n) in drawn.items()}
        return counted, Look(EXPERIMENT, CELL, AT, 0, arms, 2 * self.units)

    def _arm(self, kept: float) -> tuple[Ints, Ints]:
        """y and n, shape (units, buckets): rates Beta(0.5, 4.5), mean 0.1, the same unit's in all its sessions."""
        rate = self.rng.beta(0.5, 4.5, self.units) * kept
        here = self.rng.random((self.units, self.buckets)) < self.comes
        n = np.asarray(here * (1 + self.rng.poisson(self.sessions, here.shape)), dtype=np.int64)
        return np.asarray(self.rng.binomial(n, rate[:, None]), dtype=np.int64), n

    def _once(self, y: Ints) -> LookArm:
        total, squares, some = int(y.sum()), int((y * y).sum()), int((y > 0).sum())
        return LookArm(len(y), {"order": some}, {"order": total}, {"order": squares})


def _coverage(covered: Sequence[bool]) -> float:
    return sum(covered) / len(covered)


def _margin(runs: int) -> float:
    """3.3 Monte-Carlo standard errors of a coverage of 95 %: missed once in a thousand right results."""
    return 3.3 * math.sqrt(0.95 * 0.05 / runs)


class TestCoverage:
    def test_where_a_units_sessions_fall_into_one_bucket(self) -> None:
        """Sessions of a unit are alike; taken for independent ones they would cover far less than 95 %."""
        runs = scaled(ci=400, full=4_000)
        shop = _Shop(11, units=3_000, buckets=1, comes=1.0, sessions=4.0, lost=0.02)
        covered, naive = [], []
        for _ in range(runs):
            buckets, _ = shop.draw()
            found = effect(buckets, "order", hours=6, at=AT)
            assert found is not None
            covered.append(abs(found.relative + 0.02) <= 1.96 * found.se)
            sums = together(buckets).arms.values()
            n, y = sum(s.sessions for s in sums), sum(s.totals["order"] for s in sums)
            naive.append(abs(found.relative + 0.02) <= 1.96 * expected_se(n, y / n))
        assert _coverage(covered) == pytest.approx(0.95, abs=_margin(runs))
        assert _coverage(naive) < 0.9

    def test_where_units_come_back_in_later_buckets(self) -> None:
        """A unit counted anew in each bucket covers too little; the factor of the look makes up for it, not tightly."""
        runs = scaled(ci=300, full=3_000)
        shop = _Shop(12, units=1_500, buckets=12, comes=0.4, sessions=0.5, lost=0.02)
        covered, short = [], []
        for _ in range(runs):
            buckets, look = shop.draw()
            plain = effect(buckets, "order", hours=72, at=AT)
            found = effect(buckets, "order", hours=72, at=AT, factor=returning(look, buckets, "order"))
            assert plain is not None
            assert found is not None
            covered.append(abs(found.relative + 0.02) <= 1.96 * found.se)
            short.append(abs(plain.relative + 0.02) <= 1.96 * plain.se)
        assert 0.95 - _margin(runs) <= _coverage(covered) <= 0.985
        assert _coverage(short) < 0.93

    def test_the_factor_is_1_where_nobody_comes_back(self) -> None:
        rng = np.random.default_rng(3)
        ends = [AT - timedelta(hours=6 * k) for k in range(4)]
        y = {arm: rng.binomial(1, 0.05, (4, 4_000)) for arm in ("als", "control")}
        ones = np.ones(4_000, dtype=np.int64)
        buckets = [_bucket({arm: _sums(y[arm][b], ones) for arm in y}, end=end) for b, end in enumerate(ends)]
        arms = {
            arm: LookArm(16_000, {}, {"order": int(y[arm].sum())}, {"order": int((y[arm] ** 2).sum())}) for arm in y
        }
        look = Look(EXPERIMENT, CELL, AT, 0, arms, 32_000)
        assert returning(look, buckets, "order") == pytest.approx(1, abs=0.001)
        assert returning(look, [], "order") == 1.0
        even = {arm: replace(each, squares={"order": each.totals["order"] // 2}) for arm, each in arms.items()}
        assert returning(replace(look, arms=even), buckets, "order") == 1.0
        assert returning(replace(look, arms={}), buckets, "order") == 1.0


def test_every_metric_is_added() -> None:
    counted = dict.fromkeys(METRICS, 2)
    one = _bucket({"als": Sums(3, 4, 6, counted, counted, counted, 7), "control": Sums(1, 1, 1, {}, {}, {})})
    both = together([one, replace(one, end=AT - timedelta(hours=6))]).arms
    doubled = dict.fromkeys(METRICS, 4)
    assert both["als"] == Sums(6, 8, 12, doubled, doubled, doubled, 14)
    assert both["control"].totals == dict.fromkeys(METRICS, 0)
