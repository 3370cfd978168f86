"""Exposures and outcomes over HTTP: checked by the contracts that files are checked by, kept before the answer leaves.

    POST /v1/exposures    whole `exposure.v1` rows, or what a page knows of a slot it rendered (see `Rendered`)
    POST /v1/outcomes     whole `outcome.v1` rows

Both take an array and answer 202 with one status an item, and every problem of a rejected one. Sending an array again
is harmless: an event_id counts once.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assignment.event_log import Kind
from assignment.exposures import exposure_row
from assignment.flags import variant_of
from assignment.recording import SEEN
from assignment.service.answers import answer, decoded, read_body, told_problem
from assignment.service.auth import Token
from assignment.service.core import Service
from assignment.service.ofrep import check_targeting_key, decide
from experiments.contracts import CONTRACTS, CURRENCY_PATTERN, Row, faults, instant
from experiments.errors import Problem, RequestError, nearest
from experiments.row_problems import MOST, ahead, not_an_object, not_encodable, row_problems

AHEAD = timedelta(minutes=5)  # how far a sender's clock may be before the service's
_TAKEN = {"exposure_id", "flag_key", "context", "served_variant"} | SEEN  # of a rendered slot
_WHOLE = {"event_id", "unit_type", "unit_id", "assignment_reason"}  # what only a whole row has
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
        row, refused = _checked(service, item, kind, now)
        if row is None:
            statuses.append({"status": "rejected", **refused.told(), **_named(item)})
        else:
            statuses.append({"status": "accepted", "event_id": row["event_id"]})
            rows.append(row)
    service.metrics.events(kind, "rejected", len(items) - len(rows))
    await service.journal.keep(kind, rows)
    return answer({"events": statuses}, 202, {"cache-control": "no-store"})


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an item is not taken: codes, and each problem with its field, value, what it may be and the next step."""

    reasons: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def told(self) -> dict[str, object]:
        """As an item's answer says it."""
        return {"reasons": list(self.reasons), "problems": [told_problem(each) for each in self.problems]}


def judged(model: type[Row], row: Mapping[str, object], more: Sequence[Problem] = ()) -> Refused:
    """What the contract says of a row, and what else is wrong with it."""
    try:
        found = faults(model, msgspec.json.encode(row))
    except (RecursionError, OverflowError, ValueError):  # a number that no column takes, or endless nesting
        return Refused(("malformed",), (not_encodable(None),))
    codes = {fault.reason for fault in found} | {problem.code for problem in more}
    return Refused(tuple(sorted(codes)), (*row_problems(model, row, found), *more))


def _checked(service: Service, item: object, kind: Kind, now: datetime) -> tuple[Mapping[str, object] | None, Refused]:
    """The row to keep, or everything against it."""
    if not isinstance(item, dict):
        return None, Refused(("malformed",), (not_an_object(item),))
    row = item
    if kind == "exposure" and _is_rendered(item):
        try:
            row = _rendered(service, item, now)
        except RequestError as error:
            place = "flag_key" if error.code == "FLAG_NOT_FOUND" else "context"
            told = error.problems or (Problem(error.code, place, item.get(place), str(error)),)
            return None, Refused((f"{error.code}: {error}",), tuple(told))
    row = {"received_ts": now.isoformat(), **row}
    if row.get("schema_version") is None:
        row.pop("schema_version", None)
    refused = judged(CONTRACTS[kind], row, _beyond(service, row, now))
    return (None, refused) if refused.reasons else (row, refused)


def _beyond(service: Service, row: Mapping[str, object], now: datetime) -> list[Problem]:
    """What no contract sees and a load would: another currency than the shop's, and a time that is still to come."""
    found: list[Problem] = []
    given, own = row.get("currency"), service.currency
    if own is not None and isinstance(given, str) and re.fullmatch(CURRENCY_PATTERN, given) and given != own:
        step = "convert the amounts before they are sent, or load such rows as a file whose mapping has rates"
        found.append(Problem("currency_unknown", "currency", given, f"may be {own} only, the shop's", (), step))
    try:
        late = ahead("event_ts", row.get("event_ts"), instant(row.get("event_ts")), now, AHEAD)
    except ValueError:  # the contract says so
        return found
    return found if late is None else [*found, late]


def _is_rendered(item: Mapping[str, object]) -> bool:
    """Whether it is what a page knows of a slot: a whole row says why the unit met what it met."""
    return "exposure_id" in item or "context" in item or not _WHOLE & set(item)


def _rendered(service: Service, item: Mapping[str, object], now: datetime) -> dict[str, object]:
    """The row of a slot that a page rendered: `exposure_id`, `flag_key`, `context`, and what only the page knows.

    The unit is evaluated again, as it stands now: inside a phase nobody changes arm. Where the page also sends the
    variant it got (`served_variant`) and the flag answers another one now, the row is refused rather than logged as
    something else.
    """
    if strange := sorted(set(item) - _TAKEN):
        said = f"{', '.join(strange[:MOST])}: may be {', '.join(sorted(_TAKEN))}"
        problems = [
            Problem("unknown_field", name, item[name], "is no field of a rendered slot", nearest(name, _TAKEN),
                    f"leave it out; there are {', '.join(sorted(_TAKEN))}")
            for name in strange[:MOST]
        ]  # fmt: skip
        raise RequestError(400, "unknown_field", said, problems=problems)
    exposure_id, flag_key, context = item.get("exposure_id"), item.get("flag_key"), item.get("context")
    if not isinstance(exposure_id, str) or not isinstance(flag_key, str) or not isinstance(context, dict):
        problems = [
            Problem("rendered_malformed", name, item.get(name), f"{'is missing; it ' if name not in item else ''}{may}",
                    (), f"give {name}, or send a whole exposure.v1 row with {', '.join(sorted(_WHOLE))}")
            for name, kind, may in (
                ("exposure_id", str, "may be the exposureId that the evaluation answered, as text"),
                ("flag_key", str, "may be the flag whose slot was rendered, as text"),
                ("context", dict, "may be the object that was evaluated, with the unit's id"),
            )
            if not isinstance(item.get(name), kind)
        ]  # fmt: skip
        said = "give exposure_id and flag_key as text and context as an object"
        raise RequestError(400, "rendered_malformed", said, problems=problems)
    check_targeting_key(context)
    bundle = service.configuration.bundle
    decision = decide(service, bundle, flag_key, context, now)
    if decision.error is not None or decision.unit_id is None:
        raise RequestError(400, "unit_missing", "nothing was assigned: the context names no unit")
    plan = bundle.plans.get(decision.experiment_key or "")
    if plan is not None and plan.design != "ab":
        said = f"{plan.key} is of design {plan.design}: the service logs it when it answers"
        raise RequestError(400, "logged_when_served", said)
    told, answered = item.get("served_variant"), variant_of(decision)
    if told is not None and told != answered:
        said, step = f"{told!r} was shown, {answered!r} is served now", "evaluate the flag again, and show what it says"
        problems = [Problem("served_variant_changed", "served_variant", told, f"may be {answered} now", (), step)]
        raise RequestError(400, "served_variant_changed", said, problems=problems)
    row = exposure_row(bundle, decision, context, event_id=exposure_id, at=now)
    return row | {name: item[name] for name in SEEN & set(item)}


def _named(item: object) -> dict[str, object]:
    """The event's own id where it has one, to tell which item it was."""
    given = item.get("event_id", item.get("exposure_id")) if isinstance(item, dict) else None
    return {"event_id": given} if isinstance(given, str) else {}
