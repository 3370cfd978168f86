"""The audit of one experiment: every change as a value with what it changed, in a reader's words."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.registry.course import Course
from analysis.words import registry as say
from experiments.differences import differing
from experiments.loading import Json, Path_, dotted
from experiments.ranges import BUCKETS
from experiments.store import AuditRow

WHOLE = 200  # letters of one value that are shown


@dataclass(frozen=True, slots=True)
class Line:
    """One field that changed, or one item that a list won or lost; an empty side was not there."""

    field: str
    before: str
    after: str
    what: Literal["changed", "added", "removed"] = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One audit row, ready to print; `broken` is why it is not what was written, where it is not."""

    number: int
    at: str
    actor: str
    title: str
    reason: str
    state: str
    lines: tuple[Line, ...]
    note: str = ""
    broken: str = ""


def changes(course: Course, rows: Sequence[AuditRow], broken: Sequence[str]) -> tuple[Change, ...]:
    """Every change of the experiment, and of the layer and holdouts it stands on; the newest first."""
    ground = _ground(course)
    numbers = {row.number for row in course.rows}
    state, found = "", []
    phases: dict[int, Json] = {}
    for row in rows:
        own = row.number in numbers
        if not own and (row.action, row.experiment_key) not in ground:
            continue
        after, lines, note = _change(row, phases)
        if own:
            given = after.get("state") if isinstance(after, dict) else None
            state = given if isinstance(given, str) else state or "draft"
        found.append(
            Change(
                row.number, say.moment(row.at), row.actor, say.action(row.action, row.experiment_key), row.reason,
                state if own else "", tuple(lines), note or _grown(row.action, after), _of(row.number, broken),
            )
        )  # fmt: skip
    return tuple(reversed(found))


def _ground(course: Course) -> set[tuple[str, str]]:
    own = course.assigned
    if own is None:
        return set()
    named = [("layer", own.layer.key), *(("holdout", key) for key in own.holdouts)]
    return {(f"{word}_{kind}", key) for word in ("register", "remove") for kind, key in named}


def _of(number: int, broken: Sequence[str]) -> str:
    """What is wrong with the row of this number; sentences name their row as `audit row 7 …`."""
    return "; ".join(each for each in broken if each.startswith(f"audit row {number} "))


def _read(text: str | None) -> Json:
    """What a row keeps as JSON; ValueError for anything else."""
    found: Json = None if text is None else json.loads(text)
    return found


def _change(row: AuditRow, phases: dict[int, Json]) -> tuple[Json, list[Line], str]:
    """What was after it, the lines and a note; a row that somebody changed may hold anything."""
    try:
        before, after = _read(row.before), _read(row.after)
    except ValueError:
        return None, [], say.UNREADABLE
    if before is None:
        return after, [], say.first_version(row.action)
    return after, *_differing(before, after, phases)


def _differing(before: Json, after: Json, phases: dict[int, Json]) -> tuple[list[Line], str]:
    """A phase's whole body is told in a sentence, and compared with the phase before."""
    note = ""
    body = after.get("phase") if isinstance(after, dict) else None
    if isinstance(after, dict) and isinstance(body, dict):
        number, definition = body.get("number"), body.get("experiment")
        note = say.frozen(number, len(_sized(body.get("metrics"))), len(_sized(body.get("slices"))))
        was = phases.get(number - 1) if isinstance(number, int) else None
        after = {name: value for name, value in after.items() if name != "phase"}
        before = (
            {name: value for name, value in before.items() if name != "phase"} if isinstance(before, dict) else before
        )
        found = list(_lines(before, after))
        if was is not None:
            found += _lines(was, definition)
        if isinstance(number, int):
            phases[number] = definition
        return found, note
    return list(_lines(before, after)), note


def _grown(action: str, after: Json) -> str:
    """To what traffic was raised."""
    live = after.get("live") if action == "traffic" and isinstance(after, dict) else None
    steps = live.get("traffic") if isinstance(live, dict) else None
    last = steps[-1] if isinstance(steps, list) and steps else None
    points = last.get("bp") if isinstance(last, dict) else None
    return say.raised(points / BUCKETS) if isinstance(points, int) else ""


def _sized(given: Json) -> Sequence[object]:
    return list(given) if isinstance(given, dict | list) else ()


def _lines(before: Json, after: Json) -> Iterator[Line]:
    for path, old, new in differing(before, after):
        if isinstance(old, list) and isinstance(new, list):
            yield from _items(path, old, new)
        else:
            yield Line(dotted(path), _value(old), _value(new))


def _items(path: Path_, old: list[Json], new: list[Json]) -> Iterator[Line]:
    """A list that grew or shrank, item by item; as a whole where only its order changed."""
    gone = [each for each in old if each not in new]
    came = [each for each in new if each not in old]
    if not gone and not came:
        yield Line(dotted(path), _value(old), _value(new))
    for each in gone:
        yield Line(dotted(path), _value(each), "", "removed")
    for each in came:
        yield Line(dotted(path), "", _value(each), "added")


def _value(given: Json) -> str:
    match given:
        case None:
            return ""
        case bool():
            return "yes" if given else "no"
        case dict():
            text = ", ".join(f"{name}: {_value(value)}" for name, value in given.items() if value is not None)
        case list():
            text = f"[{', '.join(_value(each) for each in given)}]"
        case _:
            text = str(given)
    return text if len(text) <= WHOLE else f"{text[:WHOLE]}…"
