"""The slices of a reading: which kinds, which cover a metric, what their cells say."""

from analysis import words
from analysis.drawing import LOOKS
from analysis.pages.views.shared import span
from analysis.readout import Interval, Readout, SliceCell, SliceReadout
from analysis.words import pages as say

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
    """The slices of a kind that cover a metric in an arm: two dimensions first, those of one cell last."""
    covered = [(part, len(cells_of(part, metric, arm))) for part in reading.slices or () if part.kind == kind]
    found = sorted((pair for pair in covered if pair[1]), key=lambda pair: (pair[1] == 1, -len(pair[0].dimensions)))
    return {part.key: _slice_name(part) for part, _ in found}


def sliced_metrics(reading: Readout, kind: str, arm: str) -> dict[str, str]:
    """The metrics some slice of a kind covers, in the readout's order."""
    covered = {
        cell.metric for part in reading.slices or () if part.kind == kind for cell in part.cells if cell.arm == arm
    }
    return {metric.key: metric.name for metric in reading.metrics or () if metric.key in covered}


def cells_of(part: SliceReadout, metric: str, arm: str) -> tuple[SliceCell, ...]:
    """A slice's cells of one metric and arm."""
    return tuple(cell for cell in part.cells if cell.metric == metric and cell.arm == arm)


def slice_of(reading: Readout, key: str) -> SliceReadout:
    """The slice of a key."""
    return next(part for part in reading.slices or () if part.key == key)


def where_headline(reading: Readout, part: SliceReadout, metric: str, arm: str) -> str:
    """In how many cells the metric is better and in how many worse."""
    flags = [cell.flag for cell in cells_of(part, metric, arm)]
    gains, losses, noise = (flags.count(flag) for flag in ("gain", "loss", "noise"))
    told = say.cells(gains, losses, noise, len(flags) - gains - losses - noise)
    return f"{reading.metric(metric).name}: {words.inside(told)}"


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
        name = ", ".join(words.pretty(cell.values[dimension]) for dimension in part.dimensions)
        rows.append((name, LOOKS[cell.flag].word, text, *totals, words.whole(cell.units), wait))
    return tuple(rows)


def _cell_text(cell: SliceCell, currency: str) -> str:
    shown = _shown(cell)
    unit: words.ValueUnit = "money" if _in_money(cell) else "lift"
    if shown is None:
        return say.NOT_MEASURED
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
    values = [cell.values[name] for name in reversed(part.dimensions)]
    given = [value for value in values if value != words.NONE] or [words.NONE]
    names = [words.inside(words.pretty(value)) for value in given]
    return say.extreme(word, " on ".join(names), _cell_text(cell, reading.currency.code), per_day=_in_money(cell))


def _in_money(cell: SliceCell) -> bool:
    return cell.money_per_day is not None
