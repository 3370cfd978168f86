"""Experiments over HTTP: the same functions that the command line calls, and the same refusals.

    GET  /v1/experiments                   every experiment at its newest version             scope read
    GET  /v1/experiments/{key}             one of them, with its definition                   scope read
    POST /v1/experiments                   register {"definition", "reason", "revision"}      scope manage
    POST /v1/validate                      what registering would refuse; changes nothing     scope manage
    POST /v1/experiments/{key}/{action}    one of ACTIONS                                     scope manage

What was registered or validated is answered with `warnings` (a plan too small, others on the same units), which refuse
nothing, and with `notes` on what could not be looked at. Who looks is handed in.

`revision` is the one the caller saw: where there is a newer, nothing changes and the answer is 409 with the newer one.
The audit names the token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, cast, get_args

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from assignment.service.answers import answer, decoded, read_body, told_problem
from assignment.service.auth import Scope, Token
from assignment.service.core import Handle, Service
from experiments import lifecycle
from experiments.errors import ConflictError, DefinitionError, Problem, RequestError, nearest
from experiments.lifecycle.proposals import checked
from experiments.loading import Document, Json
from experiments.shop import Shop
from experiments.spec import Experiment
from experiments.store import DecisionCode, Registered, Store
from experiments.validate import Advice

NO_STORE = {"cache-control": "no-store"}
Answer = dict[str, object]
Advise = Callable[[Experiment], Advice]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of every change; each step takes what it needs."""

    reason: str = ""
    revision: int | None = None
    definition: dict[str, object] | None = None
    keep_salt: bool = False
    decision: str | None = None
    arm: str | None = None
    unit_id: str | None = None
    traffic: str | None = None
    ranges: list[tuple[int, int]] | None = None


class Who(TypedDict):
    """What every change is written into the audit with."""

    actor: str
    reason: str
    now: datetime


