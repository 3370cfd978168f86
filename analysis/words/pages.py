"""What the pages say beside the verdict: headlines, headers, empty and stale states. READOUT."""

from collections.abc import Sequence
from datetime import date, datetime

from analysis import words
from analysis.readout import Readout

ROLES = {"success": "To be improved", "guardrail": "Guardrail", "secondary": "Also watched", "descriptive": "Described"}
GROUPS = {**ROLES, "guardrail": "Guardrails", "descriptive": "Described only"}  # headings over several
OPEN_HEALTH = "Every check with its limit, its trend and its SQL"
OPEN_NEWEST = "Open the newest reading"
NO_CELL = "No cell of this slice is better or worse beyond doubt. Show all cells to see the ranges."
WITHHELD_PAGE = "No metric is shown, exported or sent while this check fails."
NOT_MEASURED = "not measured yet"
HEAT_MAP_KEY = (
    "Each cell: what it reads and its range. Blue is better, orange is worse, darker is more. Grey is noise: ~ ±€900 "
    "means at most that much, up or down. Totals have ranges of their own."
)
FOREST_KEY = (
    "Bar: the likely range. Dashed line: no change. Black tick: the limit you set; a guardrail's bar ends at the worst "
    "that is likely, and it is inside its limit when that lies before the tick."
)
LIMIT_KEY = (
    "A guardrail is judged by one bound, the worst that is likely, which stands beside its limit. Its range has two "
    "ends and is therefore a little wider."
)
BAND_KEY = (
    "The likely range of the change, with everything up to the end of each day in it. The axis ends at the planned end."
)
NO_BAND = "No metric has a range for any day yet."
NO_SLICES = "This reading was not cut into slices. Declare some in slices.yml before the next phase starts."
ROWS_KEY = "Bar: the likely range, for all rows at once. A grey bar without a mark is noise: its range holds zero."


def waiting(
    decisions: int,
    *,
    alerts: Sequence[str] = (),
    blocked: int = 0,
    running: int = 0,
    done: int = 0,
    unread: int = 0,
) -> str:
    """`2 decisions waiting · 1 incident (€48k/day) · 3 still running`; what is zero is left out, but the decisions."""
    first = f"{decisions or 'No'} decision{'s' if decisions > 1 else ''} waiting"
    rest = (
        (running, "still running"),
        (blocked, "blocked"),
        (done, "as it should be"),
        (unread, "without a reading yet"),
    )
    return " · ".join([first, *alerts, *(f"{count} {name}" for count, name in rest if count)])


def day_of(n: int, planned: int | None) -> str:
    """`day 14 of 28`."""
    return f"day {words.whole(n)}" if planned is None else f"day {words.whole(n)} of {words.whole(planned)}"


def left(n: int, planned: int | None) -> str | None:
    """`14 days left`; None without a planned end or after it."""
    rest = (planned or 0) - n
    return None if rest <= 0 else f"{words.whole(rest)} day{'' if rest == 1 else 's'} left"


def dates(started_on: date, ends_on: date | None, *, finished: bool) -> str:
    """`1 December 2026, planned to 29 December 2026`."""
    start = words.day(started_on)
    if ends_on is None:
        return f"since {start}, no planned end"
    return f"{start} to {words.day(ends_on)}" if finished else f"since {start}, planned to {words.day(ends_on)}"


def data_as_of(moment: datetime | None) -> str:
    """`data as of 14 December 2026, 23:41 UTC`."""
    return "no data yet" if moment is None else f"data as of {words.day(moment.date())}, {moment:%H:%M} UTC"


def stale(days: int) -> str:
    """How old the newest reading of a running experiment is."""
    return f"data {words.whole(days)} day{'' if days == 1 else 's'} old"


def stale_notice(days: int, key: str) -> str:
    """What to do about it."""
    return f"This reading is old: {stale(days)}. Load the newer logs and run `truelift refresh {key}`."


def no_experiment(asked: str, nearest: Sequence[str]) -> str:
    """The address names an experiment the shop does not have."""
    near = f" Did you mean {words.listed(nearest)}?" if nearest else ""
    return f"No experiment {asked} is registered in this shop.{near}"


