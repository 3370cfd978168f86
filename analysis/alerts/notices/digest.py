"""The week in a page of text: what is open, over, silenced and watched, how often each rule was right. ALERTS 2, 5.

The same standing and the same week give the same text. Amounts are in minor units; nobody is named but who silenced.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from analysis.alerts.course.acts import Act
from analysis.alerts.course.grouping import total
from analysis.alerts.course.standing import Closed, Standing
from analysis.alerts.model import Cell, Evaluation, Incident, Resolution
from analysis.alerts.notices.listing import TABS, ordered, tabs
from analysis.words import digest as say
from analysis.words import notices
from analysis.words.alerts import state

ENOUGH = 10  # resolved with a code, before a rule is judged
HALF = 0.5
SMALL = 5  # cells with a small loss that are named


@dataclass(frozen=True, slots=True)
class Precision:
    """How often a rule was right: of what people said what it was, the share that was a real regression."""

    rule: str
    version: int
    found: Mapping[Resolution, int]
    unsaid: int  # over, and nobody said what it was

    @property
    def said(self) -> int:
        """How many have a code."""
        return sum(self.found.values())

    @property
    def share(self) -> float | None:
        """Of those with a code; None where there is none."""
        return self.found.get("real_regression", 0) / self.said if self.said else None

    @property
    def demoted(self) -> bool:
        """Whether it is proposed to wake nobody any more: below half, over ten or more."""
        return self.share is not None and self.said >= ENOUGH and self.share < HALF


@dataclass(frozen=True, slots=True)
class Money:
    """How amounts and places are printed."""

    currency: str
    digits: int
    names: Mapping[str, str]


def precision(closed: Iterable[Closed]) -> tuple[Precision, ...]:
    """Of each rule and version that ever told anybody something, in that order."""
    by_rule: dict[tuple[str, int], list[Closed]] = defaultdict(list)
    for one in closed:
        by_rule[one.rule, one.rule_version].append(one)
    return tuple(
        Precision(
            rule,
            version,
            {code: count for code in get_args(Resolution) if (count := sum(one.resolution == code for one in ones))},
            sum(one.resolution is None for one in ones),
        )
        for (rule, version), ones in sorted(by_rule.items())
    )


def digest(
    standing: Standing,
    evaluations: Sequence[Evaluation],
    *,
    since: datetime,
    until: datetime,
    currency: str,
    digits: int,
    names: Mapping[str, str],
    amiss: str = "",
) -> str:
    """The week [since, until) as text. `evaluations` are the newest of every unit of work.

    `amiss` says that nobody looks, and goes before everything else.
    """
    money = Money(currency, digits, names)
    where = tabs(standing.incidents)
    stands = {name: [one for one in ordered(standing.incidents) if where[one.incident_id] == name] for name in TABS}
    quiet, opened = stands["silenced"], stands["open"]
    watched = [one for one in stands["watch"] if one.state != "pending"]
    over = sorted(
        (one for one in stands["resolved"] if since <= one.changed_at < until),
        key=lambda one: (one.changed_at, one.incident_id),
    )
    rules = precision(standing.closed)
    lines = [*([amiss, ""] if amiss else []), say.title(since, until), notices.AMOUNTS, ""]
    lines += _section(_opened(opened, money), (_open(one, money) for one in opened))
    lines += _section(say.over(len(over)), (_over(one, money) for one in over))
    lines += _section(say.silenced(len(quiet)), _silenced(quiet, standing, money))
    lines += _section(say.RULES if rules else say.NO_RULES, map(_rule, rules))
    demoted = [one for one in rules if one.demoted]
    lines += _section(
        say.PROPOSALS if demoted else say.NO_PROPOSALS, (say.demote(one.rule, one.version) for one in demoted)
    )
    lines += _section(say.watched(len(watched)), (_open(one, money) for one in watched))
    lines += _small(evaluations, [*opened, *quiet, *watched], money)
    return "\n".join(lines).rstrip() + "\n"


def silenced(act: Act, names: Mapping[str, str]) -> str:
    """What a silence is about, for a reader."""
    matcher = act.matcher
    if matcher is None:
        return act.incident_id
    return notices.silenced(Cell(matcher.module, matcher.category), matcher.metric, matcher.at_most, names)


# --- the parts ---------------------------------------------------------------------------------------------------


def _section(heading: str, lines: Iterable[str]) -> list[str]:
    return [heading, *(f"- {line}" for line in lines), ""]


def _opened(incidents: Sequence[Incident], money: Money) -> str:
    """How many somebody should look at, and what they lose together; what is held or part of another is not in it."""
    expected, at_least = total(incidents)
    held, parts = (sum(state(one) == name for one in incidents) for name in ("held", "inhibited"))
    return say.opened(
        len(incidents) - held - parts, round(expected), round(at_least),
        ((held, "held"), (parts, "within another")), money.currency, money.digits,
    )  # fmt: skip


def _title(one: Incident, money: Money) -> str:
    return notices.title(one, currency=money.currency, digits=money.digits, names=money.names)


def _lost(one: Incident, money: Money) -> str:
    """Empty of what is not believed."""
    believed = one.family == "money" and not one.held
    return notices.lost(one.lost_so_far, money.currency, money.digits) if believed else ""


def _open(one: Incident, money: Money) -> str:
    return say.open_line(
        _title(one, money),
        one.severity,
        one.opened_at,
        _lost(one, money),
        inhibited_by=one.inhibited_by,
        acked=bool(one.acked_by),
    )


def _over(one: Incident, money: Money) -> str:
    return say.over_line(_title(one, money), one.resolution, one.incident_id)


def _silenced(incidents: Sequence[Incident], standing: Standing, money: Money) -> Iterator[str]:
    """Each silenced incident with what it lost, then the silences that silence nothing now."""
    for one in incidents:
        if one.silenced_until is None:  # part of one that is
            yield _open(one, money)
        else:
            yield say.silenced_line(_title(one, money), one.silenced_by, one.silenced_until, _lost(one, money))
    ids = {one.incident_id for one in incidents}
    for act in standing.silences:
        if act.expires_at is None or act.incident_id in ids:
            continue
        yield say.silence(silenced(act, money.names), act.author, act.reason, act.expires_at)


def _rule(one: Precision) -> str:
    return say.rule(one.rule, one.version, dict(one.found), one.unsaid)


def _small(evaluations: Sequence[Evaluation], told: Sequence[Incident], money: Money) -> list[str]:
    """Cells that lose something, too little or too unsurely for more than this line; most money first."""
    named = {one.unit.cell for incident in told for one in incident.members}
    most: dict[Cell, Evaluation] = {}
    for one in sorted(evaluations, key=lambda each: each.unit.fingerprint):
        if one.now is None or one.now.expected <= 0 or one.severity != "digest" or one.unit.cell in named:
            continue
        held = most.get(one.unit.cell)
        if held is None or held.now is None or one.now.expected > held.now.expected:
            most[one.unit.cell] = one
    ordered = sorted(most.items(), key=lambda item: (-(item[1].now.expected if item[1].now else 0.0), item[0]))
    lines = [
        say.small_line(
            notices.place(cell, money.names),
            notices.money(round(one.now.expected), money.currency, money.digits),
            one.why_not,
        )
        for cell, one in ordered[:SMALL]
        if one.now is not None
    ]
    more = [say.more(len(ordered) - SMALL)] if len(ordered) > SMALL else []
    return _section(say.small(len(ordered)), [*lines, *more])
