"""A shop whose alerts stand as given: incidents, what was evaluated, and when somebody last looked."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.standing import Case, Standing, Track, to_json
from analysis.alerts.job import stored
from analysis.alerts.model import Cell, Evaluation, Incident, Severity
from experiments.shop import create, open_shop
from experiments.store import Store
from experiments.store.alerts import AlertStanding, AlertStep, AlertUnit
from tests.helpers.incidents import AT, EVERYBODY, TRIAL, evaluation, incident

MONEY = 'schema_version: 1\nloss_budget: "75000"\npages: true\n'
RAN = AT + timedelta(minutes=5)  # when the last run ended


def shop(
    home: Path,
    incidents: Sequence[Incident],
    evaluations: Sequence[Evaluation] = (),
    *,
    silences: tuple[Act, ...] = (),
    money: str = MONEY,
    at: datetime = AT,
    ran: datetime | None = RAN,
    code: int = 0,
    error: str = "",
) -> Path:
    """The folder of a shop with these incidents; made, or filled where it is there already."""
    made = open_shop(home) if (home / "truelift.toml").exists() else create(home)
    made.money_file.write_text(money, encoding="utf-8")
    with Store.open(made.store_url) as store:
        if ran is not None:
            number = store.alerts.begin(ran - timedelta(minutes=1), at)
            store.alerts.end(number, finished_at=ran, code=code, body=f'{{"error": "{error}"}}')
        standing = stands(incidents, silences, at)
        units = [AlertUnit(one.unit.fingerprint, one.unit.at, 0, stored.evaluation_json(one)) for one in evaluations]
        if ran is not None and code == 0:
            store.alerts.commit(AlertStep(units, (), AlertStanding(at, to_json(standing))), expected=None)
    return home


def today(home: Path, now: datetime) -> Path:
    """A shop with one of everything, as if the week were that of `now`; the last run ended 15 minutes before."""
    by = now - RAN - timedelta(minutes=15)
    incidents, evaluations, silences = (moved(part, by) for part in week())
    return shop(home, incidents, evaluations, silences=silences, at=AT + by, ran=RAN + by)


def moved(value: Any, by: timedelta) -> Any:
    """The same with every instant in it that much later."""
    if isinstance(value, datetime):
        return value + by
    if isinstance(value, tuple):
        return tuple(moved(each, by) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: moved(getattr(value, each.name), by) for each in fields(value)})
    return value


def stands(incidents: Sequence[Incident], silences: tuple[Act, ...] = (), at: datetime = AT) -> Standing:
    """The standing of these incidents: each member of one that lasts is followed, so that it goes on."""
    tracks = {}
    for one in incidents:
        if one.state == "resolved":
            continue
        for member in one.members:
            family = "money" if one.family == "money" else "data"
            seen: tuple[Severity, ...] = (member.severity,) * (1 if one.state == "pending" else 3)
            tracks[f"{family}:{member.unit.fingerprint}"] = Track(
                "money" if family == "money" else "data", member, seen,
                "digest" if one.state == "pending" else member.severity, at - timedelta(hours=5), one.incident_id,
            )  # fmt: skip
    cases = {
        one.incident_id: Case(
            one, transitions=1, told=one.severity, told_at=at, summed_until=at,
            resolved_at=at if one.state == "resolved" else None,
        )
        for one in incidents
    }  # fmt: skip
    return Standing(at=at, tracks=tracks, cases=cases, silences=silences)


def week() -> tuple[tuple[Incident, ...], tuple[Evaluation, ...], tuple[Act, ...]]:
    """One of everything: open, of failing signals, watched, silenced and resolved; and cells that were not told."""
    home = evaluation(Cell("homepage", "decor"), expected=48_123_00.0)
    home = replace(home, unit=replace(home.unit, metric="add_to_cart"))
    mail = evaluation(Cell("email", "bedding"), severity="ticket", expected=2_520_00.0, at_least=0.0)
    cart = evaluation(Cell("cart"), severity="watch", expected=310_00.0, at_least=0.0, comparison=TRIAL)
    blind = evaluation(Cell("pdp"), severity="ticket", held_by=("SH-02",), comparison=EVERYBODY, metric="add_to_cart")
    silence = Act("silence", "ann", AT, "the campaign is over", "5" * 12, expires_at=AT + timedelta(days=3))
    others = Act("silence", "bob", AT, "stock count", matcher=Matcher("checkout"), expires_at=AT + timedelta(days=1))
    small = evaluation(Cell("pdp", "rugs"), severity="digest", expected=0.9, at_least=0.0, relative=-0.05)
    small = replace(
        small, by_money="digest", stake=replace(small.stake, sessions=1500.0, revenue_per_session=160.0),
        effects={"7d": replace(small.effects["7d"], se=0.137)}, now=replace(cart.now, point=42_00.0, burn=0.0008)
        if cart.now else None,
    )  # fmt: skip
    listed = (
        incident("1" * 12, members=(home,)),
        incident("2" * 12, module="pdp", family="data", severity="ticket", expected=0.0, at_least=0.0, lost=0.0,
                 members=(blind,), window="none", hints=("Failing there: SH-02.",)),
        incident("4" * 12, module="cart", severity="watch", expected=310_00.0, at_least=0.0, lost=600_00.0,
                 members=(cart,), window="none", hints=()),
        incident("5" * 12, module="email", severity="ticket", expected=2_520_00.0, at_least=0.0, lost=4_000_00.0,
                 members=(mail,), silenced_until=silence.expires_at, silenced_by="ann", hints=()),
        incident("6" * 12, module="search", state="resolved", members=(), expected=0.0, hints=()),
        incident("7" * 12, module="cart", state="resolved", members=(), expected=0.0, hints=(), lost=90_00.0,
                 resolution="expected_change"),
    )  # fmt: skip
    return listed, (home, mail, cart, blind, small), (silence, others)
