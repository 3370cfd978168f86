"""What stands after a bucket end, and what is told of it: one pure function for the whole shop. ALERTS 5.

evaluations ─▶ tracks (how many in a row agree) ─▶ incidents (money counted once) ─▶ what mutes them ─▶ notices

pending → open → acked → resolving → resolved. Told are only changes for the worse, the end, and repeats; `watch` is for
the inbox and never told. No data and a failing check resolve nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias, get_args

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.cases import case_for, resolved, viewed
from analysis.alerts.course.grouping import group_key
from analysis.alerts.course.inhibition import inhibited, named, with_broken_splits
from analysis.alerts.course.standing import Case, Closed, Family, Reset, Standing, Track, from_json, gravest, to_json
from analysis.alerts.course.telling import told
from analysis.alerts.course.tracks import follow
from analysis.alerts.model import Cell, Comparison, Evaluation, Incident, Notice, Resolution
from analysis.words import alerts as say

__all__ = ["Act", "Matcher", "Reset", "Standing", "from_json", "step", "to_json"]

Place: TypeAlias = tuple[Family, Cell, Comparison]
KEPT = timedelta(days=35)  # a resolved incident, for the inbox and the digest
REMEMBERED = timedelta(days=90)  # an act: one that is handed in later changes nothing


def step(
    standing: Standing,
    at: datetime,
    evaluations: Sequence[Evaluation],
    acts: Sequence[Act],
    *,
    windows: Mapping[str, str],
) -> tuple[Standing, tuple[Notice, ...]]:
    """The standing after the bucket end `at`, and the notices it brings about, the gravest first.

    `evaluations` of (standing.at, at], the whole shop's; older ones change nothing, of a unit's the newest counts.
    `acts` may hold all there ever were: those taken into account are known by their id. `windows` says of a module
    ("" is the site) which deploy it is in. Without evaluations only time passes: silences end, repeats fall due.
    `Standing.resets` are the detectors to set to 0 now, before the next bucket.
    """
    found = _newest(standing, at, with_broken_splits(evaluations))
    done = _unknown(standing, at, acts)
    if not found and not done and standing.at is not None and at <= standing.at:
        return standing, ()
    now = at if standing.at is None else max(at, standing.at)
    desk = _Desk(now, dict(standing.tracks), dict(standing.cases), list(standing.silences), dict(standing.acts))
    for act in done:
        _take(desk, act)
    desk.places = {_place(track.family, track.evaluation): track.incident_id for track in desk.tracks.values()}
    for one in found:
        for family in get_args(Family):
            _follow(desk, family, one, windows)
    desk.silences = [act for act in desk.silences if act.expires_at is not None and act.expires_at > now]
    _view(desk)
    _inhibit(desk)
    notices = _tell(desk)
    after = Standing(
        at=now if found else standing.at,
        tracks=dict(sorted(desk.tracks.items())),
        cases=dict(sorted((key, case) for key, case in desk.cases.items() if not _is_old(case, now))),
        silences=tuple(sorted(desk.silences, key=lambda act: (act.at, act.act_id))),
        acts=dict(sorted((key, when) for key, when in desk.acts.items() if when > now - REMEMBERED)),
        closed=_closed(standing, desk),
        resets=tuple(sorted(desk.resets, key=lambda reset: reset.fingerprint)),
    )
    return after, notices


# --- what is taken into account -----------------------------------------------------------------------------------


def _newest(standing: Standing, at: datetime, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Of each unit the newest evaluation since the standing, whatever order they come in."""
    found: dict[str, Evaluation] = {}
    for one in sorted(evaluations, key=lambda one: (one.unit.at, one.unit.revision)):
        if one.unit.at <= at and (standing.at is None or one.unit.at > standing.at):
            found[one.unit.fingerprint] = one
    return [one for _, one in sorted(found.items())]


def _unknown(standing: Standing, at: datetime, acts: Sequence[Act]) -> list[Act]:
    """The acts that no step has taken into account, oldest first."""
    found = {act.act_id: act for act in acts if act.act_id not in standing.acts and act.at > at - REMEMBERED}
    return sorted(found.values(), key=lambda act: (act.at, act.act_id))


@dataclass
class _Desk:
    """What one step works on."""

    now: datetime
    tracks: dict[str, Track]
    cases: dict[str, Case]
    silences: list[Act]
    acts: dict[str, datetime]
    places: dict[Place, str] = field(default_factory=dict)  # incident ids
    over: set[str] = field(default_factory=set)  # tracks that a person ended: what was read before a reset is void
    resets: list[Reset] = field(default_factory=list)


def _take(desk: _Desk, act: Act) -> None:
    """What a person did; what does not fit what stands changes nothing."""
    desk.acts[act.act_id] = act.at
    case = desk.cases.get(act.incident_id)
    if act.kind == "silence" and (act.incident_id or act.matcher):
        desk.silences.append(act)
    if act.kind == "unsilence":
        about = (act.incident_id, act.matcher)
        desk.silences = [one for one in desk.silences if (one.incident_id, one.matcher) != about]
    if act.kind == "ack" and case is not None and case.incident.state in ("open", "acked", "resolving"):
        acked = replace(case.incident, acked_by=act.author)
        desk.cases[act.incident_id] = replace(
            case, incident=acked, acked_money=acked.expected, acked_severity=acked.severity
        )
    if act.kind == "resolve" and case is not None and act.code is not None:
        _resolve(desk, case, act.code)


