"""The signal health of one reading, and of all experiments: headlines, squares, and each check as a row."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import words
from analysis.pages.views.listing import Registration
from analysis.pages.views.shared import instant
from analysis.readout import Check, CheckState, Readout, Withholds
from analysis.signals.charts import Moved, Square
from analysis.signals.past import WORST_FIRST, Past, began, trend
from analysis.signals.sparkline import Sparkline, sparkline
from analysis.words import health, pages, signals
from analysis.words import trust as say

LOUD: tuple[CheckState, ...] = ("fail", "warn")
QUIET: tuple[CheckState, ...] = ("pass", "not_applicable")
DRIFT = "drift"


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """Those that fail first, those without an object last; in their own order otherwise."""
    return sorted(checks, key=lambda check: WORST_FIRST.index(check.state))


# --- one reading -----------------------------------------------------------------------------------------


def headline(checks: Sequence[Check]) -> str:
    """`18 of 19 pass; add-to-cart is missing on Safari`."""
    judged = [check for check in checks if check.state != "not_applicable"]
    bad = [
        (check.state, say.breach(check.id, check.label, _where(check)))
        for check in worst_first(judged)
        if check.state in LOUD
    ]
    unknown = sum(check.state == "unknown" for check in judged)
    return say.headline(len(judged) - len(bad) - unknown, len(judged), bad, unknown)


def _where(check: Check) -> list[str]:
    """The browsers that are as bad as the check, where others are not."""
    bad = [name for name, state in check.browsers.items() if state == check.state]
    return bad if len(bad) < len(check.browsers) else []


def facts(reading: Readout, past: Sequence[Past]) -> tuple[tuple[str, str], ...]:
    """What identifies the reading, and how many there are before it."""
    seen = None if reading.data_as_of is None else instant(reading.data_as_of)
    return (
        ("Experiment", f"{reading.experiment.name}, phase {reading.phase}"),
        ("Data", pages.data_as_of(seen)),
        ("Readings", say.readings(len(past), past[0].as_of)),
        ("Snapshot", reading.snapshot_id),
    )


def imported_whole(reading: Readout) -> bool:
    """Whether the run was over before anyone looked: then the split was judged once, by its chance."""
    return any(check.figures.get("judged_by") == "chi_square" for check in reading.checks)


def withheld_now(reading: Readout) -> str:
    """What the failing checks withhold together."""
    held = [check.withholds for check in reading.checks if check.withholds is not None]
    metrics = list(dict.fromkeys(label for each in held for label in each.metrics))
    dimensions = list(dict.fromkeys(name for each in held for name in each.dimensions))
    return say.withheld_now(metrics, dimensions, everything=reading.withheld)


@dataclass(frozen=True, slots=True)
class Grid:
    """Squares with the names of their rows and columns, and all of it in words."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    squares: tuple[Square, ...]
    description: str


def grid(checks: Sequence[Check]) -> Grid:
    """Check × browser: the first column is the check's own state, the others those of the browsers it looks at."""
    ordered = worst_first(checks)
    names = sorted({name for check in checks for name in check.browsers}, key=lambda name: (name == "(none)", name))
    shown = {name: words.sentence_case(health.browser(name)) for name in names}
    squares = []
    for check in ordered:
        squares.append(Square(check.label, say.ALL_UNITS, check.state, check.sentence, say.STATES[check.state]))
        squares += [Square(check.label, shown[name], state, "") for name, state in check.browsers.items()]
    told = "; ".join(_told(check, shown) for check in ordered)
    columns = (say.ALL_UNITS, *(shown[name] for name in names))
    return Grid(tuple(check.label for check in ordered), columns, tuple(squares), f"Signal checks by browser. {told}.")


def _told(check: Check, shown: dict[str, str]) -> str:
    browsers = [f"{shown[name]} {say.STATES[state]}" for name, state in check.browsers.items()]
    own = f"{check.label}: {say.STATES[check.state]}"
    return f"{own} ({', '.join(browsers)})" if browsers else own


@dataclass(frozen=True, slots=True)
class Row:
    """One check, ready to print. `sql` are paths."""

    check: Check
    glyph: str
    state: str
    values: tuple[tuple[str, str, str, bool], ...]  # measure, value, limits, whether it is beyond one
    line: Sparkline | None  # the trend
    since: str
    withholds: str
    also: tuple[tuple[str, str], ...]  # key and name of other experiments with the same state or a worse one
    sql: tuple[str, ...]


def rows(reading: Readout, past: Sequence[Past], others: Sequence[Registration]) -> tuple[Row, ...]:
    """Every check, the worst first; `past` are this phase's readings up to this one, oldest first."""
    return tuple(_row(check, reading, past, others) for check in worst_first(reading.checks))


def _row(check: Check, reading: Readout, past: Sequence[Past], others: Sequence[Registration]) -> Row:
    found = trend(check, past)
    return Row(
        check=check,
        glyph=say.GLYPHS[check.state],
        state=say.STATES[check.state],
        values=tuple(
            (words.sentence_case(each.measure), say.figure(each.value, each.unit), say.limits(each), each.state in LOUD)
            for each in check.judged
        ),
        line=None if found is None else sparkline(found),
        since=_since(check, past),
        withholds=say.withholds(check.id, _holding(check, reading), blocking=check.blocking, state=check.state),
        also=tuple((each.key, each.name) for each in others if _shares(each, check, reading.experiment.key)),
        sql=(*((check.sql,) if check.sql else ()), *check.more_sql),
    )


