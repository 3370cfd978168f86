"""Switchbacks and interleavings from definition to decision: whose id, which arm, what is not analysed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.allocation import evaluate
from assignment.batch import assign_units
from assignment.bundle import Bundle, compile_bundle
from assignment.decision import ANALYSED, Decision
from assignment.event_log import MemorySpool
from assignment.explanation import explain
from assignment.exposures import exposure_row
from assignment.flags import metadata_of, reason_of, variant_of
from assignment.interleaving import team_draft
from assignment.recording import Recorder
from assignment.switchback import cluster_window
from experiments.contracts import Exposure, reasons
from experiments.errors import DefinitionError, UsageError
from tests.assignment.test_switchback import CASES, FILE, Case
from tests.helpers.bundles import NOW, Document, arm, bundle, experiment, layer

WINDOWS: Document = {"cluster": "city", "window_minutes": 240, "burn_in_minutes": 30}
FOUR_HOURS = timedelta(hours=4)
MOMENTS = st.datetimes(datetime(2026, 12, 1), datetime(2026, 12, 31, 23)).map(lambda at: at.replace(tzinfo=UTC))
CITIES = st.sampled_from(["berlin", "são paulo", "zone_7", "a|b"])


def cells(**changed: object) -> Document:
    own: Document = {
        "unit_type": "cluster_window", "design": "switchback", "switchback": WINDOWS, "trigger": "serve"
    }  # fmt: skip
    return experiment(**{**own, **changed})


def duel(**changed: object) -> Document:
    own: Document = {"unit_type": "request", "design": "interleaving", "trigger": "serve"}
    return experiment(**{**own, **changed})


def of_cells(*experiments: Document) -> Bundle:
    return compile_bundle(bundle(*experiments, layers=[layer("homepage", "cluster_window")]))


def of_requests(*experiments: Document) -> Bundle:
    return compile_bundle(bundle(*experiments, layers=[layer("homepage", "request")]))


CELLS = of_cells(cells())
DUEL = of_requests(duel())


def ask(made: Bundle, context: Mapping[str, object], now: datetime = NOW) -> Decision:
    return evaluate(made, "rec.homepage", context, now)


def logged(made: Bundle, context: Mapping[str, object], now: datetime = NOW) -> dict[str, object]:
    row = exposure_row(made, ask(made, context, now), context, event_id="e1", at=now)
    assert reasons(Exposure, json.dumps(row)) == frozenset()
    return row


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["unit_id"])
def test_cluster_and_clock_give_the_cell_and_arm_of_the_golden_vector(case: Case) -> None:
    made = of_cells(
        cells(
            salt=FILE["salt"].removesuffix(":switchback"),
            schedule={"start_at": None, "end_at": None}, started_at=None, traffic=[
                {"at": "2026-01-01T00:00:00Z", "bp": 10_000}
            ],
            switchback={"cluster": "zone", "window_minutes": FILE["window_minutes"], "burn_in_minutes": 5},
            variants=[arm("control", 0, 5_000), arm("treatment", 5_000, 10_000)],
        )
    )  # fmt: skip
    start = datetime.fromisoformat(case["window_start"])
    for late, reason in ((0, "burn_in"), (299, "burn_in"), (300, "split"), (1_799, "split")):
        decision = ask(made, {"zone": case["cluster"]}, start + timedelta(seconds=late))
        assert (decision.unit_id, decision.split_bucket) == (case["unit_id"], case["bucket"])
        assert (decision.variant, decision.assignment_reason) == (case["variant"], reason)


@given(CITIES, MOMENTS, MOMENTS)
def test_a_cell_has_one_arm_and_another_begins_at_its_edge(city: str, one: datetime, other: datetime) -> None:
    first, second = ask(CELLS, {"city": city}, one), ask(CELLS, {"city": city}, other)
    same = one.timestamp() // FOUR_HOURS.total_seconds() == other.timestamp() // FOUR_HOURS.total_seconds()
    assert (first.unit_id == second.unit_id) is same
    assert not same or first.variant == second.variant
    assert first.unit_id == cluster_window(city, one, FOUR_HOURS)
    midnight = one.replace(hour=0, minute=0, second=0, microsecond=0)
    assert (one - midnight) // FOUR_HOURS * 4 == int(str(first.unit_id)[-9:-7])  # the edges are those of the UTC day


@given(CITIES, MOMENTS, st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]))
def test_no_zone_and_no_summer_time_moves_a_window(city: str, at: datetime, zone: str) -> None:
    assert ask(CELLS, {"city": city}, at.astimezone(ZoneInfo(zone))) == ask(CELLS, {"city": city}, at)


def test_the_hour_that_a_clock_shows_twice_is_two_windows() -> None:
    hourly = of_cells(
        cells(
            switchback={**WINDOWS, "window_minutes": 60}, started_at=None, schedule={"start_at": None, "end_at": None},
            traffic=[{"at": "2026-01-01T00:00:00Z", "bp": 10_000}],
        )
    )  # fmt: skip
    berlin = ZoneInfo("Europe/Berlin")
    ids = {
        ask(hourly, {"city": "berlin"}, datetime(2026, 10, 25, 2, 45, tzinfo=berlin, fold=fold)).unit_id
        for fold in (0, 1)
    }
    assert ids == {"berlin|2026-10-25T00:00:00Z", "berlin|2026-10-25T01:00:00Z"}


def test_a_burn_in_is_logged_with_its_arm_and_not_analysed() -> None:
    row = logged(CELLS, {"city": "berlin", "user_id": "u1"}, NOW)  # 12:00, where a window begins
    assert (row["assignment_reason"], row["unit_id"]) == ("burn_in", "berlin|2026-12-10T12:00:00Z")
    assert row["variant"] == row["served_variant"] == logged(CELLS, {"city": "berlin"}, NOW + FOUR_HOURS / 2)["variant"]
    assert {"split_bucket", "traffic_bucket", "layer_bucket"} <= set(row)
    assert row["user_id"] == "u1"
    assert "burn_in" not in ANALYSED
    assert reason_of(ask(CELLS, {"city": "berlin"})) == "SPLIT"


def test_a_disabled_arm_in_its_burn_in_serves_control() -> None:
    made = of_cells(cells(variants=[arm("control", 0, 1), arm("als", 1, 10_000, disabled=True)]))
    decision = ask(made, {"city": "berlin"})
    assert (decision.variant, decision.served_variant, decision.assignment_reason) == ("als", "control", "burn_in")
    assert ask(made, {"city": "berlin"}, NOW + timedelta(hours=1)).assignment_reason == "arm_disabled"


@pytest.mark.parametrize(
    ("context", "error"),
    [
        ({}, "TARGETING_KEY_MISSING"),
        ({"city": ""}, "TARGETING_KEY_MISSING"),
        ({"city": None}, "TARGETING_KEY_MISSING"),
        ({"city": "undefined"}, "TARGETING_KEY_MISSING"),
        ({"targetingKey": "u1", "cluster_window_id": "berlin|2026-12-10T12:00:00Z"}, "TARGETING_KEY_MISSING"),
        ({"city": 7}, "INVALID_CONTEXT"),
        ({"city": " berlin"}, "INVALID_CONTEXT"),
        ({"city": "x" * 236}, "INVALID_CONTEXT"),
        ({"city": ["berlin"]}, "INVALID_CONTEXT"),
    ],
)
def test_without_a_cluster_control_is_served_and_nothing_logged(context: Mapping[str, object], error: str) -> None:
    decision = ask(CELLS, context)
    assert (decision.error, decision.unit_id, decision.served_variant) == (error, None, "control")
    step = explain(CELLS, "rec.homepage", context, NOW).steps[-1]
    assert step.number == 3
    assert "city" in step.said


def test_a_moment_without_a_zone_does_not_break_the_page() -> None:
    assert ask(CELLS, {"city": "berlin"}, NOW.replace(tzinfo=None)).error == "GENERAL"


def test_a_switchback_that_is_over_leaves_its_slot_with_control() -> None:
    assert ask(of_cells(cells(state="stopped")), {"city": "berlin"}).assignment_reason == "not_running"
    over = ask(of_cells(cells(state="archived")), {})
    assert (over.error, over.assignment_reason) == (None, "not_running")
    before = ask(of_cells(), {"city": "berlin"})  # no experiment yet: no window, so no id and nothing to log
    assert (before.error, before.unit_id, before.assignment_reason) == (None, None, "none")


def test_two_switchbacks_share_a_layers_cells() -> None:
    def half(key: str, start: int, end: int, order: int) -> Document:
        return cells(key=key, order=order, layer={"key": "homepage", "ranges": [[start, end]]})

    made = of_cells(half("one", 0, 5_000, 1), half("two", 5_000, 10_000, 2))
    met = {ask(made, {"city": f"city-{number}"}).experiment_key for number in range(50)}
    assert met == {"one", "two"}


def test_an_interleaved_request_is_in_no_arm() -> None:
    decision = ask(DUEL, {"request_id": "r1", "targetingKey": "u1"})
    assert (decision.assignment_reason, decision.unit_id, decision.variant) == ("interleaved", "r1", None)
    assert (decision.served_variant, decision.split_bucket, decision.error) == ("control", None, None)
    assert (variant_of(decision), reason_of(decision)) == ("control", "STATIC")
    assert metadata_of(decision)["requestId"] == "r1"
    row = logged(DUEL, {"request_id": "r1"})
    assert row["request_id"] == "r1"
    assert {"traffic_bucket", "layer_bucket"} <= set(row)
    assert "variant" not in row
    assert [step.name for step in explain(DUEL, "rec.homepage", {"request_id": "r1"}, NOW).steps][-1] == "draft"
    assert ask(DUEL, {"targetingKey": "u1"}).error == "TARGETING_KEY_MISSING"
    with pytest.raises(UsageError, match="draft of an interleaving"):
        assign_units(DUEL.plans["home"], NOW)


def test_in_ones_own_process_a_flag_of_an_interleaving_is_control_and_no_exposure() -> None:
    log = MemorySpool()
    context = {"request_id": "r1"}
    decision = ask(DUEL, context)
    served, exposure_id = Recorder(log).recorded(DUEL, decision, context, NOW)
    assert (variant_of(served), exposure_id, list(log.rows)) == ("control", None, [])
    drafted = {"items": [{"item_id": "a1", "position": 1, "source": "als"}], "fallback": False}
    Recorder(log).rendered(DUEL, decision, context, drafted, NOW)  # whoever drafts logs the teams
    [(_, row)] = log.rows
    assert (row["assignment_reason"], row["items"]) == ("interleaved", drafted["items"])
    assert "served_variant" not in row


def test_nobody_meets_a_prerequisite_in_an_interleaving() -> None:
    needing = experiment(
        key="next", unit_type="request", flag_keys=["rec.next"], modules=["next"], order=2,
        layer={"key": "next", "ranges": [[0, 10_000]]},
        prerequisites=[{"experiment": "home", "variants": ["control", "als"]}],
    )  # fmt: skip
    both = bundle(duel(), needing, layers=[layer("homepage", "request"), layer("next", "request")])
    decision = evaluate(compile_bundle(both), "rec.next", {"request_id": "r1"}, NOW)
    assert decision.assignment_reason == "not_targeted"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"unit_type": "request"}, "unit_mismatch_design"),
        ({"switchback": None}, "switchback"),
        ({"design": "ab"}, "switchback"),
        ({"switchback": {**WINDOWS, "window_minutes": 250}}, "window_length"),
        ({"switchback": {**WINDOWS, "burn_in_minutes": 240}}, "window_length"),
        ({"switchback": {**WINDOWS, "colour": 1}}, "unknown_field"),
        ({"design": "carousel"}, "unknown_value"),
    ],
)
def test_a_malformed_design_keeps_the_whole_bundle_out(changed: Document, code: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        of_cells(cells(**changed))
    assert code in {problem.code for problem in refused.value.problems}


def test_two_clocks_on_one_layer_and_three_teams_are_refused() -> None:
    one = cells(key="one", layer={"key": "homepage", "ranges": [[0, 5_000]]})
    two = cells(
        key="two", layer={"key": "homepage", "ranges": [[5_000, 10_000]]}, switchback={**WINDOWS, "cluster": "zone"}
    )
    with pytest.raises(DefinitionError, match="switchback_mismatch"):
        of_cells(one, two)
    of_cells(one, {**two, "state": "stopped"})
    with pytest.raises(DefinitionError, match="too_many_variants"):
        of_requests(duel(variants=[arm("control", 0, 1), arm("a1", 1, 2), arm("b1", 2, 10_000)]))


RANKING = st.lists(st.sampled_from([f"i{number}" for number in range(12)]), max_size=10)  # repeats are allowed


@given(RANKING, RANKING, st.integers(0, 12), st.integers(0, 10**6))
def test_the_laws_of_a_team_draft(one: list[str], other: list[str], length: int, request: int) -> None:
    picks = team_draft(one, other, length=length, salt="duel.1", request_id=f"r{request}")
    items = [pick.item_id for pick in picks]
    assert len(set(items)) == len(items) == min(length, len({*one, *other}))
    for end in range(1, len(picks) + 1):
        shown = [pick.team for pick in picks[:end]]
        ahead = shown.count("A") - shown.count("B")
        left = [item for item in (other if ahead > 0 else one) if item not in items[: end - 1]]
        assert abs(ahead) <= 1 or not left  # only a team whose ranking has ended falls behind
    for team, ranking in (("A", one), ("B", other)):
        own = [pick.item_id for pick in picks if pick.team == team]
        assert own == [item for item in dict.fromkeys(ranking) if item in own]  # in its ranker's order
    assert picks == team_draft(one, other, length=length, salt="duel.1", request_id=f"r{request}")
    prefix = team_draft(one, other, length=max(0, length - 1), salt="duel.1", request_id=f"r{request}")
    assert prefix == picks[: max(0, length - 1)]


@given(RANKING, RANKING, st.integers(0, 10**6))
def test_equal_rankings_are_shown_as_they_are(one: list[str], other: list[str], request: int) -> None:
    picks = team_draft(one, one, length=12, salt="duel.1", request_id=f"r{request}")
    assert [pick.item_id for pick in picks] == list(dict.fromkeys(one))
    alone = team_draft([], other, length=12, salt="duel.1", request_id=f"r{request}")
    assert {pick.team for pick in alone} <= {"B"}


def test_neither_ranker_is_favoured() -> None:
    """Of 4,000 requests each side begins about half, and changing sides changes who is where, not what is fair."""
    one, other = [f"a{n}" for n in range(6)], [f"b{n}" for n in range(6)]
    first = [team_draft(one, other, length=6, salt="duel.1", request_id=f"r{n}")[0].team for n in range(4_000)]
    assert abs(first.count("A") - 2_000) < 4 * 1_000**0.5
    for n in range(50):
        ahead = team_draft(one, other, length=6, salt="duel.1", request_id=f"r{n}")
        swapped = team_draft(other, one, length=6, salt="duel.1", request_id=f"r{n}")
        assert [pick.team for pick in ahead] == [pick.team for pick in swapped]
        assert {pick.item_id[0] for pick in ahead[:2]} == {pick.item_id[0] for pick in swapped[:2]} == {"a", "b"}
