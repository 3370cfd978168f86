"""Live stock and price over HTTP: judged, logged and live together, on every worker, in the warehouse once."""

import errno
import json
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.warehouse.connection import open_memory
from analysis.warehouse.loading.spool import load_spool
from assignment.event_log import MemorySpool, Spool
from assignment.service.catalogue import merged
from assignment.service.live import LiveCatalogue, MemoryItems
from assignment.service.settings import ServiceSettings
from experiments.contracts import Catalogue, reasons
from experiments.errors import StoreError
from experiments.store import LiveItem, Store
from tests.helpers.bundles import NOW
from tests.helpers.loads import EUROS
from tests.helpers.loads import NOW as LOADED_AT
from tests.helpers.serving import BOSS, OTHER, SHOP, Served, listening

Row = dict[str, object]
EARLIER, LATER = (NOW - timedelta(hours=1)).isoformat(), (NOW + timedelta(minutes=1)).isoformat()
FULL = OSError(errno.ENOSPC, "No space left on device")


def post(client: httpx.Client, *items: object) -> list[Row]:
    response = client.post("/v1/catalogue", json=items, headers=SHOP)
    assert response.status_code == 202, response.text
    return cast("list[Row]", response.json()["items"])


def recommend(client: httpx.Client, **more: object) -> Row:
    body = {"flag_key": "rec.homepage", "context": {"targetingKey": "u1"}} | more
    response = client.post("/v1/recommendations", json=body, headers=SHOP)
    assert response.status_code == 200, response.text
    return cast("Row", response.json())


def shown(answer: Row) -> list[str]:
    return [item["item_id"] for item in cast("list[dict[str, str]]", answer["items"])]


def abc(_: str, __: Mapping[str, object], ___: Mapping[str, object]) -> Sequence[str]:
    return ["a", "b", "c", "d"]


def test_a_row_is_logged_as_it_was_said_and_live_at_once() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        given: Row = {"item_id": "sofa", "stock": 3, "valid_from": EARLIER, "category": "living/sofas"}
        assert post(client, given, {"item_id": "sofa", "price": 89_900, "schema_version": "catalogue.v1"}) == [
            {"status": "accepted", "item_id": "sofa", "valid_from": EARLIER},
            {"status": "accepted", "item_id": "sofa", "valid_from": NOW.isoformat()},
        ]
        assert [kind for kind, _ in served.rows] == ["catalogue", "catalogue"]
        assert served.rows[0][1] == given | {"schema_version": "catalogue.v1"}
        for _, row in served.rows:
            assert reasons(Catalogue, json.dumps(row)) == frozenset()
        worker = LiveCatalogue(served.items)
        assert (worker.stock("sofa"), worker.price("sofa"), worker.newest) == (3, 89_900, NOW)
        page = client.get("/metrics").text
        assert 'truelift_events_total{fate="written",kind="catalogue"} 2.0' in page
        assert "truelift_catalogue_items 1.0" in page
        assert "truelift_catalogue_newest_seconds 0.0" in page


def test_the_documented_request_is_accepted() -> None:
    text = (Path(__file__).parents[3] / "docs" / "serving.md").read_text("utf-8")
    found = re.search(r"curl -s localhost:8080(/v1/catalogue) .* -d '(.*?)'", text, re.DOTALL)
    assert found is not None
    with listening(Served().app()) as url:
        answer = httpx.post(url + found[1], content=found[2], headers=SHOP)
    assert (answer.status_code, [item["status"] for item in answer.json()["items"]]) == (202, ["accepted"] * 2)


