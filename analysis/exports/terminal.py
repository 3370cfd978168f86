"""A readout in a terminal: the verdict first, its reasons, then numbers with their ranges."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from analysis import printed, words
from analysis.drawing import LOOKS
from analysis.exports.slices import shown
from analysis.readout import Comparison, Interval, MetricReadout, Readout, SliceCell, SliceReadout
from analysis.words import notes
from analysis.words import pages as said

# green for SHIP only (READOUT, never shown); the word itself always stands beside the colour
COLOURS = {"SHIP": "green", "STOP": "red", "WITHHELD": "red", "HOLD": "yellow"}
STATE_COLOURS = {"fail": "red", "warn": "yellow"}
DECIDED = ("gain", "loss")  # cells that are listed; the others are counted in the slice's sentence
LISTED_CELLS = 8


def for_a_person(readout: Readout) -> Group:
    """What `truelift readout` prints. Withheld: the cause, the arms and the checks, and no number of a metric."""
    return Group(*_head(readout), *([] if readout.withheld else _numbers(readout)), *_trust(readout))


def _head(readout: Readout) -> Iterator[RenderableType]:
    verdict = readout.verdict
    day = said.day_of(readout.day.n, readout.day.planned)
    yield Text(readout.experiment.name, style="bold")
    yield Text(
        f"{readout.experiment.key}, phase {readout.phase} · {readout.mode}, {day} · "
        f"data as of {readout.data_as_of or 'none'} · snapshot {readout.snapshot_id}",
        style="dim",
    )
    yield Panel(
        Text(verdict.sentence, style="bold"),
        title=words.verdict_name(verdict.code, verdict.sentence).upper(),
        title_align="left",
        border_style=COLOURS.get(verdict.code, "blue"),
    )
    for reason in printed.reasons(verdict):
        yield Text(f"  · {reason}")
    for each in readout.verdicts:
        if each.verdict.sentence != verdict.sentence:
            yield Text(f"  {each.arm}: {each.verdict.sentence}")
    for warning in readout.warnings:
        yield Text(f"Note: {warning}", style="yellow")


# --- numbers ---------------------------------------------------------------------------------------------


def _numbers(readout: Readout) -> Iterator[RenderableType]:
    yield _metrics(readout)
    if printed.judges_limits(readout):
        yield Text(f"  {said.LIMIT_KEY}", style="dim")
    for line in _adjustments(readout):
        yield Text(f"  {line}", style="dim")
    drawn = {part.key: part for each in readout.verdicts for part, _ in shown(readout, each.arm)}
    for part in drawn.values():
        yield from _slice(readout, part)
    for question in (readout.questions or {}).values():
        if question.cannot is not None or question.answer is not None:
            yield Text(question.words, style="dim")


def _metrics(readout: Readout) -> Table:
    several = _several(readout)
    table = Table(title="Metrics", title_justify="left", box=None, pad_edge=False)
    arms = printed.arm_columns(readout)
    for name in ("", *(["arm"] if several else []), *arms, "change", "a day", "reading"):
        table.add_column(name, justify="right" if name in arms else "left")
    role = None
    for metric in readout.metrics or ():
        if metric.role != role:
            role = metric.role
            table.add_row(Text(said.GROUPS[role], style="bold"))
        for comparison in metric.comparisons:
            table.add_row(metric.name, *([comparison.arm] if several else []), *_metric(readout, metric, comparison))
    return table


def _several(readout: Readout) -> bool:
    return len(readout.verdicts) > 1


def _metric(readout: Readout, metric: MetricReadout, c: Comparison) -> tuple[str, ...]:
    currency = readout.currency.code
    use_lift = isinstance(c.relative, Interval) or c.not_determined is not None
    unit: words.ValueUnit = "lift" if use_lift else words.difference_unit(metric.value_unit)
    return (
        *(printed.mean(metric, value, currency) for value in (c.control, c.treatment)),
        printed.change(c.relative if use_lift else c.absolute, unit, currency),
        printed.also(c.money_per_day, "money", currency),
        printed.reading(metric, c, currency),
    )


def _adjustments(readout: Readout) -> Iterator[str]:
    for metric in readout.metrics or ():
        for comparison in metric.comparisons:
            if comparison.adjustment is not None and metric.role == "success":
                yield f"{metric.label}, {comparison.arm}: {comparison.adjustment.words}"


def _slice(readout: Readout, part: SliceReadout) -> Iterator[RenderableType]:
    """The slice in a sentence, and the success metrics' cells that gain or lose, largest first."""
    success = {metric.key for metric in readout.metrics or () if metric.role == "success"}
    yield Text.assemble((f"{part.label}: ", "bold"), part.words)
    decided = [cell for cell in part.cells if cell.flag in DECIDED and cell.metric in success]
    for cell in sorted(decided, key=_size, reverse=True)[:LISTED_CELLS]:
        where = ", ".join((*([cell.arm] if _several(readout) else []), *map(words.pretty, cell.values.values())))
        money = isinstance(cell.money_per_day, Interval)
        estimate = cell.money_per_day if money else cell.shrunk or cell.raw
        found = printed.change(estimate, "money" if money else "lift", readout.currency.code)
        name = readout.metric(cell.metric).label
        yield Text(f"  {LOOKS[cell.flag].glyph} {where}: {words.inside(name)} {found}{' a day' if money else ''}")


def _size(cell: SliceCell) -> float:
    estimate = cell.money_per_day or cell.raw
    return abs(estimate.est) if isinstance(estimate, Interval) else 0.0


# --- arms, checks, provenance ----------------------------------------------------------------------------


def _trust(readout: Readout) -> Iterator[RenderableType]:
    arms = _table("Arms", ("arm", "strategy", "weight", words.units(readout.experiment.unit_type), "left out"))
    for arm in readout.arms:
        left_out = ", ".join(
            f"{words.whole(n)} {notes.spoken(reason)}" for reason, n in arm.units_excluded.items() if n
        )
        arms.add_row(arm.key, arm.strategy or "", arm.weight, words.whole(arm.units), left_out)
    yield arms
    checks = _table("Signals", ("check", "", "state", "what was found"))
    for check in readout.checks:
        state = Text(notes.spoken(check.state), style=STATE_COLOURS.get(check.state, ""))
        checks.add_row(check.id, check.label, state, check.sentence)
    yield checks
    made_of = readout.provenance
    yield Text(
        f"design {readout.design.name} · rule {readout.verdict_rule} · method {readout.method_version} · definition "
        f"version {made_of.definition_version} · {made_of.engine} · published {readout.published_at or 'not yet'}",
        style="dim",
    )


def _table(title: str, columns: Iterable[str]) -> Table:
    return Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
