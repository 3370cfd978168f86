"""Reading a mapping file: its text becomes a checked `LogMapping`, or every problem at once."""

from pathlib import Path

from analysis.warehouse.loading.mapping import LogMapping
from analysis.warehouse.loading.mapping_checks import cross_checks
from analysis.warehouse.loading.mapping_parts import other_problems
from experiments import loading
from experiments.errors import MappingError, NotFoundError, Problem, nearest, said_once

READY_FOLDER = Path(__file__).parents[1] / "mappings"


def ready_mappings() -> tuple[str, ...]:
    """The names of the mappings that come with truelift."""
    return tuple(sorted(path.stem for path in READY_FOLDER.glob("*.yml")))


def read_mapping(given: str | Path, file: Path | None = None) -> LogMapping:
    """The mapping of that path or ready name. MappingError with all problems, NotFoundError naming the nearest.

    With problems, those of the log `file` it is for (columns that are not there) are among them.
    """
    path = Path(given)
    ready = ready_mappings()
    if str(given) in ready and not path.is_file():
        path = READY_FOLDER / f"{given}.yml"
    if path.is_dir():
        inside = ", ".join(sorted(each.name for each in path.glob("*.y*ml"))) or "none"
        raise NotFoundError(f"{given}: is a folder, not a mapping file; name a file in it (YAML files there: {inside})")
    if not path.is_file():
        near = nearest(given, ready)
        hint = f"nearest: {', '.join(near)}" if near else f"ready: {', '.join(ready)}"
        raise NotFoundError(
            f"{given}: neither a mapping file nor a ready mapping ({hint}); give a path or one of these"
        )
    document, problems = loading.read_yaml(path)
    return _parsed(document, problems, path.name, file)


def parse_mapping(text: str, name: str) -> LogMapping:
    """The mapping a YAML text says. MappingError with all problems."""
    return _parsed(*loading.parse_yaml(text), name)


def _parsed(
    document: loading.Document | None, problems: list[Problem], name: str, file: Path | None = None
) -> LogMapping:
    mapping = None
    if document is not None:
        mapping, found = loading.parse(LogMapping, document)
        problems = [*problems, *found, *(cross_checks(mapping, document) if mapping is not None else [])]
        problems += other_problems(mapping, document, file) if problems else []
    if mapping is None or problems:
        raise MappingError(name, said_once(loading.in_order(problems)))
    return mapping.called(name)
