"""From a file to a running experiment, and what stays frozen then."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from experiments.catalogue import shipped_metrics
from experiments.errors import ConflictError, DefinitionError, NotFoundError, TransitionError
from experiments.lifecycle import ASSUMED_UNITS, amended, close_stop, register, start
from experiments.shop import Shop
from experiments.store import Event, Registered, Store
from tests.helpers.definitions import changed, written

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)
OWN = """\
metrics:
  own_metric:
    label: Own
    kind: mean
    numerator: {from: sessions, measure: rows}
    value_unit: count
    direction: increase
    covariates: [orders_per_unit]
"""


@pytest.fixture
def store() -> Iterator[Store]:
    """In memory: the engines are compared where the store itself is tested."""
    with Store.open("sqlite://") as opened:
        yield opened


def propose(store: Store, shop: Shop, *replacements: tuple[str, str]) -> Registered:
    path = written(shop, changed(*replacements))
    return register(store, shop, path, actor="ann", reason="because", now=NOW)


def test_registering_makes_a_draft_and_the_same_content_changes_nothing(store: Store, shop: Shop) -> None:
    first = propose(store, shop)
    assert (first.key, first.version, first.state, first.changed) == ("home_als_v2", 1, "draft", True)
    again = propose(store, shop)
    assert (again.version, again.changed) == (1, False)
    reordered = propose(
        store, shop, ("name: Homepage ALS v2\nowner: recs-team", "owner: recs-team\nname: Homepage ALS v2")
    )
    assert (reordered.version, reordered.changed) == (1, False)
    assert len(store.audit()) == 1


def test_a_draft_may_change_in_anything(store: Store, shop: Shop) -> None:
    propose(store, shop)
    second = propose(store, shop, ('als_v2, weight: "1"', 'als_v2, weight: "3"'), ("[homepage]", "[homepage, pdp]"))
    assert (second.version, second.changed) == (2, True)


def test_a_wrong_definition_is_not_registered(store: Store, shop: Shop) -> None:
    with pytest.raises(DefinitionError, match="no_control"):
        propose(store, shop, ("is_control: true", "is_control: false"))
    assert store.registered() == []
    assert store.audit() == []


def test_starting_freezes_definition_metrics_slices_clock_and_plan(store: Store, shop: Shop) -> None:
    propose(store, shop)
    phase = start(store, shop, "home_als_v2", actor="bob", reason="go", now=NOW)
    assert phase.number == 1
    assert phase.started_at == datetime(2026, 12, 1, 9, tzinfo=UTC)  # the schedule's, not now
    assert (phase.planned_units, phase.planned_units_assumed) == (20_000, False)
    assert set(phase.metrics) == {"revenue_per_unit", "oos_shown_rate", "return_rate", "ctr", "aov"}
    assert [declared.key for declared in phase.slices][:2] == ["device", "browser"]
    assert store.phase("home_als_v2") == phase
    assert store.definition("home_als_v2").state == "running"
    last = store.audit()[-1]
    assert (last.actor, last.action, last.reason, last.at) == ("bob", "start", "go", NOW)
    assert last.after is not None
    assert json.loads(last.after)["phase"]["planned_units"] == 20_000
    assert store.verify_audit() == ()


def test_an_experiment_that_lies_in_the_future_starts_when_it_is_scheduled(store: Store, shop: Shop) -> None:
    propose(store, shop, ("2026-12-01T09:00:00Z", "2027-01-05T09:00:00+01:00"), ("2026-12-29", "2027-02-01"))
    phase = start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    assert phase.started_at == datetime(2027, 1, 5, 8, tzinfo=UTC)


def test_without_a_plan_ten_thousand_units_are_assumed_and_marked(store: Store, shop: Shop) -> None:
    propose(store, shop, ("  planned_units: 20000\n", ""))
    phase = start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    assert (phase.planned_units, phase.planned_units_assumed) == (ASSUMED_UNITS, True)
    assert ASSUMED_UNITS == 10_000


def test_only_a_draft_starts(store: Store, shop: Shop) -> None:
    with pytest.raises(NotFoundError, match="no experiment home_als_v2 is registered"):
        start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    propose(store, shop, ("start_at: 2026-12-01T09:00:00Z", "start_at: 2026-12-01T10:00:00+01:00"))
    start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    with pytest.raises(TransitionError, match="is running since 2026-12-01 09:00 UTC: only a draft can be started"):
        start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)


def test_metrics_that_covariates_name_are_frozen_too(store: Store, shop: Shop) -> None:
    shop.metrics_file.write_text(OWN)
    registered = propose(store, shop, ("[ctr, aov]", "[own_metric]"))
    assert "orders_per_unit" in registered.metrics
    phase = start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    assert phase.metrics["orders_per_unit"] == shipped_metrics()["orders_per_unit"]


def test_a_metric_that_changed_between_register_and_start_is_not_frozen_by_surprise(store: Store, shop: Shop) -> None:
    shop.metrics_file.write_text(OWN)
    propose(store, shop, ("[ctr, aov]", "[own_metric]"))
    shop.metrics_file.write_text(OWN.replace("label: Own", "label: Other"))
    with pytest.raises(
        ConflictError, match="own_metric changed in the metric catalogue after version 1 was registered"
    ):
        start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    assert propose(store, shop, ("[ctr, aov]", "[own_metric]")).version == 2
    start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)


@pytest.fixture
def running(store: Store, shop: Shop) -> Store:
    propose(store, shop)
    start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    return store


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('als_v2, weight: "1"', 'als_v2, weight: "3"', "variants[1].weight"),
        ("strategy: als}", "strategy: bpr}", "variants[1].strategy"),
        ("strategy: als}", 'strategy: als}\n  - {key: third, weight: "1"}', "variants"),
        ("[homepage]", "[pdp]", "modules[0]"),
        ("unit_type: user", "unit_type: session", "unit_type"),
        ("2026-12-29T09", "2026-12-30T09", "schedule.end_at"),
        ("success: [revenue_per_unit]", "success: [revenue_per_unit, orders_per_unit]", "metrics.success"),
        ('margin: "0.20"', 'margin: "0.30"', "metrics.guardrails[1].margin"),
        ("planned_units: 20000", "planned_units: 30000", "analysis.planned_units"),
        ('relative: "0.005"', 'relative: "0.006"', "analysis.materiality.revenue_per_unit.relative"),
    ],
)
def test_what_a_running_phase_froze_cannot_change(running: Store, shop: Shop, old: str, new: str, path: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        propose(running, shop, (old, new))
    assert [(problem.code, problem.path) for problem in raised.value.problems] == [("immutable_field", path)]
    assert "cannot change in phase 1 (running): it was" in str(raised.value)
    assert "register the change under another key" in str(raised.value)
    assert raised.value.problems[0].line is not None
    assert running.definition("home_als_v2").version == 1


def test_all_frozen_fields_that_changed_are_said_at_once(running: Store, shop: Shop) -> None:
    with pytest.raises(DefinitionError) as raised:
        propose(running, shop, ("[homepage]", "[pdp]"), ("unit_type: user", "unit_type: session"))
    assert [problem.path for problem in raised.value.problems] == ["modules[0]", "unit_type"]


def test_texts_and_secondary_metrics_may_change_while_running(running: Store, shop: Shop) -> None:
    frozen = running.phase("home_als_v2")
    changes = (("name: Homepage ALS v2", "name: Better"), ("recs-team", "others"), ("more revenue", "much"))
    second = propose(running, shop, *changes, ("[ctr, aov]", "[aov, conversion]"))
    assert (second.version, second.state, second.changed) == (2, "running", True)
    assert running.phase("home_als_v2") == frozen  # what was frozen stays
    shown = amended(frozen, second)
    assert (shown.experiment.name, shown.experiment.owner, shown.experiment.hypothesis) == ("Better", "others", "much")
    assert shown.experiment.metrics.secondary == ("aov", "conversion")
    assert shown.experiment.metrics.success == frozen.experiment.metrics.success
    assert set(shown.metrics) >= set(shown.experiment.metrics.keys())
    exploratory = [key for key in shown.experiment.metrics.keys() if key not in frozen.experiment.metrics.keys()]  # noqa: SIM118
    assert exploratory == ["conversion"]
    assert (shown.started_at, shown.planned_units, shown.slices) == (frozen.started_at, 20_000, frozen.slices)


def test_a_phase_is_read_with_the_metrics_it_froze_whatever_the_files_say(store: Store, shop: Shop) -> None:
    shop.metrics_file.write_text(OWN)
    propose(store, shop, ("[ctr, aov]", "[own_metric]"))
    start(store, shop, "home_als_v2", actor="a", reason="", now=NOW)
    shop.metrics_file.write_text(OWN.replace("increase", "decrease"))
    shop.slices_file.unlink()
    again = propose(store, shop, ("[ctr, aov]", "[own_metric]"))
    assert not again.changed
    phase = store.phase("home_als_v2")
    assert phase.metrics["own_metric"].direction == "increase"
    assert len(phase.slices) == 7
    other = propose(store, shop, ("[ctr, aov]", "[own_metric, ctr]"))
    assert amended(phase, other).metrics["own_metric"].direction == "increase"


def test_a_file_that_is_gone_changes_nothing_that_is_registered(running: Store, shop: Shop) -> None:
    for path in shop.definitions.iterdir():
        path.unlink()
    assert running.phase("home_als_v2").experiment.name == "Homepage ALS v2"
    with pytest.raises(NotFoundError, match="no such file"):
        register(running, shop, Path("none.yml"), actor="a", reason="", now=NOW)


def test_a_stop_stands_until_a_person_closes_it_and_a_later_one_stands_again(store: Store, shop: Shop) -> None:
    propose(store, shop)
    start(store, shop, "home_als_v2", actor="ann", reason="", now=NOW)
    with pytest.raises(TransitionError, match="no stop of als_v2 stands"):
        close_stop(store, "home_als_v2", "als_v2", actor="ben", reason="looked", now=NOW)
    for day in range(2):
        store.record_event(
            Event("home_als_v2", 1, "stop", "revenue_per_unit", "als_v2", NOW + timedelta(days=day), NOW)
        )
    with pytest.raises(TransitionError, match="give a reason"):
        close_stop(store, "home_als_v2", "als_v2", actor="ben", reason=" ", now=NOW)
    with pytest.raises(NotFoundError, match="no treatment arm 'als'; its arms are als_v2"):
        close_stop(store, "home_als_v2", "als", actor="ben", reason="looked", now=NOW)
    closed = close_stop(store, "home_als_v2", "als_v2", actor="ben", reason="a broken price feed", now=NOW)
    assert closed.at == NOW + timedelta(days=1)
    last = store.audit()[-1]
    assert (last.action, last.actor, last.reason) == ("stop_closed", "ben", "a broken price feed")
    assert store.verify_audit() == ()
    with pytest.raises(TransitionError, match="no stop of als_v2 stands"):
        close_stop(store, "home_als_v2", "als_v2", actor="ben", reason="again", now=NOW)
    store.record_event(Event("home_als_v2", 1, "stop", "revenue_per_unit", "als_v2", NOW + timedelta(days=3), NOW))
    close_stop(store, "home_als_v2", "als_v2", actor="ben", reason="looked again", now=NOW)
