"""The last change of a module: launches from the store, the baseline frozen for them, and losses that were accepted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis.alerts.evidence.changes import Launch, accepted, frozen, last_launch, launches, windows
from analysis.alerts.evidence.detector import baseline
from analysis.alerts.job.gather import Gathered
from analysis.alerts.job.run import Memory
from analysis.alerts.measures import measured
from analysis.alerts.model import LONG, Bucket
from analysis.readout import Interval
from experiments.shop import create
from experiments.store import Decision, Store
from tests.analysis.alerts.test_gather import MONEY, NOTHING, after, of
from tests.helpers import published
from tests.helpers.alert_measures import HOLDOUT, HOME, STEP, Made, publish
from tests.helpers.readouts import example

DAY = timedelta(days=1)
SHIPPED = Launch("home_als_v2", ("homepage",), after(120), {"revenue": 0.012})


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


def history(store: Store, made: Made, buckets: int) -> tuple[Bucket, ...]:
    publish(store, made, after(buckets), quarters=STEP)
    return measured.buckets(store, HOLDOUT, HOME, minutes=LONG, until=after(buckets))


def test_what_was_stopped_to_be_shipped_is_a_launch_with_the_least_it_promised(store: Store) -> None:
    readout = example("SHIP")
    store.save_definition(
        published.definition(readout),
        {},
        expected_version=0,
        actor="ann",
        reason="",
        now=datetime(2026, 12, 1, tzinfo=UTC),
    )
    assert launches(store) == ()
    published.publish(store, readout)
    at = datetime.fromisoformat(readout.as_of) + DAY
    store.change(
        readout.experiment.key, action="stop", expected_revision=None, actor="ann", reason="", now=at, state="stopped",
        decision=Decision("ship", "it sells", at),
    )  # fmt: skip
    [found] = launches(store)
    assert (found.key, found.modules, found.at) == (readout.experiment.key, readout.experiment.modules, at)
    [comparison] = readout.metric("revenue_per_unit").comparisons
    assert isinstance(comparison.relative, Interval)
    assert found.least["revenue"] == comparison.relative.lo
    module = readout.experiment.modules[0]
    assert windows((found,), at) == {}  # from then on
    assert windows((found,), at + DAY)[module] == f"launch {found.key} {at:%Y-%m-%d}"
    assert last_launch((found,), module, at + DAY) == found
    assert last_launch((found,), "", at + DAY) is None
    assert last_launch((found,), module, at) is None


def test_what_was_rolled_back_changed_nothing(store: Store) -> None:
    readout = example("SHIP")
    store.save_definition(
        published.definition(readout),
        {},
        expected_version=0,
        actor="ann",
        reason="",
        now=datetime(2026, 12, 1, tzinfo=UTC),
    )
    store.change(
        readout.experiment.key, action="stop", expected_revision=None, actor="ann", reason="", now=after(9),
        state="stopped", decision=Decision("roll_back", "", after(9)),
    )  # fmt: skip
    assert launches(store) == ()


def test_after_a_launch_the_difference_to_expect_is_raised_by_what_was_promised(store: Store) -> None:
    buckets = history(store, Made(HOLDOUT, change=lambda _, at: 0.015 if at > after(120) else 0.0), 124)
    before = baseline(buckets, "revenue", change_at=after(120), reason="")
    found = frozen(buckets, "revenue", SHIPPED, forecasts={})
    assert before is not None
    assert found is not None
    assert found.mean == pytest.approx((1 + before.mean) * 1.012 - 1, rel=1e-12)
    assert (found.factor, found.change_at, found.buckets) == (before.factor, after(120), 112)
    assert found.reason == f"launch home_als_v2 {after(120):%Y-%m-%d}"


def test_with_too_few_buckets_before_a_launch_the_first_after_it_are_taken(store: Store) -> None:
    early = Launch("home_als_v2", ("homepage",), after(50), {"revenue": 0.5})
    buckets = history(store, Made(HOLDOUT), 50 + 112)
    assert frozen(buckets[:-1], "revenue", early, forecasts={}) is None
    found = frozen(buckets, "revenue", early, forecasts={})
    assert found is not None
    assert found.change_at == after(162)
    assert found.mean == pytest.approx(0.0, abs=0.01)
    assert found.reason == f"first_buckets after launch home_als_v2 {after(50):%Y-%m-%d}"


def test_a_loss_that_is_accepted_is_where_the_next_baseline_stands(store: Store) -> None:
    made = Made(HOLDOUT, change=lambda _, at: -0.05 if at > after(120) else 0.0)
    buckets = history(store, made, 128)
    found = accepted(buckets, "revenue", at=after(128), since=after(120), incident="abc", forecasts={})
    assert found is not None
    assert found.change_at == after(128)
    assert found.reason == "accepted (incident abc)"
    assert -0.05 - 0.03 < found.mean < -0.05 + 0.01  # one standard error below what was seen
    before = baseline(buckets, "revenue", change_at=after(128), reason="")
    assert before is not None
    assert found.factor == before.factor
    assert accepted(buckets[:100], "revenue", at=after(128), since=after(120), incident="abc", forecasts={}) is None


def test_a_launch_starts_the_detector_anew_and_a_loss_after_it_is_found(tmp_path: Path, store: Store) -> None:
    made = Made(HOLDOUT, change=lambda cell, at: -0.04 if cell == HOME and at > after(124) else 0.0)
    publish(store, made, after(130))
    source = Gathered(create(tmp_path / "shop"), store, MONEY, as_of=after(130))
    source._launches = (SHIPPED,)
    memory, at = NOTHING, after(113)
    while at <= after(130):
        seen = source.evaluate(at, memory, ())
        memory, at = memory.after(seen.detectors, seen.frozen), at + STEP
    key = of(seen, HOME).unit.fingerprint
    assert [one.reason for one in memory.baselines[key]] == ["first_buckets", SHIPPED.window]
    assert of(seen, HOME).evidence.met
    assert source.windows(after(130)) == {"homepage": SHIPPED.window}
    again = source.evaluate(after(130), Memory({}, memory.baselines), ())
    assert again.detectors == seen.detectors  # from the launch on, whatever was before
