"""Interleaving over HTTP: two rankers, one list, a team for each item; and what is not counted as a preference."""

import errno
import json
import time
from collections.abc import Mapping, Sequence
from typing import cast

import httpx
import pytest

from assignment.event_log import MemorySpool
from assignment.interleaving import team_draft
from assignment.service.settings import ServiceSettings
from experiments.contracts import Exposure, reasons
from tests.helpers.bundles import arm, bundle, experiment, layer
from tests.helpers.serving import SHOP, Documents, Served, listening

Answer = dict[str, object]
Context = Mapping[str, object]
LISTS = {"control_strategy": ["c1", "both", "c2", "c1", "c3"], "als_strategy": ["a1", "both", "a2"]}
DUEL = experiment(unit_type="request", design="interleaving", trigger="serve")
DUEL_BUNDLE = bundle(DUEL, layers=[layer("homepage", "request")])


def rankers(strategy: str, _: Mapping[str, object], context: Context) -> Sequence[str]:
    mood = context.get(strategy)
    if mood == "slow":
        time.sleep(0.5)
    if mood == "broken":
        raise RuntimeError("no model")
    return [] if mood == "empty" else LISTS[strategy]


def served(**changed: object) -> Served:
    made = bundle({**DUEL, **changed}, layers=[layer("homepage", "request")])
    return Served(Documents(made), recommender=rankers, settings=ServiceSettings(deadline_ms=100))


def ask(url: str, **changed: object) -> Answer:
    body = {"flag_key": "rec.homepage", "context": {"request_id": "r1", "targetingKey": "u1"}} | changed
    response = httpx.post(f"{url}/v1/recommendations", json=body, headers=SHOP)
    assert response.status_code == 200, response.text
    return cast("Answer", response.json())


def row_of(service: Served) -> Mapping[str, object]:
    [(kind, row)] = service.rows
    assert kind == "exposure"
    assert reasons(Exposure, json.dumps(row)) == frozenset()
    return row


@pytest.mark.parametrize("limit", [1, 3, 6, 12])
@pytest.mark.parametrize("request_id", ["r1", "r2", "r3", "r4"])
def test_what_is_shown_is_the_draft_and_each_item_is_logged_with_its_team(request_id: str, limit: int) -> None:
    service = served()
    with listening(service.app()) as url:
        answer = ask(url, limit=limit, context={"request_id": request_id, "user_id": "u1"})
    picks = team_draft(
        LISTS["control_strategy"], LISTS["als_strategy"], length=limit, salt="home.1", request_id=request_id
    )
    wanted = [
        {"item_id": pick.item_id, "position": place, "source": {"A": "control", "B": "als"}[pick.team]}
        for place, pick in enumerate(picks, 1)
    ]
    assert answer["items"] == wanted
    assert (answer["variant"], answer["strategy"]) == ("interleaved", "team_draft")
    row = row_of(service)
    assert row["items"] == wanted
    assert (row["assignment_reason"], row["unit_id"], row["request_id"]) == ("interleaved", request_id, request_id)
    assert (row["fallback"], row["would_differ"], row["strategy"]) == (False, True, "team_draft")
    assert (row["user_id"], row["trigger"]) == ("u1", "serve")
    assert not {"variant", "served_variant", "split_bucket"} & set(row)


@pytest.mark.parametrize(("mood", "cause"), [("slow", "deadline"), ("broken", "RuntimeError")])
def test_a_ranker_that_fails_leaves_controls_list_and_no_preference(mood: str, cause: str) -> None:
    service = served()
    with listening(service.app()) as url:
        answer = ask(url, limit=3, context={"request_id": "r1", "als_strategy": mood})
        assert f'truelift_fallbacks_total{{cause="{cause}"}} 1.0' in httpx.get(f"{url}/metrics").text
    assert [cast("Answer", item)["item_id"] for item in cast("list[object]", answer["items"])] == ["c1", "both", "c2"]
    assert (answer["variant"], answer["strategy"], answer["fallback_cause"]) == ("control", "control_strategy", cause)
    row = row_of(service)
    assert (row["fallback"], row["fallback_cause"], row["served_variant"]) == (True, cause, "control")
    assert all("source" not in item for item in cast("list[Answer]", row["items"]))
    assert "would_differ" not in row


def test_without_controls_list_nothing_is_shown_and_the_log_says_why() -> None:
    service = served()
    with listening(service.app()) as url:
        answer = ask(url, context={"request_id": "r1", "control_strategy": "broken"})
    assert (answer["items"], answer["strategy"], answer["fallback_cause"]) == ([], "no_recommendations", "RuntimeError")
    assert row_of(service)["fallback"] is True


def test_a_disabled_arm_does_not_rank() -> None:
    service = served(variants=[arm("control", 0, 5_000), arm("als", 5_000, 10_000, disabled=True)])
    with listening(service.app()) as url:
        assert ask(url)["fallback_cause"] == "arm_disabled"
    assert row_of(service)["fallback"] is True


