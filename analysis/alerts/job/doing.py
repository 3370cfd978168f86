"""What people do about incidents, checked and written down; the next run takes it into account. ALERTS 5."""

from collections.abc import Collection, Mapping
from datetime import datetime

from analysis.alerts.course.acts import Act, refusals
from analysis.alerts.course.lifecycle import step
from analysis.alerts.course.standing import Standing
from analysis.alerts.job import stored
from analysis.alerts.model import Incident
from analysis.alerts.notices.delivery import acknowledged
from experiments.errors import NotFoundError, UsageError, nearest
from experiments.store import Store


def do(store: Store, act: Act, *, modules: Collection[str] = ()) -> Act:
    """Write an act down. UsageError with everything that is wrong with it.

    `modules` are the shop's own; what was measured is known besides.
    """
    standing = current(store, act.at)
    known = _measured(store, standing, modules) if act.matcher is not None else None
    wrong = refusals(act, standing.incidents, standing.silences, known)
    if wrong:
        raise UsageError("\n".join(wrong))
    store.alerts.act(act.at, stored.act_json(act))
    if act.kind == "ack":
        seen = standing.cases[act.incident_id].incident
        acknowledged(store, seen, author=act.author, now=act.at)
    return act


def current(store: Store, now: datetime) -> Standing:
    """Where everything stands now: with what people did since the last run, which the next one keeps."""
    kept = stored.standing(store)
    if kept.at is None:
        return kept
    at = max(now, kept.at)
    return step(kept, at, (), [act for act in stored.acts(store) if act.at <= at], windows={})[0]


def one(standing: Standing, incident: str) -> Incident:
    """The incident of that id, or of the one id that begins so. NotFoundError names the nearest."""
    known = {each.incident_id: each for each in standing.incidents}
    if incident in known:
        return known[incident]
    found = sorted(key for key in known if incident and key.startswith(incident))
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise NotFoundError(f"incident {incident}: {', '.join(found)} begin so; write more of it")
    near = nearest(incident, known)
    hint = f"nearest: {', '.join(near)}" if near else "`truelift alerts list` shows them"
    raise NotFoundError(f"no incident {incident}; {hint}")


def _measured(store: Store, standing: Standing, modules: Collection[str]) -> Mapping[str, Collection[str]]:
    """The modules that may lose something, each with the page categories that were measured on it."""
    found: dict[str, set[str]] = {module: set() for module in modules}
    followed = [track.evaluation for track in standing.tracks.values()]
    for each in (*stored.newest_evaluations(store), *followed):
        cell = each.unit.cell
        if cell.module:
            found.setdefault(cell.module, set()).update({cell.category} - {""})
    return found
