"""An incident from its tracks: where it stands, how grave it is, what it costs, what mutes it. ALERTS 5.

A member that is held or silenced counts neither for severity nor for money while another member is not; what is lost
goes on being summed over the silenced ones, over the held ones it is not: their numbers are not believed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from analysis.alerts.course.acts import Act
from analysis.alerts.course.grouping import GroupKey, by_money, incident_id, money
from analysis.alerts.course.standing import Case, Track
from analysis.alerts.course.tracks import highest
from analysis.alerts.model import Evaluation, Incident, Resolution

State = Literal["pending", "open", "acked", "resolving", "resolved"]
LONGEST = timedelta(days=1)  # that one evaluation's loss is summed over: what nobody looked at is not known
REOPENS = timedelta(hours=24)
DAY = timedelta(days=1)


def case_for(key: GroupKey, cases: Mapping[str, Case], at: datetime) -> Case:
    """The group's incident that goes on, or was resolved no more than 24 hours ago; else a new pending one."""
    module, family, window = key
    for case in cases.values():
        one = case.incident
        if (one.module, one.family, one.window) == key and (
            case.resolved_at is None or at - case.resolved_at <= REOPENS
        ):
            return case
    return Case(
        Incident(
            incident_id(key, at.isoformat()), module, family, window, "pending", "digest", None, at, (), 0.0, 0.0, 0.0
        )
    )


def viewed(case: Case, tracks: Sequence[Track], silences: Iterable[Act], now: datetime) -> Case | None:
    """The case as its tracks stand now; None where nothing was confirmed and nothing fires any more."""
    old, confirmed = case.incident, [track for track in tracks if track.is_confirmed]
    if old.state == "resolved" and not confirmed:
        return case
    if not tracks:
        return None if old.state == "pending" else resolved(case, now)
    shown = confirmed or tracks
    quiet = [(track, _silencing(case, track, silences)) for track in shown]
    ends = [act for _, act in quiet if act is not None]
    silenced = min(ends, key=_expiry) if len(ends) == len(shown) else None
    unsilenced = [track for track, act in quiet if act is None] or shown
    loud = [track for track in unsilenced if not track.held]
    lost, until = _lost(case, shown, now)
    members = _members(loud or unsilenced)
    expected, at_least = money(members) if old.family == "money" else (0.0, 0.0)
    new = replace(
        old,
        state=_state(old, confirmed),
        severity=highest(*(track.confirmed if confirmed else track.recent[-1] for track in loud or unsilenced)),
        opened_at=old.opened_at or (now if confirmed else None),
        members=members,
        expected=expected,
        at_least=at_least,
        lost_so_far=lost,
        held=not loud,
        silenced_until=None if silenced is None else silenced.expires_at,
        silenced_by="" if silenced is None else silenced.author,
        resolution=None,
    )
    changed = (new.state, new.severity, new.held) != (old.state, old.severity, old.held)
    return replace(
        case,
        told=None if old.state == "resolved" else case.told,
        incident=replace(new, changed_at=now if changed else old.changed_at),
        owed=case.owed or (old.silenced_until is not None and silenced is None),
        worst=highest(case.worst, *(track.confirmed for track in confirmed)),
        rules=tuple(sorted({*case.rules, *(_rule(track) for track in confirmed)})),
        summed_until=until,
        resolved_at=None,
    )


def resolved(case: Case, now: datetime, code: Resolution | None = None) -> Case:
    """The case when it is over: by itself, or because a person says so and why."""
    over = replace(
        case.incident, state="resolved", changed_at=now, expected=0.0, at_least=0.0, held=False, inhibited_by="",
        acked_by="", resolution=code,
    )  # fmt: skip
    return replace(
        case, incident=over, owed=False, acked_money=0.0, acked_severity="digest", summed_until=None, resolved_at=now
    )


def _state(old: Incident, confirmed: Sequence[Track]) -> State:
    if not confirmed:
        return "pending" if old.state == "pending" else "resolving"
    if all(track.recent[-1] == "digest" for track in confirmed):
        return "resolving"
    return "acked" if old.acked_by else "open"


def _members(tracks: Iterable[Track]) -> tuple[Evaluation, ...]:
    """Those that fire now, most money first; while none does, those that did."""
    firing = [track.evaluation for track in tracks if track.recent[-1] != "digest"]
    return by_money(firing or [track.evaluation for track in tracks])


def _silencing(case: Case, track: Track, silences: Iterable[Act]) -> Act | None:
    """The silence of a track that lasts longest. A matcher is about money; a data incident is silenced by its id."""
    unit, key = track.evaluation.unit, case.incident.incident_id
    found = [
        act
        for act in silences
        if (act.incident_id and act.incident_id == key)
        or (act.matcher and track.family == "money" and act.matcher.matches(unit.cell, unit.metric, track.confirmed))
    ]
    return max(found, key=_expiry, default=None)


def _expiry(act: Act) -> tuple[datetime, str]:
    return act.expires_at or act.at, act.act_id


def _lost(case: Case, tracks: Sequence[Track], now: datetime) -> tuple[float, datetime]:
    """What is lost so far, and up to when it is summed: expected cost × the time since the evaluation before.

    A time without data adds nothing, nor does what is held.
    """
    until = case.summed_until
    if all(track.blind_since for track in tracks):
        return case.incident.lost_so_far, now
    seen = max(track.evaluation.unit.at for track in tracks)
    if case.incident.family == "data" or until is None or seen <= until:
        return case.incident.lost_so_far, seen if until is None else max(seen, until)
    believed = [track for track in tracks if not track.held and not track.blind_since]
    expected, _ = money(_members(believed)) if believed else (0.0, 0.0)
    return case.incident.lost_so_far + max(0.0, expected) * (min(seen - until, LONGEST) / DAY), seen


def _rule(track: Track) -> tuple[str, int]:
    return track.evaluation.unit.rule, track.evaluation.unit.rule_version
