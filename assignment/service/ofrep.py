"""The OpenFeature Remote Evaluation Protocol 0.3.0: one flag, or all of them as a prefetch.

    POST /ofrep/v1/evaluate/flags/{key}    one flag; an experiment with `trigger: serve` is logged before the answer
    POST /ofrep/v1/evaluate/flags          every flag, with an ETag; logs nothing

A flag cannot interleave two lists: it is answered with control, and nothing is logged.

With `trigger: render` the single answer carries an exposureId: the page posts it to /v1/exposures when it renders.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assignment.allocation import evaluate, unit_id_error
from assignment.bundle import Bundle
from assignment.decision import Decision
from assignment.explanation import SHOWN, unit_wrong
from assignment.exposures import exposure_row, new_event_id
from assignment.flags import metadata_of, reason_of, value_of, variant_of
from assignment.recording import without_log
from assignment.service.answers import answer, decoded, read_body
from assignment.service.auth import Token
from assignment.service.core import Service
from assignment.service.interleave import with_request_id
from experiments.contracts import NULL_TEXTS
from experiments.errors import RequestError, SpoolError, nearest

Context = Mapping[str, object]
SINGLE = {"cache-control": "no-store"}
BULK = {"cache-control": "private, no-cache"}


class EvaluationRequest(msgspec.Struct, frozen=True):
    """The body of both."""

    context: dict[str, object] = {}


_decoder = msgspec.json.Decoder(EvaluationRequest)


async def single(service: Service, request: Request, _: Token | None) -> Response:
    """One flag."""
    key: str = request.path_params["key"]
    context = await read_context(service, request)
    bundle, now = service.configuration.bundle, service.now()
    context = with_request_id(bundle, key, context, now)
    decision = decide(service, bundle, key, context, now)
    exposure_id: str | None = None
    if decision.error is None and decision.unit_id is not None and decision.assignment_reason != "interleaved":
        exposure_id = new_event_id(now)
        if decision.trigger == "serve":
            row = exposure_row(bundle, decision, context, event_id=exposure_id, at=now)
            exposure_id = None  # nothing is left to post
            try:
                await service.journal.keep("exposure", [row])
            except SpoolError:
                decision = control_instead(service, bundle, decision)
        elif not service.journal.healthy:
            decision, exposure_id = control_instead(service, bundle, decision), None
    return answer(flag_of(decision, exposure_id), 200, SINGLE)


async def bulk(service: Service, request: Request, token: Token | None) -> Response:
    """Every flag. The ETag covers configuration, context, caller and what time made of them."""
    context = await read_context(service, request)
    bundle, now = service.configuration.bundle, service.now()
    flags = []
    for key in bundle.slots:
        try:
            decision = decide(service, bundle, key, context, now)
            if decision.error is None and not service.journal.healthy:
                decision = control_instead(service, bundle, decision)
            flags.append(flag_of(decision))
        except RequestError as error:
            flags.append({"key": key, "errorCode": error.code, "errorDetails": str(error)})
    body = {"flags": flags, "metadata": {"configVersion": bundle.config_version}}
    etag = etag_of(bundle.config_version, context, token, body)
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers={**BULK, "etag": etag})
    return answer(body, 200, {**BULK, "etag": etag})


async def read_context(service: Service, request: Request) -> Context:
    """The context of the body. RequestError for a body that is none, and for a targeting key that cannot be one."""
    body = await read_body(request, service.settings.body_bytes)
    context = decoded(_decoder, body).context
    check_targeting_key(context)
    return context


def check_targeting_key(context: Context) -> None:
    """An empty targetingKey, or one that is no text or stands for none, is an error even where nobody needs it."""
    if "targetingKey" not in context:
        return
    key = context["targetingKey"]
    if key == "":
        raise RequestError(400, "TARGETING_KEY_MISSING", "targetingKey is empty: send the unit's id, or leave it out")
    if not isinstance(key, str):
        raise RequestError(
            400, "INVALID_CONTEXT", f"targetingKey is a {type(key).__name__}, not text: 1, '01' and 1.0 hash apart; "
            "send the id as text",
        )  # fmt: skip
    if key in NULL_TEXTS:
        raise RequestError(400, "INVALID_CONTEXT", f"targetingKey {key!r} stands for no id: leave it out, or send one")
    if not (key.isascii() and key.isprintable() and len(key) <= 256 and key[0] != " " != key[-1]) and unit_id_error(
        key
    ):
        said = "it may be text of 1 to 256 characters, without control characters and without white space around it"
        raise RequestError(
            400, "INVALID_CONTEXT", f"targetingKey {SHOWN.repr(key)}: {said}; send the id as the shop logs it"
        )


def decide(service: Service, bundle: Bundle, key: str, context: Context, now: datetime) -> Decision:
    """An evaluation, counted. RequestError 404 for an unknown flag, 400 where the unit's id is missing or wrong."""
    decision = evaluate(bundle, key, context, now)
    match decision.error:
        case None:
            if decision.unit_id in NULL_TEXTS:
                raise RequestError(400, "INVALID_CONTEXT", unit_wrong(bundle.slots[key], context))
            service.metrics.decision(decision.assignment_reason)
        case "FLAG_NOT_FOUND":
            near = nearest(key, bundle.slots)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise RequestError(404, "FLAG_NOT_FOUND", f"no layer has a slot with flag {key!r}{hint}")
        case "GENERAL":
            service.metrics.control_served("evaluation_error")
        case code:
            raise RequestError(400, code, unit_wrong(bundle.slots[key], context))
    return decision


def control_instead(service: Service, bundle: Bundle, decision: Decision) -> Decision:
    """What is served while events cannot be kept: control where an arm was assigned, else the same. Counted."""
    instead = without_log(bundle, decision)
    if instead is not decision:
        service.metrics.control_served("log_unavailable")
    return instead


def flag_of(decision: Decision, exposure_id: str | None = None) -> dict[str, object]:
    """The answer for one flag."""
    return {
        "key": decision.flag_key,
        "value": value_of(decision),
        "reason": reason_of(decision),
        "variant": variant_of(decision),
        "metadata": metadata_of(decision, exposure_id),
    }


def etag_of(config_version: int, context: Context, token: Token | None, body: object) -> str:
    """A strong tag. RequestError 400 for a context that is nested too deep."""
    scopes = () if token is None else (token.name, *sorted(token.scopes))
    try:
        said = json.dumps([config_version, scopes, context], sort_keys=True)
    except RecursionError as error:
        raise RequestError(400, "PARSE_ERROR", "context: nested too deep; flatten it") from error
    return f'"{sha256(said.encode() + msgspec.json.encode(body)).hexdigest()[:32]}"'


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller has it already: `*`, or a list of tags with it, weak or strong. RFC 9110, 13.1.2."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
