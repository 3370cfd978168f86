"""Bodies in and out: JSON with limits, and one shape for every error."""

import re
from collections.abc import Mapping
from reprlib import Repr
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from experiments.errors import (
    ConflictError,
    NotFoundError,
    Problem,
    RequestError,
    SpoolError,
    TransitionError,
    TrueliftError,
    UsageError,
)

Decoded = TypeVar("Decoded")
_encoder = msgspec.json.Encoder()
_shown = Repr()  # a value may be as long as a body
_shown.maxlevel, _shown.maxdict, _shown.maxlist, _shown.maxtuple, _shown.maxstring, _shown.maxother = (
    6, 20, 20, 20, 200, 200
)  # fmt: skip
STATUSES: Mapping[type[TrueliftError], int] = {  # the first that fits
    ConflictError: 409,
    TransitionError: 409,
    NotFoundError: 404,
    UsageError: 422,
    SpoolError: 503,
}
_COMMAND = re.compile(
    r"`truelift (?P<word>register|validate|schedule|start|pause|resume|kill|stop|archive|new-phase)\b(?: (?P<key>\w+))?"
    r"[^`]*`"
)
RETRY_SECONDS = 5  # until a full disk is tried again


class Json(Response):
    """A body that is JSON already; its headers are put down as they go out, lower case and encoded."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        self.raw_headers += ((b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"))


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON; whole floats keep their point. `headers` in lower case."""
    return Json(_encoder.encode(content), status, headers or {})


def refusal(error: RequestError, key: str | None = None) -> Response:
    """The body every client gets when something cannot be done: errorCode, errorDetails, and the flag's key."""
    content: dict[str, object] = {"errorCode": error.code, "errorDetails": as_asked(str(error))}
    if key is not None:
        content["key"] = key
    if error.problems:
        content["problems"] = [told_problem(problem) for problem in error.problems]
    headers = {"cache-control": "no-store"}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return answer(content, error.status, headers)


def as_asked(text: str) -> str:
    """A text with the commands in it that have a path here as requests: who asks over HTTP has no command line."""

    def request(found: re.Match[str]) -> str:
        word, key = found["word"], found["key"]
        if word in ("register", "validate"):
            return "`POST /v1/experiments`" if word == "register" else "`POST /v1/validate`"
        return f"`POST /v1/experiments/{key if key and key != 'FILE' else '{key}'}/{word}`"

    return _COMMAND.sub(request, text)


def told_problem(problem: Problem) -> dict[str, object]:
    """A problem, or a warning, as a client reads it."""
    return {
        "code": problem.code,
        "path": problem.path,
        "message": as_asked(problem.message),
        "value": _shown.repr(problem.value),
        "nearest": list(problem.nearest),
        "nextStep": as_asked(problem.next_step),
    }


def as_request_error(error: TrueliftError) -> RequestError:
    """Any error of ours as an HTTP status: 409 conflicts, 404, 422 what cannot be used, 503 a full disk, else 500."""
    if isinstance(error, RequestError):
        return error
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)
    retry_after = RETRY_SECONDS if status == 503 else None
    problems = getattr(error, "problems", ())
    return RequestError(status, "GENERAL", str(error), retry_after=retry_after, problems=problems)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. RequestError 413 for more than `limit` bytes, read or announced."""
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_long(limit)
    body = b""
    while True:  # request.body() has no limit
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > limit:
            raise _too_long(limit)
        if not message.get("more_body", False):
            return body


def decoded(decoder: msgspec.json.Decoder[Decoded], body: bytes) -> Decoded:
    """The body as JSON. RequestError 400: PARSE_ERROR for what is no JSON, INVALID_CONTEXT for a wrong context."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        code = "INVALID_CONTEXT" if "$.context" in str(error) else "PARSE_ERROR"
        raise RequestError(400, code, f"body: {error}") from error
    except RecursionError as error:
        raise RequestError(400, "PARSE_ERROR", "body: nested too deep; flatten it") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise RequestError(400, "PARSE_ERROR", f"body: no JSON in UTF-8 ({error})") from error


def _too_long(limit: int) -> RequestError:
    return RequestError(413, "GENERAL", f"body: longer than {limit:,} bytes; send less, or in parts")
