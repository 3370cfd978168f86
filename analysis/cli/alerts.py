"""`truelift alerts`: run them, see what is open, and say what is done about it."""

import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.job import stored
from analysis.alerts.job.doing import current, do, one
from analysis.alerts.job.report import BUSY, ERROR, RunReport
from analysis.alerts.model import Metric, Resolution, Severity
from analysis.alerts.notices import inbox_text
from analysis.alerts.notices.digest import digest as weekly
from analysis.alerts.notices.heartbeat import heartbeat
from analysis.alerts.notices.notify import FILE, channels
from analysis.cli.context import Home, actor, as_typed, instant
from experiments.errors import TrueliftError, UsageError
from experiments.money import known_modules, load_money
from experiments.shop import Shop, open_shop
from experiments.store import Store

Incident = Annotated[str, typer.Argument(metavar="INCIDENT", help="An incident's id, or as much of it as is unique.")]
Reason = Annotated[str, typer.Option(help="Why: kept with your name and the time.")]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="As of this instant (UTC) instead of now.")]

WEEK, INSTANT, AHEAD = timedelta(days=7), timedelta(microseconds=1), timedelta(minutes=1)  # that clocks may differ by
SPAN = re.compile(r"(0*[1-9][0-9]{0,5})[hdw]")
SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": WEEK}

alerts = typer.Typer(
    no_args_is_help=True, help="What loses money now: evaluate it on a timer, see it, and say what is done about it."
)


@alerts.command()
def run(
    as_of: AsOf = None,
    exit_on_alert: Annotated[
        bool, typer.Option("--exit-on-alert", help="End with 10 for an open ticket, 20 a page, 30 one that is held.")
    ] = False,
    home: Home = None,
) -> None:
    """Evaluate every bucket end that is due, and tell what changed. One JSON line on stdout, the rest on stderr.

    Exit 0 evaluated and delivered, also with alerts open · 1 error · 2 configuration · 3 data not ready · 4 a notice
    is undelivered and kept · 5 another run holds the lock · 99 nothing is due.
    """
    from analysis.alerts.job.running import once

    moment = None
    try:
        moment = _now() if as_of is None else instant(as_of)
        report = once(open_shop(home), as_of=moment, clock=_now, say=_log, exit_on_alert=exit_on_alert)
    except TrueliftError as error:
        report = RunReport(error.exit_code, moment, error=str(error))
    except Exception as error:  # no error of ours: the scheduler gets its line all the same
        traceback.print_exc(file=sys.stderr)
        report = RunReport(ERROR, moment, error=f"{type(error).__name__}: {error}")
    if report.error:
        _log(report.error)
    typer.echo(report.line)
    if report.code:
        raise typer.Exit(report.code)


@alerts.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also what is over, of the last five weeks.")] = False,
    home: Home = None,
) -> None:
    """Print the incidents, the gravest first, what they cost, and when somebody looked last."""
    shop, now = open_shop(home), _now()
    with Store.open(shop.store_url) as store:
        standing, last = current(store, now), store.alerts.runs(1, but=(BUSY,))
        waiting = len(store.alerts.outbox("due", "waiting"))
        beat = heartbeat(store, load_money(shop), now=now)
    if beat.line:
        typer.echo(as_typed(f"{beat.line}\n"))
    typer.echo("\n".join(inbox_text.listed(standing, _print(shop), every=every)))
    if last:
        typer.echo(inbox_text.heartbeat(last[0]))
    if waiting:
        said, them = ("1 notice waits", "it") if waiting == 1 else (f"{waiting} notices wait", "them")
        typer.echo(f"{said} in the outbox: the next run sends {them} again.")
    if not channels(shop):
        typer.echo(
            f"Nobody is told of an incident: there is no {shop.home / FILE}; docs/notices.md says what to write."
        )


@alerts.command()
def show(incident: Incident, home: Home = None) -> None:
    """Print one incident: what it was read from, what was told of it, and what people did."""
    from analysis.alerts.job.signals import check_names

    shop, now = open_shop(home), _now()
    with Store.open(shop.store_url) as store:
        found = one(current(store, now), incident)
        sent = [each for each in store.alerts.outbox() if each.incident == found.incident_id]
        done = [each for each in stored.acts(store) if each.incident_id == found.incident_id]
        names = check_names(store)
    typer.echo("\n".join(inbox_text.shown(found, _print(shop, names), sent, done)))


@alerts.command()
def ack(incident: Incident, reason: Reason, home: Home = None) -> None:
    """Say that somebody looks at it: it is not repeated until it gets worse or costs twice as much."""
    _do(home, incident, lambda key, now: Act("ack", actor(), now, reason, key))


@alerts.command()
def silence(
    reason: Reason,
    incident: Annotated[
        str, typer.Argument(metavar="[INCIDENT]", help="An incident; else what the options match.")
    ] = "",
    until: Annotated[str | None, typer.Option(metavar="TIME", help="When it ends (UTC), within 90 days.")] = None,
    lasts: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="How long: 4h, 3d, 2w.")] = None,
    module: Annotated[str, typer.Option(help="Everything on this module.")] = "",
    category: Annotated[str, typer.Option(help="Everything in this page category.")] = "",
    metric: Annotated[Metric | None, typer.Option(help="Only this metric.")] = None,
    at_most: Annotated[Severity | None, typer.Option(help="Only up to this severity: what is graver is told.")] = None,
    home: Home = None,
) -> None:
    """Tell nothing of it until it ends; it goes on being read, and what it loses is summed."""
    if (until is None) == (lasts is None):
        raise UsageError("say when the silence ends: --until TIME, or --for 4h, 3d, 2w")
    matcher = _matcher(module, category, metric, at_most)
    _do(home, incident, lambda key, now: Act(
        "silence", actor(), now, reason, key, matcher, expires_at=_end(now, until, lasts)
    ))  # fmt: skip