def _holding(check: Check, reading: Readout) -> Withholds | None:
    """What it withholds; of a reading from before checks told, everything where the verdict names the check."""
    if check.withholds is None and any(each.check == check.id for each in reading.verdict.because if reading.withheld):
        return Withholds(everything=True)
    return check.withholds


def _since(check: Check, past: Sequence[Past]) -> str:
    if check.state not in LOUD:
        return ""
    if check.since is not None:
        return say.since(check.since)
    first = began(check, past)
    return "" if first is None else say.since_reading(first.day, first=first.first)


def _shares(each: Registration, check: Check, own: str) -> bool:
    if each.key == own or each.reading is None or check.state not in LOUD:
        return False
    return any(other.id == check.id and other.state in LOUD for other in each.reading.checks)


# --- drift -----------------------------------------------------------------------------------------------


def drifts(checks: Sequence[Check]) -> tuple[Moved, ...]:
    """Every distribution by module, those of a module together, the one that moved most first."""
    check = next((check for check in checks if check.id == DRIFT), None)
    if check is None:
        return ()
    limit = next((each.warn for each in check.judged if each.figure == "psi"), None)
    moved = []
    for group in check.groups:
        what, module, psi, js = (group.get(name) for name in ("distribution", "module", "psi", "js"))
        if isinstance(psi, float | int) and isinstance(js, float | int):
            name = say.distribution(signals.DISTRIBUTIONS.get(str(what), ""), str(what), str(module))
            moved.append((str(module), Moved(name, psi, js, limit, words.pretty(str(group.get("moved_most"))))))
    most = {module: max(each.psi for at, each in moved if at == module) for module, _ in moved}
    return tuple(each for _, each in sorted(moved, key=lambda pair: (-most[pair[0]], pair[0], -pair[1].psi)))


def drift_told(moved: Sequence[Moved]) -> str:
    """The picture in words."""
    told = "; ".join(f"{each.name}: stability index {say.figure(each.psi, 'index')}" for each in moved)
    return f"How far control's days moved from those before the start. {told}."


def no_drift(checks: Sequence[Check]) -> str:
    """Why there is nothing to draw; empty where the check is not there at all."""
    return next((check.sentence for check in checks if check.id == DRIFT), "")


# --- all experiments -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """One experiment in the list: its headline, or that there is no reading."""

    key: str
    name: str
    kind: str  # of its state, for its look
    glyph: str
    state: str
    told: str


@dataclass(frozen=True, slots=True)
class Shop:
    """All experiments, the worst first. `grid` is None where nothing was read."""

    headline: str
    grid: Grid | None
    listed: tuple[Listed, ...]


def shop(registered: Sequence[Registration]) -> Shop:
    """Experiment × check; checks that ask nothing of anybody are counted in one column."""
    read = [(each, each.reading) for each in registered if each.reading is not None]
    read.sort(key=lambda pair: (_badness(pair[1]), pair[0].name))
    unread = [each for each in registered if each.reading is None]
    states = [_state(reading) for _, reading in read]
    withheld = sum(reading.withheld for _, reading in read)
    failing = sum(state == "fail" and not reading.withheld for state, (_, reading) in zip(states, read, strict=True))
    title = say.shop(withheld, failing, sum(state == "warn" for state in states), len(read))
    listed = [
        Listed(
            each.key, each.name, state, say.GLYPHS[state], say.STATES[state],
            f"{headline(reading.checks)}. {withheld_now(reading) if reading.withheld else ''}".strip(),
        )
        for (each, reading), state in zip(read, states, strict=True)
    ]  # fmt: skip
    listed += [Listed(each.key, each.name, "unread", "○", say.NO_READING, "") for each in unread]
    return Shop(title, _matrix(read) if read else None, tuple(listed))


def _badness(reading: Readout) -> tuple[int, int, int, int]:
    counts = [sum(check.state == state for check in reading.checks) for state in ("fail", "warn", "unknown")]
    return (0 if reading.withheld else 1, -counts[0], -counts[1], -counts[2])


def _state(reading: Readout) -> CheckState:
    """The worst state that asks something of somebody; unknown only where nothing passes."""
    states = {check.state for check in reading.checks}
    return next((state for state in ("fail", "warn") if state in states), "pass" if "pass" in states else "unknown")


def _matrix(read: Sequence[tuple[Registration, Readout]]) -> Grid:
    labels: dict[str, str] = {}
    worst: dict[str, int] = {}
    for _, reading in read:
        for check in reading.checks:
            labels[check.id] = check.label
            place = WORST_FIRST.index(check.state)
            worst[check.id] = min(worst.get(check.id, place), place)
    loud = [key for key in sorted(labels, key=lambda key: worst[key]) if WORST_FIRST[worst[key]] not in QUIET]
    squares: list[Square] = []
    names = _unlike([each for each, _ in read])
    for name, (_, reading) in zip(names, read, strict=True):
        squares += [
            Square(name, labels[check.id], check.state, check.sentence) for check in reading.checks if check.id in loud
        ]
        passed = sum(check.state == "pass" and check.id not in loud for check in reading.checks)
        state: CheckState = "pass" if passed else "not_applicable"
        squares.append(Square(name, say.OTHERS, state, say.others(passed), str(passed) if passed else ""))
    told = "; ".join(f"{each.name}: {headline(reading.checks)}" for each, reading in read)
    columns = (*(labels[key] for key in loud), say.OTHERS)
    return Grid(tuple(names), columns, tuple(squares), f"Signal checks by experiment. {told}.")


def _unlike(registered: Sequence[Registration]) -> list[str]:
    """Names, with the key behind those that several experiments have."""
    names = [each.name for each in registered]
    return [f"{each.name} ({each.key})" if names.count(each.name) > 1 else each.name for each in registered]
