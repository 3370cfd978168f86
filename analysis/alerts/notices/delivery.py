"""From the outbox to the channels: at least once each, in order, and what is not delivered stays. ALERTS 6.

A notice waits until its run is through. Of several bucket ends that were due at once only the final state is told: a
notice that a later one of the same incident followed is superseded, and the last says what stands now. What people did
before it left counts too: a notice of what is silenced, acknowledged or resolved by then is withdrawn.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol, cast

from analysis.alerts.course.standing import Case, Standing
from analysis.alerts.course.telling import is_muted
from analysis.alerts.job import stored
from analysis.alerts.model import SEVERITIES, Incident, Notice
from experiments.base import canonical
from experiments.errors import DeliveryError
from experiments.store import Store
from experiments.store.alerts import AlertNotice

LATER = ("worse", "repeat", "still", "doubled")  # what takes for granted that the incident is known
UNHEARD = "nobody was told there that it was open"
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

    Whoever was told nothing of an incident yet, or that it was over, hears of it as open or open again, whatever
    happened meanwhile. So does who was told nothing of it for a silence that is over by `now`, the standing with what
    people did since, and that no bucket end saw: nothing else would tell of it.
    """
    rows = store.alerts.outbox("waiting", "due", "delivered", "withdrawn")
    waiting = [each for each in rows if each.state == "waiting"]
    told_before = {(each.incident, each.channel) for each in rows if each.state in ("due", "delivered")}
    heard: dict[tuple[str, str], bool] = {}
    for each in rows:
        if each.state != "waiting":
            _remember(heard, each, is_told=each.state != "withdrawn")
    last = {(each.incident, each.channel): each for each in rows}  # in order: the last wins
    again = [each for each in last.values() if each.state == "withdrawn" and _is_owed(each, standing, now)]
    due = {}
    for each in [*waiting, *again]:
        told, case = stored.notice(each.notice), standing.cases.get(each.incident)
        if each.at < last[each.incident, each.channel].at:
            continue
        incident = told.incident if case is None or told.at == standing.at else case.incident
        told = replace(told, incident=incident, missed_runs=missed)
        place = each.incident, each.channel
        word: Literal["open", "reopen"] = "reopen" if place in told_before else "open"
        due[each.key] = canonical(dict(render(told if heard.get(place) else _first(told, word))))
    if waiting or again:
        store.alerts.release(due, [each.key for each in waiting if each.key not in due])


def deliver(
    store: Store, channels: Sequence[Channel], now: Standing, *, clock: Callable[[], datetime], say: Say
) -> Delivered:
    """Hand on whatever is due, each channel by itself and each incident in order.

    `now` is the standing with what people did: what they have dealt with is withdrawn, and so is that something is over
    where nothing was told of it for that reason.
    """
    known = {channel.name: channel for channel in channels}
    delivered = 0
    failed_in_a_row: Counter[str] = Counter()
    blocked: set[tuple[str, str]] = set()  # a later notice of an incident does not overtake an earlier one
    heard: dict[tuple[str, str], bool] = {}  # whether the channel knows that it is open; without an entry it need not
    for each in store.alerts.outbox("due", "delivered", "withdrawn"):
        place = each.incident, each.channel
        if each.state != "due":
            _remember(heard, each, is_told=each.state == "delivered")
            continue
        payload = _payload(each)
        name = f"incident {each.incident}, {_named(each, payload)}"
        channel = known.get(each.channel)
        if channel is None:
            said = f"no channel {each.channel} any more"
            say(f"{name}: {said}; it is not told there")
            store.alerts.drop(each.key, said, now=clock())
            continue
        is_unheard = _word(each) == "resolved" and heard.get(place) is False
        said = UNHEARD if is_unheard else _withdrawn(_word(each), now.cases.get(each.incident), clock())
        if said:
            say(f"{name}: not told on {each.channel}, {said}")
            store.alerts.withdraw(each.key, said, now=clock())
            _remember(heard, each, is_told=False)
            continue
        if failed_in_a_row[each.channel] >= TRIES or place in blocked:
            continue
        try:
            channel.deliver(payload)
        except Exception as error:  # whatever a service does, the others are told
            is_ours = isinstance(error, DeliveryError)
            said = str(error) if is_ours else f"channel {each.channel}: {type(error).__name__}: {error}"
            say(f"{name}: {said}")
            store.alerts.untold(each.key, said)
            failed_in_a_row[each.channel] += 1
            blocked.add(place)
            continue
        failed_in_a_row[each.channel] = 0
        store.alerts.told(each.key, now=clock())
        _remember(heard, each, is_told=True)
        say(f"{name}: told on {each.channel}")
        delivered += 1
    return Delivered(delivered, len(store.alerts.outbox("due")))


def acknowledged(store: Store, incident: Incident, *, author: str, now: datetime) -> None:
    """Withdraw what is still due of an incident that somebody acknowledges as it stands, but what is graver."""
    for each in store.alerts.outbox("due"):
        if each.incident == incident.incident_id:
            told = stored.notice(each.notice).incident
            if SEVERITIES.index(told.severity) <= SEVERITIES.index(incident.severity):
                store.alerts.withdraw(each.key, f"acknowledged by {author}", now=now)


def _payload(given: AlertNotice) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], json.loads(given.payload or "{}"))


def _named(given: AlertNotice, payload: Mapping[str, Any]) -> str:
    """What the notice is called where it is read: whoever hears of an incident first hears of it as open."""
    return str(payload.get("notice", {}).get("transition", given.transition))


def _first(notice: Notice, begins: Literal["open", "reopen"]) -> Notice:
    """The notice as the first of its incident since that began: `worse:page:2` becomes `open:page:2`."""
    word, *_, number = notice.transition.split(":")
    return replace(notice, transition=f"{begins}:{notice.incident.severity}:{number}") if word in LATER else notice


def _word(given: AlertNotice) -> str:
    return given.transition.split(":")[0]


def _withdrawn(word: str, case: Case | None, at: datetime) -> str:
    """Why a notice is not told any more; empty when it is."""
    if case is None:
        return ""
    one = case.incident
    if one.state == "resolved":
        if word == "resolved":
            return ""
        if one.resolution is not None:
            return f"resolved as {one.resolution}"
    if one.silenced_until is not None and (one.state != "resolved" or one.silenced_until > at):
        return f"silenced by {one.silenced_by} until {one.silenced_until:%Y-%m-%d %H:%M} UTC"
    return f"acknowledged by {one.acked_by}" if word == "repeat" and one.acked_by else ""


def _remember(heard: dict[tuple[str, str], bool], given: AlertNotice, *, is_told: bool) -> None:
    """What a channel knows of an incident after a notice that was told or withdrawn."""
    place = given.incident, given.channel
    if _word(given) == "resolved":
        if is_told or not heard.get(place):
            heard.pop(place, None)
    else:
        heard[place] = is_told or heard.get(place, False)


def _is_owed(given: AlertNotice, standing: Standing, now: Standing) -> bool:
    """Whether people count as told, what was last to be told was withdrawn, and nothing speaks against it any more."""
    kept, meanwhile = standing.cases.get(given.incident), now.cases.get(given.incident)
    return (
        kept is not None
        and meanwhile is not None
        and kept.told is not None
        and not is_muted(kept.incident)
        and not is_muted(meanwhile.incident)
        and not meanwhile.incident.acked_by
    )
