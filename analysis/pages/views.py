"""What a page shows, worked out of readouts: pure values, no Streamlit. Pages draw them and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files as packaged

from analysis import words
from analysis.drawing import LOOKS, pretty
from analysis.readout import (
    Check,
    Comparison,
    Estimate,
    Figure,
    Interval,
    MetricReadout,
    Readout,
    SliceCell,
    SliceReadout,
    Verdict,
    VerdictCode,
)
from analysis.words import pages as say

SHOWN_GROUPS = 10  # offending groups listed under a check
STALE_AFTER = timedelta(days=2)  # a running experiment is refreshed daily
VERDICT_NAMES: Mapping[VerdictCode, str] = {
    "WITHHELD": "Withheld", "STOP": "Stop", "TOO_EARLY": "Too early", "NO_MATERIAL_EFFECT": "No material effect",
    "SHIP": "Ship", "HOLD": "Hold", "CANT_TELL": "Can't tell",
}  # fmt: skip
VERDICT_GLYPHS: Mapping[VerdictCode, str] = {
    "WITHHELD": "⊘", "STOP": "▼", "TOO_EARLY": "○", "NO_MATERIAL_EFFECT": "●", "SHIP": "▲", "HOLD": "■",
    "CANT_TELL": "~",
}  # fmt: skip
STATE_GLYPHS = {"pass": "●", "warn": "▲", "fail": "⊘", "unknown": "?", "not_applicable": "–"}
STATE_WORDS = {
    "pass": "passes", "warn": "to look at", "fail": "fails", "unknown": "unknown", "not_applicable": "not applicable"
}  # fmt: skip
ACTED_ON = ("SHIP", "STOP", "NO_MATERIAL_EFFECT")  # verdicts that ask somebody to act, at any time


# --- overview --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One experiment. Texts are ready to print; `done` is the share of the planned days, 0 to 1."""

    key: str
    name: str
    owner: str
    modules: str
    verdict: VerdictCode | None = None  # None: no reading yet
    metric: str = ""
    lift: str = ""
    money: str = ""
    progress: str = ""
    left: str = ""
    done: float | None = None
    health: str = ""
    stale: str = ""
    at_stake: float = -1.0  # money a day, without its sign; −1 where none is known


@dataclass(frozen=True, slots=True)
class Registration:
    """What the overview needs of a registered experiment, and its newest reading if it has one."""

    key: str
    name: str
    owner: str
    modules: tuple[str, ...]
    reading: Readout | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The headline and the rows: most money a day at stake first, then those without a number, then the unread."""

    headline: str
    rows: tuple[OverviewRow, ...]


def overview(registered: Sequence[Registration], now: datetime) -> Overview:
    """All experiments. A decision waits where a verdict asks somebody to act, or a finished run is undecided."""
    rows = sorted((_overview_row(each, now) for each in registered), key=_order)
    readings = [each.reading for each in registered if each.reading is not None]
    waiting = sum(_waits(reading) for reading in readings)
    blocked = sum(reading.withheld for reading in readings)
    running = len(readings) - waiting - blocked
    return Overview(say.waiting(waiting, blocked, running, len(registered) - len(readings)), tuple(rows))


def _order(row: OverviewRow) -> tuple[float, bool, str]:
    return (-row.at_stake, row.verdict is None, row.name)


def _waits(reading: Readout) -> bool:
    return reading.verdict.code in ACTED_ON or (reading.mode == "finished" and not reading.withheld)


def _overview_row(each: Registration, now: datetime) -> OverviewRow:
    modules = words.listed([pretty(module) for module in each.modules])
    reading = each.reading
    if reading is None:
        return OverviewRow(each.key, each.name, each.owner, modules)
    age = stale_days(reading, now)
    row = OverviewRow(
        key=each.key,
        name=each.name,
        owner=each.owner,
        modules=modules,
        verdict=reading.verdict.code,
        progress=words.sentence_case(say.day_of(reading.day.n, reading.day.planned)),
        left="finished" if reading.mode == "finished" else say.left(reading.day.n, reading.day.planned) or "",
        done=None if not reading.day.planned else min(reading.day.n / reading.day.planned, 1.0),
        health=health(reading.checks),
        stale=say.stale(age) if age is not None else "",
    )
    return row if reading.withheld else _with_numbers(row, reading)


def _with_numbers(row: OverviewRow, reading: Readout) -> OverviewRow:
    metric = primary(reading)
    comparison = comparison_of(metric, reading.verdict.arm or treatments(reading)[0])
    money = comparison.money_per_day
    known = money if isinstance(money, Interval) else None
    return OverviewRow(
        key=row.key, name=row.name, owner=row.owner, modules=row.modules, verdict=row.verdict,
        progress=row.progress, left=row.left, done=row.done, health=row.health, stale=row.stale,
        metric=metric.label,
        lift=span(comparison.relative),
        money="" if known is None else span(known, unit="money", currency=reading.currency.code),
        at_stake=-1.0 if known is None else abs(known.est),
    )  # fmt: skip


def stale_days(reading: Readout, now: datetime) -> int | None:
    """How many days old a running experiment's data cut is; None while it is fresh or when the run is over."""
    age = now - instant(reading.as_of)
    return None if reading.mode == "finished" or age <= STALE_AFTER else age.days


