"""One worker's parts, and how an endpoint is called: token, scope, limits, errors and counts in one place."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from assignment.service.answers import as_request_error, refusal
from assignment.service.auth import Gate, Scope, Token, presented_token
from assignment.service.configuration import Configuration
from assignment.service.journal import Journal
from assignment.service.live import LiveCatalogue
from assignment.service.metrics import Metrics
from assignment.service.settings import ServiceSettings
from experiments.errors import RequestError, TrueliftError

_log = logging.getLogger("truelift.service")


@dataclass(frozen=True, slots=True)
class Service:
    """What every endpoint is given. `now` is the wall clock, with a zone."""

    settings: ServiceSettings
    configuration: Configuration
    journal: Journal
    catalogue: LiveCatalogue
    gate: Gate
    metrics: Metrics
    now: Callable[[], datetime]
    has_items: Callable[[str, Mapping[str, object]], bool] | None = None  # whether a strategy is fitted or has a list
    currency: str | None = None  # the shop's; None where the service knows no shop


def without_items(service: Service) -> list[str]:
    """The strategies that slots, holdouts and live arms name and nothing answers for; none where nobody knows."""
    if service.has_items is None:
        return []
    bundle = service.configuration.bundle
    named: list[tuple[str, Mapping[str, object]]] = [(slot.default_strategy, {}) for slot in bundle.slots.values()]
    named += [(holdout.strategy, {}) for holdout in bundle.holdouts.values()]
    live = [plan for plan in bundle.plans.values() if plan.state in ("running", "paused")]
    asked = [*named, *((arm.strategy, arm.params) for plan in live for arm in plan.arms)]
    return sorted({strategy for strategy, params in asked if not service.has_items(strategy, params)})


Handle = Callable[[Service, Request, Token | None], Awaitable[Response]]  # no token where everybody may ask


class Endpoint:
    """An ASGI application for one path: admits, answers, counts. Whatever goes wrong, the caller gets JSON."""

    def __init__(self, service: Service, name: str, scope: Scope | None, handle: Handle) -> None:
        """`name` is what the counts call it; `scope` None lets everybody in."""
        self._service, self._name, self._scope, self._handle = service, name, scope, handle

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        try:
            response = await self._answer(connection, receive, send)
        except ClientDisconnect:
            return
        await response(connection, receive, send)
        self._service.metrics.request(self._name, response.status_code, time.perf_counter() - began)

    async def _answer(self, connection: Connection, receive: Receive, send: Send) -> Response:
        key = connection["path_params"].get("key")
        try:
            token: Token | None = None
            if self._scope is not None:
                token = self._service.gate.admit(presented_token(connection["headers"]), self._scope)
            return await self._handle(self._service, Request(connection, receive, send), token)
        except ClientDisconnect:
            raise
        except TrueliftError as error:
            refused = as_request_error(error)
            if refused.status == 500:
                _log.exception("%s", self._name)
            return refusal(refused, key)
        except Exception:
            _log.exception("%s", self._name)
            return refusal(RequestError(500, "GENERAL", "the service failed; its log says where"), key)
