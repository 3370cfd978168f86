"""Where an incident is listed, and in which order: in the app, in `alerts list` and in the digest.

Open by money; then what a failing check holds, then what another incident tells. A part stands where its whole does, so
that no list begins with something that is told in another one.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from analysis.alerts.course.inhibition import NOT_THE_RECOMMENDER
from analysis.alerts.course.standing import gravest
from analysis.alerts.model import Incident
from analysis.words.alerts import state

Tab = Literal["open", "watch", "silenced", "resolved"]
TABS: tuple[Tab, ...] = get_args(Tab)


def ordered(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """By list, then told by itself before held before part of another, most money first; of what is over the newest."""
    every = tuple(incidents)
    where = tabs(every)

    def place(one: Incident) -> tuple[int, int, float, str]:
        late = -one.changed_at.timestamp() if one.state == "resolved" else -one.expected
        return TABS.index(where[one.incident_id]), _muted(one), late, one.incident_id

    return tuple(sorted(every, key=place))


def told(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Those that somebody should look at: told by themselves, and not too mild for it."""
    return tuple(one for one in incidents if state(one) in ("open", "acked", "resolving"))


def wholes(incidents: Iterable[Incident]) -> Mapping[str, Incident]:
    """The incident that each part of another one is part of, by the part's id; none of one that is gone."""
    known = {one.incident_id: one for one in incidents}
    wide = [one for one in known.values() if not one.module and one.family == "money" and not one.inhibited_by]
    site = min(filter(_stands, wide), key=gravest, default=None)
    found = {}
    for one in known.values():
        whole = site if one.inhibited_by == NOT_THE_RECOMMENDER else known.get(one.inhibited_by)
        if state(one) == "inhibited" and whole is not None and whole is not one and _stands(whole):
            found[one.incident_id] = whole
    return found


def tabs(incidents: Iterable[Incident]) -> Mapping[str, Tab]:
    """In which list each incident stands, by its id; what is not confirmed yet is watched."""
    known = {one.incident_id: one for one in incidents}
    larger = wholes(known.values())

    def tab(one: Incident) -> Tab:
        match state(one):
            case "resolved":
                return "resolved"
            case "silenced":
                return "silenced"
            case "watch" | "pending":
                return "watch"
            case "inhibited":
                if one.incident_id in larger:
                    return tab(larger[one.incident_id])
                return "watch" if one.severity in ("watch", "digest") else "open"
            case _:
                return "open"

    return {key: tab(one) for key, one in known.items()}


def _muted(one: Incident) -> int:
    return {"held": 1, "inhibited": 2}.get(state(one), 0)


def _stands(one: Incident) -> bool:
    return one.state in ("open", "acked", "resolving")
