"""One notice as an `alert.v1` document, and the text rendered from the document alone. ALERTS 6.

A receiver that keys on `incident.incident_id` and `notice.transition` takes a notice twice without harm.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis import words
from analysis.alerts.model import LONG, Effect, Evaluation, Evidence, Incident, Notice
from analysis.alerts.notices.document import (
    ACell,
    Alert,
    TheCheck,
    TheComparison,
    TheCost,
    TheEffect,
    TheEvidence,
    TheHealth,
    TheIncident,
    TheMoney,
    TheNotice,
    ThePlace,
    TheRule,
    TheWindows,
)
from analysis.alerts.weighing.severity import RULES
from analysis.words import notices as say
from analysis.words.alerts import look_first, over_because

WINDOWS = {0.25: "15m", 1: "1h", 6: "6h", 24: "1d", 72: "3d", 168: "7d"}  # hours → as an evaluation names it
MOST = 5  # cells that the text tells one by one


def alert_v1(
    notice: Notice,
    *,
    names: Mapping[str, str],
    currency: str,
    digits: int,
    links: Mapping[str, str],
    snapshot: datetime | None = None,
) -> dict[str, Any]:
    """The document of one notice. `names` are a reader's, of modules, categories and checks; others are made from keys.

    `snapshot` is when the newest of the measures was published that it was read from (aware).

    ValueError or OverflowError for an amount that is not finite: nobody is told a sum that is none.
    """
    incident, is_money = notice.incident, notice.incident.family == "money"
    newest = max([notice.at, *(member.unit.at for member in incident.members)])
    document = Alert(
        schema_version="alert.v1",
        notice=TheNotice(
            transition=notice.transition,
            event=notice.transition.split(":")[0],
            at=_instant(notice.at),
            missed_runs=notice.missed_runs,
        ),
        incident=_incident(incident),
        money=TheMoney(
            currency=currency,
            digits=digits,
            expected_minor_a_day=round(incident.expected) if is_money and not incident.held else None,
            at_least_minor_a_day=round(incident.at_least) if is_money and not incident.held else None,
            lost_so_far_minor=round(incident.lost_so_far) if is_money else None,
        ),
        cells=tuple(
            _cell(each, names, newest=newest, is_over=incident.state == "resolved") for each in incident.members
        ),
        hints=look_first(incident),
        snapshot=None if snapshot is None else _instant(snapshot),
        links=dict(sorted(links.items())),
        title=say.title(incident, currency=currency, digits=digits, names=names),
        text="",
    ).model_dump(mode="json")
    return {**document, "text": text(document)}


# --- the parts ---------------------------------------------------------------------------------------------------


def _incident(given: Incident) -> TheIncident:
    return TheIncident(
        incident_id=given.incident_id,
        module=given.module,
        family=given.family,
        window=given.window,
        state=given.state,
        severity=given.severity,
        opened_at=None if given.opened_at is None else _instant(given.opened_at),
        changed_at=_instant(given.changed_at),
        held=given.held,
        silenced_until=None if given.silenced_until is None else _instant(given.silenced_until),
        inhibited_by=given.inhibited_by,
        resolution=given.resolution,
    )


def _cell(given: Evaluation, names: Mapping[str, str], *, newest: datetime, is_over: bool) -> ACell:
    """`newest` is the end that everything was read at: what is older had no data there.

    What is over stays as it was read a bucket of six hours before at the latest.
    """
    unit, late = given.unit, timedelta(minutes=LONG if is_over else 0)
    windows = next((rule for rule in RULES if rule.severity == given.severity), None)
    return ACell(
        rule=TheRule(name=unit.rule, version=unit.rule_version, fingerprint=unit.fingerprint),
        cell=ThePlace(
            module=unit.cell.module,
            category=unit.cell.category,
            device=unit.cell.device,
            name=say.place(unit.cell, names),
        ),
        comparison=TheComparison(
            kind=unit.comparison.kind,
            key=unit.comparison.key,
            phase=unit.comparison.phase,
            watched=unit.comparison.watched,
            against=unit.comparison.against,
        ),
        metric=unit.metric,
        at=_instant(unit.at),
        severity=given.severity,
        windows=TheWindows(
            long=None if windows is None else WINDOWS[windows.long],
            short=None if windows is None else WINDOWS[windows.short],
        ),
        effect={} if given.held_by else {name: _effect(given.effects[name]) for name in sorted(given.effects)},
        evidence=_evidence(given.evidence, believed=not given.held_by),
        money=_cost(given),
        health=TheHealth(
            held_by=tuple(TheCheck(id=check, name=names.get(check, check)) for check in given.held_by),
            no_data=given.no_data or newest - unit.at > late,
        ),
        over_because=over_because(given) if is_over else "",
    )


def _effect(given: Effect) -> TheEffect:
    return TheEffect(metric=given.metric, hours=given.hours, relative=_finite(given.relative), se=_finite(given.se))


def _evidence(given: Evidence, *, believed: bool) -> TheEvidence:
    return TheEvidence(
        kind=given.kind,
        value=_finite(min(given.value, sys.float_info.max)) if believed else None,  # an e-value may be beyond a float
        needed=_finite(given.needed),
        met=believed and given.met,
        most=given.most,
        waits_for=given.waits_for,
    )


def _cost(given: Evaluation) -> TheCost:
    now = None if given.held_by else given.now  # blocked means absent
    return TheCost(
        stake_minor_a_day=round(given.stake.money),
        expected_minor_a_day=None if now is None else round(now.expected),
        at_least_minor_a_day=None if now is None else round(now.at_least),
        unshrunk_minor_a_day=None if now is None else round(now.point),
        burn=None if now is None else _finite(now.burn),
        if_shipped_minor_a_day=None if now is None else round(given.if_shipped),
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- the text ----------------------------------------------------------------------------------------------------


def text(payload: Mapping[str, Any]) -> str:
    """The notice as mail and chat show it, from the document alone; lines, the first one the title."""
    document = Alert.model_validate_json(json.dumps({"text": "", **payload}))
    incident, money = document.incident, document.money
    lines = [document.title, "", _standing(document)]
    believed = incident.family == "money" and not incident.held
    if believed and incident.state != "resolved":
        lines += filter(None, [say.lost(money.lost_so_far_minor or 0, money.currency, money.digits)])
    lines += [say.AMOUNTS] if believed else []
    if incident.resolution is not None:
        lines.append(say.found(incident.resolution))
    if incident.inhibited_by:
        lines.append(f"{words.sentence_case(say.elsewhere(incident.inhibited_by))}.")
    for cell in document.cells[:MOST]:
        lines += ["", *_cell_lines(cell, money, is_over=incident.state == "resolved")]
    lines += ["", say.more_cells(len(document.cells) - MOST)] if len(document.cells) > MOST else []
    lines += ["", *(f"Hint: {hint}" for hint in document.hints)] if document.hints else []
    lines += ["", say.missed(document.notice.missed_runs)] if document.notice.missed_runs else []
    lines += ["", *(f"{words.sentence_case(name)}: {link}" for name, link in sorted(document.links.items()))]
    read = f", measures of {document.snapshot}" if document.snapshot else ""
    lines += ["", f"Incident {incident.incident_id}, notice {document.notice.transition}{read}"]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _standing(document: Alert) -> str:
    incident = document.incident
    told = f"{say.EVENTS.get(document.notice.event, words.sentence_case(document.notice.event))}"
    severity = say.SEVERITIES[incident.severity].lower()
    told += f" ({severity})" if incident.state == "resolved" else f" ({severity}: {say.FOR[incident.severity]})"
    if incident.opened_at is not None:
        told += f", {'it began' if incident.state == 'resolved' else 'open since'} {say.moment(incident.opened_at)}"
    if incident.held:
        told += ", held because a signal check fails"
    return f"{told}."


def _cell_lines(cell: ACell, money: TheMoney, *, is_over: bool) -> Iterator[str]:
    who, cost = cell.comparison, cell.money
    yield f"{cell.cell.name}: {words.inside(say.against(who.kind, who.key, who.watched, who.against))}"
    shown = cell.windows.long or max(cell.effect, key=lambda name: cell.effect[name].hours, default="")
    effect = cell.effect.get(shown)
    if effect is not None:
        yield f"  {say.change(effect.metric, effect.relative, effect.se, shown)}"
    if cell.health.no_data:
        yield f"  {say.no_data(cell.at) if cell.effect else say.NO_DATA}"
    elif is_over:
        yield f"  {cell.over_because or say.read_last(cell.at)}"
    if cost.expected_minor_a_day is not None and not (is_over and cost.expected_minor_a_day <= 0):
        told = say.loss(cost.expected_minor_a_day, cost.at_least_minor_a_day or 0, money.currency, money.digits)
        stake = say.money(cost.stake_minor_a_day, money.currency, money.digits)
        told, flows = (f"lost {told}", "flowed") if is_over else (told, "flows")
        yield f"  {words.sentence_case(told)}, of {stake} a day that {flows} through here"
    if who.kind == "experiment" and cost.if_shipped_minor_a_day is not None:
        shipped = cost.if_shipped_minor_a_day
        everywhere = say.shipped(shipped, who.watched, money.currency, money.digits, is_over=is_over)
        yield from (f"  {line}" for line in [everywhere] if line)
    if cell.health.held_by:
        yield f"  {say.failing([check.name for check in cell.health.held_by])}"
