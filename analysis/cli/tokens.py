"""`truelift token`: who may ask the service, and what."""

import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, get_args

import typer

from analysis.cli.context import Home, actor
from assignment.service.auth import Scope, digest_of
from experiments.errors import NotFoundError, UsageError, nearest
from experiments.shop import open_shop
from experiments.store import Store
from experiments.store.values import Token

MOST_DAYS = 36_500  # a hundred years
SCOPES: tuple[str, ...] = get_args(Scope)


class Action(StrEnum):
    """What to do with tokens."""

    create = "create"
    list = "list"
    revoke = "revoke"


def token(
    action: Annotated[Action, typer.Argument(help="create, list or revoke.")],
    name: Annotated[str, typer.Argument(help="The token's name; for revoke its name or id.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help=f"What it may: {', '.join(SCOPES)}. Repeat it.")] = None,
    days: Annotated[int | None, typer.Option(help="After how many days it expires (default: never).", min=1)] = None,
    reason: Annotated[str, typer.Option(help="Why: written into the audit.")] = "",
    home: Home = None,
) -> None:
    """Make, list or revoke the tokens of the HTTP service; a secret is shown once and never kept."""
    shop, now = open_shop(home), datetime.now(UTC)
    with Store.open(shop.store_url) as store:
        match action:
            case Action.create:
                _create(store, name, scope or [], days, reason, now)
            case Action.revoke:
                _revoke(store, name, reason, now)
            case Action.list:
                for each in store.tokens():
                    typer.echo(f"{each.token_id}  {each.name}  {', '.join(each.scopes)}  {_said(each, now)}")


def register(app: typer.Typer) -> None:
    """Add `truelift token`."""
    app.command("token")(token)


def _create(store: Store, name: str, scopes: list[str], days: int | None, reason: str, now: datetime) -> None:
    strange = [scope for scope in scopes if scope not in SCOPES]
    if strange:
        near = nearest(strange[0], SCOPES)
        hint = f" (nearest: {near[0]})" if near else ""
        raise UsageError(f"scope {strange[0]!r} is none{hint}; there are {', '.join(SCOPES)}")
    if not name.strip() or len(name) > 64 or not scopes:
        step = "`truelift token create shop --scope evaluate`"
        raise UsageError(f"a token has a name of 1 to 64 characters and at least one scope: {step}")
    if days is not None and days > MOST_DAYS:
        raise UsageError(f"--days {days}: give 1 to {MOST_DAYS:,}, or leave it out for a token that does not expire")
    secret = f"tl_{secrets.token_urlsafe(32)}"
    ends = None if days is None else now + timedelta(days=days)
    made = Token(secrets.token_hex(4), name, digest_of(secret), tuple(dict.fromkeys(scopes)), now, ends, None)
    store.add_token(made, actor=actor(), reason=reason)
    typer.echo(secret)
    typer.echo(
        f"Token {made.token_id} ({name}) may {', '.join(made.scopes)}. Keep it: it is not shown again.", err=True
    )


def _revoke(store: Store, name: str, reason: str, now: datetime) -> None:
    known = [each for each in store.tokens() if each.valid(now)]
    found = [each for each in known if name in (each.name, each.token_id)]
    if not found:
        near = nearest(name, [each.name for each in known])
        hint = f" (nearest: {near[0]})" if near else ""
        raise NotFoundError(f"no valid token is called {name!r}{hint}; `truelift token list` shows them")
    store.revoke_token(found[0].token_id, actor=actor(), reason=reason, now=now)
    typer.echo(f"Token {found[0].token_id} ({found[0].name}) is revoked; services refuse it within seconds.")


def _said(each: Token, now: datetime) -> str:
    if each.revoked_at is not None:
        return f"revoked {each.revoked_at:%Y-%m-%d %H:%M} UTC"
    if each.expires_at is None:
        return "valid"
    return f"{'valid' if each.valid(now) else 'expired'}, until {each.expires_at:%Y-%m-%d %H:%M} UTC"