def no_option(what: str, asked: str, shown: str) -> str:
    """The address asks for something this reading does not have."""
    return f"The address asks for the {what} {asked}, which this reading does not have. Shown instead: {shown}."


def no_reading(key: str) -> str:
    """Registered, nothing published."""
    return f"{key} has no reading yet. Start it, load its logs, then run `truelift refresh {key}`."


def no_snapshot(snapshot_id: str) -> str:
    """The address names a snapshot that is not kept, or not this experiment's."""
    return f"The reading {snapshot_id} is not kept here any more. Shown instead: the newest one."


def superseded(found: Readout, newest: Readout) -> str:
    """A reading that is not its phase's newest: since when, and what the newest one says."""
    since = f" on {_day_of(newest.published_at)}" if newest.published_at else ""
    verdict = words.verdict_name(newest.verdict.code, newest.verdict.sentence)
    published = f", published on {_day_of(found.published_at)}" if found.published_at else ""
    return f"This is an earlier reading{published}. It was superseded{since}: the newest reading says {verdict}."


def _day_of(instant: str) -> str:
    return words.day(datetime.fromisoformat(instant).date())


def health(blocking: Sequence[str], warned: int, unknown: int, judged: int) -> str:
    """One line on the checks: what blocks, else how many pass."""
    if blocking:
        return f"Blocked: {words.listed([words.inside(name) for name in blocking])}"
    passed = judged - warned - unknown
    parts = [f"{passed} of {judged} pass"]
    parts += [f"{warned}\u00a0to\u00a0look\u00a0at"] if warned else []
    parts += [f"{unknown}\u00a0unknown"] if unknown else []
    return ", ".join(parts)


def trust(health: str) -> str:
    """The heading of the checks; `health` is their one line."""
    return f"Can the numbers be trusted? {health}"


def more_groups(count: int) -> str:
    """What a table of offending groups leaves out."""
    return f"and {words.whole(count)} more"


def quiet_checks(passed: int, not_applicable: int) -> str:
    """What opens the checks that ask nothing of anybody: `The 11 checks that pass and the one that does not apply`."""
    parts = []
    if passed:
        parts.append("the check that passes" if passed == 1 else f"the {passed} checks that pass")
    if not_applicable:
        what = "the one" if parts else "the check"
        some = f"the {not_applicable}" if parts else f"the {not_applicable} checks"
        parts.append(f"{what} that does not apply" if not_applicable == 1 else f"{some} that do not apply")
    return words.sentence_case(words.listed(parts))


def cells(gains: int, losses: int, noise: int, others: int) -> str:
    """`2 of 20 cells are better, 1 is worse; 12 are noise and 5 need more data.`"""
    total = gains + losses + noise + others
    is_are = "is" if losses == 1 else "are"
    text = f"{gains or 'None'} of {total} {'cell' if total == 1 else 'cells'} {'is' if gains == 1 else 'are'} better"
    text += f", {losses or 'none'} {is_are} worse"
    rest = [f"{noise} {'is' if noise == 1 else 'are'} noise"] if noise else []
    rest += [f"{others} {'is' if others == 1 else 'are'} not clear yet"] if others else []
    return f"{text}; {' and '.join(rest)}." if rest else f"{text}."


def extreme(word: str, where: str, span: str, *, per_day: bool) -> str:
    """`Best: decor on homepage, +€500 to +€2,500 a day.`"""
    return f"{word}: {where}, {span}{' a day' if per_day else ''}."


def day_by_day(label: str) -> str:
    """The heading of a cumulative band."""
    return f"{label}, day by day"


def next_reading(day: str) -> str:
    """When the verdict is read next; `day` is an ISO date."""
    return f"Next reading on {words.day(date.fromisoformat(day))}."


def noise(est: float, lo: float | None, hi: float | None, *, unit: words.ValueUnit, currency: str) -> str:
    """`~ ±€900`: how far from zero a noise cell's range reaches, on either side; no point in its middle."""
    reach = max(abs(est if bound is None else bound) for bound in (lo, hi))
    return f"~ ±{words.figures(reach, lo, hi, unit=unit, currency=currency, signs='minus').est}"