def health(checks: Sequence[Check]) -> str:
    """One line: what blocks, else how many checks pass."""
    judged = [check for check in checks if check.state != "not_applicable"]
    return say.health(
        [check.label for check in judged if check.blocking and check.state == "fail"],
        sum(check.state in ("warn", "fail") for check in judged),
        sum(check.state == "unknown" for check in judged),
        len(judged),
    )


# --- readout ---------------------------------------------------------------------------------------------


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
    found = [_estimate_card(metric.label, comparison.relative, "lift", "", _lift_help(comparison))]
    if money is not None:
        basis = money.basis if isinstance(money, Interval) else None
        found.append(_estimate_card("Worth, if shipped", money, "money", reading.currency.code, basis, per="a day"))
    if anyway is not None and isinstance(anyway.answer, Interval):
        found.append(_estimate_card("Would have happened anyway", anyway.answer, "share", "", anyway.words))
    else:
        told = anyway.words if anyway is not None else None
        found.append(Card("Would have happened anyway", "Cannot answer", _first_step(told), told))
    name = words.sentence_case(words.units(reading.experiment.unit_type))
    found.append(Card(name, words.whole(units), say.day_of(reading.day.n, reading.day.planned), _arms(reading)))
    return tuple(found)


def _estimate_card(
    label: str, estimate: Estimate, unit: words.ValueUnit, currency: str, told: str | None, *, per: str = ""
) -> Card:
    if not isinstance(estimate, Interval):
        return Card(label, "Not measured", "", words.sentence_case(estimate.not_determined.words))
    text = words.figures(estimate.est, estimate.lo, estimate.hi, unit=unit, currency=currency)
    return Card(label, f"{text.est} {per}".strip(), text.span, told)


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

    HEADINGS = ("Metric", "Role", "Control", "Treatment", "Difference", "Lift", "Reading", "Note")


def numbers(reading: Readout, arm: str) -> tuple[NumberRow, ...]:
    """Every metric's numbers for one arm; empty when withheld."""
    currency = reading.currency.code
    rows = []
    for metric in reading.metrics or ():
        comparison = comparison_of(metric, arm)
        control, treatment = (
            "–" if value.mean is None else words.amount(value.mean, unit=metric.value_unit, currency=currency)
            for value in (comparison.control, comparison.treatment)
        )
        rows.append(
            NumberRow(
                metric.label,
                say.ROLES[metric.role],
                control,
                treatment,
                span(comparison.absolute, unit=metric.value_unit, currency=currency),
                span(comparison.relative),
                LOOKS[comparison.status].word,
                words.sentence_case("; ".join(_notes(metric, comparison))),
            )
        )
    return tuple(rows)


