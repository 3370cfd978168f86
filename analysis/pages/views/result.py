"""One reading of one arm: header, cards, reasons, checks, numbers and the fine print."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files as packaged

from analysis import printed, words
from analysis.drawing import LOOKS
from analysis.pages.views.shared import comparison_of, instant, primary, span
from analysis.readout import Check, Comparison, Estimate, Figure, Interval, MetricReadout, Readout, Status, Verdict
from analysis.words import health, notes, signals, trust
from analysis.words import pages as say

SHOWN_GROUPS, FIRST_GROUPS = 10, 3  # offending groups listed under a check on its own page, and on the readout's


@dataclass(frozen=True, slots=True)
class Card:
    """One number with its range, large enough to read across a table."""

    label: str
    value: str
    detail: str
    help: str | None = None


def cards(reading: Readout, arm: str) -> tuple[Card, ...]:
    """Lift, money if shipped, what would have happened anyway, units and days. Empty when withheld."""
    if reading.withheld:
        return ()
    metric = primary(reading)
    comparison = comparison_of(metric, arm)
    anyway = (reading.questions or {}).get("anyway")
    money, units = comparison.money_per_day, sum(each.units for each in reading.arms)
    status = comparison.status
    found = [_change_card(metric.label, comparison.relative, status, "lift", "", "", _lift_help(comparison))]
    if money is not None:
        basis = money.basis if isinstance(money, Interval) else None
        worth = "Worth" if reading.experiment.assignment == "holdout" else "Worth, if shipped"
        found.append(_change_card(worth, money, status, "money", reading.currency.code, " a day", basis))
    if anyway is not None and isinstance(anyway.answer, Interval):
        text = words.figures(anyway.answer.est, anyway.answer.lo, anyway.answer.hi, unit="share", signs="minus")
        found.append(Card("Would have happened anyway", text.est, text.span, anyway.words))
    else:
        told = anyway.words if anyway is not None else None
        found.append(Card("Would have happened anyway", "Cannot answer", _first_step(told), told))
    name = words.sentence_case(words.units(reading.experiment.unit_type))
    found.append(Card(name, words.whole(units), say.day_of(reading.day.n, reading.day.planned), _arms(reading)))
    return tuple(found)


def _change_card(
    label: str, estimate: Estimate, status: Status, unit: words.ValueUnit, currency: str, per: str, told: str | None
) -> Card:
    """The estimate above its range; where nothing is decided the range itself, because 0% would read as no effect."""
    if not isinstance(estimate, Interval):
        return Card(label, "Not measured", "", words.sentence_case(estimate.not_determined.words))
    text = words.figures(estimate.est, estimate.lo, estimate.hi, unit=unit, currency=currency)
    if status in ("better", "worse"):
        return Card(label, f"{text.est}{per}", text.span, told)
    return Card(label, f"{text.span}{per}", words.inside(LOOKS[status].word), told)


def _lift_help(comparison: Comparison) -> str | None:
    return None if comparison.adjustment is None else f"{words.sentence_case(comparison.adjustment.words)}."


def _first_step(told: str | None) -> str:
    """The last sentence of a refusal is what to do: it fits on the card."""
    steps = [part.strip() for part in (told or "").rstrip(".").split(". ")]
    return words.inside(steps[-1]) if len(steps) > 1 else ""


def _arms(reading: Readout) -> str:
    return ", ".join(f"{arm.key}: {words.whole(arm.units)}" for arm in reading.arms)


@dataclass(frozen=True, slots=True)
class Header:
    """The facts that every page states under its title."""

    title: str
    facts: tuple[tuple[str, str], ...]  # name, value


def header(reading: Readout, published: datetime) -> Header:
    """Experiment, dates, data as of, mode, design, snapshot."""
    day = reading.day
    ends = None if day.ends_on is None else date.fromisoformat(day.ends_on)
    finished = reading.mode == "finished"
    design = "always-valid ranges" if reading.design.name == "always_valid" else "fixed: one look at the planned end"
    running = (
        f"finished, {say.day_of(day.n, day.planned)}" if finished else f"running, {say.day_of(day.n, day.planned)}"
    )
    seen = None if reading.data_as_of is None else instant(reading.data_as_of)
    units = words.units(reading.experiment.unit_type)
    named = [f"{arm.key} ({arm.strategy})" if arm.strategy else arm.key for arm in reading.arms]
    arms = [f"{name} {words.whole(arm.units)} {units}" for name, arm in zip(named, reading.arms, strict=True)]
    return Header(
        reading.experiment.name,
        (
            ("Experiment", f"{reading.experiment.key}, phase {reading.phase}"),
            ("Dates", say.dates(date.fromisoformat(day.started_on), ends, finished=finished)),
            ("State", running),
            ("Data", say.data_as_of(seen)),
            ("Design", design),
            ("Arms", words.listed(arms)),
            ("Owner", reading.experiment.owner),
            ("Snapshot", f"{reading.snapshot_id}, published {published:%Y-%m-%d %H:%M} UTC"),
        ),
    )


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One metric of one arm as a table's row."""

    metric: str
    role: str
    control: str
    treatment: str
    change: str
    lift: str
    reading: str
    note: str