class Seen(Who):
    """The same, and the revision it was made from."""

    expected: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One change that somebody makes now."""

    store: Store
    shop: Shop
    key: str
    change: Change
    who: Who
    advise: Advise

    @property
    def seen(self) -> Seen:
        """Who, and from which revision."""
        return {**self.who, "expected": self.change.revision}

    @property
    def document(self) -> Document:
        """The definition of the body. RequestError 422 without one."""
        if self.change.definition is None:
            raise RequestError(422, "GENERAL", "definition is missing: write it as a JSON object")
        return Document(cast("Json", self.change.definition), {})

    @property
    def decision(self) -> DecisionCode | None:
        """What was decided, if it was. RequestError 422 for another word."""
        given, known = self.change.decision, get_args(DecisionCode)
        if given is not None and given not in known:
            raise RequestError(422, "GENERAL", f"decision {given!r} is none of {', '.join(known)}")
        return cast("DecisionCode | None", given)

    def text(self, name: str) -> str:
        """A field that this step cannot do without. RequestError 422 when it is not there."""
        given = getattr(self.change, name)
        if not isinstance(given, str) or not given:
            raise RequestError(422, "GENERAL", f"{name} is missing: this step needs it, as text")
        return given


ACTIONS: Mapping[str, Callable[[Step], object]] = {
    "schedule": lambda step: lifecycle.schedule(step.store, step.key, **step.seen),
    "start": lambda step: lifecycle.start(step.store, step.shop, step.key, **step.seen),
    "pause": lambda step: lifecycle.pause(step.store, step.key, **(step.seen | {"reason": step.text("reason")})),
    "resume": lambda step: lifecycle.resume(step.store, step.key, **step.seen),
    "kill": lambda step: lifecycle.kill(step.store, step.key, **step.who),
    "stop": lambda step: lifecycle.stop(step.store, step.key, step.decision, **step.seen),
    "archive": lambda step: lifecycle.archive(step.store, step.key, **step.seen),
    "disable-arm": lambda step: lifecycle.disable_arm(step.store, step.key, step.text("arm"), **step.seen),
    "enable-arm": lambda step: lifecycle.enable_arm(step.store, step.key, step.text("arm"), **step.seen),
    "raise-traffic": lambda step: lifecycle.raise_traffic(step.store, step.key, step.text("traffic"), **step.seen),
    "add-ranges": lambda step: lifecycle.add_ranges(step.store, step.key, step.change.ranges or (), **step.seen),
    "add-override": lambda step: lifecycle.add_override(
        step.store, step.key, step.text("unit_id"), step.text("arm"), **step.seen
    ),
    "remove-override": lambda step: lifecycle.remove_override(step.store, step.key, step.text("unit_id"), **step.seen),
    "new-phase": lambda step: _new_phase(step),
}
_decoder = msgspec.json.Decoder(Change)
_Act = Callable[[Step], object]


def paths(store: Store, shop: Shop, advise: Advise) -> list[tuple[str, str, Scope | None, Handle]]:
    """What the application serves beside its own paths."""

    async def listed(_: Service, __: Request, ___: Token | None) -> Response:
        known = await run_in_threadpool(store.registered)
        return answer({"experiments": [_told(each) for each in known]}, 200, NO_STORE)

    async def one(_: Service, request: Request, __: Token | None) -> Response:
        known = await run_in_threadpool(store.definition, request.path_params["key"])
        return answer(_whole(known), 200, NO_STORE)

    def changing(choose: Callable[[Request], _Act]) -> Handle:
        async def handle(service: Service, request: Request, token: Token | None) -> Response:
            act = choose(request)
            change = decoded(_decoder, await read_body(request, service.settings.body_bytes))
            who: Who = {
                "actor": "anybody" if token is None else f"token {token.name}",
                "reason": change.reason,
                "now": service.now(),
            }
            step = Step(store, shop, request.path_params.get("key", ""), change, who, advise)
            told = await run_in_threadpool(_done, step, act)
            await run_in_threadpool(service.configuration.refresh)
            return answer(told, 200, NO_STORE)

        return handle

    return [
        ("GET", "/v1/experiments", "read", listed),
        ("POST", "/v1/experiments", "manage", changing(lambda _: _register)),
        ("POST", "/v1/validate", "manage", changing(lambda _: _validate)),
        ("GET", "/v1/experiments/{key}", "read", one),
        ("POST", "/v1/experiments/{key}/{action}", "manage", changing(_action)),
    ]


def _action(request: Request) -> _Act:
    name = request.path_params["action"]
    act = ACTIONS.get(name)
    if act is None:
        near = nearest(name, ACTIONS)
        hint = f" (nearest: {', '.join(near)})" if near else ""
        raise RequestError(404, "GENERAL", f"no step is called {name!r}{hint}; there are {', '.join(ACTIONS)}")
    return act


def _done(step: Step, act: _Act) -> Answer:
    """What became of it. RequestError 409 with the revision there is, where the caller saw another."""
    try:
        made = act(step)
    except ConflictError as error:
        current = step.store.find(step.key or _key(step.change))
        revision = None if current is None else current.revision
        step_ = "look at what changed and send it again with this revision"
        found = Problem("version_conflict", "revision", step.change.revision, f"it is {revision} now", (), step_)
        raise RequestError(409, "GENERAL", str(error), problems=[found]) from error
    if isinstance(made, dict):
        return made
    key = made.key if isinstance(made, Registered) else step.key
    return _whole(step.store.definition(key))


def _register(step: Step) -> object:
    known = lifecycle.propose(step.store, step.shop, step.document, where="definition", **step.seen)
    return _whole(known) | _advised(step, known.experiment)


def _validate(step: Step) -> object:
    now = step.seen["now"]
    experiment, _ = checked(step.store, step.shop, step.document, where="definition", now=now)
    refused = lifecycle.refusals(step.store, step.shop, step.document, experiment, where="definition", now=now)
    if refused:
        raise DefinitionError("definition", refused)
    return {"key": experiment.key, "valid": True} | _advised(step, experiment)


def _advised(step: Step, experiment: Experiment) -> Answer:
    found = step.advise(experiment)
    return {"warnings": [told_problem(each) for each in found.warnings], "notes": list(found.notes)}


def _new_phase(step: Step) -> object:
    if _key(step.change) != step.key:
        raise RequestError(422, "GENERAL", f"the definition's key is {_key(step.change)!r}, not {step.key!r}")
    return lifecycle.propose_phase(
        step.store, step.shop, step.document, where="definition", keep_salt=step.change.keep_salt, **step.seen
    )


def _key(change: Change) -> str:
    return str((change.definition or {}).get("key"))


def _told(known: Registered) -> Answer:
    told: Answer = {
        "key": known.key, "name": known.experiment.name, "state": known.state, "killed": known.killed,
        "version": known.version, "revision": known.revision, "registeredAt": known.registered_at.isoformat(),
    }  # fmt: skip
    return told if known.decision is None else told | {"decision": known.decision.decision}


def _whole(known: Registered) -> Answer:
    return _told(known) | {"definition": known.experiment.model_dump(mode="json", by_alias=True)}
