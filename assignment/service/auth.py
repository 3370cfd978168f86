"""Who may ask what, and how often: bearer tokens with scopes, known by their sha256 only."""

import hmac
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from experiments.errors import RequestError

Scope = Literal["evaluate", "write_events", "manage", "read"]
Clock = Callable[[], float]  # seconds, never going back


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: never the token itself."""

    name: str
    digest: str  # sha256 of the token in lower-case hex
    scopes: frozenset[str]


def digest_of(token: str) -> str:
    """The sha256 of a token as hex."""
    return sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class _Allowance:
    left: float  # requests
    at: float


@dataclass(slots=True)
class Gate:
    """Lets requests in: 401 without a known token, 403 without the scope, 429 above `rate` a second.

    A token may ask `burst` times at once after a quiet while. `tokens` may be replaced at any time.
    """

    tokens: Iterable[Token]
    rate: float
    burst: float
    clock: Clock
    _allowances: dict[str, _Allowance] = field(default_factory=dict)

    def admit(self, presented: str | None, scope: Scope) -> Token:
        """The token's record. RequestError says why not."""
        token = self._known(presented)
        if scope not in token.scopes:
            allowed = ", ".join(sorted(token.scopes)) or "nothing"
            raise RequestError(403, "GENERAL", f"token {token.name} may {allowed}, not {scope}: use another token")
        self._spend(token.name)
        return token

    def _known(self, presented: str | None) -> Token:
        if presented is None:
            raise RequestError(401, "GENERAL", "no token: send Authorization: Bearer <token>, or X-API-Key: <token>")
        given = sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
        found: Token | None = None
        for token in self.tokens:  # every one, so that the time says nothing
            if hmac.compare_digest(token.digest, given):
                found = token
        if found is None:
            raise RequestError(401, "GENERAL", "unknown token: it was mistyped or revoked; ask for another")
        return found

    def _spend(self, name: str) -> None:
        now = self.clock()
        allowance = self._allowances.get(name)
        if allowance is None:
            allowance = self._allowances[name] = _Allowance(self.burst, now)
        allowance.left = min(self.burst, allowance.left + (now - allowance.at) * self.rate)
        allowance.at = now
        if allowance.left < 1:
            wait = math.ceil((1 - allowance.left) / self.rate)
            raise RequestError(
                429, "GENERAL", f"token {name} asked more than {self.rate:g} times a second: wait {wait} s",
                retry_after=wait,
            )  # fmt: skip
        allowance.left -= 1


def presented_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of a request: `Authorization: Bearer …`, else `X-API-Key`; None without either."""
    key: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                return token.strip().decode("latin-1")
        elif name == b"x-api-key":
            key = value
    return key.decode("latin-1") if key else None
