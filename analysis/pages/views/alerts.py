"""The alerts inbox: whether anybody looks, the incidents by tab, and why a cell is not among them. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from analysis import words
from analysis.alerts.course.acts import Act, ActKind
from analysis.alerts.course.grouping import total
from analysis.alerts.course.standing import Standing
from analysis.alerts.model import METRICS, Cell, Evaluation, Incident, Severity
from analysis.alerts.notices import listing
from analysis.alerts.notices.listing import Tab, ordered, tabs
from analysis.alerts.notices.payload import WINDOWS
from analysis.alerts.weighing.severity import RULES
from analysis.words import alerts as told
from analysis.words import inbox as say
from analysis.words import notices
from experiments.placement import HOLDOUT_PREFIX

GLYPHS: Mapping[Severity, str] = {"page_fast": "▼", "page": "▼", "ticket": "■", "watch": "○", "digest": "~"}
CHIPS: Mapping[Severity, str] = {"page_fast": "stop", "page": "stop", "ticket": "hold", "watch": "", "digest": ""}


@dataclass(frozen=True, slots=True)
class Print:
    """How amounts and names are printed, and whether pages are on."""

    currency: str
    digits: int
    names: Mapping[str, str]
    pages: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One incident, ready to print; `can` is what may be done about it."""

    incident_id: str
    tab: Tab
    chip: str
    glyph: str
    severity: str
    state: str
    title: str
    sentence: str
    figures: tuple[tuple[str, str], ...]
    hints: tuple[str, ...]
    done: tuple[str, ...]  # what people did about it, oldest first
    cells: tuple[tuple[str, ...], ...]
    links: tuple[tuple[str, str], ...]  # address and what it leads to
    can: tuple[ActKind, ...]


@dataclass(frozen=True, slots=True)
class Inbox:
    """The headline and every incident, most money a day first; of those that are over, the newest first."""

    headline: str
    rows: tuple[Row, ...]

    def of(self, tab: Tab) -> tuple[Row, ...]:
        """Those of one tab."""
        return tuple(row for row in self.rows if row.tab == tab)


def counted(incidents: Sequence[Incident], money: Print) -> str | None:
    """`1 incident (€48k/day)`: those that somebody should look at, money counted once; None where there is none."""
    shown = listing.told(incidents)
    return say.incidents(len(shown), round(total(shown)[0]), money.currency, money.digits) if shown else None


def inbox(standing: Standing, acts: Sequence[Act], money: Print) -> Inbox:
    """Every incident that is kept, with what people did about it."""
    incidents, where = ordered(standing.incidents), tabs(standing.incidents)
    states = Counter(told.state(one) for one in incidents)
    others = (
        (states["held"], "held"), (states["inhibited"], "within another"), (states["silenced"], "silenced"),
        (states["watch"] + states["pending"], "watched"),
    )  # fmt: skip
    first = counted(incidents, money) or say.incidents(0, 0, money.currency, money.digits)
    by_hand = {act.incident_id for act in standing.silences if act.incident_id}
    larger = listing.wholes(incidents)
    rows = (_row(one, where[one.incident_id], acts, by_hand, money, larger.get(one.incident_id)) for one in incidents)
    return Inbox(say.headline(first, others), tuple(rows))


def _row(
    one: Incident, tab: Tab, acts: Sequence[Act], by_hand: Collection[str], money: Print, whole: Incident | None
) -> Row:
    spoken = replace(one, lost_so_far=0.0)  # it stands in the figures
    return Row(
        incident_id=one.incident_id,
        tab=tab,
        chip="no_material_effect" if one.state == "resolved" else CHIPS[one.severity],
        glyph="●" if one.state == "resolved" else GLYPHS[one.severity],
        severity=notices.SEVERITIES[one.severity],
        state=_state(one),
        title=told.title(one, currency=money.currency, digits=money.digits, names=money.names),
        sentence=told.sentence(spoken, currency=money.currency, digits=money.digits, names=money.names),
        figures=_figures(one, money),
        hints=told.look_first(one),
        done=tuple(say.did(act) for act in acts if act.incident_id == one.incident_id),
        cells=tuple(_cell(each, money) for each in one.members),
        links=_links(one, whole),
        can=_can(one, by_hand),
    )


def _state(one: Incident) -> str:
    """Where it stands, and of what nobody looks at yet for when it is; empty where the severity says it."""
    state, severity = told.STATES[told.state(one)], notices.SEVERITIES[one.severity]
    if state == severity:
        return ""
    return f"{state}, {notices.FOR[one.severity]}" if told.state(one) == "open" else state


