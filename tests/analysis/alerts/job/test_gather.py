"""From published measures to evaluations: the same numbers as by hand, frozen baselines, changes, and what is held."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from analysis.alerts.evidence.concurrent import by_experiment
from analysis.alerts.evidence.detector import Bars, bars, baseline, mean, reset
from analysis.alerts.evidence.detector import step as advanced
from analysis.alerts.job.gather import Gathered
from analysis.alerts.job.run import Memory, Seen
from analysis.alerts.measures import measured
from analysis.alerts.model import LONG, Cell, Evaluation, Metric
from experiments import lifecycle
from experiments.errors import DefinitionError
from experiments.money import Money
from experiments.shop import Shop, create
from experiments.store import Store
from tests.helpers.alert_measures import DECOR, HOLDOUT, HOME, SITE, START, STEP, TRIAL, Made, ends, publish, traffic
from tests.helpers.definitions import changed, written

MONEY = Money(
    loss_budget=Decimal(75_000), margin=Decimal("0.35"), pages=True, every_minutes=15, entry_modules=("homepage",)
)
NOTHING = Memory({}, {})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return create(tmp_path / "shop")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def after(buckets: int) -> datetime:
    return START + buckets * STEP


def losing(share: float, begins: datetime, cell: Cell = HOME) -> Made:
    return Made(HOLDOUT, change=lambda place, at: -share if place == cell and at > begins else 0.0)


def looked(shop: Shop, store: Store, at: datetime, memory: Memory = NOTHING, money: Money = MONEY) -> Seen:
    return Gathered(shop, store, money, as_of=at).evaluate(at, memory, ())


def of(seen: Seen, cell: Cell, metric: Metric = "revenue") -> Evaluation:
    return next(one for one in seen.evaluations if one.unit.cell == cell and one.unit.metric == metric)


def test_before_112_buckets_nothing_is_read_and_says_what_it_waits_for(shop: Shop, store: Store) -> None:
    publish(store, Made(HOLDOUT), after(111))
    seen = looked(shop, store, after(111))
    assert {one.unit.cell for one in seen.evaluations} == {SITE, HOME, DECOR}
    assert {one.unit.metric for one in seen.evaluations} == {"revenue"}  # no past change, so no other is worth money
    assert "a baseline of 112" in of(seen, HOME).evidence.waits_for
    assert (seen.frozen, seen.detectors) == ({}, {})


def test_the_first_baseline_is_of_the_first_112_buckets_and_never_changes(shop: Shop, store: Store) -> None:
    publish(store, losing(0.05, after(112)), after(130))
    at = after(130)
    seen = looked(shop, store, at)
    unit = of(seen, HOME).unit
    frozen = seen.frozen[unit.fingerprint]
    buckets = measured.buckets(store, HOLDOUT, HOME, minutes=LONG, until=after(112))
    assert frozen == baseline(buckets, "revenue", change_at=after(112), reason="first_buckets")
    own = [one.arms["served"].totals["revenue"] / one.arms["held_out"].totals["revenue"] - 1 for one in buckets]
    assert frozen.mean == pytest.approx(sum(own) / 112, abs=2e-3)  # equal sessions; weights differ a little
    state = reset(after(112))
    for bucket in measured.buckets(store, HOLDOUT, HOME, minutes=LONG, since=after(112), until=at):
        state = advanced(state, frozen, bucket, "revenue")
    assert seen.detectors[unit.fingerprint] == state
    assert of(seen, HOME).evidence.value == mean(state)
    again = looked(shop, store, at, NOTHING.after({}, seen.frozen))
    assert again.frozen == {}
    assert again == Seen(seen.evaluations, seen.detectors, {})


def test_bucket_after_bucket_gives_the_state_of_all_at_once(shop: Shop, store: Store) -> None:
    publish(store, losing(0.03, after(115)), after(125))
    source, memory = Gathered(shop, store, MONEY, as_of=after(125)), NOTHING
    for at in ends(after(110), after(125)):
        seen = source.evaluate(at, memory, ())
        memory = memory.after(seen.detectors, seen.frozen)
    assert memory.detectors == looked(shop, store, after(125)).detectors
    assert {key: one[0].change_at for key, one in memory.baselines.items()} == dict.fromkeys(
        memory.baselines, after(112)
    )


def test_a_baseline_is_in_force_from_the_end_after_it_was_frozen(shop: Shop, store: Store) -> None:
    publish(store, Made(HOLDOUT), after(112))
    seen = looked(shop, store, after(112))
    assert len(seen.frozen) == 3
    assert seen.detectors == {}
    assert of(seen, HOME).evidence.waits_for
    again = looked(shop, store, after(112), NOTHING.after({}, seen.frozen))  # and so it is when it is asked again
    assert again.evaluations == seen.evaluations


def test_a_loss_on_a_peak_homepage_pages_and_a_cell_beside_it_does_not(shop: Shop, store: Store) -> None:
    publish(store, losing(0.08, after(120)), after(126))
    seen = looked(shop, store, after(126))
    loss = of(seen, HOME)
    assert loss.severity == "page_fast"
    assert loss.evidence.met
    assert loss.evidence.kind == "detector"
    assert loss.now is not None
    assert loss.stake.money == pytest.approx(3_000_000 * 0.03 * 8_000 * 0.35 / 2)  # the other half is held out
    assert of(seen, DECOR).severity == "digest"
    slow = looked(shop, store, after(126), money=MONEY.model_copy(update={"every_minutes": 60}))
    assert of(slow, HOME).severity == "page"
    quiet = looked(shop, store, after(126), money=MONEY.model_copy(update={"pages": False}))
    assert of(quiet, HOME).severity == "ticket"  # nobody is woken before an A/A replay


def test_bars_share_the_false_alarms_among_everything_that_is_watched(shop: Shop, store: Store) -> None:
    publish(store, Made(HOLDOUT), after(116))
    seen = looked(shop, store, after(116), money=MONEY.model_copy(update={"pages": False}))
    stakes = {one.unit.cell: one.stake.money for one in seen.evaluations}
    assert {one.unit.cell: one.evidence.needed for one in seen.evaluations} == {
        cell: bar.ticket for cell, bar in bars(stakes).items()
    }
    forecast = Made(measured.SITE, cells=(SITE, HOME, DECOR))
    publish(store, forecast, after(116), with_traffic=False)
    seen = looked(shop, store, after(116), money=MONEY.model_copy(update={"pages": False}))
    assert len(seen.evaluations) == 6  # two detectors on each of the three cells
    assert {one.evidence.needed for one in seen.evaluations} == {2 * bar.ticket for bar in bars(stakes).values()}
    assert isinstance(bars(stakes)[HOME], Bars)


def test_between_two_buckets_of_six_hours_the_quarters_are_read_and_not_kept(shop: Shop, store: Store) -> None:
    publish(store, losing(0.10, after(118)), after(118) + timedelta(hours=3))
    at = after(118) + timedelta(hours=3)
    before, now = looked(shop, store, after(118)), looked(shop, store, at)
    unit = of(now, HOME).unit
    assert now.detectors[unit.fingerprint] == before.detectors[unit.fingerprint]
    assert of(now, HOME).evidence.value > 10 * of(before, HOME).evidence.value
    assert set(of(now, HOME).effects) == {"15m", "1h", "6h", "1d", "3d", "7d"}
    assert of(now, HOME).effects["6h"].relative == pytest.approx(-0.05, abs=0.03)  # half of the last six hours
    assert of(before, HOME).effects["6h"].relative == pytest.approx(0.0, abs=0.03)
    assert of(now, HOME).effects["1h"].relative == pytest.approx(-0.10, abs=0.10)


def test_an_experiment_is_read_by_its_look(shop: Shop, store: Store) -> None:
    made = Made(TRIAL, change=lambda cell, _: -0.04 if cell == HOME else 0.0)
    publish(store, made, after(24), planned=1_000_000)
    seen = looked(shop, store, after(24))
    [look] = [one for one in measured.looks(store, TRIAL, after(24)) if one.cell == HOME]
    loss = of(seen, HOME)
    assert loss.evidence == by_experiment(look, "revenue")
    assert loss.severity != "digest"
    assert loss.stake.sessions == 1_500_000  # half of them in its arm
    assert loss.if_shipped == pytest.approx(2 * loss.now.expected if loss.now else math.nan)
    assert (seen.detectors, seen.frozen) == ({}, {})


def test_an_experiment_without_a_look_waits_for_it(shop: Shop, store: Store) -> None:
    publish(store, Made(TRIAL), after(24))
    assert "a first count of its units" in of(looked(shop, store, after(24)), HOME).evidence.waits_for


def test_what_has_no_price_is_said_once_and_not_called_healthy(shop: Shop, store: Store) -> None:
    publish(store, Made(HOLDOUT), after(8))
    publish(store, Made(measured.SITE, cells=(Cell("cart"),)), after(8), with_traffic=False)
    said: list[str] = []
    source = Gathered(shop, store, MONEY, as_of=after(8), say=said.append)
    for at in (after(7), after(8)):
        assert {one.unit.cell for one in source.evaluate(at, NOTHING, ()).evaluations} == {SITE, HOME, DECOR}
    assert len(said) == 1
    assert said[0].startswith("not evaluated: cart: no forecast of its traffic is published")


def test_without_any_margin_nothing_can_be_judged(shop: Shop, store: Store) -> None:
    made = Made(HOLDOUT)
    publish(store, made, after(8), with_traffic=False)
    rows = traffic(ends(START, after(8)), made, per_day=1e6)
    store.save_measures((replace(row, body=row.body.replace("0.35", "null")) for row in rows), now=after(8))
    with pytest.raises(DefinitionError, match="write the contribution margin"):
        looked(shop, store, after(8), money=MONEY.model_copy(update={"margin": None}))


def test_a_cell_that_is_followed_is_looked_at_without_data(shop: Shop, store: Store) -> None:
    publish(store, Made(HOLDOUT), after(40))
    later = after(40 + 30)  # seven and a half days without a row of this cell
    other = Made(HOLDOUT, cells=(SITE,))
    publish(store, other, later, since=after(40), with_traffic=False)
    publish(store, Made(HOLDOUT), later, since=after(40) + 29 * STEP)  # its traffic is expected still
    store.save_measures(other.buckets(LONG, ends(after(40), later), seed=1), now=later)
    followed = (of(looked(shop, store, after(40)), HOME),)
    source = Gathered(shop, store, MONEY, as_of=later)
    blind = next(one for one in source.evaluate(later, NOTHING, followed).evaluations if one.unit.cell == HOME)
    assert blind.no_data
    assert HOME not in {one.unit.cell for one in source.evaluate(later, NOTHING, ()).evaluations}


def test_a_cell_that_counted_the_same_as_another_is_read_once(shop: Shop, store: Store) -> None:
    publish(store, Made(TRIAL, rate=0.0), after(8))
    publish(store, Made(measured.SITE, rate=0.0), after(8), with_traffic=False)
    cells: dict[str, set[Cell]] = {}
    for one in looked(shop, store, after(8)).evaluations:
        cells.setdefault(one.unit.comparison.kind, set()).add(one.unit.cell)
    assert cells == {"experiment": {HOME}, "forecast": {SITE, HOME}}


def test_where_two_phases_meet_in_a_bucket_the_new_one_is_read(shop: Shop, store: Store) -> None:
    following = replace(TRIAL, phase=2)
    publish(store, Made(TRIAL), after(8))
    publish(store, Made(following), after(8), since=after(7))
    seen = looked(shop, store, after(8))
    assert {one.unit.comparison for one in seen.evaluations} == {following}
    assert len({one.unit.fingerprint for one in seen.evaluations}) == len(seen.evaluations)


def test_what_is_followed_is_over_with_its_experiment_and_else_without_data(shop: Shop, store: Store) -> None:
    """Never silently forgotten, and no data is no end."""
    text = changed(("start_at: 2026-12-01T09:00:00Z, end_at: 2026-12-29T09:00:00Z",
                    "start_at: 2026-11-01T00:00:00Z, end_at: 2026-11-05T00:00:00Z"))  # fmt: skip
    lifecycle.register(store, shop, written(shop, text), actor="test", reason="", now=START)
    lifecycle.start(store, shop, "home_als_v2", actor="test", reason="", now=START)
    publish(store, Made(TRIAL), after(16), planned=20_000)
    before = looked(shop, store, after(16)).evaluations
    assert of(Seen(before, {}, {}), HOME).now is not None
    publish(store, Made(measured.SITE), after(20), since=after(16))
    source = Gathered(shop, store, MONEY, as_of=after(20))
    for followed, is_over in ((before, True), (tuple(_of_holdout(each) for each in before), False)):
        found = {each.unit.fingerprint: each for each in source.evaluate(after(20), NOTHING, followed).evaluations}
        for each in followed:
            now = found[each.unit.fingerprint]
            assert (now.unit.at, now.severity, now.no_data) == (after(20), "digest", not is_over)
            assert (now.now is not None) == is_over
            assert ("ended 2026-11-05" in now.why_not) == is_over


def _of_holdout(each: Evaluation) -> Evaluation:
    return replace(each, unit=replace(each.unit, comparison=HOLDOUT))
