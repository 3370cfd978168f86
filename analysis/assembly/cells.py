"""Slices in the readout: each metric in each cell, with what is real and what is noise. STATISTICS 7 and 8."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.assembly.frame import Frame, is_money_per_unit
from analysis.assembly.rows import ESTIMATOR, Answer
from analysis.inference.estimators import ESTIMATORS
from analysis.inference.moments import ArmMoments, Moments, pair
from analysis.inference.result import Bounds, Undetermined
from analysis.inference.segments import Cell, CellReading, Setting, read_slice
from analysis.readout import Estimate, Interval, NotDetermined, Reason, SliceCell, SliceReadout
from analysis.verdict import Hold
from analysis.words import notes
from experiments.spec import Slice, SliceMateriality

# Slices whose values have these dimensions, whatever else is declared; a declared one has its own key as dimension.
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "first_module_page_category": ("first_module", "first_page_category"),
    "module_item_category": ("module", "item_category"),
    "module_page_category": ("module", "page_category"),
}
SIMULTANEOUS = 1000.0  # units: materiality of slices is money per 1,000 units


@dataclass(frozen=True, slots=True)
class Part:
    """One slice: the cells of every population, under its values."""

    kind: Literal["context", "decomposition"]
    key: str
    declared: Slice | None
    cells: Mapping[int | None, Mapping[tuple[str, ...], ArmMoments]]  # window_days → values → arms

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What its values are values of."""
        return DIMENSIONS.get(self.key, (self.key,))

    @property
    def native(self) -> tuple[str, ...]:
        """The dimensions a metric's sources must have cells in to be covered."""
        if self.declared is not None and self.declared.dimension is not None:
            return ("module",) if self.declared.dimension == "owner_or_event_module" else (self.declared.dimension,)
        return self.dimensions

    def covers(self, a: Answer) -> bool:
        """Context cells take every metric, decomposition cells those with native cells (DATA 4)."""
        return self.kind == "context" or set(self.native) <= set(a.metric.native_dimensions())

    def uses(self, dimension: str) -> bool:
        """Whether its values depend on a dimension that a failing check holds."""
        by = self.declared.pre_period_top.by if self.declared and self.declared.pre_period_top else None
        return dimension in self.native or dimension == by

    def named(self, values: Sequence[str]) -> dict[str, str]:
        """Dimension → value, with the declared labels for 0, 1, …"""
        labels = self.declared.labels if self.declared else {}
        shown = [labels.get(int(v), v) if v.isdigit() else v for v in values]
        return dict(zip(self.dimensions, shown, strict=True))


def slice_readouts(frame: Frame, answered: Sequence[Answer], holds: Sequence[Hold]) -> tuple[SliceReadout, ...]:
    """Every slice with its cells; one that a failing check holds keeps its place and says why it is empty."""
    held = {dimension: hold for hold in holds for dimension in hold.dimensions}
    readable = [a for a in answered if a.reason is None or a.reason.code not in ("held_by_check", "unripe")]
    found = []
    for part in _parts(frame):
        cause = next((held[dimension].cause for dimension in held if part.uses(dimension)), None)
        found.append(_slice(frame, part, [] if cause else readable, cause))
    return tuple(found)


def _parts(frame: Frame) -> Iterator[Part]:
    """Context slices first, then decompositions, each in the order of its key."""
    declared = {part.key: part for part in frame.inputs.phase.slices}
    grouped: dict[
        tuple[Literal["context", "decomposition"], str], dict[int | None, dict[tuple[str, ...], ArmMoments]]
    ] = {}
    for key, arms in frame.counts.cells.items():
        if key.slice:
            grouped.setdefault((key.kind, key.slice), {}).setdefault(key.window_days, {})[key.values] = arms
    for (kind, name), cells in sorted(grouped.items()):
        yield Part(kind, name, declared.get(name), cells)


def _slice(frame: Frame, part: Part, answered: Iterable[Answer], cause: str | None) -> SliceReadout:
    cells: list[SliceCell] = []
    tau2: float | None = None
    for a in answered:
        if part.covers(a):
            made, spread = _cells(frame, part, a)
            cells += made
            if a.role == "success" and tau2 is None:
                tau2 = spread
    return SliceReadout(
        key=part.key,
        label=notes.slice_label(part.key),
        kind=part.kind,
        dimensions=part.dimensions,
        exploratory=False,
        sums_to_total=part.kind == "decomposition",
        tau2=tau2,
        words=notes.slice_held(cause) if cause else _summary(frame, part, cells),
        cells=tuple(cells),
    )


