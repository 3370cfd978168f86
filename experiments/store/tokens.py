"""Tokens in the store: by the sha256 of their secret, never the secret."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from experiments.errors import ConflictError, NotFoundError
from experiments.store import tables
from experiments.store.values import Token


def add(connection: Connection, token: Token) -> None:
    """Insert a token. ConflictError when a valid one has its name."""
    if any(other.name == token.name and other.valid(token.created_at) for other in every(connection)):
        raise ConflictError(f"a valid token is named {token.name} already; revoke it, or choose another name")
    values = {**asdict(token), "scopes": " ".join(token.scopes)}
    connection.execute(insert(tables.tokens).values(**values))


def every(connection: Connection) -> list[Token]:
    """Every token, by creation."""
    c = tables.tokens.c
    rows = connection.execute(select(tables.tokens).order_by(c.created_at, c.token_id)).all()
    return [_token(row) for row in rows]


def one(connection: Connection, token_id: str) -> Token:
    """A token by its id. NotFoundError."""
    row = connection.execute(select(tables.tokens).where(tables.tokens.c.token_id == token_id)).first()
    if row is None:
        raise NotFoundError(f"there is no token {token_id}; `truelift token list` shows them")
    return _token(row)


def revoke(connection: Connection, token_id: str, now: datetime) -> Token:
    """Make it invalid from `now` on."""
    connection.execute(update(tables.tokens).where(tables.tokens.c.token_id == token_id).values(revoked_at=now))
    return one(connection, token_id)


def _token(row: Row[tuple[object, ...]]) -> Token:
    given = row._mapping
    return Token(**{**given, "scopes": tuple(given["scopes"].split())})