def test_rows_without_a_time_count_in_the_order_they_came() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        ahead = {"item_id": "a", "stock": 9, "valid_from": LATER}  # the sender's clock is a minute before ours
        said = post(client, ahead, *({"item_id": "a", "stock": stock} for stock in (4, 5, 6)))
        assert [row["status"] for row in said] == ["accepted"] * 4
        times = [str(row["valid_from"]) for row in said]
        assert sorted(set(times)) == times
        assert LiveCatalogue(served.items).stock("a") == 6


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (17, {"malformed"}),
        ({"stock": 1}, {"item_id_missing"}),
        ({"item_id": None, "stock": 1}, {"item_id_missing"}),
        ({"item_id": "a"}, {"nothing_given"}),
        ({"item_id": "a", "valid_from": EARLIER, "schema_version": "catalogue.v1"}, {"nothing_given"}),
        ({"item_id": "a", "stock": None}, {"stock_null"}),
        ({"item_id": "a", "stock": 1, "valid_from": None}, {"valid_from_missing", "valid_from_null"}),
        ({"item_id": "a", "stock": 1, "valid_to": "2026-12-31T00:00:00Z"}, {"valid_to_not_live"}),
        ({"item_id": "a", "stock": 1, "valid_from": "2026-12-10"}, {"valid_from_no_zone"}),
        ({"item_id": "a", "stock": 1, "valid_from": "2026-12-31T00:00:00Z"}, {"valid_from_ahead"}),
        ({"item_id": "a", "stock": 1, "schema_version": "outcome.v1"}, {"schema_version_unknown"}),
        (
            {"item_id": "a", "stock": 1.5, "price": -1, "colour": "red", "brand": None},
            {"stock_not_integer", "price_negative", "unknown_field", "brand_null"},
        ),
    ],
)  # fmt: skip
def test_every_problem_of_an_item_is_named_and_its_neighbours_are_taken(item: object, said: set[str]) -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        refused, taken = post(client, item, {"item_id": "b", "stock": 1})
        assert refused["status"] == "rejected"
        assert {reason.partition(":")[0] for reason in cast("list[str]", refused["reasons"])} == said
        assert {problem["code"] for problem in cast("list[Row]", refused["problems"])} == said
        assert all(problem["path"] and problem["nextStep"] for problem in cast("list[Row]", refused["problems"]))
        assert taken["status"] == "accepted"
        assert [row["item_id"] for _, row in served.rows] == ["b"]
        assert len(LiveCatalogue(served.items)) == 1
        assert 'truelift_events_total{fate="rejected",kind="catalogue"} 1.0' in client.get("/metrics").text


def test_limits_and_scopes() -> None:
    with listening(Served(settings=ServiceSettings(events=2)).app()) as url, httpx.Client(base_url=url) as client:
        item = {"item_id": "a", "stock": 1}
        for headers in (OTHER, BOSS):
            assert client.post("/v1/catalogue", json=[item], headers=headers).status_code == 403
        assert client.post("/v1/catalogue", json=item, headers=SHOP).status_code == 400
        assert client.post("/v1/catalogue", json=[item] * 3, headers=SHOP).status_code == 413
        assert post(client) == []


def test_an_older_row_is_logged_and_overwrites_nothing() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        post(client, {"item_id": "a", "stock": 3, "valid_from": NOW.isoformat()})
        [late] = post(client, {"item_id": "a", "stock": 0, "price": 500, "valid_from": EARLIER})
        assert late == {"status": "accepted", "item_id": "a", "valid_from": EARLIER, "late": ["stock"]}
        worker = LiveCatalogue(served.items)
        assert (worker.stock("a"), worker.price("a")) == (3, 500)  # of the price nothing newer was known
        assert len(served.rows) == 2


def test_a_second_row_of_one_moment_may_add_and_may_not_contradict() -> None:
    served = Served()
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        first: Row = {"item_id": "a", "stock": 3, "valid_from": EARLIER}
        price: Row = {"item_id": "a", "price": 500, "valid_from": EARLIER}
        again = post(client, first, price, first, first | {"stock": 4})
        assert [row["status"] for row in again] == ["accepted", "accepted", "accepted", "rejected"]
        [reason] = cast("list[str]", again[3]["reasons"])
        assert reason.startswith("valid_from_taken: stock is 3")
        worker = LiveCatalogue(served.items)
        assert (worker.stock("a"), worker.price("a"), len(served.rows)) == (3, 500, 3)


ROWS = st.lists(
    st.fixed_dictionaries(
        {"minute": st.integers(0, 6)}, optional={"stock": st.integers(-1, 3), "price": st.integers(0, 3)}
    ),
    max_size=4,
    unique_by=lambda row: row["minute"],
)


@given(ROWS)
def test_rows_say_the_same_in_every_order_and_however_often(rows: list[dict[str, int]]) -> None:
    ends: set[LiveItem | None] = set()
    for order in permutations(rows):
        item: LiveItem | None = None
        for row in [*order, *order[::2]]:
            at = NOW + timedelta(minutes=row["minute"])
            item = merged(item, {"item_id": "a", **{name: row[name] for name in row if name != "minute"}}, at)
        ends.add(item)
    assert len(ends) == 1
    [end] = ends
    for name in ("stock", "price"):
        given = [row[name] for row in sorted(rows, key=lambda row: row["minute"]) if name in row]
        assert (None if end is None else getattr(end, name)) == (given[-1] if given else None)


