"""`POST /v1/catalogue`: what changed of items, above all stock and price; served at once, and kept for the warehouse.

An item of the array is a `catalogue.v1` row of what changed: what it leaves out stays. Without valid_from it holds from
now on. The array is judged, logged and made live inside one change of the store, row by row: what is live is in the
log. Where the log refuses a row, it and those after it are neither, and the answer is 503. Sending an array again is
harmless. Of two rows of an item the one with the later valid_from says what is live, whichever came first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from assignment.service.answers import RETRY_SECONDS, answer
from assignment.service.auth import Token
from assignment.service.core import Service
from assignment.service.ingest import read_events
from experiments.contracts import Catalogue, instant, reasons
from experiments.errors import RequestError, SpoolError, StoreError
from experiments.store import LiveItem

AHEAD = timedelta(minutes=5)  # how far a sender's clock may be before the service's
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
        {"status": "rejected", "reasons": [] if isinstance(found, dict) else found, **_named(item)}
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
                statuses[place]["reasons"] = why
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


def _checked(item: object, now: datetime) -> Row | list[str]:
    """The row as it was given, or every reason against it."""
    if not isinstance(item, dict):
        return ["malformed"]
    row = {"valid_from": now.isoformat(), **item}
    try:
        found = set(reasons(Catalogue, msgspec.json.encode(row)))
    except (RecursionError, OverflowError, ValueError):  # a number that no column takes, or endless nesting
        return ["malformed"]
    found |= {
        f"{name}_null: leave out what did not change; a file of whole rows says what became unknown"
        for name in Catalogue.model_fields
        if name != "item_id" and name in item and item[name] is None
    }
    if "valid_to" in item:
        found.add(
            "valid_to_not_live: a row holds until the item's next; send that when it is so, or load rows as a file"
        )
    if not set(item) - _NO_CHANGE:
        found.add("nothing_given: give stock, price or another column that changed")
    if not found and instant(row["valid_from"]) > now + AHEAD:
        ahead = int(AHEAD.total_seconds() / 60)
        found.add(f"valid_from_ahead: more than {ahead} minutes after {now.isoformat()}; send the row when it is so")
    return sorted(found) if found else item


def _now_or_later(before: LiveItem | None, now: datetime) -> datetime:
    """Now, but after every row of the item that came before."""
    return now if before is None else max(now, before.valid_from + _TICK)


def _contradictions(before: LiveItem, row: Mapping[str, object], at: datetime) -> list[str]:
    """Which of two rows of one moment counts nobody could say, so the second is refused where it says otherwise."""
    known = {"stock": (before.stock, before.stock_since), "price": (before.price, before.price_since)}
    return [
        f"valid_from_taken: {name} is {value} from that moment on; give the later row a later valid_from"
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
