"""What the signal health page says: figures beside their limits, what is withheld, since when. SIGNALS, READOUT."""

import math
from collections.abc import Mapping, Sequence
from datetime import date

from analysis import words
from analysis.readout import CheckState, Judged, Measure, Withholds
from analysis.words import health

GLYPHS: Mapping[CheckState, str] = {"pass": "●", "warn": "!", "fail": "⊘", "unknown": "?", "not_applicable": "–"}
STATES: Mapping[CheckState, str] = {
    "pass": "passes", "warn": "to look at", "fail": "fails", "unknown": "unknown", "not_applicable": "not applicable"
}  # fmt: skip
EVERY = "All experiments"
ALL_UNITS, OTHERS = "All", "Other checks"
KEY = (
    "● passes, ! is to be looked at, ⊘ fails. ? is unknown: too little data, which is no pass. – does not apply here. "
    "A check that looks at browsers one by one has a square for each; the others have one for all."
)
MATRIX_KEY = (
    "● passes, ! is to be looked at, ⊘ fails. ? is unknown: too little data, which is no pass. – does not apply here. "
    "Checks that ask nothing of anybody in any experiment are counted in the last column."
)
EVERY_CHECK, DRIFT, WHICH = "Every check", "Has the shop changed meanwhile?", "Where to look"
DRIFT_KEY = (
    "Control's last seven days against the 28 days before the start. Dark: population stability index; the black tick "
    "is where it is to be looked at. Pale: Jensen–Shannon divergence, 0 for no change to 1 for nothing in common. "
    "Drift withholds nothing: both arms live in the same shop."
)
NO_DRIFT = "There is nothing to compare: {cause}"
BREACH: Mapping[str, str] = {
    "SH-01": "the split is off",
    "SH-02": "add-to-cart is missing",
    "SH-03": "items are missing in the catalogue",
    "SH-04": "rows are repeated",
    "SH-05": "rows come late",
    "SH-06": "clocks are ahead",
    "SH-07": "units are in two arms",
    "SH-08": "events are out of order",
    "SH-09": "logged arms are not the computed ones",
    "SH-10": "the arms do not meet the module alike",
    "SH-11": "there are many bots, or one arm has more of them",
    "SH-12": "visitors share ids",
    "SH-13": "rows are missing",
    "SH-14": "outcomes do not fit together",
    "SH-15": "the arms differed before they began",
    "SH-16": "a variant is not registered",
    "SH-17": "stock is unknown or old",
    "SH-18": "one visitor pushed an item",
    "SH-19": "the catalogue has gaps",
    "drift": "the shop has changed since the start",
    "contract": "rows break the contract",
}
"""What is wrong, in a few words, where the check does not pass."""
ON_FAILURE: Mapping[str, str] = {
    "SH-02": "the metrics that count add-to-carts",
    "SH-03": "every view by item category",
    "SH-04": "all results where one arm has more repeated slots than another",
    "SH-11": "all results where one arm has more bots or own people than another",
    "SH-14": "the metrics of orders or of clicks, whichever do not fit",
    "SH-17": "the metrics of what is out of stock",
    "SH-19": "the metrics that add up margins",
}
"""What a failure withholds where it is neither all nor nothing."""
ALSO, OPEN_READOUT, NO_READING = "Also in", "Open its readout", "no reading yet"
NOT_LINKED = "Units that identity rows link to another arm are left out by a refresh, not here."
PARAMETERS_UNKNOWN = "Its parameters ($…) are of a phase that is not registered here any more."


def headline(passed: int, judged: int, bad: Sequence[tuple[CheckState, str]], unknown: int) -> str:
    """`18 of 19 pass; add-to-cart is missing on Safari`: the first of `bad` in words, the others counted."""
    if judged == 0:
        return "No check applies"
    told = f"All {judged} pass" if passed == judged else f"{passed or 'None'} of {judged} pass"
    parts = [bad[0][1]] if bad else []
    fails = sum(state == "fail" for state, _ in bad[1:])
    looks = sum(state == "warn" for state, _ in bad[1:])
    parts += [f"{fails} more {'fails' if fails == 1 else 'fail'}"] if fails else []
    parts += [f"{looks} {'more ' if bad[0][0] == 'warn' else ''}to look at"] if looks else []
    parts += [f"{unknown} unknown"] if unknown else []
    return "; ".join([told, *parts])


def breach(check: str, label: str, browsers: Sequence[str]) -> str:
    """What is wrong and in which browsers, where it is not in all."""
    told = BREACH.get(check, words.inside(label))
    return f"{told} on {words.listed([health.browser(each) for each in browsers])}" if browsers else told


def shop(withheld: int, failing: int, looked: int, total: int) -> str:
    """The headline over all experiments with a reading; each is counted once, where it is worst."""
    if total == 0:
        return "No experiment has a reading yet"
    parts = [f"{withheld} withheld"] if withheld else []
    parts += [f"{failing} with a failing check"] if failing else []
    parts += [f"{looked} with something to look at"] if looked else []
    if not parts:
        return f"The signals of {'the one experiment' if total == 1 else f'all {total} experiments'} are in order"
    rest = total - withheld - failing - looked
    told = [f"{total} experiment{'' if total == 1 else 's'}: {parts[0]}", *parts[1:]]
    return ", ".join([*told, *([f"{rest} in order"] if rest else [])])