# --- serving -----------------------------------------------------------------------------------------------------


def test_what_is_sold_out_is_not_recommended_and_the_answer_says_so() -> None:
    served = Served(recommender=abc)
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        before = recommend(client, limit=2)
        assert shown(before) == ["a", "b"]
        assert "dropped" not in before
        post(client, {"item_id": "a", "stock": 0}, {"item_id": "b", "stock": 1}, {"item_id": "z", "stock": 0})
        answer = recommend(client, limit=3)
        assert (shown(answer), answer["dropped"]) == (["b", "c", "d"], {"out_of_stock": 1})
        assert [row["items"] for kind, row in served.rows if kind == "exposure"][-1] == answer["items"]
        post(client, *({"item_id": item, "stock": -1} for item in "bcd"))
        assert (shown(recommend(client)), recommend(client)["dropped"]) == ([], {"out_of_stock": 4})
        post(client, {"item_id": "d", "stock": 7})
        assert shown(recommend(client)) == ["d"]


def test_two_workers_and_a_restart_share_what_was_posted(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'registry.sqlite'}"

        def worker() -> httpx.Client:
            store = stack.enter_context(Store.open(url))
            served = Served(items=store, recommender=abc, settings=ServiceSettings(poll_seconds=0.05))
            return stack.enter_context(httpx.Client(base_url=stack.enter_context(listening(served.app()))))

        one, two = worker(), worker()
        post(one, {"item_id": "a", "stock": 0})
        assert shown(recommend(one)) == ["b", "c", "d"]
        deadline = time.monotonic() + 5
        while shown(recommend(two)) != ["b", "c", "d"]:
            assert time.monotonic() < deadline, "the other worker never saw it"
            time.sleep(0.02)
        [late] = post(two, {"item_id": "a", "stock": 8, "valid_from": EARLIER})
        assert late["late"] == ["stock"]  # the first worker's row is newer
        post(two, {"item_id": "a", "stock": 8}, {"item_id": "b", "stock": 0})
        assert shown(recommend(worker())) == ["a", "c", "d"]


# --- when something fails ----------------------------------------------------------------------------------------


