"""`POST /v1/catalogue`: what changed of items, above all stock and price; served at once, and kept for the warehouse.

An item of the array is a `catalogue.v1` row of what changed: what it leaves out stays. Without valid_from it holds from
now on. The array is judged, logged and made live inside one change of the store, row by row: what is live is in the
log. Where the log refuses a row, it and those after it are neither, and the answer is 503. Sending an array again is
harmless. Of two rows of an item the one with the later valid_from says what is live, whichever came first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from assignment.service.answers import RETRY_SECONDS, answer
from assignment.service.auth import Token
from assignment.service.core import Service
from assignment.service.ingest import AHEAD, Refused, judged, read_events
from experiments.contracts import Catalogue, instant
from experiments.errors import Problem, RequestError, SpoolError, StoreError
from experiments.row_problems import ROW, ahead, not_an_object
from experiments.store import LiveItem

STEP_NULL = "a file of whole rows says what became unknown"
_TICK = timedelta(microseconds=1)
_NO_CHANGE = {"item_id", "valid_from", "schema_version"}
Row = dict[str, object]


async def catalogue(service: Service, request: Request, _: Token | None) -> Response:
    """What changed of items."""
    items = await read_events(service, request)
    try:
        statuses = await run_in_threadpool(_take, service, items)
    except StoreError as error:
        said = f"the rows are not live: {error}; send the array again"
        raise RequestError(503, "GENERAL", said, retry_after=RETRY_SECONDS) from error
    return answer({"items": statuses}, 202, {"cache-control": "no-store"})


def _take(service: Service, items: list[object]) -> list[Row]:
    """Log the rows and make them live; one status each. SpoolError, StoreError."""
    now = service.now()
    checked = [_checked(item, now) for item in items]
    rows = {place: found for place, found in enumerate(checked) if isinstance(found, dict)}
    statuses: list[Row] = [
        {"status": "rejected", **(found.told() if isinstance(found, Refused) else {}), **_named(item)}
        for item, found in zip(items, checked, strict=True)
    ]
    not_kept: list[SpoolError] = []

    def judge(known: Mapping[str, LiveItem]) -> Iterable[LiveItem]:
        current, changed = dict(known), set[str]()
        waiting = len(rows)
        for place, given in rows.items():
            item_id = str(given["item_id"])
            before = current.get(item_id)
            at = instant(given["valid_from"]) if "valid_from" in given else _now_or_later(before, now)
            row = {**given, "valid_from": given.get("valid_from", at.isoformat())}
            waiting -= 1
            if before is not None and (why := _contradictions(before, row, at)):
                statuses[place] |= _refused((), why).told()
                continue
            try:
                service.journal.append("catalogue", [row])
            except SpoolError as error:
                not_kept.append(error)
                service.metrics.events("catalogue", "not_kept", waiting)
                break
            current[item_id] = merged(before, row, at)
            changed.add(item_id)
            statuses[place] = {"status": "accepted", "item_id": item_id, "valid_from": row["valid_from"]}
            if late := _late(current[item_id], row, at):
                statuses[place]["late"] = late
        return [current[item_id] for item_id in changed if current[item_id] != known.get(item_id)]

    if rows:
        service.catalogue.change({str(row["item_id"]) for row in rows.values()}, judge)
    service.metrics.events("catalogue", "rejected", sum(bool(each.get("reasons")) for each in statuses))
    if not_kept:
        raise not_kept[0]
    return statuses


def merged(before: LiveItem | None, row: Mapping[str, object], at: datetime) -> LiveItem:
    """What is known of an item once a row that holds from `at` is known, too: in any order of rows the same."""
    item = before or LiveItem(str(row["item_id"]), at)
    stock, price = row.get("stock"), row.get("price")
    if isinstance(stock, int) and (item.stock_since is None or at > item.stock_since):
        item = replace(item, stock=stock, stock_since=at)
    if isinstance(price, int) and (item.price_since is None or at > item.price_since):
        item = replace(item, price=price, price_since=at)
    return replace(item, valid_from=max(item.valid_from, at))


def _checked(item: object, now: datetime) -> Row | Refused:
    """The row as it was given, or everything against it."""
    if not isinstance(item, dict):
        return Refused(("malformed",), (not_an_object(item),))
    row = {"valid_from": now.isoformat(), **item}
    found = judged(Catalogue, row)
    more = [
        Problem(f"{name}_null", name, None, "leave out what did not change", (), STEP_NULL)
        for name in Catalogue.model_fields
        if name != "item_id" and name in item and item[name] is None
    ]
    if "valid_to" in item:
        said = "a row holds until the item's next"
        step = "send that when it is so, or load rows as a file"
        more.append(Problem("valid_to_not_live", "valid_to", item["valid_to"], said, (), step))
    if not set(item) - _NO_CHANGE:
        said = "give stock, price or another column that changed"
        more.append(Problem("nothing_given", ROW, None, said, (), "an item that did not change needs no row"))
    if not found.reasons and not more:
        late = ahead("valid_from", row["valid_from"], instant(row["valid_from"]), now, AHEAD)
        more += [] if late is None else [late]
    return _refused(found.problems, more, found.reasons) if found.reasons or more else item


def _refused(before: Sequence[Problem], more: Sequence[Problem], reasons: Sequence[str] = ()) -> Refused:
    """What the contract said, and our own problems, whose reason says how to mend them."""
    said = [f"{each.code}: {each.message}; {each.next_step}" for each in more]
    return Refused(tuple(sorted({*reasons, *said})), (*before, *more))


def _now_or_later(before: LiveItem | None, now: datetime) -> datetime:
    """Now, but after every row of the item that came before."""
    return now if before is None else max(now, before.valid_from + _TICK)


def _contradictions(before: LiveItem, row: Mapping[str, object], at: datetime) -> list[Problem]:
    """Which of two rows of one moment counts nobody could say, so the second is refused where it says otherwise."""
    known = {"stock": (before.stock, before.stock_since), "price": (before.price, before.price_since)}
    step = "give the later row a later valid_from"
    return [
        Problem("valid_from_taken", "valid_from", row["valid_from"], f"{name} is {value} from that moment on", (), step)
        for name, (value, since) in known.items()
        if name in row and since == at and value != row[name]
    ]


def _late(item: LiveItem, row: Mapping[str, object], at: datetime) -> list[str]:
    """What of the row is not live, because something newer is known: it is only logged."""
    known = {"stock": item.stock_since, "price": item.price_since}
    return [name for name, since in known.items() if name in row and since is not None and since > at]


def _named(item: object) -> Row:
    """The item's id where it has one, to tell which it was."""
    given = item.get("item_id") if isinstance(item, dict) else None
    return {"item_id": given} if isinstance(given, str) else {}
