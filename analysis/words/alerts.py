"""What is said about incidents: the sentence under a title, states, hints, and why nobody was told. ALERTS 4, 5.

A loss reads as a size: "looks 5% down", never with a sign. Titles, places and amounts are those of the notices.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal

from analysis import words
from analysis.alerts.course.inhibition import checks
from analysis.alerts.model import SEVERITIES, Cell, Effect, Evaluation, Incident, Severity
from analysis.alerts.weighing.severity import RULES
from analysis.words import notices
from analysis.words.notices import SURE, against, change, elsewhere, loss, lost, moment, money, number, place, shipped

__all__ = [
    "EXPERIMENT_OVER", "STATES", "hints", "look_first", "over_because", "place", "sentence", "state", "title", "why_not"
]  # fmt: skip

StateName = Literal["pending", "open", "acked", "resolving", "resolved", "held", "silenced", "inhibited", "watch"]
STATES: Mapping[StateName, str] = {
    "pending": "Pending", "open": "Open", "acked": "Acknowledged", "resolving": "Resolving", "resolved": "Resolved",
    "held": "Held", "silenced": "Silenced", "inhibited": "Part of another incident", "watch": "Watch",
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
CHANGED = re.compile(r"launch (\S+) (\d{4}-\d\d-\d\d)")
EXPERIMENT_OVER = "nothing more: its experiment is over"  # what the evidence waits for then
AGAIN = "it waits for a second in a row that agrees"


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
        told.append("Nobody has said yet what it was." if code is None else notices.found(code))
        return " ".join(told)
    if held:
        told.append(_held(incident, names))
    elif incident.family == "money":
        told.append(lost(incident.lost_so_far, currency, digits))
    if incident.silenced_until is not None:
        told.append(f"Silenced until {_moment(incident.silenced_until)} by {incident.silenced_by}.")
    if incident.inhibited_by:
        told.append(f"{words.sentence_case(elsewhere(incident.inhibited_by))}.")
    return " ".join(filter(None, told))


def look_first(incident: Incident) -> tuple[str, ...]:
    """Its hints; of what is over only what may have been the cause, for there is nothing left to end."""
    over = incident.state == "resolved"
    return hints(window=incident.window, blind_since=None, takes_in=()) if over else incident.hints


def over_because(found: Evaluation) -> str:
    """Why there is nothing more to lose, where its experiment ended; else empty."""
    return found.why_not if found.evidence.waits_for == EXPERIMENT_OVER else ""


def hints(
    *, window: str, blind_since: datetime | None, takes_in: Sequence[str], experiments: Sequence[str] = (),
    gone: Sequence[str] = (),
) -> tuple[str, ...]:  # fmt: skip
    """Where to look first: what ends it, the last launch, no data, and the modules whose losses are in it.

    `experiments` are those whose arms all of it is lost in; none where anybody else loses too. `gone` are those that
    ended there lately.
    """
    told = []
    if experiments:
        told.append(f"It is lost in {words.listed(experiments)}: stopping {_it(experiments)} ends it.")
    if gone:
        told.append(f"{words.sentence_case(ended(gone))}.")
    if window and window != "none":
        changed = CHANGED.fullmatch(window)
        what = window if changed is None else f"{changed[1]}, launched {words.day(date.fromisoformat(changed[2]))}"
        told.append(f"The last change there: {what}.")
    if blind_since is not None:
        told.append(f"No data since {_moment(blind_since)}: whether it goes on is not known.")
    if takes_in:
        parts = words.listed([words.inside(place(Cell(module), {})) for module in takes_in])
        told.append(f"What is lost on {parts} is part of it.")
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
        told = f"{where} is held: {notices.fail(found.held_by, names)} there"
        return f"{told}, so its numbers are not believed; a loss raises the data alert instead."
    changed = words.inside(change(found.unit.metric, effect.relative, effect.se, name))
    if math.isnan(effect.relative):
        return f"{where}: {changed}, which is not the same as no loss."
    if effect.relative >= 0:
        return f"{where} does not look down: {changed}."
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
        summed = money(round(incident.lost_so_far), currency, digits)
        told = f"it is silenced until {_moment(incident.silenced_until)} by {incident.silenced_by}; what is lost"
        return f"{told} meanwhile is summed" + (f", about {summed} so far" if round(incident.lost_so_far) > 0 else "")
    return elsewhere(incident.inhibited_by) if incident.inhibited_by else ""


def _unproven(found: Evaluation, pages: bool) -> str:
    """Money asks for more than the evidence allows."""
    evidence = found.evidence
    if SEVERITIES.index(found.by_money) <= SEVERITIES.index(found.severity):
        return ""
    if evidence.met and evidence.ended:
        return ended(evidence.ended)
    if evidence.met and found.allowed in ("digest", "watch"):  # what it may wake at most asks for more money
        return ""
    if evidence.waits_for:
        return f"its loss is not judged yet: it waits for {evidence.waits_for}"
    if not evidence.met:
        reached, needed = number(evidence.value), number(evidence.needed)
        return f"the evidence is not there yet: {reached} of the {needed} it takes"
    asks = f"the money asks to {WAKES[found.by_money]} and it may {WAKES[evidence.most]} at most"
    if evidence.kind == "forecast":
        return f"{asks}: it is compared with a forecast, which does not know the cause"
    if not pages and evidence.kind == "e_process":
        off = "pages are off in money.yml"
        return f"{asks}: {off}; an experiment's evidence needs no replay before they are switched on"
    if not pages:
        return f"{asks}: pages are switched on only after an A/A replay has shown how many of them would be false"
    return f"{asks}: the evidence is not there yet for more"


def ended(keys: Sequence[str]) -> str:
    """Of a loss against a forecast: experiments that ended there lately may be all of it."""
    arms = "their arms" if len(keys) > 1 else "its arm"
    return f"in the last four weeks {words.listed(keys)} ended there; what {arms} brought is still in what is expected"


def _too_little(found: Evaluation, span: str, effect: Effect, currency: str, digits: int) -> str:
    """The loss is noise, or real and small."""
    cost = found.now
    point = money(round(cost.point if cost else 0.0), currency, digits)
    if SURE * effect.se >= -effect.relative:
        off = _short(SURE * effect.se)
        noise = f"but with {_sessions(found.stake.sessions)} a day {span} can be off by ±{off}"
        return f"{noise}. If real it costs {point} a day."
    burn = max(0.0, cost.burn if cost else 0.0)
    more = next(rule for rule in reversed(RULES) if SEVERITIES.index(rule.severity) > SEVERITIES.index(found.severity))
    expected = money(round(max(0.0, cost.expected if cost else 0.0)), currency, digits)
    costs = f"and costs about {expected} a day, {_short(burn)} of what may be lost a day"
    if burn >= more.burn:
        return f"{costs}; but the shorter windows do not show that it goes on."
    return f"{costs}; it takes {_short(more.burn)} to {WAKES[more.severity]}."


# --- parts --------------------------------------------------------------------------------------------------------


def _read_from(incident: Incident, currency: str, digits: int, names: Mapping[str, str]) -> str:
    """What the member with most money says; of failing signals, which they are."""
    first, more = incident.members[0], len({one.unit.cell for one in incident.members}) - 1
    where = place(first.unit.cell, names)
    where += f" and {words.whole(more)} more place{'' if more == 1 else 's'}" if more else ""
    if incident.family == "data":
        failing = checks(incident)
        told = words.sentence_case(words.listed([names.get(check, check) for check in failing] or ["a signal check"]))
        told = f"{told} failed on {words.inside(where)}."
        until = "they pass" if len(failing) > 1 else "it passes"
        return told if incident.state == "resolved" else f"{told} No loss there is believed until {until}."
    unit, (name, effect) = first.unit, _effect(first)
    who = unit.comparison
    compared = words.inside(against(who.kind, who.key, who.watched, who.against))
    if effect is None:
        return f"{where}: {compared}."
    told = f"{where}: {words.inside(change(unit.metric, effect.relative, effect.se, name))} ({compared})."
    over = incident.state == "resolved"
    everywhere = shipped(first.if_shipped, who.watched, currency, digits, is_over=over)
    also = (everywhere if who.kind == "experiment" else "", over_because(first) if over else "")
    return " ".join(filter(None, [told, *also]))


def _held(incident: Incident, names: Mapping[str, str]) -> str:
    failing = checks(incident)
    fails = notices.fail(failing, names) if failing else "a signal check fails"
    return f"Held: {fails} there, so its numbers are not believed; the data alert is raised instead."


def _effect(found: Evaluation) -> tuple[str, Effect | None]:
    """The window it is judged in: the long one of its severity, else the longest there is."""
    long = next((rule.long for rule in RULES if rule.severity == found.allowed), math.inf)
    by_hours = sorted(found.effects, key=lambda name: found.effects[name].hours)
    name = next((name for name in by_hours if found.effects[name].hours >= long), by_hours[-1] if by_hours else "")
    return name, found.effects.get(name)


def _it(experiments: Sequence[str]) -> str:
    return "the experiment" if len(experiments) == 1 else "these experiments"


def _short(share: float) -> str:
    """A share with two significant digits and no trailing zeros: 27%, 5%."""
    return words.amount(float(f"{share:.2g}"), unit="lift")


def _sessions(count: float) -> str:
    """`1,500 sessions`, `1 session`, `less than one session`."""
    whole = round(count)
    return "less than one session" if whole < 1 else f"{words.whole(whole)} session{'' if whole == 1 else 's'}"


def _moment(when: datetime) -> str:
    return moment(when.astimezone(UTC).isoformat())