def _resolve(desk: _Desk, case: Case, code: Resolution) -> None:
    """A person says that it is over and what it was; of what is over already, only what it was."""
    key = case.incident.incident_id
    if case.incident.state == "resolved":
        desk.cases[key] = replace(case, incident=replace(case.incident, resolution=code))
        return
    for name in [name for name, track in desk.tracks.items() if track.incident_id == key]:
        _reset(desk, desk.tracks.pop(name), accepted=code == "expected_change")
        desk.over.add(name)
    desk.cases[key] = resolved(case, desk.now, code)


def _reset(desk: _Desk, track: Track, *, accepted: bool = False) -> None:
    if track.family == "money":
        desk.resets.append(Reset(track.evaluation.unit.fingerprint, track.incident_id, accepted))


def _follow(desk: _Desk, family: Family, found: Evaluation, windows: Mapping[str, str]) -> None:
    """One evaluation onto its track; a new track joins the incident of its group."""
    name = f"{family}:{found.unit.fingerprint}"
    if name in desk.over:
        return
    before = desk.tracks.get(name)
    after = follow(before, family, found)
    if after is None:
        if before is not None:
            del desk.tracks[name]
            if before.is_confirmed:
                _reset(desk, before)
        return
    if before is None:
        after = replace(after, incident_id=_joined(desk, family, found, windows))
    desk.tracks[name] = after


def _joined(desk: _Desk, family: Family, found: Evaluation, windows: Mapping[str, str]) -> str:
    """The incident of a new track: that of another metric of the same cell and comparison, else its group's."""
    joined = desk.places.get(_place(family, found))
    if joined is not None:
        return joined
    case = case_for(group_key(found, family, windows), desk.cases, desk.now)
    desk.cases.setdefault(case.incident.incident_id, case)
    desk.places[_place(family, found)] = case.incident.incident_id
    return case.incident.incident_id


def _place(family: Family, found: Evaluation) -> Place:
    return family, found.unit.cell, found.unit.comparison


# --- what comes of it ---------------------------------------------------------------------------------------------


def _view(desk: _Desk) -> None:
    """Every incident from its tracks."""
    tracks = _by_incident(desk)
    for key, case in list(desk.cases.items()):
        seen = viewed(case, tracks[key], desk.silences, desk.now)
        if seen is None:
            del desk.cases[key]
        else:
            desk.cases[key] = seen


def _by_incident(desk: _Desk) -> Mapping[str, list[Track]]:
    found: dict[str, list[Track]] = defaultdict(list)
    for _, track in sorted(desk.tracks.items()):
        found[track.incident_id].append(track)
    return found


def _inhibit(desk: _Desk) -> None:
    """Who says it better, and what else helps to look into it."""
    by, tracks = inhibited(case.incident for case in desk.cases.values()), _by_incident(desk)
    for key, case in desk.cases.items():
        one = case.incident
        if one.state == "resolved":
            continue
        blind = [track.blind_since for track in tracks[key]]
        inside = sorted({desk.cases[part].incident.module for part, whole in by.items() if whole == key} - {one.module})
        hints = say.hints(
            window=one.window,
            blind_since=min(filter(None, blind), default=None) if blind and all(blind) else None,
            takes_in=inside,
            experiments=_lost_in(one),
            gone=sorted({key for member in one.members for key in member.evidence.ended}),
        )
        over = named(desk.cases[by[key]].incident) if key in by else ""
        desk.cases[key] = replace(case, incident=replace(one, inhibited_by=over, hints=hints))


def _lost_in(one: Incident) -> list[str]:
    """The experiments that all of it is lost in; none where it is not, or only suspected."""
    found = {member.unit.comparison for member in one.members}
    if one.family != "money" or one.held or any(each.kind != "experiment" for each in found):
        return []
    return sorted({each.key for each in found})


def _tell(desk: _Desk) -> tuple[Notice, ...]:
    """What is new, the gravest first."""
    notices = []
    for key, case in desk.cases.items():
        desk.cases[key], notice = told(case, desk.now)
        if notice is not None:
            notices.append(notice)
    return tuple(sorted(notices, key=lambda notice: gravest(notice.incident)))


def _is_old(case: Case, now: datetime) -> bool:
    return case.resolved_at is not None and now - case.resolved_at > KEPT


def _closed(standing: Standing, desk: _Desk) -> tuple[Closed, ...]:
    """What is resolved, by rule; what opened again is not. What nobody was told of counts only with a code."""
    kept = {(one.incident_id, one.rule, one.rule_version): one for one in standing.closed}
    for key, case in desk.cases.items():
        one = case.incident
        for rule, version in case.rules:
            kept.pop((key, rule, version), None)
            if one.family == "money" and case.resolved_at is not None and (case.transitions or one.resolution):
                kept[key, rule, version] = Closed(
                    key, rule, version, case.worst, case.resolved_at, one.lost_so_far, one.resolution
                )
    return tuple(one for _, one in sorted(kept.items()))
