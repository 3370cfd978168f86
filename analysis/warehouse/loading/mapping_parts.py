"""What can be said of a mapping that is wrong: of the parts that parse, and of the columns of the file it is for.

So that shape, meaning and columns are mended in one go, not in three.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from analysis.warehouse.loading.mapping import ID_PARTS, Emission, LogMapping, path_steps
from analysis.warehouse.loading.mapping_checks import Path_, cross_checks
from analysis.warehouse.loading.sources import column_names, open_source
from experiments.errors import Problem, SourceError, nearest
from experiments.loading import Document, Json, build, dotted

_PLACEHOLDER: dict[str, Json] = {"to": "identity"}  # keeps the place of an emission that is left out


def other_problems(mapping: LogMapping | None, document: Document, file: Path | None) -> list[Problem]:
    """What is wrong besides: the meaning of what parses when the whole (`mapping`) does not, and the file's columns."""
    left_out: list[Path_] = []
    parsed = _parts(document, left_out) if mapping is None else mapping
    if parsed is None:
        return []
    problems = cross_checks(parsed, document) if mapping is None else []
    problems += _lacking(parsed, document, file) if file is not None else []
    return [problem for problem in problems if not _unsure(problem, [dotted(path) for path in left_out])]


def _unsure(problem: Problem, left_out: list[str]) -> bool:
    """Whether what was left out may be what is missed."""
    inside = any(problem.path == path or problem.path.startswith((f"{path}.", f"{path}[")) for path in left_out)
    unit = "unit_type" in left_out and problem.path.endswith(".unit_type")
    return inside or unit or ("time_zone" in left_out and problem.code == "naive_time")


# --- the parts that parse ----------------------------------------------------------------------------------------


def _parts(document: Document, left_out: list[Path_]) -> LogMapping | None:
    """The mapping without what does not parse, whose paths go to `left_out`."""
    written = document.value
    emit = written.get("emit") if isinstance(written, dict) else None
    if not isinstance(written, dict) or not isinstance(emit, list) or not emit:
        return None
    kept: dict[str, Json] = {}
    for key, value in written.items():
        if key != "emit" and build(LogMapping, {"emit": [_PLACEHOLDER], key: value}, document, ())[0] is not None:
            kept[key] = value
        elif key != "emit":
            left_out.append((key,))
    kept["emit"] = [_emission(entry, ("emit", index), document, left_out) for index, entry in enumerate(emit)]
    return build(LogMapping, kept, document, ())[0]


def _emission(entry: Json, at: Path_, document: Document, left_out: list[Path_]) -> Json:
    def parses(part: dict[str, Json]) -> bool:
        return build(Emission, part, document, at)[0] is not None

    head: dict[str, Json] = (
        {key: entry[key] for key in ("to", "each") if key in entry} if isinstance(entry, dict) else {}
    )
    if not isinstance(entry, dict) or not parses(head):
        left_out.append(at)
        return _PLACEHOLDER
    kept: dict[str, Json] = dict(head)
    for key in entry.keys() - head.keys():
        value = entry[key]
        if isinstance(value, dict) and key in ("when", "set", "columns"):
            good = {name: one for name, one in value.items() if parses({**head, key: {name: one}})}
            kept[key] = good
            bad: list[Path_] = [(key, name) for name in value if name not in good]
        elif parses({**head, key: value}):
            kept[key], bad = value, []
        else:
            bad = [(key,)]
        for path in bad:  # what set gives need not come from columns
            left_out += [(*at, *path), *([(*at, "columns", *path[1:])] if key == "set" else [])]
    return kept


# --- the file's columns ------------------------------------------------------------------------------------------


def _lacking(mapping: LogMapping, document: Document, file: Path) -> list[Problem]:
    """The columns the mapping reads that a CSV or Parquet file does not have; none when it cannot be read yet."""
    try:
        names = column_names(open_source(file, mapping.file))
    except (SourceError, OSError, EOFError, UnicodeError, pa.ArrowException):
        return []
    if names is None:
        return []
    return [
        document.problem("no_column", at, path, f"{file.name} has no column {path!r}", near=nearest(path, names))
        for at, path in _read(mapping)
        if path not in names and _root(path) not in names
    ]


def _root(path: str) -> str | None:
    try:
        return path_steps(path)[0].field
    except ValueError:
        return None


def _read(mapping: LogMapping) -> Iterator[tuple[Path_, str]]:
    for place, part in enumerate(mapping.event_id.from_):
        if part not in ID_PARTS:
            yield ("event_id", "from", place), part
    for index, emission in enumerate(mapping.emit):
        at: Path_ = ("emit", index)
        yield from (((*at, "when", path), path) for path in emission.when)
        if emission.each is not None:
            yield (*at, "each"), emission.each
        for where, take in emission.takes().items():
            group, name = where.split(".", 1)
            read = {
                "column": take.column,
                "times": take.times.column if take.times is not None else None,
                "money": take.money.column if take.money is not None else None,
            }
            yield from (((*at, group, name, key), path) for key, path in read.items() if path is not None)
