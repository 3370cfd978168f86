"""Events over HTTP: the contract decides, what is accepted is kept, and nothing else is."""

import errno
import json
from typing import cast

import httpx
import pytest

from assignment.event_log import MemorySpool
from experiments.contracts import CONTRACTS, reasons
from tests.helpers.serving import BOSS, SHOP, Served, listening

OUTCOME = {
    "event_id": "o1", "event_ts": "2026-12-10T12:00:00Z", "unit_type": "user", "unit_id": "u1",
    "event_name": "purchase", "order_id": "b1", "value": 3120,
}  # fmt: skip
EXPOSURE = {
    "event_id": "e1", "event_ts": "2026-12-10T12:00:00Z", "unit_type": "user", "unit_id": "u1", "module": "homepage",
    "assignment_reason": "split", "experiment_key": "home", "phase": 1, "variant": "als",
}  # fmt: skip
RENDERED = {"exposure_id": "x1", "flag_key": "rec.homepage", "context": {"targetingKey": "u1"}}
Statuses = list[dict[str, object]]


def post(client: httpx.Client, kind: str, items: object) -> Statuses:
    response = client.post(f"/v1/{kind}", json=items, headers=SHOP)
    assert response.status_code == 202, response.text
    return cast("Statuses", response.json()["events"])


def test_what_is_accepted_is_kept_and_what_is_not_is_told() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        wrong = OUTCOME | {"event_id": "o2", "value": -1, "unit_id": "null", "surprise": 1}
        said = post(client, "outcomes", [OUTCOME, wrong, 17, []])
        assert [{name: each[name] for name in each if name != "problems"} for each in said] == [
            {"status": "accepted", "event_id": "o1"},
            {"status": "rejected", "event_id": "o2", "reasons": ["unit_missing", "unknown_field", "value_negative"]},
            {"status": "rejected", "reasons": ["malformed"]},
            {"status": "rejected", "reasons": ["malformed"]},
        ]
        assert post(client, "exposures", [EXPOSURE])[0]["status"] == "accepted"
        assert [(kind, row["event_id"]) for kind, row in served.rows] == [("outcome", "o1"), ("exposure", "e1")]
        assert all(row["received_ts"] == served.now.isoformat() for _, row in served.rows)
        for kind, row in served.rows:
            assert reasons(CONTRACTS[kind], json.dumps(row)) == frozenset()
        page = client.get("/metrics").text
        assert 'truelift_events_total{fate="rejected",kind="outcome"} 3.0' in page
        assert 'truelift_events_total{fate="written",kind="exposure"} 1.0' in page


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"value": 31.2},
            ("value_not_integer", "value", "31.2", "may be a whole number from 0 to 1,000,000,000,000 (minor units)",
             [], "count it in minor units: where these are cents, 31.20 is 3120"),
        ),
        (
            {"event_name": "purchas"},
            ("event_name_unknown", "event_name", "'purchas'",
             "may be view, click, add_to_cart, purchase, refund, cancel, open, unsubscribe", ["purchase"],
             "correct it"),
        ),
        (
            {"curency": "EUR"},
            ("unknown_field", "curency", "'EUR'", "is no field of this contract", ["currency", "query"],
             "correct its name, or leave it out"),
        ),
        (
            {"order_id": None},
            ("order_id_missing", "order_id", "None", "is missing, which a row needs where event_name is purchase; it "
             "may be text of 1 to 256 characters, without control characters and without white space at its ends, and "
             "none of NULL, Null, null, None, none, NaN, nan, undefined, (null), \\N", [], "give order_id"),
        ),
        (
            {"event_ts": "2099-01-01T00:00:00Z"},
            ("event_ts_ahead", "event_ts", "'2099-01-01T00:00:00Z'",
             "may be at most 5 minutes after 2026-12-10T12:00:00+00:00, the clock of the service", [],
             "correct the sender's clock, or send it when it is so"),
        ),
        (
            {"currency": "USD"},
            ("currency_unknown", "currency", "'USD'", "may be EUR only, the shop's", [],
             "convert the amounts before they are sent, or load such rows as a file whose mapping has rates"),
        ),
    ],
)  # fmt: skip
def test_a_problem_says_field_value_what_it_may_be_and_the_next_step(
    changed: dict[str, object], told: tuple[object, ...]
) -> None:
    served = Served(currency="EUR")
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        refused, taken = post(client, "outcomes", [OUTCOME | changed, OUTCOME | {"currency": "EUR"}])
        assert refused["reasons"] == [told[0]]
        names = ("code", "path", "value", "message", "nearest", "nextStep")
        assert refused["problems"] == [dict(zip(names, told, strict=True))]
        assert taken["status"] == "accepted"
        assert len(served.rows) == 1


def test_what_a_page_lacks_is_named_and_not_what_a_whole_row_has(client: httpx.Client) -> None:
    shown = {"flag_key": "rec.homepage", "served_variant": "als", "items": [{"item_id": "i1", "position": 1}]}
    without_context, bare = post(client, "exposures", [shown | {"exposure_id": "x1"}, shown])
    assert [problem["path"] for problem in cast("Statuses", without_context["problems"])] == ["context"]
    assert [problem["path"] for problem in cast("Statuses", bare["problems"])] == ["exposure_id", "context"]
    [half] = post(client, "exposures", [{"event_id": "e1", "module": "homepage"}])
    assert "assignment_reason" in [problem["path"] for problem in cast("Statuses", half["problems"])]