def _figures(one: Incident, money: Print) -> tuple[tuple[str, str], ...]:
    since = ("Since", say.NOT_CONFIRMED if one.opened_at is None else say.when(one.opened_at))
    if one.state == "resolved":
        lost = (("Lost", _about(one.lost_so_far, money, say.NOTHING_AT_ALL)),) if one.family == "money" else ()
        return (("Over since", say.when(one.changed_at)), ("Began", since[1]), *lost)
    if one.family != "money" or one.held:
        return (since,)
    expected, at_least = round(one.expected), round(one.at_least)
    alone = notices.at_least_alone(expected, at_least, money.currency, money.digits)
    least = notices.least(at_least, money.currency, money.digits) if at_least > 0 else say.MAY_BE_NONE
    return (
        *(
            (("Loss a day", alone),)
            if alone
            else (("Expected loss a day", _about(expected, money)), ("At least", least))
        ),
        ("Lost so far", _about(one.lost_so_far, money, say.NOTHING_YET)),
        since,
    )


def _about(minor: float, money: Print, none: str = say.NOTHING_NOW) -> str:
    amount = notices.money(round(minor), money.currency, money.digits)
    return f"about {amount}" if round(minor) > 0 else none


def _cell(found: Evaluation, money: Print) -> tuple[str, ...]:
    unit, evidence = found.unit, found.evidence
    long = next((WINDOWS[rule.long] for rule in RULES if rule.severity == found.severity), "")
    name = long if long in found.effects else max(found.effects, key=lambda key: found.effects[key].hours, default="")
    effect, cost, who = found.effects.get(name), found.now, unit.comparison
    where = notices.place(unit.cell, money.names)
    compared = notices.against(who.kind, who.key, who.watched, who.against)
    if found.held_by:  # blocked means absent
        return (where, say.not_believed(found.held_by, money.names), "–", "–", compared)
    return (
        where,
        notices.NO_DATA if effect is None else notices.change(unit.metric, effect.relative, effect.se, name),
        "–" if cost is None else _about(cost.expected, money),
        say.evidence(evidence.value, evidence.needed, evidence.waits_for),
        compared,
    )


def _links(one: Incident, whole: Incident | None) -> tuple[tuple[str, str], ...]:
    """The incident that it is part of, the readouts of what its cells compare, and the incident's own address."""
    larger = () if whole is None else ((_address(whole), say.THE_WHOLE),)
    keys = dict.fromkeys(
        member.unit.comparison.key
        if member.unit.comparison.kind == "experiment"
        else HOLDOUT_PREFIX + member.unit.comparison.key
        for member in one.members
        if member.unit.comparison.kind != "forecast"
    )
    readouts = tuple((f"readout?{urlencode({'experiment': key})}", say.readout_of(key)) for key in keys)
    return (*larger, *readouts, (_address(one), say.THIS_INCIDENT))


def _address(one: Incident) -> str:
    return f"alerts?{urlencode({'incident': one.incident_id})}"


def _can(one: Incident, by_hand: Collection[str]) -> tuple[ActKind, ...]:
    if one.state == "resolved":
        return ("resolve",) if one.resolution is None else ()
    can: list[ActKind] = []
    if one.state in ("open", "resolving") and not one.acked_by and one.silenced_until is None:
        can.append("ack")
    if one.silenced_until is None:
        can.append("silence")
    elif one.incident_id in by_hand:
        can.append("unsilence")
    return (*can, "resolve")


# --- why not ------------------------------------------------------------------------------------------------------


def places(evaluations: Sequence[Evaluation], names: Mapping[str, str]) -> dict[str, str]:
    """Every cell that was evaluated: its address and its name, the site first. Names are unique."""
    found: dict[str, str] = {}
    for cell in sorted({one.unit.cell for one in evaluations}):
        name = notices.place(cell, names)
        found[address(cell)] = name if name not in found.values() else f"{name} ({address(cell)})"
    return found


def address(cell: Cell) -> str:
    """`homepage/decor/mobile`; `site`."""
    return "/".join(part for part in (cell.module, cell.category, cell.device) if part) or "site"


def why_not(
    standing: Standing, evaluations: Sequence[Evaluation], at: str, money: Print
) -> tuple[tuple[str, str, str], ...]:
    """Of one cell: metric, what it is compared with, and what stands between it and an alert."""
    mine = [one for one in evaluations if address(one.unit.cell) == at]
    mine.sort(key=lambda one: (METRICS.index(one.unit.metric), one.unit.comparison))
    rows = []
    for one in mine:
        track = standing.tracks.get(f"money:{one.unit.fingerprint}")
        case = None if track is None else standing.cases.get(track.incident_id)
        if one.held_by:
            reason = say.not_believed(one.held_by, money.names)
        else:
            reason = told.why_not(
                one, None if case is None else case.incident, currency=money.currency, digits=money.digits,
                names=money.names, pages=money.pages,
            )  # fmt: skip
        who = one.unit.comparison
        rows.append(
            (
                words.sentence_case(notices.METRICS[one.unit.metric]),
                notices.against(who.kind, who.key, who.watched, who.against),
                reason or say.TOLD,
            )
        )
    return tuple(rows)