def withheld_now(metrics: Sequence[str], dimensions: Sequence[str], *, everything: bool) -> str:
    """What the failing checks withhold together, beneath the headline."""
    if everything:
        return "All results are withheld: no metric is shown, exported or sent until this is mended."
    what = [words.inside(label) for label in metrics]
    what += [f"every view by {words.pretty(name).lower()}" for name in dimensions]
    if not what:
        return "Nothing is withheld because of the signals."
    return f"Not shown until this is mended: {words.listed(what)}. Everything else is."


def withholds(check: str, now: Withholds | None, *, blocking: bool, state: CheckState) -> str:
    """What one check withholds, now or if it failed."""
    if now is not None:
        if now.everything:
            return "Withholds all results"
        what = [words.inside(label) for label in now.metrics]
        what += [f"every view by {words.pretty(name).lower()}" for name in now.dimensions]
        return f"Withholds {words.listed(what)}" if what else "Withholds nothing: no metric here is concerned"
    partly = ON_FAILURE.get(check, "all results" if blocking else None)
    if state == "fail" or partly is None:
        return "Withholds nothing"
    return "" if state == "not_applicable" else f"If it failed, it would withhold {partly}"


# --- figures beside their limits -------------------------------------------------------------------------


def figure(value: float, unit: Measure) -> str:
    """A figure as printed."""
    match unit:
        case "share" | "chance":
            return health.share(value)
        case "change":
            sign = "+" if value > 0 else words.MINUS if value < 0 else ""
            return f"{sign}{health.share(abs(value))}"
        case "odds":
            return health.odds(value) if value >= 1 else "under 1 to 1"
        case "hours":
            return age(value)
        case "days":
            return f"{words.whole(round(value))} day{'' if round(value) == 1 else 's'}"
        case "index":
            if 0 < value < 0.001:
                return "< 0.001"
            return f"{value:.3f}" if 0 < value < 0.1 else f"{value:.2f}" if value else "0"
        case "deviations":
            return f"{value:.1f}".replace("-", words.MINUS)


def age(hours: float) -> str:
    """`23 h 58 min`, `6 h`."""
    minutes = math.floor(hours * 60 + 1e-9)
    rest = f" {minutes % 60} min" if minutes % 60 else ""
    return f"{words.whole(minutes // 60)} h{rest}"


def limits(found: Judged) -> str:
    """`to look at from 1%, fails from 5%`; one side alone where there is no other."""
    parts = []
    if found.warn is not None:
        parts.append(f"to look at {_from(found, found.warn)}")
    if found.fail is not None:
        parts.append(f"fails {_from(found, found.fail)}")
    return ", ".join(parts)


def _from(found: Judged, limit: float) -> str:
    if found.unit == "share" and 0 < limit < 1e-9:
        return "as soon as there is any"
    return f"{'from' if found.worse == 'above' else 'below'} {figure(limit, found.unit)}"


def trend(measure: str, first: tuple[str, str], last: tuple[str, str]) -> str:
    """The trend line for those who hear it: (ISO day, figure) of its first and last point."""
    (since, was), (until, now) = first, last
    return f"{words.sentence_case(measure)}: {was} on {_day(since)}, {now} on {_day(until)}"


def since(day: str) -> str:
    """The day in the data on which it began."""
    return f"Since {_day(day)}"


def since_reading(day: str, *, first: bool) -> str:
    """The first reading of those in a row that say so; `first` when there is none before it."""
    return f"Since the first reading, of {_day(day)}" if first else f"Since the reading of {_day(day)}"


def readings(count: int, since: str) -> str:
    """How far back the trends go."""
    return f"{words.whole(count)} since {_day(since)}" if count > 1 else "one so far, so no trends yet"


def _day(iso: str) -> str:
    return words.day(date.fromisoformat(iso[:10]))


# --- SQL, drift ------------------------------------------------------------------------------------------


def sql_of(label: str, count: int) -> str:
    """What opens the queries of a check."""
    return f"SQL of “{label}”" if count == 1 else f"SQL of “{label}”: {count} queries"


def run_it_on(path: str) -> str:
    """The first line above a query that can be run again."""
    return f"{path}, for DuckDB's shell on the shop's warehouse file (duckdb -readonly warehouse.duckdb)"


def distribution(name: str, what: str, module: str) -> str:
    """`Page categories of the slots on homepage`."""
    where = "" if module == "(site)" else f" on {words.inside(words.pretty(module))}"
    return words.sentence_case(f"{name or words.inside(words.pretty(what))}{where}")


def others(passed: int) -> str:
    """What stands in the last column of the matrix."""
    return f"{passed} {'passes' if passed == 1 else 'pass'}, the rest does not apply"