def test_an_exposure_is_not_of_tomorrow_either(client: httpx.Client) -> None:
    tomorrow = {"event_ts": "2026-12-11T12:00:00Z"}
    for refused in post(client, "exposures", [RENDERED | tomorrow, EXPOSURE | tomorrow]):
        assert refused["reasons"] == ["event_ts_ahead"]
    [soon] = post(client, "exposures", [EXPOSURE | {"event_ts": "2026-12-10T12:04:59Z"}])
    assert soon["status"] == "accepted"


def test_a_long_answer_stays_short(client: httpx.Client) -> None:
    """A body of many wrong fields, or of one endless value, is not sent back many times over."""
    many = OUTCOME | {f"field_{number}": 1 for number in range(5_000)}
    [refused] = post(client, "outcomes", [many])
    problems = cast("Statuses", refused["problems"])
    assert (len(problems), problems[-1]["message"]) == (51, "has 4950 problems more")
    response = client.post("/v1/outcomes", json=[OUTCOME | {"properties": "x" * 500_000}], headers=SHOP)
    assert len(response.content) < 1_000


def test_a_row_of_another_contract_is_rejected(client: httpx.Client) -> None:
    assert "schema_version_unknown" in str(post(client, "outcomes", [OUTCOME | {"schema_version": "exposure.v1"}]))
    assert post(client, "outcomes", [OUTCOME | {"schema_version": "outcome.v1"}])[0]["status"] == "accepted"
    assert post(client, "outcomes", [OUTCOME | {"schema_version": None}])[0]["status"] == "accepted"


def test_a_rendered_slot_is_logged_as_it_was_answered() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        body = {"context": RENDERED["context"]}
        answer = client.post("/ofrep/v1/evaluate/flags/rec.homepage", json=body, headers=SHOP).json()
        item = {
            "exposure_id": answer["metadata"]["exposureId"],
            "flag_key": answer["key"],
            "context": {"targetingKey": "u1", "session_id": "s1"},
            "served_variant": answer["variant"],
            "event_ts": "2026-12-10T12:00:01Z",
            "items": [{"item_id": "i1", "position": 1}],
        }
        assert post(client, "exposures", [item]) == [{"status": "accepted", "event_id": item["exposure_id"]}]
        [(_, row)] = served.rows
        assert {name: row[name] for name in ("event_id", "event_ts", "variant", "split_bucket", "trigger")} == {
            "event_id": item["exposure_id"],
            "event_ts": "2026-12-10T12:00:01Z",
            "variant": answer["variant"],
            "split_bucket": answer["metadata"]["splitBucket"],
            "trigger": "render",
        }
        assert (row["items"], row["session_id"]) == (item["items"], "s1")


@pytest.mark.parametrize(
    ("flag", "variant"), [("rec.held", "no_recommendations"), ("rec.empty", "popularity"), ("rec.gone", "control")]
)
def test_what_the_flag_answered_is_taken_as_what_was_served(flag: str, variant: str) -> None:
    """Of a unit that is held out, and of a slot without an experiment, it is the strategy's name."""
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        body = {"context": RENDERED["context"]}
        answer = client.post(f"/ofrep/v1/evaluate/flags/{flag}", json=body, headers=SHOP).json()
        assert answer["variant"] == variant
        item = RENDERED | {"flag_key": flag, "served_variant": answer["variant"]}
        assert post(client, "exposures", [item]) == [{"status": "accepted", "event_id": "x1"}]
        [(_, row)] = served.rows
        assert row.get("served_variant") == (variant if variant == "control" else None)
        [refused] = post(client, "exposures", [item | {"served_variant": "als"}])
        assert f"'als' was shown, '{variant}' is served now" in str(refused["reasons"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"flag_key": "nope"}, "FLAG_NOT_FOUND"),
        ({"context": {}}, "TARGETING_KEY_MISSING"),
        ({"context": {"targetingKey": 5}}, "INVALID_CONTEXT"),
        ({"context": 5}, "rendered_malformed: give exposure_id"),
        ({"served_variant": "other"}, "served_variant_changed"),
        ({"variant": "als"}, "unknown_field"),
        ({"exposure_id": "null"}, "event_id_missing"),
        ({"event_ts": "yesterday"}, "event_ts_not_time"),
        ({"items": [{"item_id": 5}]}, "items_item_id_not_text"),
    ],
)
def test_a_wrong_rendered_slot_is_rejected(client: httpx.Client, changed: dict[str, object], said: str) -> None:
    [status] = post(client, "exposures", [RENDERED | changed])
    assert status["status"] == "rejected"
    assert said in str(status["reasons"])


def test_a_full_disk_is_a_503_and_sending_again_is_harmless() -> None:
    log = MemorySpool(refuse_with=OSError(errno.ENOSPC, "No space left on device"))
    with listening(Served(log=log).app()) as url, httpx.Client(base_url=url) as client:
        refused = client.post("/v1/outcomes", json=[OUTCOME], headers=SHOP)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        log.refuse_with = None
        assert post(client, "outcomes", [OUTCOME])[0]["status"] == "accepted"


def test_limits_and_scopes(client: httpx.Client) -> None:
    assert client.post("/v1/outcomes", json=[OUTCOME], headers=BOSS).status_code == 403
    assert client.post("/v1/outcomes", json=OUTCOME, headers=SHOP).status_code == 400
    assert client.post("/v1/outcomes", json=[1] * 1_001, headers=SHOP).status_code == 413
    assert post(client, "outcomes", []) == []
    huge = '[{"event_id":"o","properties":{"n":' + "9" * 400 + "}}]"
    response = client.post("/v1/outcomes", content=huge, headers=SHOP)
    assert (response.status_code, response.json()["events"][0]["status"]) == (202, "rejected")