class HalfFull(MemorySpool):
    """Takes `room` rows and no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def append(self, kind: object, row: Mapping[str, object]) -> None:
        if len(self.rows) >= self.room:
            self.refuse_with = FULL
        super().append(kind, row)  # type: ignore[arg-type]


def test_what_a_full_disk_refuses_is_not_live_and_what_it_took_is() -> None:
    log = HalfFull(2)
    served = Served(log=log)
    rows = [{"item_id": item, "stock": 0} for item in "abc"]
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        refused = client.post("/v1/catalogue", json=[*rows, 17, *rows[:1]], headers=SHOP)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "not kept" in refused.json()["errorDetails"]
        logged = {row["item_id"] for _, row in served.rows}
        worker = LiveCatalogue(served.items)
        assert logged == {item for item in "abc" if worker.stock(item) == 0} == {"a", "b"}
        page = client.get("/metrics").text
        assert 'truelift_events_total{fate="not_kept",kind="catalogue"} 2.0' in page
        assert 'truelift_events_total{fate="written",kind="catalogue"} 2.0' in page
        log.room, log.refuse_with = 99, None
        assert {row["status"] for row in post(client, *rows)} == {"accepted"}
        assert LiveCatalogue(served.items).stock("c") == 0


@pytest.mark.parametrize("always", [False, True])
def test_a_disk_that_fills_up_and_recovers_under_store_and_spool(tmp_path: Path, *, always: bool) -> None:
    room = 10

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if data.strip():
            room -= 1
        if room < 0:
            raise FULL
        return os.write(descriptor, data)

    spool = Spool(tmp_path / "spool", write=write, background=False, always=always)
    with Store.open(f"sqlite:///{tmp_path / 'registry.sqlite'}") as store:
        served = Served(log=spool, items=store, settings=ServiceSettings(fsync_always=always))
        with listening(served.app()) as url, httpx.Client(base_url=url) as client:
            for start in range(0, 16, 4):
                rows = [{"item_id": f"i{start + place:02d}", "stock": 1} for place in range(4)]
                assert client.post("/v1/catalogue", json=rows, headers=SHOP).status_code == (202 if start < 8 else 503)
            assert client.get("/readyz").status_code == 503
            live = [item.item_id for item in store.live_items()]
            room = 99
            spool.tick()
            assert client.get("/readyz").status_code == 200
            post(client, {"item_id": "i15", "stock": 1})
            live.append("i15")
    lines = [line for path in (tmp_path / "spool").glob("*.ready") for line in path.read_bytes().splitlines()]
    logged = [json.loads(line)["item_id"] for line in lines if line.strip()]
    assert sorted(logged) == live == [f"i{place:02d}" for place in (*range(10), 15)]


class Away(MemoryItems):
    """A store that cannot commit: after the judge was asked, as a full disk would."""

    broken = True

    def change_live_items(self, item_ids: object, judge: object) -> None:
        if not self.broken:
            super().change_live_items(item_ids, judge)  # type: ignore[arg-type]
            return
        list(judge({}))  # type: ignore[operator]
        raise StoreError("the disk is full; make room")


def test_what_the_store_cannot_keep_is_told_and_sent_again() -> None:
    away = Away()
    served = Served(items=away)
    row = {"item_id": "a", "stock": 0, "valid_from": EARLIER}
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        refused = client.post("/v1/catalogue", json=[row], headers=SHOP)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "send the array again" in refused.json()["errorDetails"]
        assert LiveCatalogue(away).stock("a") is None
        away.broken = False
        assert post(client, row)[0]["status"] == "accepted"
        assert LiveCatalogue(away).stock("a") == 0


def test_what_is_live_is_what_the_warehouse_says_of_now(tmp_path: Path) -> None:
    """Rows of a few items and moments in any order, over two workers: both recounts agree on every item's stock."""
    rng = random.Random(8)
    items = MemoryItems()
    workers = [Served(log=Spool(tmp_path / "spool"), items=items) for _ in range(2)]
    names = [f"i{number}" for number in range(12)]
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=stack.enter_context(listening(w.app())))) for w in workers]
        for _ in range(20):
            rows = [
                {"item_id": rng.choice(names), "valid_from": (NOW - timedelta(minutes=rng.randrange(9))).isoformat(),
                 rng.choice(["stock", "price"]): rng.randrange(2)}
                for _ in range(5)
            ]  # fmt: skip
            post(rng.choice(clients), *rows)
        seen = {
            "event_ts": NOW.isoformat(), "unit_type": "user", "unit_id": "u", "module": "pdp",
            "assignment_reason": "none",
        }  # fmt: skip
        events = [seen | {"event_id": name, "items": [{"item_id": name}]} for name in names]
        assert clients[0].post("/v1/exposures", json=events, headers=SHOP).status_code == 202
    live = LiveCatalogue(items)
    connection = open_memory()
    try:
        assert load_spool(connection, tmp_path / "spool", EUROS, now=LOADED_AT).rejected == 0
        query = "select event_id, items_stock_known, items_out_of_stock from exposures"
        found = {name: (known, out) for name, known, out in connection.execute(query).fetchall()}
    finally:
        connection.close()
    assert found == {name: (int(live.stock(name) is not None), int(live.stock(name) == 0)) for name in names}
    assert {out for _, out in found.values()} == {0, 1}


def test_from_the_request_to_the_stock_of_a_later_exposure(tmp_path: Path) -> None:
    """Posted twice, logged by a real spool, loaded: each row once, and stock as of the event."""
    served = Served(log=Spool(tmp_path / "spool"), recommender=abc)
    rows = [{"item_id": "a", "stock": 0, "valid_from": EARLIER}, {"item_id": "b", "stock": 2, "valid_from": EARLIER}]
    with listening(served.app()) as url, httpx.Client(base_url=url) as client:
        post(client, *rows)
        post(client, *rows)
        recommend(client, limit=2)  # b and c: a is sold out
        seen = {
            "event_id": "page", "event_ts": NOW.isoformat(), "unit_type": "user", "unit_id": "u2", "module": "homepage",
            "assignment_reason": "none", "items": [{"item_id": item} for item in "abcd"],
        }  # fmt: skip
        assert client.post("/v1/exposures", json=[seen], headers=SHOP).status_code == 202
    connection = open_memory()
    try:
        report = load_spool(connection, tmp_path / "spool", EUROS, now=LOADED_AT)
        assert (report.rejected, report.duplicates, report.accepted_by_table["catalogue"]) == (0, 2, 2)
        found = connection.execute(
            "select event_id = 'page', items_shown, items_stock_known, items_out_of_stock from exposures order by 1"
        ).fetchall()
        assert found == [(False, 2, 1, 0), (True, 4, 2, 1)]
        assert connection.execute("select item_id, stock from catalogue order by 1").fetchall() == [("a", 0), ("b", 2)]
    finally:
        connection.close()