def headings(reading: Readout) -> tuple[str, ...]:
    """Of its table."""
    arms = (words.sentence_case(name) for name in printed.arm_columns(reading))
    return ("Metric", "Role", *arms, "Difference", "Lift", "Reading", "Note")


def numbers(reading: Readout, arm: str) -> tuple[NumberRow, ...]:
    """Every metric's numbers for one arm; empty when withheld."""
    currency = reading.currency.code
    rows = []
    for metric in reading.metrics or ():
        comparison = comparison_of(metric, arm)
        control, treatment = (
            printed.mean(metric, value, currency) or "–" for value in (comparison.control, comparison.treatment)
        )
        rows.append(
            NumberRow(
                metric.name,
                say.ROLES[metric.role],
                control,
                treatment,
                span(comparison.absolute, unit=words.difference_unit(metric.value_unit), currency=currency),
                span(comparison.relative),
                printed.reading(metric, comparison, currency),
                words.sentence_case("; ".join(_notes(metric, comparison))),
            )
        )
    return tuple(rows)


def _notes(metric: MetricReadout, comparison: Comparison) -> list[str]:
    told = []
    if comparison.not_determined is not None:
        told.append(comparison.not_determined.words)
    if not comparison.gate:
        told.append("too few units did anything to read it")
    if comparison.floored:
        told.append("the smaller arm borrows the larger arm's spread")
    if metric.mature_until is not None:
        told.append(f"counts what is older than {metric.mature_days} days")
    if comparison.adjustment is not None and comparison.adjustment.variance_reduction is not None:
        told.append(notes.variance_cut(comparison.adjustment.variance_reduction))
    return told


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One signal check as a line: glyph, name, what it found, who looks after it."""

    glyph: str
    label: str
    state: str
    sentence: str
    owner: str
    groups: tuple[tuple[str, ...], ...]  # headings, then the first offending groups; empty where all is well
    more: int  # groups that are not listed
    check: Check


def check_lines(checks: Sequence[Check]) -> tuple[CheckLine, ...]:
    """The checks, those that fail first, those without an object last."""
    order = ("fail", "warn", "unknown", "pass", "not_applicable")
    return tuple(
        CheckLine(
            trust.GLYPHS[check.state], check.label, trust.STATES[check.state], check.sentence, check.owner,
            offending(check, FIRST_GROUPS), unlisted(check, FIRST_GROUPS), check,
        )
        for check in sorted(checks, key=lambda check: (order.index(check.state), check.id))
    )  # fmt: skip


def unlisted(check: Check, most: int = SHOWN_GROUPS) -> int:
    """How many groups `offending` leaves out."""
    return max(len(check.groups) - most, 0) if check.state in ("fail", "warn") else 0


def offending(check: Check, most: int = SHOWN_GROUPS) -> tuple[tuple[str, ...], ...]:
    """Headings, then the groups that a check offends in, as texts; empty where it does not."""
    if check.state not in ("fail", "warn") or not check.groups:
        return ()
    unused = "e" if check.figures.get("judged_by") == "chi_square" else "p"
    seen = dict.fromkeys(name for group in check.groups for name in group if name != unused)
    texts = {name for group in check.groups for name, value in group.items() if isinstance(value, str)}
    # what a group is called, then its counts, then how they were judged
    names = sorted(seen, key=lambda name: (name not in texts, name in health.HEADINGS))
    rows = [tuple(_figure(name, group.get(name)) for name in names) for group in check.groups[:most]]
    headings = {**health.COLUMNS, **health.HEADINGS}
    return (tuple(headings.get(name, words.pretty(name)) for name in names), *rows)


def _figure(name: str, value: Figure) -> str:
    match value:
        case float() | int() if name == "e":
            return health.odds(value)
        case float() | int() if name == "p":
            return health.share(value)
        case float() | int() if name in health.SHARES:
            return health.share(value)
        case float() | int() if name in health.CHANGES:
            return trust.figure(round(value, 3), "change")
        case float() if name == "z":
            return trust.figure(value, "deviations")
        case float() if name == "expected":
            return words.whole(round(value))
        case str() if name == "browser":
            return words.sentence_case(health.browser(value))
        case str() if name == "kind":
            return words.sentence_case(signals.kind(value))
        case str() if name == "module":
            return words.pretty(value)
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return words.whole(value)
        case float():
            return words.amount(value, unit="count")
    return value


def verdict_of(reading: Readout, arm: str) -> Verdict:
    """The arm's own verdict; the experiment's where it has none of its own."""
    return next((each.verdict for each in reading.verdicts if each.arm == arm), reading.verdict)


def fine_print(reading: Readout, arm: str) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Tables of name and value: method, who was left out, what was said, where it comes from."""
    design, origin = reading.design, reading.provenance
    assumed = " (assumed)" if design.planned_units_assumed else ""
    method = [
        (
            "Design",
            "always-valid: may be read every day" if design.name == "always_valid" else "fixed: one planned look",
        ),
        ("Risk of a false verdict", words.amount(float(design.alpha), unit="share")),
        ("Planned units", words.whole(design.planned_units) + assumed),
        ("Hypothesis", reading.experiment.hypothesis or "none was written down"),
        ("Assigned by", reading.experiment.assigned_by or "truelift"),
        ("Method version", f"{reading.method_version}, verdict rule {reading.verdict_rule}"),
        ("Business days", reading.time_zone),
    ]
    if not reading.withheld:
        adjustment = comparison_of(primary(reading), arm).adjustment
        method.append(("Variance reduction", adjustment.words if adjustment is not None else "none: no adjustment"))
    excluded = [
        (f"{each.key}: {words.pretty(cause).lower()}", words.whole(count))
        for each in reading.arms
        for cause, count in each.units_excluded.items()
    ]
    excluded += [
        (f"all arms: {words.pretty(cause).lower()}", words.whole(count)) for cause, count in reading.exclusions.items()
    ]
    source = [
        ("Definition", f"version {origin.definition_version}, {origin.definition_digest[:12]}"),
        ("Counted with", f"{origin.engine}, the files in sql/"),
        ("Loads", words.whole(len(origin.loads))),
        ("Moments", origin.moments_digest[:12]),
        ("Snapshot", reading.snapshot_id),
    ]
    warnings = [(f"{at}.", warning) for at, warning in enumerate(reading.warnings, 1)]
    tables = (("Method", method), ("Left out", excluded), ("Warnings", warnings), ("Where it comes from", source))
    return tuple((title, tuple(rows)) for title, rows in tables if rows)


def check_sql(checks: Sequence[Check]) -> tuple[tuple[str, str], ...]:
    """The SQL behind each check, by its path, once; the path alone where the file is not shipped."""
    paths = dict.fromkeys(check.sql for check in checks if check.sql is not None)
    return tuple((path, sql_text(path)) for path in paths)


def sql_text(path: str) -> str:
    """The query's text; its path alone where the file is not shipped."""
    if not path.startswith("sql/"):
        return path
    file = packaged("sql").joinpath(path.removeprefix("sql/"))
    return file.read_text(encoding="utf-8") if file.is_file() else path


def series_metrics(reading: Readout, arm: str) -> dict[str, str]:
    """The metrics with a cumulative band for the arm: keys and labels, in the readout's order."""
    bands = reading.series or {}
    return {
        metric.key: metric.name
        for metric in reading.metrics or ()
        if any(point[1] is not None and point[2] is not None for point in bands.get(metric.key, {}).get(arm, ()))
    }