def _notes(metric: MetricReadout, comparison: Comparison) -> list[str]:
    notes = []
    if comparison.not_determined is not None:
        notes.append(comparison.not_determined.words)
    if metric.margin is not None:
        notes.append(f"limit {words.amount(float(metric.margin), unit='lift')}")
    if metric.margin_abs is not None:
        notes.append(f"limit {words.amount(float(metric.margin_abs), unit=metric.value_unit)}")
    if isinstance(comparison.guardrail, Interval):
        scale: words.ValueUnit = "lift" if metric.margin_abs is None else metric.value_unit
        notes.append(f"towards its limit {span(comparison.guardrail, unit=scale)}")
    if not comparison.gate:
        notes.append("too few units did anything to read it")
    if comparison.floored:
        notes.append("the smaller arm borrows the larger arm's spread")
    if metric.mature_until is not None:
        notes.append(f"counts what is older than {metric.mature_days} days")
    if comparison.adjustment is not None and comparison.adjustment.variance_reduction is not None:
        notes.append(f"variance cut by {words.amount(comparison.adjustment.variance_reduction, unit='share')}")
    return notes


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One signal check as a line: glyph, name, what it found, who looks after it."""

    glyph: str
    label: str
    state: str
    sentence: str
    owner: str
    groups: tuple[tuple[str, ...], ...]  # headings, then the offending groups; empty where all is well
    check: Check


def check_lines(checks: Sequence[Check]) -> tuple[CheckLine, ...]:
    """The checks, those that fail first, those without an object last."""
    order = ("fail", "warn", "unknown", "pass", "not_applicable")
    return tuple(
        CheckLine(
            STATE_GLYPHS[check.state], check.label, STATE_WORDS[check.state], check.sentence, check.owner,
            _groups(check), check,
        )
        for check in sorted(checks, key=lambda check: (order.index(check.state), check.id))
    )  # fmt: skip


def _groups(check: Check) -> tuple[tuple[str, ...], ...]:
    if check.state not in ("fail", "warn") or not check.groups:
        return ()
    seen = dict.fromkeys(name for group in check.groups for name in group)
    texts = {name for group in check.groups for name, value in group.items() if isinstance(value, str)}
    names = sorted(seen, key=lambda name: name not in texts)  # what a group is called, then its figures
    rows = [tuple(_figure(group.get(name)) for name in names) for group in check.groups[:SHOWN_GROUPS]]
    return (tuple(pretty(name) for name in names), *rows)


def _figure(value: Figure) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return words.whole(value)
        case float():
            return words.amount(value, unit="count")
    return value


def reasons(verdict: Verdict) -> tuple[str, ...]:
    """Why this verdict, one sentence each."""
    return tuple(f"{words.sentence_case(because.words).rstrip('.')}." for because in verdict.because)


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
        (f"{each.key}: {pretty(cause).lower()}", words.whole(count))
        for each in reading.arms
        for cause, count in each.units_excluded.items()
    ]
    excluded += [
        (f"all arms: {pretty(cause).lower()}", words.whole(count)) for cause, count in reading.exclusions.items()
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
    return tuple((path, _sql(path)) for path in paths)


def _sql(path: str) -> str:
    if not path.startswith("sql/"):
        return path
    file = packaged("sql").joinpath(path.removeprefix("sql/"))
    return file.read_text(encoding="utf-8") if file.is_file() else path


# --- where -----------------------------------------------------------------------------------------------

KINDS = {"decomposition": "Parts of the total", "context": "Groups of {units}", "descriptive": "Described only"}
KIND_NOTES = {
    "decomposition": (
        "Every order is counted once, under the module and category it belongs to. Parts share {units}, so each "
        "range holds for all parts at once."
    ),
    "context": "Every {unit} is counted once, in the group of the first exposure. Groups do not overlap.",
    "descriptive": "What these hold was chosen by the arm itself: described, never tested.",
}


def kinds(reading: Readout) -> dict[str, str]:
    """The kinds of slice the reading has, with their names; kept apart because they answer different questions."""
    units = words.units(reading.experiment.unit_type)
    present = {part.kind for part in reading.slices or ()}
    return {kind: name.replace("{units}", units) for kind, name in KINDS.items() if kind in present}


def kind_note(reading: Readout, kind: str) -> str:
    """What a kind of slice means."""
    return words.label(KIND_NOTES[kind], reading.experiment.unit_type)


def slices(reading: Readout, kind: str, metric: str, arm: str) -> dict[str, str]:
    """The slices of a kind that cover a metric in an arm, two dimensions first."""
    found = [part for part in reading.slices or () if part.kind == kind and cells_of(part, metric, arm)]
    return {part.key: _slice_name(part) for part in sorted(found, key=lambda part: -len(part.dimensions))}


def sliced_metrics(reading: Readout, kind: str, arm: str) -> dict[str, str]:
    """The metrics some slice of a kind covers, in the readout's order."""
    covered = {
        cell.metric for part in reading.slices or () if part.kind == kind for cell in part.cells if cell.arm == arm
    }
    return {metric.key: metric.label for metric in reading.metrics or () if metric.key in covered}


def cells_of(part: SliceReadout, metric: str, arm: str) -> tuple[SliceCell, ...]:
    """A slice's cells of one metric and arm."""
    return tuple(cell for cell in part.cells if cell.metric == metric and cell.arm == arm)


def slice_of(reading: Readout, key: str) -> SliceReadout:
    """The slice of a key."""
    return next(part for part in reading.slices or () if part.key == key)


def where_headline(part: SliceReadout, metric: str, arm: str) -> str:
    """How many cells are better and how many worse."""
    flags = [cell.flag for cell in cells_of(part, metric, arm)]
    gains, losses, noise = (flags.count(flag) for flag in ("gain", "loss", "noise"))
    return say.cells(gains, losses, noise, len(flags) - gains - losses - noise)


