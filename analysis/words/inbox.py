"""What the alerts inbox says beside its incidents: headlines, whether monitoring is alive, actions, empty states."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from analysis import words
from analysis.alerts.course.acts import WHY, Act, ActKind
from analysis.alerts.model import Resolution
from analysis.words.notices import fail, money, number

NEVER = "The alerts never ran"
NEVER_COMMANDS = ("validate", "tick")
DOWN = "Monitoring is down"
NOTHING = {
    "open": "Nothing loses money beyond doubt.",
    "watch": "Nothing is watched: no loss is too small or too new to be told.",
    "silenced": "Nothing is silenced.",
    "resolved": "Nothing was resolved in the last weeks.",
}
TABS = {"open": "Open", "watch": "Watch", "silenced": "Silenced", "resolved": "Resolved"}
BUDGET_MISSING = (
    "money.yml has no loss_budget, so no loss can be judged. Write what may be lost to regressions in 30 days."
)
PAGES_ARE_OFF = "Pages are off: the most that is told is a ticket"
PAGES_OFF = f"{PAGES_ARE_OFF}. `truelift alerts replay` shows how many would have been false."
NO_REPLAY = (
    "no holdout is published, and a replay plays nothing else: how many pages would have been false is not known, "
    "which is not none. So register a holdout in holdouts/, and `truelift tick` publishes its buckets; or write "
    "`pages: true` into money.yml on your own responsibility, because an experiment's evidence (e ≥ 20, always valid) "
    "needs no replay"
)
PAGES_OFF_NO_REPLAY = f"{PAGES_ARE_OFF}, and {NO_REPLAY}."
NOBODY_TOLD = (
    "Nobody is told of an incident: there is no notify.yml that names anybody. Until there is, this page is where it "
    "stands."
)
WHY_NOT = "Why nobody was alerted"
WHY_NOT_TOLD = "Choose a place to see what was read there last, and what stands between it and an alert."
NOTHING_READ = "No place was read yet."
TOLD = "It is told."
OPEN_INBOX = "Open the alerts inbox"
ONE_ONLY = "Only this incident is shown."
EVERY = "Show all incidents"
MAY_BE_NONE, NOTHING_NOW, NOTHING_YET, NOTHING_AT_ALL = "it may be none", "nothing now", "nothing yet", "nothing"
NOT_CONFIRMED = "not confirmed yet"
THE_WHOLE = "The incident that it is part of"
THIS_INCIDENT = "Link to this incident"
TAKES_EFFECT = "The page shows it already; what is told follows it from the next run on."
CELL_HEADINGS = ("Where", "What changed", "Loses a day", "Evidence", "Compared")
CELL_HEADINGS_OVER = ("Where", "What changed", "Lost a day", "Evidence", "Compared")
REASON_HEADINGS = ("Metric", "Compared", "What was read")
CODES: Mapping[Resolution, str] = {
    "real_regression": "A real regression",
    "data_issue": "A data issue",
    "expected_change": "An expected change",
    "no_cause_found": "No cause found",
}
ACTIONS: Mapping[ActKind, tuple[str, str]] = {  # what the button says, and what it does
    "ack": ("Acknowledge", "Somebody looks at it: it is not told again until it gets worse or costs twice as much."),
    "silence": ("Silence", "Nothing is told of it until then; it goes on being read, and what it loses is summed."),
    "unsilence": ("End the silence", "It is told again."),
    "resolve": ("Resolve", "It is over. What it was counts for its rule."),
}
FIELDS = {"reason": "Why", "author": "Your name", "code": "What was it?"}
AFTERWARDS = ("Say what it was", "What it was counts for its rule: one that is wrong too often wakes nobody any more.")
DID: Mapping[ActKind, str] = {
    "ack": "Acknowledged",
    "silence": "Silenced",
    "unsilence": "No longer silenced",
    "resolve": "Resolved",
}
SILENCES = {
    "4 hours": timedelta(hours=4),
    "1 day": timedelta(days=1),
    "3 days": timedelta(days=3),
    "1 week": timedelta(days=7),
    "4 weeks": timedelta(days=28),
}


def incidents(count: int, expected: int, currency: str, digits: int) -> str:
    """`1 incident (€48k/day)`, `No incident`; without an amount where nothing is lost now."""
    if not count:
        return "No incident"
    told = f"{words.whole(count)} incident{'' if count == 1 else 's'}"
    return f"{told} ({money(expected, currency, digits)}/day)" if expected > 0 else told


def headline(first: str, others: Sequence[tuple[int, str]]) -> str:
    """`1 incident (€48k/day) · 1 held · 2 silenced · 3 watched`; what is zero is left out, but for the incidents."""
    return " · ".join([first, *(f"{words.whole(count)} {name}" for count, name in others if count)])


def never_told(minutes: int, *, has_budget: bool) -> str:
    """What is still to do where the alerts never ran."""
    calls = (
        f"et a scheduler call `truelift tick` every {every(minutes)}: it publishes what the alerts read, and runs them."
    )
    first = "L" if has_budget else "Say in money.yml what may be lost (loss_budget), and l"
    return f"Nobody watches what is lost. {first}{calls}"


def down(since: datetime, now: datetime, minutes: int, error: str) -> str:
    """Since when nothing looked, and what went wrong."""
    told = (
        f"The last run that looked ended on {when(since)}, {ago(now - since)} ago, and one is due every "
        f"{every(minutes)}. What is shown here may be over, and what is wrong may be missing."
    )
    return f"{told} The newest run failed: {error}" if error else f"{told} See whether the scheduler runs."


def no_data_came(read: datetime | None, error: str) -> str:
    """A run looked, and found nothing that is new enough."""
    if read is None:
        return f"There is nothing to look at yet: no data came. The newest run said: {error}"
    told = (
        f"The newest run looked at data to {when(read)}; since then no data came. What is shown here may be over, and "
    )
    return f"{told}what is wrong may be missing. It said: {error}"


def never_ended(error: str, read: datetime | None) -> str:
    """Runs there were, and none came to its end with data of its time."""
    if read is not None:
        ended = f"The newest run failed: {error}" if error else "The run after that has not ended yet."
        return f"What is shown here is of data to {when(read)}. {ended}"
    return f"No run has looked at anything yet. The newest one failed: {error}" if error else "No run has ended yet."


def looked(at: datetime, now: datetime, read: datetime | None) -> str:
    """`Last looked 12 minutes ago, at data to 14 December 2026, 06:00 UTC.`"""
    to = "" if read is None else f", at data to {when(read)}"
    return f"Last looked {ago(now - at)} ago{to}."


def undelivered(count: int) -> str:
    """Notices that nobody got."""
    are = "notice is" if count == 1 else "notices are"
    return f"{words.whole(count)} {are} not delivered yet. The next run tries again; `truelift alerts run` says why."


def gone(incident_id: str) -> str:
    """The address names an incident that is not kept."""
    return f"Incident {incident_id} is not kept here. Resolved ones are kept for five weeks."


def ago(age: timedelta) -> str:
    """`12 minutes`, `5 hours`, `3 days`: whole, rounded down, at least a minute."""
    minutes = max(1, int(age.total_seconds() // 60))
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            count = minutes // size
            return f"{words.whole(count)} {name}{'' if count == 1 else 's'}"
    raise AssertionError("at least a minute")


def every(minutes: int) -> str:
    """`15 minutes`, `hour`, `6 hours`."""
    return f"{minutes} minutes" if minutes < 60 else "hour" if minutes == 60 else f"{minutes // 60} hours"


def when(moment: datetime) -> str:
    """`14 December 2026, 06:00 UTC`."""
    return f"{words.day(moment.date())}, {moment:%H:%M} UTC"


def done(kind: ActKind, title: str) -> str:
    """What somebody just did."""
    return f"{DID[kind]}: {title}. {TAKES_EFFECT}"


def unfilled(act: Act) -> tuple[str, ...]:
    """What a form still asks for, by its labels."""
    found = []
    if act.kind == "resolve" and act.code is None:
        found.append(f"“{FIELDS['code']}” is not answered: choose one.")
    if not act.reason.strip():
        found.append(f"“{FIELDS['reason']}” is empty: say why you {WHY[act.kind]}.")
    if not act.author.strip():
        found.append(f"“{FIELDS['author']}” is empty: say who does it.")
    return tuple(found)


def refused(told: str) -> str:
    """A refusal with the labels of the form in place of what the command line calls them."""
    for code, label in CODES.items():
        told = told.replace(code, f"“{label}”")
    return words.sentence_case(told)


def did(act: Act) -> str:
    """What somebody did, when and why."""
    told = f"{DID[act.kind]} by {act.author} on {when(act.at)}"
    told += f" until {when(act.expires_at)}" if act.expires_at is not None else ""
    told += f" as {words.inside(CODES[act.code])}" if act.code is not None else ""
    return f"{told}: {act.reason}"


def cells(count: int) -> str:
    """What opens the table of an incident's cells."""
    return "What was read there" if count == 1 else f"What was read there, {words.whole(count)} times"


def evidence(value: float, needed: float, waits_for: str) -> str:
    """`31, where 20 is enough`; `3.1 of the 20 it takes`; what it waits for."""
    if waits_for:
        return f"waits for {waits_for}"
    if value < needed:
        return f"{number(value)} of the {number(needed)} it takes"
    return f"{number(value)}, where {number(needed)} is enough"


def not_believed(checks: Sequence[str], names: Mapping[str, str]) -> str:
    """Why nothing is shown of a cell."""
    return f"Held: {fail(checks, names)} there, so its numbers are not believed. The data alert is raised."


def readout_of(key: str) -> str:
    """A link to what the comparison is of."""
    return f"Readout of {key}"
