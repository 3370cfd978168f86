"""Tokens, scopes and rates."""

import pytest

from assignment.service.auth import Gate, Token, digest_of, presented_token
from experiments.errors import RequestError

TOKENS = [Token("a", digest_of("secret-a"), frozenset({"read"})), Token("b", digest_of("secret-b"), frozenset())]


def gate(rate: float = 10, burst: float = 2) -> tuple[Gate, list[float]]:
    clock = [0.0]
    return Gate(TOKENS, rate, burst, lambda: clock[0]), clock


@pytest.mark.parametrize(
    ("presented", "status"), [(None, 401), ("", 401), ("secret-c", 401), ("secret-b", 403), ("sécret\udcff", 401)]
)
def test_who_is_not_let_in(presented: str | None, status: int) -> None:
    with pytest.raises(RequestError) as refused:
        gate()[0].admit(presented, "read")
    assert refused.value.status == status


def test_the_digest_is_not_the_token() -> None:
    with pytest.raises(RequestError):
        gate()[0].admit(TOKENS[0].digest, "read")
    assert gate()[0].admit("secret-a", "read").name == "a"


def test_a_token_spends_its_allowance_and_gets_it_back() -> None:
    door, clock = gate(rate=0.25, burst=2)
    door.admit("secret-a", "read")
    door.admit("secret-a", "read")
    with pytest.raises(RequestError) as refused:
        door.admit("secret-a", "read")
    assert (refused.value.status, refused.value.retry_after) == (429, 4)
    clock[0] = 3.9
    with pytest.raises(RequestError) as refused:
        door.admit("secret-a", "read")
    assert refused.value.retry_after == 1
    clock[0] = 4.0
    door.admit("secret-a", "read")
    clock[0] = 1e6
    door.admit("secret-a", "read")
    door.admit("secret-a", "read")
    with pytest.raises(RequestError):  # no more than the burst is saved up
        door.admit("secret-a", "read")


def test_a_revoked_token_is_refused_at_once() -> None:
    door, _ = gate()
    door.admit("secret-a", "read")
    door.tokens = []
    with pytest.raises(RequestError, match="unknown token"):
        door.admit("secret-a", "read")


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ([(b"authorization", b"Bearer x")], "x"),
        ([(b"authorization", b"bearer  x ")], "x"),
        ([(b"authorization", b"Basic x")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"x-api-key", b"y")], "y"),
        ([(b"x-api-key", b"y"), (b"authorization", b"Bearer x")], "x"),
        ([], None),
    ],
)
def test_where_the_token_is_looked_for(headers: list[tuple[bytes, bytes]], token: str | None) -> None:
    assert presented_token(headers) == token
