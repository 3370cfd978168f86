"""Which money a failing check holds: what it makes unbelievable, where its rows or its split are used, while fresh."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analysis.alerts.job.signals import FRESH, Signals, failing, held_by
from analysis.alerts.model import METRICS, Cell, Comparison, Metric
from analysis.readout import Judged, Readout, Withholds
from experiments.store import Store
from tests.helpers import published
from tests.helpers.signals import carts, reading

AT = datetime(2026, 12, 15, tzinfo=UTC)
DAY = timedelta(days=1)
SITE, HOME, DECOR, CART = Cell(), Cell("homepage"), Cell("homepage", "decor"), Cell("cart")
GLOBAL = Comparison("launch", "global_h2", 1, "served", "held_out")
FORECAST = Comparison("forecast", "site", 0, "all", "")


def own(readout: Readout) -> Comparison:
    return Comparison("experiment", readout.experiment.key, 1, "als_v2", "control")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    home = published.shop(tmp_path / "shop")
    with Store.open(f"sqlite:///{home / 'registry.sqlite'}") as opened:
        yield opened


def publish(store: Store, readout: Readout) -> Readout:
    store.save_definition(
        published.definition(readout), {}, expected_version=0, actor="ann", reason="", now=AT - 30 * DAY
    )
    published.publish(store, readout)
    return readout


def missing(drop: float) -> Readout:
    return reading("SHIP", missing_add_to_cart=carts(drop), as_of=AT.date())


def test_missing_add_to_carts_hold_what_counts_them_wherever_the_module_is_looked_at(store: Store) -> None:
    readout = publish(store, missing(0.1))
    found = Signals(store).failures(AT)
    module = readout.experiment.modules[0]
    for comparison in (own(readout), GLOBAL, FORECAST):
        for cell in (SITE, Cell(module), Cell(module, "decor")):
            assert held_by(found, comparison, cell, "add_to_cart") == ("SH-02",)
            for metric in ("click", "order", "revenue"):
                assert held_by(found, comparison, cell, metric) == ()
    assert held_by(found, FORECAST, Cell("elsewhere"), "add_to_cart") == ()


def test_a_drop_that_only_warns_holds_nothing(store: Store) -> None:
    publish(store, missing(0.7))
    assert Signals(store).failures(AT) == ()


def test_a_broken_split_holds_its_own_experiment_only() -> None:
    readout = missing(1.0)
    split = readout.checks[0].model_copy(update={"state": "fail", "withholds": Withholds(everything=True)})
    found = tuple(failing(readout.model_copy(update={"checks": (split,)})))
    for metric in METRICS:
        assert held_by(found, own(readout), HOME, metric) == ("SH-01",)
        assert held_by(found, GLOBAL, HOME, metric) == held_by(found, FORECAST, SITE, metric) == ()


@pytest.mark.parametrize(
    ("figure", "held"), [("not_shown", {"click"}), ("shared", {"order", "revenue"}), ("unlinked_rate", set())]
)
def test_outcomes_that_do_not_fit_hold_the_metrics_they_are_counted_in(figure: str, held: set[Metric]) -> None:
    readout = missing(1.0)
    [fits] = [check for check in readout.checks if check.id == "SH-14"]
    judged = Judged(
        figure=figure, measure="of them", unit="share", value=0.5, warn=0.005, fail=0.02, worse="above", state="fail"
    )
    broken = fits.model_copy(update={"state": "fail", "judged": (judged,)})
    found = tuple(failing(readout.model_copy(update={"checks": (broken,)})))
    assert {metric for metric in METRICS if held_by(found, FORECAST, SITE, metric)} == held


def test_missing_rows_hold_everything_on_the_modules() -> None:
    readout = missing(1.0)
    [volume] = [check for check in readout.checks if check.id == "SH-13"]
    found = tuple(failing(readout.model_copy(update={"checks": (volume.model_copy(update={"state": "fail"}),)})))
    module = readout.experiment.modules[0]
    for metric in METRICS:
        assert held_by(found, GLOBAL, Cell(module), metric) == ("SH-13",)
    unknown = volume.model_copy(update={"state": "unknown"})
    assert tuple(failing(readout.model_copy(update={"checks": (unknown,)}))) == ()


@pytest.mark.parametrize(
    ("kinds", "held"),
    [
        ({"add_to_cart": -0.9}, {"add_to_cart"}),
        ({"add_to_cart": -0.9, "purchase": -0.4}, {"add_to_cart"}),  # that one only warns
        ({"purchase": -0.7, "click": -1.0}, {"click", "order", "revenue"}),
        ({"slot shown": -0.8}, set(METRICS)),
    ],
)
def test_rows_of_one_kind_that_are_missing_hold_what_is_counted_in_them(
    kinds: dict[str, float], held: set[Metric]
) -> None:
    readout = missing(1.0)
    [volume] = [check for check in readout.checks if check.id == "SH-13"]
    groups = tuple({"kind": kind, "browser": "chrome", "change": change} for kind, change in kinds.items())
    broken = volume.model_copy(update={"state": "fail", "groups": groups})
    found = tuple(failing(readout.model_copy(update={"checks": (broken,)})))
    assert {metric for metric in METRICS if held_by(found, FORECAST, SITE, metric)} == held


def test_only_the_newest_reading_that_is_fresh_counts(store: Store) -> None:
    publish(store, missing(0.1))
    as_of = datetime.combine(AT.date(), datetime.min.time(), UTC)
    assert Signals(store).failures(as_of - timedelta(seconds=1)) == ()  # it was not there then
    assert len(Signals(store).failures(as_of + FRESH - timedelta(seconds=1))) == 1
    assert Signals(store).failures(as_of + FRESH) == ()
    mended = reading("SHIP", missing_add_to_cart=carts(1.0), as_of=(AT + DAY).date())
    published.publish(store, mended)
    assert len(Signals(store).failures(AT + DAY - timedelta(seconds=1))) == 1
    assert Signals(store).failures(AT + DAY) == ()