@pytest.mark.parametrize(
    ("moods", "shown", "differ"),
    [
        ({"als_strategy": "empty"}, ["c1", "both", "c2", "c3"], True),
        ({"control_strategy": "empty"}, ["a1", "both", "a2"], True),
        ({"control_strategy": "empty", "als_strategy": "empty"}, [], False),
    ],
)
def test_a_list_that_is_empty_or_short_leaves_the_rest_to_the_other(
    moods: Answer, shown: list[str], differ: bool
) -> None:
    service = served()
    with listening(service.app()) as url:
        answer = ask(url, context={"request_id": "r1", **moods})
    assert [cast("Answer", item)["item_id"] for item in cast("list[object]", answer["items"])] == shown
    assert (answer["strategy"], row_of(service)["would_differ"]) == ("team_draft", differ)
    assert len({cast("Answer", item)["source"] for item in cast("list[object]", answer["items"])}) <= 1


def test_an_item_sold_out_in_both_lists_is_dropped_once() -> None:
    service = served()
    with listening(service.app()) as url:
        rows = [{"item_id": item, "stock": 0} for item in ("both", "c1")]
        assert httpx.post(f"{url}/v1/catalogue", json=rows, headers=SHOP).status_code == 202
        assert ask(url)["dropped"] == {"out_of_stock": 2}


def test_without_a_request_id_the_service_makes_one_and_says_it() -> None:
    service = served()
    with listening(service.app()) as url:
        answers = [ask(url, context={"targetingKey": "u1"}) for _ in range(3)]
    made = [cast("Answer", answer["metadata"])["requestId"] for answer in answers]
    assert len(set(made)) == 3
    assert [row["unit_id"] for _, row in service.rows] == made


def test_outside_the_experiment_control_is_recommended_as_ever() -> None:
    service = served(state="paused")
    with listening(service.app()) as url:
        answer = ask(url, limit=2)
    assert (answer["variant"], answer["strategy"]) == ("control", "control_strategy")
    assert row_of(service)["assignment_reason"] == "not_running"


def test_a_full_disk_shows_controls_list_and_logs_nothing() -> None:
    service = served()
    service.log = MemorySpool(refuse_with=OSError(errno.ENOSPC, "full"))
    with listening(service.app()) as url:
        for _ in range(2):  # found out at the first, known at the second
            answer = ask(url, limit=2)
            assert (answer["variant"], answer["reason"]) == ("control", "UNKNOWN")
            assert answer["items"] == [{"item_id": "c1", "position": 1}, {"item_id": "both", "position": 2}]


def test_a_flag_cannot_interleave_so_it_is_control_and_no_exposure() -> None:
    service = served()
    with listening(service.app()) as url:
        asked = {"context": {"targetingKey": "u1"}}
        flag = httpx.post(f"{url}/ofrep/v1/evaluate/flags/rec.homepage", json=asked, headers=SHOP).json()
        assert (flag["value"], flag["variant"], flag["reason"]) == ("control", "control", "STATIC")
        assert flag["metadata"]["assignmentReason"] == "interleaved"
        assert "exposureId" not in flag["metadata"]
        posted = [{"exposure_id": "e1", "flag_key": "rec.homepage", "context": {"request_id": "r1"}}]
        refused = httpx.post(f"{url}/v1/exposures", json=posted, headers=SHOP).json()["events"][0]
        assert refused["status"] == "rejected"
        assert refused["reasons"][0].startswith("logged_when_served: home is of design interleaving")
    assert service.rows == []


def test_a_switchback_is_logged_when_a_flag_is_answered() -> None:
    cells = experiment(
        unit_type="cluster_window", design="switchback", trigger="serve",
        switchback={"cluster": "city", "window_minutes": 240, "burn_in_minutes": 30},
    )  # fmt: skip
    service = Served(Documents(bundle(cells, layers=[layer("homepage", "cluster_window")])), recommender=rankers)
    with listening(service.app()) as url:
        path = f"{url}/ofrep/v1/evaluate/flags/rec.homepage"
        asked = httpx.post(path, json={"context": {"targetingKey": "u1", "city": "berlin"}}, headers=SHOP)
        assert asked.json()["metadata"]["assignmentReason"] == "burn_in"
        missing = httpx.post(path, json={"context": {"targetingKey": "u1"}}, headers=SHOP)
        assert (missing.status_code, missing.json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")
        assert ask(url, context={"city": "berlin", "user_id": "u1"})["reason"] == "SPLIT"
    first, second = (row for _, row in service.rows)
    assert first["unit_id"] == second["unit_id"] == "berlin|2026-12-10T12:00:00Z"
    assert (second["user_id"], second["variant"]) == ("u1", first["variant"])
