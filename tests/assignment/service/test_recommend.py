"""Recommendations: the arm's list, control's when it fails or is late, and the exposure that says which."""

import errno
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import httpx
import pytest

from assignment.event_log import MemorySpool
from assignment.service.recommend import Lists
from assignment.service.settings import ServiceSettings
from experiments.contracts import Exposure, reasons
from tests.helpers.bundles import arm, bundle, experiment
from tests.helpers.serving import SHOP, Documents, Served, listening

TREATED = Documents(bundle(experiment(variants=[arm("control", 0, 1), arm("als", 1, 10_000)])))
Answer = dict[str, object]


def ask(url: str, status: int = 200, **changed: object) -> Answer:
    body = {"flag_key": "rec.homepage", "context": {"targetingKey": "u1"}} | changed
    response = httpx.post(f"{url}/v1/recommendations", json=body, headers=SHOP)
    assert response.status_code == status, response.text
    return cast("Answer", response.json())


def strategies(strategy: str, _: Mapping[str, object], context: Mapping[str, object]) -> Sequence[str]:
    if strategy == "als_strategy":
        match context.get("mood"):
            case "slow":
                time.sleep(0.5)
            case "broken":
                raise RuntimeError("no model")
        return [f"a{number}" for number in range(20)]
    return ["c1", "c2"]


def test_the_arms_items_in_order_logged_before_the_answer() -> None:
    served = Served(TREATED, recommender=strategies)
    with listening(served.app()) as url:
        answer = ask(url, limit=3)
        assert (answer["variant"], answer["strategy"]) == ("als", "als_strategy")
        assert answer["items"] == [{"item_id": f"a{place - 1}", "position": place} for place in (1, 2, 3)]
        [(_, row)] = served.rows
        assert row["event_id"] == cast("Answer", answer["metadata"])["exposureId"]
        assert (row["items"], row["fallback"], row["trigger"]) == (answer["items"], False, "serve")
        assert reasons(Exposure, json.dumps(row)) == frozenset()


@pytest.mark.parametrize(("mood", "cause"), [("slow", "deadline"), ("broken", "RuntimeError")])
def test_a_strategy_that_fails_or_is_late_falls_back_to_controls(mood: str, cause: str) -> None:
    served = Served(TREATED, recommender=strategies, settings=ServiceSettings(deadline_ms=50))
    with listening(served.app()) as url:
        answer = ask(url, context={"targetingKey": "u1", "mood": mood})
        assert (answer["strategy"], answer["fallback_cause"]) == ("control_strategy", cause)
        assert [cast("Answer", item)["item_id"] for item in cast("list[object]", answer["items"])] == ["c1", "c2"]
        [(_, row)] = served.rows
        assert (row["variant"], row["fallback"], row["fallback_cause"]) == ("als", True, cause)
        assert reasons(Exposure, json.dumps(row)) == frozenset()
        assert f'truelift_fallbacks_total{{cause="{cause}"}} 1.0' in httpx.get(f"{url}/metrics").text


def test_a_full_disk_recommends_controls_items_and_logs_nothing() -> None:
    log = MemorySpool(refuse_with=OSError(errno.ENOSPC, "full"))
    with listening(Served(TREATED, log=log, recommender=strategies).app()) as url:
        answer = ask(url)
        assert (answer["variant"], answer["strategy"], answer["reason"]) == ("control", "control_strategy", "UNKNOWN")
        log.refuse_with = None
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert ask(url)["variant"] == "als"
        assert len(log.rows) == 1


def test_without_any_list_nothing_is_recommended_and_it_is_logged() -> None:
    served = Served(TREATED)
    with listening(served.app()) as url:
        answer = ask(url)
        assert (answer["items"], answer["fallback_cause"]) == ([], "not_fitted_and_no_list")
        assert served.rows[0][1]["fallback"] is True


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"flag_key": "nope"}, 404),
        ({"context": {}}, 400),
        ({"limit": 0}, 400),
        ({"limit": 101}, 400),
        ({"limit": "3"}, 400),
        ({"surprise": 1}, 400),
    ],
)
def test_what_is_refused(address: str, changed: Answer, status: int) -> None:
    assert ask(address, status, **changed)["errorDetails"]


def test_lists_come_from_the_arm_or_from_a_file_that_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "lists.json"
    lists = Lists(file)
    assert lists("als", {"items": ["x"]}, {}) == ["x"]
    assert list(lists("no_recommendations", {}, {})) == []
    with pytest.raises(LookupError, match=r"als has no list in .*lists\.json"):
        lists("als", {}, {})
    for items in (["i1"], ["i2", "i3"]):
        new = tmp_path / "new.json"
        new.write_text(json.dumps({"als": items}), encoding="utf-8")
        os.replace(new, file)  # noqa: PTH105
        assert lists("als", {}, {}) == items
    file.write_text("[", encoding="utf-8")
    with pytest.raises(ValueError, match="Expected `object`"):
        lists("als", {}, {})
