"""From the outbox to the channels: at least once each, in order, and what is not delivered stays. ALERTS 6.

A notice waits until its run is through. Of several bucket ends that were due at once only the final state is told: a
notice that a later one of the same incident followed is superseded, and the last says what stands now.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, cast

from analysis.alerts.course.standing import Standing
from analysis.alerts.job import stored
from analysis.alerts.model import Notice
from experiments.base import canonical
from experiments.errors import DeliveryError
from experiments.store import Store
from experiments.store.alerts import AlertNotice

LATER = ("worse", "repeat", "still", "doubled")  # what takes for granted that the incident is known
TRIES = 3  # failures in a row, and a channel is left alone until the next run

Say = Callable[[str], None]
Render = Callable[[Notice], Mapping[str, Any]]


class Channel(Protocol):
    """Takes one notice at a time, an `alert.v1` document."""

    @property
    def name(self) -> str:
        """Unique in the shop, and the same for ever: what was delivered is kept by it."""

    def deliver(self, payload: Mapping[str, Any]) -> None:
        """Hand the notice on. DeliveryError names the channel, the cause and the next step."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How many notices were delivered, and how many are still due."""

    delivered: int
    undelivered: int


def queued(notices: Sequence[Notice], channels: Sequence[str]) -> tuple[AlertNotice, ...]:
    """One row for each notice and channel, to be written in the transaction of what brought them about."""
    return tuple(
        AlertNotice(each.incident.incident_id, each.transition, channel, each.at, stored.notice_json(each))
        for each in notices
        for channel in channels
    )


def release(store: Store, standing: Standing, now: Standing, *, missed: int, render: Render) -> None:
    """Let what waits be told: of each incident what its last bucket end brought about, as it stands after the newest.

    `now` is the standing with what people did since: what is silenced meanwhile is not told, and what is acknowledged
    is not repeated. Whoever was told nothing of an incident yet hears of it as open, whatever happened meanwhile.
    """
    waiting, before = store.alerts.outbox("waiting"), store.alerts.outbox("due", "delivered")
    told_before = {(each.incident, each.channel) for each in before}
    last = {(each.incident, each.channel): each.at for each in waiting}  # in order: the last wins
    due = {}
    for each in waiting:
        told, case = stored.notice(each.notice), standing.cases.get(each.incident)
        if each.at < last[each.incident, each.channel] or _is_muted(told, now):
            continue
        incident = told.incident if case is None or told.at == standing.at else case.incident
        told = replace(told, incident=incident, missed_runs=missed)
        known = (each.incident, each.channel) in told_before
        due[each.key] = canonical(dict(render(told if known else _first(told))))
    if waiting:
        store.alerts.release(due, [each.key for each in waiting if each.key not in due])


def deliver(store: Store, channels: Sequence[Channel], *, clock: Callable[[], datetime], say: Say) -> Delivered:
    """Hand on whatever is due, each channel by itself and each incident in order."""
    known = {channel.name: channel for channel in channels}
    delivered = 0
    failed_in_a_row: Counter[str] = Counter()
    blocked: set[tuple[str, str]] = set()  # a later notice of an incident does not overtake an earlier one
    for each in store.alerts.outbox("due"):
        channel = known.get(each.channel)
        if channel is None:
            said = f"no channel {each.channel} any more"
            say(f"incident {each.incident}, {_named(each, _payload(each))}: {said}; it is not told there")
            store.alerts.drop(each.key, said, now=clock())
            continue
        if failed_in_a_row[each.channel] >= TRIES or (each.incident, each.channel) in blocked:
            continue
        payload = _payload(each)
        name = f"incident {each.incident}, {_named(each, payload)}"
        try:
            channel.deliver(payload)
        except Exception as error:  # whatever a service does, the others are told
            is_ours = isinstance(error, DeliveryError)
            said = str(error) if is_ours else f"channel {each.channel}: {type(error).__name__}: {error}"
            say(f"{name}: {said}")
            store.alerts.untold(each.key, said)
            failed_in_a_row[each.channel] += 1
            blocked.add((each.incident, each.channel))
            continue
        failed_in_a_row[each.channel] = 0
        store.alerts.told(each.key, now=clock())
        say(f"{name}: told on {each.channel}")
        delivered += 1
    return Delivered(delivered, len(store.alerts.outbox("due")))


def _payload(given: AlertNotice) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], json.loads(given.payload or "{}"))


def _named(given: AlertNotice, payload: Mapping[str, Any]) -> str:
    """What the notice is called where it is read: whoever hears of an incident first hears of it as open."""
    return str(payload.get("notice", {}).get("transition", given.transition))


def _first(notice: Notice) -> Notice:
    """The notice as the first of its incident: `worse:page:2` becomes `open:page:2`."""
    word, *_, number = notice.transition.split(":")
    return replace(notice, transition=f"open:{notice.incident.severity}:{number}") if word in LATER else notice


def _is_muted(notice: Notice, now: Standing) -> bool:
    case = now.cases.get(notice.incident.incident_id)
    if case is None:
        return False
    is_repeat = notice.transition.split(":")[0] == "repeat"
    return case.incident.silenced_until is not None or (is_repeat and bool(case.incident.acked_by))
