"""What is said about incidents: the sentence under a title, states, hints, and why nobody was told. ALERTS 4, 5.

A loss reads as a size: "looks 5% down", never with a sign. Titles, places and amounts are those of the notices.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from analysis import words
from analysis.alerts.model import SEVERITIES, Cell, Effect, Evaluation, Incident, Severity
from analysis.alerts.weighing.severity import RULES
from analysis.words import notices
from analysis.words.notices import RESOLUTIONS, against, change, loss, moment, money, place

__all__ = ["STATES", "hints", "place", "sentence", "state", "title", "why_not"]

StateName = Literal["pending", "open", "acked", "resolving", "resolved", "held", "silenced", "inhibited", "watch"]
STATES: Mapping[StateName, str] = {
    "pending": "Pending", "open": "Open", "acked": "Acknowledged", "resolving": "Resolving", "resolved": "Resolved",
    "held": "Held", "silenced": "Silenced", "inhibited": "Told elsewhere", "watch": "Watch",
}  # fmt: skip
SPANS = {
    "15m": "15 minutes",
    "1h": "one hour",
    "6h": "six hours",
    "1d": "one day",
    "3d": "three days",
    "7d": "one week",
}
WAKES: Mapping[Severity, str] = {
    "page_fast": "page at once", "page": "page", "ticket": "make a ticket", "watch": "be watched",
    "digest": "be left alone",
}  # fmt: skip
AGAIN = "it waits for a second in a row that agrees"
TWO_SIDED_95 = 1.96  # standard errors


def state(incident: Incident) -> StateName:
    """Where it stands, for a list: what mutes an incident goes before how far it has come."""
    if incident.state in ("pending", "resolved"):
        return incident.state
    if incident.held:
        return "held"
    if incident.silenced_until is not None:
        return "silenced"
    if incident.inhibited_by:
        return "inhibited"
    return "watch" if incident.severity in ("watch", "digest") else incident.state


def title(incident: Incident, *, currency: str, digits: int, names: Mapping[str, str]) -> str:
    """`Homepage is losing about €48k a day (at least €17k)`; `may be losing` while that is pending."""
    unsure = incident.family == "money" and incident.state == "pending" and not incident.held
    if not unsure or round(incident.expected) <= 0:
        return notices.title(incident, currency=currency, digits=digits, names=names)
    where = place(Cell(incident.module), names)
    return f"{where} may be losing {loss(round(incident.expected), 0, currency, digits)}"


def sentence(incident: Incident, *, currency: str, digits: int, names: Mapping[str, str]) -> str:
    """What stands under the title: what it was read from, then what it cost so far and what mutes it.

    Of what is held no number is said: it is not believed.
    """
    held = incident.family == "money" and incident.held
    told = [_read_from(incident, currency, digits, names)] if incident.members and not held else []
    if incident.state == "resolved":
        code = incident.resolution
        told.append(f"It was {RESOLUTIONS[code]}." if code else "Nobody has said yet what it was.")
        return " ".join(told)
    if incident.family == "money" and incident.lost_so_far >= 1 and not held:
        told.append(f"Lost so far: about {money(round(incident.lost_so_far), currency, digits)}.")
    if held:
        told.append("Held: a signal check fails there, so the data alert is raised instead.")
    if incident.silenced_until is not None:
        told.append(f"Silenced until {_moment(incident.silenced_until)} by {incident.silenced_by}.")
    if incident.inhibited_by:
        told.append(f"{words.sentence_case(_elsewhere(incident.inhibited_by))}.")
    return " ".join(told)


def hints(
    *, window: str, checks: Sequence[str], blind_since: datetime | None, takes_in: Sequence[str]
) -> tuple[str, ...]:
    """Where to look first: the last deploy, failing signal checks, no data, and the modules whose losses are in it."""
    told = []
    if window and window != "none":
        told.append(f"The last change there: {window}.")
    if checks:
        told.append(f"Failing there: {words.listed(checks)}.")
    if blind_since is not None:
        told.append(f"No data since {_moment(blind_since)}: whether it goes on is not known.")
    if takes_in:
        told.append(f"It takes in what fires on {words.listed([place(Cell(module), {}) for module in takes_in])}.")
    return tuple(told)


def why_not(
    found: Evaluation,
    incident: Incident | None = None,
    *,
    currency: str,
    digits: int,
    names: Mapping[str, str],
    pages: bool,
) -> str:
    """Why nobody was told, or woken, for somebody who expected it; empty where somebody was.

    `incident` is the one that the cell is in, None where it is in none. `pages` are switched on in money.yml.
    """
    where = place(found.unit.cell, names)
    name, effect = _effect(found)
    if found.no_data or found.now is None or effect is None:
        return f"{where} has no data in the window, which is not the same as no loss."
    if found.held_by:
        failing = words.listed([names.get(check, check) for check in found.held_by])
        told = f"{where} is held: {failing} {'fails' if len(found.held_by) == 1 else 'fail'} there"
        return f"{told}, so its numbers are not believed; a loss raises the data alert instead."
    if effect.relative >= 0:
        return (
            f"{where} does not look down: {words.inside(change(found.unit.metric, effect.relative, effect.se, name))}."
        )
    looks = f"{where} looks {_short(-effect.relative)} down"
    because = _muted(incident, currency, digits) or _unproven(found, pages)
    if because:
        return f"{looks}, but {because}."
    if found.severity in ("digest", "watch"):
        return f"{looks}, {_too_little(found, SPANS.get(name, name), effect, currency, digits)}"
    return (
        f"{looks}, but one evaluation is not enough: {AGAIN}."
        if incident is None or incident.state == "pending"
        else ""
    )


# --- reasons ------------------------------------------------------------------------------------------------------


def _muted(incident: Incident | None, currency: str, digits: int) -> str:
    """Silenced or inhibited."""
    if incident is None or incident.state == "resolved":
        return ""
    if incident.silenced_until is not None:
        told = f"it is silenced until {_moment(incident.silenced_until)} by {incident.silenced_by}"
        lost = money(round(incident.lost_so_far), currency, digits)
        return f"{told}; what is lost meanwhile is summed, about {lost} so far"
    return _elsewhere(incident.inhibited_by) if incident.inhibited_by else ""


def _elsewhere(by: str) -> str:
    """What says it instead."""
    if by == "not the recommender":
        return "the whole site is below what the seasons lead to expect, so it is not the recommender"
    return f"incident {by} tells it already"


def _unproven(found: Evaluation, pages: bool) -> str:
    """Money asks for more than the evidence allows."""
    evidence = found.evidence
    if SEVERITIES.index(found.by_money) <= SEVERITIES.index(found.severity):
        return ""
    if evidence.waits_for:
        return f"its loss is not judged yet: it waits for {evidence.waits_for}"
    if not evidence.met:
        reached, needed = _short_number(evidence.value), _short_number(evidence.needed)
        return f"the evidence is not there yet: {reached} of the {needed} it takes"
    asks = f"the money asks to {WAKES[found.by_money]} and it may {WAKES[evidence.most]} at most"
    if evidence.kind == "forecast":
        return f"{asks}: it is compared with a forecast, which does not know the cause"
    if not pages:
        return f"{asks}: pages are switched on only after an A/A replay has shown how many of them would be false"
    return f"{asks}: the evidence is not there yet for more"


def _too_little(found: Evaluation, span: str, effect: Effect, currency: str, digits: int) -> str:
    """The loss is noise, or real and small."""
    cost = found.now
    point = money(round(cost.point if cost else 0.0), currency, digits)
    if TWO_SIDED_95 * effect.se >= -effect.relative:
        sessions = words.whole(round(found.stake.sessions))
        off = _short(TWO_SIDED_95 * effect.se)
        return f"but with {sessions} sessions a day {span} can be off by ±{off}. If real it costs {point} a day."
    burn = max(0.0, cost.burn if cost else 0.0)
    more = next(rule for rule in reversed(RULES) if SEVERITIES.index(rule.severity) > SEVERITIES.index(found.severity))
    expected = money(round(max(0.0, cost.expected if cost else 0.0)), currency, digits)
    costs = f"and costs about {expected} a day, {_short_number(burn)} of what may be lost a day"
    if burn >= more.burn:
        return f"{costs}; but the shorter windows do not show that it goes on."
    return f"{costs}; it takes {more.burn:g} to {WAKES[more.severity]}."


# --- parts --------------------------------------------------------------------------------------------------------


def _read_from(incident: Incident, currency: str, digits: int, names: Mapping[str, str]) -> str:
    """What the member with most money says; of failing signals, which they are."""
    first, more = incident.members[0], len({one.unit.cell for one in incident.members}) - 1
    where = place(first.unit.cell, names)
    where += f" and {words.whole(more)} more cell{'' if more == 1 else 's'}" if more else ""
    if incident.family == "data":
        checks = sorted({names.get(check, check) for member in incident.members for check in member.held_by})
        failing = words.sentence_case(words.listed(checks) if checks else "a signal check")
        return f"{failing} failed on {words.inside(where)}. No loss there is believed until it passes."
    unit, (name, effect) = first.unit, _effect(first)
    who = unit.comparison
    compared = words.inside(against(who.kind, who.key, who.watched, who.against))
    if effect is None:
        return f"{where}: {compared}."
    told = f"{where}: {words.inside(change(unit.metric, effect.relative, effect.se, name))}, {compared}."
    if who.kind == "experiment" and first.if_shipped > 0:
        told += f" Shipped to everybody it would lose about {money(round(first.if_shipped), currency, digits)} a day."
    return told


def _effect(found: Evaluation) -> tuple[str, Effect | None]:
    """The window it is judged in: the long one of its severity, else the longest there is."""
    long = next((rule.long for rule in RULES if rule.severity == found.by_money), math.inf)
    by_hours = sorted(found.effects, key=lambda name: found.effects[name].hours)
    name = next((name for name in by_hours if found.effects[name].hours >= long), by_hours[-1] if by_hours else "")
    return name, found.effects.get(name)


def _short(share: float) -> str:
    """A share with two significant digits and no trailing zeros: 27%, 5%."""
    return words.amount(float(f"{share:.2g}"), unit="lift")


def _short_number(value: float) -> str:
    """A number with two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def _moment(when: datetime) -> str:
    return moment(when.astimezone(UTC).isoformat())
