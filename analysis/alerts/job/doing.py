"""What people do about incidents, checked and written down; the next run takes it into account. ALERTS 5."""

from datetime import datetime

from analysis.alerts.course.acts import Act, refusals
from analysis.alerts.course.lifecycle import step
from analysis.alerts.course.standing import Standing
from analysis.alerts.job import stored
from analysis.alerts.model import Incident
from experiments.errors import NotFoundError, UsageError, nearest
from experiments.store import Store


def do(store: Store, act: Act) -> Act:
    """Write an act down. UsageError with everything that is wrong with it."""
    wrong = refusals(act, current(store, act.at).incidents)
    if wrong:
        raise UsageError("\n".join(wrong))
    store.alerts.act(act.at, stored.act_json(act))
    return act


def current(store: Store, now: datetime) -> Standing:
    """Where everything stands now: with what people did since the last run, which the next one keeps."""
    kept = stored.standing(store)
    return kept if kept.at is None else step(kept, max(now, kept.at), (), stored.acts(store), windows={})[0]


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