def extremes(reading: Readout, part: SliceReadout, metric: str, arm: str) -> str:
    """The cell that gains most and the one that loses most, as ranges; empty when none does."""
    cells = cells_of(part, metric, arm)
    gains = [cell for cell in cells if cell.flag == "gain"]
    losses = [cell for cell in cells if cell.flag == "loss"]
    best = [_extreme("Best", max(gains, key=_size), part, reading)] if gains else []
    worst = [_extreme("Worst", min(losses, key=_size), part, reading)] if losses else []
    return " ".join(best + worst)


CELL_HEADINGS = ("Cell", "Reading", "Range", "Control", "Treatment", "Units", "Days to decide")


def cell_rows(reading: Readout, part: SliceReadout, metric: str, arm: str) -> tuple[tuple[str, ...], ...]:
    """A slice's cells as a table; a noise cell keeps its range and has no point."""
    currency = reading.currency.code
    rows = []
    for cell in cells_of(part, metric, arm):
        unit = reading.metric(metric).value_unit
        totals = [
            "–" if total is None else words.amount(total, unit=unit, currency=currency)
            for total in (cell.control_total, cell.treatment_total)
        ]
        text = _cell_text(cell, currency)
        wait = "–" if not cell.days_to_decide else words.whole(cell.days_to_decide)
        name = ", ".join(pretty(cell.values[dimension]) for dimension in part.dimensions)
        rows.append((name, LOOKS[cell.flag].word, text, *totals, words.whole(cell.units), wait))
    return tuple(rows)


def _cell_text(cell: SliceCell, currency: str) -> str:
    shown = _shown(cell)
    unit: words.ValueUnit = "money" if _in_money(cell) else "lift"
    if shown is None:
        return say.NOT_MEASURED
    if cell.flag == "noise":
        return say.noise(shown.est, shown.lo, shown.hi, unit=unit, currency=currency)
    return span(shown, unit=unit, currency=currency)


def any_material(part: SliceReadout, metric: str, arm: str) -> bool:
    """Whether a cell is better or worse."""
    return any(cell.flag in ("gain", "loss") for cell in cells_of(part, metric, arm))


def _slice_name(part: SliceReadout) -> str:
    return f"{part.label} (exploratory)" if part.exploratory else part.label


def _size(cell: SliceCell) -> float:
    shown = _shown(cell)
    return 0.0 if shown is None else shown.est


def _shown(cell: SliceCell) -> Interval | None:
    lift = cell.raw if cell.shrunk is None else cell.shrunk
    value = lift if cell.money_per_day is None else cell.money_per_day
    return value if isinstance(value, Interval) else None


def _extreme(word: str, cell: SliceCell, part: SliceReadout, reading: Readout) -> str:
    names = [words.inside(pretty(cell.values[name])) for name in reversed(part.dimensions)]
    return say.extreme(word, " on ".join(names), _cell_text(cell, reading.currency.code), per_day=_in_money(cell))


def _in_money(cell: SliceCell) -> bool:
    return cell.money_per_day is not None


# --- shared ----------------------------------------------------------------------------------------------


def primary(reading: Readout) -> MetricReadout:
    """The first success metric. The reading must carry metrics."""
    metrics = reading.metrics or ()
    return next((metric for metric in metrics if metric.role == "success"), metrics[0])


def treatments(reading: Readout) -> tuple[str, ...]:
    """The arms that are compared with control, in the definition's order."""
    return tuple(arm.key for arm in reading.arms if not arm.is_control)


def comparison_of(metric: MetricReadout, arm: str) -> Comparison:
    """The metric's comparison of one arm."""
    return next(comparison for comparison in metric.comparisons if comparison.arm == arm)


def series_metrics(reading: Readout, arm: str) -> dict[str, str]:
    """The metrics with a cumulative band for the arm: keys and labels, in the readout's order."""
    bands = reading.series or {}
    return {
        metric.key: metric.label
        for metric in reading.metrics or ()
        if any(point[1] is not None and point[2] is not None for point in bands.get(metric.key, {}).get(arm, ()))
    }


def span(estimate: Estimate, *, unit: words.ValueUnit = "lift", currency: str = "EUR") -> str:
    """The range of an estimate as printed, or `not measured yet`."""
    if not isinstance(estimate, Interval):
        return say.NOT_MEASURED
    return words.figures(estimate.est, estimate.lo, estimate.hi, unit=unit, currency=currency).span


def instant(text: str) -> datetime:
    """An ISO instant as an aware datetime in UTC."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
