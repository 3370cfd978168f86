"""What the design of an experiment asks of its other fields: units, windows, teams, who logs. ASSIGNMENT 4 and 8."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import get_args

from experiments.designs import DAY_MINUTES, DESIGN_UNITS, UNREAD_UNITS, Design, Switchback
from experiments.errors import Problem
from experiments.loading import Document, entries, parse, value_at
from experiments.ranges import faults
from experiments.spec import Assigned

EXAMPLE = "switchback: {cluster: city, window_minutes: 240, burn_in_minutes: 30}"
WINDOWS = tuple(minutes for minutes in range(1, DAY_MINUTES + 1) if DAY_MINUTES % minutes == 0)


def design_problems(
    document: Document, neighbours: Mapping[str, Assigned], standing: Collection[str]
) -> Iterator[Problem]:
    """Everything that does not fit the design. `standing` are the keys of the neighbours that hold buckets."""
    design = value_at(document.value, ("design",)) or "ab"
    if design not in get_args(Design):
        return
    yield from _unit(document, str(design))
    yield from _switchback(document, str(design))
    yield from _clock(document, {key: each for key, each in neighbours.items() if key in standing})
    if design == "interleaving":
        yield from _teams(document)
    if design != "ab" and value_at(document.value, ("exposure", "trigger")) != "serve":
        given = value_at(document.value, ("exposure", "trigger"))
        path = ("exposure",) if given is None else ("exposure", "trigger")
        message = f"a page cannot say what a {design} served when it renders; the service logs it when it answers"
        step = "write exposure: {trigger: serve}"
        yield document.problem("exposure_trigger", path, given, message, next_step=step)
    yield from _ramp(document)
    for at, entry in entries(document.value, ("prerequisites",)):
        other = neighbours.get(str(value_at(entry, ("experiment",))))
        if other is not None and other.design != "ab":
            message = f"{other.key} is of design {other.design}: nobody has an arm of it to keep"
            yield document.problem(
                "prerequisite_design", (*at, "experiment"), other.key, message, next_step="remove it"
            )


def _unit(document: Document, design: str) -> Iterator[Problem]:
    unit_type = value_at(document.value, ("unit_type",)) or "user"
    wanted = DESIGN_UNITS.get(design)
    if wanted is not None and unit_type != wanted:
        message = f"{unit_type} is not the unit of design {design}, which is {wanted}"
        step = f"write unit_type: {wanted}"
    elif wanted is None and unit_type == "cluster_window":
        message = "a cluster_window is the unit of a switchback alone"
        step = "write design: switchback, or assign users, sessions, devices or requests"
    else:
        return
    yield document.problem("unit_mismatch_design", ("unit_type",), unit_type, message, next_step=step)


def _switchback(document: Document, design: str) -> Iterator[Problem]:
    path = ("switchback",)
    given = value_at(document.value, path)
    if design != "switchback":
        if given is not None:
            message = f"switchback has no meaning in design {design}"
            step = "remove it, or write design: switchback"
            yield document.problem("refused_for_design", path, given, message, next_step=step)
        return
    if given is None:
        yield document.problem("missing_field", path, None, "is missing", next_step=f"write {EXAMPLE}")
        return
    windows, _ = parse(Switchback, document, path)
    if windows is None:
        return
    minutes = windows.window_minutes
    if minutes not in WINDOWS:
        near = sorted(sorted(WINDOWS, key=lambda each: abs(each - minutes))[:3])
        message = f"{minutes} minutes do not divide a day, so that windows would begin at other times every day"
        step = f"write {near[0]}, {near[1]} or {near[2]}"
        yield document.problem(
            "window_length", (*path, "window_minutes"), minutes, message, near=tuple(map(str, near)), next_step=step
        )
    if windows.burn_in_minutes >= minutes:
        message = f"{windows.burn_in_minutes} minutes leave nothing of a window of {minutes}"
        yield document.problem(
            "burn_in", (*path, "burn_in_minutes"), windows.burn_in_minutes, message, next_step="write a shorter one"
        )


def _clock(document: Document, standing: Mapping[str, Assigned]) -> Iterator[Problem]:
    """On one layer every switchback has the same units: other windows would put one visit into two experiments."""
    own, key = value_at(document.value, ("key",)), value_at(document.value, ("layer", "key"))
    windows, _ = parse(Switchback, document, ("switchback",))
    for name, other in standing.items():
        theirs = other.switchback
        if windows is None or theirs is None or name == own or other.layer.key != key:
            continue
        if (theirs.cluster, theirs.window_minutes) != (windows.cluster, windows.window_minutes):
            message = (
                f"{windows.window_minutes} minutes of a {windows.cluster} are other units than those of {name}, on the "
                f"same layer: {theirs.window_minutes} minutes of a {theirs.cluster}"
            )
            step = f"write the same cluster and window_minutes, stop {name}, or use another layer"
            yield document.problem(
                "switchback_mismatch", ("switchback",), value_at(document.value, ("switchback",)), message,
                next_step=step,
            )  # fmt: skip


def _teams(document: Document) -> Iterator[Problem]:
    variants = entries(document.value, ("variants",))
    if len(variants) > 2:
        names = [value_at(variant, ("key",)) for _, variant in variants]
        message = f"{len(variants)} given; two teams draft one list"
        yield document.problem("too_many_variants", ("variants",), names, message, next_step="keep the control and one")
    for at, variant in variants:
        weight = value_at(variant, ("weight",))
        if isinstance(weight, str) and weight != "equal" and not _faulty(weight) and Decimal(weight) != Decimal("0.5"):
            message = f"{weight} is not a half, and teams pick in turns"
            yield document.problem(
                "unequal_teams", (*at, "weight"), weight, message, next_step='write weight: "0.5" on both'
            )
        if value_at(variant, ("strategy",)) == "no_recommendations":
            message = "a team without a ranking never picks, so that nothing is compared"
            yield document.problem(
                "no_ranking", (*at, "strategy"), "no_recommendations", message, next_step="name a strategy that ranks"
            )


def _faulty(weight: str) -> bool:
    return any(fault.index is not None for fault in faults([weight, weight]))


def _ramp(document: Document) -> Iterator[Problem]:
    unit_type = value_at(document.value, ("unit_type",))
    if not isinstance(unit_type, str) or unit_type not in UNREAD_UNITS:
        return
    for at, step in entries(document.value, ("ramp",)):
        if value_at(step, ("require",)):
            message = f"no readout is made over {unit_type}s, so that this step would wait for ever"
            yield document.problem(
                "ramp_require", (*at, "require"), value_at(step, ("require",)), message, next_step="leave it out"
            )
