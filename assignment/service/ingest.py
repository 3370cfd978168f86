"""Exposures and outcomes over HTTP: checked by the contracts that files are checked by, kept before the answer leaves.

    POST /v1/exposures    whole `exposure.v1` rows, or what a page knows of a slot it rendered (see `Rendered`)
    POST /v1/outcomes     whole `outcome.v1` rows

Both take an array and answer 202 with one status an item. Sending an array again is harmless: an event_id counts once.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assignment.event_log import VERSIONS, Kind
from assignment.exposures import exposure_row
from assignment.flags import variant_of
from assignment.recording import SEEN
from assignment.service.answers import answer, decoded, read_body
from assignment.service.auth import Token
from assignment.service.core import Service
from assignment.service.ofrep import check_targeting_key, decide
from experiments.contracts import CONTRACTS, reasons
from experiments.errors import RequestError

_decoder = msgspec.json.Decoder(list[object])


async def exposures(service: Service, request: Request, _: Token | None) -> Response:
    """Slots that were rendered."""
    return await _ingest(service, request, "exposure")


async def outcomes(service: Service, request: Request, _: Token | None) -> Response:
    """What units did."""
    return await _ingest(service, request, "outcome")


async def read_events(service: Service, request: Request) -> list[object]:
    """The array of a body. RequestError: no array, or longer than the service takes at once."""
    items = decoded(_decoder, await read_body(request, service.settings.body_bytes))
    if len(items) > service.settings.events:
        limit = service.settings.events
        raise RequestError(413, "GENERAL", f"{len(items):,} events: at most {limit:,} at once; send them in parts")
    return items


async def _ingest(service: Service, request: Request, kind: Kind) -> Response:
    items = await read_events(service, request)
    now = service.now()
    statuses: list[dict[str, object]] = []
    rows: list[Mapping[str, object]] = []
    for item in items:
        row, why = _checked(service, item, kind, now)
        if row is None:
            statuses.append({"status": "rejected", "reasons": why, **_named(item)})
        else:
            statuses.append({"status": "accepted", "event_id": row["event_id"]})
            rows.append(row)
    service.metrics.events(kind, "rejected", len(items) - len(rows))
    await service.journal.keep(kind, rows)
    return answer({"events": statuses}, 202, {"cache-control": "no-store"})


def _checked(
    service: Service, item: object, kind: Kind, now: datetime
) -> tuple[Mapping[str, object] | None, list[str]]:
    """The row to keep, or every reason against it."""
    if not isinstance(item, dict):
        return None, ["malformed"]
    row = item
    if kind == "exposure" and "exposure_id" in item:
        try:
            row = _rendered(service, item, now)
        except RequestError as error:
            return None, [f"{error.code}: {error}"]
    row = {"received_ts": now.isoformat(), **row}
    try:
        found = reasons(CONTRACTS[kind], msgspec.json.encode(row))
    except (RecursionError, OverflowError, ValueError):  # a number that no column takes, or endless nesting
        found = frozenset({"malformed"})
    if row.get("schema_version") is None:
        row.pop("schema_version", None)
    elif row["schema_version"] != VERSIONS[kind]:
        found |= {"schema_version_unknown"}
    return (None, sorted(found)) if found else (row, [])


def _rendered(service: Service, item: Mapping[str, object], now: datetime) -> dict[str, object]:
    """The row of a slot that a page rendered: `exposure_id`, `flag_key`, `context`, and what only the page knows.

    The unit is evaluated again, as it stands now: inside a phase nobody changes arm. Where the page also sends the
    variant it got (`served_variant`) and the flag answers another one now, the row is refused rather than logged as
    something else.
    """
    known = {"exposure_id", "flag_key", "context", "served_variant"} | SEEN
    if strange := sorted(set(item) - known):
        raise RequestError(400, "unknown_field", f"{', '.join(strange)}: may be {', '.join(sorted(known))}")
    exposure_id, flag_key, context = item["exposure_id"], item.get("flag_key"), item.get("context")
    if not isinstance(exposure_id, str) or not isinstance(flag_key, str) or not isinstance(context, dict):
        raise RequestError(400, "rendered_malformed", "give exposure_id and flag_key as text and context as an object")
    check_targeting_key(context)
    bundle = service.configuration.bundle
    decision = decide(service, bundle, flag_key, context, now)
    if decision.error is not None or decision.unit_id is None:
        raise RequestError(400, "unit_missing", "nothing was assigned: the context names no unit")
    plan = bundle.plans.get(decision.experiment_key or "")
    if plan is not None and plan.design != "ab":
        said = f"{plan.key} is of design {plan.design}: the service logs it when it answers"
        raise RequestError(400, "logged_when_served", said)
    told = item.get("served_variant")
    if told is not None and told != variant_of(decision):
        said = f"{told!r} was shown, {variant_of(decision)!r} is served now"
        raise RequestError(400, "served_variant_changed", said)
    row = exposure_row(bundle, decision, context, event_id=exposure_id, at=now)
    return row | {name: item[name] for name in SEEN & set(item)}


def _named(item: object) -> dict[str, object]:
    """The event's own id where it has one, to tell which item it was."""
    given = item.get("event_id", item.get("exposure_id")) if isinstance(item, dict) else None
    return {"event_id": given} if isinstance(given, str) else {}
