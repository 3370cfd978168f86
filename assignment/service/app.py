"""The HTTP service as one ASGI application: routes, error pages, cross-origin rules, and what runs beside them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from assignment.service import catalogue, ingest, inspect, ofrep
from assignment.service.answers import refusal
from assignment.service.auth import Scope as TokenScope
from assignment.service.core import Endpoint, Handle, Service, without_items
from assignment.service.recommend import Recommend, Recommender
from experiments.errors import RequestError

SINGLE = "/ofrep/v1/evaluate/flags/"
_log = logging.getLogger("truelift.service")
Path_ = tuple[str, str, TokenScope | None, Handle]  # method, path, scope, handle


class Front:
    """One flag for a server takes the short way; who sends an origin is a browser and needs the rules for those."""

    def __init__(self, whole: Starlette, single: ASGIApp) -> None:
        self.whole, self._single = whole, single

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if (
            scope["type"] == "http"
            and scope["path"].startswith(SINGLE)
            and scope["method"] == "POST"
            and not scope.get("root_path")
            and b"origin" not in dict(scope["headers"])
        ):
            scope["path_params"] = {"key": scope["path"][len(SINGLE) :]}
            await self._single(scope, receive, send)
        else:
            await self.whole(scope, receive, send)


def application(service: Service, recommender: Recommender, more: Sequence[Path_] = ()) -> Front:
    """The application of one worker; `more` are paths beside the ones every service has."""
    recommend = Recommend(recommender)
    paths: list[Path_] = [
        ("POST", f"{SINGLE}{{key:path}}", "evaluate", ofrep.single),
        ("POST", "/ofrep/v1/evaluate/flags", "evaluate", ofrep.bulk),
        ("POST", "/v1/recommendations", "evaluate", recommend),
        ("POST", "/v1/exposures", "write_events", ingest.exposures),
        ("POST", "/v1/outcomes", "write_events", ingest.outcomes),
        ("POST", "/v1/catalogue", "write_events", catalogue.catalogue),
        ("GET", "/v1/assignments/{unit:path}", "read", inspect.assignments),
        ("GET", "/v1/config", "read", inspect.config),
        *more,
        ("GET", "/metrics", None, inspect.metrics),
        ("GET", "/healthz", None, inspect.healthz),
        ("GET", "/readyz", None, inspect.readyz),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if lacking := without_items(service):
            _log.warning("nothing to recommend for %s: not fitted, and no list in lists.json", ", ".join(lacking))
        polling = asyncio.create_task(_poll(service))
        try:
            yield
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            recommend.close()
            service.journal.close()

    routes = [
        Route(path, Endpoint(service, f"{method} {path}", scope, handle), methods=[method])
        for method, path, scope, handle in paths
    ]
    rules = Middleware(
        CORSMiddleware,
        allow_origins=service.settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["content-type", "if-none-match", "authorization", "x-api-key"],
        expose_headers=["ETag", "Retry-After"],
        max_age=3600,
    )
    whole = Starlette(
        routes=routes,
        middleware=[rules],
        exception_handlers={404: _no_such_path, 405: _wrong_method},
        lifespan=lifespan,
    )
    return Front(whole, single=routes[0].app)


async def _poll(service: Service) -> None:
    """Take over a newer configuration and catalogue, and notice a disk that recovered. Requests go on meanwhile."""
    while True:
        await asyncio.sleep(service.settings.poll_seconds)
        try:
            await run_in_threadpool(service.configuration.refresh)
            service.gate.tokens = service.configuration.tokens
            await run_in_threadpool(service.journal.look)
            await run_in_threadpool(service.catalogue.look)
        except Exception:  # a poll that dies would never reload again
            _log.exception("poll")


async def _no_such_path(request: Request, _: Exception) -> Response:
    return refusal(RequestError(404, "GENERAL", f"no such path: {request.url.path}"))


async def _wrong_method(request: Request, _: Exception) -> Response:
    path = request.scope["path"]
    own = [route for route in request.app.routes if isinstance(route, Route) and route.path_regex.match(path)]
    allowed = ", ".join(sorted({method for route in own for method in route.methods or ()}))
    response = refusal(RequestError(405, "GENERAL", f"{path} takes {allowed}, not {request.method}"))
    response.headers["allow"] = allowed
    return response
