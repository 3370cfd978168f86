"""`POST /v1/recommendations`: assign, run the served arm's strategy inside its deadline, log, answer.

What a strategy recommends is said by the recommender this is made with. The simplest is lists: the arm's parameter
`items` where it has one, else the list of that name in the shop's `published/lists.json` ({"popularity": ["item-1"]},
read again when it changes); `no_recommendations` recommends nothing. A strategy that fails or is late falls back to
control's, and that to nothing; the exposure says so.
Items that the live catalogue knows to be sold out are passed over, whatever the strategy.
To a request of an interleaving both arms' lists are drafted into one, and each item says whose it is (`source`).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assignment.bundle import Bundle
from assignment.decision import Decision
from assignment.exposures import exposure_row, new_event_id
from assignment.flags import metadata_of, reason_of, variant_of
from assignment.service.answers import answer, decoded, read_body
from assignment.service.auth import Token
from assignment.service.core import Service
from assignment.service.in_stock import Slate, slate
from assignment.service.interleave import STRATEGY, VARIANT, cause_of, interleave, with_request_id
from assignment.service.ofrep import check_targeting_key, control_instead, decide
from experiments.errors import RequestError, SpoolError
from experiments.recommenders.recommended import NoListError, Recommended

MOST_ITEMS = 100
Recommender = Callable[[str, Mapping[str, object], Mapping[str, object]], Sequence[str]]  # strategy, params, context


class RecommendationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body: which slot, for whom, at most how many items."""

    flag_key: str
    context: dict[str, object] = {}
    limit: int = 12


_decoder = msgspec.json.Decoder(RecommendationRequest)


class Lists:
    """Item ids by strategy from a JSON file, which is read again when it is replaced."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at: tuple[int, int] | None = None
        self._lists: Mapping[str, list[str]] = {}

    def __call__(self, strategy: str, params: Mapping[str, object], _: Mapping[str, object]) -> Sequence[str]:
        """The strategy's items. NoListError without a list, OSError and ValueError for a file that cannot be read."""
        if strategy == "no_recommendations":
            return ()
        own = params.get("items")
        if isinstance(own, list) and all(isinstance(item, str) for item in own):
            return own
        found = self._current().get(strategy)
        if found is None:
            raise NoListError(f"{strategy} has no list in {self._file}")
        return found

    def _current(self) -> Mapping[str, list[str]]:
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return {}
        read_at = (stat.st_mtime_ns, stat.st_ino)
        if read_at != self._read_at:
            self._lists = msgspec.json.decode(self._file.read_bytes(), type=dict[str, list[str]])
            self._read_at = read_at
        return self._lists