@alerts.command()
def unsilence(
    reason: Reason,
    incident: Annotated[
        str, typer.Argument(metavar="[INCIDENT]", help="An incident; else what the options match.")
    ] = "",
    module: Annotated[str, typer.Option(help="As it was silenced.")] = "",
    category: Annotated[str, typer.Option(help="As it was silenced.")] = "",
    metric: Annotated[Metric | None, typer.Option(help="As it was silenced.")] = None,
    at_most: Annotated[Severity | None, typer.Option(help="As it was silenced.")] = None,
    home: Home = None,
) -> None:
    """End the silences of the same incident, or of the same options, before their time."""
    matcher = _matcher(module, category, metric, at_most)
    _do(home, incident, lambda key, now: Act("unsilence", actor(), now, reason, key, matcher))


@alerts.command()
def resolve(
    incident: Incident,
    code: Annotated[Resolution, typer.Option("--as", help="What it was; of what is over already, this only is said.")],
    reason: Reason,
    home: Home = None,
) -> None:
    """Say that it is over and what it was: each rule's precision is counted from that, a changed level is accepted."""
    _do(home, incident, lambda key, now: Act("resolve", actor(), now, reason, key, code=code))


@alerts.command()
def replay(
    drawn: Annotated[int, typer.Option(min=0, help="Quarters drawn from the history's weeks.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing: the same seed draws the same.")] = 1,
    home: Home = None,
) -> None:
    """Play the shop's history under "nothing happened": how many pages a quarter would have been false."""
    import numpy as np

    from analysis.alerts.evidence.replaying import replayed, told
    from analysis.alerts.job.running import settings

    shop = open_shop(home)
    money = settings(shop)
    with Store.open(shop.store_url) as store:
        found = replayed(shop, store, money, at=_now(), drawn=drawn, rng=np.random.default_rng(seed))
    typer.echo(as_typed("\n".join(told(found))))
    if not all(each.allows_pages for each in found):
        raise typer.Exit(1)


@alerts.command()
def digest(
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The end of the week, not before what was read last (default: now)."),
    ] = None,
    home: Home = None,
) -> None:
    """Print the week as text: what is open, over, silenced and watched, and how often each rule was right."""
    shop, now = open_shop(home), _now()
    end = now if until is None else instant(until, "--until")
    printed = _print(shop)
    with Store.open(shop.store_url) as store:
        _is_kept(store, end, now)
        standing, found = current(store, end), stored.newest_evaluations(store)
        beat = heartbeat(store, load_money(shop), now=now)
    told = weekly(
        standing, found, since=end - WEEK, until=end + INSTANT, currency=printed.currency, digits=printed.digits,
        names=printed.names, amiss=beat.line,
    )  # fmt: skip
    typer.echo(as_typed(told), nl=False)


@alerts.command()
def precision(home: Home = None) -> None:
    """Print how often each rule was right, by what people said it was, and which rule should wake nobody any more."""
    with Store.open(open_shop(home).store_url) as store:
        closed = current(store, _now()).closed
    typer.echo("\n".join(inbox_text.precisions(closed)))


def register(app: typer.Typer) -> None:
    """Add `truelift alerts`."""
    app.add_typer(alerts, name="alerts")


def _do(home: Path | None, incident: str, act: Callable[[str, datetime], Act]) -> None:
    shop, now = open_shop(home), _now()
    with Store.open(shop.store_url) as store:
        key = one(current(store, now), incident).incident_id if incident else ""
        asked = act(key, now)
        done = do(store, asked, modules=known_modules(shop) if asked.matcher is not None else ())
    typer.echo(inbox_text.done(done))


def _matcher(module: str, category: str, metric: Metric | None, at_most: Severity | None) -> Matcher | None:
    if not (module or category or metric or at_most):
        return None
    return Matcher(module, category, metric, at_most or "page_fast")


def _end(now: datetime, until: str | None, lasts: str | None) -> datetime:
    """When a silence ends; how long one may last is said by whoever writes it down."""
    if lasts is None:
        return instant(until or "", "--until")
    number, size = SPAN.fullmatch(lasts), SPANS.get(lasts[-1:])
    if number is None or size is None:
        raise UsageError(f"--for {lasts}: not a span; write 4h, 3d or 2w")
    try:
        return now + int(number[1]) * size
    except OverflowError:
        raise UsageError(f"--for {lasts}: beyond the calendar; write 4h, 3d or 2w") from None


def _is_kept(store: Store, end: datetime, now: datetime) -> None:
    """UsageError for a week of which nobody knows how its end stood: only what was read last is kept."""
    kept = store.alerts.standing()
    if end > now + AHEAD:
        raise UsageError(f"--until {end:%Y-%m-%d %H:%M} UTC lies in the future; leave it out for now")
    if kept is not None and end < kept.at:
        read = f"{kept.at:%Y-%m-%dT%H:%M}"
        raise UsageError(
            f"--until {end:%Y-%m-%d %H:%M} UTC lies before {read}, up to which the alerts have read: how it stood "
            f"earlier is not kept; leave it out for now, or give {read} or later"
        )


def _print(shop: Shop, names: dict[str, str] | None = None) -> inbox_text.Print:
    return inbox_text.Print(shop.settings.currency, shop.settings.digits, names or {})


def _now() -> datetime:
    return datetime.now(UTC)


def _log(text: str) -> None:
    typer.echo(as_typed(text), err=True)
