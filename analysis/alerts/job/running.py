"""A run for a shop as it stands: its settings, its channels, its store; and the ping that says that it was well.

The composition of `alerts run` and of the alerts' stage of a tick.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from analysis.alerts.job.gather import Gathered
from analysis.alerts.job.report import RunReport, is_about_now
from analysis.alerts.job.run import Clock, Plan, run
from analysis.alerts.job.signals import check_names
from analysis.alerts.model import Incident, Notice
from analysis.alerts.notices.delivery import Render, Say
from analysis.alerts.notices.notify import channels
from analysis.alerts.notices.payload import alert_v1
from experiments.errors import DefinitionError, Problem, TrueliftError, UsageError
from experiments.money import Money, load_money
from experiments.placement import HOLDOUT_PREFIX
from experiments.shop import Shop
from experiments.store import Store

PING_SECONDS = 10.0
AHEAD = timedelta(minutes=1)  # that two clocks may differ by


def once(
    shop: Shop, *, as_of: datetime, clock: Clock, say: Say = lambda _: None, exit_on_alert: bool = False
) -> RunReport:
    """Evaluate what is due at `as_of` (aware), and tell it. Errors of ours are in the report, with their exit code."""

    def prepare() -> Plan:
        if as_of > clock() + AHEAD:
            raise UsageError(f"--as-of {as_of:%Y-%m-%d %H:%M} UTC lies in the future; leave it out for now")
        money, found = settings(shop), channels(shop)
        if not found:
            say("nobody is told: no channel is written down in notify.yml")
        source = Gathered(shop, store, money, as_of=as_of, say=say)
        return Plan(source, money.every_minutes, found, rendered(shop, store, money))

    try:
        with Store.open(shop.store_url) as store:
            report = run(store, prepare, as_of=as_of, clock=clock, say=say, exit_on_alert=exit_on_alert)
    except TrueliftError as error:  # the store itself: no heartbeat can be left
        return RunReport(error.exit_code, as_of, error=str(error))
    if report.is_good:
        money = load_money(shop)
        if is_about_now(as_of, clock(), minutes=money.every_minutes):
            ping(money.ping_url, say)
    return report


def settings(shop: Shop) -> Money:
    """The money settings, by which a loss is large or small. DefinitionError without a loss budget."""
    money = load_money(shop)
    if money.loss_budget is None:
        step = 'write what may be lost to regressions in 30 days, as loss_budget: "75000"'
        message = "is not set, so no loss is large or small"
        raise DefinitionError(
            str(shop.money_file), [Problem("no_budget", "loss_budget", None, message, next_step=step)]
        )
    return money


def rendered(shop: Shop, store: Store, money: Money) -> Render:
    """How a notice is written for this shop; the names of checks are read with the first."""
    names: dict[str, str] = {}

    def render(notice: Notice) -> Mapping[str, Any]:
        if notice.incident.held or notice.incident.family == "data":
            names.update(names or check_names(store))
        kept = store.alerts.standing()
        return alert_v1(
            notice, names=names, currency=shop.settings.currency, digits=shop.settings.digits,
            links={} if money.app_url is None else links(money.app_url, notice.incident),
            snapshot=None if kept is None else kept.seen,
        )  # fmt: skip

    return render


def links(app_url: str, incident: Incident) -> Mapping[str, str]:
    """Where an incident stands in the app, and the readout of what its first cell compares."""
    app, found = app_url.rstrip("/"), {"inbox": f"alerts?incident={incident.incident_id}"}
    compared = incident.members[0].unit.comparison if incident.members else None
    if compared is not None and compared.kind != "forecast":
        prefix = HOLDOUT_PREFIX if compared.kind == "launch" else ""
        found["readout"] = f"readout?experiment={prefix}{compared.key}"
    return {name: f"{app}/{page}" for name, page in found.items()}


def ping(url: str | None, say: Say) -> None:
    """Tell a dead man's switch that the alerts are at work; that it does not hear changes nothing here."""
    if url is None:
        return
    try:
        answer = httpx.get(url, timeout=PING_SECONDS)
        said = "" if answer.is_success else f"answered {answer.status_code}"
    except Exception as error:  # a name that cannot be encoded is no httpx error
        said = f"{type(error).__name__}: {error}"
    if said:
        say(" ".join(filter(None, ["ping_url:", _host(url), said])))


def _host(url: str) -> str:
    """All of the address that may be printed."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