def _cells(frame: Frame, part: Part, a: Answer) -> tuple[list[SliceCell], float | None]:
    """All cells of one metric in one arm, read together."""
    window = a.plan.window_days
    given = dict(sorted(part.cells.get(window, {}).items()))
    moments = {values: _moments(frame, part, a, arms) for values, arms in given.items()}
    estimator = ESTIMATORS[ESTIMATOR]
    worth = a.question.sign / a.scale * (SIMULTANEOUS if is_money_per_unit(a.metric) else 1.0)
    cells = {values: Cell(estimator(c, t, a.plan), worth) for values, (c, t) in moments.items()}
    setting = Setting(
        alpha=frame.alpha,
        look=frame.look,
        fraction=a.question.fraction,
        material=_material(frame) if is_money_per_unit(a.metric) else 0.0,
        days=frame.ripe_days(a.metric.mature_days),
        days_left=frame.ripe_days_left(a.metric.mature_days),
    )
    read = read_slice(part.kind, cells, setting)
    made = [_cell(frame, part, a, values, given[values], moments[values], read.cells[values]) for values in given]
    return made, read.tau2


def _moments(frame: Frame, part: Part, a: Answer, arms: ArmMoments) -> tuple[Moments, Moments]:
    """Control and treatment of one cell; a part of a decomposition lies over all units of its arm."""
    both = []
    for arm in (frame.control, a.arm):
        own = arms.get(arm, Moments(0))
        both.append(own if part.kind == "context" else _laid_over(frame.overall(arm, a.plan.window_days), own, a))
    return both[0], both[1]


def _laid_over(overall: Moments, own: Moments, a: Answer) -> Moments:
    """The part over its total; what the part never saw is zero, not the total's."""
    partners = (*a.plan.facts, *a.plan.covariates)
    zeros = Moments(
        overall.n,
        dict.fromkeys(a.plan.facts, 0),
        {pair(fact, other): 0 for fact in a.plan.facts for other in partners},
        dict.fromkeys(a.plan.facts, 0),
    )
    return overall.overlay(zeros).overlay(own)


def _material(frame: Frame) -> float:
    """Money per 1,000 units from which a slice matters; 0 where the definition does not say."""
    given = frame.experiment.analysis.materiality.get("slices")
    return float(given.money_per_1000_units) if isinstance(given, SliceMateriality) else 0.0


def _cell(
    frame: Frame,
    part: Part,
    a: Answer,
    values: tuple[str, ...],
    arms: ArmMoments,
    moments: tuple[Moments, Moments],
    read: CellReading,
) -> SliceCell:
    control, treatment = moments
    additive = a.metric.kind == "mean" and a.metric.additive
    exposed = _exposed(part, values, arms) if part.kind == "context" else sum(frame.counts.units.values())
    shrunk = read.shrunk
    return SliceCell(
        values=part.named(values),
        metric=a.metric.key,
        arm=a.arm,
        units=control.n + treatment.n,
        control_total=control.sums.get(a.plan.numerator, 0) / a.scale if additive else None,
        treatment_total=treatment.sums.get(a.plan.numerator, 0) / a.scale if additive else None,
        raw=_estimate(read.relative, 1.0),
        raw_absolute=_estimate(read.absolute, 1 / a.scale),
        shrunk=None if shrunk is None else _estimate(shrunk, 1.0),
        flag=read.flag,
        p_material=read.p_material,
        money_per_day=_money(frame, a, read, exposed) if is_money_per_unit(a.metric) else None,
        days_to_decide=0 if read.flag in ("gain", "loss", "no_material_effect") else read.days_to_decide,
    )


def _exposed(part: Part, values: tuple[str, ...], arms: ArmMoments) -> int:
    """All exposed units of a context cell: an outcome window's population leaves out those whose window is open."""
    everyone = part.cells.get(None, {}).get(values, arms)
    return sum(moments.n for moments in everyone.values())


def _money(frame: Frame, a: Answer, read: CellReading, exposed: int) -> Estimate:
    """What the cell gains a day: shrunk where it is, else the difference with its simultaneous range."""
    days = frame.data_days(a.metric.mature_days)
    if read.value is None or days < 1:
        found = read.absolute if isinstance(read.absolute, Undetermined) else Undetermined("no_days", "no day has data")
        return _estimate(found, 1.0)
    return _estimate(read.value, a.question.sign / SIMULTANEOUS * exposed / days)


def _estimate(found: Bounds | Undetermined, factor: float) -> Estimate:
    """Bounds times a factor; a negative one turns them round."""
    if isinstance(found, Undetermined):
        return NotDetermined(not_determined=Reason(code=found.code, words=found.words))
    ends = [None if end is None else end * factor for end in (found.lo, found.hi)]
    lo, hi = ends if factor > 0 else reversed(ends)
    return Interval(est=found.est * factor, lo=lo, hi=hi)


def _summary(frame: Frame, part: Part, cells: Sequence[SliceCell]) -> str:
    """The first success metric's cells counted by flag, arm by arm, and how they are to be read."""
    lead = frame.metrics[0]
    own = [cell for cell in cells if cell.metric == lead.key]
    method = notes.slice_method(part.kind, shrunk=any(cell.shrunk is not None for cell in own))
    if not own:
        return method
    said = []
    for arm in frame.arms:
        counted = {flag: sum(cell.flag == flag for cell in own if cell.arm == arm) for flag in notes.FLAGS}
        name = frame.label(lead) + (f", {arm}" if len(frame.arms) > 1 else "")
        said.append(notes.slice_flags(name, counted))
    return " ".join([*said, method])
