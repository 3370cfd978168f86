"""What belongs to one incident, and what it costs with each session counted once. ALERTS 5.

Twelve categories down on one homepage are one incident. Its members overlap: a module holds its categories and devices,
a cell is watched by several metrics and comparisons. So the money of an incident is counted thus:

- of one cell and comparison, one metric: the gravest, then the one with the most that is sure, then the most money;
- of one comparison, the module's own cell if it fires (its gains elsewhere are in it), else its categories or its
  devices, whichever is more; a category's own cell, else its devices;
- the watched arms of one experiment are different sessions and add up;
- of several experiments, launches and forecasts, whose sessions overlap, the one that costs most.

At least: the sum over the same cells. Of jointly normal estimates a sum of lower bounds is a lower bound at the same
level, however they are correlated.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from analysis.alerts.course.standing import Family
from analysis.alerts.course.tracks import asked, rank
from analysis.alerts.model import METRICS, Cell, Comparison, Cost, Evaluation, Incident
from experiments.spec import digest

NO_WINDOW = "none"
Sum: TypeAlias = tuple[float, float]  # expected and at least, minor units a day
GroupKey: TypeAlias = tuple[str, Family, str]


def group_key(found: Evaluation, family: Family, windows: Mapping[str, str]) -> GroupKey:
    """Module, metric family and deploy window; `windows` says of a module which deploy it is in."""
    module = found.unit.cell.module
    return module, family, windows.get(module, NO_WINDOW)


def incident_id(key: GroupKey, since: str) -> str:
    """Of the group that first fired at `since` (ISO 8601). 12 hex digits."""
    return digest([*key, since])[:12]


def by_money(members: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Most money first."""
    return tuple(sorted(members, key=lambda one: (-(one.now.expected if one.now else 0.0), one.unit.fingerprint)))


def money(members: Iterable[Evaluation]) -> Sum:
    """Expected and at-least loss a day of one incident's members, each session once."""
    cells: dict[Comparison, dict[Cell, Evaluation]] = defaultdict(dict)
    for one in members:
        if one.now is None:
            continue
        held = cells[one.unit.comparison].get(one.unit.cell)
        if held is None or _first(one) < _first(held):
            cells[one.unit.comparison][one.unit.cell] = one
    sources: dict[tuple[str, str, int], list[Sum]] = defaultdict(list)
    for comparison, found in sorted(cells.items()):
        costs = {cell: one.now for cell, one in sorted(found.items()) if one.now is not None}
        sources[comparison.kind, comparison.key, comparison.phase].append(_tree(costs))
    return max((_add(arms) for arms in sources.values()), default=(0.0, 0.0))


def total(incidents: Iterable[Incident]) -> Sum:
    """Expected and at-least loss a day of all that is open and believed, each session once.

    What is held is not believed, what another incident inhibits is in that one's sum, and of two whose cells overlap
    the one that costs more counts.
    """
    believed = [one for one in incidents if one.family == "money" and one.state in ("open", "acked", "resolving")]
    counted: list[Incident] = []
    for one in sorted(believed, key=lambda one: (-one.expected, one.incident_id)):
        if not one.held and not one.inhibited_by and all(_apart(one, other) for other in counted):
            counted.append(one)
    return _add([(one.expected, one.at_least) for one in counted])


def _apart(one: Incident, other: Incident) -> bool:
    """Whether no session is in both."""
    cells = {member.unit.cell for member in one.members}, {member.unit.cell for member in other.members}
    return not any(_overlap(a, b) for a in cells[0] for b in cells[1])


def _overlap(one: Cell, other: Cell) -> bool:
    pairs = (one.module, other.module), (one.category, other.category), (one.device, other.device)
    return all(not a or not b or a == b for a, b in pairs)


def _first(one: Evaluation) -> tuple[int, float, float, int]:
    """The order in which the metrics of a cell are chosen."""
    cost = one.now or Cost(0.0, 0.0, 0.0, 0.0)
    return -rank(asked(one)), -cost.at_least, -cost.expected, METRICS.index(one.unit.metric)


def _tree(costs: Mapping[Cell, Cost]) -> Sum:
    """Of one comparison: a whole instead of its parts."""
    modules = sorted({cell.module for cell in costs})
    return _add([_module(module, costs) for module in modules])


def _module(module: str, costs: Mapping[Cell, Cost]) -> Sum:
    whole = costs.get(Cell(module))
    if whole is not None:
        return whole.expected, whole.at_least
    categories = sorted({cell.category for cell in costs if cell.module == module and cell.category})
    by_category = _add([_category(Cell(module, category), costs) for category in categories])
    return max(by_category, _devices(Cell(module), costs))


def _category(category: Cell, costs: Mapping[Cell, Cost]) -> Sum:
    whole = costs.get(category)
    return _devices(category, costs) if whole is None else (whole.expected, whole.at_least)


def _devices(whole: Cell, costs: Mapping[Cell, Cost]) -> Sum:
    parts = [
        (cost.expected, cost.at_least)
        for cell, cost in costs.items()
        if cell.device and (cell.module, cell.category) == (whole.module, whole.category)
    ]
    return _add(parts)


def _add(parts: Sequence[Sum]) -> Sum:
    return sum(one[0] for one in parts), sum(one[1] for one in parts)
