"""What is not told because something else says it better. ALERTS 5.

A failing signal check over money (the lifecycle holds it), a broken split over its whole experiment, a whole over its
parts, a site-wide drop over everything measured against the same forecast ("not the recommender").

An arm difference lives through the same day on both sides, so a drop of the whole site does not explain it away: it may
be its consequence. What is compared with a concurrent arm is therefore inhibited by its own site-wide difference only.
Nor does it explain a module that fell much further: there the site may be what follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from analysis.alerts.course.tracks import rank
from analysis.alerts.model import Comparison, Evaluation, Incident

SAMPLE_RATIO = "SH-01"
NOT_THE_RECOMMENDER = "not the recommender"
FURTHER, SURE = 2.0, 2.0  # times the site's own drop, and by so many standard errors


def with_broken_splits(evaluations: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
    """The same, with a sample ratio that fails on one cell of an experiment failing on all of them."""
    broken = {_split(one.unit.comparison) for one in evaluations if SAMPLE_RATIO in one.held_by} - {None}
    return tuple(
        replace(one, held_by=(*one.held_by, SAMPLE_RATIO))
        if _split(one.unit.comparison) in broken and SAMPLE_RATIO not in one.held_by
        else one
        for one in evaluations
    )


def inhibited(incidents: Iterable[Incident]) -> Mapping[str, str]:
    """Of each that is inhibited: the incident that says it better."""
    standing = [one for one in incidents if one.state in ("open", "acked", "resolving")]
    ordered = sorted(standing, key=_widest)
    found = {}
    for place, one in enumerate(ordered):
        over = [other for other in ordered[:place] if _same_fault(other, one)]
        over += [other for other in ordered if _holds(other, one)]
        if over:
            found[one.incident_id] = over[0].incident_id
    return found


def named(by: Incident) -> str:
    """What stands in `inhibited_by`: the incident, or that a drop of the whole site is not a recommender's doing."""
    wide = [one for one in by.members if _is_whole(one)]
    forecast = all(one.unit.comparison.kind == "forecast" for one in wide)
    whole_site = by.family == "money" and by.module == "" and bool(wide)
    return NOT_THE_RECOMMENDER if whole_site and forecast else by.incident_id


def checks(incident: Incident) -> tuple[str, ...]:
    """The signal checks that fail on its members."""
    return tuple(sorted({check for member in incident.members for check in member.held_by}))


def _widest(one: Incident) -> tuple[int, bool, datetime, str]:
    return -rank(one.severity), one.module != "", one.opened_at or one.changed_at, one.incident_id


def _same_fault(one: Incident, other: Incident) -> bool:
    """Two data incidents of the same checks are one fault: the first tells it."""
    return one.family == other.family == "data" and set(checks(other)) <= set(checks(one))


def _holds(whole: Incident, part: Incident) -> bool:
    """Whether a loss is in the other one: at least as grave, believed, of the same comparisons, and wider."""
    if whole is part or not whole.family == part.family == "money" or whole.held:
        return False
    if rank(whole.severity) < rank(part.severity):
        return False
    wide = {one.unit.comparison for one in whole.members if _is_whole(one)}
    of_parts = not any(_is_whole(one) for one in part.members)
    wider = whole.module == "" != part.module or (whole.module == part.module and of_parts)
    return wider and {one.unit.comparison for one in part.members} <= wide and not _is_deeper(part, whole)


def _is_deeper(part: Incident, whole: Incident) -> bool:
    """Whether it lies surely further below a forecast than twice what the site does, in one window of both."""
    site = {one.unit.metric: one.effects for one in whole.members if one.unit.cell.is_site and _is_forecast(one)}
    return any(
        found.relative + SURE * found.se < FURTHER * site[one.unit.metric][name].relative < 0
        for one in part.members
        if one.unit.metric in site and not one.unit.cell.is_site
        for name, found in one.effects.items()
        if name in site[one.unit.metric]
    )


def _is_forecast(one: Evaluation) -> bool:
    return one.unit.comparison.kind == "forecast"


def _is_whole(one: Evaluation) -> bool:
    return not one.unit.cell.category and not one.unit.cell.device


def _split(comparison: Comparison) -> tuple[str, str, int] | None:
    """What a sample ratio is about: an experiment's phase."""
    return (comparison.kind, comparison.key, comparison.phase) if comparison.kind == "experiment" else None
