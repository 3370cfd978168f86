"""What the service can be asked about itself: its configuration, one unit's steps, its health and its counts."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assignment.explanation import explain
from assignment.service.answers import answer
from assignment.service.auth import Token
from assignment.service.core import Service, without_items
from assignment.service.metrics import CONTENT_TYPE
from assignment.service.ofrep import BULK, SINGLE, check_targeting_key, etag_matches
from experiments.errors import RequestError, nearest


async def assignments(service: Service, request: Request, _: Token | None) -> Response:
    """Every step of every flag, or of `?flag_key=…`, for one unit. Other parameters are attributes of the context."""
    bundle = service.configuration.bundle
    asked = dict(request.query_params)
    flag = asked.pop("flag_key", None)
    if flag is not None and flag not in bundle.slots:
        near = nearest(flag, bundle.slots)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise RequestError(404, "FLAG_NOT_FOUND", f"no layer has a slot with flag {flag!r}{hint}")
    context: dict[str, object] = {**asked, "targetingKey": request.path_params["unit"]}
    check_targeting_key(context)
    now = service.now()
    explained = [explain(bundle, key, context, now) for key in (bundle.slots if flag is None else [flag])]
    flags = [{"decision": _known(each.decision), "steps": [_known(step) for step in each.steps]} for each in explained]
    return answer({"unit": context["targetingKey"], "at": now.isoformat(), "flags": flags}, 200, SINGLE)


async def config(service: Service, request: Request, _: Token | None) -> Response:
    """The bundle, for evaluation in the caller's own process."""
    configuration = service.configuration
    headers = {**BULK, "etag": configuration.etag}
    if etag_matches(request.headers.get("if-none-match"), configuration.etag):
        return Response(status_code=304, headers=headers)
    return Response(configuration.document, 200, headers, "application/json")


async def metrics(service: Service, _: Request, __: Token | None) -> Response:
    """For Prometheus."""
    configuration, live = service.configuration, service.catalogue
    age = None if live.newest is None else max(0.0, (service.now() - live.newest).total_seconds())
    version, failures = configuration.bundle.config_version, configuration.failures
    page = service.metrics.page(service.journal.look(), version, failures, len(live), age)
    return Response(page, 200, {"content-type": CONTENT_TYPE})


async def healthz(_: Service, __: Request, ___: Token | None) -> Response:
    """The process answers."""
    return answer({"status": "ok"})


async def readyz(service: Service, _: Request, __: Token | None) -> Response:
    """Whether to send requests here: not while events cannot be kept."""
    stats = service.journal.look()
    ready = stats.healthy and service.journal.healthy
    body: dict[str, object] = {"ready": ready, "configVersion": service.configuration.bundle.config_version}
    if not ready:
        body["reasons"] = [f"events cannot be kept: {stats.error or service.journal.error}"]
    warnings = []
    if service.configuration.error is not None:
        warnings.append(f"the newest configuration is not served: {service.configuration.error}")
    if service.catalogue.error is not None:
        warnings.append(f"stock and price may have changed since: {service.catalogue.error}")
    if lacking := without_items(service):
        warnings.append(f"nothing to recommend for {', '.join(lacking)}: not fitted, and no list in lists.json")
    if warnings:
        body["warnings"] = warnings
    return answer(body, 200 if ready else 503, {"cache-control": "no-store"})


def _known(value: msgspec.Struct) -> dict[str, object]:
    """A struct's fields without those that are None."""
    return {name: each for name, each in msgspec.structs.asdict(value).items() if each is not None}