class Recommend:
    """The endpoint, with the recommender it runs in threads of its own."""

    def __init__(self, recommender: Recommender, threads: int = 4) -> None:
        self._recommender = recommender
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="recommend")

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, service: Service, request: Request, _: Token | None) -> Response:
        """Assign, recommend, log, answer."""
        began = time.perf_counter()
        asked = decoded(_decoder, await read_body(request, service.settings.body_bytes))
        if not 1 <= asked.limit <= MOST_ITEMS:
            raise RequestError(400, "PARSE_ERROR", f"limit {asked.limit}: ask for 1 to {MOST_ITEMS} items")
        check_targeting_key(asked.context)
        bundle, now = service.configuration.bundle, service.now()
        context = with_request_id(bundle, asked.flag_key, asked.context, now)
        decision = decide(service, bundle, asked.flag_key, context, now)
        if not service.journal.healthy:
            decision = control_instead(service, bundle, decision)
        made = await self._made(service, bundle, decision, context, asked.limit)
        exposure_id: str | None = None
        if decision.error is None and decision.unit_id is not None:
            exposure_id = new_event_id(now)
            row = exposure_row(bundle, decision, context, event_id=exposure_id, at=now) | {
                "strategy": made.strategy,
                "trigger": "serve",
                "fallback": made.cause is not None,
                "latency_ms": int((time.perf_counter() - began) * 1000),
                "items": _listed(made),
            }
            if made.cause is not None:
                row["fallback_cause"] = made.cause
                if decision.assignment_reason == "interleaved":
                    row["served_variant"] = decision.served_variant
            if made.version is not None:
                row["strategy_version"] = made.version
            if made.would_differ is not None:
                row["would_differ"] = made.would_differ
            try:
                await service.journal.keep("exposure", [row])
            except SpoolError:
                exposure_id = None
                decision = control_instead(service, bundle, decision)
                made = await self._made(service, bundle, decision, context, asked.limit)
        return answer(_body(decision, made, exposure_id), 200, {"cache-control": "no-store"})

    async def _made(
        self, service: Service, bundle: Bundle, decision: Decision, context: Mapping[str, object], limit: int
    ) -> "_Made":
        """What is shown, and how it came about."""
        stock = service.catalogue.stock
        if decision.assignment_reason != "interleaved":
            strategy, found, cause = await self._items(service, decision, context)
            shown = slate(found, stock, limit)
            if not isinstance(found, Recommended):
                return _Made(strategy, shown, cause)
            return _Made(strategy, shown, cause or found.fallback_cause(shown.items), version=found.version)
        seconds = service.settings.deadline_ms / 1000
        plan = bundle.plans[str(decision.experiment_key)]
        drafted = await interleave(
            lambda strategy, params: self._run(seconds, strategy, params, context), plan, decision, stock, limit
        )
        for cause in drafted.causes:
            service.metrics.fallback(cause)
        first = next(iter(drafted.causes), None)
        return _Made(drafted.strategy, drafted.shown, first, drafted.teams, drafted.would_differ)

    async def _items(
        self, service: Service, decision: Decision, context: Mapping[str, object]
    ) -> tuple[str, Sequence[str], str | None]:
        """The strategy that was run in the end, its items, and why it is not the decision's; None when it is."""
        attempts: list[tuple[str, Mapping[str, object]]] = [(decision.strategy, decision.params)]
        if decision.experiment_key is not None and decision.served_variant is not None:
            control = service.configuration.bundle.plans[decision.experiment_key].control
            if control.key != decision.served_variant:
                attempts.append((control.strategy, control.params))
        cause: str | None = None
        for strategy, params in attempts:
            try:
                items = await self._run(service.settings.deadline_ms / 1000, strategy, params, context)
            except Exception as error:  # whatever a recommender raises, somebody waits for a page
                failed = cause_of(error)
            else:
                return strategy, items, cause
            service.metrics.fallback(failed)
            cause = cause or failed
        return "no_recommendations", (), cause

    async def _run(
        self, seconds: float, strategy: str, params: Mapping[str, object], context: Mapping[str, object]
    ) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, self._recommender, strategy, params, context)
        return await asyncio.wait_for(running, seconds)


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made for one slot: the strategy that was run in the end, and why it is not the decision's."""

    strategy: str
    shown: Slate
    cause: str | None
    teams: tuple[str, ...] = ()  # the arm each item counts for, where two of them drafted the list
    would_differ: bool | None = None
    version: str | None = None  # of the strategy, where it has one


def _body(decision: Decision, made: _Made, exposure_id: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "flag_key": decision.flag_key,
        "variant": VARIANT if made.strategy == STRATEGY else variant_of(decision),
        "strategy": made.strategy,
        "reason": reason_of(decision),
        "items": _listed(made),
        "metadata": metadata_of(decision, exposure_id),
    }
    if made.shown.dropped:
        body["dropped"] = made.shown.dropped
    if made.cause is not None:
        body["fallback_cause"] = made.cause
    return body


def _listed(made: _Made) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = [
        {"item_id": item, "position": place} for place, item in enumerate(made.shown.items, 1)
    ]
    for item, team in zip(listed, made.teams, strict=False):
        item["source"] = team
    return listed
