"""The detector on buckets, against sums over the units themselves and the recursion written out."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analysis.alerts.evidence import detector as d
from analysis.alerts.model import LONG, Baseline, Bucket, Cell, Comparison, Detector, Sums, Traffic

START = datetime(2026, 9, 1, tzinfo=UTC)
STEP = timedelta(minutes=LONG)
LAUNCH = Comparison("launch", "home_holdout", 1, "served", "held_out")
FORECAST = Comparison("forecast", "site", 1, "all", "")
HOME = Cell("homepage")
Units = Sequence[tuple[int, int]]  # (sessions, add-to-carts) of each unit


def sums(units: Units) -> Sums:
    return Sums(
        len(units),
        sum(n for n, _ in units),
        sum(n * n for n, _ in units),
        {"add_to_cart": sum(y for _, y in units)},
        {"add_to_cart": sum(y * y for _, y in units)},
        {"add_to_cart": sum(n * y for n, y in units)},
    )


def bucket(index: int, served: Units, held_out: Units, cell: Cell = HOME, minutes: int = LONG) -> Bucket:
    return Bucket(LAUNCH, cell, START + index * STEP, minutes, 0, {"served": sums(served), "held_out": sums(held_out)})


def people(rng: np.random.Generator, count: int, rate: float = 0.2) -> Units:
    sessions = 1 + rng.geometric(0.7, count)
    return [(int(n), int(y)) for n, y in zip(sessions, rng.binomial(sessions, rate), strict=True)]


def history(count: int, seed: int = 5, units: int = 60) -> list[Bucket]:
    rng = np.random.default_rng(seed)
    return [bucket(i + 1, people(rng, units), people(rng, units // 2)) for i in range(count)]


# --- d and s ---------------------------------------------------------------------------------------------------


def test_d_and_s_are_those_of_the_units_themselves() -> None:
    rng = np.random.default_rng(1)
    served, held_out = people(rng, 400), people(rng, 150)
    found = d.deviation(bucket(1, served, held_out), "add_to_cart")
    assert found is not None
    t, c = np.array(served, dtype=np.float64), np.array(held_out, dtype=np.float64)
    everyone = np.vstack([t, c])
    rate = everyone[:, 1].sum() / everyone[:, 0].sum()
    residual = everyone[:, 1] - rate * everyone[:, 0]
    per_session = (residual**2).sum() / everyone[:, 0].sum()
    variance = per_session * (1 / t[:, 0].sum() + 1 / c[:, 0].sum()) / rate**2
    assert found.relative == pytest.approx((t[:, 1].sum() / t[:, 0].sum()) / (c[:, 1].sum() / c[:, 0].sum()) - 1)
    assert found.se == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_s_of_single_sessions_is_the_binomial_one() -> None:
    """√(4(1 - p)/(sessions · p)), two equal groups: the table of the worked examples."""
    half = [(1, 1)] * 30 + [(1, 0)] * 970
    found = d.deviation(bucket(1, half, half), "add_to_cart")
    assert found is not None
    assert found.se == pytest.approx(math.sqrt(4 * 0.97 / (2_000 * 0.03)), rel=1e-12)


def test_s_is_the_spread_that_is_seen() -> None:
    """Over many draws of the same shop; a naive binomial s is far too small for units that come back."""
    rng = np.random.default_rng(2)
    seen, told, naive = [], [], []
    for _ in range(600):
        taste = rng.beta(1, 4, 900)
        sessions = 1 + rng.geometric(0.4, 900)
        carts = rng.binomial(sessions, taste)
        units = [(int(n), int(y)) for n, y in zip(sessions, carts, strict=True)]
        found = d.deviation(bucket(1, units[:600], units[600:]), "add_to_cart")
        assert found is not None
        seen.append(found.relative)
        told.append(found.se)
        rate = carts.sum() / sessions.sum()
        naive.append(math.sqrt((1 - rate) / rate * (1 / sessions[:600].sum() + 1 / sessions[600:].sum())))
    assert np.mean(told) == pytest.approx(np.std(seen), rel=0.1)
    assert np.mean(naive) < 0.8 * np.std(seen)


def test_an_arm_that_saw_nothing_is_not_certain_of_it() -> None:
    found = d.deviation(bucket(1, [(1, 0)] * 40, [(1, 1)] * 4 + [(1, 0)] * 36), "add_to_cart")
    assert found is not None
    assert found.relative == -1
    assert found.se > 0.8


def test_no_arm_no_sessions_and_nothing_to_divide_by_say_nothing() -> None:
    some = [(1, 1), (1, 0)]
    assert d.deviation(bucket(1, some, []), "add_to_cart") is None
    assert d.deviation(bucket(1, some, [(1, 0)]), "add_to_cart") is None
    assert d.deviation(bucket(1, some, some), "click") is None
    assert d.deviation(Bucket(LAUNCH, HOME, START, LONG, 0, {"served": sums(some)}), "add_to_cart") is None


# --- the baseline ----------------------------------------------------------------------------------------------


def test_the_baseline_is_the_last_112_buckets_before_the_change() -> None:
    buckets = history(150)
    change = START + 130 * STEP
    found = d.baseline(list(reversed(buckets)), "add_to_cart", change_at=change, reason="launch als_v2")
    assert found is not None
    used = [d.deviation(b, "add_to_cart") for b in buckets[18:130]]
    ds = np.array([u.relative for u in used if u])
    ss = np.array([u.se for u in used if u])
    mean = np.average(ds, weights=1 / ss**2)
    u = (ds - mean) / ss
    spread = np.mean(u**2)
    r = float(np.clip(np.mean(u[1:] * u[:-1]) / spread, 0, 0.8))
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.autocorrelation == pytest.approx(r, abs=1e-12)
    assert found.factor == pytest.approx(math.sqrt(max(1, spread) * (1 + r) / (1 - r)), rel=1e-12)
    assert (found.change_at, found.reason, found.buckets) == (change, "launch als_v2", 112)


def test_autocorrelation_widens_and_is_counted_between_buckets_that_adjoin() -> None:
    rng = np.random.default_rng(8)
    noise = [0.0]
    for _ in range(111):
        noise.append(0.6 * noise[-1] + rng.standard_normal())
    adjoining = [d.Deviation(START + (i + 1) * STEP, 0.01 * u, 0.01) for i, u in enumerate(noise)]
    apart = [d.Deviation(START + 2 * (i + 1) * STEP, 0.01 * u, 0.01) for i, u in enumerate(noise)]
    found = d.stood(adjoining, change_at=START, reason="first_buckets")
    alone = d.stood(apart, change_at=START, reason="first_buckets")
    assert found is not None
    assert alone is not None
    assert 0.45 < found.autocorrelation < 0.75
    assert alone.autocorrelation == 0
    r = found.autocorrelation
    assert found.factor == pytest.approx(alone.factor * math.sqrt((1 + r) / (1 - r)))


def test_the_factor_is_never_below_one_and_the_autocorrelation_never_above_its_most() -> None:
    calm = [d.Deviation(START + (i + 1) * STEP, 0.0001 * (-1) ** i, 0.01) for i in range(112)]
    drift = [d.Deviation(START + (i + 1) * STEP, 0.001 * i, 0.01) for i in range(112)]
    found, drifting = (d.stood(all_, change_at=START, reason="x") for all_ in (calm, drift))
    assert found is not None
    assert drifting is not None
    assert (found.factor, found.autocorrelation) == (1, 0)
    assert drifting.autocorrelation == 0.8


def test_fewer_than_112_buckets_that_say_anything_are_no_baseline() -> None:
    buckets, change = history(112), START + 112 * STEP
    silent = bucket(1, [(1, 1)], [])
    assert d.baseline(buckets[1:], "add_to_cart", change_at=change, reason="x") is None
    assert d.baseline([silent, *buckets[1:]], "add_to_cart", change_at=change, reason="x") is None
    assert d.baseline(buckets, "add_to_cart", change_at=change - STEP, reason="x") is None
    assert d.baseline(buckets, "add_to_cart", change_at=change, reason="x") is not None


def test_buckets_of_two_cells_lengths_or_revisions_are_refused() -> None:
    buckets, change = history(3), START + 3 * STEP
    some = [(1, 1)]
    for other, words in (
        (bucket(4, some, some, Cell("pdp")), "more than one cell"),
        (bucket(4, some, some, minutes=15), "not of 360 minutes"),
        (bucket(3, some, some), "newest revision"),
    ):
        with pytest.raises(ValueError, match=words):
            d.baseline([*buckets, other], "add_to_cart", change_at=change, reason="x")


# --- the detector ----------------------------------------------------------------------------------------------


def frozen(mean: float = 0.01, factor: float = 1.5) -> Baseline:
    return Baseline(START, "first_buckets", mean, factor, 0.0, 112)


def test_the_recursion_written_out() -> None:
    buckets = history(6, units=4_000)
    state: Detector | None = None
    values = np.zeros(4)
    for b in buckets:
        state = d.step(state, frozen(), b, "add_to_cart")
        found = d.deviation(b, "add_to_cart")
        assert found is not None
        z = max(-4.0, (found.relative - 0.01) / (1.5 * found.se) + 1 / math.sqrt(112))
        rates = np.minimum(2.0, np.array([0.01, 0.02, 0.04, 0.08]) / found.se)
        values = (values + 1) * np.exp(-rates * z - rates**2 / 2)
        assert d.z(b, "add_to_cart", frozen()) == z
        assert state.values == pytest.approx(tuple(values), rel=1e-12)
        assert state.end == b.end
    assert d.mean(state) == pytest.approx(values.mean(), rel=1e-12)


def test_no_bucket_moves_it_further_than_the_floor_of_z_and_the_cap_of_the_rate() -> None:
    crash = d.Deviation(START + STEP, -0.9, 0.0001)
    after = d.advance(None, frozen(), crash)
    assert max(after.values) == pytest.approx(math.exp(2 * 4 - 2), rel=1e-12)


def test_a_bucket_that_says_nothing_leaves_it_as_it_was() -> None:
    before = d.step(None, frozen(), history(1, units=4_000)[0], "add_to_cart")
    after = d.step(before, frozen(), bucket(2, [(1, 1)], []), "add_to_cart")
    assert after.values == before.values
    assert after.end == START + 2 * STEP
    assert d.mean(d.step(None, frozen(), bucket(1, [], []), "add_to_cart")) == 0


def test_what_rings_for_a_year_stays_a_number_and_a_reset_forgets_it() -> None:
    state: Detector | None = None
    for i in range(1_460):
        state = d.advance(state, frozen(), d.Deviation(START + (i + 1) * STEP, -0.5, 0.01))
    assert state is not None
    assert d.mean(state) == d.CEILING
    assert d.mean(d.reset(state.end)) == 0
    assert d.reset(state.end).end == state.end


def test_order_length_and_the_baselines_own_buckets_are_refused() -> None:
    first, second = history(2)
    after = d.step(None, frozen(), second, "add_to_cart")
    with pytest.raises(ValueError, match="not after 2026-09-01 12:00"):
        d.step(after, frozen(), first, "add_to_cart")
    late = Baseline(START + 5 * STEP, "x", 0.0, 1.0, 0.0, 112)
    with pytest.raises(ValueError, match="not after 2026-09-02 06:00"):
        d.step(None, late, first, "add_to_cart")
    with pytest.raises(ValueError, match="a bucket of 15 minutes"):
        d.step(None, frozen(), bucket(9, [(1, 1)], [(1, 1)], minutes=15), "add_to_cart")


def test_a_peek_between_two_buckets_written_out() -> None:
    first, part = history(2, units=4_000)
    state = d.step(None, frozen(), first, "add_to_cart")
    part = replace(part, minutes=90, end=first.end + timedelta(minutes=90))
    found = d.deviation(part, "add_to_cart")
    assert found is not None
    z = max(-4.0, (found.relative - 0.01) / (1.5 * found.se) + math.sqrt(0.25 / 112))
    rates = np.minimum(1.0, np.array([0.01, 0.02, 0.04, 0.08]) / found.se)
    seen = d.peek(state, frozen(), part, "add_to_cart")
    assert seen.values == pytest.approx(tuple((np.array(state.values) + 0.25) * np.exp(-rates * z - rates**2 / 2)))
    assert seen.end == part.end


def test_a_peek_at_the_whole_six_hours_is_the_step() -> None:
    first, second = history(2, units=4_000)
    state = d.step(None, frozen(), first, "add_to_cart")
    assert d.peek(state, frozen(), second, "add_to_cart") == d.step(state, frozen(), second, "add_to_cart")
    nothing = bucket(2, [(1, 1)], [])
    assert d.peek(state, frozen(), nothing, "add_to_cart").values == state.values
    with pytest.raises(ValueError, match="a part of 375 minutes"):
        d.peek(state, frozen(), replace(second, minutes=375), "add_to_cart")


# --- the bars --------------------------------------------------------------------------------------------------


def test_the_bars_share_the_false_alarms_of_a_quarter_by_money() -> None:
    stakes = {Cell(f"m{i}"): float(stake) for i, stake in enumerate((100, 300, 400, 800))}
    bars = d.bars(stakes)
    assert bars[Cell("m1")].page == pytest.approx(364 * 4 / (2 * 4 * 300 / 1_600))
    assert bars[Cell("m3")].page < bars[Cell("m0")].page
    assert sum(364 / bar.page for bar in bars.values()) == pytest.approx(2)
    assert sum(364 / bar.ticket for bar in bars.values()) == pytest.approx(6)


def test_little_or_no_money_has_a_bar_too() -> None:
    bars = d.bars({Cell("big"): 1e6, Cell("small"): 1.0, Cell("none"): 0.0, Cell("refunds"): -5.0})
    assert bars[Cell("small")] == bars[Cell("none")] == bars[Cell("refunds")] == d.Bars(29_120.0 / 2, 29_120.0 / 6)
    assert d.bars({HOME: 0.0})[HOME] == d.Bars(7_280.0 / 2, 7_280.0 / 6)
    assert d.bars({}) == {}


# --- evidence --------------------------------------------------------------------------------------------------


def standing_at(value: float) -> Detector:
    return Detector((value,) * 4, START)


@pytest.mark.parametrize(
    ("value", "replayed", "most", "met"),
    [
        (99.0, True, "ticket", False),
        (100.0, True, "ticket", True),
        (599.0, True, "ticket", True),
        (600.0, True, "page_fast", True),
        (600.0, False, "ticket", True),
    ],
)
def test_a_page_needs_its_bar_and_a_replay(value: float, replayed: bool, most: str, met: bool) -> None:
    found = d.by_detector(standing_at(value), d.Bars(600.0, 100.0), replayed=replayed)
    assert (found.kind, found.most, found.met, found.value) == ("detector", most, met, value)


def test_without_a_baseline_nothing_is_read() -> None:
    for found in (d.by_detector(None, d.Bars(0.0, 0.0), replayed=True), d.by_forecast(None, d.Bars(0.0, 0.0))):
        assert not found.met
        assert found.waits_for == "a baseline of 112 six-hour buckets before the last change"


def test_a_forecast_compares_with_what_was_expected_and_never_pages() -> None:
    seen = Bucket(FORECAST, Cell(), START + STEP, LONG, 0, {"all": sums([(1, 1)] * 90 + [(1, 0)] * 400)})
    traffic = Traffic(Cell(), seen.end, 490.0, 9.0, {"add_to_cart": 120.0}, {"add_to_cart": 6.0}, 100.0, 0.3)
    assert d.deviation(seen, "add_to_cart", traffic) == d.Deviation(seen.end, -0.25, 0.05)
    assert d.deviation(seen, "add_to_cart") is None
    assert d.deviation(seen, "order", traffic) is None
    state = d.step(None, frozen(), seen, "add_to_cart", traffic)
    assert d.mean(state) > 1
    assert d.by_forecast(standing_at(1e9), d.Bars(600.0, 100.0)).most == "ticket"
    ends = [START + i * STEP for i in range(1, 113)]
    past = [Bucket(FORECAST, Cell(), end, LONG, 0, seen.arms) for end in ends]
    known = dict.fromkeys(ends, traffic)
    kept = d.baseline(past, "add_to_cart", change_at=ends[-1], reason="first_buckets", forecasts=known)
    assert kept is not None
    assert kept.mean == pytest.approx(-0.25)
    assert d.baseline(past, "add_to_cart", change_at=ends[-1], reason="first_buckets") is None
